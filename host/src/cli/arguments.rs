//! Every command and flag, once: parser, help and completions read these.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::plugin::COMMAND;

/// Trains GANs that come in as plugins, in one stage or two.
#[derive(Debug, Parser)]
#[command(
    name = "tandem",
    version,
    after_help = "Exit codes: 0 done, 1 the run failed, 2 wrong usage or configuration, 130 interrupted and saved.\n\
                  Results go to standard output, everything else to standard error. TANDEM_LOG=debug shows more."
)]
pub(super) struct Arguments {
    /// A folder to look for plugins in, before all others; may be given again.
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) plugin_path: Vec<PathBuf>,
    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Train the GAN that a config names.
    Train(Train),
    /// Draw images from a run's generator, into a PNG grid.
    Sample(Sample),
    /// Write a trained network for other frameworks: safetensors, ONNX, PyTorch, Flax.
    Export(Export),
    /// Begin a run from the weights of a PyTorch state_dict.
    Import(Import),
    /// Measure one stage against two on a config: predicted and measured cost, and where the time goes.
    Bench(Bench),
    /// Draw a labelled row of images from each of several runs, into one PNG.
    Sheet(Sheet),
    /// Show a run as one HTML page: curves, samples over time, γ, metrics, configuration.
    Report(Report),
    /// Train a grid of methods, modes, data sets and seeds, and make one table and curves of them.
    Compare(Compare),
    /// See which plugins there are, what they hold, and prove them.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Say what this installation has: libtorch, devices, plugins.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// For the host itself: a plugin's declaration in a process of its own.
    #[command(name = COMMAND, hide = true)]
    Declare,
    /// For benches: train steps on demand, one JSON line for each number read from standard input.
    #[command(name = "__steps", hide = true)]
    Steps(Steps),
}

#[derive(Debug, Args)]
pub(super) struct Train {
    /// The configuration, a TOML file.
    pub(super) config: PathBuf,
    /// Set a key, over everything else: `--set steps=100 --set options.loss=saturating`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// The run directory; `runs/<config's name>` if not given.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Go on with the run in that directory, from its latest checkpoint.
    #[arg(long)]
    pub(super) resume: bool,
    /// Only show the resolved configuration, both networks and the strategy.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Sample {
    /// The run directory.
    pub(super) run: PathBuf,
    /// How many images.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) num: u32,
    /// Seed of the latents.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// A checkpoint's step, if not the latest.
    #[arg(long)]
    pub(super) step: Option<u64>,
    /// Use the moving average of the weights (the default where it is kept).
    #[arg(long, conflicts_with = "raw")]
    pub(super) ema: bool,
    /// Use the weights as the last step left them.
    #[arg(long)]
    pub(super) raw: bool,
    /// The PNG to write; in the current folder if not given.
    #[arg(long, value_name = "FILE.png")]
    pub(super) out: Option<PathBuf>,
    /// Also write latents, labels (of a conditional run) and images as safetensors, for comparing with other frameworks.
    #[arg(long, value_name = "FILE.safetensors")]
    pub(super) tensors: Option<PathBuf>,
    /// Where to compute: `auto`, `cpu` or `cuda:N`.
    #[arg(long, default_value = "cpu")]
    pub(super) device: String,
}

/// What to export to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportFormat {
    /// The weights alone, in PyTorch's names and layout.
    Safetensors,
    /// A model with its weights, for ONNX Runtime and others.
    Onnx,
    /// A module in Python, and its weights.
    Pytorch,
    /// A Flax module in Python, and the same weights.
    Flax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportNetwork {
    Generator,
    Discriminator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportWeights {
    /// As the last step left them.
    Live,
    /// Their moving average.
    Averaged,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The run directory.
    pub(super) run: PathBuf,
    /// What to export to.
    #[arg(long, value_enum)]
    pub(super) to: ExportFormat,
    /// Which network.
    #[arg(long, value_enum, default_value_t = ExportNetwork::Generator)]
    pub(super) network: ExportNetwork,
    /// Which of the generator's weights; the moving average where it is kept, if not given.
    #[arg(long, value_enum)]
    pub(super) weights: Option<ExportWeights>,
    /// A checkpoint's step, if not the latest.
    #[arg(long)]
    pub(super) step: Option<u64>,
    /// The folder to write; `RUN-FORMAT` in the current one if not given.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Replace an export that is there.
    #[arg(long)]
    pub(super) force: bool,
    /// The licence that you give the weights, as model hubs spell it: `apache-2.0`, `cc-by-4.0`.
    #[arg(long, value_name = "ID", default_value = crate::export::UNKNOWN)]
    pub(super) license: String,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("weights").required(true).multiple(true))]
