//! Every configuration key, once: name, what it may be, default, help, whether it is part of a run's identity and
//! whether it may change when a run resumes. Checking, defaults, hashing and `docs/config.md` all read this table.

/// What a key's value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A text.
    Text,
    /// A file or folder. Counts in a run's identity by its last component, so that a run may move.
    Path,
    /// `true` or `false`.
    Flag,
    /// An integer between two ends, both allowed.
    Integer(i64, i64),
    /// A finite number from the first end to the second. The flags say whether each end itself is allowed.
    Number([f64; 2], [bool; 2]),
    /// Two numbers, each at least 0 and below 1.
    Pair,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A list of ascending integers above 0.
    Steps,
    /// A list of some of these texts.
    Choices(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// `"auto"`, `"cpu"`, `"cuda"` or `"cuda:N"`.
    Device,
}

/// One configuration key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The full dotted name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// The built-in default as TOML. Without one, the key stays unset or depends on another key; `note` says.
    pub default: Option<&'static str>,
    /// What the documentation shows in place of a default.
    pub note: &'static str,
    /// One sentence of help.
    pub help: &'static str,
    /// Whether it changes the weights, and so belongs to [`super::Config::hash`].
    pub identity: bool,
    /// Whether it may differ when a run resumes.
    pub resume: bool,
}

/// The names that `strategy` takes.
pub const STRATEGIES: &[&str] = &["auto", "scaled", "pivoted", "two-seed"];
/// The names that `optimizer` takes.
pub const OPTIMIZERS: &[&str] = &["adam", "rmsprop", "sgd"];
/// The names that `schedule.kind` takes.
pub const SCHEDULES: &[&str] = &["constant", "multi-step", "linear", "cosine"];
/// The names that `precision` takes.
pub const PRECISIONS: &[&str] = &["float32", "bfloat16", "float16"];
/// The names that `augment.transforms` takes.
pub const TRANSFORMS: &[&str] = &["brightness", "saturation", "contrast", "translation", "cutout"];
/// The names that `trust.policy` takes.
pub const POLICIES: &[&str] = &["any", "locked", "signed"];
/// The names that `evaluate.metrics` and `evaluate.keep_best` take.
pub const METRICS: &[&str] = &["fid", "kid", "is", "precision", "recall", "density", "coverage"];
const STAGES: &[&str] = &["one", "two"];
/// The names that `data.kind` takes.
pub const DATA_KINDS: &[&str] =
    &["digits", "mnist", "cifar10", "cifar100", "folder", "zip", "tar", "lmdb", "celeba", "cache"];
const SPLITS: &[&str] = &["train", "valid", "test"];
const CROPS: &[&str] = &["none", "center", "resize-center", "celeba-178"];
const CHANNELS: &[&str] = &["grey", "rgb"];
const MOST: i64 = i64::MAX;
const POSITIVE: Kind = Kind::Number([0.0, f64::MAX], [false, true]);
const UNIT: Kind = Kind::Number([0.0, 1.0], [true, true]);
const FRACTION: Kind = Kind::Number([0.0, 1.0], [true, false]);

/// A key that shapes the weights: in the identity, fixed for the life of a run.
const fn fixed(name: &'static str, kind: Kind, default: Option<&'static str>, help: &'static str) -> Key {
    Key { name, kind, default, note: "", help, identity: true, resume: false }
}

/// A key about watching and keeping: outside the identity, free to change on resume.
const fn free(name: &'static str, kind: Kind, default: Option<&'static str>, help: &'static str) -> Key {
    Key { name, kind, default, note: "", help, identity: false, resume: true }
}

/// A key that changes the weights' last bits and yet may change on resume, so that a run can move to another machine.
const fn machine(name: &'static str, kind: Kind, default: Option<&'static str>, help: &'static str) -> Key {
    Key { name, kind, default, note: "", help, identity: true, resume: true }
}

