//! Images that something made, in a folder, an archive or a cache: how many there are, of what size, and at which size they
//! are measured. They are decoded as they are measured, so that memory stays the same however many there are.

use std::path::Path;

use super::{SessionError, images::as_is};
use crate::{
    data::{Crop, Dataset, OfSize, Source, Spec, Transform, sizes},
    text::Show as _,
};

/// Images to evaluate.
#[derive(Debug, Clone)]
pub struct Subject {
    pub(super) spec: Spec,
    /// A cache, whose images need no decoding.
    pub(super) cache: Option<Dataset>,
    pub(super) resize: String,
    count: usize,
}

impl Subject {
    /// The images at `path`, at this size, or at their own where none is given.
    pub fn open(path: &Path, size: Option<usize>) -> Result<Self, SessionError> {
        match Source::detect(path)? {
            Source::Cache(file) => Self::cache(&file, size),
            source => Self::decoded(source, size),
        }
    }

    fn cache(path: &Path, size: Option<usize>) -> Result<Self, SessionError> {
        let dataset = Dataset::cached(path)?;
        let transform = dataset.about().transform;
        let own = transform.image_size;
        if let Some(size) = size.filter(|&size| size != own) {
            return Err(SessionError::Evaluation(format!(
                "{} holds images of {own}x{own}, and the real ones are {size}x{size}; prepare it again with \
                 data.image_size = {size}, or name what it was made from",
                path.shown()
            )));
        }
        let spec = Spec::new(Source::Cache(path.to_owned()), transform);
        Ok(Self { spec, count: dataset.len(), resize: as_is(own), cache: Some(dataset) })
    }

    fn decoded(source: Source, size: Option<usize>) -> Result<Self, SessionError> {
        let (count, found) = sizes(&source)?;
        let mut kinds = found.iter();
        let (first, second) = (kinds.next(), kinds.next());
        let size = match (size, first, second) {
            (Some(size), ..) => size,
            (None, Some((&(width, height), _)), None) => width.min(height),
            (None, Some(one), Some(other)) => {
                let told = |((width, height), OfSize { first, .. }): (&(usize, usize), &OfSize)| {
                    format!("{first} is {width}x{height}")
                };
                return Err(SessionError::Evaluation(format!(
                    "{}, and {}: images of {} sizes have none of their own to be measured at; bring them to one, or measure \
                     against real images that have a size: `digits`, a run, a config file or a cache",
                    told(one),
                    told(other),
                    found.len()
                )));
            }
            (None, None, _) => {
                return Err(SessionError::Evaluation(format!(
                    "none of the {count} images of {} can be read",
                    source.path().shown()
                )));
            }
        };
        let resize = match (first, second) {
            (Some((&of, _)), None) if of == (size, size) => as_is(size),
            (Some((&(width, height), _)), None) => resized(&format!("{width}x{height}"), size),
            _ => resized("mixed sizes", size),
        };
        let spec = Spec {
            labelled: false,
            ..Spec::new(source, Transform { image_size: size, crop: Crop::Center, channels: 3 })
        };
        Ok(Self { spec, cache: None, resize, count })
    }

    /// The size at which they are measured.
    pub const fn size(&self) -> usize {
        self.spec.transform.image_size
    }

    /// How many there are, damaged ones included.
    pub const fn count(&self) -> usize {
        self.count
    }
}

fn resized(from: &str, size: usize) -> String {
    format!("{from} cropped to the central square, bilinear to {}", as_is(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_another_size_say_what_they_were() {
        let here = tempfile::tempdir().unwrap();
        let write = |name: &str, width, height| {
            image::GrayImage::new(width, height).save(here.path().join(name)).unwrap();
        };
        let resize = |size| Subject::open(here.path(), size).map(|subject| subject.resize);
        write("a.png", 32, 32);
        assert_eq!(resize(Some(32)).unwrap(), "32x32 into the extractor");
        assert_eq!(resize(None).unwrap(), "32x32 into the extractor");
        assert_eq!(
            resize(Some(16)).unwrap(),
            "32x32 cropped to the central square, bilinear to 16x16 into the extractor"
        );
        write("b.png", 40, 32);
        assert_eq!(
            resize(Some(32)).unwrap(),
            "mixed sizes cropped to the central square, bilinear to 32x32 into the extractor"
        );
        // Which one is first depends on nothing but the images.
        let message = resize(None).unwrap_err().to_string();
        assert!(
            message.contains("a.png is 32x32, and ") && message.contains("b.png is 40x32: images of 2"),
            "{message}"
        );
    }

    #[test]
    fn nothing_to_evaluate_says_what_was_expected() {
        let here = tempfile::tempdir().unwrap();
        let message = Subject::open(here.path(), None).unwrap_err().to_string();
        assert!(message.contains("holds no images: expected files ending in"), "{message}");
        std::fs::write(here.path().join("a.png"), "no image").unwrap();
        let message = Subject::open(here.path(), None).unwrap_err().to_string();
        assert!(message.contains("none of the 1 images of "), "{message}");
    }
}
