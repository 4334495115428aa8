//! Whole comparisons: a grid of runs from a plan, each trained by a process of its own, and the table and curves over
//! them. How a run trains and what it measures is not known here: it is what its directory says. `docs/compare.md`
//! says what a plan may hold and how a cell is formed.

mod collect;
mod curves;
mod each;
mod error;
mod grid;
mod outcome;
mod plan;
mod plateau;
mod statistics;
mod table;
mod work;
mod write;

pub use error::{CompareError, Unlike};
pub use grid::{Job, Mode, jobs};
pub use outcome::{Outcome, Told};
pub use plan::Plan;
pub use work::{Event, Settings, hold, train};
pub use write::write;
