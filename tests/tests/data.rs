//! Data sets of every kind, made here: looked into, brought into caches, trained on; and what is wrong with them, told.
#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

use std::{
    fs,
    io::{Cursor, Read as _, Write as _},
};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;
use tandem_tests::{binary, encoded, photograph, place::Place, root};

/// Data sets of a place, and configs over them.
trait DataSets {
    /// A config over this data, of a network that trains in a moment.
    fn config_over(&self, data: &str) -> String;
    /// Prepares the config's data; what it says.
    fn prepare(&self, config: &str) -> Value;
    /// The weights after training by this config.
    fn weights(&self, config: &str, run: &str, more: &[&str]) -> Vec<u8>;
}

impl DataSets for Place {
    fn config_over(&self, data: &str) -> String {
        let text = format!(
            "plugin = \"dcgan\"\nsteps = 3\nbatch_size = 4\nsample_every = 0\n[options]\nwidth = 4\nlatent_size = 8\n[data]\n{data}\n"
        );
        self.write("config.toml", text);
        self.text("config.toml")
    }

    fn prepare(&self, config: &str) -> Value {
        let output = self.tandem(&["data", "prepare", config, "--json"]).assert().success();
        serde_json::from_slice(&output.get_output().stdout).unwrap()
    }

    fn weights(&self, config: &str, run: &str, more: &[&str]) -> Vec<u8> {
        self.tandem(&[&["train", config, "--out", run], more].concat()).assert().success();
        let bytes = fs::read(self.path(run).join("checkpoints/step-3/generator.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut named: Vec<_> = tensors.iter().collect();
        named.sort_by_key(|(name, _)| (*name).to_owned());
        named.iter().flat_map(|(_, view)| view.data().to_vec()).collect()
    }
}

fn jpeg(number: u32) -> Vec<u8> {
    encoded(photograph(number), ImageFormat::Jpeg)
}

/// Two classes: JPEG, PNG with transparency, grey PNG, WebP.
fn photographs(place: &Place) {
    for number in 0..5 {
        place.write(&format!("photos/cats/{number}.jpg"), jpeg(number));
    }
    let photo = DynamicImage::from(photograph(5));
    place.write("photos/dogs/5.PNG", encoded(photo.to_rgba8(), ImageFormat::Png));
    place.write("photos/dogs/6.png", encoded(photo.to_luma8(), ImageFormat::Png));
    place.write("photos/dogs/7.webp", encoded(photo.to_rgb8(), ImageFormat::WebP));
    place.write("photos/dogs/notes.txt", "no image");
}

#[test]
fn a_folder_of_photographs_is_seen_cached_and_trained_on() {
    let place = Place::new();
    photographs(&place);
    let report = place.inspect("photos");
    assert_eq!((report["images"].as_u64(), report["classes"].as_array().unwrap().len()), (Some(8), 2));
    place
        .tandem(&["data", "inspect", "photos"])
        .assert()
        .success()
        .stdout(contains("cats").and(contains("8 images, 2 classes")));
    let config = place.config_over("kind = \"folder\"\npath = \"photos\"\nimage_size = 32");
    let from_memory = place.weights(&config, "memory", &[]);
    let prepared = place.prepare(&config);
    assert_eq!((prepared["images"].as_u64(), &prepared["found"]), (Some(8), &Value::Bool(false)));
    assert_eq!(place.prepare(&config)["found"], true);
    assert_eq!(place.weights(&config, "cached", &[]), from_memory, "the cache holds the same images");
    assert_eq!(place.inspect(prepared["path"].as_str().unwrap())["images"], 8);
    // A changed file is another source: the old cache is not taken for it.
    place.write("photos/cats/8.jpg", jpeg(8));
    assert_eq!(place.prepare(&config)["images"], 9);
}

#[test]
fn mirrored_images_are_the_same_ones_after_a_resume() {
    let place = Place::new();
    photographs(&place);
    let config = place.config_over("kind = \"folder\"\npath = \"photos\"\nimage_size = 32\nflip = true");
    let whole = place.weights(&config, "whole", &[]);
    assert_ne!(whole, place.weights(&config, "plain", &["--set", "data.flip=false"]));
    place.tandem(&["train", &config, "--out", "parts", "--set", "steps=1"]).assert().success();
    assert_eq!(place.weights(&config, "parts", &["--resume"]), whole);
}

#[test]
fn damaged_images_are_named_and_left_out_up_to_a_limit() {
    let place = Place::new();
    photographs(&place);
    let whole = jpeg(1);
    place.write("photos/cats/cut.jpg", &whole[..whole.len() / 2]);
    place.write("photos/cats/words.png", "only words");
    let report = place.inspect("photos");
    assert_eq!(report["bad"].as_array().unwrap().len(), 2, "{report:#}");
    let config = place.config_over("kind = \"folder\"\npath = \"photos\"\nimage_size = 32");
    let prepared = place.prepare(&config);
    let left_out = prepared["left_out"].to_string();
    assert_eq!(prepared["images"], 8);
    assert!(left_out.contains("cut.jpg") && left_out.contains("words.png"), "{left_out}");
    // A cache remembers what was left out, and is not taken where that is too much.
    let again = place.prepare(&config);
    assert_eq!((&again["found"], &again["left_out"]), (&Value::Bool(true), &prepared["left_out"]));
    for command in [
        &["data", "prepare", &config, "--force", "--set", "data.max_bad=1"][..],
        &["data", "prepare", &config, "--set", "data.max_bad=1"],
        &["train", &config, "--out", "run", "--set", "data.max_bad=1"],
    ] {
        place.tandem(command).assert().failure().stderr(
            contains("2 images so far cannot be used, more than data.max_bad = 1; the first is")
                .and(contains("cut.jpg")),
        );
    }
}

#[test]
fn a_damaged_cache_is_found_by_prepare_and_made_again() {
    let place = Place::new();
    photographs(&place);
    let config = place.config_over("kind = \"folder\"\npath = \"photos\"\nimage_size = 32");
    let path = place.prepare(&config)["path"].as_str().unwrap().to_owned();
    let good = fs::read(&path).unwrap();
    for at in [4096 + 5 * 3072, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, &bad).unwrap();
        place
            .tandem(&["data", "prepare", &config])
            .assert()
            .success()
            .stderr(contains("damaged: ").and(contains("it is made again now")))
            .stdout(contains("there already").not());
        assert!(fs::read(&path).unwrap() == good, "made again, byte for byte");
        place.tandem(&["data", "prepare", &config]).assert().success().stdout(contains("there already"));
    }
}

#[test]
fn what_cannot_be_used_at_all_says_why() {
    let place = Place::new();
    for name in ["a.png", "b.png"] {
        place.write(&format!("bad/{name}"), "words");
    }
    // A film by another name is no PNG, for those who look and for those who read.
    place.write("film/a.png", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom");
    let line = RgbImage::from_pixel(3_000_000, 1, Rgb([1, 2, 3]));
    place.write("lines/long.png", encoded(line, ImageFormat::Png));
    for (folder, why) in [
        ("bad", "bad: none of its 2 images can be used; the first is"),
        ("film", "film/a.png: a file of the format MP4 (a film), which is not read; convert it to PNG or JPEG"),
        ("lines", "long.png: 3000000x1 is too narrow for crop = \"resize-center\""),
    ] {
        let data = format!("kind = \"folder\"\npath = \"{folder}\"\nimage_size = 32\ncrop = \"resize-center\"");
        let config = place.config_over(&data);
        place.tandem(&["data", "prepare", &config]).assert().code(1).stderr(contains(why));
    }
    let report = place.inspect("film");
    assert_eq!(
        report["bad"][0]["why"],
        "a file of the format MP4 (a film), which is not read; convert it to PNG or JPEG"
    );
    // An archive with a password: the flag of its one entry, in its own head and in the list at the end.
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("0.png", stored).unwrap();
    zip.write_all(&encoded(photograph(0), ImageFormat::Png)).unwrap();
    let mut bytes = zip.finish().unwrap().into_inner();
    let list = bytes.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    bytes[6] |= 1;
    bytes[list + 8] |= 1;
    place.write("secret.zip", bytes);
    place
        .tandem(&["data", "inspect", "secret.zip"])
        .assert()
        .code(1)
        .stderr(contains("1 of its 1 images are encrypted, the first of them entry 0.png"));
}

#[test]
fn labels_and_images_that_do_not_fit_are_told() {
    let place = Place::new();
    // An image beside the classes' folders.
    photographs(&place);
    place.write("photos/stray.jpg", jpeg(9));
    let stray = "1 of its 9 images lie in no folder, the first of them stray.jpg";
    place
        .tandem(&["data", "inspect", "photos"])
        .assert()
        .success()
        .stdout(contains("9 images, no labels").and(contains(stray)));
    let config = place.config_over("kind = \"folder\"\npath = \"photos\"\nimage_size = 32");
    let conditional = ["train", &config, "--out", "run", "--set", "plugin=cgan"];
    place.tandem(&conditional).assert().failure().stderr(contains(stray).and(contains("into a folder of its class")));
    let unlabelled = ["data", "prepare", &config, "--set", "data.use_labels=false"];
    place.tandem(&unlabelled).assert().success().stderr(contains("stray").not());
    // A row too many in StyleGAN's list.
    place.write("photos/dataset.json", "{\"labels\": [[\"stray.jpg\", 1], [\"gone.png\", 0]]}");
    place
        .tandem(&["data", "inspect", "photos"])
        .assert()
        .code(1)
        .stderr(contains("has none").and(contains("dataset.json")));
    // CelebA's list of parts without one of the images.
    for number in 1..=3 {
        place.write(&format!("faces/img_align_celeba/{number:06}.jpg"), jpeg(number));
    }
    place.write("faces/list_eval_partition.txt", "000001.jpg 0\n000003.jpg 0\n");
    let config = place.config_over("kind = \"celeba\"\npath = \"faces\"\nsplit = \"train\"\nimage_size = 32");
    place
        .tandem(&["data", "prepare", &config])
        .assert()
        .code(1)
        .stderr(contains("list_eval_partition.txt: 1 of the 3 images have no row in it").and(contains("000002.jpg")));
    // EMNIST as it is published: six sets in one folder.
    for set in ["letters", "digits"] {
        for file in ["images-idx3", "labels-idx1"] {
            place.write(&format!("gzip/emnist-{set}-train-{file}-ubyte.gz"), "");
        }
    }
    place.tandem(&["data", "inspect", "gzip"]).assert().code(1).stderr(
        contains("several data sets in MNIST's form: emnist-digits-train-images-idx3-ubyte.gz, emnist-letters-train")
            .and(contains("data.labels = ")),
    );
}

#[test]
fn archives_and_published_forms_are_read_with_their_labels() {
    let place = Place::new();
    // StyleGAN's ZIP.
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for number in 0..4 {
        zip.start_file(format!("00000/img{number:08}.png"), stored).unwrap();
        zip.write_all(&encoded(photograph(number), ImageFormat::Png)).unwrap();
    }
    zip.start_file("dataset.json", stored).unwrap();
    let labels: Vec<String> = (0..4).map(|n| format!("[\"00000/img{n:08}.png\", {}]", n % 3)).collect();
    zip.write_all(format!("{{\"labels\": [{}]}}", labels.join(", ")).as_bytes()).unwrap();
    place.write("set.zip", zip.finish().unwrap().into_inner());
    // WebDataset's shards.
    for shard in 0..2 {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |name: String, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes).unwrap();
        };
        for number in 0..3 {
            add(format!("{number:06}.jpg"), &jpeg(number));
            add(format!("{number:06}.cls"), format!("{number}").as_bytes());
        }
        place.write(&format!("shards/{shard:05}.tar"), tar.into_inner().unwrap());
    }
    // CIFAR-10.
    for batch in 1..=5 {
        let records: Vec<u8> =
            (0..2_u8).flat_map(|i| std::iter::once(2 * batch - 2 + i).chain(vec![40 * i; 3072])).collect();
        place.write(&format!("cifar/data_batch_{batch}.bin"), records);
    }
    // CelebA.
    for number in 1..=3_u32 {
        let face = RgbImage::from_fn(178, 218, |x, y| Rgb([x as u8, y as u8, number as u8]));
        place.write(&format!("faces/img_align_celeba/{number:06}.jpg"), encoded(face, ImageFormat::Jpeg));
    }
    let rows = "3\nMale Young\n000001.jpg -1 1\n000002.jpg 1 1\n000003.jpg 1 -1\n";
    place.write("faces/list_attr_celeba.txt", rows);
    place.write("faces/list_eval_partition.txt", "000001.jpg 0\n000002.jpg 1\n000003.jpg 0\n");
    // LSUN.
    let mut lmdb = Vec::new();
    let packed = fs::File::open(root().join("tests/fixtures/lsun/data.mdb.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut lmdb).unwrap();
    place.write("church_outdoor_train_lmdb/data.mdb", &lmdb);

    for (path, images, classes) in
        [("set.zip", 4, 3), ("shards", 6, 3), ("cifar", 10, 10), ("faces", 3, 0), ("church_outdoor_train_lmdb", 6, 0)]
    {
        let report = place.inspect(path);
        let found = (report["images"].as_u64().unwrap(), report["classes"].as_array().unwrap().len());
        assert_eq!((found, report["bad"].as_array().unwrap().len()), ((images, classes), 0), "{path}: {report:#}");
    }
    for (data, images) in [
        ("kind = \"zip\"\npath = \"set.zip\"", 4),
        ("kind = \"tar\"\npath = \"shards\"", 6),
        ("kind = \"cifar10\"\npath = \"cifar\"", 10),
        ("kind = \"celeba\"\npath = \"faces\"\nattribute = \"Male\"\ncrop = \"celeba-178\"", 3),
        ("kind = \"celeba\"\npath = \"faces\"\nsplit = \"train\"\ncrop = \"resize-center\"", 2),
        ("kind = \"lmdb\"\npath = \"church_outdoor_train_lmdb\"", 6),
    ] {
        let config = place.config_over(&format!("{data}\nimage_size = 32"));
        assert_eq!(place.prepare(&config)["images"], images, "{data}");
        let more = ["--set", "batch_size=2", "--set", "steps=3"];
        place.weights(&config, &format!("run-{images}-{}", data.len()), &more);
    }

    // A version that is not LSUN's: byte 20 of the first page.
    lmdb[20] ^= 3;
    lmdb[4096 + 20] ^= 3;
    place.write("other/data.mdb", &lmdb);
    let config = place.config_over("kind = \"lmdb\"\npath = \"other\"\nimage_size = 32");
    place.tandem(&["data", "prepare", &config]).assert().code(1).stderr(contains("data.mdb").and(contains("version")));
    let config = place.config_over("kind = \"celeba\"\npath = \"faces\"\nattribute = \"Old\"\nimage_size = 32");
    place
        .tandem(&["data", "prepare", &config])
        .assert()
        .code(1)
        .stderr(contains("no attribute `Old`").and(contains("row 2")));
    let zip = fs::read(place.path("set.zip")).unwrap();
    place.write("cut.zip", &zip[..zip.len() - 30]);
    place.tandem(&["data", "inspect", "cut.zip"]).assert().failure().stderr(contains("cut.zip").and(contains("byte")));
}

#[test]
fn what_is_wrong_names_the_file_and_what_to_do() {
    let place = Place::new();
    fs::create_dir(place.path("empty")).unwrap();
    place
        .tandem(&["data", "inspect", "empty"])
        .assert()
        .code(1)
        .stderr(contains("empty holds no images: expected files ending in"));
    place.tandem(&["data", "inspect", "nowhere"]).assert().code(1).stderr(contains("nowhere"));
    photographs(&place);
    let config = place.config_over("kind = \"folder\"\npath = \"photos\"\nimage_size = 32");
    let path = place.prepare(&config)["path"].as_str().unwrap().to_owned();
    // A cache by its own name, for other images than it holds.
    let other = place.config_over(&format!("kind = \"cache\"\npath = {path:?}\nimage_size = 64"));
    place
        .tandem(&["train", &other, "--out", "run"])
        .assert()
        .failure()
        .stderr(contains("a cache of another transform: 32x32").and(contains("wanted: 64x64")));
    let same = place.config_over(&format!("kind = \"cache\"\npath = {path:?}\nimage_size = 32"));
    place.weights(&same, "same", &[]);
    // Damage to an image is found when the image is read, a cut when the cache is opened.
    let good = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let mut bad = good.clone();
    bad[4096 + 100] ^= 1;
    fs::write(&path, &bad).unwrap();
    let damaged =
        contains("damaged: image 0, byte 4096, is not what was written; make it again with `tandem data prepare")
            .and(contains("--force` (it is of folder "));
    place.tandem(&["train", &same, "--out", "bad", "--set", "batch_size=8"]).assert().failure().stderr(damaged);
    fs::write(&path, &good[..good.len() - 1]).unwrap();
    place
        .tandem(&["train", &same, "--out", "cut"])
        .assert()
        .failure()
        .stderr(contains("truncated or damaged: 8 images of 3x32x32"));
}

/// What every command must find in one data set.
struct Case {
    path: &'static str,
    kind: &'static str,
    images: u64,
    classes: &'static [&'static str],
    /// What is said of things that are passed over.
    passed: &'static [&'static str],
}

fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Images with what systems, desktops and people leave among them, as a folder, a ZIP and a tar.
fn strewn(place: &Place) {
    let image = jpeg(1);
    let mut entries: Vec<(String, &[u8])> = Vec::new();
    for class in ["cat", "dog"] {
        entries.extend((0..4).map(|number| (format!("set/{class}/{number}.jpg"), &image[..])));
    }
    for stray in [
        "set/.ipynb_checkpoints/0-checkpoint.jpg",
        "set/@eaDir/0.jpg/thumb.jpg",
        "set/cat/._0.jpg",
        "set/lost+found/1.jpg",
        "__MACOSX/set/cat/0.jpg",
        "set/.Trash-1000/files/gone.jpg",
    ] {
        entries.push((stray.into(), &image));
    }
    entries.push(("set/dog/photo.heic".into(), b"x"));
    entries.push(("set/dog/noending".into(), &image));
    entries.push(("set/cat/notes.txt".into(), b"words"));
    for (name, bytes) in &entries {
        place.write(&format!("strewn/{name}"), bytes);
    }
    let entries: Vec<(&str, &[u8])> = entries.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    place.write("strewn.zip", zip_of(&entries));
    place.write("strewn.tar", tar_of(&entries));
    // Windows' tools separate by backslashes, and the list lies in the folder that all lies in.
    let rows: Vec<String> = (0..4).map(|n| format!("[\"00000\\\\{n}.jpg\", {}]", n % 2)).collect();
    let list = format!("\u{feff}{{\"labels\": [{}]}}", rows.join(", "));
    let names: Vec<String> = (0..4).map(|n| format!("set~00000~{n}.jpg")).collect();
    let mut windows: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &image[..])).collect();
    windows.push(("set~dataset.json", list.as_bytes()));
    let mut windows = zip_of(&windows);
    for at in 0..windows.len() - 6 {
        if [&b"set~"[..], b"00000~"].iter().any(|folder| windows[at..].starts_with(folder)) {
            let separator = at + if windows[at] == b's' { 3 } else { 5 };
            windows[separator] = b'\\';
        }
    }
    place.write("windows.zip", windows);
    // A backup among pictures, a preview among shards.
    for number in 0..4 {
        place.write(&format!("backed-up/{number}.jpg"), &image);
        let classes = [("1.jpg", &image[..]), ("1.cls", "\u{feff} 1\n".as_bytes()), ("._1.cls", &b"\0\x05"[..])];
        place.write(&format!("shards/s-{number}.tar"), tar_of(&classes));
    }
    place.write("backed-up/backup.tar", tar_of(&[("1.jpg", &image), ("2.jpg", &image)]));
    place.write("shards/README.jpg", &image);
}

