//! The page's tables: configuration, machines, evaluations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Evaluation,
    numbers::{escape, grouped, moment, number},
};
use crate::config::keys;

/// Rows of an evaluations table that are shown at most, evenly chosen.
const EVALUATIONS: usize = 24;

/// Every key with its value; those that differ from the built-in default are marked.
pub(super) fn config(settings: &BTreeMap<String, String>) -> String {
    let default = |key: &str| keys::find(key).and_then(|k| k.default);
    let differs = |key: &str, value: &str| default(key).is_none_or(|d| !same(d, value));
    let mut rows = String::new();
    let mut changed = 0;
    for (key, value) in settings {
        let mark = match (default(key), differs(key, value)) {
            (Some(_), true) => {
                changed += 1;
                " class=\"changed\""
            }
            _ => "",
        };
        let help = keys::find(key).map_or("An option of the plugin.", |k| k.help);
        let default = default(key)
            .map_or_else(|| "<span class=\"dim\">–</span>".into(), |d| format!("<code>{}</code>", escape(d)));
        rows += &format!(
            "<tr{mark}><th scope=\"row\" title=\"{}\"><code>{}</code></th><td><code>{}</code></td><td>{default}</td></tr>",
            escape(help),
            escape(key),
            escape(value)
        );
    }
    format!(
        "<p>{changed} keys differ from Tandem's own defaults and are marked; what a plugin recommends differs too. Options have no default here.</p>\
         <div class=\"scroll\"><table class=\"config\"><thead><tr><th scope=\"col\">key</th><th scope=\"col\">value</th><th scope=\"col\">default</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// Whether two TOML literals say the same: `2e-4` and `0.0002` do.
fn same(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

/// Who trained here, from `sessions.jsonl`.
pub(super) fn sessions(sessions: &[Value]) -> String {
    if sessions.is_empty() {
        return "<p>The run does not say which machine it ran on: it is of an earlier version.</p>".into();
    }
    let text = |s: &Value, key: &str| {
        s.get(key).map_or_else(|| "–".into(), |v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    };
    let rows = sessions.iter().fold(String::new(), |rows, s| {
        let started = s.get("started").and_then(Value::as_u64).map_or_else(|| "–".into(), moment);
        let device = s.get("gpu").and_then(Value::as_str).map_or_else(
            || format!("{}, {} of {} threads", text(s, "cpu"), text(s, "threads"), text(s, "cores")),
            |gpu| format!("{gpu} ({})", text(s, "device")),
        );
        rows + &format!(
            "<tr><td>{started}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            grouped(s.get("step").and_then(Value::as_i64).unwrap_or(0)),
            escape(&text(s, "host")),
            escape(&device),
            escape(&text(s, "tandem"))
        )
    });
    format!(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">began</th><th scope=\"col\" class=\"n\">at step</th><th scope=\"col\">host</th>\
         <th scope=\"col\">device</th><th scope=\"col\">tandem</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// One table for each full name: figures of unlike names do not share a column.
pub(super) fn evaluations(all: &[Evaluation], best: &BTreeMap<String, u64>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for figure in all.iter().flat_map(|e| &e.figures) {
        if !names.contains(&figure.name.as_str()) {
            names.push(&figure.name);
        }
    }
    let head = names
        .iter()
        .fold(String::new(), |text, name| text + &format!("<th scope=\"col\" class=\"n\">{}</th>", escape(name)));
    let rows =
        super::film::spread(all.len(), EVALUATIONS).into_iter().map(|at| &all[at]).fold(String::new(), |rows, e| {
            let cells = names.iter().fold(String::new(), |cells, name| {
                let Some(figure) = e.figures.iter().find(|f| f.name == *name) else {
                    return cells + "<td class=\"n\">–</td>";
                };
                let value = figure.value.map_or_else(|| "not finite".into(), number);
                let spread =
                    figure.std.map_or_else(String::new, |std| format!(" <span class=\"dim\">± {}</span>", number(std)));
                let mark = if best.get(*name) == Some(&e.step) { " best" } else { "" };
                cells + &format!("<td class=\"n{mark}\">{value}{spread}</td>")
            });
            rows + &format!("<tr><th scope=\"row\" class=\"n\">{}</th>{cells}</tr>", grouped(e.step as i64))
        });
    format!(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\" class=\"n\">step</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_compared_by_what_they_say() {
        assert!(same("2e-4", "0.0002") && same("\"adam\"", "\"adam\"") && !same("true", "false"));
    }
}
