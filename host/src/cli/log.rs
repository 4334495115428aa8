//! Log lines, by `TANDEM_LOG` (`info`, `tandem=debug`, …), to standard error and to the run's `log`.

use std::{
    fs::File,
    io::{self, Write},
    sync::{Mutex, OnceLock},
};

use anyhow::Context as _;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::{arguments::LogFormat, terminal::write_stderr};
use crate::text::{indented, json_printable, printable};

/// The run's own log, once there is a run.
static RUN: OnceLock<Mutex<File>> = OnceLock::new();

/// Starts logging; warnings and worse unless `TANDEM_LOG` says otherwise.
pub(super) fn start(format: LogFormat) -> anyhow::Result<()> {
    let asked = std::env::var("TANDEM_LOG").unwrap_or_else(|_| "warn".into());
    let filter = EnvFilter::try_new(&asked).with_context(|| format!("TANDEM_LOG = {asked:?}"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Both(format)).with_ansi(false);
    // It would tell them by `eprintln!`, which panics where stderr is gone.
    let logs = logs.log_internal_errors(false);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
    Ok(())
}

/// Also writes to the run's log from here on.
pub(super) fn also_to(file: File) {
    // A process trains one run; a second call would only be for the same one.
    let _ = RUN.set(Mutex::new(file));
}

/// Writes each event, of which it is given the whole, to stderr and to the run's log.
#[derive(Debug, Clone, Copy)]
struct Both(LogFormat);

impl Both {
    /// An event as it may stand in a log, whatever names are in it: one line, or lines that are seen to go on.
    fn printable(self, event: &str) -> String {
        let event = event.trim_end_matches('\n');
        match self.0 {
            LogFormat::Text => format!("{}\n", indented(&printable(event))),
            LogFormat::Json => format!("{}\n", json_printable(event)),
        }
    }
}

impl<'a> MakeWriter<'a> for Both {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for Both {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // `fmt` made it, so it is text.
        let event = self.printable(&String::from_utf8_lossy(line));
        if let Some(Ok(mut file)) = RUN.get().map(Mutex::lock) {
            // A log that cannot be written must not stop the run; the disk's other errors will.
            let _ = file.write_all(event.as_bytes());
        }
        // The same holds for a terminal or a pipe that is gone.
        write_stderr(&event);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_an_event_makes_no_line_of_its_own() {
        let event = "WARN left out a\u{1b}[2J\nerror: forged\n";
        assert_eq!(Both(LogFormat::Text).printable(event), "WARN left out a\\u{1b}[2J\n  error: forged\n");
        let event = "{\"message\":\"left out \u{202e}\\n\"}\n";
        assert_eq!(Both(LogFormat::Json).printable(event), "{\"message\":\"left out \\u202e\\n\"}\n");
    }
}
