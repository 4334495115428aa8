//! `tandem data inspect` and `tandem data prepare`.

use std::fmt::Write as _;

use anyhow::Context as _;

use super::{
    arguments::{InspectData, PrepareData},
    print, print_json,
    table::Table,
};
use crate::{
    config::{ConfigError, Sources, environment},
    data::{Report, Source, inspect},
    session::data_spec,
    text::Show as _,
};

/// Classes and sizes that are listed one by one.
const LISTED: usize = 20;

pub(super) fn inspect_data(arguments: &InspectData) -> anyhow::Result<()> {
    let path = &arguments.path;
    let source = if path.extension().is_some_and(|e| e == "toml") {
        data_spec(&Sources::load(Some(path), environment(), &arguments.sets)?.data()?).source
    } else {
        Source::detect(path)?
    };
    let report = inspect(&source, arguments.all)?;
    if arguments.json {
        print_json(format_args!("{:#}", serde_json::to_value(&report)?))?;
    } else {
        print(&words(&report))?;
    }
    Ok(())
}

fn words(report: &Report) -> String {
    let mut text = format!("{}: {} images", report.source, report.images);
    let _ = match report.classes.len() {
        0 => writeln!(text, ", no labels"),
        n => writeln!(text, ", {n} classes"),
    };
    if let Some(why) = &report.why_no_labels {
        let _ = writeln!(text, "no labels are taken: {why}");
    }
    for line in &report.passed_over {
        let _ = writeln!(text, "passed over: {line}");
    }
    if let Some(from) = &report.made_from {
        let _ = writeln!(text, "a cache of {from}");
    }
    let how = if report.decoded { "decoded" } else { "headers read; --all decodes every one" };
    let _ = writeln!(text, "looked at {} of them ({how})\n", report.looked_at);
    let mut counts = Table::new(&["what", "images"]).right(&[1]);
    let mut sizes: Vec<_> = report.sizes.iter().collect();
    sizes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let listed = sizes.iter().take(LISTED).map(|(size, n)| ((*size).clone(), **n));
    let formats = report.formats.iter().map(|(format, n)| (format.clone(), *n));
    for (what, count) in formats.chain(listed) {
        counts.row([what, count.to_string()]);
    }
    if sizes.len() > LISTED {
        counts.row([format!("{} other sizes", sizes.len() - LISTED), String::new()]);
    }
    let _ = write!(text, "{counts}");
    if !report.classes.is_empty() {
        let mut classes = Table::new(&["class", "name", "images"]).right(&[0, 2]);
        for (i, class) in report.classes.iter().enumerate().take(LISTED) {
            classes.row([i.to_string(), class.name.shown().to_string(), class.images.to_string()]);
        }
        let _ = write!(text, "\n{classes}");
        if report.classes.len() > LISTED {
            let _ = writeln!(text, "and {} other classes", report.classes.len() - LISTED);
        }
    }
    let _ = match report.bad.len() {
        0 => writeln!(text, "\nno problem found"),
        n => writeln!(text, "\n{n} images cannot be used:"),
    };
    for bad in report.bad.iter().take(LISTED) {
        let _ = writeln!(text, "  {}: {}", bad.name.shown(), bad.why.shown());
    }
    if report.bad.len() > LISTED {
        let _ = writeln!(text, "  and {} others", report.bad.len() - LISTED);
    }
    text
}

pub(super) fn prepare_data(arguments: &PrepareData) -> anyhow::Result<()> {
    let sources = Sources::load(arguments.config.as_deref(), environment(), &arguments.sets)?;
    let data = sources.data()?;
    if data.use_cache == Some(false) {
        let why = "there is nothing to prepare a cache for".to_owned();
        let origin = sources.origin("data.use_cache").context("data.use_cache = false")?;
        return Err(ConfigError::Conflict { key: "data.use_cache".into(), origin, why }.into());
    }
    let spec = data_spec(&data);
    if let Source::Cache(path) = &spec.source {
        anyhow::bail!("{} is a cache already; name what it is to be made from", path.shown());
    }
    let start = std::time::Instant::now();
    let prepared = spec.prepare(arguments.force)?;
    let seconds = start.elapsed().as_secs_f64();
    if arguments.json {
        let value = serde_json::json!({
            "path": prepared.path, "found": prepared.found, "images": prepared.images, "left_out": prepared.left_out,
            "source": spec.source.describe(), "transform": spec.transform, "seconds": seconds,
        });
        print_json(format_args!("{value:#}"))?;
        return Ok(());
    }
    let (what, count) = (spec.source.describe(), prepared.images);
    let mut text = if prepared.found {
        format!("there already: {count} images of {what} ({})\n", spec.transform)
    } else {
        format!("{count} images of {what} ({}) in {seconds:.1} s\n", spec.transform)
    };
    if !prepared.left_out.is_empty() {
        let _ = writeln!(text, "{} images left out:", prepared.left_out.len());
    }
    for bad in &prepared.left_out {
        let _ = writeln!(text, "  {}: {}", bad.name.shown(), bad.why.shown());
    }
    let _ = writeln!(text, "cache  {}", prepared.path.shown());
    print(&text)?;
    Ok(())
}