pub(super) struct Import {
    /// The generator's state_dict; the same as `--generator`.
    #[arg(value_name = "STATE_DICT.safetensors", group = "weights", conflicts_with = "generator")]
    pub(super) state_dict: Option<PathBuf>,
    /// The generator's state_dict; first values of the seed if not given.
    #[arg(long, value_name = "FILE.safetensors", group = "weights")]
    pub(super) generator: Option<PathBuf>,
    /// The discriminator's state_dict; first values of the seed if not given.
    #[arg(long, value_name = "FILE.safetensors", group = "weights")]
    pub(super) discriminator: Option<PathBuf>,
    /// The configuration of the new run, a TOML file.
    #[arg(long, value_name = "CONFIG.toml")]
    pub(super) config: PathBuf,
    /// Set a key, over everything else.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// The directory of the new run.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Report {
    /// The run directory; the run may still be going on.
    pub(super) run: PathBuf,
    /// The HTML file to write; `report.html` in the run directory if not given.
    #[arg(long, value_name = "FILE.html")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Compare {
    /// The plan, a TOML file.
    pub(super) plan: PathBuf,
    /// Where runs, tables and curves go; `runs/<plan's name>` if not given.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Runs to train at once, each with its share of the threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) workers: u16,
    /// Try runs again that failed, from their checkpoints.
    #[arg(long)]
    pub(super) retry: bool,
    /// Only list the runs and how far each is.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Bench {
    /// The configuration, a TOML file.
    pub(super) config: PathBuf,
    /// Set a key, over everything else.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// How often each way of training has its turn; medians are over these.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) rounds: u64,
    /// Steps of a turn; more where lazy penalties come round less often.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) steps: u64,
    /// Steps of each way before the first turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) warmup: u64,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Sheet {
    /// The run directories.
    #[arg(required = true)]
    pub(super) runs: Vec<PathBuf>,
    /// Images of each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) num: u32,
    /// Runs beside each other.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(super) columns: u32,
    /// Seed of the latents.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// The PNG to write.
    #[arg(long, value_name = "FILE.png", default_value = "sheet.png")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// The plugins on the search path, and files there that are broken.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Manifest, options, networks, losses, strategy and cost of a plugin.
    Inspect(Inspect),
    /// Prove a plugin: one-stage gradients against separate ones in float64, derivatives against differences.
    Check(Check),
}

/// A plugin with options and the images it is asked about.
#[derive(Debug, Args)]
pub(super) struct Subject {
    /// Set an option of the plugin: `--set loss=saturating --set width=32`.
    #[arg(long = "set", value_name = "OPTION=VALUE")]
    pub(super) sets: Vec<String>,
    /// Height and width of the images.
    #[arg(long, default_value_t = 32)]
    pub(super) image_size: i64,
    /// Channels of the images.
    #[arg(long, default_value_t = 1)]
    pub(super) channels: i64,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A plugin's name on the search path, or its file.
    pub(super) plugin: String,
    #[command(flatten)]
    pub(super) subject: Subject,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// A plugin's name on the search path, or its file.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(super) plugin: Option<String>,
    /// Every plugin on the search path.
    #[arg(long)]
    pub(super) all: bool,
    /// Every combination of the options that are a choice, too.
    #[arg(long)]
    pub(super) variants: bool,
    /// Samples in the batch.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i64).range(2..=256))]
    pub(super) samples: i64,
    /// Seed of weights, latents and images.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Where to compute: `auto`, `cpu` or `cuda:N`.
    #[arg(long, default_value = "cpu")]
    pub(super) device: String,
    /// Write the step's every tensor, so that anyone can recompute it.
    #[arg(long, value_name = "FILE.safetensors", conflicts_with_all = ["all", "variants"])]
    pub(super) dump: Option<PathBuf>,
    #[command(flatten)]
    pub(super) subject: Subject,
}

#[derive(Debug, Args)]
pub(super) struct Steps {
    /// The configuration.
    pub(super) config: PathBuf,
    /// Set a key.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// Channels of the random images.
    #[arg(long, default_value_t = 3)]
    pub(super) channels: i64,
}
