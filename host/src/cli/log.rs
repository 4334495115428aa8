//! Log lines, by `TANDEM_LOG` (`info`, `tandem=debug`, …), to standard error and to the run's `log`.

use std::{
    fs::File,
    io::{self, Write},
    sync::{Mutex, OnceLock},
};

use anyhow::Context as _;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::{arguments::LogFormat, terminal::write_stderr};

/// The run's own log, once there is a run.
static RUN: OnceLock<Mutex<File>> = OnceLock::new();

/// Starts logging; warnings and worse unless `TANDEM_LOG` says otherwise.
pub(super) fn start(format: LogFormat) -> anyhow::Result<()> {
    let asked = std::env::var("TANDEM_LOG").unwrap_or_else(|_| "warn".into());
    let filter = EnvFilter::try_new(&asked).with_context(|| format!("TANDEM_LOG = {asked:?}"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Both).with_ansi(false);
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

struct Both;

impl<'a> MakeWriter<'a> for Both {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Both {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(Ok(mut file)) = RUN.get().map(Mutex::lock) {
            // A log that cannot be written must not stop the run; the disk's other errors will.
            let _ = file.write_all(line);
        }
        // The same holds for a terminal or a pipe that is gone. A line is text: `fmt` made it.
        write_stderr(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
