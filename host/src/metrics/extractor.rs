//! A feature extractor: a TorchScript module that takes 8-bit images, `uint8 [n, 3, h, w]`, and gives features, floats
//! `[n, d]`, or a pair of them and logits `[n, classes]`.
//!
//! A module whose `forward` takes a second argument is of the kind of StyleGAN's `inception-2015-12-05.pt`: it is called
//! with `return_features = true`, and its logits are the features times its `output.weight`, without the bias, as the
//! Inception Score is defined.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use super::{
    Extracted, MetricsError,
    apart::Apart,
    fetch::{INCEPTION, INCEPTION_SHA256, fetched_inception},
    module::{Fault, Module},
};
use crate::{
    confined,
    files::{self, MOST_ARRAYS},
    text::Show as _,
};

/// The extractor of digits' features that ships with Tandem (`tools/mnist_classifier.py` made it).
pub const MNIST_CLASSIFIER: &str = "mnist-classifier-v1";
const SHIPPED: &[u8] = include_bytes!("../../assets/extractors/mnist-classifier-v1.pt");

/// Features of the standard Inception.
const INCEPTION_WIDTH: i64 = 2048;
/// SHA-256s of the files, with commas between, for which the user vouches as for a program of his own.
const IN_PROCESS: &str = "TANDEM_EXTRACTOR_IN_PROCESS";

/// An extractor's file, read and not yet looked into: it is a program.
#[derive(Debug)]
pub struct ExtractorFile {
    /// The file; `None` for what ships with Tandem.
    pub path: Option<PathBuf>,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// What it was asked for by.
    from: String,
    bytes: Cow<'static, [u8]>,
}

impl ExtractorFile {
    /// Reads an extractor: [`MNIST_CLASSIFIER`], [`INCEPTION`] once it was fetched into `cache`, or a file.
    /// `sum` is the SHA-256 that it must have, in hex.
    pub fn read(choice: &str, sum: Option<&str>, cache: Option<&Path>) -> Result<Self, MetricsError> {
        if choice == MNIST_CLASSIFIER {
            let sha256 = hash(SHIPPED);
            check_sum(Path::new(choice), sum, &sha256)?;
            return Ok(Self { path: None, sha256, from: choice.to_owned(), bytes: Cow::Borrowed(SHIPPED) });
        }
        let standard = choice == INCEPTION;
        let path = if standard { fetched_inception(cache)? } else { PathBuf::from(choice) };
        if !path.exists() && !choice.contains('/') && path.extension().is_none() {
            return Err(MetricsError::Unknown(format!(
                "there is no extractor `{}`: expected `{MNIST_CLASSIFIER}`, `{INCEPTION}` or the path of a \
                 TorchScript file",
                choice.shown()
            )));
        }
        let bytes =
            files::read(&path, MOST_ARRAYS).map_err(|source| MetricsError::Read { path: path.clone(), source })?;
        let sha256 = hash(&bytes);
        check_sum(&path, standard.then_some(INCEPTION_SHA256), &sha256)?;
        check_sum(&path, sum, &sha256)?;
        let from = path.to_string_lossy().into_owned();
        Ok(Self { path: Some(path), sha256, from, bytes: Cow::Owned(bytes) })
    }

    /// The name of what it is, if it is one of those that are known by their sums.
    pub fn known(&self) -> Option<&'static str> {
        match &*self.sha256 {
            INCEPTION_SHA256 => Some(INCEPTION),
            sum if sum == hash(SHIPPED) => Some(MNIST_CLASSIFIER),
            _ => None,
        }
    }

    /// What it was asked for by: a known name, or a file.
    pub fn asked(&self) -> &str {
        &self.from
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Loads it: one that is known into this process, any other into a confined one, on the CPU.
    pub fn load(self, device: Device) -> Result<Extractor, MetricsError> {
        let vouched = std::env::var(IN_PROCESS).is_ok_and(|sums| is_among(&sums, &self.sha256));
        if self.known().is_some() || vouched {
            return self.load_inside(device);
        }
        if device != Device::Cpu {
            tracing::warn!(
                "extractor {} runs on the CPU, in a confined process: it is a program that Tandem does not know. If it is \
                 yours, {IN_PROCESS}={} has it run on the GPU, in this process",
                self.from.shown(),
                self.sha256
            );
        }
        let apart = confined::this_program().map_err(Fault).and_then(|tandem| Apart::load(&tandem, &self.bytes));
        let apart = apart.map_err(|fault| self.wrong(fault))?;
        let width = apart.width;
        let classes = apart.classes;
        self.loaded(Place::Apart(apart), device, width, classes)
    }

    /// Loads it into this process, whatever it is.
    pub(super) fn load_inside(self, device: Device) -> Result<Extractor, MetricsError> {
        let module = Module::load(&self.bytes, device).map_err(|fault| self.wrong(fault))?;
        let width = module.width;
        let classes = module.classes;
        self.loaded(Place::Inside(module), device, width, classes)
    }

    fn loaded(self, place: Place, device: Device, width: i64, classes: Option<i64>) -> Result<Extractor, MetricsError> {
        let stem = Path::new(&self.from).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if stem == INCEPTION && width != INCEPTION_WIDTH {
            return Err(self.wrong(Fault(format!(
                "gives {width} features, expected {INCEPTION_WIDTH}; it is not the standard {INCEPTION}.pt: take that, or give \
                 this file another name"
            ))));
        }
        let name = self.known().map_or_else(|| format!("{stem}@{}", &self.sha256[..8]), str::to_owned);
        Ok(Extractor { place, device, name, sha256: self.sha256, width, classes })
    }

    fn wrong(&self, Fault(what): Fault) -> MetricsError {
        MetricsError::Extractor { name: self.from.clone(), what }
    }
}

