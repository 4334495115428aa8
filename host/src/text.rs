//! Words from outside (names of files, tensors, archives' entries, what a manifest or a config says) as a message may show them:
//! nothing in them speaks to the terminal, changes the direction of reading, begins a line of its own or goes on for ever.
//!
//! `.shown()` is for what stands within a message; [`printable`] is the last gate of whatever a terminal gets, so that a
//! name that was forgotten can still do nothing but look odd.

use std::{
    borrow::Cow,
    ffi::OsStr,
    fmt::{self, Write as _},
    path::{Path, PathBuf},
};

/// The most characters of one name that a message shows; a longer one loses its middle.
const MOST: usize = 400;
/// How many of a longer one's last characters are kept: a path's end says more than its middle.
const TAIL: usize = 150;

/// Text that messages show by `.shown()`.
pub trait Show {
    /// The text with what is not to be seen as `\u{1b}`, on one line, and of bounded length.
    fn shown(&self) -> Shown<'_>;
}

impl Show for str {
    fn shown(&self) -> Shown<'_> {
        Shown(Cow::Borrowed(self))
    }
}

impl Show for OsStr {
    fn shown(&self) -> Shown<'_> {
        Shown(self.to_string_lossy())
    }
}

impl Show for Path {
    fn shown(&self) -> Shown<'_> {
        self.as_os_str().shown()
    }
}

// Where a field is at hand as a reference, as in `#[error]`'s arguments, the methods of what it points to are not found.
impl Show for PathBuf {
    fn shown(&self) -> Shown<'_> {
        self.as_os_str().shown()
    }
}

/// See [`Show::shown`].
#[derive(Debug, Clone)]
pub struct Shown<'a>(Cow<'a, str>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &*self.0;
        let escaped = |f: &mut fmt::Formatter<'_>, c: char| {
            if is_silent(c) { write!(f, "{}", c.escape_unicode()) } else { f.write_char(c) }
        };
        // Most names are short: their bytes bound their characters.
        let count = if text.len() <= MOST { 0 } else { text.chars().count() };
        if count <= MOST {
            return text.chars().try_for_each(|c| escaped(f, c));
        }
        text.chars().take(MOST - TAIL).try_for_each(|c| escaped(f, c))?;
        f.write_char('…')?;
        text.chars().skip(count - TAIL).try_for_each(|c| escaped(f, c))
    }
}

/// Whether a character has no picture of its own but an effect: control characters, those that turn the direction of
/// reading or hide (Unicode's format characters that no word needs), and the two separators that begin a line.
pub const fn is_silent(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Whole output with its lines and tabs, and nothing else that is silent.
pub fn printable(text: &str) -> Cow<'_, str> {
    let forbidden = |c: char| is_silent(c) && !matches!(c, '\n' | '\t');
    if !text.contains(forbidden) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if forbidden(c) { kept.extend(c.escape_unicode()) } else { kept.push(c) }
    }
    Cow::Owned(kept)
}

/// What something foreign said (a plugin, a library, another process), on one line and of bounded length: its own lines follow
/// one another, and what is silent otherwise is escaped.
pub fn sentence(text: &str) -> String {
    const MOST_SAID: usize = 1000;
    let mut said = String::new();
    for c in text.chars().take(MOST_SAID) {
        match c {
            '\n' | '\r' | '\t' => said.push(' '),
            c if is_silent(c) => said.extend(c.escape_unicode()),
            c => said.push(c),
        }
    }
    if text.chars().nth(MOST_SAID).is_some() {
        said.push('…');
    }
    said
}

/// JSON with what is silent in its texts escaped as JSON does it: it means the same. Its own lines stay.
pub fn json_printable(json: &str) -> Cow<'_, str> {
    // What is no text in it is ASCII, and the control characters of texts are escaped already, but for DEL and those above.
    let forbidden = |c: char| is_silent(c) && !matches!(c, '\n' | '\t');
    if !json.contains(forbidden) {
        return Cow::Borrowed(json);
    }
    let mut kept = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if forbidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(kept, "\\u{unit:04x}");
            }
        } else {
            kept.push(c);
        }
    }
    Cow::Owned(kept)
}

/// Text of several lines within a list of lines, such as an error: all but the first are indented, those that are not so
/// already, so that a name with a line break in it makes no line that looks like another's.
pub fn indented(text: &str) -> Cow<'_, str> {
    if !text.contains('\n') {
        return Cow::Borrowed(text);
    }
    let mut lines = text.split('\n');
    let mut kept = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        kept.push_str(if line.starts_with("  ") { "\n" } else { "\n  " });
        kept.push_str(line);
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_shown_as_they_are_but_for_what_is_not_to_be_seen() {
        for plain in ["runs/lsgan-one", "Größe e\u{301} 日本語 👩\u{200d}🚀", "it's \"so\" \\ ~"] {
            assert_eq!(plain.shown().to_string(), plain);
            assert_eq!(printable(plain), plain);
        }
        assert_eq!("a\u{1b}[2Jb\nerror: forged".shown().to_string(), "a\\u{1b}[2Jb\\u{a}error: forged");
        assert_eq!("gnp.\u{202e}x\u{2028}\u{9b}1m".shown().to_string(), "gnp.\\u{202e}x\\u{2028}\\u{9b}1m");
        assert_eq!(printable("one\n\ttwo\u{1b}]0;title\u{7}\r"), "one\n\ttwo\\u{1b}]0;title\\u{7}\\u{d}");
    }

    #[test]
    fn a_long_name_keeps_its_start_and_its_end() {
        let long = format!("/data/{}/end.png", "é".repeat(5000));
        let shown = long.shown().to_string();
        assert_eq!(shown.chars().count(), MOST + 1);
        assert!(shown.starts_with("/data/é") && shown.contains('…') && shown.ends_with("é/end.png"));
        let whole = "é".repeat(MOST);
        assert_eq!(whole.shown().to_string(), whole);
    }

    #[test]
    fn what_is_said_elsewhere_stays_on_a_line_and_is_cut() {
        assert_eq!(sentence("red \u{1b}[31malert\r\nline\u{202e}"), "red \\u{1b}[31malert  line\\u{202e}");
        assert_eq!(sentence(&"é".repeat(1001)).chars().count(), 1001);
        assert!(sentence(&"é".repeat(1001)).ends_with('…') && !sentence(&"é".repeat(1000)).ends_with('…'));
    }

    #[test]
    fn what_follows_a_line_break_is_no_line_of_its_own() {
        assert_eq!(indented("one line"), "one line");
        assert_eq!(indented("x\nerror: forged\n  by"), "x\n  error: forged\n  by");
    }

    proptest! {
        #[test]
        fn printable_json_means_the_same(text in any::<String>(), more in "[\u{7f}-\u{9f}\u{202a}-\u{202e}\u{feff}\u{e0001}]*") {
            let value = serde_json::json!({ "a": [&text, &more], (more.as_str()): 1 });
            for json in [value.to_string(), format!("{value:#}")] {
                let kept = json_printable(&json);
                prop_assert!(!kept.contains(|c| is_silent(c) && c != '\n'));
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&kept).unwrap(), value.clone());
            }
        }

        #[test]
        fn nothing_silent_is_ever_shown(text in any::<String>()) {
            prop_assert!(!text.shown().to_string().contains(is_silent));
            let kept = printable(&text);
            prop_assert!(!kept.contains(|c| is_silent(c) && c != '\n' && c != '\t'));
            prop_assert_eq!(kept.lines().count(), text.lines().count());
        }
    }
}
