//! What is drawn from a generator: latents by seed, truncated or between others, and classes.

use tandem_plugin_api::{Gan, Latent};
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

use super::SessionError;
use crate::train::draw_latents;

/// Latents and classes to draw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draw {
    /// How many.
    pub count: usize,
    /// Seed of the latents.
    pub seed: u64,
    /// The classes, taken in turn; all where there are none, and none may be where G takes no class.
    pub classes: Vec<i64>,
    /// Latents come from a normal distribution that ends here on both sides (the truncation trick of Brock et al. 2019,
    /// where components beyond it are drawn again: the same distribution).
    pub truncation: Option<f64>,
}

/// The way from one latent to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// Straight: `(1 - t) a + t b`.
    Linear,
    /// Along the arc (Shoemake 1985; for latents White 2016), so that lengths between are as likely as the ends'.
    Spherical,
}

impl Draw {
    /// Latents `[count, z]`.
    pub(super) fn latents(&self, gan: &Gan, kind: Kind, device: Device) -> Result<Tensor, SessionError> {
        let mut noise = Generator::new(device, self.seed)?;
        let size = [self.count as i64, gan.latent_size()];
        let Some(end) = self.truncation else {
            return Ok(draw_latents(gan.latent, size, (kind, device), &mut noise)?);
        };
        if gan.latent != Latent::Normal {
            let why =
                "latents of this generator are uniform in [-1, 1], which nothing truncates; leave --truncation out";
            return Err(SessionError::Sample(why.into()));
        }
        // By the inverse of the distribution: a uniform number between what lies below -end and below end.
        let uniform = Tensor::f_empty(size, (Kind::Double, device))?;
        noise.uniform_(&uniform, -1.0, 1.0)?;
        let most = Tensor::f_full([0_i64; 0], end / std::f64::consts::SQRT_2, (Kind::Double, device))?.f_erf()?;
        let latents = uniform.f_mul(&most)?.f_erfinv()?.f_mul_scalar(std::f64::consts::SQRT_2)?;
        Ok(latents.f_clamp(-end, end)?.f_to_kind(kind)?)
    }

    /// Classes `[count]`, where G takes classes.
    pub(super) fn labels(&self, gan: &Gan, device: Device) -> Result<Option<Tensor>, SessionError> {
        let Some(classes) = gan.classes().filter(|_| gan.generator.input("labels").is_some()) else {
            if self.classes.is_empty() {
                return Ok(None);
            }
            return Err(SessionError::Sample("this generator takes no classes; leave --classes out".into()));
        };
        if let Some(unknown) = self.classes.iter().find(|c| !(0..classes).contains(*c)) {
            return Err(SessionError::Sample(format!(
                "there is no class {unknown}: this generator knows 0 to {}",
                classes - 1
            )));
        }
        let all: Vec<i64> = if self.classes.is_empty() { (0..classes).collect() } else { self.classes.clone() };
        let labels: Vec<i64> = all.iter().copied().cycle().take(self.count).collect();
        Ok(Some(Tensor::f_from_slice(&labels)?.f_to_device(device)?))
    }
}

impl Between {
    /// What suits latents of this distribution.
    pub const fn of(latent: Latent) -> Self {
        match latent {
            Latent::Normal => Self::Spherical,
            Latent::Uniform => Self::Linear,
        }
    }

    /// From each of `[k, z]` to the next and from the last to the first, in `steps` steps each: `[k · steps, z]`, the given
    /// ones among them.
    pub fn path(self, latents: &Tensor, steps: usize) -> Result<Tensor, SessionError> {
        let count = latents.size()[0];
        let mut found = Vec::new();
        for from in 0..count {
            let (a, b) = (latents.f_get(from)?, latents.f_get((from + 1) % count)?);
            for step in 0..steps {
                found.push(self.at(&a, &b, step as f64 / steps as f64)?);
            }
        }
        Ok(Tensor::f_stack(&found, 0)?)
    }

    fn at(self, a: &Tensor, b: &Tensor, t: f64) -> Result<Tensor, SessionError> {
        let mix =
            |x: f64, y: f64| -> Result<Tensor, SessionError> { Ok(a.f_mul_scalar(x)?.f_add(&b.f_mul_scalar(y)?)?) };
        let lengths = a.f_norm()?.f_mul(&b.f_norm()?)?.f_double_value(&[])?;
        let cosine = a.f_dot(b)?.f_double_value(&[])? / lengths;
        let angle = cosine.clamp(-1.0, 1.0).acos();
        // Where both point the same way or opposite ones there is no one arc.
        if self == Self::Linear || !angle.is_finite() || angle.sin() < 1e-6 {
            return mix(1.0 - t, t);
        }
        mix(((1.0 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &Tensor, b: &[f64]) {
        let a: Vec<f64> = a.to_kind(Kind::Double).reshape([-1]).try_into().unwrap();
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} {b:?}");
    }

    #[test]
    fn an_arc_keeps_its_length_and_a_line_its_middle() {
        let ends = Tensor::from_slice(&[3.0_f64, 0.0, 0.0, 3.0]).reshape([2, 2]);
        let arc = Between::Spherical.path(&ends, 2).unwrap();
        let half = 3.0 / std::f64::consts::SQRT_2;
        close(&arc, &[3.0, 0.0, half, half, 0.0, 3.0, half, half]);
        close(&Between::Linear.path(&ends, 2).unwrap().get(1), &[1.5, 1.5]);
        let opposite = Tensor::from_slice(&[1.0_f64, -1.0]).reshape([2, 1]);
        close(&Between::Spherical.path(&opposite, 2).unwrap(), &[1.0, 0.0, -1.0, 0.0]);
    }
}
