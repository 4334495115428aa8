//! A whole run, from what the user said to the files that are left: the one place where plugin, data, trainer and run
//! directory meet. Prints nothing; who watches is told through [`Watch`].

mod arrays;
mod batches;
mod bench;
mod board;
mod checkpoint;
mod data;
mod device;
mod draw;
mod error;
mod evaluate;
mod export;
mod import;
mod machine;
mod memory;
mod phases;
mod prepare;
mod progress;
mod sample;
mod settings;
mod training;

pub use arrays::to_array;
pub use bench::{Measured, Plan, Spread, bench};
pub use data::{cache_directory, open as open_data, spec as data_spec};
pub use device::{loaded_from, resolve as resolve_device, set_up};
pub use draw::{Between, Draw};
pub use error::SessionError;
pub use evaluate::{Against, Evaluation, EvaluationPlan, Evaluator, Images, Line, Passes, Seconds, State, Subject};
pub use export::{Export, export};
pub use import::{Import, import};
pub use memory::out_of_memory;
pub use prepare::{Prepared, find_plugin, options, prepare, prepare_for, read_definition};
pub use progress::Progress;
pub use sample::{Film, Sampler, Samples, Weights, strip};
pub use settings::settings;
pub use training::{End, Training, Watch};
