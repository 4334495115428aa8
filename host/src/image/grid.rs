//! A batch of images as one PNG grid, laid out and rounded as torchvision's `save_image` does. Leaves out the
//! choice of latents and the file.

use super::{ImageError, encode_png};

/// Black pixels around each image, before scaling: torchvision's `padding`.
pub(super) const PADDING: usize = 2;
/// Stands for a pixel with a NaN or an infinity in it; no trained generator makes this colour by chance.
const NON_FINITE: [u8; 3] = [255, 0, 255];
/// The most bytes of pixels a grid may have: 1 GiB.
const LIMIT: usize = 1 << 30;

/// Draws `images`, values in [-1, 1] in the order of `shape` (n, c, h, w) with c = 1 or 3, as a PNG grid.
///
/// The grid has `columns` images to a row (fewer if there are not so many) and two black pixels around each; all of
/// it is enlarged `scale` times by nearest neighbour. A value x becomes floor((x + 1) / 2 * 255 + 0.5), clamped
/// to [0, 255]. A pixel with a non-finite value is magenta; a grey grid that has one becomes an RGB grid.
///
/// Errors: a length that does not match the shape, other channel counts, a zero in the shape, `columns` or `scale`,
/// a grid of more than 1 GiB.
pub fn encode_grid(images: &[f32], shape: [usize; 4], columns: usize, scale: usize) -> Result<Vec<u8>, ImageError> {
    let [count, channels, height, width] = shape;
    let named = [
        (count, "a number of images"),
        (height, "a height"),
        (width, "a width"),
        (columns, "a number of columns"),
        (scale, "a scale"),
    ];
    if channels != 1 && channels != 3 {
        return Err(ImageError::Channels { found: channels });
    }
    if let Some((_, what)) = named.into_iter().find(|(value, _)| *value == 0) {
        return Err(ImageError::Zero { what });
    }
    let expected = shape.iter().fold(1, |product: usize, &side| product.saturating_mul(side));
    if images.len() != expected {
        return Err(ImageError::Length { shape, expected, found: images.len() });
    }

    let grey = channels == 1 && images.iter().all(|value| value.is_finite());
    let (samples, colour) = if grey { (1, png::ColorType::Grayscale) } else { (3, png::ColorType::Rgb) };
    let columns = columns.min(count);
    let rows = count.div_ceil(columns);
    let side = |images: usize, pixels: usize| images.checked_mul(pixels.checked_add(PADDING)?)?.checked_add(PADDING);
    let size = || {
        let (grid_width, grid_height) = (side(columns, width)?, side(rows, height)?);
        let bytes =
            grid_width.checked_mul(scale)?.checked_mul(grid_height.checked_mul(scale)?)?.checked_mul(samples)?;
        (bytes <= LIMIT).then_some((grid_width, grid_height))
    };
    let (grid_width, grid_height) = size().ok_or(ImageError::TooLarge { shape, columns, scale, limit: LIMIT })?;

    let mut pixels = vec![0; grid_width * grid_height * samples];
    for (index, image) in images.chunks_exact(channels * height * width).enumerate() {
        let left = PADDING + index % columns * (width + PADDING);
        let top = PADDING + index / columns * (height + PADDING);
        for pixel in 0..height * width {
            let at = (top + pixel / width) * grid_width + left + pixel % width;
            let rgb = colour_of(image, channels, height * width, pixel);
            pixels[at * samples..(at + 1) * samples].copy_from_slice(&rgb[..samples]);
        }
    }
    let enlarged = enlarge(&pixels, grid_width * samples, samples, scale);
    encode_png(&enlarged, grid_width * scale, grid_height * scale, colour)
}

/// One image, values in [-1, 1] in the order of `shape` (c, h, w) with c = 1 or 3, as a PNG of its own size.
///
/// Errors as [`encode_grid`].
pub fn encode_image(image: &[f32], shape: [usize; 3]) -> Result<Vec<u8>, ImageError> {
    let [channels, height, width] = shape;
    if channels != 1 && channels != 3 {
        return Err(ImageError::Channels { found: channels });
    }
    let grey = channels == 1 && image.iter().all(|value| value.is_finite());
    let (samples, colour) = if grey { (1, png::ColorType::Grayscale) } else { (3, png::ColorType::Rgb) };
    let pixels = (0..height * width).flat_map(|pixel| {
        let rgb = colour_of(image, channels, height * width, pixel);
        rgb.into_iter().take(samples)
    });
    encode_png(&pixels.collect::<Vec<u8>>(), width, height, colour)
}

/// The colour of one pixel of an image stored plane by plane, `plane` values to a plane.
pub(super) fn colour_of(image: &[f32], channels: usize, plane: usize, pixel: usize) -> [u8; 3] {
    let rgb = [0, 1, 2].map(|channel: usize| image[channel.min(channels - 1) * plane + pixel]);
    if rgb.iter().all(|value| value.is_finite()) { rgb.map(to_byte) } else { NON_FINITE }
}

