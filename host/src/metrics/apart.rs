//! An extractor in a process of its own, seen from the host: what is sent, what is waited for and how long, and what is believed of
//! the answer, which is its length and nothing else.
//!
//! One stream goes both ways. A request is a line of JSON, and bytes after it where it says so: a module's file, or
//! images. An answer is a line of JSON, and where it gives features just as many float32 as were asked for.

use std::{
    io::{self, Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt as _},
    },
    path::Path,
    process::{Child, Stdio},
    sync::Mutex,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::{
    Extracted,
    module::{Fault, MOST_CLASSES, MOST_FEATURES},
};
use crate::{
    confined::{self, collected, described, last_line},
    text::Show as _,
};

/// The hidden command that runs the other side.
pub const COMMAND: &str = "__extract";

/// How long an answer may take at least.
const PATIENCE: Duration = Duration::from_secs(30);
/// More for each image, whatever its size: a large network on one slow core takes two.
const PER_IMAGE: Duration = Duration::from_secs(5);
/// More for each byte of a file, which is unpacked.
const BYTES_A_SECOND: u64 = 10 << 20;
/// How long a process may take to be gone after its stream is.
const PARTING: Duration = Duration::from_secs(2);
/// The longest line of an answer, in bytes.
const MOST: usize = 64 << 10;
/// Beginnings of the names of variables that say how libtorch computes: with others it would compute otherwise than the host.
const OF_LIBTORCH: [&str; 8] = ["OMP_", "GOMP_", "KMP_", "MKL_", "ATEN_", "ONEDNN_", "DNNL_", "GLIBC_TUNABLES"];

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Load a file of so many bytes, which follow, and compute on so many threads.
    Load { bytes: u64, threads: i32 },
    /// Give features of images of this shape, which follow.
    Extract { shape: [i64; 4] },
    /// Give freed memory back to the system.
    Rest,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// Features and classes of a sample.
    Loaded { width: i64, classes: Option<i64> },
    /// Features follow, and logits where there are classes.
    Given,
    /// Memory is given back.
    Rested,
    /// What is wrong with the module, or with its answer.
    Wrong(String),
    /// It was not loaded: what it may not have could not be taken from the process.
    Unconfined(String),
}

/// An extractor that runs elsewhere.
#[derive(Debug)]
pub(super) struct Apart {
    process: Mutex<Process>,
    pub(super) width: i64,
    pub(super) classes: Option<i64>,
}

