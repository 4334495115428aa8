//! The one way to standard output and standard error. What goes there is printable, whatever names from outside are in it;
//! and a stderr that is gone (a closed pipe, a full disk, a terminal that was closed) is nobody's error: what was to be
//! said is lost, and nothing else.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use crate::text::printable;

/// Says a line on standard error. Whole lines in one write, so that those of several threads do not mix.
pub(super) fn say(line: impl Display) {
    let line = format!("{line}\n");
    write_stderr(&line);
}

/// Writes to standard error what is whole lines already; a write that fails is no matter.
pub(super) fn write_stderr(text: &str) {
    let _ = io::stderr().write_all(printable(text).as_bytes());
}

/// Writes a result to standard output.
///
/// # Errors
/// What the system said; a reader that has gone is [`io::ErrorKind::BrokenPipe`].
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(printable(text).as_bytes())?;
    // Here, where it can still be told: at the process's end nobody asks.
    stdout.flush()
}
