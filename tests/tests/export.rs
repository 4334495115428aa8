//! Weights for other frameworks and back: what `tandem export` writes computes the host's images elsewhere, and what
//! `tandem import` takes trains on.
#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

use std::{collections::BTreeSet, fs, path::Path};

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tandem_tests::{Playground, long, python_with, root, tandem};

/// Every shipped method in each of its variants. Those with `D` have networks that those before them have not; their
/// discriminators are exported, too.
const METHODS: [(&str, &str, &str); 23] = [
    ("dcgan", "loss = \"saturating\"\nnorm = \"group\"", "D"),
    ("dcgan", "loss = \"non-saturating\"\nnorm = \"batch\"", "D"),
    ("cgan", "loss = \"saturating\"", "D"),
    ("cgan", "loss = \"non-saturating\"", ""),
    ("wgan", "norm = \"none\"", "D"),
    ("lsgan", "coding = \"binary\"", ""),
    ("lsgan", "coding = \"pearson\"", ""),
    ("lsgan", "coding = \"signed\"\nnorm = \"spectral\"", "D"),
    ("relgan", "variant = \"standard\"", ""),
    ("relgan", "variant = \"average\"", ""),
    ("relgan", "variant = \"average-least-squares\"", ""),
    ("relgan", "variant = \"average-hinge\"", ""),
    ("geogan", "norm = \"group\"", ""),
    ("fishergan", "norm = \"group\"", ""),
    ("bgan", "target = \"boundary\"", ""),
    ("bgan", "target = \"log-z\"", ""),
    ("wgan-gp", "norm = \"none\"", ""),
    ("dragan", "", ""),
    ("r3gan-loss", "norm = \"none\"", ""),
    ("sngan", "loss = \"hinge\"", ""),
    ("sngan", "loss = \"non-saturating\"\nnetwork = \"sn-dcgan\"", "D"),
    ("sngan", "loss = \"non-saturating\"\nnetwork = \"resnet\"", "D"),
    ("sngan", "loss = \"hinge\"\nnetwork = \"resnet\"\nconditional = true", "D"),
];

const FRAMEWORKS: [&str; 3] = ["pytorch", "onnx", "flax"];

/// A run of a few steps, and its folder.
fn trained(plugin: &str, options: &str) -> Playground {
    let here = Playground::new(&format!("plugin = \"{plugin}\""));
    let config = fs::read_to_string(here.path("config.toml")).unwrap();
    fs::write(here.path("config.toml"), format!("{config}{options}\n")).unwrap();
    here.train("run", &["--set", "steps=2", "--set", "sample_every=0"]).assert().success();
    here
}

/// Exports a network to every framework; the folders.
fn exported(here: &Playground, network: &str) -> Vec<String> {
    let folders = FRAMEWORKS.map(|to| (to, here.path(&format!("{network}-{to}"))));
    for (to, out) in &folders {
        tandem(&["export", &here.path("run"), "--to", to, "--network", network, "--out", out]).assert().success();
    }
    folders.map(|(_, out)| out).to_vec()
}

/// Exports of the runs give the host's outputs in every framework.
fn agree(runs: &[Playground], discriminators: &[bool]) {
    let Some(mut python) = python_with("torch, safetensors, onnx, onnxruntime, flax") else { return };
    let mut folders = Vec::new();
    for (here, &d) in runs.iter().zip(discriminators) {
        folders.extend(exported(here, "generator"));
        if d {
            folders.extend(exported(here, "discriminator"));
        }
    }
    let script = root().join("tests/python/verify_export.py");
    python.arg(script).args(&folders).env("PYTHONDONTWRITEBYTECODE", "1").env("JAX_PLATFORMS", "cpu");
    python.assert().success().stdout(contains("max_abs_difference").count(folders.len()));
}

/// Methods that differ in their losses alone are for the long form.
#[test]
fn every_method_gives_the_hosts_images_in_every_framework() {
    let methods: Vec<_> = METHODS.iter().filter(|(.., d)| long() || *d == "D").collect();
    let runs: Vec<Playground> = methods.iter().map(|(plugin, options, _)| trained(plugin, options)).collect();
    let discriminators: Vec<bool> = methods.iter().map(|(.., d)| *d == "D").collect();
    agree(&runs, &discriminators);
}