/// Where a module runs.
#[derive(Debug)]
enum Place {
    Inside(Module),
    Apart(Apart),
}

/// A loaded extractor, checked to take images and give features.
#[derive(Debug)]
pub struct Extractor {
    place: Place,
    device: Device,
    name: String,
    sha256: String,
    width: i64,
    classes: Option<i64>,
}

impl Extractor {
    /// Features of `[n, c, h, w]`, 8-bit. One channel is repeated to three.
    pub fn extract(&self, images: &Tensor) -> Result<Extracted, MetricsError> {
        let wrong = |Fault(what)| MetricsError::Extractor { name: self.name.clone(), what };
        match &self.place {
            Place::Inside(module) => module.extract(images).map_err(wrong),
            Place::Apart(apart) => {
                let Extracted { features, logits } = apart.extract(images).map_err(wrong)?;
                let here = |tensor: Tensor| tensor.f_to_device(self.device);
                Ok(Extracted { features: here(features)?, logits: logits.map(here).transpose()? })
            }
        }
    }

    /// Gives back what memory it holds beyond the module, where that is in a process of its own.
    pub fn rest(&self) {
        match &self.place {
            Place::Inside(_) => {}
            Place::Apart(apart) => apart.rest(),
        }
    }

    /// Its name in figures: a known one, or the file's with the first digits of its SHA-256.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of its file, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Features of a sample.
    pub const fn width(&self) -> i64 {
        self.width
    }

    /// How many classes it gives logits for, if it does.
    pub const fn classes(&self) -> Option<i64> {
        self.classes
    }

    /// Where its features are.
    pub const fn device(&self) -> Device {
        self.device
    }
}

/// Whether a sum is in a list with commas.
fn is_among(sums: &str, sha256: &str) -> bool {
    sums.split(',').any(|sum| sum.trim().eq_ignore_ascii_case(sha256))
}

/// SHA-256 in hex.
pub(super) fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

