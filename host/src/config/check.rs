//! Checks what was said, layer by layer, against the key table: unknown keys, wrong types, values out of range. A
//! mistake is found even where a nearer source covers it. What keys mean together is `resolve`'s matter.

use toml::Value;

use super::{
    ConfigError, Origin,
    keys::{self, Kind},
    layers::{Layer, describe},
    trust,
    types::Device,
};

/// Refuses the first setting that no run could use.
pub(super) fn check(layer: &Layer) -> Result<(), ConfigError> {
    layer.iter().try_for_each(|(key, setting)| check_setting(key, &setting.value, &setting.origin))
}

fn check_setting(key: &str, value: &Value, origin: &Origin) -> Result<(), ConfigError> {
    trust::check_lock(key, origin)?;
    if let Some(name) = key.strip_prefix("options.") {
        return check_option(key, name, value, origin);
    }
    let Some(known) = keys::find(key) else {
        return Err(unknown(key, value, origin));
    };
    if fits(known.kind, value) {
        return Ok(());
    }
    Err(ConfigError::Value {
        key: key.to_owned(),
        origin: Box::new(origin.clone()),
        expected: expected(known.kind),
        found: describe(value),
        hint: value_hint(known.kind, value),
    })
}

/// What an option may be is the plugin's matter, but only these kinds of value can be handed to it.
fn check_option(key: &str, name: &str, value: &Value, origin: &Origin) -> Result<(), ConfigError> {
    let same = |items: &[Value], is: fn(&Value) -> bool| !items.is_empty() && items.iter().all(is);
    let plain = match value {
        Value::Float(x) => x.is_finite(),
        Value::Array(items) => {
            same(items, Value::is_integer)
                || same(items, Value::is_str)
                || same(items, |v| v.as_float().is_some_and(f64::is_finite))
        }
        Value::Datetime(_) | Value::Table(_) => false,
        Value::String(_) | Value::Integer(_) | Value::Boolean(_) => true,
    };
    if plain && !name.contains('.') {
        return Ok(());
    }
    Err(ConfigError::Value {
        key: key.to_owned(),
        origin: Box::new(origin.clone()),
        expected: "a text, an integer, a finite number, a truth value or a list of one of them".into(),
        found: if name.contains('.') { "an entry of a table".into() } else { describe(value) },
        hint: String::new(),
    })
}

fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Text | Kind::Path => value.as_str().is_some_and(|s| !s.trim().is_empty()),
        Kind::Flag => value.is_bool(),
        Kind::Integer(low, high) => value.as_integer().is_some_and(|i| (low..=high).contains(&i)),
        Kind::Number(ends, allowed) => number(value).is_some_and(|x| within(x, ends, allowed)),
        Kind::Pair => value.as_array().is_some_and(|pair| {
            pair.len() == 2 && pair.iter().all(|v| number(v).is_some_and(|x| within(x, [0.0, 1.0], [true, false])))
        }),
        Kind::Choice(choices) => value.as_str().is_some_and(|s| choices.contains(&s)),
        Kind::Steps => value.as_array().is_some_and(|list| {
            let steps: Option<Vec<i64>> = list.iter().map(Value::as_integer).collect();
            steps.is_some_and(|s| s.first().is_some_and(|first| *first > 0) && s.windows(2).all(|w| w[0] < w[1]))
        }),
        Kind::Choices(choices) => {
            value.as_array().is_some_and(|list| list.iter().all(|v| v.as_str().is_some_and(|s| choices.contains(&s))))
        }
        Kind::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_str)),
        Kind::Device => value.as_str().is_some_and(|s| s.parse::<Device>().is_ok()),
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|i| i as f64))
}

fn within(x: f64, [low, high]: [f64; 2], [low_allowed, high_allowed]: [bool; 2]) -> bool {
    (x > low || (low_allowed && x == low)) && (x < high || (high_allowed && x == high))
}