fn every_operation() -> Playground {
    let file = tandem_tests::binary().with_file_name("examples").join("libevery_operation.so");
    let here = Playground::new(&format!("plugin = \"{}\"", file.display()));
    let config = fs::read_to_string(here.path("config.toml")).unwrap();
    fs::write(here.path("config.toml"), config.split("[options]").next().unwrap()).unwrap();
    here.train("run", &["--set", "steps=2", "--set", "sample_every=0"]).assert().success();
    here
}

/// The test plugin has every operation that docs/opset.md lists, which is made from the opset's table.
#[test]
fn every_operation_gives_the_hosts_output_in_every_framework() {
    let here = every_operation();
    let definition: serde_json::Value = serde_json::from_slice(&here.read("run/definition.json")).unwrap();
    let graphs = definition["graphs"].as_array().unwrap();
    let networks = graphs.iter().filter(|g| g["name"] == "generator" || g["name"] == "discriminator");
    let nodes = networks.flat_map(|g| g["value"]["nodes"].as_array().unwrap());
    let used: BTreeSet<&str> = nodes.map(|n| n["op"].as_str().unwrap()).collect();
    let page = fs::read_to_string(root().join("docs/opset.md")).unwrap();
    let listed: BTreeSet<&str> = page.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(listed.difference(&used).collect::<Vec<_>>(), Vec::<&&str>::new());
    agree(&[here], &[true]);
}

fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_export_is_a_folder_to_upload() {
    let here = Playground::new("");
    here.train("run", &[]).assert().success();
    let evaluation = r#"{"step": 6, "n": 500, "figures": [{"metric": "fid", "name": "fid-digits", "value": 12.5}]}"#;
    fs::write(here.path("run/evaluations.jsonl"), format!("{evaluation}\n")).unwrap();
    let (run, out) = (here.path("run"), here.path("out"));
    tandem(&["export", &run, "--to", "pytorch", "--out", &out, "--license", "cc-by-4.0"]).assert().success();
    assert_eq!(
        names(&out),
        ["README.md", "check.safetensors", "config.toml", "generator.py", "generator.safetensors", "samples.png"]
    );
    let card = String::from_utf8(here.read("out/README.md")).unwrap();
    for words in [
        "---\nlicense: \"cc-by-4.0\"\nlibrary_name: pytorch\npipeline_tag: unconditional-image-generation\ntags:\n- \"gan\"\n",
        "model-index:\n- name: \"Generator of dcgan\"\n  results:\n  - task:\n      type: unconditional-image-generation\n",
        "    dataset:\n      name: \"digits\"\n      type: \"digits\"\n    metrics:\n    - type: \"fid\"\n      value: 12.5\n      \
         name: \"fid-digits\"\n---\n",
        "![Samples](samples.png)",
        "| fid-digits | 12.5 |",
        "from generator import load",
        "| weights | the moving average (decay 0.999) |",
        "```toml\nplugin = \"dcgan\"",
    ] {
        assert!(card.contains(words), "{words} is not in\n{card}");
    }
    let bytes = here.read("out/generator.safetensors");
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    assert_eq!(
        ["format", "method", "network", "weights", "step", "opset"].map(|k| metadata[k].as_str()),
        ["pt", "dcgan", "generator", "averaged", "6", "1"]
    );
    // Those of another step, as they were left, take the place of the first only when told to.
    let again = ["export", &run, "--to", "safetensors", "--out", &out, "--weights", "live", "--step", "3"];
    tandem(&again).assert().code(2).stderr(contains("is there already").and(contains("--force")));
    tandem(&[&again[..], &["--force"]].concat()).assert().success();
    assert_eq!(names(&out), ["README.md", "check.safetensors", "config.toml", "generator.safetensors", "samples.png"]);
    let weights = |path: &str| here.read(path);
    let (live, saved) = (weights("out/generator.safetensors"), weights("run/checkpoints/step-3/generator.safetensors"));
    let (live, saved) = (SafeTensors::deserialize(&live).unwrap(), SafeTensors::deserialize(&saved).unwrap());
    for (name, view) in saved.iter() {
        assert_eq!(view.data(), live.tensor(name).unwrap().data(), "{name}");
    }
    // What somebody else put there is not replaced.
    fs::create_dir(here.path("out/generator")).unwrap();
    fs::write(here.path("out/generator/thesis.tex"), "years").unwrap();
    tandem(&[&again[..], &["--force"]].concat())
        .assert()
        .code(2)
        .stderr(contains("holds `generator`, which no export wrote"));
    assert_eq!(here.read("out/generator/thesis.tex"), b"years");
    // Nothing unfinished is left beside it.
    assert_eq!(names(Path::new(&out).parent().unwrap().to_str().unwrap()), ["config.toml", "out", "run"]);
}

