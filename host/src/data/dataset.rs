//! A data set in memory: 8-bit images of one size, with labels.

use std::path::{Path, PathBuf};

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};

use super::{DataError, folder, idx};

/// The digits that ship with Tandem: MNIST's test split (see `assets/digits/NOTICE.md`).
const DIGITS: (&[u8], &[u8]) = (
    include_bytes!("../../assets/digits/t10k-images-idx3-ubyte.gz"),
    include_bytes!("../../assets/digits/t10k-labels-idx1-ubyte.gz"),
);

/// Images, plane by plane, and their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    images: Vec<u8>,
    labels: Vec<u8>,
    channels: usize,
    size: usize,
}

impl Dataset {
    /// The shipped digits: 10,000, at 32 or 64 pixels.
    pub fn digits(size: usize) -> Result<Self, DataError> {
        let images = idx::parse_images(DIGITS.0, Path::new("the shipped digits"))?;
        let labels = idx::parse_labels(DIGITS.1, Path::new("the shipped labels"))?;
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

    /// The JPEG and PNG files below a folder, cropped to their central square and resized, in colour.
    pub fn folder(path: &Path, size: usize) -> Result<Self, DataError> {
        let folder::Folder { pixels, labels } = folder::read(path, size, idx::MOST_BYTES)?;
        Ok(Self { images: pixels, labels, channels: 3, size })
    }

    fn new(images: &idx::Images, labels: Vec<u8>, size: usize) -> Result<Self, DataError> {
        let &idx::Images { count, height, width, .. } = images;
        let padded = size == 32 && height <= 32 && width <= 32;
        if !padded && size != 64 {
            return Err(DataError::Size { size, height, width });
        }
        // A file of 4 GiB can hold billions of tiny images.
        let bytes = count.saturating_mul(size * size);
        if bytes > idx::MOST_BYTES {
            return Err(DataError::TooLarge { count, size, most: idx::MOST_BYTES >> 30 });
        }
        let mut fitted = vec![0; bytes];
        if padded {
            pad(images, &mut fitted);
        } else {
            resize(images, &mut fitted)?;
        }
        Ok(Self { images: fitted, labels, channels: 1, size })
    }

    /// How many images there are; never 0.
    pub fn len(&self) -> usize {
        self.images.len() / self.sample_len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Channels: 1, grey, or 3, RGB.
    pub const fn channels(&self) -> usize {
        self.channels
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
        self.channels * self.size * self.size
    }

    /// All images, plane by plane.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// All labels; empty without any.
    pub fn labels(&self) -> &[u8] {
        &self.labels
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
fn pad(images: &idx::Images, to: &mut [u8]) {
    let (top, left) = ((32 - images.height) / 2, (32 - images.width) / 2);
    let from = images.pixels.chunks_exact(images.height * images.width);
    for (image, framed) in from.zip(to.chunks_exact_mut(32 * 32)) {
        for (row, line) in image.chunks_exact(images.width).zip(framed.chunks_exact_mut(32).skip(top)) {
            line[left..left + images.width].copy_from_slice(row);
        }
    }
}

/// To 64x64 bilinearly, antialiased where it shrinks, as the paper's authors bring MNIST to 64 (torchvision's and Pillow's
/// bilinear resize, to within 1 of 255). An image that is not square is stretched.
fn resize(images: &idx::Images, to: &mut [u8]) -> Result<(), DataError> {
    let (width, height) = (images.width as u32, images.height as u32);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let mut resizer = Resizer::new();
    let mut one = |image, resized| -> Result<(), Box<dyn std::error::Error>> {
        let source = ImageRef::new(width, height, image, PixelType::U8)?;
        let mut target = Image::from_slice_u8(64, 64, resized, PixelType::U8)?;
        Ok(resizer.resize(&source, &mut target, &options)?)
    };
    let from = images.pixels.chunks_exact(images.height * images.width);
    from.zip(to.chunks_exact_mut(64 * 64))
        .try_for_each(|(image, resized)| one(image, resized))
        .map_err(|e| DataError::Resize(e.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use sha2::{Digest, Sha256};

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
    fn the_shipped_digits_are_the_published_ones() {
        // The sums in `assets/digits/NOTICE.md`.
        let sum = |gzipped: &[u8]| {
            let mut content = Vec::new();
            GzDecoder::new(gzipped).read_to_end(&mut content).unwrap();
            format!("{:x}", Sha256::digest(content))
        };
        assert_eq!(sum(DIGITS.0), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7");
        assert_eq!(sum(DIGITS.1), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2");
    }

    #[test]
    fn padding_keeps_the_pixels_and_centres_them() {
        let raw = idx::parse_images(DIGITS.0, Path::new("digits")).unwrap();
        let digits = Dataset::digits(32).unwrap();
        let last = &digits.images[9_999 * 32 * 32..];
        for (y, line) in last.chunks_exact(32).enumerate() {
            let mut expected = [0; 32];
            if let Some(row) = y.checked_sub(2).filter(|&y| y < 28) {
                expected[2..30].copy_from_slice(&raw.pixels[(9_999 * 28 + row) * 28..][..28]);
            }
            assert_eq!(line, expected, "line {y}");
        }
    }

    #[test]
    fn resizing_agrees_with_pillow() {
        // Line 20 of digit 0 after Pillow 13.0's `resize((64, 64), BILINEAR)`, from column 12 to 52.
        #[rustfmt::skip]
        let pillow = [
            0, 60, 126, 160, 178, 185, 177, 169, 178, 187, 196, 206, 216, 226, 234, 229, 224, 219, 213, 214, 221, 224, 224,
            224, 224, 224, 224, 223, 220, 216, 213, 219, 224, 218, 212, 177, 126, 79, 38, 0,
        ];
        let digits = Dataset::digits(64).unwrap();
        let found = &digits.images[20 * 64 + 12..20 * 64 + 52];
        assert!(found.iter().zip(pillow).all(|(&a, b)| a.abs_diff(b) <= 1), "{found:?}");
    }

    #[test]
    fn other_sizes_are_refused_with_what_there_is() {
        assert_eq!(
            Dataset::digits(48).unwrap_err().to_string(),
            "image_size = 48 is not supported for 28x28 images: use 64 (resized), or 32 (padded) if they are no larger"
        );
        let large = idx::Images { count: 1, height: 40, width: 4, pixels: vec![7; 160] };
        let message = Dataset::new(&large, Vec::new(), 32).unwrap_err().to_string();
        assert!(message.starts_with("image_size = 32 is not supported for 40x4 images"), "{message}");
        assert_eq!(Dataset::new(&large, Vec::new(), 64).unwrap().images, [7; 64 * 64]);
    }

    #[test]
    fn more_than_can_be_held_is_refused_before_it_is_taken() {
        let many = idx::Images { count: 2 << 30, height: 1, width: 1, pixels: Vec::new() };
        assert_eq!(
            Dataset::new(&many, Vec::new(), 64).unwrap_err().to_string(),
            "2147483648 images at 64x64 take more than 4 GiB of memory; use a smaller data set"
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
