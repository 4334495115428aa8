//! Batches onto the trainer's device: from the data's thread, or from a data set that lies there whole.

use std::time::Duration;

use tch::{Device, Kind, Tensor};

use super::SessionError;
use crate::{
    data::{Dataset, Prefetch, Sampler, SamplerState, flipped},
    train::{Batch, phase},
};

/// What a data set may take of a CUDA device's memory to lie there: 8-bit images, so that 650,000 of 32x32 in colour do.
const MOST_RESIDENT: usize = 2 << 30;

/// Images that are copied to the device at a time.
const CHUNK: usize = 4096;

/// Where the images are.
#[derive(Debug)]
enum Source {
    /// In the host's memory, made into batches ahead of use.
    Host(Prefetch),
    /// On the device: a batch is gathered there, and only its indices travel.
    Resident {
        images: Tensor,
        labels: Option<Tensor>,
        /// 127.5; a tensor, since by a number CUDA divides as it multiplies by the inverse.
        half: Tensor,
        sampler: Sampler,
        /// Whether half of the images are mirrored.
        flip: bool,
    },
}

/// A stream of batches that knows where it stands.
#[derive(Debug)]
pub(super) struct Batches {
    source: Source,
    shape: [i64; 4],
    position: SamplerState,
    device: Device,
}

impl Batches {
    pub(super) fn start(
        dataset: Dataset,
        batch: usize,
        position: SamplerState,
        device: Device,
    ) -> Result<Self, SessionError> {
        let bytes = dataset.len() * dataset.sample_len();
        let resident = matches!(device, Device::Cuda(_)) && bytes <= MOST_RESIDENT;
        Self::from(dataset, batch, position, device, resident)
    }

    fn from(
        dataset: Dataset,
        batch: usize,
        position: SamplerState,
        device: Device,
        resident: bool,
    ) -> Result<Self, SessionError> {
        let (channels, size) = (dataset.channels() as i64, dataset.size() as i64);
        let sampler = Sampler::new(dataset.len(), batch, position)?;
        let source = if resident {
            let images = onto_device(&dataset, device)?;
            let labels = (!dataset.labels().is_empty())
                .then(|| {
                    let labels: Vec<i64> = dataset.labels().iter().map(|&l| l.into()).collect();
                    Tensor::f_from_slice(&labels)?.f_to_device(device)
                })
                .transpose()?;
            let half = Tensor::f_full([0_i64; 0], 127.5, (Kind::Float, device))?;
            Source::Resident { images, labels, half, sampler, flip: dataset.flip() }
        } else {
            Source::Host(Prefetch::start(dataset, sampler)?)
        };
        Ok(Self { source, shape: [batch as i64, channels, size, size], position, device })
    }

    /// Where the data goes on after the batches handed out so far.
    pub(super) const fn position(&self) -> SamplerState {
        self.position
    }

    /// How long the trainer has waited for batches so far.
    pub(super) const fn waited(&self) -> Duration {
        match &self.source {
            Source::Host(prefetch) => prefetch.waited(),
            Source::Resident { .. } => Duration::ZERO,
        }
    }

    pub(super) fn next(&mut self) -> Result<Batch, SessionError> {
        let _phase = phase!("data");
        match &mut self.source {
            Source::Host(prefetch) => {
                let batch = prefetch.next_batch()?;
                if let Some(after) = batch.after {
                    self.position = after;
                }
                let images = onto(self.device, Tensor::f_from_slice(&batch.images)?.f_reshape(self.shape)?)?;
                let labels = (!batch.labels.is_empty())
                    .then(|| onto(self.device, Tensor::f_from_slice(&batch.labels)?))
                    .transpose()?;
                prefetch.recycle(batch);
                Ok(Batch { images, labels })
            }
            Source::Resident { images, labels, half, sampler, flip } => {
                let order = sampler.next_batch().to_vec();
                let after = sampler.state();
                self.position = after;
                let indices: Vec<i64> = order.iter().map(|&i| i.into()).collect();
                let indices = onto(self.device, Tensor::f_from_slice(&indices)?)?;
                let pick = |of: &Tensor| of.f_index_select(0, &indices);
                let mut images = pick(images)?;
                if *flip {
                    let mirrored: Vec<bool> = order.iter().map(|&i| flipped(after.seed, after.epoch, i)).collect();
                    let mirrored = onto(self.device, Tensor::f_from_slice(&mirrored)?.f_reshape([-1, 1, 1, 1])?)?;
                    images = images.f_flip([3])?.f_where_self(&mirrored, &images)?;
                }
                // To [-1, 1] as the data's thread does it.
                let images = images.f_to_kind(Kind::Float)?.f_div(half)?.f_sub_scalar(1.0)?;
                Ok(Batch { images, labels: labels.as_ref().map(pick).transpose()? })
            }
        }
    }
}

/// All images as they are, 8-bit `[N, C, H, W]`.
fn onto_device(dataset: &Dataset, device: Device) -> Result<Tensor, SessionError> {
    let (channels, size) = (dataset.channels() as i64, dataset.size() as i64);
    let all = Tensor::f_empty([dataset.len() as i64, channels, size, size], (Kind::Uint8, device))?;
    let mut at = 0;
    for chunk in dataset.chunks(CHUNK) {
        let (images, _) = chunk?;
        let images = Tensor::f_from_slice(&images)?.f_reshape([-1, channels, size, size])?;
        let count = images.size()[0];
        all.f_narrow(0, at, count)?.f_copy_(&images)?;
        at += count;
    }
    Ok(all)
}

/// A copy that the host does not wait for: from pinned memory, behind the device's other work.
fn onto(device: Device, tensor: Tensor) -> Result<Tensor, tch::TchError> {
    match device {
        Device::Cuda(_) => tensor.f_pin_memory(device)?.f_internal_to_copy((tensor.kind(), device), true),
        _ => Ok(tensor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resident_data_set_gives_the_same_batches() {
        let start = SamplerState { seed: 3, epoch: 0, offset: 9_900 };
        let batches = |resident| Batches::from(Dataset::digits(32).unwrap(), 48, start, Device::Cpu, resident).unwrap();
        let (mut host, mut device) = (batches(false), batches(true));
        // Over the end of an epoch.
        for _ in 0..4 {
            let (expected, found) = (host.next().unwrap(), device.next().unwrap());
            assert_eq!(found.images, expected.images);
            assert_eq!(found.labels, expected.labels);
            assert_eq!(device.position(), host.position());
        }
    }
}
