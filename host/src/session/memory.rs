//! Memory that ran out, told from libtorch's other errors by its words: it has no code for it.

use std::{error::Error, fs};

use super::SessionError;
use crate::exhausted::ADVICE;

/// What the CPU's and CUDA's allocators, oneDNN, the C++ library, the system (`ENOMEM`), Rust's collections and we ourselves, of
/// threads that found no room for their stacks, say.
const WORDS: [&str; 9] = [
    "can't allocate memory",
    "annot allocate memory",
    "out of memory",
    "could not create a memory",
    // oneDNN has a primitive for every convolution; what it lacks is room for its code.
    "could not create a primitive",
    "bad_alloc",
    "memory allocation failed",
    "failed to spawn thread",
    "no thread can be started",
];

/// What is said of an error of any command that is one about memory; `None` if it is another.
pub fn out_of_memory(error: &str) -> Option<String> {
    if error.contains("out of memory: ") && error.contains("; lower `batch_size`") {
        return Some(error.to_owned());
    }
    let at = found(error)?;
    // What an error about something else advises is not what helps here.
    let end = error[at..].find("; ").map_or(error.len(), |i| at + i);
    Some(format!("out of memory: {}; {}; {ADVICE}", first_sentence(&error[..end]), peak()))
}

/// Where `text` speaks of memory.
fn found(text: &str) -> Option<usize> {
    // What C++ says of a thread without room; the system's own has its number behind it, and may be about a pipe.
    let thread = "Resource temporarily unavailable";
    let thread = text.match_indices(thread).find(|(i, _)| !text[i + thread.len()..].starts_with(" (os error"));
    WORDS.iter().filter_map(|words| text.find(words)).chain(thread.map(|(i, _)| i)).min()
}

/// `error` as one about memory, or `None` if it is another. `safe` says which checkpoint is still good.
pub(super) fn explain(error: &dyn Error, batch_size: usize, safe: impl FnOnce() -> String) -> Option<SessionError> {
    let chain = std::iter::successors(Some(error), |&e| e.source());
    let told = chain.map(ToString::to_string).find(|text| found(text).is_some())?;
    Some(SessionError::OutOfMemory { cause: first_sentence(&told), peak: peak(), batch_size, safe: safe() })
}

/// Without the place in libtorch's source that its allocator puts in front.
fn first_sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or(text);
    let start = line.find("DefaultCPUAllocator").unwrap_or(0);
    line[start..].trim_end_matches('.').to_owned()
}

/// The most memory that this process held, by the kernel's count.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.map_or_else(
        || "its peak is not known here".into(),
        |kb| format!("the process held {} MB of RAM at its peak", kb / 1024),
    )
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn every_commands_error_about_memory_is_told_as_that() {
        let told = out_of_memory("the digits: its gzip stream is broken: out of memory; fetch the file again").unwrap();
        assert!(
            told.starts_with("out of memory: the digits: its gzip stream is broken: out of memory; the process held "),
            "{told}"
        );
        assert!(told.ends_with(ADVICE) && !told.contains("fetch"), "{told}");
        let file = std::io::Error::from_raw_os_error(libc::ENOMEM);
        assert!(out_of_memory(&format!("cannot read x: {file}")).is_some());
        let again = std::io::Error::from_raw_os_error(libc::EAGAIN);
        assert!(out_of_memory(&format!("no thread can be started to decode: {again}")).is_some());
        assert!(out_of_memory("grad failed: Resource temporarily unavailable").is_some());
        assert_eq!(out_of_memory(&format!("cannot write to standard output: {again}")), None);
        assert_eq!(out_of_memory("cannot read x: No such file or directory (os error 2)"), None);
        assert_eq!(out_of_memory(&told), Some(told.clone()), "said once");
    }

    #[test]
    fn libtorchs_refusal_is_known_and_another_error_is_not() {
        let refused = Tensor::f_zeros([1 << 50], (Kind::Float, Device::Cpu)).unwrap_err();
        let error = explain(&refused, 64, || "nothing has been written".into()).unwrap().to_string();
        assert!(
            error.starts_with("out of memory: DefaultCPUAllocator: can't allocate memory: you tried to allocate 4503599627370496 bytes"),
            "{error}"
        );
        assert!(error.contains(" MB of RAM at its peak; lower `batch_size` (64 now)"), "{error}");
        let other = Tensor::f_zeros([-1], (Kind::Float, Device::Cpu)).unwrap_err();
        assert!(explain(&other, 64, String::new).is_none(), "{other}");
    }
}
