//! The images that are evaluated, and those that they are evaluated against: 8-bit, of one size, in memory.

use std::{
    borrow::Cow,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use tch::Tensor;

use super::super::{SessionError, data::open};
use crate::{
    config::{Data, DataKind, Sources, Split},
    data::{DataError, Dataset},
    run::RunDir,
};

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

/// Where real images come from.
#[derive(Debug, Clone)]
pub enum Against {
    /// As a configuration has them.
    Data(Data),
    /// Every image of a folder.
    Folder(PathBuf),
}

impl Against {
    /// What the text names: `digits`, a run's or a config's data set, or a folder of images.
    pub fn find(text: &str) -> Result<Self, SessionError> {
        let path = Path::new(text);
        if text == "digits" && !path.exists() {
            return Ok(Self::Data(digits(32)));
        }
        if path.is_file() {
            return Ok(Self::Data(Sources::load(Some(path), [], &[])?.plugin_choice()?.data));
        }
        match RunDir::open(path) {
            Ok(run) => Ok(Self::Data(run.config()?.data)),
            Err(_) if path.is_dir() => Ok(Self::Folder(path.to_owned())),
            Err(_) => Err(SessionError::Evaluation(format!(
                "there is no {text}; expected `digits`, a run directory, a config file or a folder of images"
            ))),
        }
    }

    /// The size of the images, where it is known before they are read.
    pub const fn size(&self) -> Option<usize> {
        match self {
            Self::Data(data) => Some(data.image_size),
            Self::Folder(_) => None,
        }
    }
}

const fn digits(image_size: usize) -> Data {
    Data::new(DataKind::Digits, image_size)
}

/// The real images at `size`, and what they are called.
pub fn real_images(against: &Against, size: usize) -> Result<(Dataset, String), SessionError> {
    match against {
        Against::Data(data) => Ok((open(&Data { image_size: size, ..data.clone() })?, name_of(data))),
        Against::Folder(path) => Ok((folder(path, size)?, last(path))),
    }
}

/// What a data set is called in figures.
pub(in crate::session) fn name_of(data: &Data) -> String {
    let path = data.path.as_deref().map(last);
    match data.kind {
        DataKind::Digits => "digits".into(),
        DataKind::Mnist => {
            let split = if data.split == Some(Split::Test) { "test" } else { "train" };
            path.map_or_else(|| data.images.as_deref().map(last).unwrap_or_default(), |name| format!("{name} {split}"))
        }
        _ => path.unwrap_or_default(),
    }
}

fn last(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A folder of generated images at `size`, or at their own where that is not given; says how they got there.
pub fn folder_to_evaluate(path: &Path, size: Option<usize>) -> Result<(Dataset, String), SessionError> {
    let sizes = sizes(path)?;
    let Some(&(width, height)) = sizes.first() else {
        return Err(DataError::NoImages { path: path.to_owned() }.into());
    };
    let size = size.unwrap_or(width.min(height) as usize);
    let resized = sizes.iter().any(|&(w, h)| (w as usize, h as usize) != (size, size));
    let said = if resized { format!("cropped to squares, bilinear to {}", as_is(size)) } else { as_is(size) };
    Ok((folder(path, size)?, said))
}

/// The images of a folder, their central squares at this size; decoded anew, as a folder of samples changes.
fn folder(path: &Path, size: usize) -> Result<Dataset, SessionError> {
    let data = Data { path: Some(path.to_owned()), use_cache: Some(false), ..Data::new(DataKind::Folder, size) };
    open(&data)
}

/// Width and height of every image below a folder, from the files' heads.
fn sizes(folder: &Path) -> Result<Vec<(u32, u32)>, SessionError> {
    let failed = |source| DataError::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            found.extend(sizes(&path)?);
        } else if let Ok(size) = image::image_dimensions(&path) {
            found.push(size);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_sets_are_called_by_kind_place_and_split() {
        let mnist =
            Data { kind: DataKind::Mnist, path: Some("/sets/fashion".into()), split: Some(Split::Test), ..digits(32) };
        assert_eq!(name_of(&mnist), "fashion test");
        assert_eq!(name_of(&Data { split: None, ..mnist.clone() }), "fashion train");
        assert_eq!(name_of(&Data { path: None, images: Some("a/b.idx".into()), ..mnist.clone() }), "b.idx");
        assert_eq!(name_of(&Data { kind: DataKind::Folder, ..mnist }), "fashion");
        assert_eq!(name_of(&digits(64)), "digits");
    }

    #[test]
    fn images_of_another_size_say_that_they_were_resized() {
        let here = tempfile::tempdir().unwrap();
        let write = |name: &str, side| image::GrayImage::new(side, side).save(here.path().join(name)).unwrap();
        write("a.png", 32);
        assert_eq!(folder_to_evaluate(here.path(), Some(32)).unwrap().1, "32x32 into the extractor");
        let (images, said) = folder_to_evaluate(here.path(), Some(16)).unwrap();
        assert_eq!((images.size(), said.as_str()), (16, "cropped to squares, bilinear to 16x16 into the extractor"));
        write("b.png", 40);
        assert_eq!(
            folder_to_evaluate(here.path(), Some(32)).unwrap().1,
            "cropped to squares, bilinear to 32x32 into the extractor"
        );
    }

    #[test]
    fn what_is_not_there_says_what_may_be() {
        let message = Against::find("/nowhere").unwrap_err().to_string();
        assert!(
            message.ends_with("expected `digits`, a run directory, a config file or a folder of images"),
            "{message}"
        );
        let here = tempfile::tempdir().unwrap();
        let message = folder_to_evaluate(here.path(), None).unwrap_err().to_string();
        assert!(message.contains("holds no images: expected files ending in"), "{message}");
    }
}
