//! What was said, and where: each source of settings as one layer of flat dotted keys. Nothing is merged, defaulted or
//! resolved here; paths alone are made absolute, because only the layer knows what they are relative to.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf, absolute},
};

use toml::{Table, Value, de::DeTable};

use super::{ConfigError, keys};
use crate::{
    files::{self, MOST_TEXT},
    text::Show as _,
};

/// Environment variables that begin with `TANDEM_` and are no settings.
pub(super) const RESERVED: &[&str] = &[
    "TANDEM_LOG",
    "TANDEM_PLUGIN_PATH",
    "TANDEM_PYTHON",
    "TANDEM_LIBTORCH",
    "TANDEM_PLUGIN_IN_PROCESS",
    "TANDEM_EXTRACTOR_IN_PROCESS",
    "TANDEM_BIN",
];
const PREFIX: &str = "TANDEM_";

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The default that is built in.
    BuiltIn,
    /// The plugin's default; holds how to call it, for example `wgan's defaults for one stage`.
    Plugin(String),
    /// A configuration file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Env(String),
    /// A `--set` argument.
    Set(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in default"),
            Self::Plugin(name) => write!(f, "{}", name.shown()),
            Self::File { path, line } => write!(f, "{}:{line}", path.shown()),
            Self::Env(name) => write!(f, "environment variable {}", name.shown()),
            Self::Set(argument) => write!(f, "--set {}", argument.shown()),
        }
    }
}

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// One source's settings by full dotted key.
pub(super) type Layer = BTreeMap<String, Setting>;

/// Flattens a table; `origin` tells where each key was set.
pub(super) fn flatten(table: Table, prefix: &str, origin: &dyn Fn(&str) -> Origin, into: &mut Layer) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) => flatten(inner, &key, origin, into),
            value => {
                let setting = Setting { value, origin: origin(&key) };
                into.insert(key, setting);
            }
        }
    }
}

/// The file and all that it extends, farthest first.
pub(super) fn files(path: &Path) -> Result<Vec<Layer>, ConfigError> {
    let mut layers = Vec::new();
    let mut seen: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut next = Some((path.to_owned(), None));
    while let Some((path, extended_by)) = next {
        let read = |source| ConfigError::Read { path: path.clone(), extended_by: extended_by.clone(), source };
        let real = path.canonicalize().map_err(read)?;
        let first = seen.iter().position(|(_, r)| *r == real);
        seen.push((path.clone(), real));
        if let Some(first) = first {
            return Err(ConfigError::Cycle { chain: seen.into_iter().skip(first).map(|(p, _)| p).collect() });
        }
        let text = files::read_text(&path, MOST_TEXT).map_err(read)?;
        let mut layer = parse_file(&path, &text)?;
        next = match layer.remove("extends") {
            None => None,
            Some(Setting { value: Value::String(base), origin }) => Some((beside(&path, &base), Some(origin))),
            Some(Setting { value, origin }) => {
                return Err(wrong_value("extends", origin, "the path of a config file", &value));
            }
        };
        anchor_paths(&mut layer, path.parent().unwrap_or(Path::new("")))?;
        layers.push(layer);
    }
    layers.reverse();
    Ok(layers)
}

/// A file that says everything and extends none, by its text.
pub(super) fn whole_file(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let mut layer = parse_file(path, text)?;
    anchor_paths(&mut layer, path.parent().unwrap_or(Path::new("")))?;
    Ok(layer)
}

fn parse_file(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let syntax = |e: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), message: one_line(&e, text) };
    let table: Table = toml::from_str(text).map_err(syntax)?;
    let mut lines = BTreeMap::new();
    find_lines(DeTable::parse(text).map_err(syntax)?.get_ref(), "", text, &mut lines);
    let origin = |key: &str| Origin::File { path: path.to_owned(), line: lines.get(key).copied().unwrap_or(1) };
    let mut layer = Layer::new();
    flatten(table, "", &origin, &mut layer);
    Ok(layer)
}

/// The parser's message with line and column in front, without the drawing of the source.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().replace('\n', ", ");
    match error.span() {
        Some(span) => {
            let before = text.get(..span.start).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let column = before.get(line_start..).map_or(0, |l| l.chars().count()) + 1;
            format!("line {}, column {column}: {message}", line_at(text, span.start))
        }
        None => message,
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&b| b == b'\n').count() + 1
}

fn find_lines(table: &DeTable<'_>, prefix: &str, text: &str, into: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        if let toml::de::DeValue::Table(inner) = value.get_ref() {
            find_lines(inner, &key, text, into);
        }
        into.insert(key, line_at(text, name.span().start));
    }
}

