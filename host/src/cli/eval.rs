//! `tandem eval`.

use std::path::Path;

use anyhow::Context as _;

use super::{arguments::Eval, device, print, progress::number, table::Table};
use crate::{
    config::{Data, DataKind},
    data::Dataset,
    metrics::{INCEPTION, MNIST_CLASSIFIER, fetch_inception},
    run::{Metadata, RunDir, write_arrays},
    session::{
        Against, Evaluation, EvaluationPlan, Evaluator, Images, Sampler, SessionError, Weights, cache_directory,
        folder_to_evaluate, real_images,
    },
};

pub(super) fn run(arguments: &Eval) -> anyhow::Result<()> {
    let device = device(&arguments.device)?;
    let cache = arguments.cache.clone().or_else(cache_directory);
    let run = RunDir::open(&arguments.subject).ok();
    let data = run.as_ref().map(|run| run.config().map(|config| config.data)).transpose()?;
    let against = against(arguments, data.clone())?;
    let plan = EvaluationPlan {
        extractor: extractor(arguments, &against)?,
        sum: arguments.sha256.clone(),
        metrics: Some(arguments.metrics.clone()).filter(|metrics| !metrics.is_empty()),
        samples: arguments.samples as usize,
        batch: arguments.batch as usize,
        seed: arguments.seed,
        cache: cache.clone(),
        features: arguments.features.is_some(),
        device,
    };
    if arguments.fetch {
        fetch_inception(&cache.context("neither --cache, XDG_CACHE_HOME nor HOME says where to keep it")?)?;
    }
    let found = match run.zip(data) {
        Some((run, data)) => of_run(arguments, &run, &data, &against, plan)?,
        None => of_folder(&arguments.subject, &against, plan)?,
    };
    for warning in &found.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(path) = &arguments.features {
        write_arrays(path, &found.arrays, &Metadata::new())?;
    }
    print(&if arguments.json { format!("{}\n", serde_json::to_string_pretty(&found)?) } else { told(&found) })?;
    Ok(())
}

fn against(arguments: &Eval, own: Option<Data>) -> Result<Against, SessionError> {
    match (&arguments.against, own) {
        (Some(text), _) => Against::find(text),
        (None, Some(data)) => Ok(Against::Data(data)),
        (None, None) => {
            let subject = arguments.subject.display();
            let what = if arguments.subject.is_dir() { "is no run" } else { "is not there" };
            Err(SessionError::Evaluation(format!(
                "{subject} {what}, so it has no data set of its own; say with --against which real images its images are \
                 measured against"
            )))
        }
    }
}

/// The digits have an extractor of their own; for anything else it would measure nothing.
fn extractor(arguments: &Eval, against: &Against) -> Result<String, SessionError> {
    let digits = matches!(against, Against::Data(data) if matches!(data.kind, DataKind::Digits | DataKind::Mnist));
    match &arguments.extractor {
        Some(choice) => Ok(choice.clone()),
        None if arguments.fetch => Ok(INCEPTION.into()),
        None if digits => Ok(MNIST_CLASSIFIER.into()),
        None => Err(SessionError::Evaluation(format!(
            "an --extractor is needed for these images: the path of a TorchScript file, or {INCEPTION}, which --fetch \
             downloads"
        ))),
    }
}

fn of_run(
    arguments: &Eval,
    run: &RunDir,
    own: &Data,
    against: &Against,
    plan: EvaluationPlan,
) -> anyhow::Result<Evaluation> {
    let step = match (arguments.best, run.best()?) {
        (true, None) => {
            return Err(SessionError::Evaluation(format!(
                "{} keeps no best checkpoint; it does with `evaluate.keep_best` set",
                run.path().display()
            ))
            .into());
        }
        (true, best) => best,
        (false, _) => arguments.step,
    };
    let sampler = Sampler::open(run, step, Weights::Best, plan.device)?;
    let (real, name) = real_images(against, own.image_size)?;
    let mut evaluator = Evaluator::new(plan, &Images::of(&real, name))?;
    if real.labels().is_empty() && arguments.against.is_some() {
        let (own, _): (Dataset, _) = real_images(&Against::Data(own.clone()), own.image_size)?;
        evaluator = evaluator.with_labels(own.labels().to_vec());
    }
    let which = if sampler.averaged { "moving average of the weights" } else { "weights" };
    tracing::info!("evaluating the {which} at step {}", sampler.step);
    Ok(sampler.evaluate(&evaluator)?)
}

fn of_folder(folder: &Path, against: &Against, plan: EvaluationPlan) -> anyhow::Result<Evaluation> {
    let (images, resize) = folder_to_evaluate(folder, against.size())?;
    let (real, name) = real_images(against, images.size())?;
    let evaluator = Evaluator::new(plan, &Images::of(&real, name))?;
    Ok(evaluator.of_images(&Images { resize, ..Images::of(&images, "") })?)
}

fn told(found: &Evaluation) -> String {
    let mut table = Table::new(&["figure", "value", "spread"]).right(&[1, 2]);
    for figure in &found.figures {
        table.row([figure.name.clone(), number(figure.value), figure.std.map(number).unwrap_or_default()]);
    }
    table.to_string()
}
