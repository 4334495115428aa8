//! Signals that ask for the end: Ctrl-C, `kill`, and a terminal that is closed. Work that looks whether it is to stop does so by
//! itself; what cannot look (a decoder, a long sum in libtorch) is left behind after a moment, unless something would be lost.
//!
//! The signals are blocked in every thread but one, which waits for them: nothing runs in the middle of something else.

use std::{
    fs,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal};

use super::{INTERRUPTED, leave, terminal::say};
use crate::work;

/// How long work may take to end by itself.
const GRACE: Duration = Duration::from_millis(600);
/// How often it is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// What is said at an end that comes of a signal.
static FAREWELL: Mutex<String> = Mutex::new(String::new());

/// Listens from here on. To be called before any other thread is there.
pub(super) fn listen() -> anyhow::Result<()> {
    let mut asks = SigSet::empty();
    asks.add(Signal::SIGINT);
    asks.add(Signal::SIGTERM);
    if !ignored(Signal::SIGHUP) {
        asks.add(Signal::SIGHUP);
    }
    asks.thread_block().context("cannot watch for signals")?;
    let each = move || {
        while asks.wait().is_ok() {
            heard();
        }
    };
    thread::Builder::new().name("signals".into()).spawn(each).context("cannot watch for signals")?;
    Ok(())
}

/// Sets what is said at an end that comes of a signal.
pub(super) fn set_farewell(text: String) {
    *FAREWELL.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

/// Says what is said at such an end, once.
pub(super) fn say_farewell() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        let text = FAREWELL.lock().unwrap_or_else(PoisonError::into_inner).clone();
        say(if text.is_empty() { "interrupted" } else { &text });
    }
}

/// Whether whoever started the process wants this signal ignored, as `nohup` does.
fn ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_in(status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default(), signal)
}

/// Whether a set of signals, as Linux shows one, holds this.
fn is_in(set: &str, signal: Signal) -> bool {
    u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set >> (signal as u32 - 1) & 1 == 1)
}

/// The first asks for the end; one more leaves at once, or as many as what holds the process wants.
fn heard() {
    let before = work::stop();
    let held = work::held();
    if before + 1 >= held.map_or(2, |held| held.patience) {
        leave(INTERRUPTED);
    }
    if before > 0 {
        return;
    }
    let words = held.map_or("stopping; Ctrl-C again to leave at once", |held| held.words);
    // On threads of their own: a stderr that nobody reads must not keep the next signal from being heard.
    // Where no thread can be had, one more signal leaves at once.
    let _ = thread::Builder::new().spawn(move || say(words));
    let _ = thread::Builder::new().spawn(|| {
        let mut free = Duration::ZERO;
        while free < GRACE {
            thread::sleep(GLANCE);
            free = if work::held().is_some() { Duration::ZERO } else { free + GLANCE };
        }
        let _ = thread::Builder::new().spawn(say_farewell);
        thread::sleep(GLANCE);
        leave(INTERRUPTED);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_signals_is_read_as_linux_shows_it() {
        assert!(is_in("\t0000000000000001", Signal::SIGHUP));
        assert!(is_in("0000000000001003", Signal::SIGINT));
        assert!(!is_in("0000000000001000", Signal::SIGHUP));
        assert!(!is_in("", Signal::SIGHUP) && !is_in("no set", Signal::SIGHUP));
    }
}
