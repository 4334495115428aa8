//! The same latents over time: a strip of images from the run's sample grids, and the last grid whole.

use super::{ReportError, numbers::grouped};
use crate::{run::RunDir, text::Show as _};

/// The most moments that the strip shows.
const MOMENTS: usize = 14;
/// Images at each moment.
const IMAGES: usize = 6;
/// Grids of more bytes than this are not put into the page whole.
const LARGEST: usize = 3 << 20;

/// The section's content; `None` for a run without samples.
pub(super) fn html(run: &RunDir, image_size: usize) -> Result<Option<String>, ReportError> {
    let samples = run.samples()?;
    let Some((last_step, last)) = samples.last() else { return Ok(None) };
    let mut strip = String::new();
    for index in spread(samples.len(), MOMENTS) {
        let (step, path) = &samples[index];
        let sample = |source| ReportError::Sample { path: path.shown().to_string(), source };
        let grid = run.read_sample(path)?;
        let (png, [width, height]) = crate::image::column_of(&grid, image_size, IMAGES).map_err(sample)?;
        strip += &format!(
            "<li><img src=\"data:image/png;base64,{}\" width=\"{width}\" height=\"{height}\" alt=\"Samples at step {step}\">\
             <span>{}</span></li>",
            base64(&png),
            grouped(*step as i64)
        );
    }
    let mut text = format!(
        "<figure class=\"card\"><figcaption><h3>The same latents, step by step</h3>\
         <p>Each row is one latent; the number under a column is the step.</p></figcaption>\
         <ol class=\"film\" tabindex=\"0\" aria-label=\"Samples over time\">{strip}</ol></figure>\n"
    );
    let grid = run.read_sample(last)?;
    if grid.len() <= LARGEST {
        text += &format!(
            "<figure class=\"card\"><details open><summary>All samples of step {}</summary>\
             <img class=\"grid-image\" src=\"data:image/png;base64,{}\" alt=\"Grid of samples at step {last_step}\"></details></figure>\n",
            grouped(*last_step as i64),
            base64(&grid)
        );
    }
    Ok(Some(text))
}

/// At most `most` of `count` indices, evenly, first and last among them.
pub(super) fn spread(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    (0..most).map(|i| (i * (count - 1) + (most - 1) / 2) / (most - 1)).collect()
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let all = three.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let index = (all >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= three.len() { DIGITS[index] as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_both_ends_and_no_index_twice() {
        assert_eq!(spread(3, 14), [0, 1, 2]);
        let some = spread(100, 14);
        assert_eq!((some.len(), some[0], some[13]), (14, 0, 99));
        assert!(some.is_sorted_by(|a, b| a < b));
    }

    /// The vectors of RFC 4648.
    #[test]
    fn base64_is_rfc_4648s() {
        let coded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|t| base64(t.as_bytes()));
        assert_eq!(coded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }
}
