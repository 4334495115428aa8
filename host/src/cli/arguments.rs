//! Every command and flag, once: parser, help and completions read these.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::shell::Line;
use crate::{
    metrics::{COMMAND as EXTRACT, Metric},
    plugin::COMMAND,
};

/// Trains GANs that come in as plugins, in one stage or two.
#[derive(Debug, Parser)]
#[command(
    name = "tandem",
    version,
    after_help = "Exit codes: 0 done, 1 the run failed, 2 wrong usage or configuration, 130 interrupted and saved.\n\
                  Results go to standard output, everything else to standard error. TANDEM_LOG=debug shows more."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// A folder to look for plugins in, before all others; may be given again.
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) plugin_path: Vec<PathBuf>,
    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,
}

impl Common {
    /// A command with these, and with the variable that stands for one of them.
    pub(super) fn of(&self, line: Line) -> Line {
        let Self { plugin_path, log_format } = self;
        let listed = std::env::var_os("TANDEM_PLUGIN_PATH").unwrap_or_default();
        let listed = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty());
        let line = line.with_all("--plugin-path", plugin_path).with_all("--plugin-path", listed);
        match log_format {
            LogFormat::Text => line,
            LogFormat::Json => line.with("--log-format", "json"),
        }
    }
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
    /// Measure a run's images, or a folder's, against real ones: FID, KID, IS, precision, recall, density, coverage.
    Eval(Eval),
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
    /// See what a data set holds, and decode it once and for all.
    #[command(subcommand)]
    Data(DataCommand),
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
    /// For the host itself: an extractor in a process of its own.
    #[command(name = EXTRACT, hide = true)]
    Extract,
    /// For benches: train steps on demand, one JSON line for each number read from standard input.
    #[command(name = "__steps", hide = true)]
    Steps(Steps),
}

#[derive(Debug, Subcommand)]
pub(super) enum DataCommand {
    /// What kind of data set it is, how many images of which sizes and classes, and what is wrong with it.
    Inspect(InspectData),
    /// Decode, crop and resize a config's images into a cache, from which training starts at once.
    Prepare(PrepareData),
}

#[derive(Debug, Args)]
pub(super) struct InspectData {
    /// A data set's file or folder, a cache, or a config (`.toml`).
    pub(super) path: PathBuf,
    /// Set a key of the config, over everything else.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// Decode every image; otherwise the headers of a thousand are read.
    #[arg(long)]
    pub(super) all: bool,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PrepareData {
    /// The configuration, a TOML file; without one, `--set data.kind=folder --set data.path=FOLDER` says it all.
    pub(super) config: Option<PathBuf>,
    /// Set a key, over everything else.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// Write it again, also where there is a whole one.
    #[arg(long)]
    pub(super) force: bool,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
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
    /// Go on with the run in that directory if there is one, else begin it: for a job that a queue starts again and again.
    #[arg(long, conflicts_with = "resume")]
    pub(super) resume_or_start: bool,
    /// Only show the resolved configuration, both networks and the strategy.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Sample {
    /// The run directory.
    pub(super) run: PathBuf,
    /// How many images, or with --interpolate how many latents to go through.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) num: u32,
    /// Seed of the latents.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Classes to draw, in turn, by number and separated by commas; all in turn if not given.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = class)]
    pub(super) classes: Vec<i64>,
    /// Cut the latents' normal distribution off here, on both sides: fewer odd images, and less variety.
    #[arg(long, value_name = "T", value_parser = truncation)]
    pub(super) truncation: Option<f64>,
    /// Images that go through the generator at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) batch: u32,
    /// Write each image as a PNG of its own, into the folder --out.
    #[arg(long, conflicts_with_all = ["interpolate", "tensors"])]
    pub(super) files: bool,
    /// Go from each latent to the next in so many steps, as a row of a PNG each, or as frames of an .apng or .gif.
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "tensors")]
    pub(super) interpolate: Option<u32>,
    /// The way between latents; along the arc for normal ones, straight for uniform ones, if not given.
    #[arg(long, value_enum, requires = "interpolate")]
    pub(super) between: Option<Way>,
    /// A checkpoint's step, if not the latest.
    #[arg(long)]
    pub(super) step: Option<u64>,
    /// Use the moving average of the weights (the default where it is kept).
    #[arg(long, conflicts_with = "raw")]
    pub(super) ema: bool,
    /// Use the weights as the last step left them.
    #[arg(long)]
    pub(super) raw: bool,
    /// The file to write, or the folder with --files; `samples-step-N` or `path-step-N` in the current folder if not given.
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) out: Option<PathBuf>,
    /// Also write latents, labels (of a conditional run) and images as safetensors, for comparing with other frameworks.
    #[arg(long, value_name = "FILE.safetensors")]
    pub(super) tensors: Option<PathBuf>,
    /// Where to compute: `auto`, `cpu` or `cuda:N`.
    #[arg(long, default_value = "cpu")]
    pub(super) device: String,
}

/// The way from one latent to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    /// Along the arc.
    Slerp,
    /// Straight.
    Lerp,
}

fn class(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "expected the numbers of classes, separated by commas, such as 3,4,5".to_owned())
}

