//! Which real images figures are measured against, and what these are called: all that decides what they are, so that figures
//! against other ones have other names.

use std::path::Path;

use super::super::{
    SessionError,
    data::{spec, spec_of},
};
use crate::{
    config::{Data, DataKind, Sources},
    data::{Dataset, Source, Spec},
    run::RunDir,
    text::Show as _,
};

/// The size of a data set that says none, until it is known what is measured against it.
const ANY_SIZE: usize = 32;

/// Where real images come from.
#[derive(Debug, Clone)]
pub struct Against {
    spec: Spec,
    /// Whether their size is their own, rather than that of what is measured.
    sized: bool,
}

impl Against {
    /// A configuration's data set.
    pub fn of(data: &Data) -> Self {
        Self { spec: spec(data), sized: true }
    }

    /// What the text names: `digits`, a run's or a config's data set, or any data set that `tandem data inspect` knows by what
    /// is in it.
    pub fn find(text: &str) -> Result<Self, SessionError> {
        let path = Path::new(text);
        if !path.exists() {
            if text == "digits" {
                return Ok(Self::of(&Data::new(DataKind::Digits, 32)));
            }
            return Err(SessionError::Evaluation(format!(
                "there is no {}; expected `digits`, a run directory, a config file (.toml), or a data set: a folder, ZIP, \
                 tar, LMDB, IDX or cache file",
                text.shown()
            )));
        }
        if path.is_file() && path.extension().is_some_and(|e| e == "toml") {
            return Ok(Self::of(&Sources::load(Some(path), [], &[])?.data()?));
        }
        if let Ok(run) = RunDir::open(path) {
            return Ok(Self::of(&run.config()?.data));
        }
        let spec = spec_of(Source::detect(path)?, ANY_SIZE);
        match &spec.source {
            // It says itself what was done to its images.
            Source::Cache(path) => {
                let transform = Dataset::cached(path)?.about().transform;
                Ok(Self { spec: Spec { transform, ..spec }, sized: true })
            }
            _ => Ok(Self { spec, sized: false }),
        }
    }

    /// The size of the images, where it is their own.
    pub fn size(&self) -> Option<usize> {
        self.sized.then_some(self.spec.transform.image_size)
    }

    /// Whether they are digits, or of their form: those have an extractor of their own.
    pub const fn is_digits(&self) -> bool {
        matches!(self.spec.source, Source::Digits | Source::Mnist { .. } | Source::Idx { .. })
    }

    /// The images at `size`, and what they are called.
    pub fn open(&self, size: usize) -> Result<(Dataset, String), SessionError> {
        let mut spec = self.spec.clone();
        spec.transform.image_size = size;
        Ok((Dataset::open(&spec)?, name_of(&spec)))
    }
}

/// What a data set is called in figures: its place, which part of it, and how its pictures became squares. The size stands with
/// the extractor, and digits as everybody takes them, grey on a black border, need no words.
pub(in crate::session) fn name_of(spec: &Spec) -> String {
    let usual = spec_of(spec.source.clone(), spec.transform.image_size).transform;
    let name = match part(&spec.source) {
        (place, facts) if facts.is_empty() => place,
        (place, facts) => format!("{place} ({})", facts.join(", ")),
    };
    if spec.transform == usual && usual.crop == crate::data::Crop::Digits {
        return name;
    }
    // `32x32, crop center, rgb`
    let text = spec.transform.to_string();
    let how = text.split_once(", ").map_or(text.as_str(), |(_, how)| how);
    format!("{name}, {how}")
}

/// The last part of the place, and which of the images there.
fn part(source: &Source) -> (String, Vec<&str>) {
    let turned = |transposed: &bool| transposed.then_some("transposed");
    match source {
        Source::Digits => ("digits".into(), Vec::new()),
        Source::Mnist { folder, split, transposed } => {
            (last(folder), [Some(split.name()), turned(transposed)].into_iter().flatten().collect())
        }
        Source::Idx { images, transposed, .. } => (last(images), turned(transposed).into_iter().collect()),
        // A file by its own name is taken whole, whichever split is set.
        Source::Cifar10 { path, .. } | Source::Cifar100 { path, .. } if path.is_file() => (last(path), Vec::new()),
        Source::Cifar10 { path, split } | Source::Cifar100 { path, split } => (last(path), vec![split.name()]),
        Source::Celeba { folder, attribute, split } => {
            let split = split.map_or("all", |split| split.name());
            (last(folder), [Some(split), attribute.as_deref()].into_iter().flatten().collect())
        }
        Source::Folder(path) | Source::Zip(path) | Source::Tar(path) | Source::Lmdb(path) | Source::Cache(path) => {
            (last(path), Vec::new())
        }
    }
}

