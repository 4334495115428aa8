//! `tandem __steps`: a trainer that benches drive. Prints `ready`, then for each number `K` on standard input runs `K`
//! rounds on one random batch in memory and prints `{"seconds": s, "steps": K}`; ends with its input.

use std::{io::BufRead as _, path::PathBuf, time::Instant};

use serde_json::json;
use tandem_plugin_api::{Images, Stages};
use tandem_torch_ext::{Generator, cuda_peak_bytes};
use tch::{Kind, Tensor};

use super::{arguments::Steps, print, print_json};
use crate::{
    config::{Sources, environment},
    session::{SessionError, find_plugin, options, prepare_for, resolve_device, set_up, settings},
    train::{Batch, Trainer},
};

pub(super) fn run(arguments: &Steps, plugin_path: &[PathBuf]) -> anyhow::Result<()> {
    let sources = Sources::load(Some(&arguments.config), environment(), &arguments.sets)?;
    let choice = sources.plugin_choice()?;
    let plugin = find_plugin(&sources, &choice, plugin_path)?;
    let size = choice.data.image_size as i64;
    let gan = plugin.declare(Images { channels: arguments.channels, size, classes: 10 }, &options(&choice.options)?)?;
    let (resolved, gan) = prepare_for(&sources, &plugin, gan, choice.stages)?;
    let config = resolved.config;
    let device = resolve_device(config.device)?;
    set_up(&config, device)?;
    let mut trainer = Trainer::new(&gan, settings(&config, device))?;
    let images = Tensor::f_empty([config.batch_size as i64, arguments.channels, size, size], (Kind::Float, device))?;
    Generator::new(device, config.seed)?.uniform_(&images, -1.0, 1.0)?;
    let labels = Tensor::f_zeros([config.batch_size as i64], (Kind::Int64, device))?;
    print("ready\n")?;
    for line in std::io::stdin().lock().lines() {
        let steps: u64 = line?.trim().parse()?;
        let start = Instant::now();
        for _ in 0..steps {
            trainer.round(|| {
                Ok::<_, SessionError>(Batch { images: images.shallow_clone(), labels: Some(labels.shallow_clone()) })
            })?;
        }
        // Reading waits for the device, as any honest clock must.
        let readings = trainer.readings().read()?;
        let seconds = start.elapsed().as_secs_f64();
        let last = readings.last().map(|r| r.loss_discriminator);
        let one_stage = trainer.settings().stages == Stages::One;
        let mut answer = json!({ "seconds": seconds, "steps": steps, "loss": last, "one_stage": one_stage });
        if let Some(bytes) = cuda_peak_bytes(device)? {
            answer["peak_mb"] = json!(bytes as f64 / 1e6);
        }
        print_json(&answer)?;
    }
    Ok(())
}
