//! What the reader of archives takes, GNU tar and Python read alike: tried on archives that are changed at random.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flate2::{Compression, GzBuilder, read::GzDecoder};

use super::tarball;

const BLOCK: usize = 512;
/// Each as one line: archive, file, length, content in hexadecimal.
const PYTHON: &str = "
import sys, tarfile
for path in sys.stdin.read().split():
    with tarfile.open(path, 'r:gz') as tar:
        for m in tar:
            if m.isreg(): print(path, m.name.replace(' ', '?'), tar.extractfile(m).read().hex() or '-')
            elif not m.isdir(): print(path, 'neither file nor folder')
";

/// Numbers that look random and are always the same (Knuth's MMIX generator, its upper half).
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// Two archives to start from, as tars: of `plugin pack`, and what GNU tar makes of the same files.
fn tars(folder: &Path) -> Vec<Vec<u8>> {
    let files: [(String, Vec<u8>); 4] = [
        ("SHA256SUMS".into(), b"sums".to_vec()),
        ("a/b.so".into(), vec![7; 700]),
        (format!("a/{}", "n".repeat(98)), Vec::new()),
        ("LICENSE A".into(), vec![b'l'; 512]),
    ];
    let files = BTreeMap::from(files);
    let packed = folder.join("packed");
    fs::write(&packed, tarball::made(&"r".repeat(20), &files).unwrap()).unwrap();
    fs::create_dir_all(folder.join("x/a")).unwrap();
    for (name, bytes) in files.iter().filter(|(name, _)| name.len() < 90) {
        fs::write(folder.join("x").join(name), bytes).unwrap();
    }
    let gnu = folder.join("gnu");
    let tar = Command::new("tar").args(["--format=gnu", "-czf"]).arg(&gnu).arg("-C").arg(folder).arg("x").status();
    assert!(tar.unwrap().success());
    let unpacked = [packed, gnu].map(|path| {
        assert!(tarball::read(&path).is_ok(), "{}", path.to_string_lossy());
        let mut tar = Vec::new();
        GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut tar).unwrap();
        tar
    });
    unpacked.to_vec()
}

/// Where a tar's headers stand, as long as it can be followed.
fn headers(tar: &[u8]) -> Vec<usize> {
    let (mut at, mut found) = (0, Vec::new());
    while at + BLOCK <= tar.len() && tar[at] != 0 {
        found.push(at);
        let size = std::str::from_utf8(&tar[at + 124..at + 135]).unwrap_or_default();
        at += BLOCK + usize::from_str_radix(size, 8).unwrap_or(0).min(tar.len()).next_multiple_of(BLOCK);
    }
    found
}

/// A tar with some of its bytes or blocks changed, and the headers' sums right again for the most part.
fn changed(tar: &[u8], number: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut tar = tar.to_vec();
    let places = headers(&tar);
    for _ in 0..=number(3) {
        let value = b"\0\0 /.07x5aA\\9\x80\xff\n"[number(16)];
        let (header, block) = (places[number(places.len())], number(tar.len() / BLOCK) * BLOCK);
        // A field's first bytes say the most.
        let fields =
            [0, 1, 99, 100, 107, 108, 124, 125, 134, 135, 136, 147, 156, 157, 257, 262, 263, 265, 329, 345, 499, 500];
        match number(8) {
            0 => tar[header + number(BLOCK)] = value,
            1 => tar[block + number(BLOCK)] = value,
            2 => tar.splice(block..block, tar[header..header + BLOCK].to_vec()).for_each(drop),
            3 if tar.len() > 4 * BLOCK => tar.drain(block..block + BLOCK).for_each(drop),
            4 => tar.truncate(tar.len() - number(3) * BLOCK),
            _ => tar[header + fields[number(fields.len())]] = value,
        }
        if tar.len() < 3 * BLOCK || places.last().is_some_and(|last| last + 2 * BLOCK > tar.len()) {
            break;
        }
    }
    if number(10) > 0 {
        for at in headers(&tar) {
            tar[at + 148..at + 156].fill(b' ');
            let sum: u32 = tar[at..at + BLOCK].iter().map(|&b| u32::from(b)).sum();
            tar[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    tar
}

fn packed(tar: &[u8], number: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::fast());
    gzip.write_all(tar).unwrap();
    let mut bytes = gzip.finish().unwrap();
    if number(8) == 0 {
        let at = number(bytes.len().min(12));
        bytes[at] = number(256) as u8;
    }
    bytes
}

/// What one line of [`PYTHON`] says of each file.
fn lines(path: &Path, root: &str, files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"));
    let line = |(name, bytes): (&String, &Vec<u8>)| {
        let content = if bytes.is_empty() { "-".to_owned() } else { hex(bytes) };
        format!("{} {} {content}", path.to_string_lossy(), format!("{root}/{name}").replace(' ', "?"))
    };
    files.iter().map(line).collect()
}

/// The names that GNU tar lists, in order, and all contents behind each other.
fn by_tar(path: &Path) -> (Vec<String>, Vec<u8>) {
    let run = |flags: &str| {
        let output = Command::new("tar").arg(flags).arg(path).env("LC_ALL", "C").output().unwrap();
        assert!(output.status.success(), "{}: {}", path.to_string_lossy(), String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let names = String::from_utf8(run("-tzf")).unwrap();
    (names.lines().map(str::to_owned).collect(), run("-xzOf"))
}

#[test]
fn what_is_taken_others_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (tars, mut number) = (tars(folder.path()), numbers(15));
    let mut taken: Vec<(PathBuf, BTreeMap<String, Vec<u8>>, String)> = Vec::new();
    for i in 0..3000 {
        let tar = changed(&tars[i % tars.len()], &mut number);
        let path = folder.path().join(format!("{i}.tar.gz"));
        fs::write(&path, packed(&tar, &mut number)).unwrap();
        let Ok(files) = tarball::read(&path) else { continue };
        let (listed, contents) = by_tar(&path);
        let root = listed[0].split('/').next().unwrap().to_owned();
        let mut names: Vec<&str> = listed.iter().filter(|name| !name.ends_with('/')).map(String::as_str).collect();
        let whole: usize = files.values().map(Vec::len).sum();
        assert_eq!(contents.len(), whole, "{i}");
        names.sort_unstable();
        let mut ours: Vec<String> = files.keys().map(|name| format!("{root}/{name}")).collect();
        ours.sort();
        assert_eq!(ours, names, "{i}");
        taken.push((path, files, root));
    }
    assert!(taken.len() > 100, "only {} of them were taken", taken.len());
    let Some(said) = by_python(&taken.iter().map(|(path, ..)| path.to_string_lossy().into_owned()).collect::<Vec<_>>())
    else {
        return;
    };
    let mut ours: Vec<String> = taken.iter().flat_map(|(path, files, root)| lines(path, root, files)).collect();
    ours.sort();
    assert_eq!(ours, said);
}

/// What Python reads in these archives, if there is a Python.
fn by_python(paths: &[String]) -> Option<Vec<String>> {
    let python = std::env::var("TANDEM_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut child =
        Command::new(python).args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    child.stdin.take().unwrap().write_all(paths.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let mut lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    Some(lines)
}
