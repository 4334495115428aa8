//! The one way to standard output and standard error. What goes there is printable, whatever names from outside are in it;
//! and a stderr that is gone (a closed pipe, a full disk, a terminal that was closed) is nobody's error: what was to be
//! said is lost, and nothing else.
//!
//! On a terminal, its last line may be a status that is drawn again and again; what is said scrolls past above it.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::Context as _;

use crate::text::{json_printable, printable};

/// To the start of the line, which is emptied.
const ERASE: &str = "\r\x1b[2K";

/// What stands on the last line of the terminal, and when something else was last said.
static SCREEN: Mutex<(String, Option<Instant>)> = Mutex::new((String::new(), None));

fn screen() -> MutexGuard<'static, (String, Option<Instant>)> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says a line on standard error. Whole lines in one write, so that those of several threads do not mix.
pub(super) fn say(line: impl Display) {
    write_stderr(&format!("{line}\n"));
}

/// Writes to standard error what is whole lines already; a write that fails is no matter.
pub(super) fn write_stderr(text: &str) {
    let mut screen = screen();
    screen.1 = Some(Instant::now());
    let (text, status) = (printable(text), &screen.0);
    let whole = if status.is_empty() { text.into_owned() } else { format!("{ERASE}{text}{status}") };
    let _ = io::stderr().write_all(whole.as_bytes());
}

/// Puts a status on the terminal's last line in place of the one before; an empty one takes it away. It must not be wider
/// than the terminal.
pub(super) fn show_status(status: &str) {
    let mut screen = screen();
    if screen.0 != status {
        status.clone_into(&mut screen.0);
        let _ = io::stderr().write_all(format!("{ERASE}{}", printable(status)).as_bytes());
    }
}

/// When something was last said, if anything was.
pub(super) fn last_said() -> Option<Instant> {
    screen().1
}

/// Writes a result to standard output.
///
/// # Errors
/// What the system said; [`super::is_broken_pipe`] knows a reader that has gone.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    write_stdout(&printable(text))
}

/// Writes a result that is JSON to standard output: what is not to be seen in its texts as JSON escapes it.
///
/// # Errors
/// As [`print`].
pub(super) fn print_json(json: impl Display) -> anyhow::Result<()> {
    write_stdout(&format!("{}\n", json_printable(&json.to_string())))
}

fn write_stdout(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    if stdout.is_terminal() {
        show_status("");
    }
    // Flushed here, where it can still be told: at the process's end nobody asks.
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.context("cannot write the result to standard output")
}
