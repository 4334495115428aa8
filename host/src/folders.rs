//! Tandem's folders in the user's home, where XDG's base directory specification has them.

use std::{ffi::OsString, path::PathBuf};

/// What may be computed again: `$XDG_CACHE_HOME/tandem`, or `~/.cache/tandem`; `None` where the environment names no folder.
pub(crate) fn cache(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    folder(variable, "XDG_CACHE_HOME", ".cache")
}

/// What is to stay: `$XDG_DATA_HOME/tandem`, or `~/.local/share/tandem`; `None` where the environment names no folder.
pub(crate) fn data(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    folder(variable, "XDG_DATA_HOME", ".local/share")
}

/// A relative path would mean another folder in each working directory, so it counts as unset (as the specification has it).
fn folder(variable: impl Fn(&str) -> Option<OsString>, name: &str, in_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(name).or_else(|| absolute("HOME").map(|home| home.join(in_home)));
    base.map(|base| base.join("tandem"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_lie_where_the_working_directory_does_not_matter() {
        let environment = |xdg: &'static str, home: &'static str| {
            move |name: &str| {
                let value = match name {
                    "HOME" => home,
                    "XDG_CACHE_HOME" | "XDG_DATA_HOME" => xdg,
                    _ => "",
                };
                (!value.is_empty()).then(|| value.into())
            }
        };
        assert_eq!(cache(environment("/x", "/home/me")), Some("/x/tandem".into()));
        assert_eq!(data(environment("/x", "/home/me")), Some("/x/tandem".into()));
        for unset in ["", "x"] {
            assert_eq!(cache(environment(unset, "/home/me")), Some("/home/me/.cache/tandem".into()));
            assert_eq!(data(environment(unset, "/home/me")), Some("/home/me/.local/share/tandem".into()));
            assert_eq!(cache(environment(unset, "me")), None);
        }
    }
}
