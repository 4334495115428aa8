//! The one font, built in: pictures look the same on every machine. It is DejaVu Sans 2.37, cut with fontTools to Latin, Greek, dashes, †, sub- and
//! superscripts, arrows and comparisons; other letters show as boxes.

use std::sync::LazyLock;

use plotters::style::{FontStyle, register_font};

use super::ImageError;

/// The family name our font is registered under.
pub(super) const FONT: &str = "tandem";

/// Whether it could be registered; done once for the process.
static READY: LazyLock<bool> = LazyLock::new(|| {
    register_font(FONT, FontStyle::Normal, include_bytes!("../../assets/DejaVuSans-subset.ttf")).is_ok()
});

/// Before anything is written with [`FONT`].
pub(super) fn ready() -> Result<(), ImageError> {
    if *READY { Ok(()) } else { Err(ImageError::Plot("the built-in font does not load".to_owned())) }
}
