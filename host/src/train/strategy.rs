//! The one-stage strategies: which are exact for a definition, and which the trainer takes.

use std::fmt;

use tandem_plugin_api::{Gan, Symmetry, network::describe, opset::parameters, shape::Shape};

use super::TrainError;

/// How one forward gives both networks' gradients (docs/one-stage.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Seeds `(g_r, g_f)`; what reaches the fakes is scaled by `γ = h / g_f` (Shen et al. 2021). 6 T^d.
    Scaled,
    /// Seeds `(g_r, u)`, `u` the larger of `g_f` and `h`; D's parameter gradients are scaled sample by sample. 6 T^d.
    Pivoted,
    /// Seeds `(g_r, g_f)` for D, then an input-only backward seeded with `h`. Exact for everything. 7 T^d.
    TwoSeed,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Scaled, Self::Pivoted, Self::TwoSeed];

    /// The name in configs and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scaled => "scaled",
            Self::Pivoted => "pivoted",
            Self::TwoSeed => "two-seed",
        }
    }

    /// Passes of D (`T^d`) in one step: forward, input gradient and weight gradient each count one.
    pub const fn discriminator_passes(self) -> f64 {
        match self {
            Self::Scaled | Self::Pivoted => 6.0,
            Self::TwoSeed => 7.0,
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A strategy and why it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The strategy.
    pub strategy: Strategy,
    /// One sentence for the report.
    pub reason: String,
}

/// Why a strategy cannot be used for `gan`, or `None` if it can.
///
/// `scaled` with an asymmetric loss is allowed for a D that is per sample, as in the paper, although it fails on a
/// fake with `g_f = 0`; the trainer never takes it by itself.
pub fn obstacle(gan: &Gan, strategy: Strategy) -> Option<String> {
    if strategy == Strategy::TwoSeed {
        return None;
    }
    if strategy == Strategy::Scaled && gan.symmetry == Symmetry::Symmetric {
        return None;
    }
    if let Some(op) = gan.discriminator.batch_coupling() {
        return Some(format!(
            "{} in D mixes the samples of a batch, so scaling a sample's gradient is not scaling its seed",
            describe(op)
        ));
    }
    if gan.score_shape() != Shape::batched(&[]) {
        return Some(format!("D gives a map of scores {}, so there is no one factor for a sample", gan.score_shape()));
    }
    if strategy != Strategy::Pivoted {
        return None;
    }
    let network = &gan.discriminator;
    // A free parameter, or a layer over one: its gradient is of the whole batch, and no sample's factor scales it.
    let free = network.nodes().iter().find(|n| {
        let types = network.input_types(n);
        !parameters(&n.op, &types).is_empty() && !types.iter().any(|t| t.shape.is_batched())
    });
    free.map(|node| format!("{} in D has no sample to which its gradient belongs", describe(&node.op)))
}

/// The cheapest strategy that is exact for `gan`, or the one that was asked for if it is.
pub fn choose(gan: &Gan, asked: Option<Strategy>) -> Result<Choice, TrainError> {
    if let Some(strategy) = asked {
        return match obstacle(gan, strategy) {
            None => Ok(Choice { strategy, reason: "asked for in the config".into() }),
            Some(why) => Err(TrainError::Refused(format!(
                "strategy `{strategy}` would give wrong gradients: {why}; use `two-seed` or `auto`"
            ))),
        };
    }
    if gan.symmetry == Symmetry::Symmetric {
        let reason = "the losses are symmetric: γ = -1 for every sample, exact for any D".into();
        return Ok(Choice { strategy: Strategy::Scaled, reason });
    }
    Ok(match obstacle(gan, Strategy::Pivoted) {
        None => Choice {
            strategy: Strategy::Pivoted,
            reason: "D treats samples independently: exact for any loss, at any score".into(),
        },
        Some(why) => Choice { strategy: Strategy::TwoSeed, reason: why },
    })
}
