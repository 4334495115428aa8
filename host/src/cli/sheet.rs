//! `tandem sheet`.

use tch::Device;

use super::{arguments::Sheet, print, sample::write};
use crate::{
    image::encode_sheet,
    run::RunDir,
    session::{Draw, Sampler, Weights, strip},
    text::Show as _,
};

pub(super) fn run(arguments: &Sheet) -> anyhow::Result<()> {
    let strips = arguments.runs.iter().map(|path| {
        let sampler = Sampler::open(&RunDir::open(path)?, None, Weights::Best, Device::Cpu)?;
        let draw = Draw { count: arguments.num as usize, seed: arguments.seed, ..Draw::default() };
        let samples = sampler.samples(&draw, draw.count)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        Ok(strip(format!("{name}, step {}", sampler.step), &samples.images)?)
    });
    let strips = strips.collect::<anyhow::Result<Vec<_>>>()?;
    let scale = if strips.iter().all(|s| s.shape[3] < 64) { 2 } else { 1 };
    write(&arguments.out, &encode_sheet(&strips, arguments.columns as usize, scale)?)?;
    print(&format!("{}\n", arguments.out.shown()))?;
    Ok(())
}