/// What a key of this kind may be, as messages and the documentation say it.
pub(super) fn expected(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text".into(),
        Kind::Path => "a path".into(),
        Kind::Flag => "`true` or `false`".into(),
        Kind::Integer(low, i64::MAX) => format!("an integer of at least {low}"),
        Kind::Integer(low, high) => format!("an integer from {low} to {high}"),
        Kind::Number([low, f64::MAX], [true, _]) => format!("a number of at least {low}"),
        Kind::Number([low, f64::MAX], [false, _]) => format!("a number above {low}"),
        Kind::Number([low, high], [_, true]) => format!("a number from {low} to {high}"),
        Kind::Number([low, high], [_, false]) => format!("a number from {low} to below {high}"),
        Kind::Pair => "a list of two numbers, each from 0 to below 1".into(),
        Kind::Choice(choices) => format!("one of {}", quoted(choices)),
        Kind::Steps => "a list of ascending integers above 0".into(),
        Kind::Choices(choices) => format!("a list of some of {}", quoted(choices)),
        Kind::Texts => "a list of texts".into(),
        Kind::Device => "`auto`, `cpu`, `cuda` or `cuda:N`".into(),
    }
}

fn quoted(choices: &[&str]) -> String {
    choices.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ")
}

fn value_hint(kind: Kind, value: &Value) -> String {
    let near = match (kind, value) {
        (Kind::Choice(choices), Value::String(s)) => nearest(s, choices.iter().copied()),
        (Kind::Choices(choices), Value::Array(list)) => {
            let stray = list.iter().filter_map(Value::as_str).find(|s| !choices.contains(s));
            stray.and_then(|s| nearest(s, choices.iter().copied()))
        }
        (Kind::Device, Value::String(s)) if s.to_lowercase().starts_with("gpu") => Some("cuda"),
        (Kind::Device, Value::String(s)) => nearest(s, ["auto", "cpu", "cuda"].into_iter()),
        _ => None,
    };
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn unknown(key: &str, value: &Value, origin: &Origin) -> ConfigError {
    ConfigError::UnknownKey { key: key.to_owned(), origin: origin.clone(), hint: key_hint(key, value) }
}

fn key_hint(key: &str, value: &Value) -> String {
    if key == "extends" {
        return "only a config file can extend another".into();
    }
    if let Some((parent, _)) = key.rsplit_once('.').filter(|(parent, _)| keys::find(parent).is_some()) {
        return format!("`{parent}` is one value, not a table");
    }
    let in_table: Vec<&str> = table_keys(key).collect();
    if !in_table.is_empty() || key == "options" {
        return format!("it is a table and cannot be {}; write `[{key}]`", describe(value));
    }
    if let Some(near) = nearest_key(key) {
        return format!("did you mean `{near}`?");
    }
    match key.split_once('.').map(|(table, _)| (table, table_keys(table).collect::<Vec<_>>())) {
        Some((table, names)) if !names.is_empty() => format!("[{table}] has {}", quoted(&names)),
        _ => "a plugin's own settings go under [options]".into(),
    }
}

/// The last parts of the keys in a table.
fn table_keys(table: &str) -> impl Iterator<Item = &'static str> {
    keys::all().filter_map(move |k| k.name.strip_prefix(table)?.strip_prefix('.'))
}

/// The nearest known key: in the table it was written into, else by the last part, where only the table is wrong.
pub(super) fn nearest_key(key: &str) -> Option<&'static str> {
    let split = |name: &'static str| name.rsplit_once('.').unwrap_or(("", name));
    let (table, written) = key.rsplit_once('.').unwrap_or(("", key));
    let within = |table: Option<&str>| {
        let keys = || keys::all().filter(move |k| table.is_none_or(|t| split(k.name).0 == t));
        let near = nearest(written, keys().map(|k| split(k.name).1))?;
        keys().find(|k| split(k.name).1 == near).map(|k| k.name)
    };
    within(Some(table)).or_else(|| within(None)).or_else(|| {
        // The table's name may be the slip: `genrator.betas`.
        nearest(key, keys::all().map(|k| k.name))
    })
}

/// The nearest of some names, if it is near enough to be a slip of the hand, about one edit in three letters, or has
/// these initials, as `lr` and `wd`.
fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let initials = |name: &str| name.split('_').filter_map(|word| word.chars().next()).collect::<String>();
    let distance = |name: &str| {
        if initials(name) == written { 0 } else { strsim::damerau_levenshtein(&plain(written), &plain(name)) }
    };
    names
        .map(|name| (distance(name), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
