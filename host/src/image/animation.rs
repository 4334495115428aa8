//! Images one after the other, as an animated PNG or a GIF that plays for ever.

use image::{Delay, Frame, Rgba, RgbaImage, codecs::gif::GifEncoder};

use super::{ImageError, grid::colour_of};

/// Milliseconds that a frame is shown: 20 a second.
const DELAY: u16 = 50;

/// Frames as an animated PNG of `count` of them, neither more nor less; viewers that know none show the first. As [`encode_gif`], but
/// with every colour.
pub fn encode_apng<E: From<ImageError>>(
    [channels, height, width]: [usize; 3],
    count: usize,
    scale: usize,
    frames: impl FnOnce(&mut dyn FnMut(&[f32]) -> Result<(), E>) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let encoding = |e| E::from(ImageError::Encode(e));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, (width * scale) as u32, (height * scale) as u32);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_animated(count as u32, 0).map_err(encoding)?;
    encoder.set_frame_delay(DELAY, 1000).map_err(encoding)?;
    let mut writer = encoder.write_header().map_err(encoding)?;
    // The encoder would put too many into the last one, and not miss what is too few.
    let unlike = || encoding(std::io::Error::other(format!("there are not {count} frames, as announced")).into());
    let mut left = count;
    frames(&mut |image| {
        left = left.checked_sub(1).ok_or_else(unlike)?;
        let frame = frame(image, [channels, height, width], scale)?;
        writer.write_image_data(frame.as_raw()).map_err(encoding)
    })?;
    if left > 0 {
        return Err(unlike());
    }
    writer.finish().map_err(encoding)?;
    Ok(bytes)
}

/// Frames as a GIF, whose 256 colours a frame are exact for grey images and near for others.
///
/// `frames` gives each frame, in turn, to the function that it is called with, so that no more than one is held: values in
/// [-1, 1] in the order of `shape` (c, h, w) with c = 1 or 3, to be enlarged `scale` times.
///
/// # Errors
/// A length that does not match the shape, other channel counts, a zero in the shape; what `frames` fails with.
pub fn encode_gif<E: From<ImageError>>(
    shape: [usize; 3],
    scale: usize,
    frames: impl FnOnce(&mut dyn FnMut(&[f32]) -> Result<(), E>) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let encoding = |e: image::ImageError| E::from(ImageError::Gif(e.to_string()));
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 1);
    encoder.set_repeat(image::codecs::gif::Repeat::Infinite).map_err(encoding)?;
    let delay = Delay::from_numer_denom_ms(DELAY.into(), 1);
    frames(&mut |image| {
        let frame = frame(image, shape, scale)?;
        encoder.encode_frame(Frame::from_parts(frame, 0, 0, delay)).map_err(encoding)
    })?;
    drop(encoder);
    Ok(bytes)
}

fn frame(image: &[f32], [channels, height, width]: [usize; 3], scale: usize) -> Result<RgbaImage, ImageError> {
    if channels != 1 && channels != 3 {
        return Err(ImageError::Channels { found: channels });
    }
    if [height, width, scale].contains(&0) {
        return Err(ImageError::Zero { what: "a size" });
    }
    let expected = channels * height * width;
    if image.len() != expected {
        return Err(ImageError::Length { shape: [1, channels, height, width], expected, found: image.len() });
    }
    Ok(RgbaImage::from_fn((width * scale) as u32, (height * scale) as u32, |x, y| {
        let pixel = y as usize / scale * width + x as usize / scale;
        let [r, g, b] = colour_of(image, channels, height * width, pixel);
        Rgba([r, g, b, 255])
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{AnimationDecoder as _, codecs::gif::GifDecoder};

    use super::*;

    const IMAGES: [f32; 8] = [-1.0, 1.0, 0.0, 0.5, 1.0, -1.0, 0.25, -0.5];

    #[test]
    fn both_kinds_hold_the_frames_enlarged() {
        let gif = encode_gif([1, 2, 2], 3, |put| IMAGES.chunks(4).try_for_each(put)).map_err(|e: ImageError| e);
        let gif = GifDecoder::new(Cursor::new(gif.unwrap())).unwrap();
        let gif: Vec<RgbaImage> = gif.into_frames().map(|f| f.unwrap().into_buffer()).collect();
        assert_eq!(gif.len(), 2);
        for (frame, values) in gif.iter().zip(IMAGES.chunks(4)) {
            assert_eq!(frame.dimensions(), (6, 6));
            for (x, y, pixel) in frame.enumerate_pixels() {
                let value = super::super::to_byte(values[(y / 3 * 2 + x / 3) as usize]);
                assert_eq!(pixel.0, [value, value, value, 255]);
            }
        }
        let bytes = encode_apng([1, 2, 2], 2, 3, |put| IMAGES.chunks(4).try_for_each(put)).map_err(|e: ImageError| e);
        let mut reader = png::Decoder::new(Cursor::new(bytes.unwrap())).read_info().unwrap();
        assert_eq!(reader.info().animation_control().unwrap().num_frames, 2);
        for frame in &gif {
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(&pixels, frame.as_raw());
        }
    }

    #[test]
    fn what_cannot_be_shown_is_an_error() {
        let said = |shape, count| {
            let apng = encode_apng(shape, count, 1, |put| IMAGES.chunks(4).try_for_each(put));
            apng.map_err(|e: ImageError| e.to_string()).unwrap_err()
        };
        assert!(said([2, 2, 1], 2).contains("expected 1 or 3 channels, found 2"));
        assert!(said([1, 3, 2], 2).contains("needs 6 values, found 4"));
        // Fewer and more frames than were announced.
        for count in [0, 1, 3] {
            said([1, 2, 2], count);
        }
    }
}
