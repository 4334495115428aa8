//! The resolved configuration as Rust types. Serialised, it is a config file again; how it came about is elsewhere.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// How a step gets its gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stages {
    /// One forward, one backward, both updates.
    One,
    /// D's step, then G's through the updated D.
    Two,
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "one",
            Self::Two => "two",
        })
    }
}

/// Which exact one-stage strategy to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The cheapest that is exact for this definition.
    Auto,
    /// One backward seeded by D's loss, scaled per sample where it enters G.
    Scaled,
    /// One backward seeded by the larger of both, D's parameter gradients scaled per sample.
    Pivoted,
    /// Two backward passes through D from one forward.
    TwoSeed,
}

/// In which precision matrix products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As everything else.
    #[default]
    Float32,
    /// Eight bits of mantissa in float32's range.
    BFloat16,
    /// Eleven bits of mantissa; seeds are scaled so that gradients stay in range.
    Float16,
}

impl Precision {
    /// The name in configs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::BFloat16 => "bfloat16",
            Self::Float16 => "float16",
        }
    }

    /// Whether it is the one that a stored configuration leaves out, which older ones do not know.
    pub fn is_float32(&self) -> bool {
        *self == Self::Float32
    }
}

/// What both learning rates are multiplied by (`tandem_plugin_api::gan::Schedule` says how).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Schedule {
    /// 1 throughout.
    #[default]
    Constant,
    /// Times `gamma` from each milestone on.
    MultiStep {
        /// Steps, ascending.
        milestones: Vec<i64>,
        /// The factor of each.
        #[serde(default = "gamma")]
        gamma: f64,
    },
    /// Down a line.
    Linear(Span),
    /// Down half a cosine.
    Cosine(Span),
}

impl Schedule {
    /// Whether it is the one that a stored configuration leaves out, which older ones do not know.
    pub fn is_constant(&self) -> bool {
        *self == Self::Constant
    }
}

/// From where to where a rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The first step of the fall.
    #[serde(default)]
    pub start: i64,
    /// The step at which it is over; set when a configuration is resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
    /// What is left then.
    #[serde(default)]
    pub factor: f64,
}

/// `MultiStepLR`'s default.
const fn gamma() -> f64 {
    0.1
}

/// Steps with more updates of D.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriticBoost {
    /// Updates of D in such a step.
    pub n_critic: i64,
    /// How many steps at first.
    #[serde(default)]
    pub first: i64,
    /// Every how many steps later; 0 for never.
    #[serde(default)]
    pub every: i64,
}

/// What is done to images on their way to D; what is not set is the plugin's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Augment {
    /// The transforms' names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transforms: Option<Vec<String>>,
    /// The mean sign of D's real scores that an adaptive probability holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
}

impl Augment {
    /// Whether all of it is the plugin's.
    pub const fn is_unset(&self) -> bool {
        self.transforms.is_none() && self.target.is_none()
    }
}

/// Evaluation while training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluate {
    /// Steps between evaluations; 0 for none.
    pub every: u64,
    /// Images to draw.
    pub samples: usize,
    /// A known extractor's name, or an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extractor: Option<String>,
    /// The metrics' names.
    pub metrics: Vec<String>,
    /// The metric by which a checkpoint is best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_best: Option<String>,
    /// Evaluations without a better one after which training stops; 0 for never.
    pub patience: u64,
}

impl Default for Evaluate {
    fn default() -> Self {
        let metrics = vec!["fid".to_owned(), "kid".to_owned()];
        Self { every: 0, samples: 10_000, extractor: None, metrics, keep_best: None, patience: 0 }
    }
}

impl Evaluate {
    /// Whether it is what a stored configuration leaves out, which older ones do not know.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Device {
    /// CUDA when there is any, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// This CUDA device.
    Cuda(usize),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("{text:?} is not a device")),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