/// `path` as a file in the same folder as `file` would see it.
fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// The settings in environment variables, one layer for all: no two variables set the same key. A variable that is none of
/// Tandem's may be another program's, and stops nobody: it is in the second list, with the key that it would be.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<(Layer, Vec<(String, String)>), ConfigError> {
    let (mut layer, mut foreign) = (Layer::new(), Vec::new());
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX).filter(|_| !RESERVED.contains(&variable.as_str())) else {
            continue;
        };
        let key = name.to_lowercase().replace("__", ".");
        let mut settings = Layer::new();
        put(&key, value_of(&text).unwrap_or(Value::String(text)), Origin::Env(variable.clone()), &mut settings);
        if settings.keys().all(|key| keys::find(key).is_some() || key.starts_with("options.")) {
            layer.append(&mut settings);
        } else {
            foreign.push((variable, key));
        }
    }
    anchor_paths(&mut layer, Path::new(""))?;
    Ok((layer, foreign))
}

/// The variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// A setting as an argument of `--set` that means it.
pub(super) fn as_argument(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) if value_of(text).as_ref() == Ok(value) => format!("{key}={text}"),
        _ => format!("{key}={}", literal(value)),
    }
}

/// The setting in one `--set key=value`.
pub(super) fn argument(argument: &str) -> Result<Layer, ConfigError> {
    read("", argument, "write it as `key=value`, for example `--set generator.learning_rate=1e-4`")
}

/// The option in one `--set option=value` of a command that is about a plugin alone.
pub(super) fn option(argument: &str) -> Result<Layer, ConfigError> {
    read("options.", argument, "write it as `OPTION=VALUE`, for example `--set width=32`")
}

fn read(table: &str, argument: &str, form: &str) -> Result<Layer, ConfigError> {
    let wrong = |message: String| ConfigError::Set { argument: argument.to_owned(), message };
    let (key, text) = argument.split_once('=').ok_or_else(|| wrong(form.into()))?;
    let key = key.trim();
    if key.is_empty() || key.split('.').any(str::is_empty) {
        return Err(wrong(format!("{key:?} is not a dotted key")));
    }
    let value = value_of(text).map_err(|message| wrong(format!("the value is not TOML: {message}")))?;
    let mut layer = Layer::new();
    put(&format!("{table}{key}"), value, Origin::Set(argument.to_owned()), &mut layer);
    anchor_paths(&mut layer, Path::new(""))?;
    Ok(layer)
}

fn put(key: &str, value: Value, origin: Origin, layer: &mut Layer) {
    match value {
        Value::Table(table) => flatten(table, key, &|_| origin.clone(), layer),
        value => {
            layer.insert(key.to_owned(), Setting { value, origin });
        }
    }
}

/// A TOML value; a bare word is a string. What opens like a string, list or table must be one.
fn value_of(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let bare = || Ok(Value::String(text.to_owned()));
    if text.contains('\n') {
        return bare();
    }
    match toml::from_str::<Table>(&format!("value = {text}")) {
        Ok(mut table) => match table.remove("value") {
            Some(Value::Datetime(_)) | None => bare(),
            Some(value) => Ok(value),
        },
        Err(error) if text.starts_with(['"', '\'', '[', '{']) => Err(error.message().replace('\n', ", ")),
        Err(_) => bare(),
    }
}

/// Makes paths absolute: in a file they are relative to that file, elsewhere to the current directory.
fn anchor_paths(layer: &mut Layer, base: &Path) -> Result<(), ConfigError> {
    for (key, Setting { value, origin }) in layer.iter_mut().filter(|(key, _)| keys::is_path(key)) {
        let Value::String(text) = value else { continue };
        let is_name = match key.as_str() {
            "plugin" => !crate::plugin::is_file(text),
            "evaluate.extractor" => !is_extractor_file(text),
            _ => false,
        };
        if text.is_empty() || is_name {
            continue;
        }
        let whole = absolute(base.join(&*text)).ok().and_then(|p| p.to_str().map(str::to_owned));
        *text = whole.ok_or_else(|| {
            wrong_value(
                key,
                origin.clone(),
                "a path in UTF-8 below a readable current directory",
                &Value::String(text.clone()),
            )
        })?;
    }
    Ok(())
}

/// Whether `evaluate.extractor` names a file rather than a known extractor.
fn is_extractor_file(extractor: &str) -> bool {
    extractor.contains('/') || Path::new(extractor).extension().is_some_and(|e| e == "pt")
}

pub(super) fn wrong_value(key: &str, origin: Origin, expected: &str, found: &Value) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        origin: Box::new(origin),
        expected: expected.to_owned(),
        found: describe(found),
        hint: String::new(),
    }
}

/// A value with its type, as messages show it.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::String(s) => format!("the text {s:?}"),
        Value::Integer(i) => i.to_string(),
        Value::Datetime(d) => format!("the date {d}"),
        Value::Array(_) => format!("the list {}", literal(value)),
        Value::Table(_) => "a table".to_owned(),
        Value::Float(_) | Value::Boolean(_) => literal(value),
    }
}

/// A value as TOML, small and large numbers with an exponent.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Float(x) => format!("{x:?}"),
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        // On one line: what JSON makes of a text means the same in TOML.
        Value::String(text) if text.contains('\n') => serde_json::Value::from(text.as_str()).to_string(),
        _ => value.to_string(),
    }
}