#[test]
fn what_a_run_says_stays_words_and_its_folders_stay_at_home() {
    let here = Playground::new("");
    let secret = ["--set", "data.cache=/srv/secret/cache", "--set", "evaluate.extractor=/srv/secret/net.pt"];
    here.train("run", &secret).assert().success();
    let (run, out) = (here.path("run"), here.path("out"));
    let export =
        || tandem(&["export", &run, "--to", "flax", "--out", &out, "--force", "--license", "Lab-1.0"]).assert();
    export().success();
    for name in names(&out) {
        let text = String::from_utf8_lossy(&here.read(&format!("out/{name}"))).into_owned();
        assert!(!text.contains("secret"), "{name}");
    }
    let card = String::from_utf8(here.read("out/README.md")).unwrap();
    assert!(card.starts_with("---\nlicense: other\nlicense_name: \"lab-1.0\"\n"), "{card}");
    assert!(!card.contains("model-index"), "no metrics, no index");

    // Runs come from other machines, too: what was changed in them is refused, before it is anybody's program.
    // Sums are no obstacle to whoever can write: these are as if there never were any.
    for name in ["SHA256SUMS", "config.toml", "data.json"] {
        fs::remove_file(here.path(&format!("run/checkpoints/step-6/{name}"))).unwrap();
    }
    let weights = here.path("run/checkpoints/step-6/generator_ema.safetensors");
    let whole = fs::read(&weights).unwrap();
    let at = whole.windows(16).position(|w| w == br#""method":"dcgan""#).unwrap();
    let mut changed = whole.clone();
    changed[at + 10..at + 15].copy_from_slice(b"a|b|c");
    fs::write(&weights, changed).unwrap();
    export().failure().stderr(contains("names its method \"a|b|c\"").and(contains("generator_ema.safetensors")));
    fs::write(&weights, whole).unwrap();
    let definition = String::from_utf8(here.read("run/definition.json")).unwrap();
    let payload = r#"soft\"\"\"\nopen('pwned', 'w')\nX = \"\"\""#;
    // As a choice and the value of it, and as a value that is no choice.
    let last = definition.rfind("\"non-saturating\"").unwrap();
    let (before, after) = definition.split_at(last);
    for changed in [
        definition.replace("\"non-saturating\"", &format!("\"{payload}\"")),
        format!("{before}{}", after.replace("\"non-saturating\"", &format!("\"{payload}\""))),
    ] {
        fs::write(here.path("run/definition.json"), changed).unwrap();
        export().failure().stderr(contains("option").and(contains("loss")));
    }
}

/// The tensors of a safetensors file as `change` makes them, which leaves out those that it gives nothing for.
fn changed(bytes: &[u8], change: impl Fn(&str, Dtype, &[u8]) -> Option<(String, Dtype, Vec<u8>)>) -> Vec<u8> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let made: Vec<_> = file
        .iter()
        .filter_map(|(name, view)| Some((view.shape().to_vec(), change(name, view.dtype(), view.data())?)))
        .collect();
    let views = made
        .iter()
        .map(|(shape, (name, dtype, data))| (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn odd_state_dicts_are_taken_or_said_to_be_what_they_are() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    let (config, out, file) = (here.path("config.toml"), here.path("new"), here.path("g.safetensors"));
    let whole = here.read("run/checkpoints/step-6/generator.safetensors");
    let import = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        tandem(&["import", &file, "--config", &config, "--out", &out]).assert()
    };
    let first = |name: &str, number: f32| {
        let (name, number) = (name.to_owned(), number.to_le_bytes());
        changed(&whole, move |n, dtype, data| {
            let mut data = data.to_vec();
            if n == name {
                data[..4].copy_from_slice(&number);
            }
            Some((n.into(), dtype, data))
        })
    };
    for number in [f32::NAN, f32::INFINITY] {
        import(&first("to_image.weight", number)).code(2).stderr(
            contains("g.safetensors cannot be imported into the generator:")
                .and(contains("\n  to_image.weight holds NaN or infinities (1 of "))
                .and(contains("learning rates").not()),
        );
    }
    let doubled = |factor: f64| {
        changed(&whole, move |name, dtype, data| {
            if dtype != Dtype::F32 {
                return Some((name.into(), dtype, data.to_vec()));
            }
            let numbers = data.as_chunks::<4>().0.iter().map(|&b| f64::from(f32::from_le_bytes(b)) * factor);
            Some((name.into(), Dtype::F64, numbers.flat_map(f64::to_le_bytes).collect()))
        })
    };
    import(&doubled(1e300)).code(2).stderr(contains("that float32 cannot: they are beyond 3.4e38"));
    let both = |name: &str| changed(&whole, |n, dtype, data| Some((format!("{name}.{n}"), dtype, data.to_vec())));
    let [raw, average] = [both("g"), both("g_ema")];
    let [raw, average] = [&raw, &average].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let two = safetensors::serialize(raw.iter().chain(average.iter()), None).unwrap();
    import(&two).code(2).stderr(
        contains("under each of `g.`, `g_ema.`").and(contains("startswith(\"g.\")")).and(contains("missing").not()),
    );
    import(b"PK\x03\x04 and what torch.save wrote").code(2).stderr(contains("torch.save").and(contains("save_file")));
    assert!(!Path::new(&out).exists());

    // What only counts batches may be shorter or not there; other real types fit.
    let is_counter = |name: &str| name.ends_with("num_batches_tracked");
    let without = changed(&whole, |n, dtype, data| (!is_counter(n)).then(|| (n.into(), dtype, data.to_vec())));
    let short = changed(&whole, |n, dtype, data| {
        let counter = (n.to_owned(), Dtype::I32, data[..4.min(data.len())].to_vec());
        Some(if is_counter(n) { counter } else { (n.into(), dtype, data.to_vec()) })
    });
    assert_ne!(without.len(), short.len());
    // What wrappers put before the names of a network's tensors is taken off where that gives the network's names.
    let wrapped = ["module.", "_orig_mod.", "module._orig_mod.", "state_dict.generator."]
        .map(|start| changed(&whole, move |n, dtype, data| Some((format!("{start}{n}"), dtype, data.to_vec()))));
    for bytes in wrapped.into_iter().chain([without, short, doubled(1.0)]) {
        import(&bytes).success();
        let new = here.read("new/checkpoints/step-0/generator.safetensors");
        let (new, old) = (SafeTensors::deserialize(&new).unwrap(), SafeTensors::deserialize(&whole).unwrap());
        for (name, view) in old.iter().filter(|(name, _)| !is_counter(name)) {
            assert_eq!(view.data(), new.tensor(name).unwrap().data(), "{name}");
        }
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn imported_weights_are_sampled_and_trained_on() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    let (config, new) = (here.path("config.toml"), here.path("new"));
    let [g, d] = ["generator", "discriminator"].map(|n| here.path(&format!("run/checkpoints/step-6/{n}.safetensors")));
    let import = ["import", "--config", &config, "--generator", &g, "--discriminator", &d, "--out", &new];
    tandem(&import).assert().success().stdout(contains("--resume"));
    let [ours, theirs] = [("run", "--step=6"), ("new", "--step=0")].map(|(run, step)| {
        let png = here.path(&format!("{run}.png"));
        tandem(&["sample", &here.path(run), step, "--raw", "--num", "4", "--out", &png]).assert().success();
        fs::read(png).unwrap()
    });
    assert_eq!(ours, theirs);
    let saved = |n: &str| here.read(&format!("{n}.safetensors"));
    let values =
        |bytes: &[u8]| SafeTensors::deserialize(bytes).unwrap().tensor("conv1.weight").unwrap().data().to_vec();
    assert_eq!(
        values(&saved("new/checkpoints/step-0/discriminator")),
        values(&saved("run/checkpoints/step-6/discriminator"))
    );
    here.train("new", &["--resume"]).assert().success().stdout(contains("trained to step 6"));
    tandem(&import).assert().code(2).stderr(contains("already holds a run"));
    // G alone: D begins with first values.
    let alone = here.path("alone");
    tandem(&["import", &g, "--config", &config, "--out", &alone]).assert().success();
    here.train("alone", &["--resume"]).assert().success();
}

/// A file whose tensors of these ends have `value` as their first number.
fn with_first(bytes: &[u8], end: &str, value: &[u8]) -> Vec<u8> {
    changed(bytes, |name, dtype, data| {
        let mut data = data.to_vec();
        if name.ends_with(end) {
            data[..value.len()].copy_from_slice(value);
        }
        Some((name.into(), dtype, data))
    })
}

#[test]
fn values_that_no_training_leaves_are_refused_by_their_tensor() {
    let here = trained("lsgan", "norm = \"spectral\"");
    let config = here.path("config.toml");
    let import = |network: &str, bytes: &[u8]| {
        let (file, out) = (here.path("weights.safetensors"), here.path("new"));
        fs::write(&file, bytes).unwrap();
        tandem(&["import", "--config", &config, &format!("--{network}"), &file, "--out", &out]).assert()
    };
    let [g, d] = ["generator", "discriminator"].map(|n| here.read(&format!("run/checkpoints/step-2/{n}.safetensors")));
    import("generator", &with_first(&g, ".running_var", &(-0.5_f32).to_le_bytes())).code(2).stderr(
        contains("weights.safetensors cannot be imported into the generator:")
            .and(contains(".running_var holds negative variances (1 of "))
            .and(contains("-0.5 at [0]")),
    );
    import("generator", &with_first(&g, ".num_batches_tracked", &(-3_i64).to_le_bytes()))
        .code(2)
        .stderr(contains(".num_batches_tracked counts -3 batches"));
    // A channel that never varied has none, and that is a variance.
    import("generator", &with_first(&g, ".running_var", &0_f32.to_le_bytes())).success();
    fs::remove_dir_all(here.path("new")).unwrap();

    let filled = |end: &str| {
        changed(&d, |name, dtype, data| {
            let data = if name.ends_with(end) { vec![0; data.len()] } else { data.to_vec() };
            Some((name.into(), dtype, data))
        })
    };
    import("discriminator", &filled(".weight_u")).code(2).stderr(contains(".weight_u has length 0.000"));
    import("discriminator", &filled(".weight_v")).code(2).stderr(contains(".weight_v has length 0.000"));
    import("discriminator", &filled(".weight_orig")).code(2).stderr(contains(".weight_orig has the spectral norm 0"));

    // The same spectral norms as today's PyTorch stores them.
    let todays = changed(&d, |name, dtype, data| {
        let names = [
            (".weight_orig", ".parametrizations.weight.original"),
            (".weight_u", ".parametrizations.weight.0._u"),
            (".weight_v", ".parametrizations.weight.0._v"),
        ];
        let renamed = names.iter().find_map(|(old, new)| Some(name.strip_suffix(old)?.to_owned() + new));
        Some((renamed.unwrap_or_else(|| name.into()), dtype, data.to_vec()))
    });
    import("discriminator", &todays).success();
    let new = here.read("new/checkpoints/step-0/discriminator.safetensors");
    let (new, old) = (SafeTensors::deserialize(&new).unwrap(), SafeTensors::deserialize(&d).unwrap());
    for (name, view) in old.iter() {
        assert_eq!(view.data(), new.tensor(name).unwrap().data(), "{name}");
    }
}

#[test]
fn what_is_no_safetensors_file_is_told_what_it_is() {
    let here = Playground::default();
    let (config, out) = (here.path("config.toml"), here.path("out"));
    let import = |file: &str| {
        let mut command = tandem(&["import", file, "--config", &config, "--out", &out]);
        command.timeout(std::time::Duration::from_mins(1)).assert().code(2)
    };
    let file = |name: &str, bytes: &[u8]| {
        fs::write(here.path(name), bytes).unwrap();
        here.path(name)
    };
    import(&here.path("")).stderr(contains("is a folder, expected a state_dict"));
    import("/dev/zero").stderr(contains("/dev/zero is a pipe or a device"));
    import(&file("empty.safetensors", b"")).stderr(contains("empty.safetensors is empty"));
    import(&file("old.pth", &[0x80, 2, 0x8a, 10])).stderr(contains("old.pth is what `torch.save` wrote"));
    import(&file("g.h5", b"\x89HDF\r\n\x1a\n")).stderr(contains("g.h5 is an HDF5 file"));
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("picture.png", zip::write::SimpleFileOptions::default()).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    import(&file("pictures.zip", &zip)).stderr(contains("pictures.zip is a zip archive"));
    // A header of 640 bytes begins as a pickle does.
    let header = format!("{:<640}", r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#);
    let whole = [&640_u64.to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    import(&file("g.safetensors", &whole)).stderr(contains("unexpected: a F32 [1]"));
    assert!(!Path::new(&out).exists());
}

/// The lines of Python that the message says make of `torch.save`'s files what is taken.
#[test]
fn the_conversion_that_a_message_shows_converts() {
    let Some(mut python) = python_with("torch, safetensors") else { return };
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    let program = "import sys, torch; from safetensors.torch import load_file; state = load_file(sys.argv[1])\n\
                   state = {'module.' + name: tensor for name, tensor in state.items()}\n\
                   torch.save({'epoch': 3, 'state_dict': state}, 'g \"1\".pth')";
    let whole = here.path("run/checkpoints/step-6/generator.safetensors");
    python.args(["-c", program, &whole]).current_dir(here.path("")).assert().success();
    let (config, file) = (here.path("config.toml"), here.path("g \"1\".pth"));
    let refused = tandem(&["import", &file, "--config", &config, "--out", &here.path("new")]).assert().code(2);
    let message = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    let lines: Vec<&str> = message.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert!(lines.len() >= 4, "{message}");
    let mut python = python_with("torch, safetensors").unwrap();
    python.args(["-c", &lines.join("\n")]).current_dir(here.path("")).assert().success();
    let converted = here.path("state_dict.safetensors");
    tandem(&["import", &converted, "--config", &config, "--out", &here.path("new")]).assert().success();
}

/// A safetensors file of one array.
fn one_array(dtype: &str, shape: &[usize], bytes: usize) -> Vec<u8> {
    let header = format!(r#"{{"project.weight":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[0,{bytes}]}}}}"#);
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; bytes]].concat()
}

#[test]
fn bad_input_is_refused_with_what_to_do_and_nothing_is_written() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    let (run, out, config) = (here.path("run"), here.path("out"), here.path("config.toml"));
    let export =
        |more: &[&str]| tandem(&[&["export", &run, "--to", "onnx", "--out", &out][..], more].concat()).assert();
    export(&["--step", "4"]).failure().stderr(contains("has no checkpoint step-4; it has step-3, step-6"));
    export(&["--network", "critic"]).code(2).stderr(contains("critic").and(contains("discriminator")));
    export(&["--network", "discriminator", "--weights", "averaged"]).code(2).stderr(contains("only the generator"));
    export(&["--license", "my own\nlicence"]).code(2).stderr(contains("apache-2.0"));
    tandem(&["export", &here.path("none"), "--to", "onnx"]).assert().code(2).stderr(contains("holds no run"));
    tandem(&["export", &run, "--to", "tflite"]).assert().code(2).stderr(contains("tflite").and(contains("onnx")));

    let import = |bytes: &[u8]| {
        fs::write(here.path("g.safetensors"), bytes).unwrap();
        tandem(&["import", &here.path("g.safetensors"), "--config", &config, "--out", &out]).assert()
    };
    import(&one_array("I32", &[2], 8)).code(2).stderr(
        contains("g.safetensors does not fit the generator:")
            .and(contains("\n  missing: to_image.weight F32"))
            .and(contains("\n  different: project.weight must be F32 [8, 16, 4, 4], found I32 [2]")),
    );
    import(&one_array("F32", &[2], 4)).failure().stderr(contains("g.safetensors").and(contains("damaged")));
    import(b"not one").failure().stderr(contains("not a whole safetensors file"));
    tandem(&["import", "--config", &config, "--out", &out]).assert().code(2);

    // A damaged checkpoint, and a run without one.
    fs::write(here.path("run/checkpoints/step-6/generator_ema.safetensors"), "half").unwrap();
    export(&[]).failure().stderr(contains("generator_ema.safetensors is damaged"));
    fs::remove_dir_all(here.path("run/checkpoints")).unwrap();
    export(&[]).failure().stderr(contains("has no checkpoint yet"));
    assert_eq!(names(Path::new(&out).parent().unwrap().to_str().unwrap()), ["config.toml", "g.safetensors", "run"]);
}

#[test]
fn options_do_not_overwrite_what_a_dump_says_of_itself() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    let definition = String::from_utf8(here.read("run/definition.json")).unwrap();
    for (option, own) in [("seed", "7"), ("samples", "5"), ("method", "odd.json")] {
        let changed = definition.replace("\"width\"", &format!("\"{option}\""));
        let changed = changed.replace("option.width.", &format!("option.{option}."));
        let (file, dump) = (here.path("odd.json"), here.path("dump.safetensors"));
        fs::write(&file, changed).unwrap();
        let check = ["plugin", "check", "--definition", &file, "--samples", "5", "--seed", "7", "--dump", &dump];
        tandem(&check).assert().success();
        let bytes = here.read("dump.safetensors");
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().as_ref().unwrap();
        assert!(metadata[option].ends_with(own), "{metadata:?}");
        assert_eq!(metadata[&format!("option.{option}")], "4");
        assert_eq!(metadata["loss"], metadata["option.loss"]);
    }
}
