//! Pictures for tests of data sets.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// A picture of 36 rows, its columns and colours by its number.
pub fn photograph(number: u32) -> RgbImage {
    RgbImage::from_fn(40 + number, 36, |x, y| Rgb([(x * 6) as u8, (y * 7) as u8, (number * 20) as u8]))
}

/// A picture as a file of this format.
pub fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
