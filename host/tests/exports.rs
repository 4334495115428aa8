//! Networks that no plugin ships, in every framework: random ones of every operation, and layers under every name that Python
//! or its libraries have themselves. Each gives the host's output, or is refused by the layer's name.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod drafts;

use std::{collections::BTreeSet, fs, path::PathBuf};

use drafts::{Draft, Random};
use predicates::str::contains;
use tandem::{
    export::{Card, ExportError, Format, Subject, Target, Weights},
    network::{Compiled, Pass},
    run::{Metadata, NamedArray, encode_arrays},
    session::to_array,
};
use tandem_plugin_api::{Builder, Error, Gan, Linear, Network};
use tandem_tests::{long, python_with, root};
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

const SAMPLES: i64 = 8;
/// Random networks, and more until each operation was in one; and in the long form of the test.
const NETWORKS: [usize; 2] = [16, 48];

/// Names that stand for something in Python, PyTorch, Flax or the programs, or nearly so.
const NAMES: [&str; 66] = [
    "params",
    "batch_stats",
    "GroupedConvTranspose",
    "setup",
    "name",
    "parent",
    "scope",
    "variables",
    "apply",
    "init",
    "bind",
    "self",
    "x",
    "h",
    "y",
    "s",
    "x1",
    "F",
    "torch",
    "nn",
    "jnp",
    "jax",
    "np",
    "training",
    "forward",
    "T_destination",
    "to",
    "half",
    "load_state_dict",
    "_parameters",
    "__init__",
    "__call__",
    "__class__",
    "_",
    "__",
    "constant2",
    "CONSTANT2",
    "Generator",
    "Discriminator",
    "load",
    "tensors",
    "image",
    "labels.image",
    "weight",
    "bias",
    "0",
    "0.0",
    "1.weight",
    "a.b",
    "a",
    "a_b",
    "a-b",
    "a.b.c",
    "a..b",
    ".",
    "..",
    "-",
    "zero.grad",
    "zero",
    "class",
    "lambda.def",
    "print",
    "match",
    "pixel_shuffle",
    "graph",
    "module",
];

fn gan(discriminator: Network) -> Gan {
    let image = discriminator.input("image").unwrap().shape.sample().unwrap();
    let b = Builder::new();
    let made = b.input("latent", &[2]).linear("fc", image.iter().product(), Linear::default());
    let generator = b.finish(&made.reshape(&image).tanh());
    Gan::builder(generator, Ok::<_, Error>(discriminator))
        .loss_discriminator(|s| (s.real.mean(), s.fake.mean()))
        .loss_generator(|s| s.fake.mean())
        .build()
        .unwrap()
}

/// A network with weights, its inputs and its output.
struct Case {
    gan: Gan,
    arrays: Vec<NamedArray>,
    inputs: Vec<(&'static str, Tensor)>,
    output: Tensor,
}

impl Case {
    fn new(discriminator: Network, seed: u64) -> Self {
        let mut generator = Generator::new(Device::Cpu, seed).unwrap();
        let compiled = Compiled::new(&discriminator, Kind::Float, &mut generator).unwrap();
        for (name, tensor) in compiled.state() {
            let (low, high) = if name.ends_with(".running_mean") { (-0.5, 0.5) } else { (0.5, 2.0) };
            if name.contains(".running_") {
                generator.uniform_(tensor, low, high).unwrap();
            }
        }
        let arrays = compiled.state().map(|(name, tensor)| to_array(name, tensor).unwrap()).collect();
        let image = discriminator.input("image").unwrap().shape.with_batch(SAMPLES);
        let mut inputs = vec![("image", generator.randn(&image, Kind::Float).unwrap())];
        if discriminator.input("labels").is_some() {
            inputs.push(("labels", Tensor::arange(SAMPLES, (Kind::Int64, Device::Cpu))));
        }
        let _guard = tch::no_grad_guard();
        let given: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let output = compiled.forward(&given, &Pass::evaluation(&compiled.weights(false).unwrap())).unwrap();
        Self { gan: gan(discriminator), arrays, inputs, output }
    }