#[test]
fn every_command_finds_the_same_data() {
    let place = Place::new();
    strewn(&place);
    let strays: &[&str] = &["1 file ending in .heic", "noending is a JPEG file by its content"];
    let tree = |path, kind| Case { path, kind, images: 8, classes: &["cat", "dog"], passed: strays };
    for case in [
        tree("strewn", "folder"),
        tree("strewn.zip", "zip"),
        tree("strewn.tar", "tar"),
        Case { path: "windows.zip", kind: "zip", images: 4, classes: &["0", "1"], passed: &[] },
        Case { path: "backed-up", kind: "folder", images: 4, classes: &[], passed: &["backup.tar"] },
        Case {
            path: "shards",
            kind: "tar",
            images: 4,
            classes: &["0", "1"],
            passed: &["1 image beside the tar files"],
        },
    ] {
        let Case { path, kind, images, classes, passed } = case;
        let report = place.inspect(path);
        let named: Vec<&str> =
            report["classes"].as_array().unwrap().iter().map(|class| class["name"].as_str().unwrap()).collect();
        assert_eq!((report["images"].as_u64(), &named[..]), (Some(images), classes), "{path}: {report:#}");
        assert!(report["source"].as_str().unwrap().starts_with(kind), "{report:#}");
        let lines = report["passed_over"].to_string();
        assert!(passed.iter().all(|line| lines.contains(line)), "{path}: {lines}");
        let config = place.config_over(&format!("kind = \"{kind}\"\npath = \"{path}\"\nimage_size = 32"));
        let prepared = place.tandem(&["data", "prepare", &config, "--json"]).assert().success();
        let told = String::from_utf8_lossy(&prepared.get_output().stderr).into_owned();
        let value: Value = serde_json::from_slice(&prepared.get_output().stdout).unwrap();
        assert_eq!(value["images"].as_u64(), Some(images), "{path}");
        assert!(passed.iter().all(|line| told.contains(line)), "{path}: {told}");
        assert_eq!(place.inspect(value["path"].as_str().unwrap())["images"].as_u64(), Some(images));
        let cached = place.inspect(value["path"].as_str().unwrap());
        assert_eq!(cached["classes"], report["classes"], "{path}: what is trained on");
        let run = format!("run-{path}");
        let train = ["train", &config, "--out", &run, "--set", "data.use_cache=false", "--set", "steps=1"];
        let train = place.tandem(&train).assert().success();
        let told = String::from_utf8_lossy(&train.get_output().stderr).into_owned();
        assert!(passed.iter().all(|line| told.contains(line)), "{path}: {told}");
        let extractor = root().join("tests/extractors/means.pt").to_str().unwrap().to_owned();
        let eval = ["eval", &run, "--samples", "8", "--metrics", "fid", "--extractor", &extractor, "--json"];
        let eval = place.tandem(&eval).assert().success();
        let told = String::from_utf8_lossy(&eval.get_output().stderr).into_owned();
        assert!(passed.iter().all(|line| told.contains(line)), "{path}: {told}");
        let value: Value = serde_json::from_slice(&eval.get_output().stdout).unwrap();
        assert_eq!(value["record"]["real_count"].as_u64(), Some(images), "{path}: {value:#}");
    }
}

