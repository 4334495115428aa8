//! `cargo xtask demo`: from a fresh checkout to a trained GAN, and what to type next.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{setup, shell};

/// About a minute and a half on two cores.
const CONFIG: &str = "configs/mnist-32/dcgan-non-saturating-one.toml";

/// Sets up, builds, trains into `runs/demo` (or the next free name), and says where everything is.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let libtorch = setup::run()?;
    eprintln!("building the host and the plugins; the first time takes some minutes");
    shell::run(shell::cargo().args(["build", "--release"]).env("LIBTORCH", libtorch))?;
    let tandem = shell::target()?.join("release/tandem");
    let run = free_run(&shell::root().join("runs"));
    let train = shell::run(
        Command::new(&tandem).args(["train", CONFIG, "--out"]).arg(&run).args(args).current_dir(shell::root()),
    );
    train.context("the demo did not train to its end")?;
    report(&tandem, &run)
}

/// `demo`, or the first of `demo-2`, `demo-3`, ... that is not there; relative to the checkout, to be typed again.
fn free_run(runs: &Path) -> PathBuf {
    let numbered = (2..).map(|number: u32| format!("demo-{number}"));
    let mut names = std::iter::once("demo".to_owned()).chain(numbered);
    let free = names.find(|name| runs.join(name).symlink_metadata().is_err());
    Path::new("runs").join(free.unwrap_or_default())
}

/// Prints where the last samples and the weights are, and the commands to go on with.
#[expect(clippy::print_stdout, reason = "this is the command's result")]
fn report(tandem: &Path, run: &Path) -> Result<()> {
    let samples = newest(&run.join("samples"), |path| path.extension().is_some_and(|e| e == "png"))?;
    let weights = |path: &Path| path.join("generator.safetensors");
    let checkpoint = newest(&run.join("checkpoints"), |path| shell::root().join(weights(path)).is_file())?;
    let tandem = tandem.strip_prefix(shell::root()).unwrap_or(tandem).display();
    let run = run.display();
    println!("\nThe demo is done.");
    println!("  samples   {}", samples.display());
    println!("  weights   {}", weights(&checkpoint).display());
    println!("\nNext:");
    println!("  {tandem} sample {run} --num 64 --out digits.png");
    println!("  {tandem} train configs/mnist-32/lsgan-one.toml --out runs/lsgan");
    println!("  {tandem} plugin inspect dcgan");
    Ok(())
}

/// The newest entry of a folder, as steps count: names differ in their number alone.
fn newest(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<PathBuf> {
    let entries =
        fs::read_dir(shell::root().join(folder)).with_context(|| format!("the run has no {}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(folder.join(entry.ok()?.file_name())));
    let numbered = paths.filter(|path| wanted(path)).filter_map(|path| Some((step(&path)?, path)));
    let newest = numbered.max();
    let (_, path) = newest.with_context(|| format!("{} holds nothing that was expected", folder.display()))?;
    Ok(path)
}

/// The last number in a file's name, `None` where there is none.
fn step(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    let digits = stem.rsplit(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty())?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_order_as_numbers() {
        assert_eq!(step(Path::new("samples/step-000120.png")), Some(120));
        assert_eq!(step(Path::new("checkpoints/step-1500")), Some(1500));
        assert_eq!(step(Path::new("samples/losses.png")), None);
        assert!(step(Path::new("step-900")) < step(Path::new("step-1000")));
    }

    #[test]
    fn a_run_that_is_there_is_left_alone() {
        let runs = std::env::temp_dir().join(format!("tandem-xtask-runs-{}", std::process::id()));
        assert_eq!(free_run(&runs), Path::new("runs/demo"));
        fs::create_dir_all(runs.join("demo")).unwrap();
        fs::create_dir_all(runs.join("demo-2")).unwrap();
        assert_eq!(free_run(&runs), Path::new("runs/demo-3"));
        fs::remove_dir_all(runs).unwrap();
    }
}
