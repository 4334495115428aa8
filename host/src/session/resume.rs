//! Whether a stored run is still what it was, and its latest checkpoint back in a trainer: definition, configuration, weights
//! and images are held against what was recorded before anything of the run is changed.

use std::time::Duration;

use super::{Prepared, SessionError, checkpoint};
use crate::{
    data::{Facts, SamplerState},
    run::{Checkpoint, Part, Resuming},
    text::Show as _,
    train::Trainer,
};

/// Where a run goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// In the data.
    pub(super) data: SamplerState,
    /// How long it has trained.
    pub(super) trained: Duration,
}

/// Puts the latest checkpoint into a fresh trainer; `facts` are those of the images at hand.
pub(super) fn restore(
    run: &Resuming,
    prepared: &Prepared,
    facts: &Facts,
    trainer: &mut Trainer,
) -> Result<Position, SessionError> {
    let config = prepared.config();
    let begin = SamplerState { seed: config.seed, epoch: 0, offset: 0 };
    let step = run.latest()?;
    let stored = step.map(|step| run.load_checkpoint(step)).transpose()?;
    let mut same = true;
    if let Some(checkpoint) = &stored {
        // Before what the plugin declares: it is not to be blamed for a file that was edited, or for another number of classes.
        run.check_definition(checkpoint.step, &checkpoint.metadata)?;
        run.check_config(checkpoint.step, &checkpoint.metadata)?;
        same = same_data(run, checkpoint, facts, config.data.may_change == Some(true))?;
    }
    if run.definition()? != prepared.definition {
        return Err(SessionError::Stored(format!(
            "plugin `{}` now declares another definition than {} was trained with; put the old plugin back \
             (plugin.json has its SHA-256){}, or begin a new run with another --out",
            prepared.plugin.name,
            run.path().shown(),
            // It is told their channels and classes.
            if same { "" } else { " and images of as many classes" }
        )));
    }
    let Some(checkpoint) = stored else { return Ok(Position { data: begin, trained: Duration::ZERO }) };
    refuse_nan(run, &checkpoint)?;
    let data = checkpoint::restore(trainer, &checkpoint)?;
    // Other images are met from the beginning of an epoch: there may be fewer than where it stood.
    let data = if same { data } else { SamplerState { epoch: data.epoch + 1, offset: 0, ..data } };
    Ok(Position { data, trained: checkpoint.trained })
}

/// Whether the images are those that led to the checkpoint, as far as it is known.
///
/// # Errors
/// They are others, and nobody said that they may be.
fn same_data(run: &Resuming, checkpoint: &Checkpoint, now: &Facts, may_change: bool) -> Result<bool, SessionError> {
    let place = format!("{}/checkpoints/step-{}", run.path().shown(), checkpoint.step);
    let Some(text) = &checkpoint.data else {
        tracing::warn!(
            "whether the images are still those of {place} cannot be told: it is of an earlier version of tandem, or was imported; \
             from its next checkpoint on, the run knows its images"
        );
        return Ok(true);
    };
    let then: Facts = serde_json::from_str(text)
        .map_err(|e| SessionError::Stored(format!("{place}/data.json is damaged: {e}; take another checkpoint")))?;
    let differences = then.differences(now);
    if differences.is_empty() {
        return Ok(true);
    }
    if may_change {
        tracing::warn!("the run goes on with other images than led to {place}: {}", differences.join("; "));
        return Ok(false);
    }
    Err(SessionError::OtherData {
        place,
        differences,
        sources: Box::new([then.source, now.source.clone()]),
        versions: Box::new([then.tandem, now.tandem.clone()]),
    })
}

/// Refuses what no sound step leaves in the optimizers; the next step's losses would be blamed for it. A loss's own states may
/// hold anything.
fn refuse_nan(run: &Resuming, checkpoint: &Checkpoint) -> Result<(), SessionError> {
    for array in checkpoint.part(Part::Trainer).unwrap_or_default() {
        let (nan, _) = array.not_finite();
        if nan > 0 && !array.name.starts_with("state.") {
            let what = format!("`{}` holds {nan} numbers that are NaN; Tandem saves no such state", array.name.shown());
            return Err(run.damaged(checkpoint.step, Part::Trainer, what).into());
        }
    }
    Ok(())
}
