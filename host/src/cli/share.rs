//! `tandem plugin new | install | remove | lock | pack | verify`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{
    Code, DONE, FAILED,
    arguments::{Install, Lock, New, Pack, Verify},
    print,
};
use crate::{
    config::{Sources, environment},
    metrics::ExtractorFile,
    plugin::{SearchPath, is_file, user_folder},
    share::{self, Before, Installed, ShareError, Signed, Verified},
    text::Show as _,
};

pub(super) fn new(arguments: &New) -> anyhow::Result<()> {
    let New { name, into, api } = arguments;
    let path = share::scaffold(name, into, api.as_deref())?;
    let library = format!("target/release/lib{}.so", name.replace('-', "_"));
    print(&format!(
        "{path}\n\n  cd {path}\n  cargo build --release\n  tandem plugin check {library}\n  tandem train {name}.toml\n",
        path = path.shown()
    ))?;
    Ok(())
}

pub(super) fn install(arguments: &Install, plugin_path: &[PathBuf]) -> anyhow::Result<()> {
    let search = SearchPath::new(plugin_path);
    for Installed { plugin, before } in share::install(&arguments.from, &folder()?, arguments.replace)? {
        let manifest = &plugin.manifest;
        let how = match before {
            Before::Nothing => "installed".to_owned(),
            Before::Same => "already installed".to_owned(),
            Before::Other(version) => format!("installed in place of {version}"),
        };
        let mut text = format!("{} {}: {how}, {}\n", manifest.name, manifest.version, plugin.path.shown());
        match search.find(&manifest.name) {
            Ok(first) if first.path != plugin.path && first.sha256 != plugin.sha256 => {
                text += &format!(
                    "  but the name {} stands for `{}`, which comes first on the search path; name the installed file itself, or pass `--plugin-path {}`\n",
                    manifest.name,
                    first.path.shown(),
                    folder()?.shown()
                );
            }
            _ => {}
        }
        print(&text)?;
    }
    Ok(())
}

pub(super) fn remove(name: &str) -> anyhow::Result<()> {
    let path = share::remove(name, &folder()?)?;
    print(&format!("{name}: removed {}\n", path.shown()))?;
    Ok(())
}

fn folder() -> Result<PathBuf, ShareError> {
    user_folder().ok_or(ShareError::NoFolder)
}

pub(super) fn lock(arguments: &Lock, plugin_path: &[PathBuf]) -> anyhow::Result<()> {
    let search = SearchPath::new(plugin_path);
    for config in &arguments.configs {
        let sources = Sources::load(Some(config), environment(), &[])?;
        let choice = sources.plugin_choice()?;
        // A known extractor that is no file is known by its sum already.
        let extractor = sources.extractor().filter(|extractor| is_file(extractor));
        let extractor = extractor.map(|extractor| ExtractorFile::read(&extractor, None, None)).transpose()?;
        let file = search.find(&choice.plugin).with_context(|| config.shown().to_string())?;
        for mut lock in share::Lock::to_write(config, choice.trust.lock_file.as_deref())? {
            let what = match lock.pin(&choice.plugin, &file) {
                Some(old) if old.sha256 == file.sha256 => "pinned already".to_owned(),
                Some(old) => format!("pinned in place of {} {} with sha256 {}", old.name, old.version, old.sha256),
                None => "pinned".to_owned(),
            };
            let extractor = extractor.as_ref().map(|extractor| (extractor, pin_extractor(&mut lock, extractor)));
            lock.save()?;
            let (manifest, sha256) = (&file.manifest, &file.sha256);
            let (name, version) = (&manifest.name, &manifest.version);
            print(&format!("{}: {name} {version} {what}, sha256 {sha256}\n", lock.path.shown()))?;
            if let Some((file, what)) = extractor {
                let (name, sha256) = (file.asked().shown(), &file.sha256);
                print(&format!("{}: extractor {name} {what}, sha256 {sha256}\n", lock.path.shown()))?;
            }
        }
    }
    Ok(())
}

fn pin_extractor(lock: &mut share::Lock, file: &ExtractorFile) -> String {
    match lock.pin_extractor(Path::new(file.asked()), &file.sha256) {
        Some(old) if old.sha256 == file.sha256 => "pinned already".to_owned(),
        Some(old) => format!("pinned in place of sha256 {}", old.sha256),
        None => "pinned".to_owned(),
    }
}

pub(super) fn pack(arguments: &Pack) -> anyhow::Result<()> {
    let path = share::pack(&arguments.libraries, &arguments.from, &arguments.out)?;
    print(&format!("{}\n", path.shown()))?;
    Ok(())
}

/// Fails where a signature is wrong, and where a key was given that did not sign.
pub(super) fn verify(arguments: &Verify, plugin_path: &[PathBuf]) -> anyhow::Result<Code> {
    let name = &arguments.plugin;
    let path = if is_file(name) { PathBuf::from(name) } else { SearchPath::new(plugin_path).find(name)?.path };
    let mut good = true;
    for Verified { plugin, signed } in share::verify(&path, &arguments.keys)? {
        let manifest = &plugin.manifest;
        let mut text =
            format!("{} {}, api {}, opset {}\n", manifest.name, manifest.version, manifest.api, manifest.opset);
        for (what, said) in manifest.about.said() {
            text += &format!("  {what}: {said}\n");
        }
        print(&format!("{text}  sha256: {}\n  signature: {}\n", plugin.sha256, signature(&signed)))?;
        good &= match signed {
            Signed::By(_) => true,
            Signed::Not | Signed::Unchecked => arguments.keys.is_empty(),
            Signed::Wrong(_) => false,
        };
    }
    Ok(if good { DONE } else { FAILED })
}

/// What is known of a signature, in words.
pub(super) fn signature(signed: &Signed) -> String {
    match signed {
        Signed::By(key) => format!("good, by {key}"),
        Signed::Not => "none; the file is not signed".to_owned(),
        Signed::Unchecked => "signed, not checked: name the signer with --key".to_owned(),
        Signed::Wrong(what) => format!("wrong: the file {what}"),
    }
}
