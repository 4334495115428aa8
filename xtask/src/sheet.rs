//! `cargo xtask sheet`: trains every method in both modes on the digits, and draws them on one page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{setup, shell};

const CONFIGS: &str = "configs/mnist-32";
const RUNS: &str = "runs/sheet";
/// Enough for digits to be digits.
const STEPS: &str = "2000";
/// Networks that need fewer, for which a step costs much more: their configs say how many.
const OWN_STEPS: [&str; 2] = ["sngan-resnet-", "sngan-sn-dcgan-"];

/// Trains what is not trained yet, into `runs/sheet`; ARGS go to every `tandem train`. About an hour and a half on two cores.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let libtorch = setup::run()?;
    shell::run(shell::cargo().args(["build", "--release"]).env("LIBTORCH", libtorch))?;
    let tandem = shell::target()?.join("release/tandem");
    let mut runs = Vec::new();
    for config in configs(&shell::root().join(CONFIGS))? {
        let out = Path::new(RUNS).join(config.file_stem().unwrap_or_default());
        let mut train = Command::new(&tandem);
        train.arg("train").arg(&config).arg("--out").arg(&out).current_dir(shell::root());
        if !has_own_steps(&config) {
            train.args(["--set", &format!("steps={STEPS}")]);
        }
        train.args(["--set", "checkpoint_every=500"]).args(args);
        if shell::root().join(&out).exists() {
            train.arg("--resume");
        }
        shell::run(&mut train).with_context(|| {
            format!("{} did not train; if its config has changed, remove {}", config.display(), out.display())
        })?;
        runs.push(out);
    }
    let mut sheet = Command::new(&tandem);
    sheet.arg("sheet").args(runs).args(["--columns", "2", "--out", "docs/digits/sheet.png"]);
    shell::run(sheet.current_dir(shell::root()))
}

fn has_own_steps(config: &Path) -> bool {
    let name = config.file_name().unwrap_or_default().to_string_lossy();
    OWN_STEPS.iter().any(|network| name.starts_with(network))
}

/// The configs of a folder by name, so that a method's two modes stand beside each other.
fn configs(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut configs: Vec<_> = paths.into_iter().filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    // `lsgan-one` and `lsgan-two` belong together, `lsgan-pearson-one` is between them only by its letters.
    let method_and_mode = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        stem.rsplit_once('-').map_or_else(|| (stem.clone(), String::new()), |(m, n)| (m.into(), n.into()))
    };
    configs.sort_by_key(method_and_mode);
    Ok(configs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_with_steps_of_their_own_set_them() {
        let configs = configs(&shell::root().join(CONFIGS)).unwrap();
        let own: Vec<_> = configs.iter().filter(|config| has_own_steps(config)).collect();
        assert_eq!(own.len(), 2 * OWN_STEPS.len());
        for config in own {
            let text = fs::read_to_string(config).unwrap();
            assert!(text.lines().any(|line| line.starts_with("steps = ")), "{}", config.display());
        }
    }

    #[test]
    fn every_method_has_both_modes_side_by_side() {
        let configs = configs(&shell::root().join(CONFIGS)).unwrap();
        let names: Vec<&str> = configs.iter().filter_map(|p| p.file_stem()?.to_str()).collect();
        assert!(names.len() > 20);
        for pair in names.chunks(2) {
            let method = pair[0].strip_suffix("-one");
            assert_eq!(method, pair[1].strip_suffix("-two"), "{pair:?}");
            assert!(method.is_some());
        }
    }
}
