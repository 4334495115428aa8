//! What a data set is, before anybody trains on it: kind, images, sizes, classes, and what is wrong.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Bad, DataError, Source, Transform,
    cache::Cache,
    picture::{Picture, header},
    source::{Content, Labels, Opened},
};
use crate::work::Work;

/// Images whose headers are looked at where not all are asked for, spread evenly.
const LOOKED_AT: usize = 1000;

/// What a data set is.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The source, in words: kind and place.
    pub source: String,
    /// How many images there are.
    pub images: usize,
    /// How many of them were looked at.
    pub looked_at: usize,
    /// Whether those were decoded, not only their headers read.
    pub decoded: bool,
    /// Images by `WIDTHxHEIGHT` of those that were looked at.
    pub sizes: BTreeMap<String, usize>,
    /// Images by file format and colour of those that were looked at.
    pub formats: BTreeMap<String, usize>,
    /// Images in each class, by number; empty without labels.
    pub classes: Vec<Class>,
    /// Why there are no labels, where it looks as if there should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_no_labels: Option<String>,
    /// What lies among the images and is not taken, a line for each kind.
    pub passed_over: Vec<String>,
    /// What is wrong, image by image.
    pub bad: Vec<Bad>,
    /// Of a cache: what was done to its images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
    /// Of a cache: where it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_from: Option<String>,
}

/// A class.
#[derive(Debug, Clone, Serialize)]
pub struct Class {
    /// Its name, or its number where it has none.
    pub name: String,
    /// Its images.
    pub images: usize,
}

/// Looks at a data set: at the headers of a thousand images, or, with `all`, at every image whole.
pub fn inspect(source: &Source, all: bool) -> Result<Report, DataError> {
    if let Source::Cache(path) = source {
        return inspect_cache(source, &Cache::open(path)?);
    }
    // No size is asked for here, so none can be refused.
    let any = Transform { image_size: 0, crop: super::Crop::None, channels: 3 };
    let (Opened { samples, labels }, passed) = source.open(&source.files()?, &any)?;
    let count = samples.len();
    let mut report = Report::new(source, count, &labels);
    report.passed_over = passed.all();
    report.decoded = all;
    let step = if all { 1 } else { count.div_ceil(LOOKED_AT).max(1) };
    let mut buffer = Vec::new();
    let work = Work::of(format!("reading {}", source.describe()), count.div_ceil(step) as u64, "images");
    for index in (0..count).step_by(step) {
        report.looked_at += 1;
        work.more(1)?;
        let seen = samples.read(index, &mut buffer).and_then(|content| match content {
            Content::Raw { width, height, channels } => {
                let colour = if channels == 1 { "grey" } else { "RGB" };
                Ok((width, height, format!("pixels, {colour}")))
            }
            Content::Encoded => {
                let header = header(&buffer)?;
                if all {
                    Picture::decode(&buffer, Vec::new())?;
                }
                Ok((header.width, header.height, format!("{}, {}", header.format, header.colour)))
            }
        });
        match seen {
            Ok((width, height, format)) => {
                *report.sizes.entry(format!("{width}x{height}")).or_default() += 1;
                *report.formats.entry(format).or_default() += 1;
            }
            Err(why) => report.bad.push(Bad { name: samples.name(index), why }),
        }
    }
    Ok(report)
}

/// All of its images are read and checked against their sums: that is quick.
fn inspect_cache(source: &Source, cache: &Cache) -> Result<Report, DataError> {
    let about = &cache.about;
    let labels = Labels { of: cache.labels.clone(), names: about.class_names.clone(), why_none: None };
    let mut report = Report::new(source, cache.sums.len(), &labels);
    let bad = |(index, error): (usize, DataError)| Bad { name: format!("image {index}"), why: error.to_string() };
    report.bad.extend(cache.damaged()?.into_iter().map(bad));
    let size = about.transform.image_size;
    report.sizes.insert(format!("{size}x{size}"), report.images);
    report.formats.insert(about.transform.to_string(), report.images);
    report.looked_at = report.images;
    report.decoded = true;
    (report.transform, report.made_from) = (Some(about.transform), Some(about.source.clone()));
    Ok(report)
}

impl Report {
    fn new(source: &Source, images: usize, labels: &Labels) -> Self {
        let mut counts = vec![0; labels.names.len()];
        for &label in &labels.of {
            if counts.len() <= usize::from(label) {
                counts.resize(usize::from(label) + 1, 0);
            }
            counts[usize::from(label)] += 1;
        }
        let name = |i: usize| labels.names.get(i).cloned().unwrap_or_else(|| i.to_string());
        let class = |(i, images)| Class { name: name(i), images };
        Self {
            source: source.describe(),
            images,
            looked_at: 0,
            decoded: false,
            sizes: BTreeMap::new(),
            formats: BTreeMap::new(),
            classes: if labels.of.is_empty() {
                Vec::new()
            } else {
                counts.into_iter().enumerate().map(class).collect()
            },
            why_no_labels: labels.why_none.clone(),
            passed_over: Vec::new(),
            bad: Vec::new(),
            transform: None,
            made_from: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use proptest::prelude::*;

    use super::*;

    fn image() -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::GrayImage::new(4, 4).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    /// A tar and a ZIP with everything in them that is looked at.
    fn archives() -> [Vec<u8>; 2] {
        let (image, list) = (image(), br#"{"labels": [["1.png", 1], ["2.png", 0]]}"#);
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        for (name, bytes) in [("a/1.png", &image[..]), ("a/1.cls", b"1"), ("a/x.gif", b"GIF8"), ("a/._1.png", b"")] {
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, bytes).unwrap();
        }
        header.set_size(0);
        header.set_entry_type(tar::EntryType::Symlink);
        tar.append_link(&mut header, "a/2.png", "1.png").unwrap();
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, bytes) in [("a/1.png", &image[..]), ("a/2.png", &image), ("a/dataset.json", list), ("a/x", b"GIF8")]
        {
            zip.start_file(name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        [tar.into_inner().unwrap(), zip.finish().unwrap().into_inner()]
    }

    fn inspected(bytes: &[u8]) -> Result<Report, DataError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        inspect(&Source::detect(file.path())?, true)
    }

    proptest! {
        #[test]
        fn archives_that_are_damaged_anywhere_are_told_and_never_end_the_program(
            which in 0..2_usize,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
            whole in any::<bool>(),
        ) {
            let mut bytes = archives()[which].clone();
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if !whole {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Err(error) = inspected(&bytes) {
                prop_assert!(!error.to_string().contains(char::is_control), "{error:?}");
            }
        }
    }

    #[test]
    fn whole_archives_are_read_with_their_links_and_labels() {
        let [tar, zip] = archives();
        let report = inspected(&zip).unwrap();
        assert_eq!((report.images, report.classes.len(), report.bad.len()), (2, 2, 0), "{report:?}");
        assert_eq!(
            report.passed_over,
            ["1 file without an ending; a/x is a GIF file by its content: let its name end in .gif"]
        );
        // The link has a class of its own name only.
        let message = inspected(&tar).unwrap_err().to_string();
        assert!(
            message.contains("1 of its 3 images have a .cls") && message.contains("entry a/x.gif has none"),
            "{message}"
        );
    }
}
