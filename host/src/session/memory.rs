//! Memory that ran out, told from libtorch's other errors by its words: it has no code for it.

use std::{error::Error, fs};

use super::SessionError;

/// What the CPU's and CUDA's allocators, oneDNN and the C++ library say.
const WORDS: [&str; 4] = ["can't allocate memory", "out of memory", "could not create a memory", "bad_alloc"];

/// `error` as one about memory, or `None` if it is another. `safe` says which checkpoint is still good.
pub(super) fn explain(error: &dyn Error, batch_size: usize, safe: impl FnOnce() -> String) -> Option<SessionError> {
    let chain = std::iter::successors(Some(error), |&e| e.source());
    let told = chain.map(ToString::to_string).find(|text| WORDS.iter().any(|words| text.contains(words)))?;
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