/// An optimizer and its settings; definitions and defaults are PyTorch's, but for Adam's betas.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "optimizer", rename_all = "lowercase")]
pub enum Optimizer {
    /// Kingma & Ba 2015, `torch.optim.Adam`.
    Adam {
        /// The learning rate.
        learning_rate: f64,
        /// Decay of the two moments.
        #[serde(default = "betas")]
        betas: [f64; 2],
        /// Added to the denominator.
        #[serde(default = "eps")]
        eps: f64,
        /// L2 penalty added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// `torch.optim.RMSprop`, without momentum and not centred.
    RmsProp {
        /// The learning rate.
        learning_rate: f64,
        /// Decay of the squared gradient's mean.
        #[serde(default = "alpha")]
        alpha: f64,
        /// Added to the denominator.
        #[serde(default = "eps")]
        eps: f64,
        /// L2 penalty added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// `torch.optim.SGD`.
    Sgd {
        /// The learning rate.
        learning_rate: f64,
        /// The momentum.
        #[serde(default)]
        momentum: f64,
        /// Nesterov's form of it.
        #[serde(default)]
        nesterov: bool,
        /// L2 penalty added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
}

impl Optimizer {
    /// Adam with these settings, the rest at their defaults.
    pub const fn adam(learning_rate: f64, betas: [f64; 2]) -> Self {
        Self::Adam { learning_rate, betas, eps: eps(), weight_decay: 0.0 }
    }

    /// RMSprop with this rate, the rest at their defaults.
    pub const fn rmsprop(learning_rate: f64) -> Self {
        Self::RmsProp { learning_rate, alpha: alpha(), eps: eps(), weight_decay: 0.0 }
    }

    /// SGD with these settings, the rest at their defaults.
    pub const fn sgd(learning_rate: f64, momentum: f64) -> Self {
        Self::Sgd { learning_rate, momentum, nesterov: false, weight_decay: 0.0 }
    }

    /// The learning rate, whichever optimizer it is.
    pub const fn learning_rate(&self) -> f64 {
        match *self {
            Self::Adam { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. }
            | Self::Sgd { learning_rate, .. } => learning_rate,
        }
    }
}

/// (0.5, 0.999), GAN training's usual ones (Radford et al. 2016).
const fn betas() -> [f64; 2] {
    [0.5, 0.999]
}

const fn eps() -> f64 {
    1e-8
}

const fn alpha() -> f64 {
    0.99
}

/// What kind of data set it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the key table documents each name")]
pub enum DataKind {
    Digits,
    Mnist,
    Cifar10,
    Cifar100,
    Folder,
    Zip,
    Tar,
    Lmdb,
    Celeba,
    Cache,
}

/// Which part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To train on.
    #[default]
    Train,
    /// To choose between models.
    Valid,
    /// To measure on.
    Test,
}

/// What part of a picture is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crop {
    /// All, stretched.
    None,
    /// The central square, then resized.
    Center,
    /// The shorter side resized, then the central square.
    ResizeCenter,
    /// The central 178x178, then resized.
    #[serde(rename = "celeba-178")]
    Celeba178,
}

/// Grey or colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// One channel.
    Grey,
    /// Three.
    Rgb,
}

/// The data to train on. What is not set is the kind's own; the key table says what that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the key table documents each field under its own name")]
pub struct Data {
    pub kind: DataKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transposed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_labels: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Channels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bad: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_cache: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// Never written: what a person allowed once is not to hold for ever.
    #[serde(skip_serializing)]
    pub may_change: Option<bool>,
    pub image_size: usize,
}

impl Data {
    /// A data set of which nothing but this is said.
    pub const fn new(kind: DataKind, image_size: usize) -> Self {
        Self {
            kind,
            path: None,
            split: None,
            images: None,
            labels: None,
            transposed: None,
            attribute: None,
            use_labels: None,
            crop: None,
            channels: None,
            flip: None,
            max_bad: None,
            use_cache: None,
            cache: None,
            may_change: None,
            image_size,
        }
    }
}

/// Which plugin files may be asked for a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// What a file must show.
    #[serde(default)]
    pub policy: Policy,
    /// Minisign public keys, for [`Policy::Signed`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// A lock file of whoever runs Tandem. It is no config's word, so no run's config tells it.
    #[serde(default, skip_serializing)]
    pub lock_file: Option<PathBuf>,
}

impl Trust {
    /// Whether a config need not tell it.
    pub fn is_default(&self) -> bool {
        let Self { policy, keys, lock_file: _ } = self;
        *policy == Policy::default() && keys.is_empty()
    }
}

/// What a plugin file must show before it is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing, but a file that is pinned must be the pinned one.
    #[default]
    Any,
    /// It is pinned in `tandem.lock`.
    Locked,
    /// It is signed by a trusted key.
    Signed,
}

/// A run's configuration, every choice made. [`super::keys`] says what each field means and may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the key table documents each field under its own name")]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub struct Config {
    pub plugin: String,
    pub stages: Stages,
    pub strategy: Strategy,
    pub reuse_fakes: bool,
    pub seed: u64,
    pub steps: u64,
    pub batch_size: usize,
    pub n_critic: u32,
    pub n_generator: u32,
    pub ema_decay: f64,
    #[serde(default, skip_serializing_if = "Precision::is_float32")]
    pub precision: Precision,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deterministic: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cuda_graph: bool,
    pub device: Device,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    pub log_every: u64,
    pub checkpoint_every: u64,
    pub keep_checkpoints: usize,
    pub sample_every: u64,
    pub sample_count: usize,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tensorboard: bool,
    #[serde(default)]
    pub options: toml::Table,
    pub generator: Optimizer,
    pub discriminator: Optimizer,
    pub data: Data,
    #[serde(default, skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critic_boost: Option<CriticBoost>,
    #[serde(default, skip_serializing_if = "Augment::is_unset")]
    pub augment: Augment,
    #[serde(default, skip_serializing_if = "Trust::is_default")]
    pub trust: Trust,
    #[serde(default, skip_serializing_if = "Evaluate::is_default")]
    pub evaluate: Evaluate,
}
