//! Rounds as CUDA graphs: recorded once, then launched as a whole (docs/decisions/0007-a-round-is-a-graph.md).
//!
//! A recording knows no host: what a round decides there is its [`Plan`], and each plan has a recording of its own. Batches
//! are copied into fixed tensors, states change in place, and the moving average, whose decay changes every step, stays
//! outside.

use tandem_torch_ext::CudaGraph;
use tch::Tensor;

use super::{Batch, TrainError};

/// Rounds of a plan that run plainly first: libtorch's libraries choose their algorithms and make their workspaces in
/// them, and a plan that does not come again (as under a learning rate that never stays) is not worth a recording.
const WARM: u64 = 3;
/// The most plans that are counted.
const MOST_MET: usize = 32;
/// The most batches of a round that fixed tensors are kept for; the long rounds of `critic_boost` run plainly.
const MOST_BATCHES: u64 = 8;
/// The most recordings that are kept; what needs more runs plainly.
const MOST_GRAPHS: usize = 8;

/// What the host decides of a round.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// Steps of D and of G.
    pub(super) steps: (u64, u64),
    /// Batches that they take.
    pub(super) batches: u64,
    /// What the learning rates are multiplied by.
    pub(super) rate_factor: f64,
    /// For each step of D, which terms and states are due in it.
    pub(super) due: Vec<Vec<bool>>,
}

/// A recording and the row of readings that it writes.
#[derive(Debug)]
struct Recorded {
    plan: Plan,
    graph: CudaGraph,
    row: Tensor,
}

/// The recordings of a trainer, and what they read.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Plans and how often they came, the latest last.
    met: Vec<(Plan, u64)>,
    inputs: Vec<Batch>,
    recorded: Vec<Recorded>,
}

impl Replay {
    /// Whether a round of this plan is to be replayed or recorded; else it runs plainly.
    pub(super) fn takes(&mut self, plan: &Plan, averages: bool) -> bool {
        if self.recorded.iter().any(|r| r.plan == *plan) {
            return true;
        }
        let before = self.met(plan);
        // The average follows each step of G, and is made after the round.
        let apart = !averages || plan.steps.1 == 1;
        before >= WARM && plan.batches <= MOST_BATCHES && apart && self.recorded.len() < MOST_GRAPHS
    }

    /// How often this plan came before; counts it.
    fn met(&mut self, plan: &Plan) -> u64 {
        let known = self.met.iter().position(|(met, _)| met == plan).map(|i| self.met.remove(i));
        let (plan, before) = known.unwrap_or_else(|| (plan.clone(), 0));
        self.met.push((plan, before + 1));
        if self.met.len() > MOST_MET {
            self.met.remove(0);
        }
        before
    }

    /// Puts a round's batches where recordings read them.
    pub(super) fn fill(&mut self, batches: &[Batch]) -> Result<(), TrainError> {
        let _guard = tch::no_grad_guard();
        for (i, batch) in batches.iter().enumerate() {
            let Some(input) = self.inputs.get(i) else {
                let labels = batch.labels.as_ref().map(Tensor::f_detach_copy).transpose()?;
                self.inputs.push(Batch { images: batch.images.f_detach_copy()?, labels });
                continue;
            };
            let pairs = [(Some(&input.images), Some(&batch.images)), (input.labels.as_ref(), batch.labels.as_ref())];
            for (to, from) in pairs {
                match (to, from) {
                    (Some(to), Some(from)) if to.size() == from.size() => to.shallow_clone().f_copy_(from)?,
                    (None, None) => {}
                    _ => return Err(TrainError::Refused("batches of a recorded round changed their shape".into())),
                }
            }
        }
        Ok(())
    }

    /// What recordings read, in order.
    pub(super) fn inputs(&self) -> std::vec::IntoIter<Batch> {
        let shared = |b: &Batch| Batch {
            images: b.images.shallow_clone(),
            labels: b.labels.as_ref().map(Tensor::shallow_clone),
        };
        self.inputs.iter().map(shared).collect::<Vec<_>>().into_iter()
    }

    /// Does the recorded round again, if there is one of this plan; its row of readings.
    pub(super) fn again(&self, plan: &Plan) -> Result<Option<Tensor>, TrainError> {
        let Some(recorded) = self.recorded.iter().find(|r| r.plan == *plan) else { return Ok(None) };
        recorded.graph.replay()?;
        // The next replay overwrites the row.
        Ok(Some(recorded.row.f_detach_copy()?))
    }

    /// A recording whose memory others may share: rows are copied away at once.
    pub(super) fn first(&self) -> Option<&CudaGraph> {
        self.recorded.first().map(|r| &r.graph)
    }

    /// Keeps a recording.
    pub(super) fn keep(&mut self, plan: Plan, graph: CudaGraph, row: Tensor) {
        self.recorded.push(Recorded { plan, graph, row });
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    fn plan(batches: u64, rate_factor: f64, due: bool) -> Plan {
        Plan { steps: (batches, 1), batches, rate_factor, due: vec![vec![due]] }
    }

    fn batch(value: f64, size: i64) -> Batch {
        let images = Tensor::full([size, 1, 2, 2], value, (Kind::Float, Device::Cpu));
        Batch { images, labels: Some(Tensor::full([size], value as i64, (Kind::Int64, Device::Cpu))) }
    }

    #[test]
    fn the_first_rounds_and_long_ones_run_plainly() {
        let mut replay = Replay::default();
        let first: Vec<bool> = (0..5).map(|_| replay.takes(&plan(1, 1.0, false), true)).collect();
        assert_eq!(first, [false, false, false, true, true]);
        for _ in 0..4 {
            assert!(!replay.takes(&plan(100, 1.0, false), true));
        }
        let two_of_g = Plan { steps: (1, 2), ..plan(2, 1.0, false) };
        for _ in 0..4 {
            assert!(!replay.takes(&two_of_g, true));
        }
        assert!(replay.takes(&two_of_g, false));
    }

    #[test]
    fn a_plan_that_never_comes_again_is_not_recorded() {
        let mut replay = Replay::default();
        assert!((0..100).all(|i| !replay.takes(&plan(1, f64::from(i), false), true)));
        assert!(replay.met.len() <= MOST_MET);
        // One that is due now and then is warmed by its own rounds.
        let lazy: Vec<bool> = (0..16).map(|i| replay.takes(&plan(1, 1.0, i % 4 == 0), true)).collect();
        assert_eq!(lazy.iter().position(|t| *t), Some(5));
        assert!(lazy[12] && !lazy[8]);
    }

    #[test]
    fn batches_are_copied_to_where_they_were_before() {
        let mut replay = Replay::default();
        replay.fill(&[batch(1.0, 2), batch(2.0, 2)]).unwrap();
        let before: Vec<_> = replay.inputs().map(|b| b.images.data_ptr()).collect();
        replay.fill(&[batch(3.0, 2), batch(4.0, 2)]).unwrap();
        let after: Vec<Batch> = replay.inputs().collect();
        assert_eq!(after.iter().map(|b| b.images.data_ptr()).collect::<Vec<_>>(), before);
        assert_eq!(after[1].images, batch(4.0, 2).images);
        assert_eq!(after[0].labels, batch(3.0, 2).labels);
        let error = replay.fill(&[batch(1.0, 3)]).unwrap_err().to_string();
        assert!(error.contains("changed their shape"), "{error}");
    }
}
