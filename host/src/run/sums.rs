//! What the files of a checkpoint were when they were written: their SHA-256, in the form that `sha256sum -c` reads.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::RunError;
use crate::{
    files::{self, MOST_TEXT},
    text::Show as _,
};

/// The file of the sums.
pub(super) const SUMS: &str = "SHA256SUMS";

/// Sums in hex by the files' names.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<String, String>);

impl Sums {
    /// Adds a file that was written through a [`Summing`].
    pub(super) fn add(&mut self, name: &str, sum: String) {
        self.0.insert(name.to_owned(), sum);
    }

    /// As `sha256sum` writes them.
    pub(super) fn text(&self) -> String {
        self.0.iter().fold(String::new(), |text, (name, sum)| text + sum + "  " + name + "\n")
    }

    /// Those that lie in a folder; `None` where none do, as in checkpoints of earlier versions.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, RunError> {
        let path = folder.join(SUMS);
        let damaged = |what: String| RunError::Damaged { path: path.clone(), what };
        let text = match files::read_text(&path, MOST_TEXT) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(damaged(format!("it cannot be read: {e}"))),
        };
        let mut sums = BTreeMap::new();
        for (at, line) in text.split_inclusive('\n').enumerate() {
            let hex = |sum: &&str| sum.len() == 64 && sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            let whole = line.strip_suffix('\n').and_then(|line| line.split_once("  ")).filter(|(sum, _)| hex(sum));
            let (sum, name) =
                whole.ok_or_else(|| damaged(format!("line {} is no SHA-256, two spaces and a name", at + 1)))?;
            sums.insert(name.to_owned(), sum.to_owned());
        }
        Ok(Some(Self(sums)))
    }

    /// Whether a file of this name has a sum.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What is wrong with a file's bytes, if anything.
    pub(super) fn check(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let Some(expected) = self.0.get(name) else {
            return Err(format!("{SUMS} beside it has no sum of it: it is not of this checkpoint"));
        };
        let found = format!("{:x}", Sha256::digest(bytes));
        if found == *expected {
            return Ok(());
        }
        Err(format!("its SHA-256 is {found}, and {} was written ({SUMS} beside it)", expected.shown()))
    }
}

/// Writes on, and makes the sum of what went through.
pub(super) struct Summing<W> {
    to: W,
    hash: Sha256,
}

impl<W: Write> Summing<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, hash: Sha256::new() }
    }

    /// The sum, in hex.
    pub(super) fn sum(self) -> String {
        format!("{:x}", self.hash.finalize())
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
