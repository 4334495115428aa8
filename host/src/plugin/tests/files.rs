//! Everything that can be wrong with a file, each as the sentence that a user reads.

use super::*;
use crate::plugin::{About, FileProblem, Foreign, Manifest, TARGET, inspect::Machine};
use proptest::prelude::*;
use tandem_plugin_api::manifest::API_VERSION;

fn message(bytes: &[u8]) -> String {
    let (_directory, path) = file(bytes);
    said(inspect(&path))
}

/// The plugin with the two bytes at `offset` of its ELF header changed.
fn with_header(offset: usize, value: u16) -> Vec<u8> {
    let mut bytes = plugin("well_behaved");
    bytes[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[test]
fn a_whole_plugin_says_what_it_is() {
    let bytes = plugin("well_behaved");
    let (_directory, path) = file(&bytes);
    let found = inspect(&path).unwrap();
    assert_eq!(found.path, path);
    let rustc = Command::new("rustc").arg("--version").output().unwrap();
    assert_eq!(
        found.manifest,
        Manifest {
            name: "well-behaved".into(),
            summary: "A small GAN for tests".into(),
            version: API_VERSION.into(),
            api: API_VERSION.into(),
            opset: tandem_plugin_api::opset::OPSET,
            about: About {
                target: format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
                rustc: String::from_utf8_lossy(&rustc.stdout).split(' ').nth(1).unwrap().into(),
                description: "Plugins that only tests load: some that behave and some that do not".into(),
                licence: "Apache-2.0 OR MIT".into(),
                ..About::default()
            },
        }
    );
    let summed = Command::new("sha256sum").arg(&path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&summed.stdout).split(' ').next(), Some(found.sha256.as_str()));
}

#[test]
fn what_is_no_file() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(
        said(inspect(&directory.path().join("libno.so"))),
        "plugin file `FILE` does not exist; `tandem plugin list` shows the plugins that there are"
    );
    assert_eq!(
        said(inspect(directory.path())),
        "plugin file `FILE` is a directory; name a file in it, or search it with `--plugin-path`"
    );
    assert_eq!(
        said(inspect(Path::new("/dev/null"))),
        "plugin file `FILE` is not a regular file; a plugin is a `.so` that `cargo build --release` made"
    );
    let large = directory.path().join("large.so");
    std::fs::File::create(&large).unwrap().set_len(65 << 20).unwrap();
    assert_eq!(
        said(inspect(&large)),
        "plugin file `FILE` has 68157440 bytes, a plugin has at most 67108864; build it with `cargo build --release`"
    );
    let unreadable = FileProblem::Unreadable(std::io::ErrorKind::PermissionDenied.into());
    assert_eq!(
        said::<()>(Err(PluginError::file(&large, unreadable))),
        "plugin file `FILE` cannot be read: permission denied; check its permissions"
    );
}

#[test]
fn what_is_no_library() {
    assert_eq!(message(b""), "plugin file `FILE` is empty; build or copy it again");
    assert_eq!(
        message(b"#!/bin/sh\necho\n"),
        "plugin file `FILE` is not a shared library: it begins with `#!/bin/s`, not with `\\x7fELF`; a plugin is a \
         `.so` that `cargo build --release` made"
    );
    assert_eq!(
        message(&[0xff, 0, 7]),
        "plugin file `FILE` is not a shared library: it begins with `\\xff\\x00\\x07`, not with `\\x7fELF`; a plugin \
         is a `.so` that `cargo build --release` made"
    );
    assert_eq!(
        message(&[0x1f, 0x8b, 8]),
        "plugin file `FILE` is packed, not a shared library; if `tandem plugin pack` made it, install it with `tandem \
         plugin install`"
    );
    let not_a = |what| {
        format!(
            "plugin file `FILE` is {what}, not a shared library; give its crate `crate-type = [\"cdylib\"]` and name the `.so`"
        )
    };
    assert_eq!(message(&with_header(16, 1)), not_a("an object file"));
    assert_eq!(message(&with_header(16, 2)), not_a("an executable"));
    assert_eq!(message(&with_header(16, 4)), not_a("a core dump"));
}

#[test]
fn a_truncated_plugin_at_many_places() {
    let bytes = plugin("well_behaved");
    let whole = bytes.len();
    for length in [64, whole / 10, whole / 2, whole * 99 / 100, whole - 1] {
        assert_eq!(
            message(&bytes[..length]),
            format!(
                "plugin file `FILE` is cut short: its headers speak of {whole} bytes, it has {length}; build or copy it again"
            )
        );
    }
    assert_eq!(
        message(&bytes[..63]),
        "plugin file `FILE` is cut short: its headers speak of 64 bytes, it has 63; build or copy it again"
    );
}