const fn noted(mut key: Key, note: &'static str) -> Key {
    key.note = note;
    key
}

macro_rules! optimizer_keys {
    ($table:literal) => {
        [
            noted(
                fixed(concat!($table, ".optimizer"), Kind::Choice(OPTIMIZERS), Some("\"adam\""), "The optimizer, as PyTorch defines it. Another one than a farther source chose drops that source's whole table."),
                "the plugin's, else `\"adam\"`",
            ),
            noted(
                fixed(concat!($table, ".learning_rate"), POSITIVE, Some("2e-4"), "Its learning rate. Must be set beside `optimizer` when that replaces the plugin's."),
                "the plugin's, else `2e-4`",
            ),
            noted(fixed(concat!($table, ".betas"), Kind::Pair, None, "Adam: decay of the two moments."), "the plugin's, else `[0.5, 0.999]`"),
            noted(fixed(concat!($table, ".eps"), POSITIVE, None, "Adam, RMSprop: added to the denominator."), "`1e-8`"),
            noted(fixed(concat!($table, ".alpha"), FRACTION, None, "RMSprop: decay of the squared gradient's mean."), "`0.99`"),
            noted(fixed(concat!($table, ".momentum"), FRACTION, None, "SGD: momentum."), "the plugin's, else `0.0`"),
            noted(fixed(concat!($table, ".nesterov"), Kind::Flag, None, "SGD: Nesterov momentum; needs `momentum` above 0."), "`false`"),
            noted(
                fixed(concat!($table, ".weight_decay"), Kind::Number([0.0, f64::MAX], [true, true]), None, "L2 penalty added to the gradient."),
                "`0.0`",
            ),
        ]
    };
}

const RUN: [Key; 23] = [
    noted(
        fixed(
            "plugin",
            Kind::Text,
            None,
            "The plugin that declares the GAN: a name on the search path, or a path to its file (anything with a `/` or ending in `.so`).",
        ),
        "must be set",
    ),
    fixed(
        "stages",
        Kind::Choice(STAGES),
        Some("\"one\""),
        "Train G and D from one backward pass, or D first and then G.",
    ),
    fixed(
        "strategy",
        Kind::Choice(STRATEGIES),
        Some("\"auto\""),
        "How one stage gets both gradients; `auto` takes the cheapest exact one. One stage only.",
    ),
    fixed(
        "reuse_fakes",
        Kind::Flag,
        Some("false"),
        "G's step reuses the fakes of D's step instead of drawing new ones. Two stages only.",
    ),
    fixed(
        "seed",
        Kind::Integer(0, MOST),
        Some("0"),
        "Seeds the initial weights, the latents and the order of the data.",
    ),
    free(
        "steps",
        Kind::Integer(1, MOST),
        Some("3000"),
        "Steps to train for; a resumed run may go on longer. A step is `n_critic` updates of D and `n_generator` of G.",
    ),
    fixed("batch_size", Kind::Integer(1, 65_536), Some("64"), "Samples in a batch."),
    noted(fixed("n_critic", Kind::Integer(1, 1000), Some("1"), "Updates of D in a step."), "the plugin's, else `1`"),
    noted(fixed("n_generator", Kind::Integer(1, 1000), Some("1"), "Updates of G in a step."), "the plugin's, else `1`"),
    fixed(
        "ema_decay",
        FRACTION,
        Some("0.999"),
        "Decay of the moving average of G's weights, at step t at most (1 + t) / (10 + t); 0 keeps none.",
    ),
    fixed(
        "precision",
        Kind::Choice(PRECISIONS),
        Some("\"float32\""),
        "Of convolutions and matrix products; weights, norms, losses and updates stay float32.",
    ),
    machine(
        "deterministic",
        Kind::Flag,
        Some("false"),
        "Take only algorithms that give equal bytes for equal seeds on one device. On the CPU all do.",
    ),
    machine(
        "cuda_graph",
        Kind::Flag,
        Some("false"),
        "On CUDA: record a round once and replay it as a whole. Not yet verified on a GPU.",
    ),
    machine("device", Kind::Device, Some("\"auto\""), "Where to train: `auto`, `cpu`, `cuda` or `cuda:N`."),
    noted(
        machine("threads", Kind::Integer(1, 1024), None, "Threads that libtorch may use on the CPU."),
        "libtorch's choice",
    ),
    free(
        "log_every",
        Kind::Integer(1, MOST),
        Some("50"),
        "Steps between readings of the losses, each a line in `metrics.jsonl`.",
    ),
    free("checkpoint_every", Kind::Integer(1, MOST), Some("500"), "Steps between checkpoints."),
    free("keep_checkpoints", Kind::Integer(0, MOST), Some("3"), "Newest checkpoints to keep; 0 keeps all."),
    free("sample_every", Kind::Integer(0, MOST), Some("250"), "Steps between sample grids; 0 draws none."),
    free("sample_count", Kind::Integer(1, 1024), Some("64"), "Images in a sample grid."),
    free(
        "tensorboard",
        Kind::Flag,
        Some("false"),
        "Also write losses, scores, γ, speed, figures of evaluations and sample grids as event files for TensorBoard, under `tensorboard/` in the run directory.",
    ),
    noted(
        fixed(
            "data.kind",
            Kind::Choice(DATA_KINDS),
            Some("\"digits\""),
            "`digits`: the handwritten digits that ship with Tandem. `mnist`: files in MNIST's IDX form, gzipped or not. `cifar10`, `cifar100`: their binary form. `folder`, `zip`: JPEG, PNG and WebP files, with folders or `dataset.json` as classes. `tar`: shards with `key.jpg` and `key.cls`. `lmdb`: LSUN's. `celeba`: the aligned photographs with their lists. `cache`: a file that `tandem data prepare` wrote. See [data.md](data.md).",
        ),
        "",
    ),
    fixed(
        "data.image_size",
        Kind::Integer(8, 1024),
        Some("32"),
        "Height and width, in pixels, that images are brought to.",
    ),
];

