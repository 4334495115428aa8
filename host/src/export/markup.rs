//! Words of others in the card's Markdown and YAML, where they must be nothing but words: the plugin's, the data's, and what
//! a run directory from elsewhere holds.

use crate::text::is_silent;

/// Text in a line or a cell of a table.
pub fn plain(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '\\' | '`' | '|' | '*' | '<' | '[' | ']' => format!("\\{c}"),
        c if is_silent(c) => " ".into(),
        c => c.to_string(),
    });
    escaped.collect()
}

/// Text as code, also in a cell of a table, where a bar would end it.
pub fn code(text: &str) -> String {
    let kept = text.chars().map(|c| match c {
        '`' => "'".into(),
        '|' => "\\|".into(),
        c if is_silent(c) => " ".into(),
        c => c.to_string(),
    });
    format!("`{}`", kept.collect::<String>())
}

/// A block of code that nothing in it ends.
pub fn block(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}{language}\n{text}{fence}\n")
}

/// A text as a YAML scalar: JSON's strings are YAML's in double quotes.
pub(super) fn scalar(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A finite number as YAML 1.1 also reads it: `1e-7` would be a text there.
pub(super) fn float(value: f64) -> String {
    let text = format!("{value:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, exponent)) => {
            let dot = if digits.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{digits}{dot}e{sign}{exponent}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_nothing_but_words() {
        assert_eq!(plain("a | b\n`c` <d>"), "a \\| b \\`c\\` \\<d>");
        assert_eq!([plain("a\u{202e}b\u{2028}"), code("\u{85}c")], ["a b ", "` c`"]);
        assert_eq!(plain("loss = non-saturating"), "loss = non-saturating");
        assert_eq!(code("|x|\n`\u{202e}"), "`\\|x\\| ' `");
        assert_eq!(scalar("a\"\n- b: c"), r#""a\"\n- b: c""#);
        assert_eq!(block("toml", "a = \"```\"\n"), "````toml\na = \"```\"\n````\n");
        assert_eq!([12.5, 1e-7, 1.5e20, 1e16, 3.0].map(float), ["12.5", "1.0e-7", "1.5e+20", "1.0e+16", "3.0"]);
    }
}