pub(super) fn check_sum(path: &Path, expected: Option<&str>, found: &str) -> Result<(), MetricsError> {
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(found) => {
            Err(MetricsError::Sum { path: path.to_owned(), expected: expected.to_owned(), found: found.to_owned() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;
    use crate::{data::Dataset, metrics::inception_place};

    fn file(name: &str) -> String {
        format!("{}/../tests/extractors/{name}.pt", env!("CARGO_MANIFEST_DIR"))
    }

    /// In this process, as one that is known: what a process of its own adds is tested with the real binary.
    fn open(choice: &str) -> Result<Extractor, MetricsError> {
        ExtractorFile::read(choice, None, None)?.load_inside(Device::Cpu)
    }

    fn said(choice: &str) -> String {
        open(choice).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_classifier_knows_the_digits_at_both_sizes() {
        let extractor = open(MNIST_CLASSIFIER).unwrap();
        assert_eq!((extractor.width(), extractor.classes(), extractor.name()), (128, Some(10), MNIST_CLASSIFIER));
        for size in [32, 64] {
            let digits = Dataset::digits(size).unwrap();
            let some = 500;
            let images = Tensor::from_slice(&digits.pixels()[..some * size * size]);
            let given = extractor.extract(&images.reshape([some as i64, 1, size as i64, size as i64])).unwrap();
            let labels: Vec<i64> = digits.labels()[..some].iter().map(|&l| i64::from(l)).collect();
            let right = given.logits.unwrap().argmax(1, false).eq_tensor(&Tensor::from_slice(&labels));
            let right = right.sum(Kind::Int64).int64_value(&[]);
            assert!(right >= 493, "{right} of {some} at {size}");
        }
    }

    #[test]
    fn a_file_gives_features_under_its_own_name() {
        let extractor = open(&file("means")).unwrap();
        assert_eq!((extractor.width(), extractor.classes()), (3, None));
        assert_eq!(extractor.name(), format!("means@{}", &extractor.sha256()[..8]));
        let image = Tensor::from_slice(&[0_u8, 255, 0, 255]).reshape([1, 1, 2, 2]);
        let features = extractor.extract(&image).unwrap().features;
        assert_eq!(Vec::<f32>::try_from(features.reshape([-1])).unwrap(), [127.5; 3]);
    }

    #[test]
    fn one_that_takes_return_features_is_asked_for_them() {
        let extractor = open(&file("return-features")).unwrap();
        assert_eq!((extractor.width(), extractor.classes()), (3, Some(2)));
        let image = Tensor::from_slice(&[9_u8; 4]).reshape([1, 1, 2, 2]);
        let given = extractor.extract(&image).unwrap();
        assert_eq!(Vec::<f32>::try_from(given.features.reshape([-1])).unwrap(), [9.0; 3]);
        // The weights are 1 and 2; the bias, 100, is left out.
        assert_eq!(Vec::<f32>::try_from(given.logits.unwrap().reshape([-1])).unwrap(), [27.0, 54.0]);
    }

    #[test]
    fn what_is_no_extractor_says_what_it_is() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("words.pt");
        std::fs::write(&path, "only words").unwrap();
        let message = said(path.to_str().unwrap());
        assert!(
            message.contains("words.pt: is not TorchScript (") && message.contains("`torch.jit.save`"),
            "{message}"
        );
        let message = said(&file("unflattened"));
        assert!(
            message
                .ends_with("gives features [2, 3, 1, 1] for 2 images, expected [2, width]; flatten them in the module"),
            "{message}"
        );
        let message = said(&file("whole-numbers"));
        assert!(message.ends_with("whole-numbers.pt: gives features of kind Int64, expected floats"), "{message}");
        let message = said(&file("wants-floats"));
        assert!(message.contains("wants-floats.pt: failed on uint8 [2, 3, 32, 32]: "), "{message}");
        assert!(said("mnist-clasifier").starts_with("there is no extractor `mnist-clasifier`: expected `mnist-"));
        assert!(said("/nowhere/x.pt").starts_with("cannot read the extractor /nowhere/x.pt: "));
    }

    #[test]
    fn a_file_called_as_the_standard_one_must_be_as_wide() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("inception-2015-12-05.pt");
        std::fs::copy(file("return-features"), &path).unwrap();
        let message = said(path.to_str().unwrap());
        assert!(message.contains("gives 3 features, expected 2048; it is not the standard"), "{message}");
    }

    #[test]
    fn a_sum_that_differs_is_refused() {
        let message = ExtractorFile::read(&file("means"), Some("00ff"), None).unwrap_err().to_string();
        assert!(message.contains("means.pt has the SHA-256 ") && message.contains(", expected 00ff;"), "{message}");
    }

    #[test]
    fn the_standard_one_is_known_by_its_sum_and_no_other_file_passes_for_it() {
        let known = |sum: &str| {
            ExtractorFile { sha256: sum.into(), path: None, from: INCEPTION.into(), bytes: Cow::Borrowed(b"") }.known()
        };
        assert_eq!(known(INCEPTION_SHA256), Some(INCEPTION));
        assert_eq!(known(&hash(SHIPPED)), Some(MNIST_CLASSIFIER));
        assert_eq!(known(&hash(b"another")), None);

        let cache = tempfile::tempdir().unwrap();
        let said = || ExtractorFile::read(INCEPTION, None, Some(cache.path())).unwrap_err().to_string();
        assert!(said().contains("was not fetched yet: name the path"), "{}", said());
        let place = inception_place(cache.path());
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(file("return-features"), &place).unwrap();
        assert!(said().contains(&format!("expected {INCEPTION_SHA256}")), "{}", said());
    }

    #[test]
    fn one_is_vouched_for_by_its_whole_sum() {
        let sum = hash(b"mine");
        assert!(is_among(&sum, &sum) && is_among(&format!("00, {}", sum.to_uppercase()), &sum));
        assert!(!is_among("", &sum) && !is_among("1", &sum) && !is_among(&sum[..63], &sum));
    }
}
