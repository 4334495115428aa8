//! The page that goes with an export, as model hubs read it: front matter, what the weights are, how to load them.

use tandem_plugin_api::{Latent, Network};

use super::{
    Format, Subject, Target,
    license::{self, UNKNOWN},
    markup::{block, code, float, plain, scalar},
};
use crate::report::{Evaluation, number};

/// What the page says beyond the network itself.
#[derive(Debug)]
pub struct Card<'a> {
    /// The network.
    pub subject: &'a Subject<'a>,
    /// What it was exported to.
    pub format: Format,
    /// The licence's identifier, as hubs spell it.
    pub license: &'a str,
    /// What the training data is called, and of which kind it is.
    pub dataset: [String; 2],
    /// Facts of the run, a name and a value in Markdown each, in the order in which they are shown.
    pub facts: Vec<(&'static str, String)>,
    /// The configuration as TOML.
    pub config: &'a str,
    /// The last evaluation up to this step.
    pub evaluation: Option<&'a Evaluation>,
}

impl Card<'_> {
    /// The page, as `README.md`.
    pub fn markdown(&self) -> String {
        let mut text = self.front_matter();
        let Subject { target, method, variant, step, .. } = self.subject;
        let variant = if variant.is_empty() { String::new() } else { format!(" ({})", plain(variant)) };
        text += &format!(
            "\n# {} of {}\n\nThis is the {} of {}{variant} at step {step}, trained by Tandem.\n\n",
            target.class(),
            plain(method),
            target.name(),
            code(method)
        );
        let of =
            if self.subject.target == Target::Generator { "Samples" } else { "Samples of the generator beside it" };
        text += &format!("![{of}](samples.png)\n\n");
        text += "| | |\n|---|---|\n";
        let all = self.facts.iter().map(|(name, value)| (*name, value.clone())).chain(self.shapes());
        all.for_each(|(name, value)| text += &format!("| {name} | {value} |\n"));
        text += &self.metrics();
        text += &format!("\n## Use\n\n{}", self.usage());
        text += &self.verification();
        text += "\n## Licence\n\n";
        text += &if self.license == UNKNOWN {
            "Not stated. Before you publish these weights, put their licence into `license` at the head of this file and here; \
             mind that of the training data.\n"
                .to_owned()
        } else {
            format!("The weights are under {}. The licence of the training data is its own.\n", code(self.license))
        };
        if !license::is_known(self.license) {
            text += "Hubs know no licence of this name: put its text beside this file and `license_link: LICENSE` at its head.\n";
        }
        let config = block("toml", self.config);
        text += &format!("\n## Configuration\n\nAlso in `config.toml`; paths are cut to their last part.\n\n{config}");
        text
    }

    fn front_matter(&self) -> String {
        let library = match self.format {
            Format::Safetensors | Format::PyTorch => "pytorch",
            Format::Onnx => "onnx",
            Format::Flax => "flax",
        };
        // Hubs know no task that is a discriminator's, nor one of images by class.
        let pipeline = if self.subject.target == Target::Generator && !self.is_conditional() {
            "pipeline_tag: unconditional-image-generation\n"
        } else {
            ""
        };
        let tags: String = ["gan", "image-generation", self.subject.method, "tandem"]
            .map(|tag| format!("- {}\n", scalar(tag)))
            .concat();
        format!(
            "---\n{}library_name: {library}\n{pipeline}tags:\n{tags}{}---\n",
            license::lines(self.license),
            self.index()
        )
    }

    fn is_conditional(&self) -> bool {
        self.subject.gan.generator.input("labels").is_some()
    }

    /// The metrics as hubs read them (`model-index`); they are the generator's.
    fn index(&self) -> String {
        let figures = self.evaluation.iter().flat_map(|e| &e.figures);
        let finite = figures.filter_map(|f| Some((f, f.value.filter(|v| v.is_finite())?)));
        let metrics = finite.fold(String::new(), |text, (figure, value)| {
            let (kind, name) = (scalar(&figure.metric), scalar(&figure.name));
            text + &format!("    - type: {kind}\n      value: {}\n      name: {name}\n", float(value))
        });
        if metrics.is_empty() || self.subject.target != Target::Generator {
            return String::new();
        }
        let task = if self.is_conditional() { "image-generation" } else { "unconditional-image-generation" };
        let name = scalar(&format!("{} of {}", self.subject.target.class(), self.subject.method));
        let [dataset, kind] = self.dataset.each_ref().map(|text| scalar(text));
        format!(
            "model-index:\n- name: {name}\n  results:\n  - task:\n      type: {task}\n      name: Image generation\n    \
             dataset:\n      name: {dataset}\n      type: {kind}\n    metrics:\n{metrics}"
        )
    }

    /// What goes in and what comes out.
    fn shapes(&self) -> Vec<(&'static str, String)> {
        let gan = self.subject.gan;
        let network = self.subject.network();
        let mut all = Vec::new();
        for (name, types) in network.inputs() {
            let what = match (name, gan.latent) {
                ("latent", Latent::Normal) => ", from N(0, 1)".to_owned(),
                ("latent", Latent::Uniform) => ", from U(-1, 1)".to_owned(),
                ("labels", _) => format!(", int64, below {}", gan.classes().unwrap_or(0)),
                _ => ", in [-1, 1]".to_owned(),
            };
            all.push(("input", format!("`{name}` {}{what}", types.shape)));
        }
        let range = if self.subject.target == Target::Generator { "in [-1, 1]" } else { "raw scores" };
        all.push(("output", format!("`{}` {}, {range}", self.subject.target.output(), network.output_type().shape)));
        all.push(("learned numbers", network.learned_count().to_string()));
        all
    }

    fn metrics(&self) -> String {
        let Some(evaluation) = self.evaluation else { return String::new() };
        let samples = evaluation.n.map_or_else(String::new, |n| format!(", over {n} samples"));
        let mut text = format!(
            "\n## Metrics\n\nOf the generator at step {}{samples}.\n\n| metric | value |\n|---|---|\n",
            evaluation.step
        );
        for figure in &evaluation.figures {
            let value = figure.value.map_or_else(|| "not finite".into(), number);
            let spread = figure.std.map_or_else(String::new, |s| format!(" ± {}", number(s)));
            text += &format!("| {} | {value}{spread} |\n", plain(&figure.name));
        }
        text
    }

    /// Code that loads it, in the folder.
    fn usage(&self) -> String {
        let (network, file) = (self.subject.network(), self.subject.target.name());
        let output = self.subject.target.output();
        let code = match self.format {
            Format::Safetensors => format!(
                "from safetensors.torch import load_file\n\nstate_dict = load_file(\"{file}.safetensors\")  # PyTorch's names and \
                 layout\n"
            ),
            Format::PyTorch => {
                let (made, names) = inputs(
                    network,
                    self.subject,
                    "torch.randn({})",
                    "torch.rand({}) * 2 - 1",
                    "torch.zeros({}, dtype=torch.int64)",
                );
                format!(
                    "import torch\n\nfrom {file} import load\n\n{file} = load()\n{made}with torch.no_grad():\n    {output} = {file}({names})\n"
                )
            }
            Format::Flax => {
                let (made, names) = inputs(
                    network,
                    self.subject,
                    "jax.random.normal(jax.random.key(0), ({}))",
                    "jax.random.uniform(jax.random.key(0), ({}), minval=-1)",
                    "jnp.zeros({}, int)",
                );
                let class = self.subject.target.class();
                let jnp = if made.contains("jnp.") { "import jax.numpy as jnp\n" } else { "" };
                format!(
                    "import jax\n{jnp}\nfrom {file} import {class}, load\n\nvariables = load()\n{made}{output} = {class}().apply(variables, {names})\n"
                )
            }
            Format::Onnx => {
                let (made, _) = inputs(
                    network,
                    self.subject,
                    "rng.standard_normal(({}), np.float32)",
                    "rng.random(({}), np.float32) * 2 - 1",
                    "np.zeros({}, np.int64)",
                );
                let fed: Vec<String> = network.inputs().map(|(name, _)| format!("\"{name}\": {name}")).collect();
                format!(
                    "import numpy as np\nimport onnxruntime\n\nsession = onnxruntime.InferenceSession(\"{file}.onnx\")\nrng = \
                     np.random.default_rng(0)\n{made}({output},) = session.run(None, {{{}}})\n",
                    fed.join(", ")
                )
            }
        };
        let pixels = if self.subject.target == Target::Generator {
            "\nPixels are in [-1, 1]: `(images + 1) / 2` is what picture libraries take.\n"
        } else {
            ""
        };
        format!("```python\n{code}```\n{pixels}")
    }

    fn verification(&self) -> String {
        let names: Vec<String> = self.subject.network().inputs().map(|(name, _)| format!("`{name}`")).collect();
        format!(
            "\n`check.safetensors` holds {} and the `{}` that Tandem computes of them, to compare with.\n",
            names.join(", "),
            self.subject.target.output()
        )
    }
}

/// Lines that make a batch of 16 of each input, and the inputs' names.
fn inputs(network: &Network, subject: &Subject<'_>, normal: &str, uniform: &str, labels: &str) -> (String, String) {
    let mut lines = String::new();
    let mut names = Vec::new();
    for (name, types) in network.inputs() {
        let sizes: Vec<String> = types.shape.with_batch(16).iter().map(ToString::to_string).collect();
        let random = if name == "latent" && subject.gan.latent == Latent::Normal { normal } else { uniform };
        let made = if name == "labels" { labels } else { random };
        lines += &format!("{name} = {}\n", made.replace("{}", &sizes.join(", ")));
        names.push(name);
    }
    (lines, names.join(", "))
}
