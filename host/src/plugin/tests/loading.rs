//! Loading and asking: what behaves, what does not, and what lies.

use super::*;
use crate::plugin::load::{load, open};
use tandem_plugin_api::{
    Gan, Images,
    value::{Named, Value},
};

const IMAGES: Images = Images { channels: 3, size: 16, classes: 0 };

fn well_behaved() -> LoadedPlugin {
    load_bytes(&plugin("well_behaved")).unwrap()
}

fn declared(plugin: &LoadedPlugin, options: &[(&str, Value)]) -> Result<Gan, PluginError> {
    let options: Vec<_> = options.iter().map(|(name, value)| Named::new(*name, value.clone())).collect();
    plugin.declare(IMAGES, &options)
}

fn hidden_units(gan: &Gan) -> Vec<i64> {
    gan.generator.parameters().iter().find(|p| p.name == "hidden.bias").unwrap().shape.clone()
}

#[test]
fn a_definition_is_made_of_the_options_and_the_data() {
    let gan = declared(&well_behaved(), &[("width", Value::Int(5))]).unwrap();
    assert_eq!(hidden_units(&gan), [5]);
    assert_eq!(gan.generator.output_type().shape.to_string(), "[N, 3, 16, 16]");
    let options: Vec<_> = gan.options.iter().map(|o| (o.name.as_str(), &o.value)).collect();
    let no = Value::Bool(false);
    assert_eq!(options, [("width", &Value::Int(5)), ("panics", &no), ("refuses", &no)]);
    assert_eq!(Gan::decode(&gan.encode()).unwrap(), gan);
}

#[test]
fn two_plugins_at_once_and_one_twice() {
    let (first, second) = (well_behaved(), load_bytes(&plugin("another")).unwrap());
    let again = well_behaved();
    assert_eq!((&*first.manifest.name, &*second.manifest.name), ("well-behaved", "another"));
    assert_eq!(hidden_units(&declared(&first, &[]).unwrap()), [8]);
    assert_eq!(hidden_units(&declared(&second, &[]).unwrap()), [3]);
    assert_eq!(declared(&again, &[]).unwrap(), declared(&first, &[]).unwrap());
}

#[test]
fn a_file_that_is_overwritten_after_inspection_or_loading_does_no_harm() {
    let (directory, path) = file(&plugin("well_behaved"));
    let inspected = inspect(&path).unwrap();
    // In place, as `cp` does it: the same file, first cut to nothing.
    std::fs::write(&path, b"overwritten").unwrap();
    let cache = directory.path().join("cache");
    let loaded = open(&inspected, &cache).unwrap();
    std::fs::write(&path, plugin("another")).unwrap();
    assert_eq!(hidden_units(&declared(&loaded, &[]).unwrap()), [8]);
}

#[test]
fn a_spoilt_copy_in_the_cache_is_replaced_and_a_good_one_kept() {
    let (directory, path) = file(&plugin("another"));
    let inspected = inspect(&path).unwrap();
    let cache = directory.path().join("a/b");
    let copy = cache.join(format!("{}.so", inspected.sha256));
    std::fs::create_dir_all(&cache).unwrap();
    std::fs::write(&copy, b"spoilt").unwrap();
    assert!(open(&inspected, &cache).is_ok());
    assert_eq!(std::fs::read(&copy).unwrap(), plugin("another"));
    assert!(std::fs::metadata(&copy).unwrap().permissions().readonly());
    let written = std::fs::metadata(&copy).unwrap().modified().unwrap();
    assert!(open(&inspected, &cache).is_ok());
    assert_eq!(std::fs::metadata(&copy).unwrap().modified().unwrap(), written);
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let (directory, path) = file(&plugin("another"));
    // A file where the directory should be; permissions would not stop root.
    let cache = directory.path().join("taken");
    std::fs::write(&cache, b"").unwrap();
    let problem = open(&inspect(&path).unwrap(), &cache).unwrap_err();
    assert_eq!(
        problem.to_string(),
        format!(
            "cannot be copied to `{}`, from where it would be loaded: File exists (os error 17); set XDG_CACHE_HOME to \
             a directory that can be written",
            cache.display()
        )
    );
}

#[test]
fn a_library_that_is_missing_is_named() {
    let bytes = patched(plugin("another"), b"libgcc_s.so.1", b"libqcc_q.so.1");
    assert_eq!(
        said(load_bytes(&bytes)),
        "plugin `another` (`FILE`) cannot be opened by the dynamic loader: dlopen failed: libqcc_q.so.1: cannot open \
         shared object file: No such file or directory; build it on this machine, or install what it needs"
    );
}