impl Apart {
    /// Loads the bytes in a process of `tandem`, a binary that runs [`super::serve`] for [`COMMAND`].
    pub(super) fn load(tandem: &Path, bytes: &[u8]) -> Result<Self, Fault> {
        let process = Process::start(tandem);
        let mut process = process.map_err(|e| Fault(format!("cannot have a process: {}: {e}", tandem.shown())))?;
        let size = bytes.len() as u64;
        let patience = PATIENCE + Duration::from_secs(size / BYTES_A_SECOND);
        let request = Request::Load { bytes: size, threads: tch::get_num_threads() };
        match process.ask(&request, bytes, patience, "to be loaded")? {
            Answer::Loaded { width, classes } => {
                let fits = |n: i64, most: i64| (1..=most).contains(&n);
                if !fits(width, MOST_FEATURES) || !classes.is_none_or(|n| fits(n, MOST_CLASSES)) {
                    return Err(Fault(format!("says that it gives {width} features and {classes:?} logits")));
                }
                Ok(Self { process: Mutex::new(process), width, classes })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Features of `[n, c, h, w]`, 8-bit, on the CPU.
    pub(super) fn extract(&self, images: &Tensor) -> Result<Extracted, Fault> {
        let images = images.f_to_device(Device::Cpu)?.f_contiguous()?;
        let size = images.size();
        let shape = <[i64; 4]>::try_from(size).map_err(|s| Fault(format!("takes [n, c, h, w], found {s:?}")))?;
        let n = shape[0];
        let mut bytes = vec![0; images.numel()];
        images.f_copy_data_u8(&mut bytes, images.numel())?;
        let patience = PATIENCE + PER_IMAGE * n as u32;
        let mut process = self.process.lock().map_err(|_| Fault("was left in the middle of a batch".into()))?;
        match process.ask(&Request::Extract { shape }, &bytes, patience, &format!("for {n} images"))? {
            Answer::Given => {
                let mut floats = |width: i64| -> Result<Tensor, Fault> {
                    let mut bytes = vec![0; (n * width) as usize * size_of::<f32>()];
                    process.read(&mut bytes)?;
                    Ok(Tensor::f_from_data_size(&bytes, &[n, width], Kind::Float)?)
                };
                let features = floats(self.width)?;
                Ok(Extracted { features, logits: self.classes.map(floats).transpose()? })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Has the process give back what it holds beyond the module. One that is gone holds nothing.
    pub(super) fn rest(&self) {
        if let Ok(mut process) = self.process.lock() {
            // What went wrong is told by the next batch, if there is one.
            let _ = process.ask(&Request::Rest, &[], PATIENCE, "to rest");
        }
    }
}

fn unexpected(answer: &Answer) -> Fault {
    match answer {
        Answer::Wrong(what) => Fault(what.shown().to_string()),
        Answer::Unconfined(why) => Fault(format!("was not loaded: its process cannot be confined: {}", why.shown())),
        Answer::Loaded { .. } | Answer::Given | Answer::Rested => Fault("answers what was not asked".into()),
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    stream: UnixStream,
    said: Option<JoinHandle<Vec<u8>>>,
    /// When the answer that is waited for must be whole, and what it is waited for, in words.
    deadline: (Instant, Duration, String),
    /// How it ended, once it did.
    ended: Option<String>,
}

impl Process {
    fn start(tandem: &Path) -> Result<Self, String> {
        let (stream, other) = UnixStream::pair().map_err(|e| e.to_string())?;
        let keep = |name: &str| OF_LIBTORCH.iter().any(|beginning| name.starts_with(beginning));
        let mut command = confined::command(tandem, COMMAND, keep);
        command.stdin(Stdio::from(OwnedFd::from(other))).stdout(Stdio::null());
        // A group of its own: Ctrl-C reaches the host, which ends its work as it sees fit, and this process with it.
        let mut child = command.process_group(0).spawn().map_err(|e| e.to_string())?;
        let said = confined::listener(child.stderr.take()).map_err(|e| {
            // Nobody would wait for it.
            let _ = child.kill().and_then(|()| child.wait());
            e.to_string()
        })?;
        let deadline = (Instant::now(), Duration::ZERO, String::new());
        Ok(Self { child, stream, said: Some(said), deadline, ended: None })
    }

    /// Sends a request and reads the line of its answer.
    fn ask(&mut self, request: &Request, body: &[u8], patience: Duration, what: &str) -> Result<Answer, Fault> {
        if let Some(how) = &self.ended {
            return Err(Fault(how.clone()));
        }
        self.deadline = (Instant::now() + patience, patience, what.to_owned());
        let mut line = serde_json::to_vec(request).map_err(|e| Fault(format!("cannot be asked: {e}")))?;
        line.push(b'\n');
        self.write(&line)?;
        self.write(body)?;
        let line = self.line()?;
        match serde_json::from_slice(&line) {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.end(&format!("gave an answer that cannot be read: {error}"))),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let left = self.left()?;
            let written = self.stream.set_write_timeout(Some(left)).and_then(|()| self.stream.write(bytes));
            match written {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_a_pause(&error) => {}
                // It says why by its end, or said why before it.
                Err(_) => return Err(self.gone()),
            }
        }
        Ok(())
    }

    fn read(&mut self, mut bytes: &mut [u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let count = self.some(bytes)?;
            bytes = &mut bytes[count..];
        }
        Ok(())
    }

    /// At least one byte.
    fn some(&mut self, bytes: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let left = self.left()?;
            let read = self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.read(bytes));
            match read {
                Ok(count) if count > 0 => return Ok(count),
                Err(error) if is_a_pause(&error) => {}
                Ok(_) | Err(_) => return Err(self.gone()),
            }
        }
    }

    /// Byte by byte: what follows a line is not to be read with it, and lines are short.
    fn line(&mut self) -> Result<Vec<u8>, Fault> {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < MOST {
            self.some(&mut byte)?;
            if byte == *b"\n" {
                return Ok(line);
            }
            line.push(byte[0]);
        }
        Err(self.end("gave an answer without end"))
    }

    /// The time that is left for the answer; the process is ended where there is none.
    fn left(&mut self) -> Result<Duration, Fault> {
        let (deadline, patience, what) = &self.deadline;
        match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => {
                let how = format!("took more than {} seconds {what}, and was ended", patience.as_secs());
                Err(self.end(&how))
            }
            // What a socket takes for "no limit" is less than its clock's tick.
            left => Ok(left.max(Duration::from_millis(1))),
        }
    }

    /// Ends it: nothing more is believed of it.
    fn end(&mut self, how: &str) -> Fault {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.ended = Some(how.to_owned());
        Fault(how.to_owned())
    }

    /// How it ended, by itself or by the system.
    fn gone(&mut self) -> Fault {
        let by = Instant::now() + PARTING;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < by => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) => return self.end("closed its stream, and was ended"),
                Err(error) => return self.end(&format!("cannot be waited for: {error}")),
            }
        };
        let said = self.said.take().map(collected).unwrap_or_default();
        self.end(&format!("its process ended {}{}", described(status), last_line(&said)))
    }
}

/// Whether there is nothing to do but look at the clock and go on.
fn is_a_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
