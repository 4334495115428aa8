//! The manifest's text: strict about what it must say, tolerant of keys that a newer API may add.

use serde::{Deserialize, Serialize};
use tandem_plugin_api::{
    manifest::{API_VERSION, MOST, MOST_NAME, TARGET, is_name},
    opset::OPSET,
};

use super::error::{FileProblem, major, plain};
use crate::json;

const MAX_SUMMARY: usize = 256;

/// What a plugin says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Manifest {
    /// The name under which configurations ask for it, as [`is_name`] has it.
    pub name: String,
    /// One line of what it is.
    pub summary: String,
    /// The plugin's own version.
    pub version: String,
    /// The version of `tandem-plugin-api` that it was built with.
    pub api: String,
    /// The opset in which its definitions are written.
    pub opset: u32,
    /// What its crate says besides.
    #[serde(flatten)]
    pub about: About,
}

/// What a plugin's crate says of itself; empty where it does not, and in plugins of API 1.0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct About {
    /// The target triple for which it is built.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The compiler's version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rustc: String,
    /// What the crate is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its licence, as an SPDX expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub licence: String,
    /// Who wrote it, separated by colons.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub authors: String,
    /// Where it is at home on the web.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub home_page: String,
}

impl About {
    /// Each that is said, under its name.
    pub fn said(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self { target, rustc, description, licence, authors, home_page } = self;
        let all = [
            ("description", description),
            ("licence", licence),
            ("authors", authors),
            ("home_page", home_page),
            ("target", target),
            ("rustc", rustc),
        ];
        all.into_iter().map(|(name, text)| (name, text.as_str())).filter(|(_, text)| !text.is_empty())
    }
}

/// The manifest that a text is, if this host can work with what it says.
pub fn read(text: &[u8]) -> Result<Manifest, FileProblem> {
    #[derive(Deserialize)]
    struct Api {
        api: String,
    }

    let bad = |what: String| FileProblem::BadManifest(plain(&what));
    if text.len() > MOST {
        return Err(bad(format!("it has {} bytes, at most {MOST} are allowed", text.len())));
    }
    // The API version comes first: another major may mean anything by the other keys.
    let Api { api } = json::read(text).map_err(|e| bad(e.to_string()))?;
    check_api(&api)?;
    let manifest: Manifest = serde_json::from_slice(text).map_err(|e| bad(e.to_string()))?;
    manifest.check()?;
    Ok(manifest)
}

impl Manifest {
    /// Whether this host can work with what it says, wherever it was read.
    pub fn check(&self) -> Result<(), FileProblem> {
        let bad = |what: String| FileProblem::BadManifest(plain(&what));
        let Self { name, summary, version, api, opset, about } = self;
        check_api(api)?;
        if !is_name(name) {
            return Err(bad(format!(
                "`name` must be 1 to {MOST_NAME} letters, digits, `_`, `-` or `.`, begin with neither `-` nor `.`, and not end \
                 with `.`, `.so`, `.gz` or `.tgz`, found {name:?}"
            )));
        }
        if summary.len() > MAX_SUMMARY || summary.chars().any(char::is_control) {
            return Err(bad(format!("`summary` must be one line of at most {MAX_SUMMARY} bytes, found {summary:?}")));
        }
        if !is_version(version) {
            return Err(bad(format!("`version` must be a version such as 1.0.0, found {version:?}")));
        }
        if let Some((key, text)) = about.said().find(|(_, text)| text.chars().any(char::is_control)) {
            return Err(bad(format!("`{key}` must be one line, found {text:?}")));
        }
        if !(about.target.is_empty() || is_target(&about.target)) {
            return Err(bad(format!("`target` must be a target triple such as {TARGET}, found {:?}", about.target)));
        }
        match *opset {
            0 => Err(bad("`opset` must be 1 or more, found 0".into())),
            newer if newer > OPSET => Err(FileProblem::Opset(newer)),
            _ => Ok(()),
        }
    }
}

fn check_api(api: &str) -> Result<(), FileProblem> {
    if !is_version(api) {
        let what = format!("`api` must be a version such as {API_VERSION}, found {api:?}");
        return Err(FileProblem::BadManifest(plain(&what)));
    }
    if major(api) == major(API_VERSION) { Ok(()) } else { Err(FileProblem::ApiVersion(api.to_owned())) }
}

/// Whether this may be a target triple, which is a folder's name in archives.
pub fn is_target(text: &str) -> bool {
    is_name(text)
}

