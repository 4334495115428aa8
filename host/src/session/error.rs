//! What can end a session, in the words of the module that it happened in.

use std::path::PathBuf;

use crate::{
    config::ConfigError, data::DataError, export::ExportError, image::ImageError, metrics::MetricsError,
    network::NetworkError, plugin::PluginError, run::RunError, share::ShareError, text::Show as _, train::TrainError,
    work::Interrupted,
};

/// An error of a whole run.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The plugin.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run directory.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A step, with what is still good.
    #[error("{source}; {safe}")]
    Step {
        /// The trainer's error.
        source: TrainError,
        /// Which checkpoint is still good.
        safe: String,
    },
    /// Memory ran out.
    #[error(
        "out of memory: {cause}; {peak}; lower `batch_size` ({batch_size} now), `data.image_size` or the plugin's width; {safe}"
    )]
    OutOfMemory {
        /// libtorch's words.
        cause: String,
        /// What the process held at most.
        peak: String,
        /// The batch size of the run.
        batch_size: usize,
        /// Which checkpoint is still good.
        safe: String,
    },
    /// The definition, before any step.
    #[error("plugin `{plugin}`: {source}")]
    Definition {
        /// The plugin.
        plugin: String,
        /// The trainer's error.
        source: TrainError,
    },
    /// Sampling or restoring.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An extractor, or figures.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// What was to be evaluated cannot be.
    #[error("cannot evaluate: {0}")]
    Evaluation(String),
    /// The weights are finite, and what they draw is not.
    #[error("cannot evaluate: its generator gives images that are not finite")]
    NotFiniteImages,
    /// An evaluation while training, whatever was wrong: the run began, so its settings could be read, and it is the run that failed.
    #[error("the evaluation after step {step} failed: {source}; {safe}")]
    Evaluating {
        /// The steps that were done.
        step: u64,
        /// What was wrong.
        source: Box<SessionError>,
        /// Which checkpoint is still good.
        safe: String,
    },
    /// A network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A picture.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// An export or an import.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// libtorch or its generators.
    #[error(transparent)]
    Torch(#[from] tandem_torch_ext::TorchError),
    /// The device that was asked for is not there.
    #[error("device = \"{asked}\": {why}")]
    Device {
        /// What was asked for.
        asked: String,
        /// Why it cannot be had, and what to do.
        why: String,
    },
    /// The precision that was asked for is not there.
    #[error("precision = \"{asked}\": {why}")]
    Precision {
        /// What was asked for.
        asked: &'static str,
        /// Why it cannot be had, and what to do.
        why: String,
    },
    /// Recorded rounds were asked for, and this build has none.
    #[error(
        "cuda_graph = true: CUDA graphs are not built in, as CUDA's headers were missing (docs/setup.md); use cuda_graph = false"
    )]
    NoGraphs,
    /// A plugin's file that may not be asked.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// What cannot be drawn from this generator.
    #[error("cannot sample: {0}")]
    Sample(String),
    /// An option of a kind that no plugin takes.
    #[error("{0}")]
    Option(String),
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
    /// A stored definition or checkpoint is not what this run needs.
    #[error("{0}")]
    Stored(String),
    /// The images at hand are not those that a run was trained with.
    #[error(
        "the images are not those that led to {place}:{}\n({}{}) put them back as they were, begin a new run with another --out, or go on all the same with `--set data.may_change=true`",
        list(differences),
        places(sources),
        version(versions)
    )]
    OtherData {
        /// The checkpoint.
        place: String,
        /// What differs.
        differences: Vec<String>,
        /// Where the images were from, and are from now.
        sources: Box<[String; 2]>,
        /// The version of Tandem that read them then, and this one.
        versions: Box<[String; 2]>,
    },
    /// A file outside the run directory could not be written.
    #[error("cannot write {path}: {source}", path = path.shown())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

fn list(differences: &[String]) -> String {
    differences.iter().fold(String::new(), |text, one| text + "\n  " + one)
}

fn places([then, now]: &[String; 2]) -> String {
    if then == now { now.shown().to_string() } else { format!("then: {}; now: {}", then.shown(), now.shown()) }
}

/// A decoder may have changed between two versions.
fn version([then, now]: &[String; 2]) -> String {
    if then == now { String::new() } else { format!("; then read by tandem {}, this is {now}", then.shown()) }
}

impl SessionError {
    /// Whether foreign code went wrong, in a process of its own as a rule: what that lacked is its own matter.
    pub fn is_of_foreign_code(&self) -> bool {
        match self {
            Self::Evaluating { source, .. } => source.is_of_foreign_code(),
            _ => matches!(self, Self::Plugin(_) | Self::Metrics(MetricsError::Extractor { .. })),
        }
    }

    /// Whether the user's configuration or arguments are at fault (exit code 2) rather than the run (1).
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Plugin(_)
                | Self::Share(_)
                | Self::Sample(_)
                | Self::OtherData { .. }
                | Self::Option(_)
                | Self::NoGraphs
                | Self::Device { .. }
                | Self::Precision { .. }
                | Self::Definition { .. }
                | Self::Evaluation(_)
                | Self::Data(DataError::BatchSize { .. })
                | Self::Metrics(
                    MetricsError::Read { .. }
                        | MetricsError::Unknown(_)
                        | MetricsError::Extractor { .. }
                        | MetricsError::Sum { .. }
                        | MetricsError::Figure { .. }
                )
                | Self::Export(
                    ExportError::Argument { .. }
                        | ExportError::Exists { .. }
                        | ExportError::Foreign { .. }
                        | ExportError::Unlisted { .. }
                        | ExportError::Misfit { .. }
                        | ExportError::Values { .. }
                        | ExportError::Pickled { .. }
                        | ExportError::NoStateDict { .. }
                )
        ) || matches!(
            self,
            Self::Run(
                RunError::Exists { .. }
                    | RunError::Changed { .. }
                    | RunError::Edited { .. }
                    | RunError::NoRun { .. }
                    | RunError::Beyond { .. }
            )
        )
    }
}

impl From<tch::TchError> for SessionError {
    fn from(error: tch::TchError) -> Self {
        Self::Stored(error.to_string().lines().next().unwrap_or("libtorch failed").to_owned())
    }
}