#[test]
fn another_abi_stable_is_refused_before_its_types_are_read() {
    let magic = abi_stable::library::AbiHeader::VALUE.magic_string;
    let header = |major: u32| [&magic[..], &major.to_le_bytes(), &11_u32.to_le_bytes()].concat();
    assert_eq!(
        said(load_bytes(&patched(plugin("another"), &header(0), &header(1)))),
        "plugin `another` (`FILE`) is built with abi_stable 1.11, this tandem with 0.11; build it with \
         `tandem-plugin-api = \"1\"`"
    );
    let other = [&[b'?'; 32][..], &0_u32.to_le_bytes(), &11_u32.to_le_bytes()].concat();
    assert_eq!(
        said(load_bytes(&patched(plugin("another"), &header(0), &other))),
        "plugin `another` (`FILE`) is built with something that is not abi_stable, this tandem with abi_stable 0.11; \
         build it with `tandem-plugin-api = \"1\"`"
    );
}

#[test]
fn a_changed_layout_is_refused_with_its_cause() {
    assert_eq!(
        said(load_bytes(&plugin("changed_layout"))),
        "plugin `changed-layout` (`FILE`) does not fit plugin API 1.1.0, though it says so: type `Graph` has so many \
         fields: 2 in this tandem and 3 in the plugin; build it with an unchanged `tandem-plugin-api = \"1\"`"
    );
}

#[test]
fn panics_become_errors() {
    assert_eq!(
        said(load_bytes(&plugin("broken_start"))),
        "plugin `broken-start` (`FILE`) failed before it could be asked: its entry panicked; this is a mistake in the \
         plugin, tell its author"
    );
    let plugin = well_behaved();
    assert_eq!(
        said(declared(&plugin, &[("panics", Value::Bool(true))])),
        "plugin `well-behaved` (`FILE`) gave no definition: its declaration panicked: no layer is 8 wide"
    );
    assert!(declared(&plugin, &[]).is_ok(), "the plugin answers again");
}

#[test]
fn a_declarations_own_errors_name_the_plugin() {
    let plugin = well_behaved();
    assert_eq!(
        said(declared(&plugin, &[("refuses", Value::Bool(true))])),
        "plugin `well-behaved` (`FILE`) gave no definition: there is no such GAN"
    );
    assert_eq!(
        said(declared(&plugin, &[("widht", Value::Int(4))])),
        "plugin `well-behaved` (`FILE`) gave no definition: option `widht` is unknown; did you mean `width`? It has: \
         width, panics, refuses"
    );
    assert_eq!(
        said(declared(&plugin, &[("width", Value::Int(65))])),
        "plugin `well-behaved` (`FILE`) gave no definition: option `width` must be an integer from 1 to 64, found 65"
    );
}

#[test]
fn malformed_definitions_are_refused() {
    let plugin = load_bytes(&plugin("malformed")).unwrap();
    let says = |kind: &str| said(declared(&plugin, &[("kind", Value::Text(kind.into()))]));
    let malformed = |what: &str| {
        format!(
            "plugin `malformed` (`FILE`) gave a malformed definition: {what}; this is a mistake in the plugin, tell its author"
        )
    };
    assert_eq!(says("no generator"), malformed("graph `generator` is missing"));
    assert_eq!(
        says("newer opset"),
        malformed(
            "it is written in opset 2, this host knows opset 1; update tandem, or build the plugin with an older \
             tandem-plugin-api"
        )
    );
    assert_eq!(
        says("unknown operation"),
        malformed("graph `generator`: node 1 (modulated_linear): operation `modulated_linear` is not in opset 1")
    );
    assert_eq!(
        says("cycle"),
        malformed("graph `generator`: node 1: layer `hidden` (linear): input 1 is not an earlier node; this is node 1")
    );
    assert_eq!(
        says("not finite"),
        malformed("metadata `defaults.one.generator.learning_rate` must be a finite number, found NaN")
    );
    assert_eq!(
        says("too large"),
        "plugin `malformed` (`FILE`) gave a definition of more than 16 MiB; this is a mistake in the plugin, tell its \
         author"
    );
    assert_eq!(
        says("other images"),
        "plugin `malformed` (`FILE`) gave a definition for other images: the generator makes [N, 1, 8, 8], the data \
         are [N, 3, 16, 16]; this is a mistake in the plugin, tell its author"
    );
    assert_eq!(
        says("control characters"),
        "plugin `malformed` (`FILE`) gave no definition: red \\u{1b}[31malert second line"
    );
    assert!(says("long error").len() < 1100);
}

/// In a child, since the environment says where copies are kept and a test must not write into the user's own cache.
#[test]
fn the_public_way_keeps_its_copies_in_the_users_cache() {
    const FILE: &str = "TANDEM_TEST_PLUGIN_FILE";
    if let Some(path) = std::env::var_os(FILE) {
        let file = inspect(Path::new(&path)).unwrap();
        let loaded = load(&file).unwrap();
        assert_eq!((&loaded.path, &loaded.manifest, &loaded.sha256), (&file.path, &file.manifest, &file.sha256));
        return;
    }
    let (directory, path) = file(&plugin("another"));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "plugin::tests::loading::the_public_way_keeps_its_copies_in_the_users_cache"])
        .env(FILE, &path)
        .env("XDG_CACHE_HOME", directory.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    let copy = format!("tandem/plugins/{}.so", inspect(&path).unwrap().sha256);
    assert_eq!(std::fs::read(directory.path().join(copy)).unwrap(), plugin("another"));
}
