//! A feature extractor: a TorchScript module that takes 8-bit images, `uint8 [n, 3, h, w]`, and gives features, floats
//! `[n, d]`, or a pair of them and logits `[n, classes]`.
//!
//! A module whose `forward` takes a second argument is of the kind of StyleGAN's `inception-2015-12-05.pt`: it is called
//! with `return_features = true`, and its logits are the features times its `output.weight`, without the bias, as the
//! Inception Score is defined.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tch::{CModule, Device, IValue, Kind, Tensor, no_grad};

use super::{
    MetricsError,
    error::first_line,
    fetch::{INCEPTION, INCEPTION_SHA256, fetched_inception},
};
use crate::{
    files::{self, MOST_ARRAYS},
    text::Show as _,
};

/// The extractor of digits' features that ships with Tandem (`tools/mnist_classifier.py` made it).
pub const MNIST_CLASSIFIER: &str = "mnist-classifier-v1";
const SHIPPED: &[u8] = include_bytes!("../../assets/extractors/mnist-classifier-v1.pt");

/// Features of the standard Inception.
const INCEPTION_WIDTH: i64 = 2048;

/// How a module is called.
#[derive(Debug)]
enum Call {
    /// With images alone.
    Plain,
    /// With images and `return_features = true`; the weights that turn features into logits, where it has such.
    ReturnFeatures(Option<Tensor>),
}

/// A loaded extractor, checked to take images and give features.
#[derive(Debug)]
pub struct Extractor {
    module: CModule,
    call: Call,
    device: Device,
    name: String,
    sha256: String,
    width: i64,
    classes: Option<i64>,
}

/// What comes of one batch.
#[derive(Debug)]
pub struct Extracted {
    /// `[n, d]`, float32.
    pub features: Tensor,
    /// `[n, classes]`, float32, from an extractor that gives them.
    pub logits: Option<Tensor>,
}

impl Extractor {
    /// Opens an extractor: [`MNIST_CLASSIFIER`], [`INCEPTION`] once it was fetched into `cache`, or a file.
    /// `sum` is the SHA-256 that it must have, in hex.
    pub fn open(choice: &str, sum: Option<&str>, cache: Option<&Path>, device: Device) -> Result<Self, MetricsError> {
        if choice == MNIST_CLASSIFIER {
            check_sum(Path::new(choice), sum, &hash(SHIPPED))?;
            return Self::load(choice, SHIPPED, device);
        }
        let standard = choice == INCEPTION;
        let path = if standard { fetched_inception(cache)? } else { PathBuf::from(choice) };
        if !path.exists() && !choice.contains('/') && path.extension().is_none() {
            return Err(MetricsError::Unknown(format!(
                "there is no extractor `{choice}`: expected `{MNIST_CLASSIFIER}`, `{INCEPTION}` or the path of a \
                 TorchScript file"
            )));
        }
        let bytes =
            files::read(&path, MOST_ARRAYS).map_err(|source| MetricsError::Read { path: path.clone(), source })?;
        let found = hash(&bytes);
        check_sum(&path, standard.then_some(INCEPTION_SHA256), &found)?;
        check_sum(&path, sum, &found)?;
        Self::load(&path.shown().to_string(), &bytes, device)
    }

    fn load(from: &str, mut bytes: &[u8], device: Device) -> Result<Self, MetricsError> {
        let sha256 = hash(bytes);
        let wrong = |what: String| MetricsError::Extractor { name: from.to_owned(), what };
        let mut module = CModule::load_data_on_device(&mut bytes, device).map_err(|e| {
            wrong(format!(
                "is not TorchScript ({}); expected a file of `torch.jit.save`, which `torch.save` does not write",
                first_line(&e)
            ))
        })?;
        module.f_set_eval()?;
        let stem = Path::new(from).file_stem().unwrap_or_default().to_string_lossy();
        let name = name(&stem, &sha256);
        let mut extractor = Self { module, call: Call::Plain, device, name, sha256, width: 0, classes: None };
        extractor.probe(from)?;
        if stem == INCEPTION && extractor.width != INCEPTION_WIDTH {
            return Err(wrong(format!(
                "gives {} features, expected {INCEPTION_WIDTH}; it is not the standard {INCEPTION}.pt: take that, or give \
                 this file another name",
                extractor.width
            )));
        }
        Ok(extractor)
    }

    /// Finds out how the module is called, and what it gives, on two black images.
    fn probe(&mut self, from: &str) -> Result<(), MetricsError> {
        let images = Tensor::f_zeros([2, 3, 32, 32], (Kind::Uint8, self.device))?;
        let both = [IValue::Tensor(images.shallow_clone()), IValue::Bool(true)];
        if no_grad(|| self.module.forward_is(&both)).is_ok() {
            let weights = self.module.named_parameters()?.into_iter().find(|(name, _)| name == "output.weight");
            self.call = Call::ReturnFeatures(weights.map(|(_, weight)| weight));
        }
        let given = self.extract(&images).map_err(|error| match error {
            MetricsError::Extractor { what, .. } => MetricsError::Extractor { name: from.to_owned(), what },
            other => other,
        })?;
        self.width = given.features.size()[1];
        self.classes = given.logits.map(|logits| logits.size()[1]);
        Ok(())
    }

