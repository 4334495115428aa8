//! Random generators with a state that can be saved: private ones, and libtorch's default ones.

use tch::{Device, Kind, Tensor};

use crate::TorchError;
use crate::ffi::{self, Buffer, GeneratorPtr};

/// A random stream that nothing else draws from.
///
/// What it draws depends on its seed or state, the device, and the shape and type of each draw.
pub struct Generator {
    generator: GeneratorPtr,
    device: Device,
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generator").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Generator {
    /// A new stream on `device`; tensors that it fills must be there.
    pub fn new(device: Device, seed: u64) -> Result<Self, TorchError> {
        let mut generator = GeneratorPtr::empty();
        ffi::tandem_ext_generator_new(index_of(device)?, seed, &mut generator).check("Generator::new")?;
        Ok(Self { generator, device })
    }

    /// libtorch's own generator of `device`: what dropout and every draw without a generator use.
    pub fn default_of(device: Device) -> Result<Self, TorchError> {
        let mut generator = GeneratorPtr::empty();
        ffi::tandem_ext_generator_default(index_of(device)?, &mut generator).check("Generator::default_of")?;
        Ok(Self { generator, device })
    }

    pub(crate) const fn pointer(&self) -> &GeneratorPtr {
        &self.generator
    }

    /// Where it draws.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Starts the stream of `seed` from its beginning.
    pub fn seed(&mut self, seed: u64) -> Result<(), TorchError> {
        ffi::tandem_ext_generator_seed(&self.generator, seed).check("Generator::seed")
    }

    /// Everything that the next draws depend on.
    pub fn state(&self) -> Result<Vec<u8>, TorchError> {
        let mut state = Buffer::empty();
        ffi::tandem_ext_generator_state(&self.generator, &mut state).check("Generator::state")?;
        Ok(state.to_bytes())
    }

    /// Goes on from a [`state`](Self::state) of the same kind of device.
    pub fn set_state(&mut self, state: &[u8]) -> Result<(), TorchError> {
        ffi::tandem_ext_generator_set_state(&self.generator, state.into()).check("Generator::set_state")
    }

    /// Fills `tensor` with normal draws.
    pub fn normal_(&mut self, tensor: &Tensor, mean: f64, std: f64) -> Result<(), TorchError> {
        ffi::tandem_ext_generator_normal(&self.generator, tensor.into(), mean, std).check("Generator::normal_")
    }

    /// Fills `tensor` with uniform draws from `[low, high)`.
    pub fn uniform_(&mut self, tensor: &Tensor, low: f64, high: f64) -> Result<(), TorchError> {
        ffi::tandem_ext_generator_uniform(&self.generator, tensor.into(), low, high).check("Generator::uniform_")
    }

    /// Fills `tensor` with whole numbers drawn from `[low, high)`.
    pub fn randint_(&mut self, tensor: &Tensor, low: i64, high: i64) -> Result<(), TorchError> {
        ffi::tandem_ext_generator_randint(&self.generator, tensor.into(), low, high).check("Generator::randint_")
    }

    /// A new tensor of standard normal draws.
    pub fn randn(&mut self, size: &[i64], kind: Kind) -> Result<Tensor, TorchError> {
        let tensor = Tensor::f_empty(size, (kind, self.device))
            .map_err(|error| TorchError::Op { op: "Generator::randn", message: error.to_string() })?;
        self.normal_(&tensor, 0.0, 1.0)?;
        Ok(tensor)
    }
}

/// The state of libtorch's own generator of `device`.
pub fn generator_state(device: Device) -> Result<Vec<u8>, TorchError> {
    Generator::default_of(device)?.state()
}

/// Sets libtorch's own generator of `device` to a [`generator_state`] taken before.
pub fn set_generator_state(device: Device, state: &[u8]) -> Result<(), TorchError> {
    Generator::default_of(device)?.set_state(state)
}

/// The CUDA device's index, or -1 for the CPU.
pub(crate) fn index_of(device: Device) -> Result<i64, TorchError> {
    match device {
        Device::Cpu => Ok(-1),
        Device::Cuda(index) => Ok(index as i64),
        other => {
            Err(TorchError::Op { op: "Generator", message: format!("expected a CPU or CUDA device, found {other:?}") })
        }
    }
}
