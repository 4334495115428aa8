//! A network as a Python program that a person can read: what PyTorch's and Flax's modules have in common.

mod flax;
mod names;
mod pytorch;
mod statements;

pub(super) use flax::module as flax;
pub(super) use pytorch::module as pytorch;

use tandem_plugin_api::shape::{Dim, Shape};

use crate::text::is_silent;

/// `(4, 4)`; a tuple of one has its comma.
fn tuple<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    if items.len() == 1 { format!("({},)", items[0]) } else { format!("({})", items.join(", ")) }
}

/// Sizes as `reshape` takes them, the batch as -1.
fn sizes(shape: &Shape) -> Vec<String> {
    let size = |d: &Dim| if let Dim::Size(n) = d { n.to_string() } else { "-1".into() };
    shape.0.iter().map(size).collect()
}

/// Text between the quotes of a docstring: nothing in it ends or continues them.
fn docstring(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '\\' | '"' => format!("\\{c}"),
        c if is_silent(c) => " ".into(),
        c => c.to_string(),
    });
    escaped.collect()
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// The dimensions that a reduction goes over, counted from the front; all of them for none.
fn reduced(dims: &[i64], rank: usize) -> Vec<i64> {
    if dims.is_empty() { (0..rank as i64).collect() } else { dims.iter().map(|d| d.rem_euclid(rank as i64)).collect() }
}

/// Constants as nested lists would be long: a flat list, in lines.
fn numbers(values: &[f64]) -> String {
    let texts: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
    if texts.len() <= 8 {
        return format!("[{}]", texts.join(", "));
    }
    let lines: Vec<String> = texts.chunks(8).map(|line| format!("    {},", line.join(", "))).collect();
    format!("[\n{}\n]", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docstring_ends_where_it_should() {
        assert_eq!(docstring("soft\"\"\"\nimport os\\"), r#"soft\"\"\" import os\\"#);
        assert_eq!(docstring("a\u{2028}b\u{202e}"), "a b ");
        assert_eq!(docstring("`lsgan` (norm = group)"), "`lsgan` (norm = group)");
    }
}
