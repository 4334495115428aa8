//! Whether `config.toml` and `definition.json` are still what a checkpoint was trained with.

use sha2::{Digest, Sha256};

use super::{Metadata, RunDir, RunError, checkpoint, stored};
use crate::{config::Config, text::Show as _};

/// Refuses a `definition.json` whose SHA-256 is not the one that the weights of a checkpoint carry.
pub(super) fn check_definition(run: &RunDir, step: u64, metadata: &Metadata) -> Result<(), RunError> {
    let found = format!("{:x}", Sha256::digest(run.definition()?));
    match metadata.get("definition_hash") {
        Some(expected) if *expected != found => {
            let what = format!(
                "its SHA-256 is {found}, and the checkpoint says {}; it was edited or damaged, or the checkpoint is of another \
                 run: put back the one that belongs to it",
                expected.shown()
            );
            Err(RunError::Edited { path: run.path().join(super::DEFINITION), step, what })
        }
        _ => Ok(()),
    }
}

/// Refuses a `config.toml` that differs from a checkpoint's in what shapes the weights; what may change between two
/// processes may have been changed by hand, too.
pub(super) fn check_config(run: &RunDir, step: u64, metadata: &Metadata) -> Result<(), RunError> {
    let now = run.config()?;
    let path = run.path().join(super::CONFIG);
    let Some(text) = stored::config(run.path(), step)? else {
        // Of an earlier version. Keys of the machine are in its hash, too, so that it does not prove a mistake.
        let hash = now.hash()?;
        if metadata.get("config_hash").is_some_and(|then| *then != hash) {
            tracing::warn!(
                "{} is not what {} was trained with: `device` or `threads` changed since, another version of tandem wrote it, or it \
                 was edited; it counts as it is",
                path.shown(),
                checkpoint::name(step)
            );
        }
        return Ok(());
    };
    let place = checkpoint::directory(run.path(), step).join(checkpoint::CONFIG);
    let differences = Config::parse(&place, &text)?.diff_for_resume(&now)?;
    if differences.is_empty() {
        return Ok(());
    }
    let what = format!(
        "it was edited since, or the checkpoint is of another run:{}\nput it back as it was ({}), or begin a new run",
        super::error::differences_text(&differences),
        place.shown()
    );
    Err(RunError::Edited { path, step, what })
}
