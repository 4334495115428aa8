//! A data set in memory: 8-bit images of one size, with labels.

use std::path::{Path, PathBuf};

use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image};

use super::{DataError, idx};

/// The digits that ship with Tandem: MNIST's test split (see `assets/digits/NOTICE.md`).
const DIGITS: (&[u8], &[u8]) = (
    include_bytes!("../../assets/digits/t10k-images-idx3-ubyte.gz"),
    include_bytes!("../../assets/digits/t10k-labels-idx1-ubyte.gz"),
);

/// Grey images and their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    images: Vec<u8>,
    labels: Vec<u8>,
    size: usize,
}

impl Dataset {
    /// The shipped digits: 10,000, at 32 or 64 pixels.
    pub fn digits(size: usize) -> Result<Self, DataError> {
        let plain = |bytes: &[u8]| {
            idx::inflate(bytes.to_vec()).map_err(|source| DataError::Read { path: "the shipped digits".into(), source })
        };
        let images = idx::parse_images(&plain(DIGITS.0)?, Path::new("the shipped digits"))?;
        let labels = idx::parse_labels(&plain(DIGITS.1)?, Path::new("the shipped labels"))?;
        Self::new(&images, labels, size)
    }

    /// MNIST's files in a folder under their usual names, gzipped or not; `split` is `train` or `t10k`.
    pub fn mnist(folder: &Path, split: &str, size: usize) -> Result<Self, DataError> {
        let find = |name: String| {
            let plain = folder.join(&name);
            let zipped = folder.join(format!("{name}.gz"));
            [plain, zipped]
                .into_iter()
                .find(|p| p.exists())
                .ok_or_else(|| DataError::NotFound { path: folder.to_owned(), expected: name })
        };
        let images = find(format!("{split}-images-idx3-ubyte"))?;
        let labels = find(format!("{split}-labels-idx1-ubyte"))?;
        Self::idx(&images, Some(&labels), size)
    }

    /// An images' file, with or without a labels' file beside it.
    pub fn idx(images: &Path, labels: Option<&PathBuf>, size: usize) -> Result<Self, DataError> {
        let found = idx::read_images(images)?;
        let of_images = match labels {
            Some(path) => idx::read_labels(path)?,
            None => Vec::new(),
        };
        if let Some(path) = labels.filter(|_| of_images.len() != found.count) {
            return Err(DataError::LabelCount {
                images: images.display().to_string(),
                labels: path.display().to_string(),
                expected: found.count,
                found: of_images.len(),
            });
        }
        Self::new(&found, of_images, size)
    }

    fn new(images: &idx::Images, labels: Vec<u8>, size: usize) -> Result<Self, DataError> {
        let fit: fn(&[u8], &idx::Images, &mut Vec<u8>) -> Result<(), DataError> = match size {
            32 if images.height <= 32 && images.width <= 32 => pad,
            64 => resize,
            _ => return Err(DataError::Size { size, height: images.height, width: images.width }),
        };
        let mut fitted = Vec::with_capacity(images.count * size * size);
        for image in images.pixels.chunks_exact(images.height * images.width) {
            fit(image, images, &mut fitted)?;
        }
        Ok(Self { images: fitted, labels, size })
    }

    /// How many images there are; never 0.
    pub fn len(&self) -> usize {
        self.images.len() / self.sample_len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Channels: 1, grey.
    pub const fn channels(&self) -> usize {
        1
    }

    /// Height and width in pixels.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Number of classes: one more than the largest label; 0 without labels.
    pub fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |&most| usize::from(most) + 1)
    }

    /// Values of one image.
    pub const fn sample_len(&self) -> usize {
        self.size * self.size
    }

    /// Appends image `index` as numbers in `[-1, 1]`: `v / 127.5 - 1`.
    pub fn copy_image(&self, index: usize, to: &mut Vec<f32>) {
        let length = self.sample_len();
        to.extend(self.images[index * length..(index + 1) * length].iter().map(|&v| f32::from(v) / 127.5 - 1.0));
    }

    /// The label of image `index`, if there are labels.
    pub fn label(&self, index: usize) -> Option<i64> {
        self.labels.get(index).map(|&l| i64::from(l))
    }
}

/// To 32x32 by a black border, as much on each side (2 pixels for MNIST).
fn pad(image: &[u8], images: &idx::Images, to: &mut Vec<u8>) -> Result<(), DataError> {
    let start = to.len();
    to.resize(start + 32 * 32, 0);
    let (top, left) = ((32 - images.height) / 2, (32 - images.width) / 2);
    for (y, row) in image.chunks_exact(images.width).enumerate() {
        let at = start + (top + y) * 32 + left;
        to[at..at + images.width].copy_from_slice(row);
    }
    Ok(())
}

/// To 64x64 bilinearly, as the paper's authors bring MNIST to 64.
fn resize(image: &[u8], images: &idx::Images, to: &mut Vec<u8>) -> Result<(), DataError> {
    let failed = |what: String| DataError::Malformed { path: "resizing to 64x64".into(), what };
    let source = Image::from_vec_u8(images.width as u32, images.height as u32, image.to_vec(), PixelType::U8);
    let source = source.map_err(|e| failed(e.to_string()))?;
    let mut target = Image::new(64, 64, PixelType::U8);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &options).map_err(|e| failed(e.to_string()))?;
    to.extend_from_slice(target.buffer());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_digits_are_all_there_at_both_sizes() {
        for size in [32, 64] {
            let digits = Dataset::digits(size).unwrap();
            assert_eq!((digits.len(), digits.classes(), digits.size()), (10_000, 10, size));
            assert_eq!(digits.label(0), Some(7));
            let mut image = Vec::new();
            digits.copy_image(0, &mut image);
            assert_eq!(image.len(), size * size);
            assert!(image.iter().all(|v| (-1.0..=1.0).contains(v)) && image[0] == -1.0);
            assert!(image.iter().any(|&v| v > 0.9));
        }
    }

    #[test]
    fn other_sizes_are_refused_with_what_there_is() {
        assert_eq!(
            Dataset::digits(48).unwrap_err().to_string(),
            "image_size = 48 is not supported for 28x28 images: use 32 (padded) or 64 (resized)"
        );
    }

    #[test]
    fn labels_of_another_length_are_refused_with_both_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let mut images = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1];
        images.extend([0, 255]);
        write("train-images-idx3-ubyte", &images);
        write("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3]);
        let message = Dataset::mnist(folder.path(), "train", 32).unwrap_err().to_string();
        assert!(message.ends_with("train-images-idx3-ubyte has 2 images; they must be equal"), "{message}");
        assert!(message.contains("train-labels-idx1-ubyte has 3 labels"), "{message}");
    }

    #[test]
    fn a_folder_without_files_says_which_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let message = Dataset::mnist(folder.path(), "t10k", 32).unwrap_err().to_string();
        assert!(
            message.ends_with("expected `t10k-images-idx3-ubyte` or `t10k-images-idx3-ubyte.gz` in it"),
            "{message}"
        );
    }
}
