//! `tandem eval`.

use std::path::Path;

use anyhow::Context as _;

use super::{arguments::Eval, device, print, print_json, progress::number, table::Table};
use crate::{
    config::{ConfigError, Data, Sources, TrustChoice, environment},
    metrics::{INCEPTION, MNIST_CLASSIFIER, fetch_inception},
    run::{Metadata, RunDir, write_arrays},
    session::{
        Against, Evaluation, EvaluationPlan, Evaluator, Images, Sampler, SessionError, Subject, Weights,
        cache_directory,
    },
    text::Show as _,
};

pub(super) fn run(arguments: &Eval) -> anyhow::Result<()> {
    let device = device(&arguments.device)?;
    let cache = arguments.cache.clone().or_else(cache_directory);
    let run = RunDir::open(&arguments.subject).ok();
    let data = run.as_ref().map(|run| run.config().map(|config| config.data)).transpose()?;
    let against = against(arguments, data.clone())?;
    let config = run.as_ref().map(|run| run.path().join("config.toml"));
    let plan = EvaluationPlan {
        extractor: extractor(arguments, &against)?,
        sum: arguments.sha256.clone(),
        trust: trust(config.as_deref())?,
        config,
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
        None => of_images(&arguments.subject, &against, plan)?,
    };
    for warning in &found.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(path) = &arguments.features {
        write_arrays(path, &found.arrays, &Metadata::new())?;
    }
    if arguments.json {
        return print_json(serde_json::to_string_pretty(&found)?);
    }
    print(&told(&arguments.subject, &found))
}

fn against(arguments: &Eval, own: Option<Data>) -> Result<Against, SessionError> {
    match (&arguments.against, own) {
        (Some(text), _) => Against::find(text),
        (None, Some(data)) => Ok(Against::of(&data)),
        (None, None) => {
            let subject = arguments.subject.shown();
            let what = if arguments.subject.exists() { "is no run" } else { "is not there" };
            Err(SessionError::Evaluation(format!(
                "{subject} {what}, so it has no data set of its own; say with --against which real images its images are \
                 measured against"
            )))
        }
    }
}

/// What the run's config, if it is a run, and the user's environment ask of an extractor's file.
fn trust(config: Option<&Path>) -> Result<TrustChoice, ConfigError> {
    let variables = environment().into_iter().filter(|(name, _)| name.starts_with("TANDEM_TRUST__"));
    Sources::load(config, variables, &[])?.trust()
}

/// The digits have an extractor of their own; for anything else it would measure nothing.
fn extractor(arguments: &Eval, against: &Against) -> Result<String, SessionError> {
    match &arguments.extractor {
        Some(choice) => Ok(choice.clone()),
        None if arguments.fetch => Ok(INCEPTION.into()),
        None if against.is_digits() => Ok(MNIST_CLASSIFIER.into()),
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
    let step = match (arguments.best, arguments.best.then(|| run.best()).transpose()?.flatten()) {
        (true, None) => {
            return Err(SessionError::Evaluation(format!(
                "{} keeps no best checkpoint; it does with `evaluate.keep_best` set",
                run.path().shown()
            ))
            .into());
        }
        (true, best) => best,
        (false, _) => arguments.step,
    };
    let sampler = Sampler::open(run, step, Weights::Best, plan.device)?;
    // It says which images the run was trained with.
    sampler.check_config(run)?;
    let (real, name) = against.open(own.image_size)?;
    let mut evaluator = Evaluator::new(plan, &Images::of(&real, name))?;
    if real.labels().is_empty() && arguments.against.is_some() {
        let (own, _) = Against::of(own).open(own.image_size)?;
        evaluator = evaluator.with_labels(own.labels().to_vec());
    }
    Ok(sampler.evaluate(&evaluator)?)
}

fn of_images(place: &Path, against: &Against, plan: EvaluationPlan) -> anyhow::Result<Evaluation> {
    let subject = Subject::open(place, against.size())?;
    let (real, name) = against.open(subject.size())?;
    let plan = EvaluationPlan { samples: subject.count(), ..plan };
    let evaluator = Evaluator::new(plan, &Images::of(&real, name))?;
    Ok(evaluator.of_subject(&subject)?)
}

/// What was measured, and the figures as a table.
fn told(subject: &Path, found: &Evaluation) -> String {
    let mut table = Table::new(&["figure", "value", "spread"]).right(&[1, 2]);
    for figure in &found.figures {
        table.row([figure.name.clone(), number(figure.value), figure.std.map(number).unwrap_or_default()]);
    }
    let (subject, n) = (subject.shown(), found.n);
    match (found.step, found.weights.as_deref()) {
        (Some(step), Some(weights)) => {
            let which = if weights == "generator_ema" { "averaged" } else { "live" };
            format!("{subject} at step {step}, {which} weights, {n} images\n\n{table}")
        }
        _ => format!("{subject}, {n} images\n\n{table}"),
    }
}
