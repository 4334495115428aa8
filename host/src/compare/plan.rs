//! A plan: which methods, modes, data sets and seeds, and what the table shows. Reading configs and making runs of it
//! comes after.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Table;

use super::CompareError;
use crate::{
    config::keys::METRICS,
    files::{self, MOST_TEXT},
};

/// A plan as its file says it; `docs/compare.md` describes each key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plan {
    /// Columns of the table, by metric.
    pub metrics: Vec<String>,
    /// Seeds of each cell.
    pub seeds: Vec<u64>,
    /// Modes, in the order of the rows.
    #[serde(default = "both")]
    pub stages: Vec<super::Mode>,
    /// Which evaluation of a run counts.
    #[serde(default)]
    pub take: Take,
    /// What a plateau is.
    #[serde(default)]
    pub plateau: Plateau,
    /// Settings of all runs.
    #[serde(default)]
    pub set: Table,
    /// The data sets.
    pub data: Vec<Data>,
    /// The methods.
    pub methods: Vec<Method>,
    /// The plan's file.
    #[serde(skip)]
    pub path: PathBuf,
}

/// Which evaluation of a run counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    /// The last.
    #[default]
    Last,
    /// The best.
    Best,
}

/// When a run is said to have stopped getting better.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plateau {
    /// By which metric; the first of the plan's where none is said.
    pub metric: Option<String>,
    /// How near to the best value, as a share of it.
    pub tolerance: f64,
    /// How many evaluations must follow.
    pub hold: usize,
}

impl Default for Plateau {
    fn default() -> Self {
        Self { metric: None, tolerance: 0.05, hold: 3 }
    }
}

/// A data set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The name in the table.
    pub name: String,
    /// Its settings.
    #[serde(default)]
    pub set: Table,
}

/// A method.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// The name in the table.
    pub name: String,
    /// Its config file, with `{stages}` and `{data}` to be filled in.
    pub config: String,
    /// Its settings.
    #[serde(default)]
    pub set: Table,
    /// On which data sets only.
    pub data: Option<Vec<String>>,
}

fn both() -> Vec<super::Mode> {
    vec![super::Mode::Two, super::Mode::One]
}

/// A name as part of a path: lower case, `-` for each run of what is no letter or digit.
pub(super) fn slug(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            text.push(c);
        } else if !text.ends_with('-') {
            text.push('-');
        }
    }
    text.trim_matches('-').to_owned()
}

impl Plan {
    /// Reads a plan and checks what can be checked without its configs.
    pub fn read(path: &Path) -> Result<Self, CompareError> {
        let text = files::read_text(path, MOST_TEXT).map_err(CompareError::io("read the plan", path))?;
        let mut plan: Self = toml::from_str(&text).map_err(|e| {
            let line = e.span().map(|s| text.get(..s.start).unwrap_or("").matches('\n').count() + 1);
            let at = line.map_or_else(String::new, |n| format!("line {n}: "));
            CompareError::Plan { path: path.to_owned(), what: format!("{at}{}", e.message().replace('\n', ", ")) }
        })?;
        path.clone_into(&mut plan.path);
        plan.check().map_err(|what| CompareError::Plan { path: path.to_owned(), what })?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), String> {
        let lists = [
            ("metrics", self.metrics.is_empty()),
            ("seeds", self.seeds.is_empty()),
            ("stages", self.stages.is_empty()),
            ("data", self.data.is_empty()),
            ("methods", self.methods.is_empty()),
        ];
        if let Some((key, _)) = lists.iter().find(|(_, empty)| *empty) {
            return Err(format!("`{key}` is empty; name at least one"));
        }
        twice("seeds", self.seeds.iter().map(ToString::to_string))?;
        twice("stages", self.stages.iter().map(|s| s.name().to_owned()))?;
        twice("metrics", self.metrics.iter().cloned())?;
        if let Some(metric) = self.metrics.iter().find(|m| !METRICS.contains(&m.as_str())) {
            return Err(format!("`metrics` holds `{metric}`, expected some of {}", METRICS.join(", ")));
        }
        twice("data", self.data.iter().map(|d| slug(&d.name)))?;
        twice("methods", self.methods.iter().map(|m| slug(&m.name)))?;
        let names = || self.data.iter().map(|d| &d.name).chain(self.methods.iter().map(|m| &m.name));
        if let Some(name) = names().find(|name| slug(name).is_empty()) {
            return Err(format!("the name {name:?} has no letter or digit to name a folder by"));
        }
        for method in &self.methods {
            for data in method.data.iter().flatten() {
                if !self.data.iter().any(|d| d.name == *data) {
                    let known: Vec<_> = self.data.iter().map(|d| format!("`{}`", d.name)).collect();
                    let known = known.join(", ");
                    return Err(format!("method `{}` names the data set `{data}`; the plan has {known}", method.name));
                }
            }
        }
        let Plateau { metric, tolerance, .. } = &self.plateau;
        if !(*tolerance > 0.0 && *tolerance < 1.0) {
            return Err(format!("`plateau.tolerance` must be above 0 and below 1, found {tolerance}"));
        }
        match metric {
            Some(metric) if !self.metrics.contains(metric) => {
                Err(format!("`plateau.metric` is `{metric}`, which is not among `metrics`"))
            }
            _ => Ok(()),
        }
    }

    /// The metric that plateaus are found by.
    pub fn plateau_metric(&self) -> &str {
        self.plateau.metric.as_deref().or(self.metrics.first().map(String::as_str)).unwrap_or_default()
    }
}

/// Refuses what stands twice: its runs would be the same.
fn twice(key: &str, values: impl Iterator<Item = String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value.clone()) {
            return Err(format!(
                "`{key}` holds `{value}` twice, and so the same runs twice; leave one out or name it otherwise"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_names_a_folder() {
        let slugs = ["LSUN Churches", "DCGAN† (asym)", "CIFAR-10", "a__b", "→"].map(slug);
        assert_eq!(slugs, ["lsun-churches", "dcgan-asym", "cifar-10", "a-b", ""]);
    }
}
