//! A whole run, from what the user said to the files that are left: the one place where plugin, data, trainer and run
//! directory meet. Prints nothing; who watches is told through [`Watch`].

mod arrays;
mod batches;
mod bench;
mod board;
mod checkpoint;
mod device;
mod error;
mod export;
mod import;
mod machine;
mod memory;
mod phases;
mod prepare;
mod sample;
mod settings;
mod training;

pub use arrays::to_array;
pub use bench::{Measured, Plan, Spread, bench};
pub use device::{loaded_from, resolve as resolve_device, set_up};
pub use error::SessionError;
pub use export::{Export, export};
pub use import::{Import, import};
pub use prepare::{Prepared, options, prepare, prepare_for};
pub use sample::{Sampler, Samples, Weights, strip};
pub use settings::settings;
pub use training::{End, Progress, Training, Watch};
