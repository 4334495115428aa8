//! From an image file's bytes to pixels: JPEG, PNG and WebP, turned as their EXIF says, on white where they are transparent.
//! A file that is cut short or damaged is refused, never shown with its missing part grey.

use std::io::Cursor;

use image::{
    DynamicImage, GrayImage, ImageDecoder as _, ImageFormat, ImageReader, RgbImage, RgbaImage, metadata::Orientation,
};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// More pixels than any photograph has; a header may promise 2³² of them.
const MOST_PIXELS: usize = 1 << 28;

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
    /// `JPEG`, `PNG` or `WebP`.
    pub(super) format: &'static str,
    /// `grey`, `RGB`, with or without `alpha`.
    pub(super) colour: String,
}

impl Picture {
    /// Decodes a file; otherwise what is wrong with it. `spare` is memory for the pixels, whatever it holds: a new 50 MB for
    /// each large photograph would cost as much as a tenth of its decoding.
    pub(super) fn decode(bytes: &[u8], spare: Vec<u8>) -> Result<Self, String> {
        let image = if bytes.starts_with(&[0xff, 0xd8]) { jpeg(bytes, spare)? } else { other(bytes)? };
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
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let format = format(&reader)?;
    let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let (width, height) = decoder.dimensions();
    let (width, height) = if orientation.to_exif() > 4 { (height, width) } else { (width, height) };
    let kind = decoder.color_type();
    let colour = if kind.has_color() { "RGB" } else { "grey" };
    let alpha = if kind.has_alpha() { " with alpha" } else { "" };
    Ok(Header { width: width as usize, height: height as usize, format, colour: format!("{colour}{alpha}") })
}

/// What the first bytes say, not the name; no other format is read, though the decoders know more.
fn format(reader: &ImageReader<Cursor<&[u8]>>) -> Result<&'static str, String> {
    match reader.format() {
        Some(ImageFormat::Jpeg) => Ok("JPEG"),
        Some(ImageFormat::Png) => Ok("PNG"),
        Some(ImageFormat::WebP) => Ok("WebP"),
        _ => Err("neither a JPEG, a PNG nor a WebP file".into()),
    }
}

/// Straight through its decoder, which `image` would make forgiving: it fills what is missing with grey.
fn jpeg(bytes: &[u8], mut spare: Vec<u8>) -> Result<DynamicImage, String> {
    let options = DecoderOptions::default().set_max_width(1 << 16).set_max_height(1 << 16);
    let image = match decode_jpeg(bytes, options.set_strict_mode(true), &mut spare) {
        // Some cameras leave them, and they harm nothing.
        Err(why) if why.contains("Extra bytes between headers") => {
            decode_jpeg(bytes, options.set_strict_mode(false), &mut spare)
        }
        other => other,
    }?;
    // The decoder does not miss the end of the last rows.
    if is_cut(bytes) {
        return Err("truncated: its end marker is missing".into());
    }
    Ok(image)
}

/// Whether no end marker follows the last scan. The end is looked for first: in a whole file it is at the end, and the
/// last scan's beginning millions of bytes before.
fn is_cut(bytes: &[u8]) -> bool {
    let end = bytes.windows(2).rposition(|pair| pair == [0xff, 0xd9]);
    end.is_none_or(|end| bytes[end..].windows(2).any(|pair| pair == [0xff, 0xda]))
}

fn decode_jpeg(bytes: &[u8], options: DecoderOptions, spare: &mut Vec<u8>) -> Result<DynamicImage, String> {
    // Some of its messages run over several lines.
    let words = |e: zune_jpeg::errors::DecodeErrors| e.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(words)?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    check_size(width, height)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let wanted = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let mut pixels = std::mem::take(spare);
    pixels.clear();
    pixels.resize(decoder.output_buffer_size().ok_or("it has no size")?, 0);
    decoder.decode_into(&mut pixels).map_err(words)?;
    let (w, h) = (width as u32, height as u32);
    let image = if grey {
        GrayImage::from_raw(w, h, pixels).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(w, h, pixels).map(DynamicImage::ImageRgb8)
    };
    let mut image = image.ok_or("its pixels are not as many as its size says")?;
    if let Some(orientation) = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif)) {
        image.apply_orientation(orientation);
    }
    Ok(image)
}

fn other(bytes: &[u8]) -> Result<DynamicImage, String> {
    let words = |e: image::ImageError| e.to_string();
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    format(&reader)?;
    let mut decoder = reader.into_decoder().map_err(words)?;
    let (width, height) = decoder.dimensions();
    check_size(width as usize, height as usize)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(words)?;
    image.apply_orientation(orientation);
    Ok(image)
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

#[cfg(test)]
mod tests {
    use image::{Rgba, codecs::jpeg::JpegEncoder};

    use super::*;

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_format_is_read_where_its_header_is_and_no_other() {
        let image = RgbImage::from_pixel(4, 4, image::Rgb([9, 8, 7]));
        for (format, known) in [(ImageFormat::Png, true), (ImageFormat::WebP, true), (ImageFormat::Gif, false)] {
            let bytes = encoded(image.clone(), format);
            let (seen, decoded) = (header(&bytes), Picture::decode(&bytes, Vec::new()));
            assert_eq!((seen.is_ok(), decoded.is_ok()), (known, known), "{format:?}");
            if !known {
                assert_eq!((seen.unwrap_err(), decoded.unwrap_err()), {
                    let why = "neither a JPEG, a PNG nor a WebP file".to_owned();
                    (why.clone(), why)
                });
            }
        }
    }

    #[test]
    fn what_is_transparent_is_white_and_what_is_opaque_is_itself() {
        let alpha = [0, 1, 128, 254, 255];
        let image = RgbaImage::from_fn(5, 256, |x, y| Rgba([y as u8, 255 - y as u8, 7, alpha[x as usize]]));
        let expected: Vec<u8> = image
            .pixels()
            .flat_map(|p| {
                [0, 1, 2].map(|c| {
                    let share = f64::from(p.0[3]) / 255.0;
                    (f64::from(p.0[c]) * share + 255.0 * (1.0 - share)).round() as u8
                })
            })
            .collect();
        assert_eq!(on_white(&image), expected);
    }

    #[test]
    fn a_jpeg_is_whole_where_an_end_follows_its_last_scan() {
        let mut bytes = Vec::new();
        let image = RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8 * 6, y as u8 * 6, 0]));
        JpegEncoder::new(&mut bytes).encode_image(&image).unwrap();
        assert!(!is_cut(&bytes));
        assert!(is_cut(&bytes[..bytes.len() - 2]));
        // What a camera appends does not count, unless it is another scan that does not end.
        assert!(!is_cut(&[&bytes[..], b"appended"].concat()));
        assert!(is_cut(&[&bytes[..], &bytes[..bytes.len() - 2]].concat()));
        let cut = Picture::decode(&bytes[..bytes.len() - 2], Vec::new()).unwrap_err();
        assert!(!cut.contains('\n'), "{cut:?}");
    }
}
