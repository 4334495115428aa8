//! From a picture of any size to the planes that a network sees: cropped, resized with antialiasing, grey or in colour.

use std::borrow::Cow;

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{CroppedImage, Image, ImageRef},
};
use serde::{Deserialize, Serialize};

use super::{DataError, picture::Picture};

/// More pixels than `resize-center` makes of anything but a hair: a picture 64 times as long as wide at 1024x1024, 16,384
/// times at 64x64.
const MOST_RESIZED: usize = 1 << 26;

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
    pub(super) fn apply(&self, picture: &Picture, resizer: &mut Resizer, to: &mut [u8]) -> Result<(), String> {
        let picture = if self.channels == 1 { grey(picture) } else { Cow::Borrowed(picture) };
        let picture = picture.as_ref();
        let size = self.image_size;
        let (width, height) = (picture.width, picture.height);
        let whole = Window { left: 0, top: 0, width, height };
        let all = Window { left: 0, top: 0, width: size, height: size };
        let (result, window) = match self.crop {
            Crop::Digits if size == 32 => (Cow::Owned(pad(picture)), all),
            Crop::Digits | Crop::None => (resized(picture, whole, resizer, size, size)?, all),
            Crop::Center => {
                let side = width.min(height);
                let window = Window { left: (width - side) / 2, top: (height - side) / 2, width: side, height: side };
                (resized(picture, window, resizer, size, size)?, all)
            }
            Crop::ResizeCenter => {
                let (wide, high) = by_shorter_side(width, height, size)?;
                (resized(picture, whole, resizer, wide, high)?, central(wide, high, size))
            }
            Crop::Celeba178 if width < 178 || height < 178 => {
                return Err(format!("{width}x{height} is too small for crop = \"celeba-178\", which keeps 178x178"));
            }
            Crop::Celeba178 => (resized(picture, central(width, height, 178), resizer, size, size)?, all),
        };
        planes(&result, window, to);
        Ok(())
    }
}

/// The size at which the shorter side is `size`. All of it is resized and then cut, as torchvision does: resizing only what
/// is kept would give other pixels at its border. So a hair of an image is refused: it would take gigabytes for a square.
fn by_shorter_side(width: usize, height: usize, size: usize) -> Result<(usize, usize), String> {
    let side = width.min(height);
    let (wide, high) = (size * width / side, size * height / side);
    if wide.saturating_mul(high) > MOST_RESIZED {
        return Err(format!(
            "{width}x{height} is too narrow for crop = \"resize-center\", which makes it {wide}x{high} first: at most \
             {MOST_RESIZED} pixels; crop = \"center\" takes it"
        ));
    }
    Ok((wide, high))
}

/// The central square, where torchvision's `CenterCrop` has it: halves round to even.
fn central(width: usize, height: usize, side: usize) -> Window {
    let start = |length: usize| ((length - side) as f64 / 2.0).round_ties_even() as usize;
    Window { left: start(width), top: start(height), width: side, height: side }
}

fn cut(picture: &Picture, window: Window) -> Cow<'_, Picture> {
    let Window { left, top, width, height } = window;
    if (width, height) == (picture.width, picture.height) {
        return Cow::Borrowed(picture);
    }
    let channels = picture.channels;
    let rows = picture.pixels.chunks_exact(picture.width * channels).skip(top).take(height);
    let pixels = rows.flat_map(|row| &row[left * channels..(left + width) * channels]).copied().collect();
    Cow::Owned(Picture { width, height, channels, pixels })
}

/// A part of a picture, bilinearly, antialiased where it shrinks: torchvision's and Pillow's bilinear resize of what [`cut`] gives, to
/// within 1 of 255.
fn resized<'a>(
    picture: &'a Picture,
    window: Window,
    resizer: &mut Resizer,
    width: usize,
    height: usize,
) -> Result<Cow<'a, Picture>, String> {
    if (width, height) == (window.width, window.height) {
        return Ok(cut(picture, window));
    }
    let channels = picture.channels;
    let kind = if channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let [left, top, wide, high] = [window.left, window.top, window.width, window.height].map(|n| n as u32);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let mut target = Image::new(width as u32, height as u32, kind);
    let wrong = |e: &dyn std::fmt::Display| format!("cannot be resized: {e}");
    let source = ImageRef::new(picture.width as u32, picture.height as u32, &picture.pixels, kind);
    let source = source.map_err(|e| wrong(&e))?;
    // The options' own crop would let the filter reach over the window's border.
    let part = CroppedImage::new(&source, left, top, wide, high).map_err(|e| wrong(&e))?;
    resizer.resize(&part, &mut target, &options).map_err(|e| wrong(&e))?;
    Ok(Cow::Owned(Picture { width, height, channels, pixels: target.into_vec() }))
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
fn grey(picture: &Picture) -> Cow<'_, Picture> {
    if picture.channels == 1 {
        return Cow::Borrowed(picture);
    }
    let luma = |p: &[u8]| {
        let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
        ((19_595 * r + 38_470 * g + 7_471 * b + 0x8000) >> 16) as u8
    };
    let Picture { width, height, .. } = *picture;
    Cow::Owned(Picture { width, height, channels: 1, pixels: picture.pixels.chunks_exact(3).map(luma).collect() })
}

