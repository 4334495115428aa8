//! How a parameter gets its first values.

use std::{fmt, str::FromStr};

/// A weight initialiser; names and formulas as in `torch.nn.init`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// `N(mean, std²)`.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation; not negative.
        std: f64,
    },
    /// `U(low, high)`.
    Uniform {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// One value everywhere.
    Constant(f64),
    /// PyTorch's default for convolution and linear layers, weight and bias alike: `U(-1/√fan_in, 1/√fan_in)`.
    FanIn,
    /// Glorot & Bengio 2010: `U(-a, a)`, `a = gain·√(6 / (fan_in + fan_out))`.
    XavierUniform {
        /// The gain.
        gain: f64,
    },
    /// He et al. 2015: `N(0, gain² / fan_in)`.
    KaimingNormal {
        /// The gain, `√2` for ReLU.
        gain: f64,
    },
    /// Saxe et al. 2014: a (semi-)orthogonal matrix times `gain`.
    Orthogonal {
        /// The gain.
        gain: f64,
    },
}

impl Init {
    /// Zeros.
    pub const ZEROS: Self = Self::Constant(0.0);
    /// Ones.
    pub const ONES: Self = Self::Constant(1.0);

    /// `N(mean, std²)`.
    pub const fn normal(mean: f64, std: f64) -> Self {
        Self::Normal { mean, std }
    }

    /// Whether its numbers make sense: finite, and a spread or gain that is not negative.
    pub fn is_valid(self) -> bool {
        match self {
            Self::Normal { mean, std } => mean.is_finite() && std.is_finite() && std >= 0.0,
            Self::Uniform { low, high } => low.is_finite() && high.is_finite() && low <= high,
            Self::Constant(c) => c.is_finite(),
            Self::FanIn => true,
            Self::XavierUniform { gain } | Self::KaimingNormal { gain } | Self::Orthogonal { gain } => {
                gain.is_finite() && gain >= 0.0
            }
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal { mean, std } => write!(f, "normal({mean:?}, {std:?})"),
            Self::Uniform { low, high } => write!(f, "uniform({low:?}, {high:?})"),
            Self::Constant(c) => write!(f, "constant({c:?})"),
            Self::FanIn => f.write_str("fan_in()"),
            Self::XavierUniform { gain } => write!(f, "xavier_uniform({gain:?})"),
            Self::KaimingNormal { gain } => write!(f, "kaiming_normal({gain:?})"),
            Self::Orthogonal { gain } => write!(f, "orthogonal({gain:?})"),
        }
    }
}

impl FromStr for Init {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no initialiser: expected normal(mean, std), uniform(low, high), constant(value), fan_in(), \
                 xavier_uniform(gain), kaiming_normal(gain) or orthogonal(gain), with finite numbers"
            )
        };
        let (name, rest) = text.split_once('(').ok_or_else(wrong)?;
        let inner = rest.strip_suffix(')').ok_or_else(wrong)?.trim();
        let numbers = if inner.is_empty() {
            Vec::new()
        } else {
            inner.split(',').map(|n| n.trim().parse::<f64>()).collect::<Result<_, _>>().map_err(|_| wrong())?
        };
        let init = match (name, numbers.as_slice()) {
            ("normal", &[mean, std]) => Self::Normal { mean, std },
            ("uniform", &[low, high]) => Self::Uniform { low, high },
            ("constant", &[c]) => Self::Constant(c),
            ("fan_in", &[]) => Self::FanIn,
            ("xavier_uniform", &[gain]) => Self::XavierUniform { gain },
            ("kaiming_normal", &[gain]) => Self::KaimingNormal { gain },
            ("orthogonal", &[gain]) => Self::Orthogonal { gain },
            _ => return Err(wrong()),
        };
        if init.is_valid() { Ok(init) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for init in [
            Init::normal(0.0, 0.02),
            Init::Uniform { low: -1.0, high: 1e-3 },
            Init::ONES,
            Init::FanIn,
            Init::XavierUniform { gain: 1.0 },
            Init::KaimingNormal { gain: 2f64.sqrt() },
            Init::Orthogonal { gain: 1.0 },
        ] {
            assert_eq!(init.to_string().parse::<Init>().unwrap(), init);
        }
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for text in ["normal(0)", "normal(0, -1)", "normal(0, NaN)", "constant(inf)", "gauss(0, 1)", "normal(0, 1", ""]
        {
            assert!(text.parse::<Init>().is_err(), "{text}");
        }
    }
}