#[test]
fn what_is_not_whole_is_never_taken_for_something_else() {
    let place = Place::new();
    let records: Vec<u8> = (0..10_u8).flat_map(|label| std::iter::once(label).chain(vec![0; 3072])).collect();
    for file in ["data_batch_1", "data_batch_2", "data_batch_4", "data_batch_5", "test_batch"] {
        place.write(&format!("cifar/{file}.bin"), &records);
    }
    place.write("test-only/test_batch.bin", &records);
    place.write("mnist/train-images-idx3-ubyte", b"");
    place.write("mnist/t10k-images-idx3-ubyte", b"");
    place.write("mnist/t10k-labels-idx1-ubyte", b"");
    let image = jpeg(1);
    for number in 0..3 {
        place.write(&format!("mixed/s-{number}.tar"), tar_of(&[("1.jpg", &image)]));
        place.write(&format!("mixed/{number}.jpg"), &image);
    }
    let whole = tar_of(&[("1.jpg", &image), ("2.jpg", &image)]);
    let entry = (512 + image.len()).next_multiple_of(512);
    place.write("cut.tar", &whole[..entry]);
    place.write("two.tar", [&whole[..], &tar_of(&[("3.jpg", &image)])].concat());
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&whole).unwrap();
    let packed = packed.finish().unwrap();
    place.write("packed.tar.gz", &packed);
    place.write("packed.tar", &packed);
    place.write("twice.tar", tar_of(&[("1.jpg", &image), ("1.jpg", &image)]));
    place.write("list/dataset.json", "{\"labels\": [[\"1.jpg\", [0, 1]]]}");
    place.write("list/1.jpg", &image);
    let pipe = place.text("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::create_dir(place.path("lmdb")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(place.path("lmdb/data.mdb")).status().unwrap().success());
    std::os::unix::fs::symlink("/nowhere", place.path("dangling")).unwrap();
    for (path, why) in [
        ("cifar", "without `data_batch_3.bin`; fetch that file again"),
        ("test-only", "without `data_batch_1.bin`"),
        ("mnist", "train-labels-idx1-ubyte"),
        ("mixed", "3 tar files, the first of them"),
        ("cut.tar", "the two empty blocks that end a tar file are missing"),
        ("packed.tar.gz", "a tar file compressed by gzip is not read"),
        ("packed.tar", "(`gunzip`)"),
        ("twice.tar", "entry 1.jpg stands in it twice"),
        ("list", "row 0 of `labels` has a list of 2 numbers as its label"),
        ("pipe", "it is a pipe; expected a file"),
        ("lmdb", "it is a pipe; expected a file"),
        ("dangling", "it is a link to /nowhere, which is not there"),
    ] {
        let mut inspect = place.tandem(&["data", "inspect", path]);
        inspect.timeout(std::time::Duration::from_mins(1)).assert().code(1).stderr(contains(why));
    }
    assert_eq!(place.inspect("two.tar")["images"], 3);
    // Where its kind is named, each is as wrong for training.
    for (kind, path, why) in [
        ("tar", "cut.tar", "two empty blocks"),
        ("tar", "packed.tar.gz", "compressed by gzip"),
        ("lmdb", "lmdb", "it is a pipe; expected a file"),
        ("cache", "pipe", "it is a pipe; expected a file"),
        ("folder", "list", "a list of 2 numbers"),
    ] {
        let config = place.config_over(&format!("kind = \"{kind}\"\npath = \"{path}\"\nimage_size = 32"));
        let mut train = place.tandem(&["train", &config, "--out", "run"]);
        train.timeout(std::time::Duration::from_mins(1)).assert().failure().stderr(contains(why));
    }
}

#[test]
fn shards_beyond_the_files_that_may_be_open_are_read() {
    let place = Place::new();
    let shard = tar_of(&[("1.jpg", &jpeg(1)), ("1.cls", b"1")]);
    for number in 0..100 {
        place.write(&format!("shards/s-{number:03}.tar"), &shard);
    }
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" data inspect shards --all --json"]).arg(binary());
    let output = command.current_dir(place.path("")).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["images"].as_u64(), report["bad"].as_array().unwrap().len()), (Some(100), 0), "{report:#}");
}
