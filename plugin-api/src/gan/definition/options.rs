//! What a definition says of its options.

use super::metadata::{Reader, Writer};
use crate::{
    Error,
    network::is_legal_name,
    options::{OptionInfo, OptionKind, PLAIN},
    value::Value,
};

pub(super) fn encode_option(metadata: &mut Writer, option: &OptionInfo) {
    let key = |field: &str| format!("option.{}.{field}", option.name);
    let kind = match &option.kind {
        OptionKind::Choice(choices) => {
            metadata.put(&key("choices"), Value::Texts(choices.clone()));
            "choice"
        }
        OptionKind::Integer(low, high) => {
            metadata.put(&key("range"), Value::Ints(vec![*low, *high]));
            "integer"
        }
        OptionKind::Number(low, high) => {
            metadata.put(&key("range"), Value::Floats(vec![*low, *high]));
            "number"
        }
        OptionKind::Flag => "flag",
    };
    metadata.text(&key("kind"), kind);
    metadata.text(&key("help"), &option.help);
    metadata.put(&key("default"), option.default.clone());
    metadata.put(&key("value"), option.value.clone());
}

pub(super) fn decode_option(metadata: &mut Reader, name: String) -> Result<OptionInfo, Error> {
    let key = |field: &str| format!("option.{name}.{field}");
    let range = |value: Value| Error::new(format!("`{}` must be two ends, found {value}", key("range")));
    let kind = match metadata.one_of(&key("kind"), &[("choice", 0), ("integer", 1), ("number", 2), ("flag", 3)])? {
        0 => OptionKind::Choice(metadata.texts(&key("choices"))?),
        1 => match metadata.value(&key("range"))? {
            Value::Ints(ends) if ends.len() == 2 => OptionKind::Integer(ends[0], ends[1]),
            other => return Err(range(other)),
        },
        2 => match metadata.value(&key("range"))? {
            Value::Floats(ends) if ends.len() == 2 => OptionKind::Number(ends[0], ends[1]),
            other => return Err(range(other)),
        },
        _ => OptionKind::Flag,
    };
    let help: String = metadata.need(&key("help"))?;
    let (default, value) = (metadata.value(&key("default"))?, metadata.value(&key("value"))?);
    // They are shown on terminals, kept as JSON, which has no infinity, and written into what is exported.
    if !is_legal_name(&name) || help.chars().any(char::is_control) || !kind.is_legal() {
        return Err(Error::new(format!(
            "option {name:?} must have a name of letters, digits, `_`, `-` or `.`, one line of help, and finite ends in order \
             or choices of {PLAIN}; it may be {kind}"
        )));
    }
    for (field, found) in [("default", &default), ("value", &value)] {
        if !kind.allows(found) {
            return Err(Error::new(format!("`{}` must be {kind}, found {found}", key(field))));
        }
    }
    Ok(OptionInfo { name, help, kind, default, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Named;

    /// What decoding says of an option, written by hand.
    fn decoded(kind: &str, choices: Value, default: Value, value: Value) -> Result<OptionInfo, String> {
        let what = if kind == "choice" { "choices" } else { "range" };
        let mut all = vec![
            Named::new("option.style.kind", Value::Text(kind.into())),
            Named::new("option.style.help", Value::Text("how".into())),
            Named::new("option.style.default", default),
            Named::new("option.style.value", value),
        ];
        if kind != "flag" {
            all.push(Named::new(format!("option.style.{what}"), choices));
        }
        let mut reader = Reader::new(&all).map_err(|e| e.to_string())?;
        decode_option(&mut reader, "style".into()).map_err(|e| e.to_string())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn choices_are_plain_and_values_are_among_them() {
        let choices = |all: &[&str]| Value::Texts(all.iter().map(|&c| c.to_owned()).collect());
        let soft = || choices(&["soft", "log-z 1.5+"]);
        assert!(decoded("choice", soft(), text("soft"), text("log-z 1.5+")).is_ok());
        for odd in ["a\"\"\"\nimport os", "a`b", "a|b", "a\\b", " a", "", &"a".repeat(65), "ä"] {
            let said = decoded("choice", choices(&["soft", odd]), text("soft"), text("soft")).unwrap_err();
            assert!(said.contains("choices of 1 to 64 letters"), "{said}");
        }
        let said = decoded("choice", soft(), text("soft"), text("s\"\"\"")).unwrap_err();
        assert_eq!(said, r#"`option.style.value` must be one of "soft", "log-z 1.5+", found "s\"\"\"""#);
        let said = decoded("choice", soft(), text("hard"), text("soft")).unwrap_err();
        assert!(said.starts_with("`option.style.default` must be one of"), "{said}");
    }

    #[test]
    fn values_are_of_their_kind_and_within_its_range() {
        let (one, ends) = (|| Value::Int(1), || Value::Ints(vec![0, 4]));
        assert!(decoded("integer", ends(), one(), Value::Int(4)).is_ok());
        assert!(decoded("flag", ends(), Value::Bool(true), Value::Bool(false)).is_ok());
        let numbers = || Value::Floats(vec![0.0, 4.0]);
        // A config may give an integer where a number is asked for.
        assert!(decoded("number", numbers(), Value::Float(0.5), Value::Int(4)).is_ok());
        for wrong in [
            decoded("integer", ends(), one(), Value::Int(5)),
            decoded("integer", ends(), one(), text("import os")),
            decoded("integer", Value::Ints(vec![4, 0]), one(), one()),
            decoded("number", numbers(), Value::Float(f64::NAN), Value::Float(0.5)),
            decoded("number", Value::Floats(vec![0.0, f64::INFINITY]), Value::Float(0.5), Value::Float(0.5)),
            decoded("flag", ends(), Value::Bool(true), text("import os")),
        ] {
            assert!(wrong.is_err(), "{wrong:?}");
        }
    }
}
