//! Images that are ready to be measured: 8-bit, of one size, in memory or mapped.

use std::{borrow::Cow, ops::Range};

use tch::Tensor;

use super::SessionError;
use crate::data::Dataset;

/// Images with what their figures say of them.
#[derive(Debug, Clone)]
pub struct Images<'a> {
    /// What they are called: data set and split, or folder.
    pub name: String,
    /// `[n, c, size, size]`, plane by plane.
    pub pixels: Pixels<'a>,
    /// `[n]`; empty without any.
    pub labels: &'a [u16],
    /// 1 or 3.
    pub channels: usize,
    /// Height and width.
    pub size: usize,
    /// How they came to the size at which the extractor takes them.
    pub resize: String,
}

/// Where pixels are read from.
#[derive(Debug, Clone, Copy)]
pub enum Pixels<'a> {
    /// Memory.
    Slice(&'a [u8]),
    /// A data set, which may be larger than memory.
    Dataset(&'a Dataset),
}

impl<'a> Images<'a> {
    /// A data set's, at its own size.
    pub fn of(dataset: &'a Dataset, name: impl Into<String>) -> Self {
        let (channels, size) = (dataset.channels(), dataset.size());
        let (pixels, labels) = (Pixels::Dataset(dataset), dataset.labels());
        Self { name: name.into(), pixels, labels, channels, size, resize: as_is(size) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self.pixels {
            Pixels::Slice(pixels) => pixels.len() / self.sample(),
            Pixels::Dataset(dataset) => dataset.len(),
        }
    }

    const fn sample(&self) -> usize {
        self.channels * self.size * self.size
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pixels of some of them.
    pub(super) fn bytes(&self, range: Range<usize>) -> Result<Cow<'a, [u8]>, SessionError> {
        let sample = self.sample();
        Ok(match self.pixels {
            Pixels::Slice(pixels) => Cow::Borrowed(&pixels[range.start * sample..range.end * sample]),
            Pixels::Dataset(dataset) => {
                let mut bytes = vec![0; range.len() * sample];
                for (index, image) in range.zip(bytes.chunks_exact_mut(sample)) {
                    dataset.read(index, image)?;
                }
                Cow::Owned(bytes)
            }
        })
    }

    /// Some of them, as a tensor.
    pub fn batch(&self, range: &Range<i64>) -> Result<Tensor, SessionError> {
        let some = self.bytes(range.start as usize..range.end as usize)?;
        let (channels, size) = (self.channels as i64, self.size as i64);
        Ok(Tensor::f_from_slice(&some)?.f_reshape([range.end - range.start, channels, size, size])?)
    }
}

/// How images that nobody resized reach the extractor.
pub(super) fn as_is(size: usize) -> String {
    format!("{size}x{size} into the extractor")
}
