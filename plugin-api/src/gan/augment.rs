//! What is done to images on their way to D, so that few of them suffice; gradients pass through it.

use crate::Error;

/// A random change of each image, differentiable, as in DiffAugment (Zhao et al., NeurIPS 2020, arXiv 2006.10738).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// `x + b`, `b ~ U(-0.5, 0.5)`.
    Brightness,
    /// `m + s (x - m)`, `m` the pixel's mean over the channels, `s ~ U(0, 2)`. For three channels.
    Saturation,
    /// `m + c (x - m)`, `m` the image's mean, `c ~ U(0.5, 1.5)`.
    Contrast,
    /// By up to an eighth of the image in both directions; what comes in is 0.
    Translation,
    /// A square of half the image's size is 0.
    Cutout,
}

impl Transform {
    /// All of them, by their names in definitions and configs, in the order in which they are applied.
    pub const ALL: [(&'static str, Self); 5] = [
        ("brightness", Self::Brightness),
        ("saturation", Self::Saturation),
        ("contrast", Self::Contrast),
        ("translation", Self::Translation),
        ("cutout", Self::Cutout),
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// The transforms between images, real and fake, and D.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Augmentation {
    /// Each is applied to each image by itself.
    pub transforms: Vec<Transform>,
    /// How often: always, or with the probability that holds `E sign(D(x))` at this target (ADA, Karras et al., NeurIPS
    /// 2020, arXiv 2006.06676, equation 1's `r_t`; theirs is 0.6).
    pub target: Option<f64>,
}

impl Augmentation {
    /// That it fits images of so many channels.
    pub fn check(&self, channels: i64) -> Result<(), Error> {
        let Self { transforms, target } = self;
        if let Some((i, twice)) = transforms.iter().enumerate().find(|(i, t)| transforms[..*i].contains(t)) {
            let name = twice.name();
            return Err(Error::new(format!("augmentation `{name}` is given twice, as number {} again", i + 1)));
        }
        if transforms.contains(&Transform::Saturation) && channels != 3 {
            return Err(Error::new(format!(
                "augmentation `saturation` needs images with 3 channels, found {channels}; leave it out"
            )));
        }
        match target {
            Some(_) if transforms.is_empty() => {
                Err(Error::new("an adaptive augmentation needs a transform to adapt, found none"))
            }
            Some(t) if !(t.is_finite() && *t > -1.0 && *t < 1.0) => {
                Err(Error::new(format!("an adaptive augmentation's target must be between -1 and 1, found {t}")))
            }
            _ => Ok(()),
        }
    }
}
