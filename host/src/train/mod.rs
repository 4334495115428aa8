//! Training a compiled definition in one stage or two. Knows no files, no plugins and no terminal.

mod augment;
mod backward;
mod cost;
mod error;
mod histogram;
mod losses;
mod networks;
pub mod one_stage;
mod optimizer;
mod penalty;
mod phase;
mod readings;
mod replay;
mod state;
mod strategy;
mod trainer;
pub mod two_stage;

pub use augment::{Augment, View};
pub use cost::{Cost, Way};
pub use error::TrainError;
pub use histogram::{GAMMA_BINS, gamma_edges};
pub(crate) use losses::gradients;
pub use losses::{Losses, Scores, Seeds, check_symmetry};
pub use networks::{Batch, Networks, StepWeights, draw_latents, generate_with};
pub use optimizer::{Optimizer, OptimizerSettings};
pub use penalty::Terms;
pub(crate) use phase::phase;
pub use phase::{PHASES, TARGET as PHASE_TARGET};
pub use readings::{Gamma, Reading, Readings};
pub use strategy::{Choice, Strategy, choose, obstacle};
pub use trainer::{Settings, Trainer};
