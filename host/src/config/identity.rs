//! When two configurations train the same weights: the hash over what shapes them, and the difference between two.
//! Files' contents and the plugin's definition have hashes of their own, elsewhere.

use std::{collections::BTreeMap, fmt::Write as _};

use sha2::{Digest, Sha256};
use toml::Value;

use super::{
    Config, ConfigError, keys,
    layers::{Layer, flatten, literal},
};
use crate::text::Show as _;

/// One key that two configurations disagree on; values as TOML, or `not set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The full dotted key.
    pub key: String,
    /// Its value in the first.
    pub then: String,
    /// Its value in the second.
    pub now: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} then, {} now", self.key.shown(), self.then.shown(), self.now.shown())
    }
}

impl Config {
    /// The configuration as a config file that says everything.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        Ok(toml::to_string(self)?)
    }

    /// The configuration without the folders of the machine that it is on, for others to read. Its hash is the same.
    pub fn without_folders(&self) -> Result<Self, ConfigError> {
        let mut table = toml::Table::try_from(self)?;
        cut_paths(&mut table, "");
        // What serialisation gave, with other texts in places of text.
        table
            .try_into()
            .map_err(|e: toml::de::Error| ConfigError::Extract(Box::new(figment::Error::from(e.to_string()))))
    }

    /// SHA-256, in hex, over every key that shapes the weights and its value. With the definition's hash and the step,
    /// it names the weights: two runs that agree in all three on the same CPU have the same bytes. Paths count by their
    /// last component, so that a run and its data may move; `steps` does not count, because more steps do not change the first ones.
    pub fn hash(&self) -> Result<String, ConfigError> {
        let mut text = String::from("tandem config 1\n");
        for (key, value) in self.flat()?.into_iter().filter(|(key, _)| keys::is_identity(key)) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key} = {}", canonical(&key, &value));
        }
        Ok(format!("{:x}", Sha256::digest(text)))
    }

    /// Every key on which `self` (then) and `now` disagree, in alphabetical order.
    pub fn diff(&self, now: &Self) -> Result<Vec<Difference>, ConfigError> {
        let (then, now) = (self.flat()?, now.flat()?);
        let all: std::collections::BTreeSet<&String> = then.keys().chain(now.keys()).collect();
        let show = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), literal);
        let differing = all.into_iter().filter(|key| then.get(*key) != now.get(*key));
        Ok(differing
            .map(|key| Difference { key: key.clone(), then: show(then.get(key)), now: show(now.get(key)) })
            .collect())
    }

    /// The differences for which a run of `self` may not be resumed as `now`.
    pub fn diff_for_resume(&self, now: &Self) -> Result<Vec<Difference>, ConfigError> {
        let (then, later) = (self.flat()?, now.flat()?);
        let same = |key: &str| match (then.get(key), later.get(key)) {
            (Some(a), Some(b)) => canonical(key, a) == canonical(key, b),
            (a, b) => a == b,
        };
        let mut differences = self.diff(now)?;
        differences.retain(|d| !keys::may_change_on_resume(&d.key) && !same(&d.key));
        Ok(differences)
    }

    /// Every key with its value as TOML, in alphabetical order.
    pub fn texts(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        Ok(self.flat()?.into_iter().map(|(key, value)| (key, literal(&value))).collect())
    }

    /// Every key and value, in alphabetical order.
    pub(super) fn flat(&self) -> Result<BTreeMap<String, Value>, ConfigError> {
        let mut layer = Layer::new();
        flatten(toml::Table::try_from(self)?, "", &|_| super::Origin::BuiltIn, &mut layer);
        Ok(layer.into_iter().map(|(key, setting)| (key, setting.value)).collect())
    }
}

/// A value as the hash sees it: the same text for ever. A path is its last component.
fn canonical(key: &str, value: &Value) -> String {
    match value {
        Value::String(s) if keys::is_path(key) => format!("{:?}", last_part(s)),
        Value::String(s) => format!("{s:?}"),
        Value::Integer(i) => i.to_string(),
        Value::Float(x) => format!("{x:?}"),
        Value::Boolean(b) => b.to_string(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|v| canonical("", v)).collect::<Vec<_>>().join(", "))
        }
        // The flattened configuration has no tables, and `check` lets no dates in.
        Value::Table(_) | Value::Datetime(_) => value.to_string(),
    }
}

/// Every path that the key table knows, cut to its last component.
fn cut_paths(table: &mut toml::Table, within: &str) {
    for (name, value) in table.iter_mut() {
        let key = if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") };
        match value {
            Value::Table(inner) => cut_paths(inner, &key),
            Value::String(text) if keys::is_path(&key) => *text = last_part(text).to_owned(),
            _ => {}
        }
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').find(|p| !p.is_empty()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::Kind;

    /// A table with `value` under a dotted key.
    fn nested(key: &str, value: &str) -> toml::Table {
        let value = Value::String(value.to_owned());
        let wrapped =
            key.rsplit('.').fold(value, |inner, name| Value::Table([(name.to_owned(), inner)].into_iter().collect()));
        wrapped.as_table().cloned().unwrap_or_default()
    }

    #[test]
    fn no_key_that_holds_a_path_keeps_its_folders() {
        for key in keys::all().filter(|key| key.kind == Kind::Path || keys::is_path(key.name)) {
            let mut table = nested(key.name, "/home/someone/secret/last");
            cut_paths(&mut table, "");
            assert_eq!(table, nested(key.name, "last"), "{}", key.name);
        }
        // Any text may hold a path: one that is not among these is to be thought about.
        let texts: Vec<&str> = keys::all().filter(|key| key.kind == Kind::Text).map(|key| key.name).collect();
        assert_eq!(texts, ["plugin", "data.attribute", "evaluate.extractor"]);
    }
}
