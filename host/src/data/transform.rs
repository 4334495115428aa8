//! From a picture of any size to the planes that a network sees: cropped, resized with antialiasing, grey or in colour.

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use serde::{Deserialize, Serialize};

use super::{DataError, picture::Picture};

/// What part of a picture is kept, and when it is resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crop {
    /// Small grey digits: to 32 by a black border, to 64 bilinearly, as Shen et al. (CVPR 2021) bring MNIST to 64.
    Digits,
    /// All of it, stretched to a square.
    None,
    /// The central square, then resized.
    Center,
    /// Resized until the shorter side fits, then the central square: torchvision's `Resize` and `CenterCrop`, which is how
    /// Shen et al. take CelebA and how DCGAN's code takes LSUN.
    ResizeCenter,
    /// The central 178x178 of `CelebA`'s aligned 178x218, then resized.
    #[serde(rename = "celeba-178")]
    Celeba178,
}

/// What is done to every picture. Equal transforms of equal files are equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// Height and width of the result, in pixels.
    pub image_size: usize,
    /// What is kept.
    pub crop: Crop,
    /// 1, grey, or 3, RGB.
    pub channels: usize,
}

impl std::fmt::Display for Transform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { image_size, crop, channels } = self;
        let crop = match crop {
            Crop::Digits => "digits",
            Crop::None => "none",
            Crop::Center => "center",
            Crop::ResizeCenter => "resize-center",
            Crop::Celeba178 => "celeba-178",
        };
        let colour = if *channels == 1 { "grey" } else { "rgb" };
        write!(f, "{image_size}x{image_size}, crop {crop}, {colour}")
    }
}

/// A part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Transform {
    /// Values of one result.
    pub const fn sample_len(&self) -> usize {
        self.channels * self.image_size * self.image_size
    }

    /// Refuses sizes that digits are not brought to.
    pub(super) fn check_digits(&self, height: usize, width: usize) -> Result<(), DataError> {
        let size = self.image_size;
        let padded = size == 32 && height <= 32 && width <= 32;
        if self.crop == Crop::Digits && !padded && size != 64 {
            return Err(DataError::Size { size, height, width });
        }
        Ok(())
    }

    /// Writes the result plane by plane; otherwise what does not fit.
    pub(super) fn apply(&self, picture: Picture, resizer: &mut Resizer, to: &mut [u8]) -> Result<(), String> {
        let picture = if self.channels == 1 { grey(picture) } else { picture };
        let size = self.image_size;
        let (width, height) = (picture.width, picture.height);
        let whole = Window { left: 0, top: 0, width, height };
        let result = match self.crop {
            Crop::Digits if size == 32 => pad(&picture),
            Crop::Digits | Crop::None => resized(cut(picture, whole), resizer, size, size)?,
            Crop::Center => {
                let side = width.min(height);
                let window = Window { left: (width - side) / 2, top: (height - side) / 2, width: side, height: side };
                resized(cut(picture, window), resizer, size, size)?
            }
            Crop::ResizeCenter => {
                let side = width.min(height);
                let (wide, high) = (size * width / side, size * height / side);
                let picture = resized(picture, resizer, wide, high)?;
                cut(picture, central(wide, high, size))
            }
            Crop::Celeba178 if width < 178 || height < 178 => {
                return Err(format!("{width}x{height} is too small for crop = \"celeba-178\", which keeps 178x178"));
            }
            Crop::Celeba178 => resized(cut(picture, central(width, height, 178)), resizer, size, size)?,
        };
        planes(&result, to);
        Ok(())
    }
}

/// The central square, where torchvision's `CenterCrop` has it: halves round to even.
fn central(width: usize, height: usize, side: usize) -> Window {
    let start = |length: usize| ((length - side) as f64 / 2.0).round_ties_even() as usize;
    Window { left: start(width), top: start(height), width: side, height: side }
}

fn cut(picture: Picture, window: Window) -> Picture {
    let Window { left, top, width, height } = window;
    if (width, height) == (picture.width, picture.height) {
        return picture;
    }
    let channels = picture.channels;
    let rows = picture.pixels.chunks_exact(picture.width * channels).skip(top).take(height);
    let pixels = rows.flat_map(|row| &row[left * channels..(left + width) * channels]).copied().collect();
    Picture { width, height, channels, pixels }
}

/// Bilinearly, antialiased where it shrinks: torchvision's and Pillow's bilinear resize, to within 1 of 255.
fn resized(picture: Picture, resizer: &mut Resizer, width: usize, height: usize) -> Result<Picture, String> {
    if (width, height) == (picture.width, picture.height) {
        return Ok(picture);
    }
    let channels = picture.channels;
    let kind = if channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let mut target = Image::new(width as u32, height as u32, kind);
    ImageRef::new(picture.width as u32, picture.height as u32, &picture.pixels, kind)
        .map_err(|e| e.to_string())
        .and_then(|source| resizer.resize(&source, &mut target, &options).map_err(|e| e.to_string()))
        .map_err(|e| format!("cannot be resized: {e}"))?;
    Ok(Picture { width, height, channels, pixels: target.into_vec() })
}

/// To 32x32 by a black border, as much on each side (2 pixels for MNIST).
fn pad(picture: &Picture) -> Picture {
    let Picture { width, height, channels, .. } = *picture;
    let (top, left) = ((32 - height) / 2, (32 - width) / 2);
    let mut pixels = vec![0; 32 * 32 * channels];
    let rows = picture.pixels.chunks_exact(width * channels);
    for (row, line) in rows.zip(pixels.chunks_exact_mut(32 * channels).skip(top)) {
        line[left * channels..(left + width) * channels].copy_from_slice(row);
    }
    Picture { width: 32, height: 32, channels, pixels }
}

/// The luma of ITU-R 601, in Pillow's fixed point.
fn grey(picture: Picture) -> Picture {
    if picture.channels == 1 {
        return picture;
    }
    let luma = |p: &[u8]| {
        let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
        ((19_595 * r + 38_470 * g + 7_471 * b + 0x8000) >> 16) as u8
    };
    Picture { channels: 1, pixels: picture.pixels.chunks_exact(3).map(luma).collect(), ..picture }
}

/// Pixel by pixel to plane by plane; grey fills every plane that is asked for.
fn planes(picture: &Picture, to: &mut [u8]) {
    let area = picture.width * picture.height;
    if picture.channels == 1 {
        for plane in to.chunks_exact_mut(area) {
            plane.copy_from_slice(&picture.pixels);
        }
        return;
    }
    for (i, pixel) in picture.pixels.chunks_exact(3).enumerate() {
        for (channel, value) in pixel.iter().enumerate() {
            to[channel * area + i] = *value;
        }
    }
}
