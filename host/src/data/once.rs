//! A data set looked at once, from its first image to its last, however large it is: nothing of it is kept.

use std::collections::BTreeMap;

use super::{
    DataError, Source, Spec, Transform,
    fill::fill,
    picture::header,
    source::{Content, Opened},
};
use crate::work::Work;

/// The images of one width and height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfSize {
    /// How many there are.
    pub count: usize,
    /// The first of them, as messages call it.
    pub first: String,
}

/// By width and height.
pub type Sizes = BTreeMap<(usize, usize), OfSize>;

/// How many images a source has, and their widths and heights, from their heads alone. One whose head cannot be read has no
/// size here; that it cannot be used is found when it is decoded.
pub fn sizes(source: &Source) -> Result<(usize, Sizes), DataError> {
    // No size is asked for here, so none can be refused.
    let any = Transform { image_size: 0, crop: super::Crop::None, channels: 3 };
    let (Opened { samples, .. }, _) = source.open(&source.files()?, &any)?;
    let mut found = Sizes::new();
    let mut buffer = Vec::new();
    let work = Work::of(format!("reading the sizes of {}", source.describe()), samples.len() as u64, "images");
    for index in 0..samples.len() {
        work.more(1)?;
        let size = samples.read(index, &mut buffer).and_then(|content| match content {
            Content::Raw { width, height, .. } => Ok((width, height)),
            Content::Encoded => header(&buffer).map(|header| (header.width, header.height)),
        });
        if let Ok(size) = size {
            found.entry(size).or_insert_with(|| OfSize { count: 0, first: samples.name(index) }).count += 1;
        }
    }
    Ok((samples.len(), found))
}

impl Spec {
    /// Decodes every image on all cores and gives its planes to `sink`, in order; a window of them is in memory at a time. Says
    /// how many there were, without those that were left out.
    ///
    /// # Errors
    /// What is wrong with the data set, or what `sink` says.
    pub fn stream<E: From<DataError>>(&self, mut sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<usize, E> {
        let (opened, passed) = self.source.open(&self.source.files()?, &self.transform)?;
        self.tell(&opened.labels, &passed);
        let mut stopped = None;
        let put = |planes: &[u8]| {
            sink(planes).map_err(|error| {
                stopped = Some(error);
                // Ends the decoding, and is not told: the sink's own error is.
                DataError::Worker("its images are no longer wanted".into())
            })
        };
        let source = self.source.describe();
        let filled = fill(&source, &*opened.samples, &self.transform, self.max_bad, put);
        match stopped {
            Some(error) => Err(error),
            None => Ok(filled?.taken.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Crop, Dataset};

    #[test]
    fn a_stream_gives_what_a_data_set_in_memory_holds() {
        let spec = Spec::new(Source::Digits, Transform { image_size: 32, crop: Crop::Digits, channels: 1 });
        let mut streamed = Vec::new();
        let sink = |planes: &[u8]| {
            streamed.extend_from_slice(planes);
            Ok::<_, DataError>(())
        };
        assert_eq!(spec.stream(sink).unwrap(), 10_000);
        assert_eq!(streamed, Dataset::digits(32).unwrap().pixels());
    }

    #[test]
    fn what_the_sink_says_ends_it() {
        let spec = Spec::new(Source::Digits, Transform { image_size: 32, crop: Crop::Digits, channels: 1 });
        let mut seen = 0;
        let sink = |_: &[u8]| {
            seen += 1;
            if seen == 3 { Err(DataError::NoPlace) } else { Ok(()) }
        };
        assert!(matches!(spec.stream(sink), Err(DataError::NoPlace)));
        assert_eq!(seen, 3);
    }

    #[test]
    fn sizes_come_with_their_first_image() {
        let here = tempfile::tempdir().unwrap();
        for (name, side) in [("a.png", 8), ("b.png", 12), ("c.png", 8)] {
            image::GrayImage::new(side, 8).save(here.path().join(name)).unwrap();
        }
        std::fs::write(here.path().join("d.png"), "no image").unwrap();
        let (count, found) = sizes(&Source::Folder(here.path().to_owned())).unwrap();
        assert_eq!((count, found.len(), found[&(8, 8)].count), (4, 2, 2));
        assert!(found[&(12, 8)].first.ends_with("b.png"), "{found:?}");
    }
}