fn truncation(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|t: &f64| *t > 0.0 && t.is_finite()).ok_or_else(|| "expected a number above 0".to_owned())
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
    /// The licence that you give the weights: as model hubs spell it, `apache-2.0` or `cc-by-4.0`, or a name of your own.
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
pub(super) struct Eval {
    /// A run directory, whose generator is drawn from, or images: a folder of JPEG, PNG and WebP files, or a ZIP, tar or cache
    /// file of them.
    pub(super) subject: PathBuf,
    /// What gives features: `mnist-classifier-v1`, `inception-2015-12-05` once it was fetched, or a TorchScript file. For
    /// `digits` and `mnist`, `mnist-classifier-v1` if not given.
    #[arg(long, value_name = "NAME|FILE.pt")]
    pub(super) extractor: Option<String>,
    /// The SHA-256 that the extractor's file must have.
    #[arg(long, value_name = "HEX")]
    pub(super) sha256: Option<String>,
    /// Download `inception-2015-12-05` (96 MB) first, if it is not there.
    #[arg(long)]
    pub(super) fetch: bool,
    /// Images to draw from a run's generator.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(super) samples: u32,
    /// What to compute, separated by commas; all that the extractor allows if not given.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = metric)]
    pub(super) metrics: Vec<Metric>,
    /// Real images: `digits`, a run's or a config's (`.toml`) data set, or whatever `tandem data inspect` knows by what is in it:
    /// a folder, ZIP, tar, LMDB, IDX or cache file. A run's own data set if not given.
    #[arg(long, value_name = "DATA")]
    pub(super) against: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Where to compute: `auto`, `cpu` or `cuda:N`.
    #[arg(long, default_value = "cpu")]
    pub(super) device: String,
    /// Images that go through the networks at a time; changes no figure.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) batch: u32,
    /// Seed of the latents and labels.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// A checkpoint's step, if not the latest.
    #[arg(long, conflicts_with = "best")]
    pub(super) step: Option<u64>,
    /// Evaluate the best checkpoint, as the file `best` names it.
    #[arg(long)]
    pub(super) best: bool,
    /// Where statistics of real images and fetched extractors are kept; `tandem` in the user's cache folder if not given.
    #[arg(long, value_name = "DIR")]
    pub(super) cache: Option<PathBuf>,
    /// Also write features, logits and images as safetensors, for computing figures elsewhere.
    #[arg(long, value_name = "FILE.safetensors")]
    pub(super) features: Option<PathBuf>,
}

fn metric(name: &str) -> Result<Metric, String> {
    let known = || Metric::ALL.map(Metric::name).join(", ");
    Metric::from_name(name).ok_or_else(|| format!("expected some of {}", known()))
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
    /// Write the crate of a new plugin, ready to build, prove and train.
    New(New),
    /// Put a plugin's file, an archive, or every plugin of a folder into your plugin folder. Runs nothing of them.
    Install(Install),
    /// Take a plugin out of your plugin folder.
    Remove {
        /// The plugin's name.
        name: String,
    },
    /// Pin the plugin files that configs use, by version and SHA-256, in the nearest `tandem.lock` beside a config or above
    /// it, or in a new one beside it.
    Lock(Lock),
    /// Make one archive of a plugin's libraries, README and licence.
    Pack(Pack),
    /// Check the sums and signatures of a plugin's file or an archive. Runs nothing of it.
    Verify(Verify),
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
    /// A plugin's name on the search path, its file, or an archive that `tandem plugin pack` made.
    pub(super) plugin: String,
    /// Ask a file that is named by its path, or was installed, for its definition, in a confined process; without this
    /// nothing of it runs.
    #[arg(long)]
    pub(super) run: bool,
    #[command(flatten)]
    pub(super) subject: Subject,
}

#[derive(Debug, Args)]
pub(super) struct New {
    /// The plugin's name: small letters, digits, `-` and `_`.
    pub(super) name: String,
    /// The folder in which the crate's folder is made.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) into: PathBuf,
    /// The folder of tandem-plugin-api's source; where this tandem was built, if that is there.
    #[arg(long, value_name = "DIR")]
    pub(super) api: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Install {
    /// A plugin's `.so`, an archive that `tandem plugin pack` made, or a folder of `.so` files.
    pub(super) from: PathBuf,
    /// Replace another version that is installed.
    #[arg(long)]
    pub(super) replace: bool,
}

#[derive(Debug, Args)]
pub(super) struct Lock {
    /// The configs.
    #[arg(required = true)]
    pub(super) configs: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Pack {
    /// The plugin's libraries, one for each target. A `FILE.so.minisig` beside one goes with it.
    #[arg(required = true)]
    pub(super) libraries: Vec<PathBuf>,
    /// The folder with README.md and the licence.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) from: PathBuf,
    /// The folder to write `NAME-VERSION.tar.gz` into.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// A plugin's file or an archive (anything with a `/` or ending in `.so`, `.gz` or `.tgz`), or a plugin's name on the
    /// search path.
    pub(super) plugin: String,
    /// A minisign public key that must have signed it; may be given again, and then one of them.
    #[arg(long = "key", value_name = "RW…")]
    pub(super) keys: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// A plugin's name on the search path, or its file.
    #[arg(required_unless_present_any = ["all", "definition"], conflicts_with = "all")]
    pub(super) plugin: Option<String>,
    /// Every plugin on the search path.
    #[arg(long)]
    pub(super) all: bool,
    /// A definition as JSON in place of a plugin: a run's `definition.json`, or what a plugin's own test sends.
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["plugin", "all", "variants", "sets", "image_size", "channels"])]
    pub(super) definition: Option<PathBuf>,
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
