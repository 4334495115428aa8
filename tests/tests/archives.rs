//! Archives and folders that are made to be read in two ways, or to lead elsewhere.
#![expect(clippy::unwrap_used, reason = "a panic is the report")]

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::symlink,
    path::Path,
    process::Command,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use predicates::{prelude::*, str::contains};
use tandem_tests::place::{Place, TARGET, built, replaced};

const ARCHIVE: &str = "well-behaved-1.1.0.tar.gz";

/// A place with a packed plugin and the crate that it is of.
fn with_archive() -> Place {
    let place = Place::new();
    place.write("gan.so", fs::read(built("examples/libwell_behaved.so")).unwrap());
    place.write("crate/README.md", "# Well-behaved\n");
    place.write("crate/LICENSE", "MIT\n");
    place.tandem(&["plugin", "pack", "gan.so", "--from", "crate"]).assert().success();
    place
}

fn gzipped(tar: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(tar).unwrap();
    gzip.finish().unwrap()
}

/// A tar of one entry in the packed plugin's folder, without an end.
fn entry(name: &str, kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    let path = format!("well-behaved-1.1.0/{name}");
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut tar = [header.as_bytes(), content].concat();
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn an_archive_that_readers_take_differently_is_refused() {
    use tar::EntryType::{Directory, Regular};
    let place = with_archive();
    let packed = fs::read(place.path(ARCHIVE)).unwrap();
    let mut tar = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut tar).unwrap();
    let entries = tar.len() - 1024;
    // A licence in place of the one that was looked at, in all the ways that two readers would differ about.
    let other = entry("LICENSE", Regular, b"mine");
    let hidden = |more: &[u8]| gzipped(&[&tar[..entries], more, &[0; 1024]].concat());
    let cases: [(&str, Vec<u8>); 12] = [
        ("goes on after the end of its gzip data", [&packed[..], &gzipped(&other)].concat()),
        ("goes on after the end of its gzip data", [&packed[..], b"x"].concat()),
        ("goes on after the end of its tar", gzipped(&[&tar[..], &other, &[0; 1024]].concat())),
        ("one block of zeros where a tar ends with two", hidden(&[&[0; 512], &other[..]].concat())),
        ("is cut short: its tar has no end", gzipped(&tar[..entries])),
        ("with 1024 bytes of its own; a folder has none", hidden(&entry("d/", Directory, &other))),
        ("holds `well-behaved-1.1.0/LICENSE` twice", hidden(&other)),
        ("a path of which a part is empty, `.`", hidden(&entry("./LICENSE", Regular, b"mine"))),
        ("the same on some file systems", hidden(&entry("license", Regular, b"mine"))),
        ("both as a file and as a folder", hidden(&entry("LICENSE/x", Regular, b"mine"))),
        ("whose path is a folder's", hidden(&entry("x/", Regular, b""))),
        ("which is no regular file", hidden(&entry("x", tar::EntryType::Continuous, b""))),
    ];
    for (at, (what, bytes)) in cases.into_iter().enumerate() {
        place.write("bent.tar.gz", bytes);
        // They read by one reader: by what installs each, and by the others the first.
        for command in &["install", "verify", "inspect"][..if at == 0 { 3 } else { 1 }] {
            place
                .tandem(&["plugin", command, "./bent.tar.gz"])
                .assert()
                .code(2)
                .stderr(contains("archive `./bent.tar.gz` ").and(contains(what)));
        }
    }
    assert!(!place.path("home").exists());
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn what_was_unpacked_may_be_packed_again_by_tar() {
    let place = with_archive();
    let run = |arguments: &[&str]| {
        assert!(Command::new("tar").args(arguments).current_dir(place.path("")).status().unwrap().success());
    };
    run(&["xzf", ARCHIVE]);
    run(&["--format=gnu", "-czf", "again.tar.gz", "well-behaved-1.1.0"]);
    place.tandem(&["plugin", "verify", "again.tar.gz"]).assert().success().stdout(contains(TARGET));
    place.tandem(&["plugin", "install", "again.tar.gz"]).assert().success();
    // Sums that were changed to be read in two ways.
    let sums = place.path("well-behaved-1.1.0/SHA256SUMS");
    let text = fs::read_to_string(&sums).unwrap();
    fs::write(&sums, format!("{text}{}  LICENSE\n", "0".repeat(64))).unwrap();
    run(&["--format=gnu", "-czf", "again.tar.gz", "well-behaved-1.1.0"]);
    let said = contains("has a malformed SHA256SUMS: line ").and(contains("lists `LICENSE` again"));
    place.tandem(&["plugin", "install", "again.tar.gz"]).assert().code(2).stderr(said);
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn pack_gives_away_nothing_from_elsewhere() {
    let place = with_archive();
    fs::remove_file(place.path(ARCHIVE)).unwrap();
    place.write("secret", "a private key");
    let pack = || place.tandem(&["plugin", "pack", "gan.so", "--from", "crate"]).assert();
    for name in ["LICENSE", "README.md", "COPYING"] {
        let link = place.path("crate").join(name);
        let before = fs::read(&link).ok();
        let _ = fs::remove_file(&link);
        symlink("../secret", &link).unwrap();
        pack()
            .code(2)
            .stderr(contains(format!("crate/{name}` is a link to `")).and(contains("put a copy in its place")));
        assert!(!place.path(ARCHIVE).exists());
        fs::remove_file(&link).unwrap();
        if let Some(bytes) = before {
            fs::write(&link, bytes).unwrap();
        }
    }
    symlink("README.md", place.path("crate/COPYING")).unwrap();
    pack().success();
    // Where the archive goes, a link is replaced and not written through.
    fs::remove_file(place.path(ARCHIVE)).unwrap();
    symlink("secret", place.path(ARCHIVE)).unwrap();
    pack().success();
    assert_eq!(fs::read(place.path("secret")).unwrap(), b"a private key");
}

#[test]
fn links_in_the_plugin_folder_are_replaced_and_removed_and_never_followed() {
    let place = Place::new();
    let file = place.write("gan.so", fs::read(built("examples/libwell_behaved.so")).unwrap());
    let installed = place.path("home/tandem/plugins/well-behaved.so");
    fs::create_dir_all(installed.parent().unwrap()).unwrap();
    let other = place.write("other.so", fs::read(built("libtandem_lsgan.so")).unwrap());
    let kept = fs::read(&other).unwrap();
    let signature = Path::new("home/tandem/plugins/well-behaved.so.minisig");
    for target in [other.to_str().unwrap(), "nowhere"] {
        symlink(target, &installed).unwrap();
        symlink("nowhere", place.path(signature.to_str().unwrap())).unwrap();
        place.tandem(&["plugin", "install", "gan.so"]).assert().code(2).stderr(contains("--replace"));
        place.tandem(&["plugin", "install", "gan.so", "--replace"]).assert().success();
        assert!(fs::symlink_metadata(&installed).unwrap().is_file());
        assert!(fs::symlink_metadata(place.path(signature.to_str().unwrap())).is_err(), "it is another file's");
        assert_eq!(fs::read(&installed).unwrap(), fs::read(&file).unwrap());
        fs::remove_file(&installed).unwrap();
        symlink(target, &installed).unwrap();
        place.tandem(&["plugin", "remove", "well-behaved"]).assert().success();
        assert!(fs::symlink_metadata(&installed).is_err());
        assert_eq!(fs::read(&other).unwrap(), kept);
    }
}

#[test]
fn a_plugin_that_cannot_be_asked_for_is_refused() {
    let place = Place::new();
    let library = fs::read(built("libtandem_lsgan.so")).unwrap();
    place.write("README.md", "x");
    place.write("LICENSE", "x");
    for (at, name) in ["-help", "ab.so", "a.tgz", "....."].into_iter().enumerate() {
        place.write("gan.so", replaced(&library, "\"name\":\"lsgan\"", &format!("\"name\":\"{name}\"")));
        for command in &["install", "inspect", "verify", "pack"][..if at == 0 { 4 } else { 1 }] {
            place
                .tandem(&["plugin", command, "./gan.so"])
                .assert()
                .code(2)
                .stderr(contains("`name` must be").and(contains(format!("{name:?}"))));
        }
    }
    assert!(!place.path("home").exists());
}