/// A part of a picture, pixel by pixel, to plane by plane; grey fills every plane that is asked for.
fn planes(picture: &Picture, window: Window, to: &mut [u8]) {
    let Window { left, top, width, height } = window;
    let channels = picture.channels;
    let rows = picture.pixels.chunks_exact(picture.width * channels).skip(top).take(height);
    let rows = rows.map(|row| &row[left * channels..(left + width) * channels]);
    if channels == 1 {
        for plane in to.chunks_exact_mut(width * height) {
            for (line, row) in plane.chunks_exact_mut(width).zip(rows.clone()) {
                line.copy_from_slice(row);
            }
        }
        return;
    }
    let (red, others) = to.split_at_mut(width * height);
    let (green, blue) = others.split_at_mut(width * height);
    let lines = red.chunks_exact_mut(width).zip(green.chunks_exact_mut(width)).zip(blue.chunks_exact_mut(width));
    for (row, ((red, green), blue)) in rows.zip(lines) {
        for (((pixel, r), g), b) in row.chunks_exact(3).zip(red).zip(green).zip(blue) {
            (*r, *g, *b) = (pixel[0], pixel[1], pixel[2]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hair_of_an_image_is_refused_and_not_made_gigabytes_of() {
        let apply = |width: usize, height: usize, crop: Crop| {
            let picture = Picture { width, height, channels: 1, pixels: vec![7; width * height] };
            let transform = Transform { image_size: 64, crop, channels: 3 };
            let mut to = vec![0; transform.sample_len()];
            transform.apply(&picture, &mut Resizer::new(), &mut to).map(|()| to.iter().all(|&v| v == 7))
        };
        let why = apply(20_000_000, 1, Crop::ResizeCenter).unwrap_err();
        assert!(why.starts_with("20000000x1 is too narrow") && why.contains("1280000000x64"), "{why}");
        assert!(apply(1, 20_000_000, Crop::ResizeCenter).is_err());
        assert_eq!(apply(20_000_000, 1, Crop::Center), Ok(true));
        assert_eq!(apply(300, 2, Crop::ResizeCenter), Ok(true));
    }

    #[test]
    fn planes_are_those_of_the_window() {
        for channels in [1, 3] {
            let pixels: Vec<u8> = (0..5 * 4 * channels as u8).collect();
            let picture = Picture { width: 5, height: 4, channels, pixels: pixels.clone() };
            let mut to = vec![0; 3 * 2 * 2];
            planes(&picture, Window { left: 2, top: 1, width: 2, height: 2 }, &mut to);
            for (i, value) in to.iter().enumerate() {
                let (plane, y, x) = (i / 4, 1 + i / 2 % 2, 2 + i % 2);
                assert_eq!(*value, pixels[(y * 5 + x) * channels + plane.min(channels - 1)], "{channels} {i}");
            }
        }
    }

    #[test]
    fn a_window_is_resized_as_if_it_were_cut_out_first() {
        let (width, height) = (61, 47);
        for channels in [1, 3] {
            // No two rows and no two columns alike, with sharp edges, so that a pixel from outside the window would show.
            let pixels = (0..width * height * channels).map(|i| (i * i * 31 % 251) as u8).collect();
            let picture = Picture { width, height, channels, pixels };
            let mut resizer = Resizer::new();
            for (window, side) in [
                (Window { left: 7, top: 0, width: 47, height: 47 }, 16),
                (Window { left: 30, top: 21, width: 8, height: 8 }, 32),
                (Window { left: 3, top: 5, width: 20, height: 20 }, 20),
            ] {
                let part = cut(&picture, window).into_owned();
                let whole = Window { left: 0, top: 0, ..window };
                let after = resized(&part, whole, &mut resizer, side, side).unwrap().into_owned();
                let at_once = resized(&picture, window, &mut resizer, side, side).unwrap().into_owned();
                assert_eq!(at_once, after, "{window:?} of {channels} channels");
            }
        }
    }
}
