//! A whole run, from what the user said to the files that are left: the one place where plugin, data, trainer and run
//! directory meet. Prints nothing; who watches is told through [`Watch`].

mod arrays;
mod batches;
mod bench;
mod checkpoint;
mod data;
mod device;
mod error;
mod memory;
mod phases;
mod prepare;
mod sample;
mod settings;
mod training;

pub use data::{open as open_data, spec as data_spec};
pub use arrays::to_array;
pub use bench::{Measured, Plan, Spread, bench};
pub use device::{loaded_from, resolve as resolve_device, set_up};
pub use error::SessionError;
pub use prepare::{Prepared, options, prepare, prepare_for};
pub use sample::{Sampler, Samples, Weights, strip};
pub use settings::settings;
pub use training::{End, Progress, Training, Watch};