const FILES: [Key; 14] = [
    noted(
        fixed(
            "data.path",
            Kind::Path,
            None,
            "The folder or file of the data set. `mnist`: the folder that holds the IDX files under their usual names. `tar`: a file, or a folder of them.",
        ),
        "must be set for all but `digits`, and for `mnist` unless `data.images` is",
    ),
    noted(
        fixed(
            "data.split",
            Kind::Choice(SPLITS),
            None,
            "`mnist` with `data.path`, `cifar10`, `cifar100`: which files to take. `celeba`: which images; `valid` is for it alone.",
        ),
        "`\"train\"`; for `celeba` unset: all",
    ),
    noted(fixed("data.images", Kind::Path, None, "`mnist`: the images' IDX file, in place of `data.path`."), "unset"),
    noted(
        fixed("data.labels", Kind::Path, None, "`mnist` with `data.images`: the labels' IDX file."),
        "unset: no labels",
    ),
    noted(fixed("data.transposed", Kind::Flag, None, "`mnist`: rows are columns, as in EMNIST's files."), "`false`"),
    noted(
        fixed("data.attribute", Kind::Text, None, "`celeba`: the attribute that is the label, for example `Male`."),
        "unset: no labels",
    ),
    noted(
        fixed(
            "data.use_labels",
            Kind::Flag,
            None,
            "`false`: take no labels, where folders are no classes, as in FFHQ.",
        ),
        "`true`",
    ),
    noted(
        fixed(
            "data.crop",
            Kind::Choice(CROPS),
            None,
            "`none`: stretch all of it. `center`: the central square, then resized. `resize-center`: the shorter side resized, then the central square, as torchvision's `Resize` and `CenterCrop`. `celeba-178`: the central 178x178, then resized.",
        ),
        "`\"center\"`; `digits`, `mnist`: a black border to 32, stretched to 64",
    ),
    noted(
        fixed("data.channels", Kind::Choice(CHANNELS), None, "Whether images are grey or in colour."),
        "`\"grey\"` for `digits` and `mnist`, else `\"rgb\"`",
    ),
    noted(
        fixed("data.flip", Kind::Flag, None, "Mirror half of the images, others in each epoch, by the seed."),
        "`false`",
    ),
    noted(
        free(
            "data.max_bad",
            Kind::Integer(0, MOST),
            None,
            "Images that may be damaged: so many are left out and named, more are an error.",
        ),
        "`10`",
    ),
    noted(
        free("data.use_cache", Kind::Flag, None, "Read images from their cache where `tandem data prepare` wrote one."),
        "`true`",
    ),
    noted(
        free(
            "data.may_change",
            Kind::Flag,
            None,
            "Resuming: go on with images, labels or an order that are not those that the run was trained with until now. Holds for this start alone: a run does not keep it.",
        ),
        "`false`",
    ),
    noted(
        free("data.cache", Kind::Path, None, "The folder of the caches."),
        "`tandem` in `XDG_CACHE_HOME`, else `~/.cache/tandem`",
    ),
];