    /// Features of `[n, c, h, w]`, 8-bit. One channel is repeated to three.
    pub fn extract(&self, images: &Tensor) -> Result<Extracted, MetricsError> {
        let n = images.size()[0];
        let images = images.f_to_device(self.device)?.f_expand([-1, 3, -1, -1], false)?.f_contiguous()?;
        let failed = |e: tch::TchError| self.wrong(format!("failed on uint8 {:?}: {}", images.size(), first_line(&e)));
        let image = || IValue::Tensor(images.shallow_clone());
        let (given, to_logits) = match &self.call {
            Call::Plain => (no_grad(|| self.module.forward_is(&[image()])).map_err(failed)?, None),
            Call::ReturnFeatures(weight) => {
                (no_grad(|| self.module.forward_is(&[image(), IValue::Bool(true)])).map_err(failed)?, weight.as_ref())
            }
        };
        let (features, logits) = match given {
            IValue::Tensor(features) => (features, None),
            IValue::Tuple(parts) => match <[IValue; 2]>::try_from(parts) {
                Ok([IValue::Tensor(features), IValue::Tensor(logits)]) => (features, Some(logits)),
                _ => return Err(self.wrong("gives a tuple, expected features or a pair of features and logits".into())),
            },
            _ => return Err(self.wrong("gives no tensor, expected features or a pair of features and logits".into())),
        };
        let features = self.checked("features", &features, n)?;
        let logits = match (logits, to_logits) {
            (Some(logits), _) => Some(self.checked("logits", &logits, n)?),
            (None, Some(weight)) => Some(no_grad(|| features.f_matmul(&weight.f_tr()?))?),
            (None, None) => None,
        };
        if self.width != 0 && features.size()[1] != self.width {
            let what = format!("gave {} features, expected {} as before", features.size()[1], self.width);
            return Err(self.wrong(what));
        }
        Ok(Extracted { features, logits })
    }

    fn checked(&self, what: &str, tensor: &Tensor, n: i64) -> Result<Tensor, MetricsError> {
        let size = tensor.size();
        let kind = tensor.f_kind()?;
        if !matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
            return Err(self.wrong(format!("gives {what} of kind {kind:?}, expected floats")));
        }
        if size.len() != 2 || size[0] != n || size[1] < 1 {
            let hint = if size.len() > 2 { "; flatten them in the module" } else { "" };
            return Err(self.wrong(format!("gives {what} {size:?} for {n} images, expected [{n}, width]{hint}")));
        }
        Ok(tensor.f_detach()?.f_to_kind(Kind::Float)?)
    }

    fn wrong(&self, what: String) -> MetricsError {
        MetricsError::Extractor { name: self.name.clone(), what }
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

    /// Where it computes.
    pub const fn device(&self) -> Device {
        self.device
    }
}

/// What an extractor is called in figures: what it is, if its sum is known, whatever its file is called.
fn name(stem: &str, sha256: &str) -> String {
    match sha256 {
        INCEPTION_SHA256 => INCEPTION.to_owned(),
        _ if sha256 == hash(SHIPPED) => MNIST_CLASSIFIER.to_owned(),
        _ => format!("{stem}@{}", &sha256[..8]),
    }
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
    use super::*;
    use crate::{data::Dataset, metrics::inception_place};

    fn file(name: &str) -> String {
        format!("{}/../tests/extractors/{name}.pt", env!("CARGO_MANIFEST_DIR"))
    }

    fn open(choice: &str) -> Result<Extractor, MetricsError> {
        Extractor::open(choice, None, None, Device::Cpu)
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
        let message = Extractor::open(&file("means"), Some("00ff"), None, Device::Cpu).unwrap_err().to_string();
        assert!(message.contains("means.pt has the SHA-256 ") && message.contains(", expected 00ff;"), "{message}");
    }

    #[test]
    fn the_standard_one_is_known_by_its_sum_and_no_other_file_passes_for_it() {
        assert_eq!(name("any", INCEPTION_SHA256), INCEPTION);
        assert_eq!(name(INCEPTION, &hash(b"another")), format!("{INCEPTION}@{}", &hash(b"another")[..8]));

        let cache = tempfile::tempdir().unwrap();
        let said = || Extractor::open(INCEPTION, None, Some(cache.path()), Device::Cpu).unwrap_err().to_string();
        assert!(said().contains("was not fetched yet: name the path"), "{}", said());
        let place = inception_place(cache.path());
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(file("return-features"), &place).unwrap();
        assert!(said().contains(&format!("expected {INCEPTION_SHA256}")), "{}", said());
    }
}
