//! SHA256SUMS of a packed plugin: what `sha256sum` writes by default, and nothing that it or another reader takes otherwise.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::text::Show as _;

/// The file's name in an archive.
pub(super) const SUMS: &str = "SHA256SUMS";

/// The text for these files.
pub(super) fn made(files: &BTreeMap<String, Vec<u8>>) -> String {
    files.iter().fold(String::new(), |text, (name, bytes)| text + &format!("{}  {name}\n", sum(bytes)))
}

/// That every file but the sums is listed once and is what its sum says; else the end of a sentence about the archive.
pub(super) fn check(files: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let text =
        files.get(SUMS).ok_or_else(|| format!("holds no {SUMS}; a packed plugin is made by `tandem plugin pack`"))?;
    let mut listed = read(text)?;
    for (name, bytes) in files.iter().filter(|(name, _)| *name != SUMS) {
        let found = sum(bytes);
        match listed.remove(name.as_str()) {
            None => return Err(format!("holds `{}`, which its {SUMS} does not list", name.shown())),
            Some(listed) if listed != found => {
                let name = name.shown();
                return Err(format!("holds `{name}` with sha256 {found}, its {SUMS} says {listed}; get it again"));
            }
            Some(_) => {}
        }
    }
    match listed.keys().next() {
        Some(lost) => Err(format!("lacks `{}`, which its {SUMS} lists; get it again", lost.shown())),
        None => Ok(()),
    }
}

/// The sums by their files' names. `sha256sum` also takes marks of binary files, escapes, comments and blank lines, and
/// the same file twice; what is packed has none of them.
fn read(text: &[u8]) -> Result<BTreeMap<&str, &str>, String> {
    let bad = |what: String| format!("has a malformed {SUMS}: {what}");
    let text = std::str::from_utf8(text).map_err(|_| bad("it is not text".into()))?;
    let mut listed = BTreeMap::new();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        let parts = line.strip_suffix('\n').and_then(|line| line.split_once("  "));
        let is_sum = |sum: &str| sum.len() == 64 && sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let Some((sum, name)) = parts.filter(|(sum, name)| is_sum(sum) && super::paths::is_plain(name).is_ok()) else {
            return Err(bad(format!("line {} is no sum in small letters, two blanks and a plain file name", i + 1)));
        };
        if listed.insert(name, sum).is_some() {
            return Err(bad(format!("line {} lists `{name}` again", i + 1)));
        }
    }
    Ok(listed)
}

fn sum(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_meaning_or_is_refused() {
        let sum = sum(b"a");
        let said = |text: &str| {
            let files = [("a", b"a".to_vec()), (SUMS, text.as_bytes().to_vec())];
            check(&files.map(|(name, bytes)| (name.to_owned(), bytes)).into())
        };
        assert_eq!(said(&format!("{sum}  a\n")), Ok(()));
        let other = "0".repeat(64);
        for (text, what) in [
            (format!("{sum}  a\n{other}  a\n"), "line 2 lists `a` again"),
            (format!("{other}  a\n{sum}  a\n"), "line 2 lists `a` again"),
            (format!("{sum}  a\n{sum}  a\n"), "line 2 lists `a` again"),
            (format!("{sum} *a\n"), "line 1 is no sum"),
            (format!("{sum}  a\r\n"), "line 1 is no sum"),
            (format!("{sum}  a"), "line 1 is no sum"),
            (format!("{}  a\n", sum.to_uppercase()), "line 1 is no sum"),
            (format!("\\{sum}  a\n"), "line 1 is no sum"),
            (format!("# {sum}  a\n{sum}  a\n"), "line 1 is no sum"),
            (format!("{sum}  a\n\n"), "line 2 is no sum"),
            (format!("{sum}  ./a\n"), "line 1 is no sum"),
            (format!("SHA256 (a) = {sum}\n"), "line 1 is no sum"),
            (format!("\u{feff}{sum}  a\n"), "line 1 is no sum"),
        ] {
            let found = said(&text).unwrap_err();
            assert!(found.starts_with("has a malformed SHA256SUMS: ") && found.contains(what), "{text:?}: {found}");
        }
    }
}
