//! What is said when Rust or C++ end the process because memory is gone, which is no error that could be returned: both
//! abort. The allocator below is the system's and remembers a refusal; an abort after one is told as what it is, and is
//! a failed run (1) and not a signal. What was saved is whole: files are written beside their place and renamed.
#![allow(unsafe_code, reason = "an allocator and a signal handler can only be given by unsafe means")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// What to do about it, for every command; a run's own error says it with the run's numbers.
pub const ADVICE: &str = "lower `batch_size`, `data.image_size` or the plugin's width, use fewer workers, or prepare the data as a \
                          cache (`tandem data prepare`); what was saved before is whole";

/// The bytes that were last asked for in vain.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator.
#[derive(Debug)]
pub struct Memory;

fn seen(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() {
        REFUSED.store(bytes.max(1), Ordering::Relaxed);
    }
    pointer
}

// SAFETY: every call is the system allocator's own, with the caller's promises passed on as they are.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        seen(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        seen(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        seen(unsafe { System.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Has an abort for want of memory told as that.
pub(crate) fn watch() {
    let action = SigAction::new(SigHandler::Handler(aborted), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler only reads an atomic, writes to a descriptor and leaves, all of which a handler may.
    // Where it cannot be set, an abort stays an abort.
    let _ = unsafe { sigaction(Signal::SIGABRT, &action) };
    tandem_torch_ext::tell_bad_alloc(&format!("error: out of memory: libtorch asked for more in vain; {ADVICE}\n"));
}

extern "C" fn aborted(_: libc::c_int) {
    let refused = REFUSED.load(Ordering::Relaxed);
    // Another abort: having returned from here, it ends the process as it would have.
    if refused == 0 {
        return;
    }
    let mut digits = [0; 20];
    say(&[
        b"error: out of memory: asked for ",
        decimal(refused, &mut digits),
        b" bytes in vain; ",
        ADVICE.as_bytes(),
        b"\n",
    ]);
    // SAFETY: ends the process without anything that could need memory.
    unsafe { libc::_exit(1) }
}

fn say(parts: &[&[u8]]) {
    for part in parts {
        // SAFETY: a live slice; what cannot be written is lost.
        let _ = unsafe { libc::write(2, part.as_ptr().cast(), part.len()) };
    }
}

/// The number in digits, without asking for memory.
fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole() {
        for number in [0, 7, 10, 1 << 20, usize::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