const AUGMENT: [Key; 2] = [
    noted(
        fixed(
            "augment.transforms",
            Kind::Choices(TRANSFORMS),
            None,
            "What is done to all images, real and fake, on their way to D (DiffAugment), in place of the plugin's own.",
        ),
        "the plugin's, else `[]`",
    ),
    noted(
        fixed(
            "augment.target",
            Kind::Number([-1.0, 1.0], [false, false]),
            None,
            "Makes it adaptive (ADA): its probability moves to hold the mean sign of D's real scores here; 0.6 is usual.",
        ),
        "the plugin's, else unset: always",
    ),
];

const TRUST: [Key; 3] = [
    free(
        "trust.policy",
        Kind::Choice(POLICIES),
        Some("\"any\""),
        "Which plugin files may be asked. `any`: all, but one that a `tandem.lock` beside the config or above it pins must be the pinned one. `locked`: only pinned ones. `signed`: only those with a minisign signature by one of `trust.keys` beside them, as `FILE.so.minisig`. Set in the environment or by `--set`, it is met by keys and a lock from there alone; see [what each protects against](plugins.md#what-a-policy-protects-against).",
    ),
    noted(
        free(
            "trust.keys",
            Kind::Texts,
            None,
            "Minisign public keys (the line that begins with `RW`). Those of a config file do not count for a policy from the environment or `--set`.",
        ),
        "`[]`",
    ),
    noted(
        free(
            "trust.lock_file",
            Kind::Path,
            None,
            "A lock file of your own, which counts beside those that lie with the config. Only in the environment (`TANDEM_TRUST__LOCK_FILE`) or by `--set`; `tandem plugin lock` then writes it.",
        ),
        "unset",
    ),
];

const SCHEDULE: [Key; 6] = [
    noted(
        fixed(
            "schedule.kind",
            Kind::Choice(SCHEDULES),
            Some("\"constant\""),
            "What both learning rates are multiplied by, step for step as PyTorch's schedulers. Another one than a farther source chose drops that source's whole table.",
        ),
        "the plugin's, else `\"constant\"`",
    ),
    noted(
        fixed(
            "schedule.milestones",
            Kind::Steps,
            None,
            "`multi-step`: the steps from which on `gamma` counts once more.",
        ),
        "must be set for `multi-step`",
    ),
    noted(fixed("schedule.gamma", UNIT, None, "`multi-step`: the factor of a milestone."), "`0.1`"),
    noted(
        fixed("schedule.start", Kind::Integer(0, MOST), None, "`linear`, `cosine`: where the rate begins to fall."),
        "`0`",
    ),
    noted(
        fixed(
            "schedule.end",
            Kind::Integer(1, MOST),
            None,
            "`linear`, `cosine`: where it has fallen. Set it for a run that may be resumed with more `steps`.",
        ),
        "`steps`",
    ),
    noted(fixed("schedule.factor", UNIT, None, "`linear`, `cosine`: what is left of the rate at the end."), "`0.0`"),
];

