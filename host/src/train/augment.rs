//! What D sees of an image: random, differentiable transforms, always or with a probability that adapts.
//!
//! Every draw is a tensor on the device, and so is the probability: nothing waits for the host.

use tandem_plugin_api::gan::{Augmentation, Transform};
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

use super::TrainError;

/// Steps of D between two changes of the probability (Karras et al. 2020, section 3).
const INTERVAL: u64 = 4;
/// Images in which the probability can go from 0 to 1 (the same).
const IMAGES_TO_FULL: f64 = 500_000.0;
/// How far a translation goes, in parts of the image (Zhao et al. 2020).
const SHIFT: f64 = 0.125;
/// The side of what is cut out, in parts of the image (the same).
const HOLE: f64 = 0.5;

/// The transforms of a definition, with the probability if it adapts.
#[derive(Debug)]
pub struct Augment {
    transforms: Vec<Transform>,
    adaptive: Option<Adaptive>,
}

#[derive(Debug)]
struct Adaptive {
    target: f64,
    /// A number on the device.
    probability: Tensor,
    /// The sum of `E sign(D(x))` since the last change, on the device.
    signs: Tensor,
}

impl Augment {
    /// The transforms of a definition; an adaptive probability starts at 0.
    pub fn new(augmentation: &Augmentation, kind: Kind, device: Device) -> Result<Self, TrainError> {
        let number = || Tensor::f_zeros([0_i64; 0], (kind, device));
        let adaptive = augmentation
            .target
            .map(|target| Ok::<_, TrainError>(Adaptive { target, probability: number()?, signs: number()? }));
        Ok(Self { transforms: augmentation.transforms.clone(), adaptive: adaptive.transpose()? })
    }

    /// Sets an adaptive probability.
    pub fn set_probability(&mut self, probability: f64) -> Result<(), TrainError> {
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.probability = adaptive.probability.f_full_like(probability)?;
        }
        Ok(())
    }

    /// Moves an adaptive probability after a step of D, towards more where more than the target of the real scores
    /// are positive.
    pub fn observe(&mut self, real_scores: &Tensor, steps_taken: u64) -> Result<(), TrainError> {
        let Some(adaptive) = &mut self.adaptive else { return Ok(()) };
        let _guard = tch::no_grad_guard();
        // In place: a recorded round reads and writes the same memory each time.
        let _ = adaptive.signs.f_add_(&real_scores.f_sign()?.f_mean(None)?)?;
        if steps_taken.is_multiple_of(INTERVAL) {
            let images = INTERVAL as f64 * real_scores.size().first().copied().unwrap_or(0) as f64;
            let surplus = adaptive.signs.f_sub_scalar(adaptive.target * INTERVAL as f64)?;
            let change = surplus.f_sign()?.f_mul_scalar(images / IMAGES_TO_FULL)?;
            let _ = adaptive.probability.f_add_(&change)?.f_clamp_(0.0, 1.0)?;
            let _ = adaptive.signs.f_zero_()?;
        }
        Ok(())
    }

    /// Whether the probability moves after the step of D that is `steps_taken`'s last.
    pub(super) const fn is_due(&self, steps_taken: u64) -> bool {
        self.adaptive.is_some() && steps_taken.is_multiple_of(INTERVAL)
    }

    /// What a checkpoint must keep, by name.
    pub fn state(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        self.adaptive.iter().flat_map(|a| [("augment.probability", &a.probability), ("augment.signs", &a.signs)])
    }

    /// Sets one of [`Self::state`].
    pub fn set_state(&mut self, name: &str, value: &Tensor) -> Result<(), TrainError> {
        if let Some(adaptive) = &mut self.adaptive {
            let to = if name == "augment.signs" { &mut adaptive.signs } else { &mut adaptive.probability };
            to.f_copy_(value)?;
        }
        Ok(())
    }
}

/// The eyes of D for one step: a definition's transforms with the stream that they draw from.
#[derive(Debug)]
pub struct View<'a> {
    augment: &'a Augment,
    /// The stream.
    pub noise: &'a mut Generator,
}

impl<'a> View<'a> {
    /// Transforms that draw from `noise`; from none, where there are none.
    pub const fn new(augment: &'a Augment, noise: &'a mut Generator) -> Self {
        Self { augment, noise }
    }

    /// What D sees of `images` `[N, C, H, W]`, drawn anew; differentiable.
    pub fn of(&mut self, images: &Tensor) -> Result<Tensor, TrainError> {
        let mut seen = images.shallow_clone();
        for &transform in &self.augment.transforms {
            let changed = self.transform(transform, &seen)?;
            seen = match &self.augment.adaptive {
                None => changed,
                Some(adaptive) => {
                    let drawn = self.uniform(&seen, [seen.size()[0], 1, 1, 1], 0.0, 1.0)?;
                    changed.f_where_self(&drawn.f_lt_tensor(&adaptive.probability)?, &seen)?
                }
            };
        }
        Ok(seen)
    }

