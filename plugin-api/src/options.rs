//! A plugin's options: reading one declares it.
//!
//! An author asks for an option where it is needed, with its help, range and default; the host learns the schema from
//! what was asked for. An option that was given but never asked for is an error with the nearest name.

use std::{cell::RefCell, fmt::Display, ops::RangeInclusive};

use crate::{
    Error,
    value::{Named, Value},
};

/// What an option may be.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionKind {
    /// One of these texts.
    Choice(Vec<String>),
    /// An integer between two ends, both allowed.
    Integer(i64, i64),
    /// A number between two ends, both allowed.
    Number(f64, f64),
    /// `true` or `false`.
    Flag,
}

impl OptionKind {
    /// Whether it can be declared at all: plain choices, ends that are finite and in order.
    pub(crate) fn is_legal(&self) -> bool {
        match self {
            Self::Choice(choices) => choices.iter().all(|c| is_plain(c)),
            Self::Integer(low, high) => low <= high,
            Self::Number(low, high) => low.is_finite() && high.is_finite() && low <= high,
            Self::Flag => true,
        }
    }

    /// Whether it may be this value.
    #[expect(clippy::cast_precision_loss, reason = "an option's integer is small")]
    pub(crate) fn allows(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Choice(choices), Value::Text(text)) => choices.contains(text),
            (Self::Integer(low, high), Value::Int(i)) => (low..=high).contains(&i),
            (Self::Number(low, high), Value::Float(x)) => (low..=high).contains(&x),
            (Self::Number(low, high), Value::Int(i)) => (low..=high).contains(&&(*i as f64)),
            (Self::Flag, Value::Bool(_)) => true,
            _ => false,
        }
    }
}

impl Display for OptionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Choice(choices) => {
                write!(f, "one of {}", choices.iter().map(|c| format!("{c:?}")).collect::<Vec<_>>().join(", "))
            }
            Self::Integer(low, high) => write!(f, "an integer from {low} to {high}"),
            Self::Number(low, high) => write!(f, "a number from {low} to {high}"),
            Self::Flag => f.write_str("true or false"),
        }
    }
}

/// Most bytes of a choice.
const LONGEST: usize = 64;

/// What a choice is, for messages.
pub(crate) const PLAIN: &str = "1 to 64 letters, digits, `_`, `-`, `.`, `+` and spaces between them";

/// Whether a text may be a choice. What a plugin says reaches configs, tables, cards and the programs that exports are, and
/// must mean nothing in any of them.
pub(crate) fn is_plain(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | ' ');
    (1..=LONGEST).contains(&text.len()) && text.trim() == text && text.chars().all(legal)
}

/// One option of a plugin: what the schema shows.
#[derive(Debug, Clone, PartialEq)]
pub struct OptionInfo {
    /// Its name under `[options]`.
    pub name: String,
    /// One line of help.
    pub help: String,
    /// What it may be.
    pub kind: OptionKind,
    /// What it is when not given.
    pub default: Value,
    /// What it was for this definition.
    pub value: Value,
}

/// The images that a definition is made for: facts of the data set, not options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Images {
    /// 1 for grey, 3 for colour.
    pub channels: i64,
    /// Height and width in pixels.
    pub size: i64,
    /// Number of classes; 0 when the data has no labels.
    pub classes: i64,
}

/// What the host tells a plugin: the user's options and the data's facts.
#[derive(Debug)]
pub struct Options {
    given: Vec<Named<Value>>,
    images: Images,
    declared: RefCell<Vec<OptionInfo>>,
}

impl Options {
    /// Options as the user gave them, for images of a data set.
    pub fn new(images: Images, given: Vec<Named<Value>>) -> Self {
        Self { given, images, declared: RefCell::default() }
    }

    /// The images that the networks must make and judge.
    pub const fn images(&self) -> Images {
        self.images
    }

    /// One of a few texts, each of at most 64 letters, digits and `_-.+ `, as it stands in configs, file names and exported
    /// programs. Each starts with a letter: `-110` would be a number in a config.
    pub fn choice(&self, name: &str, help: &str, choices: &[&str], default: &str) -> Result<String, Error> {
        if let Some(odd) = choices.iter().find(|c| !c.starts_with(|first: char| first.is_ascii_alphabetic())) {
            return Err(Error::new(format!(
                "option `{name}` is declared with the choice {odd:?}; it must start with a letter"
            )));
        }
        if let Some(odd) = choices.iter().find(|c| !is_plain(c)) {
            return Err(Error::new(format!("option `{name}` is declared with the choice {odd:?}; it must be {PLAIN}")));
        }
        if !choices.contains(&default) {
            return Err(Error::new(format!(
                "option `{name}` is declared with the default {default:?}, which is not among its choices {choices:?}"
            )));
        }
        let kind = OptionKind::Choice(choices.iter().map(|&c| c.to_owned()).collect());
        self.read(name, help, kind, Value::Text(default.into()), |v| match v {
            Value::Text(t) if choices.contains(&t.as_str()) => Some(t.clone()),
            _ => None,
        })
    }

    /// An integer within a range.
    pub fn integer(&self, name: &str, help: &str, range: RangeInclusive<i64>, default: i64) -> Result<i64, Error> {
        if !range.contains(&default) {
            let (low, high) = (range.start(), range.end());
            return Err(Error::new(format!(
                "option `{name}` is declared with the range {low} to {high} and the default {default}, which is not between"
            )));
        }
        let kind = OptionKind::Integer(*range.start(), *range.end());
        self.read(name, help, kind, Value::Int(default), |v| match v {
            Value::Int(i) if range.contains(i) => Some(*i),
            _ => None,
        })
    }

