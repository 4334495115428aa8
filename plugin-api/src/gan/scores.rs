//! What a loss is written over.

use crate::{Builder, Error, Network, Tensor, shape::Shape};

/// The scores of one batch, raw (no sigmoid): `real` and `fake`, each `[N]` for one score a sample.
#[derive(Debug)]
pub struct Scores {
    /// `D(x)`.
    pub real: Tensor,
    /// `D(G(z))`.
    pub fake: Tensor,
    builder: Builder,
}

impl Scores {
    /// A loss state's present value, one number.
    pub fn state(&self, name: &str) -> Tensor {
        self.builder.scalar(name)
    }

    /// The class labels `[N]`.
    pub fn labels(&self) -> Tensor {
        self.builder.labels()
    }
}

/// The graph of a loss over scores of this shape.
pub(super) fn loss_graph(score: &Shape, loss: impl Fn(&Scores) -> Tensor) -> Result<Network, Error> {
    let builder = Builder::new();
    let sizes = score.sample().unwrap_or_default();
    let scores =
        Scores { real: builder.input("real", &sizes), fake: builder.input("fake", &sizes), builder: builder.clone() };
    let output = loss(&scores);
    builder.finish(&output)
}
