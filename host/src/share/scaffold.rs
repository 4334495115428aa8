//! A new plugin's crate: networks, losses, tests, a config and a README, ready to build, prove and train.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tandem_plugin_api::manifest::API_VERSION;

use super::ShareError;
use crate::text::Show as _;

/// Where this tandem was built from; its plugin-api is what a new plugin builds against while that is there.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-api");

const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("../../assets/new-plugin/Cargo.toml.in")),
    ("src/lib.rs", include_str!("../../assets/new-plugin/lib.rs.in")),
    ("README.md", include_str!("../../assets/new-plugin/README.md.in")),
    (".gitignore", include_str!("../../assets/new-plugin/gitignore.in")),
    ("CONFIG", include_str!("../../assets/new-plugin/config.toml.in")),
];

/// Writes the crate of a plugin into `folder/name`, which must not exist; that path. `api` is a folder with
/// tandem-plugin-api's source, if it should build against that one.
pub fn scaffold(name: &str, folder: &Path, api: Option<&Path>) -> Result<PathBuf, ShareError> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(legal) || name.len() > 64 {
        return Err(ShareError::Scaffold(format!(
            "`{name}` cannot name a plugin's crate: it must be of small letters, digits, `-` and `_`, beginning with a letter"
        )));
    }
    let path = folder.join(name);
    // A link that leads nowhere is something, too.
    if path.symlink_metadata().is_ok() {
        return Err(ShareError::Scaffold(format!("`{}` exists; choose another name or folder", path.shown())));
    }
    let (api, testing, note) = dependency(api)?;
    let library = format!("lib{}.so", name.replace('-', "_"));
    let write = |error| ShareError::Write { path: path.clone(), error };
    fs::create_dir_all(folder).map_err(write)?;
    // Beside its place and renamed, so that there is never half a crate.
    let beside = tempfile::Builder::new().prefix(".new-plugin").tempdir_in(folder).map_err(write)?;
    fs::create_dir(beside.path().join("src")).map_err(write)?;
    for (file, text) in FILES {
        let file = if file == "CONFIG" { format!("{name}.toml") } else { file.to_owned() };
        let text = text
            .replace("{{name}}", name)
            .replace("{{library}}", &library)
            .replace("{{api}}", &api)
            .replace("{{api_testing}}", &testing)
            .replace("{{api_note}}", &note);
        fs::write(beside.path().join(file), text).map_err(write)?;
    }
    // A temporary folder is its user's alone; a crate is a folder like others.
    fs::set_permissions(beside.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).map_err(write)?;
    moved(beside, &path).map_err(write)?;
    Ok(path)
}

/// Renames a temporary folder, which is taken away if that fails.
fn moved(beside: tempfile::TempDir, path: &Path) -> std::io::Result<()> {
    fs::rename(beside.path(), path)?;
    let _gone = beside.keep();
    Ok(())
}

/// What `Cargo.toml` says of plugin-api, as a dependency and for tests, and what the README says of that.
fn dependency(api: Option<&Path>) -> Result<(String, String, String), ShareError> {
    let built_from = Path::new(CHECKOUT);
    let source = match api {
        Some(given) if !given.join("Cargo.toml").is_file() => {
            let given = given.shown();
            return Err(ShareError::Scaffold(format!(
                "--api {given}: there is no Cargo.toml; name the folder of tandem-plugin-api's source"
            )));
        }
        Some(given) => Some(given),
        None => built_from.is_dir().then_some(built_from),
    };
    let mut note = String::new();
    let place = match source.map(fs::canonicalize) {
        Some(Ok(path)) => {
            note = include_str!("../../assets/new-plugin/api-note.md.in")
                .replace("{{path}}", &path.display().to_string())
                .replace("{{version}}", API_VERSION);
            format!("path = {}", toml::Value::String(path.display().to_string()))
        }
        Some(Err(error)) => return Err(ShareError::Read { path: source.unwrap_or(built_from).to_owned(), error }),
        None => format!("version = \"{API_VERSION}\""),
    };
    Ok((format!("{{ {place} }}"), format!("{{ {place}, features = [\"testing\"] }}"), note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_its_place_stays_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("gan")).unwrap();
        let said = scaffold("gan", folder.path(), None).unwrap_err().to_string();
        assert!(said.contains("exists; choose another name"), "{said}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// A folder that nothing can be renamed into fails the last step alone.
    #[test]
    fn a_crate_that_cannot_be_put_in_place_is_taken_away_again() {
        let folder = tempfile::tempdir().unwrap();
        let beside = tempfile::Builder::new().prefix(".new-plugin").tempdir_in(folder.path()).unwrap();
        let said = moved(beside, &folder.path().join("no/such/place")).unwrap_err();
        assert_eq!(said.kind(), std::io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_readme_says_that_a_path_is_of_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let readme = |name: &str, api: &Path| {
            fs::read_to_string(scaffold(name, folder.path(), Some(api)).unwrap().join("README.md")).unwrap()
        };
        let said = readme("gan", Path::new(CHECKOUT));
        let path = fs::canonicalize(CHECKOUT).unwrap();
        assert!(said.contains(path.to_str().unwrap()) && said.contains("of this machine"), "{said}");
        assert!(said.contains(&format!("tandem-plugin-api = \"{API_VERSION}\"")) && !said.contains("{{"), "{said}");
    }
}