    /// A number within a range of finite ends; an integer will do.
    #[expect(clippy::cast_precision_loss, reason = "an option's integer is small")]
    pub fn number(&self, name: &str, help: &str, range: RangeInclusive<f64>, default: f64) -> Result<f64, Error> {
        if !(range.start().is_finite() && range.end().is_finite() && range.contains(&default)) {
            let (low, high) = (range.start(), range.end());
            return Err(Error::new(format!(
                "option `{name}` is declared with the range {low} to {high} and the default {default}; the ends must be \
                 finite and the default between them"
            )));
        }
        let kind = OptionKind::Number(*range.start(), *range.end());
        self.read(name, help, kind, Value::Float(default), |v| match v {
            Value::Float(x) if range.contains(x) => Some(*x),
            Value::Int(i) if range.contains(&(*i as f64)) => Some(*i as f64),
            _ => None,
        })
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str, help: &str, default: bool) -> Result<bool, Error> {
        self.read(name, help, OptionKind::Flag, Value::Bool(default), |v| {
            if let Value::Bool(b) = v { Some(*b) } else { None }
        })
    }

    fn read<T>(
        &self,
        name: &str,
        help: &str,
        kind: OptionKind,
        default: Value,
        take: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, Error> {
        let value = self.given.iter().find(|g| g.name == name).map_or(&default, |g| &g.value).clone();
        let taken = take(&value).ok_or_else(|| Error::new(format!("option `{name}` must be {kind}, found {value}")));
        let mut declared = self.declared.borrow_mut();
        if !declared.iter().any(|o| o.name == name) {
            declared.push(OptionInfo { name: name.into(), help: help.into(), kind, default, value });
        }
        taken
    }

    /// The schema: every option that was asked for; or an error for one that was given and never asked for.
    pub fn finish(self) -> Result<Vec<OptionInfo>, Error> {
        let declared = self.declared.into_inner();
        let known = |name: &str| declared.iter().any(|o| o.name == name);
        let Some(stray) = self.given.iter().find(|g| !known(&g.name)) else { return Ok(declared) };
        let names: Vec<&str> = declared.iter().map(|o| o.name.as_str()).collect();
        let nearest = names
            .iter()
            .copied()
            .max_by(|a, b| strsim::jaro_winkler(&stray.name, a).total_cmp(&strsim::jaro_winkler(&stray.name, b)));
        Err(Error::new(match nearest {
            Some(near) if strsim::jaro_winkler(&stray.name, near) > 0.7 => {
                format!("option `{}` is unknown; did you mean `{near}`? It has: {}", stray.name, names.join(", "))
            }
            Some(_) => format!("option `{}` is unknown; it has: {}", stray.name, names.join(", ")),
            None => format!("option `{}` is unknown; it has no options", stray.name),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&str, Value)]) -> Options {
        let images = Images { channels: 1, size: 32, classes: 10 };
        Options::new(images, given.iter().map(|(n, v)| Named::new(*n, v.clone())).collect())
    }

    #[test]
    fn reading_declares_and_given_wins_over_default() {
        let o = options(&[("width", Value::Int(32))]);
        assert_eq!(o.integer("width", "channels of the first layer", 1..=1024, 64), Ok(32));
        assert_eq!(o.choice("norm", "norm in D", &["group", "batch"], "group"), Ok("group".into()));
        let schema = o.finish().unwrap();
        assert_eq!(schema[0].value, Value::Int(32));
        assert_eq!(schema[0].default, Value::Int(64));
        assert_eq!(schema[1].kind.to_string(), r#"one of "group", "batch""#);
    }

    #[test]
    fn a_wrong_value_and_an_unknown_name_are_told_apart() {
        assert_eq!(
            options(&[]).choice("coding", "", &["binary", "-110"], "binary").unwrap_err().to_string(),
            r#"option `coding` is declared with the choice "-110"; it must start with a letter"#
        );
        let declared = |choices: &[&str], default: &str| {
            options(&[]).choice("style", "", choices, default).map_err(|e| e.to_string())
        };
        let quotes = "soft\"\"\"\nimport os";
        assert_eq!(
            declared(&[quotes], quotes).unwrap_err(),
            format!("option `style` is declared with the choice {quotes:?}; it must be {PLAIN}")
        );
        assert!(declared(&[&"a".repeat(65)], "").unwrap_err().contains("1 to 64 letters"));
        assert_eq!(
            declared(&["soft", "hard"], "medium").unwrap_err(),
            r#"option `style` is declared with the default "medium", which is not among its choices ["soft", "hard"]"#
        );
        assert_eq!(declared(&["wgan-gp 1.5+", "b"], "b"), Ok("b".into()));
        assert_eq!(
            options(&[]).integer("width", "", 1..=8, 9).unwrap_err().to_string(),
            "option `width` is declared with the range 1 to 8 and the default 9, which is not between"
        );
        let o = options(&[("width", Value::Int(0)), ("nrom", Value::Text("batch".into()))]);
        assert_eq!(
            o.integer("width", "", 1..=1024, 64).unwrap_err().to_string(),
            "option `width` must be an integer from 1 to 1024, found 0"
        );
        assert!(o.choice("norm", "", &["group", "batch"], "group").is_ok());
        assert_eq!(
            o.finish().unwrap_err().to_string(),
            "option `nrom` is unknown; did you mean `norm`? It has: width, norm"
        );
    }
}
