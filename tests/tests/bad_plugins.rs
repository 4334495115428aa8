//! Plugins with something wrong, two hundred in the long form, each asked by the real binary: as many errors that name the
//! plugin, no crash of the host, nothing written but the cache of checked copies.
#![expect(clippy::unwrap_used, reason = "a panic is the report")]

use std::{collections::BTreeSet, fs, os::unix::process::ExitStatusExt as _, path::Path, process::Command};

use tandem_tests::{binary, long};

/// Where bad plugins lie, with the environment that the host runs in.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["cache", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    /// Asks a plugin with these bytes; whether it answered. Panics unless what it did is an answer or one error that names it.
    fn ask(&self, what: &str, bytes: &[u8], options: &[&str]) -> bool {
        let file = self.folder.path().join("work/libbad.so");
        fs::write(&file, bytes).unwrap();
        let output = Command::new(binary())
            .args(["plugin", "inspect", "--run", file.to_str().unwrap()])
            .args(options.iter().flat_map(|o| ["--set", o]))
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("OMP_NUM_THREADS", "1")
            .current_dir(self.folder.path().join("work"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), None, "{what}: the host crashed: {said}");
        if output.status.success() {
            return true;
        }
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        let error = said.lines().any(|line| line.starts_with("error: plugin "));
        assert!(error && said.contains("libbad.so"), "{what}: {said}");
        assert!(!said.contains("panicked at"), "{what}: {said}");
        false
    }

    /// Panics if anything but the plugin itself and the cache's copies was written.
    fn assert_untouched(&self) {
        let names = |folder: &Path| -> BTreeSet<String> {
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
        };
        assert_eq!(names(&self.folder.path().join("work")), BTreeSet::from(["libbad.so".to_owned()]));
        assert!(names(&self.folder.path().join("cache")).iter().all(|name| name == "tandem"));
        assert!(!std::env::temp_dir().join("tandem-hostile-was-here").exists());
    }
}

fn built(name: &str) -> Vec<u8> {
    let path = binary().parent().unwrap().join(format!("examples/lib{name}.so"));
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; run `cargo xtask test`", path.display()))
}

/// Numbers that look random and are always the same (Knuth's MMIX generator, its upper half).
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// Some of them, or all in the long form.
fn of(few: usize, all: usize) -> usize {
    if long() { all } else { few }
}

#[test]
fn with_a_flipped_bit() {
    let (place, good, mut number) = (Place::new(), built("well_behaved"), numbers(1));
    // A flip may leave a plugin that still answers; it counts for nothing, and the next is tried.
    let (mut refused, mut tried, wanted) = (0, 0, of(10, 100));
    while refused < wanted {
        let mut bytes = good.clone();
        // Most of them in the headers and in the relocations, where few bits mean nothing.
        let at = match tried % 8 {
            0 => number(good.len()),
            1..=3 => number(568),
            _ => 1024 + number(19_000),
        };
        bytes[at] ^= 1 << number(8);
        refused += usize::from(!place.ask(&format!("bit flipped in byte {at}"), &bytes, &[]));
        tried += 1;
        assert!(tried < 10 * wanted, "only {refused} of {tried} flips were refused");
    }
    place.assert_untouched();
}

#[test]
fn that_are_cut_short() {
    let (place, good, mut number) = (Place::new(), built("another"), numbers(2));
    for i in 0..of(12, 50) {
        let length = if i < 10 { i * 13 } else { number(good.len()) };
        assert!(!place.ask(&format!("cut to {length} bytes"), &good[..length], &[]), "{length}");
    }
    place.assert_untouched();
}

#[test]
fn with_wrong_sections() {
    let (place, good, mut number) = (Place::new(), built("well_behaved"), numbers(3));
    let at = |needle: &[u8]| good.windows(needle.len()).position(|w| w == needle).unwrap();
    let manifest = at(b"{\"name\":\"well-behaved\"");
    for i in 0..of(4, 20) {
        let mut bytes = good.clone();
        match i % 4 {
            // The section table itself: bytes 40 to 48 and 58 to 64 of the header.
            0 => bytes[40 + number(3)] ^= 0xff,
            1 => bytes[60 + number(4)] ^= 0xff,
            // The manifest: no longer JSON.
            2 => bytes[manifest + number(8)] = b'#',
            // The entry's name.
            _ => {
                let name = at(b"_1as_0lib_1header") + number(17);
                bytes[name] = b'x';
            }
        }
        assert!(!place.ask(&format!("wrong section {i}"), &bytes, &[]), "{i}");
    }
    place.assert_untouched();
}

#[test]
fn that_misbehave_or_define_nonsense() {
    let place = Place::new();
    let hostile = built("hostile");
    let deeds = ["abort", "exit", "loop", "overflow", "allocate", "write", "connect", "spawn", "thread"];
    let malformed = built("malformed");
    let kinds = [
        "no generator",
        "newer opset",
        "unknown operation",
        "cycle",
        "not finite",
        "too large",
        "other images",
        "control characters",
        "long error",
        "input after its use",
        "no such node",
        "no output",
        "missing attribute",
        "wrong attribute",
        "huge layer",
        "huge reshape",
        "negative size",
        "NaN constant",
        "endless padding",
        "nameless tensor",
        "two of one name",
    ];
    for deed in deeds {
        assert!(!place.ask(deed, &hostile, &[&format!("deed={deed}")]), "{deed}");
    }
    for kind in kinds {
        assert!(!place.ask(kind, &malformed, &[&format!("kind=\"{kind}\"")]), "{kind}");
    }
    place.assert_untouched();
}
