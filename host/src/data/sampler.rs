//! The order in which images are met: a seeded shuffle for every epoch, resumable from a small state.

use serde::{Deserialize, Serialize};

use super::DataError;

/// Everything that decides which images come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplerState {
    /// The run's seed.
    pub seed: u64,
    /// Epochs completed.
    pub epoch: u64,
    /// Images of this epoch that were handed out.
    pub offset: u64,
}

/// Hands out each image once an epoch, in batches; what does not fill a batch at an epoch's end is left out.
#[derive(Debug, Clone)]
pub struct Sampler {
    order: Vec<u32>,
    batch: usize,
    state: SamplerState,
}

impl Sampler {
    /// A sampler over `samples` images, going on from `state`.
    pub fn new(samples: usize, batch: usize, state: SamplerState) -> Result<Self, DataError> {
        if batch == 0 || batch > samples {
            return Err(DataError::BatchSize { batch, samples });
        }
        if state.offset > samples as u64 {
            return Err(DataError::Position { offset: state.offset, samples });
        }
        let mut sampler = Self { order: (0..samples as u32).collect(), batch, state };
        sampler.shuffle();
        Ok(sampler)
    }

    /// Where it is.
    pub const fn state(&self) -> SamplerState {
        self.state
    }

    /// The next batch's images.
    pub fn next_batch(&mut self) -> &[u32] {
        let start = self.state.offset as usize;
        let start = if start + self.batch > self.order.len() {
            self.state = SamplerState { epoch: self.state.epoch + 1, offset: 0, ..self.state };
            self.shuffle();
            0
        } else {
            start
        };
        self.state.offset = (start + self.batch) as u64;
        &self.order[start..start + self.batch]
    }

    /// Fisher-Yates, from the seed and the epoch alone: any epoch can be made without those before it.
    fn shuffle(&mut self) {
        let mut random = SplitMix(self.state.seed ^ self.state.epoch.wrapping_mul(0xD134_2543_DE82_EF95));
        for (i, index) in self.order.iter_mut().enumerate() {
            *index = i as u32;
        }
        for i in (1..self.order.len()).rev() {
            self.order.swap(i, random.below(i as u64 + 1) as usize);
        }
    }
}

/// Whether image `index` is mirrored in this epoch: half of them are, others in each epoch. From the place alone, so that a
/// resumed run mirrors the same ones.
pub fn flipped(seed: u64, epoch: u64, index: u32) -> bool {
    // Another stream than the shuffle's.
    let mut random = SplitMix(!seed ^ epoch.wrapping_mul(0xD134_2543_DE82_EF95));
    let of_epoch = random.next();
    SplitMix(of_epoch ^ u64::from(index)).next() >> 63 == 1
}

/// SplitMix64 (Steele, Lea & Flood 2014): small, and the same everywhere and for ever.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform below `bound`: the high half of a 128-bit product, whose bias at these sizes is below 2⁻³².
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: SamplerState = SamplerState { seed: 7, epoch: 0, offset: 0 };

    #[test]
    fn epochs_differ_and_seeds_differ() {
        let first = |state| Sampler::new(100, 50, state).unwrap().next_batch().to_vec();
        assert_ne!(first(START), first(SamplerState { epoch: 1, ..START }));
        assert_ne!(first(START), first(SamplerState { seed: 8, ..START }));
        assert_eq!(first(START), first(START));
    }

    #[test]
    fn a_batch_larger_than_the_data_is_refused() {
        let message = Sampler::new(3, 4, START).unwrap_err().to_string();
        assert_eq!(message, "batch_size = 4 is more than the 3 images of the data set; lower it");
    }

    #[test]
    fn a_position_past_the_data_is_refused() {
        assert!(Sampler::new(3, 2, SamplerState { offset: 3, ..START }).is_ok());
        let message = Sampler::new(3, 2, SamplerState { offset: u64::MAX, ..START }).unwrap_err().to_string();
        assert!(message.starts_with("cannot go on after 18446744073709551615 images of an epoch"), "{message}");
    }

    proptest! {
        #[test]
        fn each_image_comes_once_an_epoch(samples in 1..200_usize, batch in 1..50_usize, seed: u64) {
            prop_assume!(batch <= samples);
            let mut sampler = Sampler::new(samples, batch, SamplerState { seed, ..START }).unwrap();
            let mut met = vec![0; samples];
            for _ in 0..samples / batch {
                sampler.next_batch().iter().for_each(|&i| met[i as usize] += 1);
            }
            prop_assert!(met.iter().all(|&m| m <= 1));
            prop_assert_eq!(met.iter().sum::<usize>(), samples / batch * batch);
        }

        #[test]
        fn any_state_continues_as_if_uninterrupted(samples in 2..100_usize, batch in 1..20_usize, pause in 0..30_usize) {
            prop_assume!(batch <= samples);
            let mut whole = Sampler::new(samples, batch, START).unwrap();
            for _ in 0..pause {
                whole.next_batch();
            }
            let mut resumed = Sampler::new(samples, batch, whole.state()).unwrap();
            for _ in 0..5 {
                prop_assert_eq!(whole.next_batch(), resumed.next_batch());
            }
        }
    }
}
