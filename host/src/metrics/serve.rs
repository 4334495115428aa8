//! An extractor's process: gives up what it may not have, loads the module, and answers until its starter is gone.

use std::{
    fs::File,
    io::{self, BufReader, Read as _, Write as _},
    os::fd::AsFd as _,
};

use tandem_torch_ext::{keep_freed_memory, return_freed_memory};
use tch::{Device, Kind, Tensor};

use super::{
    Extracted,
    apart::{Answer, Request},
    module::{Fault, Module},
};
use crate::confined::{self, Bounds, confine};

/// The most memory beyond the program's own, in bytes; half of the machine's, where that is less.
const MEMORY: u64 = 16 << 30;
/// What libtorch chooses its kernels by: facts of the machine.
const MACHINE: [&str; 4] = ["/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/devices/system/node"];

/// Serves the one who started this process, at stdin.
///
/// # Errors
/// What keeps it from answering at all; what is wrong with the module is an answer.
pub fn serve() -> Result<(), String> {
    let stream = begin();
    let (mut input, mut output, confined) = stream.map_err(|e| format!("no stream: {e}"))?;
    let mut module = None;
    while let Some(request) = next(&mut input).map_err(|e| format!("no request: {e}"))? {
        let answer = match request {
            Request::Load { bytes, threads } => {
                let mut file = Vec::new();
                input.by_ref().take(bytes).read_to_end(&mut file).map_err(|e| format!("no module: {e}"))?;
                match &confined {
                    Err(why) => Answer::Unconfined(why.clone()),
                    Ok(()) => load(&file, threads, &mut module),
                }
            }
            Request::Extract { shape } => {
                let count = shape.iter().product::<i64>();
                let mut pixels = vec![0; count as usize];
                input.read_exact(&mut pixels).map_err(|e| format!("no images: {e}"))?;
                match extract(module.as_ref(), &pixels, &shape) {
                    Ok(floats) => {
                        say(&mut output, &Answer::Given)?;
                        output.write_all(&floats).map_err(|e| format!("no answer: {e}"))?;
                        continue;
                    }
                    Err(Fault(what)) => Answer::Wrong(what),
                }
            }
            Request::Rest => {
                return_freed_memory();
                Answer::Rested
            }
        };
        say(&mut output, &answer)?;
    }
    Ok(())
}

/// As files, which are read and written by calls that a confined process has; a socket's own calls it has not.
type Stream = (BufReader<File>, File, Result<(), String>);

/// Both directions of the stream, and whether this process is confined.
fn begin() -> io::Result<Stream> {
    let begun = confined::begin().and_then(|()| confined::leave_signals_to_starter());
    let stream = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    confined::keep_stdout_clean()?;
    // As in the host, for the sake of time; it computes the same without.
    let _ = keep_freed_memory();
    let bounds = Bounds { memory: MEMORY.min(machine_memory() / 2), seconds: None, threads: true, readable: &MACHINE };
    Ok((BufReader::new(stream.try_clone()?), stream, begun.and_then(|()| confine(&bounds))))
}

/// Bytes of memory that this machine has.
fn machine_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    total.and_then(|number| number.trim().parse::<u64>().ok()).map_or(u64::MAX, |kilobytes| kilobytes << 10)
}

/// The next request, or `None` where the starter is gone.
fn next(input: &mut impl io::BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

fn say(output: &mut impl io::Write, answer: &Answer) -> Result<(), String> {
    let mut text = serde_json::to_vec(answer).map_err(|e| format!("no answer: {e}"))?;
    text.push(b'\n');
    output.write_all(&text).map_err(|e| format!("no answer: {e}"))
}

fn load(file: &[u8], threads: i32, module: &mut Option<Module>) -> Answer {
    tch::set_num_threads(threads);
    match Module::load(file, Device::Cpu) {
        Ok(loaded) => {
            let (width, classes) = (loaded.width, loaded.classes);
            *module = Some(loaded);
            Answer::Loaded { width, classes }
        }
        Err(Fault(what)) => Answer::Wrong(what),
    }
}

/// Features, and logits after them, as bytes.
fn extract(module: Option<&Module>, pixels: &[u8], shape: &[i64]) -> Result<Vec<u8>, Fault> {
    let module = module.ok_or_else(|| Fault("was not loaded".into()))?;
    let images = Tensor::f_from_data_size(pixels, shape, Kind::Uint8)?;
    let Extracted { features, logits } = module.extract(&images)?;
    let mut floats = Vec::new();
    for tensor in [Some(features), logits].into_iter().flatten() {
        let tensor = tensor.f_contiguous()?;
        let at = floats.len();
        floats.resize(at + tensor.numel() * size_of::<f32>(), 0);
        tensor.f_copy_data_u8(&mut floats[at..], tensor.numel())?;
    }
    Ok(floats)
}
