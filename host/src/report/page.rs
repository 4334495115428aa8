//! The whole page: head, sections, and the style and script that stand in it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Evaluation, ReportError, evaluations, film, gamma,
    numbers::{duration, escape, grouped, number},
    sections, tables,
};
use crate::{
    config::{Config, Stages},
    run::{PluginRecord, RunDir},
};

const STYLE: &str = include_str!("../../assets/report/page.css");
const SCRIPT: &str = include_str!("../../assets/report/page.js");

/// What the sections are made from.
struct Facts {
    name: String,
    config: Config,
    /// Its keys and values as TOML.
    settings: BTreeMap<String, String>,
    plugin: PluginRecord,
    lines: Vec<Value>,
    evaluations: Vec<Evaluation>,
    /// The last step that anything is known of.
    step: u64,
}

/// The page of a run.
///
/// # Errors
/// A file of the run that cannot be read or is damaged, by its name and line.
pub fn html(run: &RunDir) -> Result<String, ReportError> {
    let lines = run.metrics()?;
    let step = |line: &Value| line.get("step").and_then(Value::as_u64);
    let whole = run.path().canonicalize().unwrap_or_else(|_| run.path().to_owned());
    let config = run.config()?;
    let facts = Facts {
        name: whole.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy().into_owned()),
        settings: config.texts()?,
        config,
        plugin: run.plugin()?,
        step: lines.last().and_then(step).or(run.latest()?).unwrap_or(0),
        evaluations: evaluations(run)?,
        lines,
    };
    let title = format!("{} · {}", facts.name, facts.plugin.name);
    let mut body = head(&facts);
    if let Some(film) = film::html(run, facts.config.data.image_size)? {
        body += &section("samples", "Samples", &film);
    }
    if !facts.evaluations.is_empty() {
        let best = sections::best(&facts.evaluations);
        let charts = cards(&sections::metrics(&facts.evaluations));
        body += &section("metrics", "Metrics", &(charts + &card(&tables::evaluations(&facts.evaluations, &best))));
    }
    body += &section("training", "Training", &training(&facts));
    body += &section("machines", "Machines", &card(&tables::sessions(&run.sessions()?)));
    body += &section("plugin", "Plugin", &card(&plugin(&facts.plugin)));
    body += &section("config", "Configuration", &card(&tables::config(&facts.settings)));
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n\
         <footer>Tandem {}</footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        escape(&title),
        env!("CARGO_PKG_VERSION")
    ))
}

fn section(id: &str, title: &str, content: &str) -> String {
    format!("<section aria-labelledby=\"{id}-head\"><h2 id=\"{id}-head\">{title}</h2>\n{content}</section>\n")
}

fn card(content: &str) -> String {
    format!("<div class=\"card\">{content}</div>\n")
}

fn cards(content: &str) -> String {
    format!("<div class=\"cards\">{content}</div>\n")
}

fn head(facts: &Facts) -> String {
    let config = &facts.config;
    let mode = match config.stages {
        Stages::One => "one stage",
        Stages::Two => "two stages",
    };
    let state = if facts.step >= config.steps {
        format!("all {} steps done", grouped(config.steps as i64))
    } else {
        format!("at step {} of {}", grouped(facts.step as i64), grouped(config.steps as i64))
    };
    let options =
        config.options.iter().map(|(k, v)| format!("{k} {}", v.as_str().map_or_else(|| v.to_string(), str::to_owned)));
    let size = config.data.image_size;
    let data = format!("{} at {size}×{size}", data_name(&facts.settings));
    let mut tiles = tile(&grouped(facts.step as i64), &format!("of {} steps", grouped(config.steps as i64)));
    let seconds = seconds(&facts.lines);
    if seconds > 0.0 {
        tiles += &tile(&duration(seconds), "wall-clock time");
        let rate: f64 = facts.step as f64 / seconds;
        tiles += &tile(&number(rate), "steps per second");
    }
    tiles += &tile(&grouped(config.batch_size as i64), "images in a batch");
    if let Some(last) = facts.evaluations.last() {
        for figure in last.figures.iter().take(3) {
            let value = figure.value.map_or_else(|| "–".into(), number);
            tiles += &tile(&value, &format!("{} at step {}", figure.name, grouped(last.step as i64)));
        }
    }
    format!(
        "<header><p class=\"over\">{} · {mode}</p><h1>{}</h1><p class=\"sub\">{state} · {} · seed {} · {}</p><div class=\"tiles\">{tiles}</div></header>\n",
        escape(&facts.plugin.name),
        escape(&facts.name),
        escape(&data),
        config.seed,
        escape(&options.collect::<Vec<_>>().join(", "))
    )
}

/// What kind of data, and which folder or file where there is one.
fn data_name(settings: &BTreeMap<String, String>) -> String {
    let get = |key: &str| settings.get(key).map(|text| text.trim_matches('"'));
    let kind = get("data.kind").unwrap_or("data").to_owned();
    let place = get("data.path").or_else(|| get("data.images"));
    match place.and_then(|p| p.rsplit('/').find(|part| !part.is_empty())) {
        Some(place) => format!("{kind} {place}"),
        None => kind,
    }
}

fn tile(value: &str, what: &str) -> String {
    format!("<div class=\"tile\"><b>{value}</b><span>{}</span></div>", escape(what))
}

/// Time from the first step to the last reading: each line says how fast its steps were.
fn seconds(lines: &[Value]) -> f64 {
    let mut before = 0.0;
    let mut sum = 0.0;
    for line in lines {
        let get = |key: &str| line.get(key).and_then(Value::as_f64);
        let (Some(step), Some(rate)) = (get("step"), get("steps_per_second")) else { continue };
        if rate > 0.0 {
            sum += (step - before) / rate;
        }
        before = step;
    }
    sum
}

fn training(facts: &Facts) -> String {
    if facts.lines.is_empty() {
        return card("<p>Nothing was read yet: the first line comes after <code>log_every</code> steps.</p>");
    }
    let lines = &facts.lines;
    cards(&(sections::losses(lines) + &gamma(facts) + &sections::saturation(lines) + &sections::speed(lines)))
}

/// γ's figure, or why there is none.
fn gamma(facts: &Facts) -> String {
    let why = match (gamma::html(&facts.lines), facts.config.stages) {
        (Some(figure), _) => return figure,
        (None, Stages::Two) => "γ relates the two gradients of a joint step; this run trained in two stages.",
        (None, Stages::One) => {
            "This run has no histogram of γ: it has no step with one yet, or is of an earlier version."
        }
    };
    format!("<div class=\"card aside\"><h3>γ</h3><p>{why}</p></div>\n")
}

fn plugin(plugin: &PluginRecord) -> String {
    format!(
        "<dl><dt>name</dt><dd>{}</dd><dt>version</dt><dd>{}</dd><dt>SHA-256 of its file</dt><dd><code>{}</code></dd></dl>",
        escape(&plugin.name),
        escape(&plugin.version),
        escape(&plugin.sha256)
    )
}
