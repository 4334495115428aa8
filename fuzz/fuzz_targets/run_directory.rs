//! A run directory from anywhere: one file of a sound run (`fuzz/corpus/run`, which `fuzz/run.sh` trains) is replaced, the
//! first byte says which, its highest bit in which run: one as it is written today, or one as it was before checkpoints had
//! sums, where what reads their files is reached. Reading all of it must end in values or errors.
#![no_main]

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
};

use libfuzzer_sys::fuzz_target;
use tandem::{
    report,
    run::{Part, RunDir},
};
use tempfile::TempDir;

/// The sound run.
const SOUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/run");

/// What checkpoints have since they have sums.
const NEW: [&str; 3] = ["SHA256SUMS", "config.toml", "data.json"];

struct Run {
    _folder: TempDir,
    path: PathBuf,
    /// Every file by its path in the directory, with what it held.
    files: Vec<(PathBuf, Vec<u8>)>,
}

thread_local! {
    static RUNS: RefCell<[Run; 2]> = RefCell::new([copied(false), copied(true)]);
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, content)) = input.split_first() else { return };
    RUNS.with_borrow(|runs| {
        let run = &runs[usize::from(which >> 7)];
        let (name, sound) = &run.files[usize::from(which & 0x7f) % run.files.len()];
        let path = run.path.join(name);
        fs::write(&path, content).expect("memory");
        read(&run.path);
        fs::write(&path, sound).expect("memory");
    });
});

/// All that is read of a run by any command that needs no plugin.
fn read(path: &Path) {
    let Ok(run) = RunDir::open(path) else { return };
    let _ = (run.config(), run.definition(), run.plugin(), run.checkpoints(), run.latest(), run.best());
    let _ = (run.metrics(), run.evaluations(), run.sessions(), run.in_use());
    let _ = tandem::session::read_definition(&path.join("definition.json"));
    for step in run.checkpoints().unwrap_or_default() {
        let _ = run.load_checkpoint(step);
        let _ = run.load_part(step, Part::Generator);
    }
    let _ = report::html(&run);
}

fn copied(earlier: bool) -> Run {
    let folder = TempDir::new_in("/dev/shm").expect("a folder in memory");
    let path = folder.path().join("run");
    let mut files = Vec::new();
    copy(Path::new(SOUND), Path::new(""), &path, &mut files);
    assert!(!files.is_empty(), "{SOUND} holds no run; fuzz/run.sh trains it");
    if earlier {
        let new = |name: &Path| name.starts_with("checkpoints") && NEW.iter().any(|new| name.ends_with(new));
        for (name, _) in files.extract_if(.., |(name, _)| new(name)) {
            fs::remove_file(path.join(name)).expect("memory");
        }
    }
    files.sort();
    Run { _folder: folder, path, files }
}

fn copy(from: &Path, within: &Path, to: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    fs::create_dir_all(to.join(within)).expect("memory");
    for entry in fs::read_dir(from.join(within)).expect("the run is there") {
        let name = within.join(entry.expect("an entry").file_name());
        if from.join(&name).is_dir() {
            copy(from, &name, to, files);
        } else {
            let bytes = fs::read(from.join(&name)).expect("a file");
            fs::write(to.join(&name), &bytes).expect("memory");
            files.push((name, bytes));
        }
    }
}
