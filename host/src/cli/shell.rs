//! A command as a shell takes it: what a person is offered to copy.

use std::{
    ffi::{OsStr, OsString},
    fmt::{self, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use crate::text::is_silent;

/// `tandem` with its arguments, in the making.
#[derive(Debug, Clone)]
pub(super) struct Line(Vec<OsString>);

impl Line {
    /// `tandem` and the words of a command.
    pub(super) fn tandem(command: &[&str]) -> Self {
        Self(["tandem"].iter().chain(command).map(OsString::from).collect())
    }

    /// A file. One that would be taken for a flag is named from the folder that it is in.
    pub(super) fn file(mut self, path: &Path) -> Self {
        let flag = path.as_os_str().as_bytes().starts_with(b"-");
        self.0.push(if flag { Path::new(".").join(path).into() } else { path.into() });
        self
    }

    pub(super) fn flag(mut self, flag: &str) -> Self {
        self.0.push(flag.into());
        self
    }

    /// A flag with its value, as one word where the value would be taken for a flag.
    pub(super) fn with(mut self, flag: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        if value.as_bytes().starts_with(b"-") {
            let mut both = OsString::from(flag);
            both.push("=");
            both.push(value);
            self.0.push(both);
        } else {
            self.0.push(flag.into());
            self.0.push(value.to_owned());
        }
        self
    }

    pub(super) fn with_all<T: AsRef<OsStr>>(self, flag: &str, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().fold(self, |line, value| line.with(flag, value))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

/// A word in the quotes that it needs.
fn quoted(word: &OsStr) -> String {
    match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        Some(text) if !text.contains(is_silent) => format!("'{}'", text.replace('\'', r"'\''")),
        // Bytes that no quotes show: the shell makes them of their numbers.
        _ => {
            let mut quoted = String::from("$'");
            for chunk in word.as_bytes().utf8_chunks() {
                for c in chunk.valid().chars() {
                    match c {
                        '\'' | '\\' => quoted.extend(['\\', c]),
                        c if is_silent(c) => bytes(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut quoted),
                        c => quoted.push(c),
                    }
                }
                bytes(chunk.invalid(), &mut quoted);
            }
            quoted + "'"
        }
    }
}

/// In octal, of which a shell takes three digits and no more.
fn bytes(bytes: &[u8], to: &mut String) {
    for byte in bytes {
        let _ = write!(to, "\\{byte:03o}");
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::ffi::OsStringExt as _, process::Command};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_words_stand_as_they_are() {
        let line =
            Line::tandem(&["train"]).file("a b.toml".as_ref()).with("--out", "runs/x").with("--set", "options.x='1'");
        assert_eq!(line.to_string(), r"tandem train 'a b.toml' --out runs/x --set 'options.x='\''1'\'''");
        let line = Line::tandem(&["train"]).file("-x.toml".as_ref()).with("--out", "-r").flag("--resume");
        assert_eq!(line.to_string(), "tandem train ./-x.toml --out=-r --resume");
        assert_eq!(quoted("".as_ref()), "''");
        assert_eq!(quoted("~/a".as_ref()), "'~/a'");
        assert_eq!(quoted("a\nb\u{202e}7".as_ref()), r"$'a\012b\342\200\2567'");
    }

    /// The words that bash makes of a line.
    fn read_by_bash(line: &str) -> Vec<Vec<u8>> {
        let output = Command::new("bash").args(["-c", &format!("printf '%s\\0' {line}")]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_shell_reads_the_words_that_were_meant(
            words in prop::collection::vec(prop_oneof![
                prop::collection::vec(1..=255_u8, 0..12),
                "[ -~]{0,12}".prop_map(String::into_bytes),
                ".{0,8}".prop_map(|text| text.replace('\0', "").into_bytes()),
            ], 1..6),
        ) {
            let line = Line(words.iter().cloned().map(OsString::from_vec).collect()).to_string();
            prop_assert!(!line.contains(is_silent), "{}", line);
            let mut expected = words;
            expected.push(Vec::new());
            prop_assert_eq!(read_by_bash(&line), expected);
        }
    }
}
