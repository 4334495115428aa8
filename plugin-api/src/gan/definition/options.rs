//! What a definition says of its options.

use super::metadata::{Reader, Writer};
use crate::{
    Error,
    network::is_legal_name,
    options::{OptionInfo, OptionKind},
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
    // They are shown on terminals and kept as JSON, which has no infinity.
    let finite = |value: &Value| !matches!(value, Value::Float(x) if !x.is_finite());
    let ends = !matches!(kind, OptionKind::Number(low, high) if !(low.is_finite() && high.is_finite()));
    if !is_legal_name(&name) || help.chars().any(char::is_control) || !(ends && finite(&default) && finite(&value)) {
        return Err(Error::new(format!(
            "option {name:?} must have a name of letters, digits, `_`, `-` or `.`, one line of help, and finite numbers"
        )));
    }
    Ok(OptionInfo { name, help, kind, default, value })
}