/// `MAJOR.MINOR.PATCH`, perhaps with a suffix after `-` or `+`.
fn is_version(text: &str) -> bool {
    let number = |n: &str| !n.is_empty() && n.len() <= 9 && n.bytes().all(|b| b.is_ascii_digit());
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let suffix = text[core.len()..].chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
    text.len() <= 64 && suffix && core.split('.').count() == 3 && core.split('.').all(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(api: &str, rest: &str) -> Result<Manifest, String> {
        let text = format!(r#"{{"name":"x","summary":"s","version":"0.1.0","api":"{api}"{rest}}}"#);
        read(text.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_newer_and_an_older_minor_are_accepted_and_so_is_an_unknown_key() {
        for api in ["1.0.0", "1.7.2", "1.1.0-rc.1"] {
            let read = manifest(api, r#","opset":1,"licence":"MIT","mood":"good""#).unwrap();
            assert_eq!((&*read.api, &*read.about.licence, &*read.about.target), (api, "MIT", ""));
        }
    }

    #[test]
    fn each_key_must_be_there_once_and_be_what_it_should() {
        let says = |api: &str, rest: &str| {
            let message = manifest(api, rest).unwrap_err();
            message
                .strip_prefix("has a malformed manifest: ")
                .and_then(|m| m.strip_suffix("; build the plugin again with `export_gan!`"))
                .unwrap_or_else(|| panic!("{message}"))
                .to_owned()
        };
        assert_eq!(says("1.0.0", ""), "missing field `opset` at line 1 column 58");
        assert_eq!(says("1.0.0", r#","opset":0"#), "`opset` must be 1 or more, found 0");
        assert_eq!(says("1.0.0", r#","opset":"1""#), "invalid type: string \"1\", expected u32 at line 1 column 69");
        assert_eq!(says("1.0.0", r#","opset":1,"name":"y""#), "has the key `name` twice at line 1 column 74");
        assert_eq!(says("1.0.0", r#","opset":1,"mood":1,"mood":2"#), "has the key `mood` twice at line 1 column 83");
        assert_eq!(says("one", ""), format!("`api` must be a version such as {API_VERSION}, found \"one\""));
        assert_eq!(says("1.0", ""), format!("`api` must be a version such as {API_VERSION}, found \"1.0\""));
    }

    #[test]
    fn names_and_summaries_are_bounded_and_plain() {
        let with = |name: &str, summary: &str| {
            let text = serde_json::json!({
                "name": name, "summary": summary, "version": "0.1.0", "api": "1.0.0", "opset": 1
            });
            read(text.to_string().as_bytes()).map_err(|e| e.to_string())
        };
        assert!(with("wgan-gp_2.1", "").is_ok());
        for name in ["", "a/b", "a b", "ä", "-help", "...", "x.so", "x.tar.gz", &"x".repeat(65)] {
            assert!(with(name, "").unwrap_err().contains("`name` must be 1 to 64"), "{name}");
        }
        for summary in ["\u{1b}[31m", "two\nlines", &"x".repeat(257)] {
            let message = with("x", summary).unwrap_err();
            assert!(message.contains("`summary` must be one line") && !message.contains('\u{1b}'), "{message}");
        }
        for target in ["..", "../evil", "a b", "-x", "x."] {
            let message = manifest("1.1.0", &format!(r#","opset":1,"target":"{target}""#)).unwrap_err();
            assert!(message.contains("`target` must be a target triple such as"), "{message}");
        }
        let about = manifest("1.1.0", r#","opset":1,"authors":"A\u001b[31m""#).unwrap_err();
        assert!(about.contains("`authors` must be one line") && !about.contains('\u{1b}'), "{about}");
        assert!(with("x", &"y".repeat(5000)).unwrap_err().contains("at most 4096 are allowed"));
    }

    proptest::proptest! {
        /// What a configuration takes for a file is no plugin's name, and what is a name stays one folder's part.
        #[test]
        fn a_name_can_be_asked_for(name in "[-._a-zA-Z0-9]{0,4}(\\.(so|gz|tgz|SO|a))?") {
            if is_name(&name) {
                assert!(!crate::plugin::is_file(&name) && !name.starts_with(['-', '.']), "{name}");
                let parts: Vec<_> = std::path::Path::new(&name).components().collect();
                assert!(matches!(parts[..], [std::path::Component::Normal(_)]), "{name}");
            }
        }
    }
}
