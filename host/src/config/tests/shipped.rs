//! The configs of this repository, as far as no plugin is needed; `tests/` resolves them with the plugins.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const FOLDERS: [&str; 5] = ["mnist-32", "mnist-64", "celeba-64", "churches-64", "ffhq-64"];

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs")
}

/// Each config of a folder by its name.
fn choices(folder: &str) -> BTreeMap<String, PluginChoice> {
    let entries = std::fs::read_dir(configs().join(folder)).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, Sources::load(Some(&path), [], &[]).and_then(|s| s.plugin_choice()).unwrap())
        })
        .collect()
}

/// What a config says of its method: the plugin, and the options that are texts, but for the norm, which may differ.
fn method(choice: &PluginChoice) -> (String, Stages, BTreeSet<String>) {
    let texts = choice.options.iter().filter(|(name, value)| value.is_str() && *name != "norm");
    (choice.plugin.clone(), choice.stages, texts.map(|(name, value)| format!("{name} = {value}")).collect())
}

#[test]
fn every_data_set_has_every_method_in_both_modes_and_they_are_the_same() {
    let reference = choices(FOLDERS[0]);
    for folder in FOLDERS {
        let found = choices(folder);
        assert_eq!(found.keys().collect::<Vec<_>>(), reference.keys().collect::<Vec<_>>(), "{folder}");
        for (name, choice) in &found {
            assert_eq!(method(choice), method(&reference[name]), "{folder}/{name}");
            let (stem, mode) = name.rsplit_once('-').unwrap();
            assert_eq!(mode, choice.stages.to_string(), "{folder}/{name}");
            assert!(stem.starts_with(&choice.plugin) && found.contains_key(&format!("{stem}-one")), "{folder}/{name}");
            let size = folder.rsplit_once('-').unwrap().1;
            assert_eq!(choice.data.image_size.to_string(), size, "{folder}/{name}");
        }
    }
}

#[test]
fn all_keys_of_photographs_go_together_and_name_their_sources() {
    for folder in &FOLDERS[2..] {
        for name in choices(folder).keys() {
            let path = configs().join(folder).join(format!("{name}.toml"));
            let sources = Sources::load(Some(&path), [], &[]).unwrap();
            sources.resolve(&PluginDefaults::default()).unwrap_or_else(|e| panic!("{e}"));
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains("Rates: ") || text.contains("# Rates:"), "{}", path.display());
        }
    }
}

#[test]
fn photographs_are_taken_in_the_form_and_by_the_crop_that_their_papers_have() {
    for (folder, kind, crop) in [
        ("celeba-64", DataKind::Celeba, Crop::ResizeCenter),
        ("churches-64", DataKind::Lmdb, Crop::ResizeCenter),
        ("ffhq-64", DataKind::Folder, Crop::None),
    ] {
        for (name, PluginChoice { plugin, data, .. }) in choices(folder) {
            assert_eq!(data.crop, Some(crop), "{folder}/{name}");
            let conditional = plugin == "cgan";
            // LSUN's own form has no classes.
            let kind = if conditional && kind == DataKind::Lmdb { DataKind::Folder } else { kind };
            assert_eq!(data.kind, kind, "{folder}/{name}");
            assert_eq!(data.attribute.is_some(), conditional && kind == DataKind::Celeba, "{folder}/{name}");
            let folders_are_classes = kind == DataKind::Folder && data.use_labels != Some(false);
            assert_eq!(folders_are_classes, conditional && kind == DataKind::Folder, "{folder}/{name}");
        }
    }
}
