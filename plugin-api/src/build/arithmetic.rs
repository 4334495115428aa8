//! Operators, functions and everything about shape: what PyTorch keeps in `torch.` itself.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Tensor;
use crate::opset::Op;

macro_rules! functions {
    ($($(#[$doc:meta])+ $name:ident => $op:ident;)+) => {
        impl Tensor { $( $(#[$doc])+ pub fn $name(&self) -> Self { self.apply(Op::$op {}) } )+ }
    };
}

functions! {
    /// `max(x, 0)`.
    relu => Relu;
    /// `x · Φ(x)`.
    gelu => Gelu;
    /// `x · σ(x)`.
    silu => Silu;
    /// `1 / (1 + e⁻ˣ)`.
    sigmoid => Sigmoid;
    /// The hyperbolic tangent.
    tanh => Tanh;
    /// `log(1 + eˣ)`, without overflow.
    softplus => Softplus;
    /// `|x|`.
    abs => Abs;
    /// `x²`.
    square => Square;
    /// `√x`.
    sqrt => Sqrt;
    /// `eˣ`.
    exp => Exp;
    /// The natural logarithm.
    log => Log;
    /// `x`, through which no gradient flows.
    detach => Detach;
}

impl Tensor {
    /// `x` if positive, else `negative_slope · x`.
    pub fn leaky_relu(&self, negative_slope: f64) -> Self {
        self.apply(Op::LeakyRelu { negative_slope })
    }

    /// `x` if positive, else `alpha · (eˣ - 1)`.
    pub fn elu(&self, alpha: f64) -> Self {
        self.apply(Op::Elu { alpha })
    }

    /// Softmax over `dim`.
    pub fn softmax(&self, dim: i64) -> Self {
        self.apply(Op::Softmax { dim })
    }

    /// `x` to a constant power.
    pub fn pow(&self, exponent: f64) -> Self {
        self.apply(Op::Pow { exponent })
    }

    /// `x` held within `[min, max]`.
    pub fn clamp(&self, min: f64, max: f64) -> Self {
        self.apply(Op::Clamp { min, max })
    }

    /// The smaller of the two, broadcasting.
    pub fn minimum(&self, other: &Self) -> Self {
        self.apply_with(Op::Minimum {}, other)
    }

    /// The larger of the two, broadcasting.
    pub fn maximum(&self, other: &Self) -> Self {
        self.apply_with(Op::Maximum {}, other)
    }

    /// The matrix product over the last two dimensions.
    pub fn matmul(&self, other: &Self) -> Self {
        self.apply_with(Op::Matmul {}, other)
    }

    /// Joins tensors along a dimension other than the batch.
    pub fn concat(&self, others: &[&Self], dim: i64) -> Self {
        let all: Vec<&Self> = std::iter::once(self).chain(others.iter().copied()).collect();
        self.graph.push(Op::Concat { dim }, &all)
    }

    /// New sizes for each sample; the batch stays first.
    pub fn reshape(&self, sizes: &[i64]) -> Self {
        self.apply(Op::Reshape { shape: sizes.to_vec() })
    }

    /// `[N, …]` to `[N, features]`.
    pub fn flatten(&self) -> Self {
        self.apply(Op::Flatten { start_dim: 1 })
    }

    /// Reorders dimensions.
    pub fn permute(&self, dims: &[i64]) -> Self {
        self.apply(Op::Permute { dims: dims.to_vec() })
    }

    /// `x[start:end]` along `dim`.
    pub fn slice(&self, dim: i64, start: i64, end: i64) -> Self {
        self.apply(Op::Slice { dim, start, end, step: 1 })
    }

    /// The mean over everything: a number.
    pub fn mean(&self) -> Self {
        self.mean_over(&[], false)
    }

    /// The sum over everything: a number.
    pub fn sum(&self) -> Self {
        self.sum_over(&[], false)
    }

    /// The mean over `dims`.
    pub fn mean_over(&self, dims: &[i64], keepdim: bool) -> Self {
        self.apply(Op::Mean { dims: dims.to_vec(), keepdim })
    }

    /// The sum over `dims`.
    pub fn sum_over(&self, dims: &[i64], keepdim: bool) -> Self {
        self.apply(Op::Sum { dims: dims.to_vec(), keepdim })
    }

    /// The variance over `dims`; divides by `n - 1` if `unbiased`.
    pub fn var_over(&self, dims: &[i64], unbiased: bool, keepdim: bool) -> Self {
        self.apply(Op::Var { dims: dims.to_vec(), unbiased, keepdim })
    }

    /// `log Σ eˣ` over `dims`, without overflow.
    pub fn logsumexp(&self, dims: &[i64], keepdim: bool) -> Self {
        self.apply(Op::Logsumexp { dims: dims.to_vec(), keepdim })
    }

    /// Labels `[N]` to `[N, num_classes]`: a 1 at the label.
    pub fn one_hot(&self, num_classes: i64) -> Self {
        self.apply(Op::OneHot { num_classes })
    }

    fn number(&self, value: f64) -> Self {
        self.graph.constant(&[], &[value])
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident) => {
        impl $trait<&Tensor> for &Tensor {
            type Output = Tensor;
            fn $method(self, other: &Tensor) -> Tensor {
                self.apply_with(Op::$trait {}, other)
            }
        }
        impl $trait<Tensor> for Tensor {
            type Output = Tensor;
            fn $method(self, other: Tensor) -> Tensor {
                self.apply_with(Op::$trait {}, &other)
            }
        }
        impl $trait<&Tensor> for Tensor {
            type Output = Tensor;
            fn $method(self, other: &Tensor) -> Tensor {
                self.apply_with(Op::$trait {}, other)
            }
        }
        impl $trait<Tensor> for &Tensor {
            type Output = Tensor;
            fn $method(self, other: Tensor) -> Tensor {
                self.apply_with(Op::$trait {}, &other)
            }
        }
        impl $trait<f64> for &Tensor {
            type Output = Tensor;
            fn $method(self, other: f64) -> Tensor {
                self.apply_with(Op::$trait {}, &self.number(other))
            }
        }
        impl $trait<f64> for Tensor {
            type Output = Tensor;
            fn $method(self, other: f64) -> Tensor {
                $trait::$method(&self, other)
            }
        }
        impl $trait<&Tensor> for f64 {
            type Output = Tensor;
            fn $method(self, other: &Tensor) -> Tensor {
                other.number(self).apply_with(Op::$trait {}, other)
            }
        }
        impl $trait<Tensor> for f64 {
            type Output = Tensor;
            fn $method(self, other: Tensor) -> Tensor {
                $trait::$method(self, &other)
            }
        }
    };
}

operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);

impl Neg for &Tensor {
    type Output = Tensor;
    fn neg(self) -> Tensor {
        self.apply(Op::Neg {})
    }
}

impl Neg for Tensor {
    type Output = Tensor;
    fn neg(self) -> Tensor {
        -&self
    }
}