#[test]
fn a_plugin_for_another_machine() {
    let arch = std::env::consts::ARCH;
    let mut bytes = plugin("well_behaved");
    bytes[4] = 1;
    assert_eq!(
        message(&bytes),
        format!("plugin file `FILE` is a 32-bit library, this tandem is 64-bit; build the plugin for {arch}")
    );
    bytes[4] = 2;
    bytes[5] = 2;
    assert_eq!(
        message(&bytes),
        format!(
            "plugin file `FILE` is a big-endian library, this tandem is little-endian; build the plugin for {arch}"
        )
    );
    let (other, machine) = if arch == "aarch64" { ("x86_64", 62) } else { ("aarch64", 183) };
    for (name, machine) in [(other, machine), ("ELF machine 4711", 4711)] {
        assert_eq!(
            message(&with_header(18, machine)),
            format!("plugin file `FILE` is built for {name}, this tandem for {arch}; build the plugin for {arch}")
        );
    }
}

/// The lock file and archives go by targets, so a file may not be for another than the one it runs on.
#[test]
fn a_plugin_for_another_target_of_this_machine() {
    let (said, other) = (format!("\"target\":\"{TARGET}\""), format!("{}xxx", &TARGET[..TARGET.len() - 3]));
    let bytes = patched(plugin("well_behaved"), said.as_bytes(), format!("\"target\":\"{other}\"").as_bytes());
    assert_eq!(
        message(&bytes),
        format!("plugin file `FILE` is built for {other}, this tandem for {TARGET}; build the plugin for {TARGET}")
    );
    let (_directory, path) = file(&bytes);
    assert_eq!(Foreign::inspect(&path).unwrap().manifest.about.target, other);
}

/// How long the manifest's text is.
fn said_of(bytes: &[u8]) -> usize {
    let start = bytes.windows(8).position(|w| w == b"{\"name\":").unwrap();
    bytes[start..].iter().position(|&b| b == b'}').unwrap() + 1
}

#[test]
fn a_library_without_a_manifest_or_with_a_spoilt_one() {
    let good = || plugin("well_behaved");
    assert_eq!(
        message(&patched(good(), b".note.tandem\0", b".note.random\0")),
        "plugin file `FILE` is not a tandem plugin: it has no manifest (`.note.tandem`); the crate of a plugin calls \
         `export_gan!`"
    );
    let malformed = |what: &str| {
        format!("plugin file `FILE` has a malformed manifest: {what}; build the plugin again with `export_gan!`")
    };
    assert_eq!(
        message(&patched(good(), b"\x01\0\0\0TANDEM\0\0{", b"\x02\0\0\0TANDEM\0\0{")),
        malformed("`.note.tandem` holds no note of the owner TANDEM and type 1")
    );
    assert_eq!(
        message(&patched(good(), b"\x01\0\0\0TANDEM\0\0{", b"\x01\0\0\0RANDOM\0\0{")),
        malformed("`.note.tandem` holds no note of the owner TANDEM and type 1")
    );
    let mut too_long = good();
    let note = too_long.windows(12).position(|w| w == b"\x01\0\0\0TANDEM\0\0").unwrap();
    too_long[note - 2] = 1;
    assert_eq!(message(&too_long), malformed("Invalid ELF note descsz"));
    assert_eq!(message(&patched(good(), b"{\"name\":", b"{\"name\" ")), malformed("expected `:` at line 1 column 9"));
    assert_eq!(
        message(&patched(good(), b"{\"name\":", b"{\"nome\":")),
        malformed(&format!("missing field `name` at line 1 column {}", said_of(&good())))
    );
    assert_eq!(
        message(&patched(good(), b"\"well-behaved\"", b"\"well/behaved\"")),
        malformed(
            "`name` must be 1 to 64 letters, digits, `_`, `-` or `.`, begin with neither `-` nor `.`, and not end with `.`, \
             `.so`, `.gz` or `.tgz`, found \"well/behaved\""
        )
    );
    assert!(message(&patched(good(), b"\"well-behaved\"", b"\"-ell-behaved\"")).contains("found \"-ell-behaved\""));
    assert!(message(&patched(good(), b"\"well-behaved\"", b"\"well-beha.so\"")).contains("found \"well-beha.so\""));
}

