//! Processes of this binary in which code from somebody else runs: a plugin's declaration, a TorchScript extractor. What both
//! have in common is here: how such a process begins, what is taken from it before the first foreign instruction
//! ([`confine`]), and how its end is told. What is asked of it is its owner's business.

mod rules;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread::JoinHandle,
};

use nix::sys::{
    prctl,
    signal::{SigSet, Signal},
};

pub(crate) use rules::layers;
pub(crate) use rules::{Bounds, confine};

use crate::text::Show as _;

/// The most that is kept of what such a process says on stderr.
const MOST_SAID: u64 = 64 << 10;

/// This program's file.
pub(crate) fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|e| format!("this program's file: {e}"))
}

/// The hidden command of `tandem` as a process of its own, in an empty environment but for where libraries lie and the
/// variables whose names `keep` takes. Stderr is a pipe.
pub(crate) fn command(tandem: &Path, hidden: &str, keep: impl Fn(&str) -> bool) -> Command {
    let mut command = Command::new(tandem);
    command.arg(hidden).env_clear().current_dir("/").stderr(Stdio::piped());
    let kept = |name: &OsStr| name == "LD_LIBRARY_PATH" || name.to_str().is_some_and(&keep);
    command.envs(std::env::vars_os().filter(|(name, _)| kept(name)));
    command
}

/// Reads to the end on a thread of its own, so that no pipe fills up.
///
/// # Errors
/// A system that has no room for another thread.
pub(crate) fn reader(from: Option<impl Read + Send + 'static>, most: u64) -> io::Result<JoinHandle<Vec<u8>>> {
    std::thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            // What was read before an error is all there is.
            let _ = from.take(most).read_to_end(&mut bytes);
        }
        bytes
    })
}

/// [`reader`] of what a process says besides its answer.
pub(crate) fn listener(stderr: Option<impl Read + Send + 'static>) -> io::Result<JoinHandle<Vec<u8>>> {
    reader(stderr, MOST_SAID)
}

pub(crate) fn collected(reader: JoinHandle<Vec<u8>>) -> Vec<u8> {
    reader.join().unwrap_or_default()
}

/// How a process ended, as the end of a sentence.
pub(crate) fn described(status: ExitStatus) -> String {
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

/// The last thing that it said before its end, as more of that sentence; nothing if it said nothing.
pub(crate) fn last_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with("note: "));
    last.map_or_else(String::new, |line| format!(", saying \"{}\"", line.shown()))
}

/// The first thing in such a process: it ends when its starter does, is the first to go where the machine is short of memory, and
/// has none of the descriptors that its starter was started with.
///
/// # Errors
/// What keeps it from being so.
pub(crate) fn begin() -> Result<(), String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| format!("prctl: {e}"))?;
    // A kernel that does not let it say so loses an order of preference, and no bound.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    rules::close_inherited()
}

/// Holds back the signals that a service manager or a terminal sends to every process of a session: whoever started this one acts
/// on them, and needs it until then.
///
/// # Errors
/// A system that does not let signals be held back.
pub(crate) fn leave_signals_to_starter() -> Result<(), String> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP] {
        signals.add(signal);
    }
    signals.thread_block().map_err(|e| format!("signals: {e}"))
}

/// What foreign code prints goes to stderr, and is no answer.
///
/// # Errors
/// A descriptor that cannot be copied.
pub(crate) fn keep_stdout_clean() -> io::Result<()> {
    nix::unistd::dup2_stdout(io::stderr())?;
    Ok(())
}