    /// The largest number of the output.
    fn largest(&self) -> f64 {
        self.output.abs().max().double_value(&[])
    }

    /// The folder that an export would be; its name. Refused networks have none.
    fn written(&self, folder: PathBuf, format: Format) -> Result<PathBuf, ExportError> {
        let (target, method) = (Target::Discriminator, "random");
        let weights = Weights::check(&self.gan.discriminator, target, &self.arrays, "random").unwrap();
        let subject = Subject { gan: &self.gan, target, weights: &weights, method, variant: String::new(), step: 1 };
        let program = subject.program(format)?.unwrap();
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).unwrap();
        write(&program.name, &program.content);
        let mut checked: Vec<NamedArray> = self.inputs.iter().map(|(name, t)| to_array(*name, t).unwrap()).collect();
        checked.push(to_array("scores", &self.output).unwrap());
        for (name, arrays) in [("check", &checked), ("discriminator", &self.arrays)] {
            let name = format!("{name}.safetensors");
            write(&name, &encode_arrays(name.as_ref(), arrays, &Metadata::new()).unwrap());
        }
        let dataset = ["random", "random"].map(str::to_owned);
        let card =
            Card { subject: &subject, format, license: "mit", dataset, facts: vec![], config: "", evaluation: None };
        write("README.md", card.markdown().as_bytes());
        Ok(folder)
    }
}

/// Where the folders of a test lie; they stay until it runs again, to be looked at.
fn place(name: &str) -> PathBuf {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&place);
    place
}

fn agree(folders: &[PathBuf]) {
    let Some(mut python) = python_with("torch, safetensors, onnx, onnxruntime, flax") else { return };
    let script = root().join("tests/python/verify_export.py");
    python.arg(script).args(folders).env("PYTHONDONTWRITEBYTECODE", "1").env("JAX_PLATFORMS", "cpu");
    python.assert().success().stdout(contains("max_abs_difference").count(folders.len()));
}

/// A random network whose output is of the size of 1, under odd names.
fn random_network(seed: u64) -> Option<Network> {
    let mut random = Random::new(seed ^ 0x5eed);
    let mut names: BTreeSet<String> = BTreeSet::new();
    while names.len() < 12 {
        names.insert(NAMES[random.below(NAMES.len() as i64) as usize].to_owned());
    }
    let mut names: Vec<String> = names.into_iter().filter(|name| name != "image" && name != "labels").collect();
    let steps = 1 + random.below(5) as usize;
    let turn = random.below(names.len() as i64) as usize;
    names.rotate_left(turn);
    let made = |scale| Draft::new(seed, names.clone()).finished(steps, scale);
    let first = made(1.0)?;
    // Labels alone are no image's.
    first.input("image")?;
    let largest = Case::new(first, seed).largest();
    if (1e-3..1e4).contains(&largest) { made(1.0 / largest) } else { None }
}

#[test]
fn random_networks_give_the_hosts_output_in_every_framework() {
    let place = place("random");
    let mut unused: BTreeSet<&str> = tandem_plugin_api::opset::TABLE.iter().map(|row| row.name).collect();
    let (mut folders, mut made, mut refused) = (Vec::new(), 0, 0);
    for (seed, network) in (0_u64..5000).filter_map(|seed| Some((seed, random_network(seed)?))) {
        let new = network.nodes().iter().filter(|node| unused.remove(node.op.name())).count();
        if made >= NETWORKS[usize::from(long())] && new == 0 {
            if unused.is_empty() {
                break;
            }
            continue;
        }
        made += 1;
        let case = Case::new(network, seed);
        for format in [Format::Onnx, Format::PyTorch, Format::Flax] {
            match case.written(place.join(format!("{seed}-{}", format.name())), format) {
                Ok(folder) => folders.push(folder),
                Err(ExportError::Unsupported { place, .. }) => {
                    assert!(place.starts_with("layer `"), "{place}");
                    refused += 1;
                }
                Err(other) => panic!("{seed}: {other}"),
            }
        }
    }
    assert_eq!(unused, BTreeSet::new());
    assert!(refused < folders.len() / 20, "{refused} of {} are refused", folders.len());
    agree(&folders);
}

