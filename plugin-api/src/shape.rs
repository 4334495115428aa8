//! Shapes with a symbolic batch: `[N, 64, 16, 16]`, and the broadcasting rule.

use std::fmt;

/// Largest size of one dimension, and of a sample's element count, that a definition may ask for.
pub const MAX_ELEMENTS: i64 = 1 << 31;

/// One dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dim {
    /// The batch, known only when a step runs. Printed `N`.
    Batch,
    /// A size known from the definition; at least 1.
    Size(i64),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch => f.write_str("N"),
            Self::Size(n) => write!(f, "{n}"),
        }
    }
}

/// A tensor's dimensions, outermost first, as in PyTorch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(pub Vec<Dim>);

impl Shape {
    /// The shape of a number.
    pub const fn scalar() -> Self {
        Self(Vec::new())
    }

    /// `[N, sizes…]`.
    pub fn batched(sizes: &[i64]) -> Self {
        Self(std::iter::once(Dim::Batch).chain(sizes.iter().map(|&n| Dim::Size(n))).collect())
    }

    /// `[sizes…]`, without a batch.
    pub fn fixed(sizes: &[i64]) -> Self {
        Self(sizes.iter().map(|&n| Dim::Size(n)).collect())
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Whether the first dimension is the batch.
    pub fn is_batched(&self) -> bool {
        self.0.first() == Some(&Dim::Batch)
    }

    /// The sizes after the batch (all sizes when there is none); `None` if the batch stands anywhere else.
    pub fn sample(&self) -> Option<Vec<i64>> {
        let rest = if self.is_batched() { &self.0[1..] } else { &self.0[..] };
        rest.iter().map(|d| if let Dim::Size(n) = d { Some(*n) } else { None }).collect()
    }

    /// Elements of one sample; the batch counts as 1.
    pub fn elements_per_sample(&self) -> i64 {
        self.0.iter().map(|d| if let Dim::Size(n) = d { *n } else { 1 }).product()
    }

    /// The concrete sizes for a batch of `batch`.
    pub fn with_batch(&self, batch: i64) -> Vec<i64> {
        self.0.iter().map(|d| if let Dim::Size(n) = d { *n } else { batch }).collect()
    }

    /// The shape of `self` and `other` combined element by element, or `None` if they do not broadcast.
    ///
    /// PyTorch's rule: aligned at the last dimension, equal sizes or a 1 on either side. The batch meets only
    /// itself, a 1 or nothing.
    pub fn broadcast(&self, other: &Self) -> Option<Self> {
        let rank = self.rank().max(other.rank());
        let at = |s: &Self, i: usize| (i + s.rank()).checked_sub(rank).map_or(Dim::Size(1), |k| s.0[k]);
        (0..rank)
            .map(|i| match (at(self, i), at(other, i)) {
                (a, b) if a == b => Some(a),
                (Dim::Size(1), d) | (d, Dim::Size(1)) => Some(d),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

/// What a tensor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Real numbers, in the precision of the run.
    Float,
    /// Class labels: 64-bit integers.
    Label,
}

/// Shape and element of a node's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorType {
    /// The shape.
    pub shape: Shape,
    /// What it holds.
    pub element: Element,
}

impl TensorType {
    /// Real numbers of a shape.
    pub const fn float(shape: Shape) -> Self {
        Self { shape, element: Element::Float }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_pytorch_and_keeps_the_batch_apart() {
        let scores = Shape::batched(&[]);
        assert_eq!(scores.broadcast(&Shape::scalar()), Some(scores.clone()));
        assert_eq!(Shape::batched(&[3, 1, 1]).broadcast(&Shape::fixed(&[3, 8, 8])), Some(Shape::batched(&[3, 8, 8])));
        assert_eq!(Shape::batched(&[3]).broadcast(&Shape::fixed(&[4])), None);
        // A batch is never silently taken for a size that happens to fit.
        assert_eq!(Shape::batched(&[]).broadcast(&Shape::fixed(&[64])), None);
    }

    #[test]
    fn prints_the_batch_as_n() {
        assert_eq!(Shape::batched(&[64, 16, 16]).to_string(), "[N, 64, 16, 16]");
        assert_eq!(Shape::scalar().to_string(), "[]");
    }
}