fn last(path: &Path) -> String {
    path.file_name().map_or_else(|| path.shown().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Channels, Crop, Split};

    fn name(data: &Data) -> String {
        name_of(&spec(data))
    }

    #[test]
    fn data_sets_are_called_by_place_part_crop_and_colour() {
        let digits = Data::new(DataKind::Digits, 64);
        assert_eq!(name(&digits), "digits");
        assert_eq!(name(&Data { crop: Some(Crop::Center), ..digits.clone() }), "digits, crop center, grey");
        assert_eq!(name(&Data { channels: Some(Channels::Rgb), ..digits.clone() }), "digits, crop digits, rgb");

        let path = Some("/sets/fashion".into());
        let mnist = Data { kind: DataKind::Mnist, path, split: Some(Split::Test), ..digits };
        assert_eq!(name(&mnist), "fashion (test)");
        assert_eq!(name(&Data { split: None, transposed: Some(true), ..mnist.clone() }), "fashion (train, transposed)");
        assert_eq!(name(&Data { path: None, images: Some("a/b.idx".into()), ..mnist.clone() }), "b.idx");

        let photos = Data { kind: DataKind::Folder, split: None, ..mnist };
        assert_eq!(name(&photos), "fashion, crop center, rgb");
        assert_eq!(name(&Data { crop: Some(Crop::None), ..photos.clone() }), "fashion, crop none, rgb");
        assert_eq!(name(&Data { channels: Some(Channels::Grey), ..photos.clone() }), "fashion, crop center, grey");
        for kind in [DataKind::Cifar10, DataKind::Cifar100] {
            let path = Some("/sets/cifar".into());
            let train = Data { kind, path, ..photos.clone() };
            assert_eq!(name(&train), "cifar (train), crop center, rgb");
            assert_eq!(name(&Data { split: Some(Split::Test), ..train }), "cifar (test), crop center, rgb");
        }
        let faces = Data { kind: DataKind::Celeba, crop: Some(Crop::Celeba178), ..photos };
        assert_eq!(name(&faces), "fashion (all), crop celeba-178, rgb");
        let men = Data { split: Some(Split::Valid), attribute: Some("Male".into()), ..faces };
        assert_eq!(name(&men), "fashion (valid, Male), crop celeba-178, rgb");
    }

    #[test]
    fn whatever_lies_there_is_found_by_what_is_in_it() {
        let here = tempfile::tempdir().unwrap();
        let find = |name: &str| Against::find(here.path().join(name).to_str().unwrap());
        fs::write(here.path().join("only.toml"), "[data]\nkind = \"digits\"\nimage_size = 64\n").unwrap();
        let found = find("only.toml").unwrap();
        assert!(found.is_digits() && found.size() == Some(64));

        let [images, labels] = [[0, 0, 8, 3].as_slice(), &[0, 0, 8, 1]];
        let number = 1_u32.to_be_bytes();
        fs::create_dir(here.path().join("mnist")).unwrap();
        let side = 28_u32.to_be_bytes();
        let idx = [images, &number, &side, &side, &[9; 784]].concat();
        fs::write(here.path().join("mnist/t10k-images-idx3-ubyte"), idx).unwrap();
        fs::write(here.path().join("mnist/t10k-labels-idx1-ubyte"), [labels, &number, &[7]].concat()).unwrap();
        let found = find("mnist").unwrap();
        assert!(found.is_digits() && found.size().is_none());
        let (dataset, name) = found.open(32).unwrap();
        assert_eq!((dataset.len(), dataset.size(), name.as_str()), (1, 32, "mnist (test)"));

        let spec = Spec { caches: Some(here.path().to_owned()), ..spec(&Data::new(DataKind::Digits, 32)) };
        let cache = spec.prepare(false).unwrap().path;
        let found = Against::find(cache.to_str().unwrap()).unwrap();
        assert_eq!(found.size(), Some(32));
        let (dataset, name) = found.open(32).unwrap();
        let file = last(&cache);
        assert_eq!((dataset.len(), name), (10_000, format!("{file}, crop digits, grey")));
        let message = found.open(64).unwrap_err().to_string();
        assert!(message.contains("a cache of another transform: 32x32"), "{message}");

        fs::write(here.path().join("words"), "no data set").unwrap();
        let message = find("words").unwrap_err().to_string();
        assert!(message.contains("no data set that is known: expected a cache, IDX, ZIP"), "{message}");
    }

    #[test]
    fn what_is_not_there_says_what_may_be() {
        let message = Against::find("/nowhere").unwrap_err().to_string();
        assert!(
            message.contains("there is no /nowhere; expected `digits`, a run directory, a config file"),
            "{message}"
        );
    }
}
