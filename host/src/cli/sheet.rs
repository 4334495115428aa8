//! `tandem sheet`.

use std::path::{Component, Path, PathBuf};

use tch::Device;

use super::{arguments::Sheet, print, sample::write};
use crate::{
    image::encode_sheet,
    run::RunDir,
    session::{Draw, Sampler, Weights, strip},
    text::Show as _,
};

pub(super) fn run(arguments: &Sheet) -> anyhow::Result<()> {
    let names = names(&arguments.runs);
    let strips = arguments.runs.iter().zip(names).map(|(path, name)| {
        let sampler = Sampler::open(&RunDir::open(path)?, None, Weights::Best, Device::Cpu)?;
        let draw = Draw { count: arguments.num as usize, seed: arguments.seed, ..Draw::default() };
        let samples = sampler.samples(&draw, draw.count)?;
        Ok(strip(format!("{name}, step {}", sampler.step), &samples.images)?)
    });
    let strips = strips.collect::<anyhow::Result<Vec<_>>>()?;
    let scale = if strips.iter().all(|s| s.shape[3] < 64) { 2 } else { 1 };
    write(&arguments.out, &encode_sheet(&strips, arguments.columns as usize, scale)?)?;
    print(&format!("{}\n", arguments.out.shown()))?;
    Ok(())
}

/// What runs are called: as little of the ends of their paths as tells them apart.
fn names(runs: &[PathBuf]) -> Vec<String> {
    let whole: Vec<PathBuf> = runs.iter().map(|run| plain(run)).collect();
    let name = |run: &PathBuf| {
        let others = || whole.iter().filter(|other| *other != run);
        let tails = (1..=run.components().count()).map(|count| tail(run, count));
        let apart = |tail: &PathBuf| others().all(|other| !other.ends_with(tail));
        tails.clone().find(apart).unwrap_or_else(|| run.clone()).shown().to_string()
    };
    whole.iter().map(name).collect()
}

/// A path from the root, without detours.
fn plain(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // Of a run that is there, what `..` means is known.
    if whole.components().any(|part| part == Component::ParentDir) {
        whole.canonicalize().unwrap_or(whole)
    } else {
        whole
    }
}

fn tail(path: &Path, count: usize) -> PathBuf {
    let skip = path.components().count().saturating_sub(count);
    path.components().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_called_by_what_tells_them_apart() {
        let of = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(of(&["runs/a", "/elsewhere/b/"]), ["a", "b"]);
        assert_eq!(of(&["a/x", "b/x", "c"]), ["a/x", "b/x", "c"]);
        assert_eq!(of(&["a/s/x", "b/s/x", "b/t/x"]), ["a/s/x", "b/s/x", "t/x"]);
        // One lies at the end of the other; the same twice is one.
        assert_eq!(of(&["/x", "/a/x"]), ["/x", "a/x"]);
        assert_eq!(of(&["a/x", "a/./x"]), ["x", "x"]);
    }
}
