//! TensorBoard's event files: scalars, PNG images and texts by step, as its own writers write them. What is worth
//! showing, and where the file lies, is decided elsewhere.
//!
//! The format is small and has not changed since 2015: records (`record`) that each hold one protobuf message,
//! `tensorflow.Event` (tensorboard/compat/proto/event.proto). Little of that message is used, so it is written here by hand.

mod event;
mod record;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::protobuf::Message;

/// An event file that grows. Each event is written in one go, so that a reader sees whole ones.
#[derive(Debug)]
pub struct EventFile {
    file: File,
}

impl EventFile {
    /// Begins a new file at `path`, which must not be there. `from` is the first step that this file will say something
    /// of: what earlier files in the folder say of it and of later steps no longer counts.
    pub fn create(path: &Path, from: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut this = Self { file };
        this.write(0, |m| m.text(event::FILE_VERSION, "brain.Event:2"))?;
        this.write(from, |m| m.message(event::SESSION_LOG, |log| log.integer(event::STATUS, event::START)))?;
        Ok(this)
    }

    /// Numbers under their tags; a `/` in a tag makes groups.
    pub fn scalars<'a>(&mut self, step: u64, scalars: impl IntoIterator<Item = (&'a str, f64)>) -> io::Result<()> {
        self.summary(step, |summary| {
            for (tag, value) in scalars {
                summary.message(event::VALUE, |v| {
                    v.text(event::TAG, tag);
                    v.float(event::SIMPLE_VALUE, value as f32);
                });
            }
        })
    }

    /// A number under its tag with what it is, in Markdown. TensorBoard takes the description from the tag's first event.
    pub fn described_scalar(&mut self, step: u64, tag: &str, description: &str, value: f64) -> io::Result<()> {
        self.summary(step, |summary| {
            summary.message(event::VALUE, |v| {
                v.text(event::TAG, tag);
                v.float(event::SIMPLE_VALUE, value as f32);
                v.message(event::METADATA, |metadata| {
                    metadata.message(event::PLUGIN_DATA, |plugin| plugin.text(event::PLUGIN_NAME, "scalars"));
                    metadata.text(event::DESCRIPTION, description);
                });
            });
        })
    }

    /// A PNG of `[width, height]` pixels under a tag.
    pub fn image(&mut self, step: u64, tag: &str, png: &[u8], [width, height]: [u32; 2]) -> io::Result<()> {
        self.summary(step, |summary| {
            summary.message(event::VALUE, |v| {
                v.text(event::TAG, tag);
                v.message(event::IMAGE, |image| {
                    image.integer(event::HEIGHT, height.into());
                    image.integer(event::WIDTH, width.into());
                    image.integer(event::COLORSPACE, event::RGB);
                    image.bytes(event::ENCODED, png);
                });
            });
        })
    }

    /// A text in Markdown under a tag.
    pub fn text(&mut self, step: u64, tag: &str, markdown: &str) -> io::Result<()> {
        self.summary(step, |summary| {
            summary.message(event::VALUE, |v| {
                v.text(event::TAG, tag);
                v.message(event::TENSOR, |tensor| {
                    tensor.integer(event::DTYPE, event::STRING);
                    tensor.message(event::SHAPE, |_| {});
                    tensor.text(event::STRING_VALUE, markdown);
                });
                v.message(event::METADATA, |metadata| {
                    metadata.message(event::PLUGIN_DATA, |plugin| plugin.text(event::PLUGIN_NAME, "text"));
                    metadata.integer(event::DATA_CLASS, event::CLASS_TENSOR);
                });
            });
        })
    }

    /// Makes all events so far last.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn summary(&mut self, step: u64, fill: impl FnOnce(&mut Message)) -> io::Result<()> {
        self.write(step, |m| m.message(event::SUMMARY, fill))
    }

    fn write(&mut self, step: u64, what: impl FnOnce(&mut Message)) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut message = Message::default();
        message.double(event::WALL_TIME, now.as_secs_f64());
        message.integer(event::STEP, step);
        what(&mut message);
        let before = self.file.metadata()?.len();
        self.file.write_all(&record::framed(message.encoded())).inspect_err(|_| {
            // Half an event, as a full disk leaves it, would spoil all that follow.
            let _ = self.file.set_len(before);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of summary.proto, byte for byte: `Value` with `tag` (1), `simple_value` (2) and `metadata` (9), which has
    /// `plugin_data` (1) with `plugin_name` (1), and `summary_description` (3).
    #[test]
    fn a_described_scalar_is_a_value_with_metadata() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("events");
        let mut file = EventFile::create(&path, 0).unwrap();
        let before = std::fs::read(&path).unwrap().len();
        file.described_scalar(7, "m/fid", "FID (n=4)", 1.0).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let metadata = [b"\x0a\x09\x0a\x07scalars".as_slice(), b"\x1a\x09FID (n=4)"].concat();
        let value =
            [b"\x0a\x05m/fid".as_slice(), b"\x15\0\0\x80\x3f", &[0x4a, metadata.len() as u8], &metadata].concat();
        let summary = [&[0x0a, value.len() as u8], value.as_slice()].concat();
        let event = [&[0x10, 7, 0x2a, summary.len() as u8], summary.as_slice()].concat();
        // A record: its length and that one's sum, the message (which begins with a time of nine bytes), its sum.
        assert_eq!(bytes[before + 12 + 9..bytes.len() - 4], event);
    }
}
