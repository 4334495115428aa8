//! A TorchScript module in this process: loaded, asked what it takes and gives, and called. Whatever it holds runs here, so
//! this process is the host's for what is known, and else one that was confined for it.

use tch::{CModule, Device, IValue, Kind, Tensor, no_grad};

use super::error::first_line;

/// The most features of a sample, and the most classes; more are a mistake, and a covariance of them no machine's.
pub(super) const MOST_FEATURES: i64 = 1 << 14;
pub(super) const MOST_CLASSES: i64 = 1 << 16;

/// What is wrong with a module, in words that follow its name.
#[derive(Debug)]
pub(super) struct Fault(pub(super) String);

impl From<tch::TchError> for Fault {
    fn from(error: tch::TchError) -> Self {
        Self(format!("failed: {}", first_line(&error)))
    }
}

/// How a module is called.
#[derive(Debug)]
enum Call {
    /// With images alone.
    Plain,
    /// With images and `return_features = true`; the weights that turn features into logits, where it has such.
    ReturnFeatures(Option<Tensor>),
}

/// A module that takes images and gives features.
#[derive(Debug)]
pub(super) struct Module {
    script: CModule,
    call: Call,
    device: Device,
    pub(super) width: i64,
    pub(super) classes: Option<i64>,
}

/// What comes of one batch.
#[derive(Debug)]
pub struct Extracted {
    /// `[n, d]`, float32.
    pub features: Tensor,
    /// `[n, classes]`, float32, from an extractor that gives them.
    pub logits: Option<Tensor>,
}

impl Module {
    pub(super) fn load(mut bytes: &[u8], device: Device) -> Result<Self, Fault> {
        let mut module = CModule::load_data_on_device(&mut bytes, device).map_err(|e| {
            Fault(format!(
                "is not TorchScript ({}); expected a file of `torch.jit.save`, which `torch.save` does not write",
                first_line(&e)
            ))
        })?;
        module.f_set_eval()?;
        let mut module = Self { script: module, call: Call::Plain, device, width: 0, classes: None };
        module.probe()?;
        Ok(module)
    }

    /// Finds out how the module is called, and what it gives, on two black images.
    fn probe(&mut self) -> Result<(), Fault> {
        let images = Tensor::f_zeros([2, 3, 32, 32], (Kind::Uint8, self.device))?;
        let both = [IValue::Tensor(images.shallow_clone()), IValue::Bool(true)];
        if no_grad(|| self.script.forward_is(&both)).is_ok() {
            let weights = self.script.named_parameters()?.into_iter().find(|(name, _)| name == "output.weight");
            self.call = Call::ReturnFeatures(weights.map(|(_, weight)| weight));
        }
        let given = self.extract(&images)?;
        let width_of = |tensor: &Tensor, what: &str, most: i64| match tensor.size()[1] {
            width if width > most => Err(Fault(format!("gives {width} {what}, expected {most} at most"))),
            width => Ok(width),
        };
        self.width = width_of(&given.features, "features", MOST_FEATURES)?;
        self.classes = given.logits.map(|logits| width_of(&logits, "logits", MOST_CLASSES)).transpose()?;
        Ok(())
    }

    /// Features of `[n, c, h, w]`, 8-bit. One channel is repeated to three.
    pub(super) fn extract(&self, images: &Tensor) -> Result<Extracted, Fault> {
        let n = images.size()[0];
        let images = images.f_to_device(self.device)?.f_expand([-1, 3, -1, -1], false)?.f_contiguous()?;
        let failed = |e: tch::TchError| Fault(format!("failed on uint8 {:?}: {}", images.size(), first_line(&e)));
        let image = || IValue::Tensor(images.shallow_clone());
        let (given, to_logits) = match &self.call {
            Call::Plain => (no_grad(|| self.script.forward_is(&[image()])).map_err(failed)?, None),
            Call::ReturnFeatures(weight) => {
                (no_grad(|| self.script.forward_is(&[image(), IValue::Bool(true)])).map_err(failed)?, weight.as_ref())
            }
        };
        let (features, logits) = match given {
            IValue::Tensor(features) => (features, None),
            IValue::Tuple(parts) => match <[IValue; 2]>::try_from(parts) {
                Ok([IValue::Tensor(features), IValue::Tensor(logits)]) => (features, Some(logits)),
                _ => return Err(Fault("gives a tuple, expected features or a pair of features and logits".into())),
            },
            _ => return Err(Fault("gives no tensor, expected features or a pair of features and logits".into())),
        };
        let features = checked("features", &features, n)?;
        let logits = match (logits, to_logits) {
            (Some(logits), _) => Some(checked("logits", &logits, n)?),
            (None, Some(weight)) => Some(no_grad(|| features.f_matmul(&weight.f_tr()?))?),
            (None, None) => None,
        };
        self.as_before(&features, logits.as_ref())?;
        Ok(Extracted { features, logits })
    }

    /// Once it was probed, it gives as many features, and logits or none, each time.
    fn as_before(&self, features: &Tensor, logits: Option<&Tensor>) -> Result<(), Fault> {
        if self.width == 0 {
            return Ok(());
        }
        let width = features.size()[1];
        if width != self.width {
            return Err(Fault(format!("gave {width} features, expected {} as before", self.width)));
        }
        let classes = logits.map(|logits| logits.size()[1]);
        if classes != self.classes {
            let told = |classes: Option<i64>| classes.map_or_else(|| "no logits".into(), |n| format!("{n} logits"));
            return Err(Fault(format!("gave {}, expected {} as before", told(classes), told(self.classes))));
        }
        Ok(())
    }
}

fn checked(what: &str, tensor: &Tensor, n: i64) -> Result<Tensor, Fault> {
    let size = tensor.size();
    let kind = tensor.f_kind()?;
    if !matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
        return Err(Fault(format!("gives {what} of kind {kind:?}, expected floats")));
    }
    if size.len() != 2 || size[0] != n || size[1] < 1 {
        let hint = if size.len() > 2 { "; flatten them in the module" } else { "" };
        return Err(Fault(format!("gives {what} {size:?} for {n} images, expected [{n}, width]{hint}")));
    }
    Ok(tensor.f_detach()?.f_to_kind(Kind::Float)?)
}
