//! From an image file's bytes to pixels: turned as their EXIF says, on white where they are transparent. What the bytes hold
//! decides how they are read. A file that is cut short or damaged is refused, never shown with its missing part grey.

mod exif;
mod format;
mod jpeg;
#[cfg(test)]
mod tests;

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbaImage, metadata::Orientation};

pub(super) use format::is_picture;

/// More pixels than any photograph has; a header may promise 2³² of them.
const MOST_PIXELS: usize = 1 << 28;
/// Bytes of as many pixels of four values of 16 bits.
const MOST_BYTES: u64 = 8 * MOST_PIXELS as u64;

/// An image of grey (one channel) or RGB (three) values, pixel by pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) channels: usize,
    pub(super) pixels: Vec<u8>,
}

/// What a file's header says of its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// After turning it as EXIF says.
    pub(super) width: usize,
    /// After turning it as EXIF says.
    pub(super) height: usize,
    /// Its name, as `JPEG`.
    pub(super) format: &'static str,
    /// `grey`, `RGB`, with or without `alpha`.
    pub(super) colour: String,
}

impl Picture {
    /// Decodes a file; otherwise what is wrong with it. `spare` is memory for the pixels, whatever it holds: a new 50 MB for
    /// each large photograph would cost as much as a tenth of its decoding.
    pub(super) fn decode(bytes: &[u8], spare: Vec<u8>) -> Result<Self, String> {
        let image = match format::of(bytes)?.0 {
            ImageFormat::Jpeg => jpeg::decode(bytes, spare)?,
            format => other(bytes, format)?,
        };
        Ok(Self::of(image))
    }

    fn of(image: DynamicImage) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let (channels, pixels) = if image.color().has_alpha() {
            (3, on_white(&image.into_rgba8()))
        } else if image.color().has_color() {
            (3, image.into_rgb8().into_raw())
        } else {
            (1, image.into_luma8().into_raw())
        };
        Self { width, height, channels, pixels }
    }
}

/// Reads no more than the header.
pub(super) fn header(bytes: &[u8]) -> Result<Header, String> {
    let (format, name) = format::of(bytes)?;
    let (width, height, orientation, colour) = if format == ImageFormat::Jpeg {
        let outline = jpeg::Outline::read(bytes)?;
        let colour = if outline.grey { "grey" } else { "RGB" };
        (outline.width, outline.height, outline.orientation, colour.to_owned())
    } else {
        let mut decoder = decoder(bytes, format)?;
        let (width, height) = decoder.dimensions();
        let kind = decoder.color_type();
        let colour = if kind.has_color() { "RGB" } else { "grey" };
        let alpha = if kind.has_alpha() { " with alpha" } else { "" };
        (width as usize, height as usize, orientation(bytes, format, &mut decoder), format!("{colour}{alpha}"))
    };
    let (width, height) = if orientation.to_exif() > 4 { (height, width) } else { (width, height) };
    Ok(Header { width, height, format: name, colour })
}

fn decoder(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder + '_, String> {
    ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(|e| words(&e))
}

/// What a decoder says, and what to do where it is not the file's fault.
fn words(error: &ImageError) -> String {
    match error {
        ImageError::Unsupported(_) => format!("{error}; save it with 8 or 16 bits of grey or RGB, or as PNG"),
        _ => error.to_string(),
    }
}

/// How the camera was held.
fn orientation(bytes: &[u8], format: ImageFormat, decoder: &mut impl ImageDecoder) -> Orientation {
    let found = match format {
        ImageFormat::Png => exif::of_png(bytes),
        // Its own directory is what EXIF is made like.
        ImageFormat::Tiff => decoder.orientation().ok(),
        _ => decoder.exif_metadata().ok().flatten().and_then(|data| exif::orientation(&data)),
    };
    found.unwrap_or(Orientation::NoTransforms)
}

/// All but JPEG, which `image` would make forgiving: it fills what is missing with grey.
fn other(bytes: &[u8], format: ImageFormat) -> Result<DynamicImage, String> {
    let mut decoder = decoder(bytes, format)?;
    let (width, height) = decoder.dimensions();
    check_size(width as usize, height as usize)?;
    if decoder.total_bytes() > MOST_BYTES {
        return Err(format!("its pixels take {} bytes, which is absurd", decoder.total_bytes()));
    }
    let orientation = orientation(bytes, format, &mut decoder);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| words(&e))?;
    check_range(&image)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Floating-point values are colours from 0 to 1. Others would all become black or white.
fn check_range(image: &DynamicImage) -> Result<(), String> {
    let values = match image {
        DynamicImage::ImageRgb32F(image) => image.as_raw(),
        DynamicImage::ImageRgba32F(image) => image.as_raw(),
        _ => return Ok(()),
    };
    match values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        Some(value) => Err(format!(
            "one of its floating-point values is {value}, expected colours from 0 to 1; save it with 8 or 16 bits a value"
        )),
        None => Ok(()),
    }
}

fn check_size(width: usize, height: usize) -> Result<(), String> {
    if width == 0 || height == 0 || width.saturating_mul(height) > MOST_PIXELS {
        return Err(format!("its size, {width}x{height}, is absurd: at most {MOST_PIXELS} pixels are read"));
    }
    Ok(())
}

fn on_white(image: &RgbaImage) -> Vec<u8> {
    let blend = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let mut pixels = vec![0; image.len() / 4 * 3];
    for (to, from) in pixels.chunks_exact_mut(3).zip(image.chunks_exact(4)) {
        match *from {
            [r, g, b, 255] => to.copy_from_slice(&[r, g, b]),
            _ => to.copy_from_slice(&[0, 1, 2].map(|c| blend(from[c], from[3]))),
        }
    }
    pixels
}
