//! Batches from the data's thread onto the trainer's device.

use tch::{Device, Kind, Tensor};

use super::SessionError;
use crate::{
    data::{Dataset, Prefetch, Sampler, SamplerState},
    train::{Batch, phase},
};

/// A stream of batches that knows where it stands.
#[derive(Debug)]
pub(super) struct Batches {
    prefetch: Prefetch,
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
        let (channels, size) = (dataset.channels() as i64, dataset.size() as i64);
        let sampler = Sampler::new(dataset.len(), batch, position)?;
        let prefetch = Prefetch::start(dataset, sampler)?;
        Ok(Self { prefetch, shape: [batch as i64, channels, size, size], position, device })
    }

    /// Where the data goes on after the batches handed out so far.
    pub(super) const fn position(&self) -> SamplerState {
        self.position
    }

    pub(super) fn next(&mut self) -> Result<Batch, SessionError> {
        let _phase = phase!("data");
        let batch = self.prefetch.next_batch()?;
        if let Some(after) = batch.after {
            self.position = after;
        }
        let images = Tensor::f_from_slice(&batch.images)?.f_reshape(self.shape)?.f_to_device(self.device)?;
        let labels = if batch.labels.is_empty() {
            None
        } else {
            Some(Tensor::f_from_slice(&batch.labels)?.f_to_kind(Kind::Int64)?.f_to_device(self.device)?)
        };
        self.prefetch.recycle(batch);
        Ok(Batch { images, labels })
    }
}