    fn transform(&mut self, transform: Transform, images: &Tensor) -> Result<Tensor, TrainError> {
        let one = [images.size()[0], 1, 1, 1];
        Ok(match transform {
            Transform::Brightness => images.f_add(&self.uniform(images, one, -0.5, 0.5)?)?,
            Transform::Saturation => {
                let factor = self.uniform(images, one, 0.0, 2.0)?;
                spread(images, &images.f_mean_dim(&[1_i64][..], true, None)?, &factor)?
            }
            Transform::Contrast => {
                let factor = self.uniform(images, one, 0.5, 1.5)?;
                spread(images, &images.f_mean_dim(&[1_i64, 2, 3][..], true, None)?, &factor)?
            }
            Transform::Translation => self.translate(images)?,
            Transform::Cutout => self.cut_out(images)?,
        })
    }

    fn uniform(&mut self, like: &Tensor, size: [i64; 4], low: f64, high: f64) -> Result<Tensor, TrainError> {
        let tensor = Tensor::f_empty(size, (like.kind(), like.device()))?;
        self.noise.uniform_(&tensor, low, high)?;
        Ok(tensor)
    }

    /// A whole number for each image, from `low` to below `high`, `[N, 1, 1, 1]`.
    fn whole(&mut self, like: &Tensor, low: i64, high: i64) -> Result<Tensor, TrainError> {
        let drawn = self.uniform(like, [like.size()[0], 1, 1, 1], low as f64, high as f64)?;
        // Rounding may reach the upper end itself.
        Ok(drawn.f_floor()?.f_clamp_max(high as f64 - 1.0)?)
    }

    /// Rows and columns moved by matrices of zeros and ones: exact, and differentiable as often as one likes.
    fn translate(&mut self, images: &Tensor) -> Result<Tensor, TrainError> {
        let size = images.size();
        let mut mover = |pixels: i64| -> Result<Tensor, TrainError> {
            let most = (pixels as f64 * SHIFT + 0.5) as i64;
            let by = self.whole(images, -most, most + 1)?;
            let at = positions(pixels, images)?;
            Ok(at
                .f_view([1, 1, pixels, 1])?
                .f_add(&by)?
                .f_eq_tensor(&at.f_view([1, 1, 1, pixels])?)?
                .f_to_kind(images.kind())?)
        };
        let (rows, columns) = (mover(size[2])?, mover(size[3])?);
        Ok(rows.f_matmul(images)?.f_matmul(&columns.f_transpose(-2, -1)?)?)
    }

    /// The square's middle is anywhere in the image, so that a part of it may lie outside.
    fn cut_out(&mut self, images: &Tensor) -> Result<Tensor, TrainError> {
        let size = images.size();
        let mut within = |pixels: i64, view: [i64; 4]| -> Result<Tensor, TrainError> {
            let side = (pixels as f64 * HOLE + 0.5) as i64;
            let first = self.whole(images, 0, pixels + 1 - side % 2)?.f_sub_scalar((side / 2) as f64)?;
            let from_first = positions(pixels, images)?.f_view(&view[..])?.f_sub(&first)?;
            Ok(from_first.f_ge(0.0)?.f_logical_and(&from_first.f_lt(side as f64)?)?)
        };
        let hole = within(size[2], [1, 1, -1, 1])?.f_logical_and(&within(size[3], [1, 1, 1, -1])?)?;
        Ok(images.f_mul(&hole.f_logical_not()?.f_to_kind(images.kind())?)?)
    }
}

/// `m + factor (x - m)`.
fn spread(images: &Tensor, middle: &Tensor, factor: &Tensor) -> Result<Tensor, TrainError> {
    Ok(middle.f_add(&images.f_sub(middle)?.f_mul(factor)?)?)
}