/// A value in [-1, 1] as 8 bits, rounded as torchvision does: add a half, clamp, cut. Every PNG and every figure of quality is
/// of images that went through this.
pub fn to_byte(value: f32) -> u8 {
    ((value + 1.0) * 0.5 * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}

/// Repeats every pixel of `samples` bytes `scale` times along both sides; `stride` is the bytes of a row.
fn enlarge(pixels: &[u8], stride: usize, samples: usize, scale: usize) -> Vec<u8> {
    let mut enlarged = Vec::with_capacity(pixels.len() * scale * scale);
    for row in pixels.chunks_exact(stride) {
        let start = enlarged.len();
        for pixel in row.chunks_exact(samples) {
            for _ in 0..scale {
                enlarged.extend_from_slice(pixel);
            }
        }
        let end = enlarged.len();
        for _ in 1..scale {
            enlarged.extend_from_within(start..end);
        }
    }
    enlarged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::decode_png;

    #[test]
    fn grey_pixels_are_rounded_and_laid_out_as_torchvision_does() {
        // Three 1x2 images in two columns; the fourth cell stays black.
        let images = [-1.0, 1.0, 0.0, 0.5, -7.0, 7.0];
        let (width, height, colour, pixels) = decode_png(&encode_grid(&images, [3, 1, 1, 2], 2, 1).unwrap());
        assert_eq!((width, height, colour), (10, 8, png::ColorType::Grayscale));
        let mut golden = vec![0; 80];
        golden[2 * 10 + 2..2 * 10 + 4].copy_from_slice(&[0, 255]);
        golden[2 * 10 + 6..2 * 10 + 8].copy_from_slice(&[128, 191]);
        golden[5 * 10 + 2..5 * 10 + 4].copy_from_slice(&[0, 255]);
        assert_eq!(pixels, golden);
    }

    #[test]
    fn planes_become_rgb_and_scale_repeats_pixels() {
        let (width, height, colour, pixels) = decode_png(&encode_grid(&[1.0, 0.0, -1.0], [1, 3, 1, 1], 8, 3).unwrap());
        assert_eq!((width, height, colour), (15, 15, png::ColorType::Rgb));
        for (at, pixel) in pixels.chunks_exact(3).enumerate() {
            let inside = (6..9).contains(&(at % 15)) && (6..9).contains(&(at / 15));
            assert_eq!(pixel, if inside { [255, 128, 0] } else { [0, 0, 0] }, "pixel {at}");
        }
    }

    #[test]
    fn non_finite_pixels_are_magenta() {
        let images = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0];
        let (width, _, colour, pixels) = decode_png(&encode_grid(&images, [1, 1, 2, 2], 1, 1).unwrap());
        assert_eq!((width, colour), (6, png::ColorType::Rgb));
        let at = |x: usize, y: usize| &pixels[(y * 6 + x) * 3..][..3];
        assert_eq!([at(2, 2), at(3, 2), at(2, 3)], [NON_FINITE; 3]);
        assert_eq!(at(3, 3), [255, 255, 255]);
        // One bad channel spoils the pixel.
        let (_, _, _, pixels) = decode_png(&encode_grid(&[0.0, f32::NAN, 0.0], [1, 3, 1, 1], 1, 1).unwrap());
        assert_eq!(pixels[(2 * 5 + 2) * 3..][..3], NON_FINITE);
    }

    #[test]
    fn wrong_arguments_are_errors_with_both_numbers() {
        let message =
            |images: &[f32], shape, columns, scale| encode_grid(images, shape, columns, scale).unwrap_err().to_string();
        assert_eq!(
            message(&[0.0; 5], [1, 1, 2, 3], 1, 1),
            "image grid: shape [1, 1, 2, 3] (n, c, h, w) needs 6 values, found 5"
        );
        assert_eq!(message(&[0.0; 2], [1, 2, 1, 1], 1, 1), "image grid: expected 1 or 3 channels, found 2");
        assert_eq!(message(&[], [0, 1, 1, 1], 1, 1), "image grid: expected a number of images of at least 1, found 0");
        assert_eq!(message(&[0.0], [1, 1, 1, 1], 1, 0), "image grid: expected a scale of at least 1, found 0");
        assert!(message(&[], [usize::MAX, 3, 2, 2], 1, 1).contains("found 0"));
        assert!(message(&[0.0], [1, 1, 1, 1], 1, 1 << 20).contains("needs more than 1073741824 bytes"));
        assert!(message(&[0.0], [1, 1, 1, 1], 1, usize::MAX).contains("use a smaller scale"));
    }
}
