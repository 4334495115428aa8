//! A plugin's declaration in a process of its own: the same binary, confined before the plugin's first instruction, asked
//! over pipes, and believed in nothing.
//!
//! What comes back is data: a definition, which is checked as one from anywhere, or a sentence. Whatever else happens in
//! there (a crash, an endless loop, memory without end) ends that process and is an error here.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::process::ExitStatusExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use serde::{Deserialize, Serialize};
use tandem_plugin_api::{
    Images,
    value::{Definition, Named, Value},
};

use super::{
    PluginFile, confine,
    declare::{MAX_DEFINITION, ask},
    error::{LoadProblem, plain},
    load::open_checked,
};
use crate::text::Show as _;

/// The hidden command that runs [`serve`].
pub const COMMAND: &str = "__declare";

/// How long the process may take altogether; its processor time is limited in it.
const PATIENCE: Duration = Duration::from_secs(2 * confine::SECONDS);
/// How often it is looked at.
const GLANCE: Duration = Duration::from_millis(2);
/// The most that is read of its answer, in bytes: a definition at its own limit, as text. Read as JSON it may take some ten times as much.
const MOST: u64 = 3 * MAX_DEFINITION as u64;
/// The most that is kept of what it says besides.
const MOST_SAID: u64 = 64 << 10;

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    channels: i64,
    size: i64,
    classes: i64,
    options: Vec<Named<Value>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Definition(Definition),
    Problem(String),
    /// The plugin was not asked: what it may not have could not be taken from the process.
    Unconfined(String),
}

/// A plugin's definition from a process of `tandem`, a binary that runs [`serve`] for [`COMMAND`].
pub(super) fn declare(
    tandem: &Path,
    file: &PluginFile,
    images: Images,
    options: &[Named<Value>],
) -> Result<Definition, LoadProblem> {
    let Images { channels, size, classes } = images;
    let request = Request { channels, size, classes, options: options.to_vec() };
    let mut request = serde_json::to_vec(&request).map_err(|e| LoadProblem::Child(format!("no request: {e}")))?;
    request.push(b'\n');
    let mut child = start(tandem).map_err(|e| LoadProblem::Child(format!("{}: {e}", tandem.shown())))?;
    let readers = reader(child.stdout.take(), MOST).and_then(|a| Ok((a, reader(child.stderr.take(), MOST_SAID)?)));
    let (answer, said) = readers.map_err(|e| {
        // Nobody would read what it says, nor wait for it.
        let _ = child.kill().and_then(|()| child.wait());
        LoadProblem::Child(format!("no thread can be started to read from it: {e}"))
    })?;
    if let Some(mut input) = child.stdin.take() {
        // A process that is gone already says why by its status.
        let _ = input.write_all(&request).and_then(|()| input.write_all(&file.bytes));
    }
    let status = wait(&mut child)?;
    let said = String::from_utf8_lossy(&collected(said)).into_owned();
    if !status.success() {
        return Err(LoadProblem::Died { how: described(status), said: last_line(&said) });
    }
    match serde_json::from_slice(&collected(answer)) {
        Ok(Answer::Definition(definition)) => Ok(definition),
        Ok(Answer::Problem(problem)) => Err(LoadProblem::Said(plain(&problem))),
        Ok(Answer::Unconfined(why)) => Err(LoadProblem::Child(format!("it cannot be confined: {}", plain(&why)))),
        Err(error) => Err(LoadProblem::Malformed(plain(&format!("its answer cannot be read: {error}")))),
    }
}

fn start(tandem: &Path) -> std::io::Result<Child> {
    let mut command = Command::new(tandem);
    command.arg(COMMAND).env_clear().current_dir("/");
    if let Some(libraries) = std::env::var_os("LD_LIBRARY_PATH") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Reads to the end on a thread of its own, so that no pipe fills up.
fn reader(from: Option<impl Read + Send + 'static>, most: u64) -> std::io::Result<JoinHandle<Vec<u8>>> {
    std::thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            // What was read before an error is all there is.
            let _ = from.take(most).read_to_end(&mut bytes);
        }
        bytes
    })
}

fn collected(reader: JoinHandle<Vec<u8>>) -> Vec<u8> {
    reader.join().unwrap_or_default()
}

fn wait(child: &mut Child) -> Result<ExitStatus, LoadProblem> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() < PATIENCE => std::thread::sleep(GLANCE),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(LoadProblem::TooSlow(PATIENCE.as_secs()));
            }
            Err(error) => return Err(LoadProblem::Child(format!("waiting for it: {error}"))),
        }
    }
}

fn described(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return format!("with exit code {}", status.code().unwrap_or(-1));
    };
    let why = match signal {
        libc::SIGSEGV | libc::SIGBUS => " (bad memory access, or a stack that ran over)",
        libc::SIGABRT => " (it gave up, as for want of memory)",
        libc::SIGILL | libc::SIGTRAP => " (an instruction that stops it)",
        libc::SIGXCPU | libc::SIGKILL => " (out of processor time or memory)",
        libc::SIGXFSZ => " (it wrote to a file)",
        libc::SIGSYS => " (a forbidden system call)",
        _ => "",
    };
    format!("by signal {signal}{why}")
}

fn last_line(said: &str) -> String {
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with("note: "));
    last.map_or_else(String::new, |line| format!(", saying \"{}\"", plain(line)))
}

/// The other side: reads a request, gives up what it may not have, asks the plugin, and answers.
///
/// # Errors
/// What keeps it from asking at all; what the plugin did wrong is in the answer.
pub fn serve() -> Result<(), String> {
    let (request, library) = received().map_err(|e| format!("no request: {e}"))?;
    let ready = confine::close_inherited().and_then(|()| in_memory(&library).map_err(|e| format!("memfd: {e}")));
    // What the plugin prints goes to stderr; the answer has this pipe for itself.
    let answer = std::io::stdout().as_fd().try_clone_to_owned().map_err(|e| format!("stdout: {e}"))?;
    nix::unistd::dup2_stdout(std::io::stderr()).map_err(|e| format!("stdout: {e}"))?;
    let said = match ready.and_then(|library| confine::confine().map(|()| definition(&request, &library))) {
        Ok(Ok(definition)) => Answer::Definition(definition),
        Ok(Err(problem)) => Answer::Problem(problem.to_string()),
        Err(why) => Answer::Unconfined(why),
    };
    let text = serde_json::to_vec(&said).map_err(|e| format!("no answer: {e}"))?;
    std::fs::File::from(answer).write_all(&text).map_err(|e| format!("no answer: {e}"))
}

/// A line that says what is asked, and the library's bytes.
fn received() -> std::io::Result<(Request, Vec<u8>)> {
    let mut input = BufReader::new(std::io::stdin());
    let (mut line, mut library) = (String::new(), Vec::new());
    input.read_line(&mut line)?;
    input.read_to_end(&mut library)?;
    Ok((serde_json::from_str(&line)?, library))
}

/// The bytes as a file of this process alone that nobody can change any more: what was checked is what is loaded.
fn in_memory(library: &[u8]) -> std::io::Result<OwnedFd> {
    let file = memfd_create(c"plugin", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut file = std::fs::File::from(file);
    file.write_all(library)?;
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

fn definition(request: &Request, library: &OwnedFd) -> Result<Definition, LoadProblem> {
    let &Request { channels, size, classes, .. } = request;
    let library = PathBuf::from(format!("/proc/self/fd/{}", library.as_raw_fd()));
    ask(open_checked(&library)?, Images { channels, size, classes }, &request.options)
}
