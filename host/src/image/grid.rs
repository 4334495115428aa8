//! A batch of images as one PNG grid, laid out and rounded as torchvision's `save_image` does. Leaves out the
//! choice of latents and the file.

use std::io::Write as _;

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
    check(shape, columns, scale)?;
    let expected = shape.iter().fold(1, |product: usize, &side| product.saturating_mul(side));
    if images.len() != expected {
        return Err(ImageError::Length { shape, expected, found: images.len() });
    }
    let mut grid = Grid::new(shape, columns, scale)?;
    images.chunks_exact(shape[1..].iter().product()).try_for_each(|image| grid.put(image))?;
    grid.encode()
}

fn check(shape: [usize; 4], columns: usize, scale: usize) -> Result<(), ImageError> {
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
    match named.into_iter().find(|(value, _)| *value == 0) {
        Some((_, what)) => Err(ImageError::Zero { what }),
        None => Ok(()),
    }
}

/// A grid that is given its images one after the other and holds them as bytes; [`encode_grid`] says how it looks.
#[derive(Debug)]
pub struct Grid {
    shape: [usize; 4],
    columns: usize,
    scale: usize,
    /// Width and height, before scaling.
    size: [usize; 2],
    /// Bytes of a pixel: 1 while all is grey.
    samples: usize,
    pixels: Vec<u8>,
    /// Images that are in it.
    put: usize,
}

impl Grid {
    /// A black grid for images of this `shape` (n, c, h, w).
    ///
    /// Errors: as [`encode_grid`].
    pub fn new(shape: [usize; 4], columns: usize, scale: usize) -> Result<Self, ImageError> {
        check(shape, columns, scale)?;
        let [count, channels, height, width] = shape;
        let columns = columns.min(count);
        let side =
            |images: usize, pixels: usize| images.checked_mul(pixels.checked_add(PADDING)?)?.checked_add(PADDING);
        let size = side(columns, width).zip(side(count.div_ceil(columns), height)).map(<[usize; 2]>::from);
        let mut grid = Self {
            shape,
            columns,
            scale,
            size: size.unwrap_or([usize::MAX; 2]),
            samples: channels,
            pixels: vec![],
            put: 0,
        };
        grid.check_size()?;
        grid.pixels = vec![0; grid.size[0] * grid.size[1] * grid.samples];
        Ok(grid)
    }

    fn check_size(&self) -> Result<(), ImageError> {
        let Self { shape, columns, scale, .. } = *self;
        let bytes = self.size.iter().try_fold(self.samples, |n, side| n.checked_mul(side.checked_mul(scale)?));
        match bytes {
            Some(bytes) if bytes <= LIMIT => Ok(()),
            _ => Err(ImageError::TooLarge { shape, columns, scale, limit: LIMIT }),
        }
    }

    /// Puts the next image into its place.
    ///
    /// Errors: another length than the shape's, an image too many, more than 1 GiB where a grey grid gets a colour.
    pub fn put(&mut self, image: &[f32]) -> Result<(), ImageError> {
        let [count, channels, height, width] = self.shape;
        if image.len() != channels * height * width || self.put == count {
            let found = self.put * channels * height * width + image.len();
            return Err(ImageError::Length { shape: self.shape, expected: self.shape.iter().product(), found });
        }
        if self.samples == 1 && image.iter().any(|value| !value.is_finite()) {
            self.samples = 3;
            self.check_size()?;
            self.pixels = self.pixels.iter().flat_map(|&grey| [grey; 3]).collect();
        }
        let left = PADDING + self.put % self.columns * (width + PADDING);
        let top = PADDING + self.put / self.columns * (height + PADDING);
        for pixel in 0..height * width {
            let at = ((top + pixel / width) * self.size[0] + left + pixel % width) * self.samples;
            let rgb = colour_of(image, channels, height * width, pixel);
            self.pixels[at..at + self.samples].copy_from_slice(&rgb[..self.samples]);
        }
        self.put += 1;
        Ok(())
    }

    /// The grid as a PNG, enlarged while it is written.
    ///
    /// Errors: images that are missing, the encoder's.
    pub fn encode(self) -> Result<Vec<u8>, ImageError> {
        let Self { shape, scale, size: [width, height], samples, pixels, put, .. } = self;
        if put < shape[0] {
            let found = put * shape[1..].iter().product::<usize>();
            return Err(ImageError::Length { shape, expected: shape.iter().product(), found });
        }
        let mut bytes = Vec::new();
        // `check_size` bounds the sides far below 2^32.
        let mut encoder = png::Encoder::new(&mut bytes, (width * scale) as u32, (height * scale) as u32);
        encoder.set_color(if samples == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        let mut out = writer.stream_writer()?;
        let mut enlarged = Vec::with_capacity(width * scale * samples);
        for row in pixels.chunks_exact(width * samples) {
            enlarged.clear();
            for pixel in row.chunks_exact(samples) {
                (0..scale).for_each(|_| enlarged.extend_from_slice(pixel));
            }
            for _ in 0..scale {
                out.write_all(&enlarged).map_err(png::EncodingError::from)?;
            }
        }
        out.finish()?;
        writer.finish()?;
        Ok(bytes)
    }
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

    #[test]
    fn images_come_one_by_one_and_all_of_them() {
        let mut grid = Grid::new([2, 1, 1, 2], 2, 1).unwrap();
        grid.put(&[1.0, 0.0]).unwrap();
        assert!(grid.put(&[1.0]).unwrap_err().to_string().contains("needs 4 values, found 3"));
        // What was grey before the first odd pixel stays what it was.
        grid.put(&[-1.0, f32::NAN]).unwrap();
        assert!(grid.put(&[1.0, 0.0]).unwrap_err().to_string().contains("needs 4 values, found 6"));
        let (_, _, colour, pixels) = decode_png(&grid.encode().unwrap());
        assert_eq!(colour, png::ColorType::Rgb);
        let row: Vec<&[u8]> = pixels[2 * 30..3 * 30].chunks(3).collect();
        assert_eq!([row[2], row[3], row[6], row[7]], [[255; 3], [128; 3], [0; 3], NON_FINITE]);
        let message = Grid::new([2, 1, 1, 2], 2, 1).unwrap().encode().unwrap_err().to_string();
        assert!(message.contains("needs 4 values, found 0"), "{message}");
    }
}
