//! The weights of a step: those under spectral norm divided, and those of matrix products in a narrower precision.
//!
//! Spectral norm (Miyato et al. 2018) divides each marked weight by its largest singular value.
//! As in `torch.nn.utils.spectral_norm`, one power iteration on `u` and `v` estimates the value. A training step
//! iterates once and uses one σ for real and fake samples alike, so that both meet the same D.

use tandem_plugin_api::opset::Op;
use tch::{Kind, Tensor};

use super::{Compiled, NetworkError, compiled::Slot};

/// PyTorch's guard against a zero vector.
const EPS: f64 = 1e-12;

/// The weights that a pass uses in place of the stored ones; gradients flow through them to the stored ones.
#[derive(Debug, Default)]
pub struct Weights {
    /// `(index of the learned tensor, what stands for it)`.
    stand_ins: Vec<(usize, Tensor)>,
}

impl Weights {
    pub(super) fn get(&self, learned: usize) -> Option<&Tensor> {
        self.stand_ins.iter().find(|(i, _)| *i == learned).map(|(_, t)| t)
    }
}

/// A weight under spectral norm: where it and its two vectors are, and which dimension holds the rows.
struct Marked {
    weight: usize,
    u: Slot,
    v: Slot,
    rows: i64,
}

impl Compiled {
    fn marked(&self) -> impl Iterator<Item = Marked> + '_ {
        self.steps.iter().filter_map(|step| {
            let rows = match step.op {
                Op::Conv2d { spectral_norm: true, .. }
                | Op::Linear { spectral_norm: true, .. }
                | Op::Embedding { spectral_norm: true, .. } => 0,
                Op::ConvTranspose2d { spectral_norm: true, .. } => 1,
                _ => return None,
            };
            // `opset::parameters` puts the weight first and the two vectors last.
            match step.slots[..] {
                [Slot::Learned(weight), .., u, v] => Some(Marked { weight, u, v, rows }),
                _ => None,
            }
        })
    }

    /// The weights for the passes that follow. `iterate` runs one power iteration first: once a training step.
    pub fn weights(&self, iterate: bool) -> Result<Weights, NetworkError> {
        let normalised = self.marked().map(|m| {
            let weight = &self.learned()[m.weight];
            let matrix = as_matrix(weight, m.rows)?;
            if iterate {
                self.power_iteration(&m, &matrix)?;
            }
            // Copies: the next iteration must not change what this step's graph remembers.
            let (u, v) = (self.slot(m.u).f_detach_copy()?, self.slot(m.v).f_detach_copy()?);
            let sigma = u.f_dot(&matrix.f_mv(&v)?)?;
            Ok((m.weight, weight.f_div(&sigma)?))
        });
        let mut weights = Weights { stand_ins: normalised.collect::<Result<_, NetworkError>>()? };
        if let Some(narrow) = self.autocast() {
            self.narrow(&mut weights, narrow)?;
        }
        Ok(weights)
    }

    /// Rounds the weights and biases of convolutions and linear layers once a step, not once a pass.
    fn narrow(&self, weights: &mut Weights, kind: Kind) -> Result<(), NetworkError> {
        for step in self.steps.iter().filter(|s| multiplies(&s.op)) {
            for slot in &step.slots {
                let Slot::Learned(i) = *slot else { continue };
                let narrowed = weights.get(i).unwrap_or(&self.learned()[i]).f_to_kind(kind)?;
                weights.stand_ins.retain(|(learned, _)| *learned != i);
                weights.stand_ins.push((i, narrowed));
            }
        }
        Ok(())
    }

    fn power_iteration(&self, marked: &Marked, matrix: &Tensor) -> Result<(), NetworkError> {
        let _guard = tch::no_grad_guard();
        let (mut u, mut v) = (self.slot(marked.u).shallow_clone(), self.slot(marked.v).shallow_clone());
        v.f_copy_(&unit(&matrix.f_transpose(0, 1)?.f_mv(&u)?)?)?;
        u.f_copy_(&unit(&matrix.f_mv(&v)?)?)?;
        Ok(())
    }

    /// Brings freshly drawn vectors to length 1.
    pub(super) fn normalise_spectral_vectors(&self) -> Result<(), NetworkError> {
        for marked in self.marked() {
            for slot in [marked.u, marked.v] {
                let mut vector = self.slot(slot).shallow_clone();
                let length_one = unit(&vector)?;
                vector.f_copy_(&length_one)?;
            }
        }
        Ok(())
    }
}

/// The operations that autocast computes in the narrower precision, where their tensors are.
const fn multiplies(op: &Op) -> bool {
    matches!(op, Op::Conv2d { .. } | Op::ConvTranspose2d { .. } | Op::Linear { .. })
}

fn as_matrix(weight: &Tensor, rows: i64) -> Result<Tensor, NetworkError> {
    let weight = if rows == 0 { weight.shallow_clone() } else { weight.f_transpose(0, rows)? };
    Ok(weight.f_flatten(1, -1)?)
}

fn unit(vector: &Tensor) -> Result<Tensor, NetworkError> {
    Ok(vector.f_div(&vector.f_norm()?.f_clamp_min(EPS)?)?)
}
