//! A contact sheet: a labelled strip of images for each of several runs, as one PNG.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{
    ImageError, encode_png,
    font::{self, FONT},
    grid::colour_of,
};

/// Images in a row with what they are; values in [-1, 1], `shape` is (n, c, h, w) with c = 1 or 3.
#[derive(Debug, Clone, PartialEq)]
pub struct Strip {
    /// What stands before them.
    pub label: String,
    /// Their values.
    pub images: Vec<f32>,
    /// Their shape.
    pub shape: [usize; 4],
}

/// Pixels between images, and around everything.
const GAP: usize = 4;
/// The height of labels, in pixels.
const TEXT: usize = 16;
/// About the width of a letter.
const LETTER: usize = 9;
const INK: RGBColor = RGBColor(45, 50, 58);

/// Draws strips in `columns` columns, left to right and down; images are enlarged `scale` times.
///
/// # Errors
/// No strip, a strip whose values are not as many as its shape says, or with other than 1 or 3 channels.
pub fn encode_sheet(strips: &[Strip], columns: usize, scale: usize) -> Result<Vec<u8>, ImageError> {
    font::ready()?;
    for strip in strips {
        let expected = strip.shape.iter().product();
        if strip.images.len() != expected {
            return Err(ImageError::Length { shape: strip.shape, expected, found: strip.images.len() });
        }
        if !matches!(strip.shape[1], 1 | 3) {
            return Err(ImageError::Channels { found: strip.shape[1] });
        }
    }
    let most = |of: fn(&Strip) -> usize| strips.iter().map(of).max().filter(|n| *n > 0);
    let layout = || {
        let label = most(|s| s.label.chars().count())? * LETTER + GAP;
        Some((label, most(|s| s.shape[0])?, most(|s| s.shape[2])? * scale, most(|s| s.shape[3])? * scale))
    };
    let (label, count, height, width) = layout().ok_or(ImageError::Zero { what: "a number of labelled images" })?;
    let columns = columns.clamp(1, strips.len());
    let cell = (label + count * (width + GAP) + 2 * GAP, height.max(TEXT) + GAP);
    let size = (columns * cell.0 + GAP, strips.len().div_ceil(columns) * cell.1 + GAP);
    let mut pixels = vec![255_u8; size.0 * size.1 * 3];
    for (i, strip) in strips.iter().enumerate() {
        let corner = (GAP + i % columns * cell.0, GAP + i / columns * cell.1);
        paste(&mut pixels, size.0, strip, (corner.0 + label, corner.1), (width + GAP, scale));
    }
    let backend = BitMapBackend::with_buffer(&mut pixels, (size.0 as u32, size.1 as u32));
    let area = backend.into_drawing_area();
    let style = (FONT, TEXT as f64).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    for (i, strip) in strips.iter().enumerate() {
        let at = (GAP + i % columns * cell.0, GAP + i / columns * cell.1 + height / 2);
        let drawn = area.draw(&Text::new(strip.label.as_str(), (at.0 as i32, at.1 as i32), &style));
        drawn.map_err(|e| ImageError::Plot(e.to_string()))?;
    }
    area.present().map_err(|e| ImageError::Plot(e.to_string()))?;
    drop(area);
    encode_png(&pixels, size.0, size.1, png::ColorType::Rgb)
}

/// Copies a strip's images side by side, `step` pixels apart, to a corner.
fn paste(pixels: &mut [u8], stride: usize, strip: &Strip, (left, top): (usize, usize), (step, scale): (usize, usize)) {
    let [_, channels, height, width] = strip.shape;
    for (i, image) in strip.images.chunks_exact(channels * height * width).enumerate() {
        for y in 0..height * scale {
            for x in 0..width * scale {
                let rgb = colour_of(image, channels, height * width, y / scale * width + x / scale);
                let at = ((top + y) * stride + left + i * step + x) * 3;
                pixels[at..at + 3].copy_from_slice(&rgb);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::decode_png;

    fn strip(label: &str, value: f32, shape: [usize; 4]) -> Strip {
        Strip { label: label.into(), images: vec![value; shape.iter().product()], shape }
    }

    #[test]
    fn strips_stand_in_columns_behind_their_labels() {
        let strips = [strip("a", -1.0, [2, 1, 4, 4]), strip("bb", 1.0, [1, 3, 4, 4]), strip("c", 0.0, [2, 1, 4, 4])];
        let (width, height, colour, pixels) = decode_png(&encode_sheet(&strips, 2, 2).unwrap());
        // A cell: two letters and a gap, two images of 8 pixels with gaps, two gaps.
        let cell = (2 * LETTER + GAP + 2 * (8 + GAP) + 2 * GAP, TEXT + GAP);
        assert_eq!((width, height), (2 * cell.0 + GAP, 2 * cell.1 + GAP));
        assert_eq!(colour, png::ColorType::Rgb);
        let at = |x: usize, y: usize| pixels[(y * width + x) * 3];
        let first = GAP + 2 * LETTER + GAP;
        assert_eq!([at(first, GAP), at(first + 7, GAP + 7), at(first + 8, GAP)], [0, 0, 255]);
        assert_eq!(at(first + 8 + GAP, GAP), 0);
        assert_eq!(at(first, GAP + cell.1), 128);
        // Something is written before the first strip, and in ink.
        let label = (GAP..first).flat_map(|x| (0..cell.1).map(move |y| (x, y))).filter(|&(x, y)| at(x, y) < 128);
        assert!(label.count() > 5);
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let message = |strips: &[Strip]| encode_sheet(strips, 1, 1).unwrap_err().to_string();
        assert_eq!(message(&[]), "image grid: expected a number of labelled images of at least 1, found 0");
        assert_eq!(message(&[strip("x", 0.0, [1, 2, 1, 1])]), "image grid: expected 1 or 3 channels, found 2");
        let mut short = strip("x", 0.0, [1, 1, 2, 2]);
        short.images.pop();
        assert_eq!(message(&[short]), "image grid: shape [1, 1, 2, 2] (n, c, h, w) needs 4 values, found 3");
    }
}
