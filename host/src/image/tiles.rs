//! The first images of a PNG grid again, one under another: what a grid was drawn from is not kept.

use std::io::Cursor;

use super::{ImageError, encode_png, grid::PADDING};

/// Pixels between the images of a column.
const GAP: usize = 1;

/// Takes the first `count` images of a grid that [`super::encode_grid`] made of square images of `side` pixels, enlarged once
/// or twice, and gives them in their own size as a PNG, one under another with a transparent pixel between: grey for a grey grid, else RGB, with alpha.
/// Comes with the width and height. A grid of fewer images gives what it has.
///
/// # Errors
/// A file that is no PNG of 8-bit grey or RGB, or whose size is not that of such a grid.
pub fn column_of(grid: &[u8], side: usize, count: usize) -> Result<(Vec<u8>, [usize; 2]), ImageError> {
    let decoding = |e: png::DecodingError| ImageError::Decode(e.to_string());
    let mut reader = png::Decoder::new(Cursor::new(grid)).read_info().map_err(decoding)?;
    let size = reader.output_buffer_size().ok_or_else(|| ImageError::Decode("it is too large".into()))?;
    let mut pixels = vec![0; size];
    let info = reader.next_frame(&mut pixels).map_err(decoding)?;
    let samples = match (info.color_type, info.bit_depth) {
        (png::ColorType::Grayscale, png::BitDepth::Eight) => 1,
        (png::ColorType::Rgb, png::BitDepth::Eight) => 3,
        (colour, depth) => return Err(ImageError::Decode(format!("its pixels are {colour:?} of {depth:?} bits"))),
    };
    let (width, height) = (info.width as usize, info.height as usize);
    let fits = |scale: &usize| {
        let along =
            |pixels: usize| (pixels / scale).checked_sub(PADDING).map(|n| (n / (side + PADDING), n % (side + PADDING)));
        let columns = along(width).filter(|(n, rest)| *n > 0 && *rest == 0 && width.is_multiple_of(*scale));
        let rows = along(height).filter(|(n, rest)| *n > 0 && *rest == 0 && height.is_multiple_of(*scale));
        Some((*scale, columns?.0, rows?.0))
    };
    let Some((scale, columns, rows)) = [1, 2].iter().find_map(fits) else {
        let what = format!("{width} x {height} pixels are no grid of images of {side} x {side}");
        return Err(ImageError::Decode(what));
    };
    let count = count.min(columns * rows);
    let tall = count * (side + GAP) - GAP;
    // Alpha stays 0 in the gaps.
    let mut out = vec![0; side * tall * (samples + 1)];
    for image in 0..count {
        let left = PADDING + image % columns * (side + PADDING);
        let top = PADDING + image / columns * (side + PADDING);
        for y in 0..side {
            for x in 0..side {
                let from = ((top + y) * scale * width + (left + x) * scale) * samples;
                let to = ((image * (side + GAP) + y) * side + x) * (samples + 1);
                out[to..to + samples].copy_from_slice(&pixels[from..from + samples]);
                out[to + samples] = 255;
            }
        }
    }
    let colour = if samples == 1 { png::ColorType::GrayscaleAlpha } else { png::ColorType::Rgba };
    Ok((encode_png(&out, side, tall, colour)?, [side, tall]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{decode_png, encode_grid};

    #[test]
    fn the_images_of_a_grid_come_back_in_order() {
        for (scale, channels) in [(1, 1), (2, 1), (2, 3)] {
            let value = |i: usize| -1.0 + i as f32 / 4.0;
            let images: Vec<f32> = (0..5).flat_map(|i| vec![value(i); channels * 64]).collect();
            let grid = encode_grid(&images, [5, channels, 8, 8], 3, scale).unwrap();
            let (png, size) = column_of(&grid, 8, 4).unwrap();
            assert_eq!(size, [8, 35]);
            let (width, height, colour, pixels) = decode_png(&png);
            assert_eq!((width, height, colour == png::ColorType::Rgba), (8, 35, channels == 3));
            let firsts: Vec<u8> = (0..4).map(|i| pixels[i * 9 * 8 * (channels + 1)]).collect();
            assert_eq!(firsts, [0, 32, 64, 96]);
            assert_eq!(pixels[8 * 8 * (channels + 1) + channels], 0, "the gap");
        }
    }

    #[test]
    fn what_is_no_such_grid_is_an_error() {
        let grid = encode_grid(&[0.0; 64], [1, 1, 8, 8], 1, 1).unwrap();
        let message = column_of(&grid, 9, 1).unwrap_err().to_string();
        assert_eq!(message, "cannot read PNG: 12 x 12 pixels are no grid of images of 9 x 9");
        assert!(column_of(b"no png", 8, 1).unwrap_err().to_string().starts_with("cannot read PNG: "));
    }
}