const BOOST: [Key; 3] = [
    noted(
        fixed(
            "critic_boost.n_critic",
            Kind::Integer(1, 10_000),
            None,
            "Updates of D in some steps: the first ones and now and then (100, 25 and 500 in the code of WGAN's authors).",
        ),
        "the plugin's, else unset: none",
    ),
    noted(
        fixed("critic_boost.first", Kind::Integer(0, MOST), None, "In how many first steps."),
        "the plugin's, else `0`",
    ),
    noted(
        fixed("critic_boost.every", Kind::Integer(0, MOST), None, "In each step that this divides; 0 for none."),
        "the plugin's, else `0`",
    ),
];

const EVALUATE: [Key; 6] = [
    free(
        "evaluate.every",
        Kind::Integer(0, MOST),
        Some("0"),
        "Steps between evaluations, each a line in `evaluations.jsonl`; 0 makes none. See [metrics](metrics.md).",
    ),
    free(
        "evaluate.samples",
        Kind::Integer(2, 1_000_000),
        Some("10000"),
        "Images to draw from G for an evaluation: at least 10 for `is`, and 4 for `precision`, `recall`, `density` and `coverage`.",
    ),
    noted(
        free(
            "evaluate.extractor",
            Kind::Text,
            None,
            "What gives features: `mnist-classifier-v1`, `inception-2015-12-05` once it was fetched, or the path of a TorchScript file (anything with a `/` or ending in `.pt`).",
        ),
        "`\"mnist-classifier-v1\"` for `digits` and `mnist`; else must be set for evaluations",
    ),
    free("evaluate.metrics", Kind::Choices(METRICS), Some("[\"fid\", \"kid\"]"), "What to compute."),
    noted(
        free(
            "evaluate.keep_best",
            Kind::Choice(METRICS),
            None,
            "Keep the checkpoint that is best by this one of `evaluate.metrics`; the file `best` names it.",
        ),
        "unset: only the newest",
    ),
    free(
        "evaluate.patience",
        Kind::Integer(0, MOST),
        Some("0"),
        "Stop after this many evaluations in a row without a better `evaluate.keep_best`; 0 never stops.",
    ),
];

const GENERATOR: [Key; 8] = optimizer_keys!("generator");
const DISCRIMINATOR: [Key; 8] = optimizer_keys!("discriminator");

/// All keys but those of `[options]`, which are the plugin's, in the documentation's order.
pub fn all() -> impl Iterator<Item = &'static Key> {
    let tables = FILES.iter().chain(&AUGMENT).chain(&SCHEDULE).chain(&BOOST).chain(&EVALUATE).chain(&TRUST);
    RUN.iter().chain(tables).chain(&GENERATOR).chain(&DISCRIMINATOR)
}

/// The key of this full dotted name.
pub fn find(name: &str) -> Option<&'static Key> {
    all().find(|k| k.name == name)
}

/// Whether a difference in this key changes a run's identity. A plugin's options always do.
pub fn is_identity(name: &str) -> bool {
    find(name).is_none_or(|k| k.identity)
}

/// Whether this key may change when a run resumes. A plugin's options never may.
pub fn may_change_on_resume(name: &str) -> bool {
    find(name).is_some_and(|k| k.resume)
}

/// Whether this key holds a path, which identifies by its last component alone. `plugin` and `evaluate.extractor` may be one.
pub fn is_path(name: &str) -> bool {
    name == "plugin" || name == "evaluate.extractor" || find(name).is_some_and(|k| k.kind == Kind::Path)
}
