//! PNG pictures of a run, made in memory: grids of generated images and plots of its curves. Where they are
//! written, and when, is the run's business.

mod animation;
mod condense;
mod curves;
mod font;
mod grid;
mod panels;
mod sheet;
mod tiles;

pub use animation::{encode_apng, encode_gif};
pub(crate) use condense::{condense, smooth};
pub use curves::{Series, encode_curves};
pub use grid::{Grid, encode_grid, encode_image, to_byte};
pub use panels::{Band, Panel, encode_panels};
pub use sheet::{Strip, encode_sheet};
pub use tiles::column_of;

/// What keeps a picture from being made. Odd values (NaN, infinities) do not: they are drawn as such.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The values given are not as many as the shape says.
    #[error("image grid: shape {shape:?} (n, c, h, w) needs {expected} values, found {found}")]
    Length {
        /// The shape given: n, c, h, w.
        shape: [usize; 4],
        /// The product of the shape.
        expected: usize,
        /// The length of the slice.
        found: usize,
    },
    /// Only grey and RGB images can be drawn.
    #[error("image grid: expected 1 or 3 channels, found {found}")]
    Channels {
        /// The shape's second entry.
        found: usize,
    },
    /// A count that must be at least 1 is 0.
    #[error("image grid: expected {what} of at least 1, found 0")]
    Zero {
        /// Which count, in the caller's terms.
        what: &'static str,
    },
    /// The picture would be larger than any viewer opens.
    #[error(
        "image grid: shape {shape:?} (n, c, h, w) in {columns} columns at scale {scale} needs more than \
         {limit} bytes of pixels; draw fewer images or use a smaller scale"
    )]
    TooLarge {
        /// The shape given: n, c, h, w.
        shape: [usize; 4],
        /// Images per row.
        columns: usize,
        /// Pixels per image pixel and side.
        scale: usize,
        /// The most bytes of pixels a grid may have.
        limit: usize,
    },
    /// The GIF library failed; its message says where.
    #[error("animation: cannot encode: {0}")]
    Gif(String),
    /// The plotting library failed; its message says where.
    #[error("curve plot: cannot draw: {0}")]
    Plot(String),
    /// A PNG is not what it should be.
    #[error("cannot read PNG: {0}")]
    Decode(String),
    /// The PNG encoder failed.
    #[error("cannot encode PNG: {0}")]
    Encode(#[from] png::EncodingError),
}

/// Encodes 8-bit pixels, row by row without padding, as a PNG.
fn encode_png(pixels: &[u8], width: usize, height: usize, colour: png::ColorType) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    // Both callers bound the sides far below 2^32.
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Decodes a PNG this module made: width, height, colour type, pixels.
#[cfg(test)]
fn decode_png(bytes: &[u8]) -> (usize, usize, png::ColorType, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width as usize, info.height as usize, info.color_type, pixels)
}