fn positions(pixels: i64, like: &Tensor) -> Result<Tensor, TrainError> {
    Ok(Tensor::f_arange(pixels, (like.kind(), like.device()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: i64 = 64;

    fn seen(transforms: &[Transform], images: &Tensor) -> Tensor {
        let augmentation = Augmentation { transforms: transforms.to_vec(), target: None };
        let augment = Augment::new(&augmentation, images.kind(), Device::Cpu).unwrap();
        let mut noise = Generator::new(Device::Cpu, 11).unwrap();
        View::new(&augment, &mut noise).of(images).unwrap()
    }

    fn images(channels: i64) -> Tensor {
        let images = Tensor::zeros([N, channels, 16, 12], (Kind::Double, Device::Cpu));
        Generator::new(Device::Cpu, 4).unwrap().uniform_(&images, -1.0, 1.0).unwrap();
        images
    }

    /// Of each image, its elements in a row.
    fn extremes(t: &Tensor) -> (f64, f64) {
        (t.min().double_value(&[]), t.max().double_value(&[]))
    }

    fn is_zero(t: &Tensor) -> bool {
        t.abs().max().double_value(&[]) < 1e-12
    }

    #[test]
    fn brightness_adds_one_number_to_an_image() {
        let x = images(3);
        let added = (seen(&[Transform::Brightness], &x) - &x).flatten(1, -1);
        assert!(is_zero(&(&added - added.mean_dim(1, true, None))));
        let (low, high) = extremes(&added);
        assert!((-0.5..-0.4).contains(&low) && (0.4..0.5).contains(&high), "{low} {high}");
    }

    #[test]
    fn saturation_and_contrast_scale_the_distance_from_a_mean_that_stays() {
        let x = images(3);
        for (transform, over, range) in
            [(Transform::Saturation, &[1_i64][..], (0.0, 2.0)), (Transform::Contrast, &[1, 2, 3], (0.5, 1.5))]
        {
            let y = seen(&[transform], &x);
            let middle = x.mean_dim(over, true, None);
            assert!(is_zero(&(y.mean_dim(over, true, None) - &middle)));
            let factor = ((y - &middle) / (&x - &middle)).flatten(1, -1);
            assert!((&factor - factor.mean_dim(1, true, None)).abs().median().double_value(&[]) < 1e-10);
            let (low, high) = extremes(&factor.mean_dim(1, false, None));
            assert!(low >= range.0 && high <= range.1 && high - low > 0.8 * (range.1 - range.0), "{low} {high}");
        }
    }

    #[test]
    fn translation_moves_by_whole_pixels_up_to_an_eighth() {
        let x = images(1);
        let y = seen(&[Transform::Translation], &x);
        let mut found = std::collections::BTreeSet::new();
        for n in 0..N {
            let (from, to) = (x.get(n).get(0), y.get(n).get(0));
            let moved = |dy: i64, dx: i64| {
                let padded = from.constant_pad_nd([2, 2, 2, 2]);
                padded.narrow(0, 2 + dy, 16).narrow(1, 2 + dx, 12)
            };
            let all = (-2..=2).flat_map(|dy| (-2..=2).map(move |dx| (dy, dx)));
            let by: Vec<_> = all.filter(|&(dy, dx)| is_zero(&(moved(dy, dx) - &to))).collect();
            assert_eq!(by.len(), 1, "{by:?}");
            found.extend(by);
        }
        assert!(found.len() > 15 && found.contains(&(2, 2)) | found.contains(&(-2, 2)), "{found:?}");
    }

    #[test]
    fn cutout_empties_a_square_of_half_the_size_and_nothing_else() {
        let x = images(2);
        let y = seen(&[Transform::Cutout], &x);
        let kept = y.ne(0.0).to_kind(Kind::Double);
        assert!(is_zero(&(&y - &x * &kept)));
        for n in 0..N {
            let hole = kept.get(n).get(0).neg() + 1.0;
            let (rows, columns) = (hole.amax([1], false).sum(None), hole.amax([0], false).sum(None));
            let area = hole.sum(None).double_value(&[]);
            assert_eq!(area, (&rows * &columns).double_value(&[]));
            assert!((4.0..=8.0).contains(&rows.double_value(&[])) && (3.0..=6.0).contains(&columns.double_value(&[])));
        }
        let whole = (kept.neg() + 1.0).sum_dim_intlist(&[1_i64, 2, 3][..], false, None);
        assert_eq!(extremes(&whole).1, 2.0 * 8.0 * 6.0);
    }

    fn adaptive(target: f64) -> Augment {
        let augmentation = Augmentation { transforms: vec![Transform::Cutout], target: Some(target) };
        Augment::new(&augmentation, Kind::Double, Device::Cpu).unwrap()
    }

    #[test]
    fn the_probability_follows_the_share_of_positive_scores() {
        let (sure, unsure) = (Tensor::from_slice(&[1.0, 2.0, 0.1, -3.0]), Tensor::from_slice(&[1.0, -2.0, 0.1, -3.0]));
        let mut augment = adaptive(0.3);
        let p = |a: &Augment| a.state().next().unwrap().1.double_value(&[]);
        for step in 1..=40 {
            augment.observe(&sure, step).unwrap();
            // Sixteen images in four steps.
            assert!((p(&augment) - (step / 4 * 16) as f64 / IMAGES_TO_FULL).abs() < 1e-15);
        }
        for step in 41..=400 {
            augment.observe(&unsure, step).unwrap();
        }
        assert_eq!(p(&augment), 0.0);
    }

    #[test]
    fn the_probability_is_each_images_own() {
        let x = images(1);
        let mut noise = Generator::new(Device::Cpu, 1).unwrap();
        for (probability, changed) in [(0.0, 0..=0), (0.5, 20..=44), (1.0, N..=N)] {
            let mut augment = adaptive(0.6);
            augment.set_probability(probability).unwrap();
            let y = View::new(&augment, &mut noise).of(&x).unwrap();
            let count = (y - &x).flatten(1, -1).abs().amax([1], false).gt(0.0).sum(Kind::Int64).int64_value(&[]);
            assert!(changed.contains(&count), "{probability}: {count}");
        }
    }
}