/// The bytes with a second manifest behind their end, and where it stands.
fn with_another(bytes: &[u8]) -> (Vec<u8>, u64, u64) {
    let text = br#"{"name":"other","summary":"","version":"1.0.0","api":"1.1.0","opset":1}   "#;
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let start = bytes.len();
    bytes.extend([7_u32, text.len() as u32, 1].map(u32::to_le_bytes).concat());
    bytes.extend_from_slice(b"TANDEM\0\0");
    bytes.extend_from_slice(text);
    let length = bytes.len() - start;
    (bytes, start as u64, length as u64)
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Where the headers of sections lie that are of this kind.
fn sections_of(bytes: &[u8], kind: u64) -> Vec<usize> {
    let (table, count) = (number(bytes, 40, 8) as usize, number(bytes, 60, 2) as usize);
    (0..count).map(|i| table + 64 * i).filter(|at| number(bytes, at + 4, 4) == kind).collect()
}

/// Tools look for notes by the names of sections, by their types, or by segments; all find the same manifest or none.
#[test]
fn a_file_has_one_manifest_whoever_looks() {
    let good = plugin("well_behaved");
    let malformed = |bytes: &[u8], what: &str| {
        let said = message(bytes);
        assert!(said.contains("has a malformed manifest: ") && said.contains(what), "{said}");
    };
    let (behind, start, length) = with_another(&good);
    assert!(inspect(&file(&behind).1).is_ok(), "what nothing points to is no manifest");
    let outside = "a note outside of `.note.tandem` is a manifest, too";
    // Another section of some name, in place of the compiler's line about itself (SHT_PROGBITS, not loaded).
    let loose = |bytes: &[u8]| sections_of(bytes, 1).into_iter().rfind(|at| number(bytes, at + 16, 8) == 0).unwrap();
    let mut bytes = behind.clone();
    let at = loose(&bytes);
    bytes[at + 4] = 7;
    put(&mut bytes, at + 24, start);
    put(&mut bytes, at + 32, length);
    put(&mut bytes, at + 48, 4);
    malformed(&bytes, outside);
    // One of the same name.
    let named = sections_of(&good, 7)
        .into_iter()
        .find(|at| good[number(&good, at + 24, 8) as usize + 12..].starts_with(b"TANDEM"))
        .unwrap();
    let name = good[named..named + 4].to_vec();
    bytes[at..at + 4].copy_from_slice(&name);
    malformed(&bytes, "there are several sections `.note.tandem`");
    // A segment, in place of the one that says that the stack is no code.
    let mut bytes = behind;
    let (table, count) = (number(&bytes, 32, 8) as usize, number(&bytes, 56, 2) as usize);
    let stack = (0..count).map(|i| table + 56 * i).find(|at| number(&bytes, *at, 4) == 0x6474_e551).unwrap();
    bytes[stack..stack + 4].copy_from_slice(&4_u32.to_le_bytes());
    put(&mut bytes, stack + 8, start);
    put(&mut bytes, stack + 32, length);
    put(&mut bytes, stack + 48, 4);
    malformed(&bytes, outside);
}

#[test]
fn another_api_version_and_a_newer_opset() {
    let tandem = env!("CARGO_PKG_VERSION");
    let api = format!("\"api\":\"{API_VERSION}\"");
    assert_eq!(
        message(&patched(plugin("well_behaved"), api.as_bytes(), b"\"api\":\"2.1.0\"")),
        format!(
            "plugin file `FILE` is built for plugin API 2.1.0, this tandem ({tandem}) has {API_VERSION}; build it with \
             `tandem-plugin-api = \"1\"`, or take a tandem that has its API"
        )
    );
    assert_eq!(
        message(&patched(plugin("well_behaved"), b"\"opset\":1}", b"\"opset\":7}")),
        format!(
            "plugin file `FILE` is written in opset 7, this tandem ({tandem}) knows opset 1; take a tandem that knows \
             opset 7, or build the plugin with an older tandem-plugin-api"
        )
    );
    let (_directory, path) = file(&patched(plugin("well_behaved"), api.as_bytes(), b"\"api\":\"1.9.0\""));
    assert_eq!(inspect(&path).unwrap().manifest.api, "1.9.0");
}

#[test]
fn a_manifest_without_the_entry() {
    let missing = "plugin file `FILE` has a manifest but no entry symbol `_1as_0lib_1header_0root_bmodule_bloader`; \
                   build it again with `export_gan!`";
    assert_eq!(message(&patched(plugin("well_behaved"), b"_1as_0lib", b"_1as_0lab")), missing);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000), elf in any::<bool>()) {
        let bytes = if elf { [&plugin("well_behaved")[..20], &bytes].concat() } else { bytes };
        prop_assert!(crate::plugin::inspect::check(&bytes, Machine::This).is_err());
    }

    /// Half of the flips hit the first 4 KiB, where the headers, the note and the symbols are.
    #[test]
    fn a_flipped_byte_never_panics(place in any::<prop::sample::Index>(), near in any::<bool>(), flip in 1..=255_u8) {
        let mut bytes = plugin("another");
        let place = place.index(if near { 4096 } else { bytes.len() });
        bytes[place] ^= flip;
        let _ = crate::plugin::inspect::check(&bytes, Machine::This).and_then(crate::plugin::manifest::read);
    }

    #[test]
    fn a_flipped_byte_in_the_section_table_never_panics(place in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = plugin("another");
        let place = bytes.len() - 1 - place.index(4096);
        bytes[place] ^= flip;
        let _ = crate::plugin::inspect::check(&bytes, Machine::This).and_then(crate::plugin::manifest::read);
    }

    #[test]
    fn a_cut_plugin_is_refused(length in any::<prop::sample::Index>()) {
        let bytes = plugin("another");
        prop_assert!(crate::plugin::inspect::check(&bytes[..length.index(bytes.len())], Machine::This).is_err());
    }
}