/// A layer for each of these names.
fn named(names: &[&str]) -> Network {
    let b = Builder::new();
    let x = b.input("image", &[1, 2, 2]).reshape(&[4]);
    b.finish(&names.iter().fold(x, |x, name| x.linear(name, 4, Linear::default()).tanh())).unwrap()
}

#[test]
fn layers_may_have_every_name_that_python_and_the_frameworks_have_themselves() {
    let Some(mut python) = python_with("torch, safetensors, onnx, onnxruntime, flax") else { return };
    let program = "import builtins, keyword, torch\nfrom flax import linen\n\
                   class Empty(linen.Module): pass\n\
                   script = torch.jit.script(torch.nn.Identity())\n\
                   print(*dir(torch.nn.Module()), *dir(Empty()), *dir(script), *dir(builtins), *keyword.kwlist, *keyword.softkwlist)";
    let output = python.args(["-c", program]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let all: BTreeSet<&str> = printed.split_whitespace().chain(NAMES).collect();
    assert!(all.contains("register_buffer") && all.contains("lambda") && all.contains("tabulate"), "{all:?}");
    // Those that were once wrong always; in the short form, a third of the others.
    let (known, others): (Vec<&str>, Vec<&str>) =
        all.into_iter().filter(|name| *name != "image").partition(|name| NAMES.contains(name));
    let all: Vec<&str> = known.into_iter().chain(others.into_iter().step_by(if long() { 1 } else { 3 })).collect();
    let place = place("names");
    let mut folders = Vec::new();
    // Deep networks of one activation after another say less and less: a few shallow ones.
    for (i, names) in all.chunks(60).enumerate() {
        let case = Case::new(named(names), i as u64);
        for format in [Format::Onnx, Format::PyTorch, Format::Flax] {
            folders.push(case.written(place.join(format!("{i}-{}", format.name())), format).unwrap());
        }
    }
    agree(&folders);
}

#[test]
fn an_epsilon_that_float32_cannot_hold_is_refused_by_the_layers_name() {
    let b = Builder::new();
    let norm = tandem_plugin_api::Norm::default().eps(1e-60);
    let x = b.input("image", &[2, 2, 2]).group_norm("groups", 2, norm);
    let case = Case::new(b.finish(&x).unwrap(), 0);
    for format in [Format::Onnx, Format::Flax] {
        let said = case.written(place("epsilon"), format).unwrap_err().to_string();
        assert!(said.contains("layer `groups` (group_norm) cannot be exported to") && said.contains("1e-60"), "{said}");
    }
    assert!(case.written(place("epsilon"), Format::PyTorch).is_ok());
}

#[test]
fn no_name_that_could_be_code_is_a_name() {
    let honest = serde_json::to_string(&gan(named(&["conv"])).encode()).unwrap();
    let decoded = |text: &str| Gan::decode(&serde_json::from_str(text).unwrap()).map_err(|e| e.to_string());
    assert!(decoded(&honest).is_ok());
    let hostile =
        ["a\"\"\"", "a\nimport os", "a\\", "a'); x(", "a\u{202e}b", "a\u{2028}b", "é", "a b", "a`", "#", "", "\0"];
    for name in hostile {
        for honest_name in ["conv", "image", "latent", "linear"] {
            let changed = honest.replace(&format!("\"{honest_name}\""), &serde_json::to_string(name).unwrap());
            assert_ne!(changed, honest);
            decoded(&changed).unwrap_err();
        }
    }
}
