//! A data set from anywhere: the first byte says which kind of file the rest is, the data set is told by what is in it, and
//! every image is decoded. Whatever comes must end in a report or an error, in bounded memory, and nothing outside its
//! folder is read.
#![no_main]

use std::{
    cell::RefCell,
    fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Component, Path},
};

use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use tandem::data::{Source, Split, inspect};
use tempfile::TempDir;

thread_local! {
    static FOLDER: RefCell<TempDir> = RefCell::new(TempDir::new_in("/dev/shm").expect("a folder in memory"));
}

/// An image of 1x1.
const PNG: &[u8] = include_bytes!("../seeds/one.png");

fuzz_target!(|input: &[u8]| {
    let Some((&kind, rest)) = input.split_first() else { return };
    FOLDER.with_borrow(|folder| {
        let root = folder.path().join("set");
        let _ = fs::remove_dir_all(&root);
        fs::create_dir(&root).expect("memory");
        for source in sources(kind, rest, &root) {
            if let Ok(report) = inspect(&source, true) {
                assert!(report.bad.len() <= report.images.max(report.looked_at));
            }
        }
    });
});

/// The rest as a file of this kind, and how it is read: as it is told to be, and as a configuration may say.
fn sources(kind: u8, rest: &[u8], root: &Path) -> Vec<Source> {
    let told = |path: &Path| Source::detect(path).ok();
    let put = |name: &str, bytes: &[u8]| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("memory");
        fs::write(&path, bytes).expect("memory");
        path
    };
    match kind % 9 {
        0 => vec![Source::Zip(put("x.zip", rest))],
        1 => vec![Source::Tar(put("x.tar", rest))],
        2 => vec![Source::Lmdb(put("data.mdb", rest))],
        3 => {
            listing(rest, root);
            told(root).into_iter().chain([Source::Folder(root.to_owned())]).collect()
        }
        4 => {
            put("a/1.png", PNG);
            put("b/2.png", PNG);
            put("dataset.json", rest);
            told(root).into_iter().collect()
        }
        5 => {
            put("img_align_celeba/000001.png", PNG);
            put("list_attr_celeba.txt", rest);
            put("list_eval_partition.txt", rest);
            let celeba = |split| Source::Celeba { folder: root.to_owned(), attribute: Some("Male".into()), split };
            vec![celeba(None), celeba(Some(Split::Train))]
        }
        6 => {
            let (images, labels) = rest.split_at(rest.len() / 2);
            let images = put("train-images-idx3-ubyte", images);
            let labels = put("train-labels-idx1-ubyte", labels);
            vec![Source::Idx { images, labels: Some(labels), transposed: false }]
        }
        7 => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(rest).expect("memory");
            let images = put("x.gz", &gzip.finish().expect("memory"));
            told(&images).into_iter().collect()
        }
        _ => {
            // CIFAR's files, in whichever form: the folder is told by its names.
            for i in 1..=5 {
                put(&format!("data_batch_{i}"), rest);
            }
            put("test_batch", rest);
            told(root).into_iter().collect()
        }
    }
}

/// Each line is a file of the listing, `name>target` a link; what would lie outside the folder is left out.
fn listing(lines: &[u8], root: &Path) {
    let inside = |name: &str| {
        !name.is_empty()
            && !name.contains('\0')
            && name.len() < 200
            && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
    };
    for line in String::from_utf8_lossy(lines).lines().take(32) {
        let (name, target) = line.split_once('>').map_or((line, None), |(name, target)| (name, Some(target)));
        if !inside(name) {
            continue;
        }
        let path = root.join(name);
        // One name may stand in another's way; then it is not there, which is a listing, too.
        let _ = fs::create_dir_all(path.parent().expect("a folder"));
        let _ = match target {
            Some("..") => symlink("..", &path),
            Some(target) if inside(target) => symlink(root.join(target), &path),
            Some(_) => continue,
            None if name.ends_with(".json") || name.ends_with(".cls") => fs::write(&path, b"1"),
            None => fs::write(&path, PNG),
        };
    }
}
