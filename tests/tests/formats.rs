//! Data sets as people have them: pictures of other formats and under other names, lists from other programs, and the
//! folders that torchvision, Kaggle and LSUN's scripts leave.
#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

use std::{
    fs,
    io::{Read as _, Write as _},
};

use image::{DynamicImage, ImageFormat};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;
use tandem_tests::{encoded, photograph, place::Place, root};

/// Data sets of a place.
trait DataSets {
    /// What `inspect` finds when it looks at everything: images and classes; nothing may be bad.
    fn counted(&self, path: &str) -> (u64, usize);
    /// `inspect` fails, and says all of this.
    fn refused(&self, path: &str, words: &[&str]);
    /// `prepare` of these data; how many images it takes.
    fn prepare(&self, data: &str) -> u64;
}

impl DataSets for Place {
    fn counted(&self, path: &str) -> (u64, usize) {
        let report = self.inspect(path);
        assert_eq!(report["bad"].as_array().unwrap().len(), 0, "{path}: {report:#}");
        (report["images"].as_u64().unwrap(), report["classes"].as_array().unwrap().len())
    }

    fn refused(&self, path: &str, words: &[&str]) {
        let output = self.tandem(&["data", "inspect", path]).assert().code(1);
        let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        for word in words {
            assert!(said.contains(word), "{path}: `{word}` is not in: {said}");
        }
    }

    fn prepare(&self, data: &str) -> u64 {
        let text = format!("plugin = \"dcgan\"\nsteps = 1\nbatch_size = 2\n[data]\n{data}\nimage_size = 32\n");
        self.write("config.toml", text);
        let output = self.tandem(&["data", "prepare", "config.toml", "--json"]).assert().success();
        let said: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        said["images"].as_u64().unwrap()
    }
}

#[test]
fn pictures_of_other_formats_are_read_whatever_they_are_called() {
    let place = Place::new();
    for (i, (name, format)) in [
        ("a.bmp", ImageFormat::Bmp),
        ("b.tif", ImageFormat::Tiff),
        ("c.TIFF", ImageFormat::Tiff),
        ("d.jfif", ImageFormat::Jpeg),
        ("e.jpe", ImageFormat::Jpeg),
        ("f.gif", ImageFormat::Gif),
        ("g.ppm", ImageFormat::Pnm),
        ("h.tga", ImageFormat::Tga),
        ("i.qoi", ImageFormat::Qoi),
        ("j.ico", ImageFormat::Ico),
        // By another's name.
        ("k.jpg", ImageFormat::Png),
        ("l.png", ImageFormat::Gif),
        ("m.webp", ImageFormat::Jpeg),
    ]
    .into_iter()
    .enumerate()
    {
        let picture = photograph(i as u32);
        // An icon's PNG has an alpha channel.
        let bytes = if format == ImageFormat::Ico {
            encoded(DynamicImage::from(picture).to_rgba8(), format)
        } else {
            encoded(picture, format)
        };
        place.write(&format!("d/{name}"), bytes);
    }
    let report = place.inspect("d");
    assert_eq!((report["images"].as_u64(), report["bad"].as_array().unwrap().len()), (Some(13), 0), "{report:#}");
    let formats = report["formats"].to_string();
    for format in ["BMP", "TIFF", "JPEG", "GIF", "PNM", "TGA", "QOI", "ICO", "PNG"] {
        assert!(formats.contains(format), "{formats}");
    }
    assert_eq!(place.prepare("kind = \"folder\"\npath = \"d\""), 13);
    // What no decoder reads says what to do with it.
    place.write("e/a.png", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1");
    place.write("e/b.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    place.write("e/c.jpg", b"<!DOCTYPE html><html>404</html>");
    let bad = place.inspect("e")["bad"].to_string();
    for why in [
        "a file of the format AVIF, which is not read; convert it to PNG or JPEG",
        "a file of the format HEIC, which is not read; convert it to PNG or JPEG",
        "a web page, and no picture; fetch the file again",
    ] {
        assert!(bad.contains(why), "{bad}");
    }
}

#[test]
fn what_a_telephone_appends_to_a_jpeg_is_no_part_of_it() {
    let place = Place::new();
    let whole = encoded(photograph(1), ImageFormat::Jpeg);
    let film = &b"\0\0\0\x18ftypmp42 a film, then a telephone's trailer SEFH\x01\0\0\0SEFT".repeat(50)[..];
    place.write("d/motion.jpg", [&whole[..], film].concat());
    place.write("d/padded.jpg", [&whole[..], &[0; 5000]].concat());
    place.write("d/second.jpg", [&whole[..], &whole[..whole.len() / 2]].concat());
    assert_eq!(place.counted("d").0, 3);
    place.write("d/cut.jpg", [&whole[..whole.len() - 60], &whole[..]].concat());
    place.write("d/cut-film.jpg", [&whole[..whole.len() - 40], film, b"\xff\xd9"].concat());
    let bad = place.inspect("d")["bad"].as_array().unwrap().clone();
    assert_eq!(bad.len(), 2, "{bad:?}");
    assert!(bad.iter().all(|bad| bad["why"].as_str().unwrap().starts_with("truncated: ")), "{bad:?}");
}

/// A pickle as CIFAR's authors wrote them, of protocol 2: `data` of these rows, and labels.
fn pickled(labels: &[u8], rows: &[[u8; 3072]], key: &str) -> Vec<u8> {
    let word = |word: &str| [&[b'U', word.len() as u8], word.as_bytes()].concat();
    let global = |module: &str, name: &str| format!("c{module}\n{name}\n").into_bytes();
    let mut bytes = b"\x80\x02}q\x01(".to_vec();
    bytes.extend([word("batch_label"), word("training batch 1 of 5")].concat());
    bytes.extend([word(key), b"]q\x05(".to_vec()].concat());
    for &label in labels {
        bytes.extend([b'K', label]);
    }
    bytes.push(b'e');
    bytes.extend([word("data"), global("numpy.core.multiarray", "_reconstruct"), global("numpy", "ndarray")].concat());
    bytes.extend([b"K\0\x85".to_vec(), word("b"), b"\x87R(K\x01".to_vec()].concat());
    bytes.extend([&[b'K', rows.len() as u8, b'M'][..], &3072_u16.to_le_bytes(), b"\x86"].concat());
    bytes.extend([global("numpy", "dtype"), word("u1"), b"K\0K\x01\x87R(K\x03".to_vec(), word("|")].concat());
    bytes.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T");
    bytes.extend((rows.len() as u32 * 3072).to_le_bytes());
    bytes.extend(rows.concat());
    bytes.extend([b"tb".to_vec(), word("filenames"), b"]".to_vec(), b"u.".to_vec()].concat());
    bytes
}

#[test]
fn cifar_is_read_in_both_forms_and_a_missing_batch_is_named() {
    let place = Place::new();
    let row = |n: u8| -> [u8; 3072] { std::array::from_fn(|i| (i / 16) as u8 ^ n) };
    for batch in 1..=5_u8 {
        let labels = [2 * batch - 2, 2 * batch - 1];
        let rows = labels.map(row);
        let records: Vec<u8> = labels.iter().zip(&rows).flat_map(|(&l, r)| [&[l][..], r].concat()).collect();
        place.write(&format!("bin/cifar-10-batches-bin/data_batch_{batch}.bin"), records);
        place.write(&format!("py/cifar-10-batches-py/data_batch_{batch}"), pickled(&labels, &rows, "labels"));
    }
    place.write("bin/cifar-10-batches-bin/test_batch.bin", [&[7][..], &row(7)].concat());
    place.write("py/cifar-10-batches-py/test_batch", pickled(&[7], &[row(7)], "labels"));
    // The names as an editor of Windows saves them.
    let names: Vec<String> = (0..10).map(|n| format!("thing-{n}")).collect();
    place.write("bin/cifar-10-batches-bin/batches.meta.txt", format!("\u{feff}{}\r\n", names.join("\r\n")));
    let quoted = names.iter().fold(String::new(), |text, name| text + &format!("S'{name}'\na"));
    place.write("py/cifar-10-batches-py/batches.meta", format!("(dp1\nS'label_names'\n(l{quoted}s."));
    for form in ["bin", "py", "py/cifar-10-batches-py"] {
        assert_eq!(place.counted(form), (10, 10), "{form}");
        let report = place.inspect(form);
        assert_eq!(report["classes"][0]["name"], "thing-0", "{form}");
        assert_eq!(report["classes"][9]["name"], "thing-9", "{form}");
        assert!(report["source"].as_str().unwrap().ends_with("(train)"), "{form}");
    }
    let pixels = |data: &str| {
        place.write(
            "c.toml",
            format!("plugin = \"dcgan\"\nsteps = 1\n[data]\nkind = \"cifar10\"\n{data}\nimage_size = 32\n"),
        );
        let output = place.tandem(&["data", "prepare", "c.toml", "--json"]).assert().success();
        let said: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        let cache = fs::read(said["path"].as_str().unwrap()).unwrap();
        cache[4096..4096 + said["images"].as_u64().unwrap() as usize * 3072].to_vec()
    };
    assert!(pixels("path = \"bin\"") == pixels("path = \"py\""), "both forms are the same images");
    assert_eq!(pixels("path = \"py\"\nsplit = \"test\""), row(7));

    for (form, gone) in [("bin/cifar-10-batches-bin", "data_batch_3.bin"), ("py/cifar-10-batches-py", "data_batch_3")] {
        fs::remove_file(place.path(form).join(gone)).unwrap();
        place.refused(form, &["CIFAR-10", gone]);
        place.refused(form.split('/').next().unwrap(), &["CIFAR-10", gone]);
    }
    // A folder without any batch to train on is the test set where that is asked for, and never by itself.
    place.write("test/test_batch", pickled(&[7], &[row(7)], "labels"));
    place.refused("test", &["CIFAR-10 without `data_batch_1`", "data.split = \"test\""]);
    assert_eq!(pixels("path = \"test\"\nsplit = \"test\""), row(7));

    // CIFAR-100, where names are anybody's.
    place.write("hundred/cifar-100-python/train", pickled(&[99], &[row(1)], "fine_labels"));
    place.write("hundred/cifar-100-python/test", pickled(&[3], &[row(1)], "fine_labels"));
    assert_eq!(place.counted("hundred"), (1, 100));
    place.write("photos/train/a.png", encoded(photograph(1), ImageFormat::Png));
    place.write("photos/test", "notes");
    assert_eq!(place.counted("photos"), (1, 1));

    // What is not read says what to give instead; nothing of it is run.
    let batches = |folder: &str, bytes: &[u8]| {
        for number in 1..=5 {
            place.write(&format!("{folder}/data_batch_{number}"), bytes);
        }
    };
    batches("evil", b"\x80\x02cos\nsystem\nU\x10touch /tmp/tandem\x85R.");
    place.refused(
        "evil",
        &["byte 2", "it names `os system`, which is never run", "give the binary version of CIFAR-10"],
    );
    let cut = pickled(&[7], &[row(7)], "labels");
    batches("cut", &cut[..1000]);
    place.refused("cut", &["truncated", "the file ends at 1000", "give the binary version of CIFAR-10"]);
}

/// An IDX file of `count` images of 28x28, or of labels.
fn idx(count: u8, images: bool) -> Vec<u8> {
    if images {
        [&[0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28][..], &vec![9; usize::from(count) * 784]].concat()
    } else {
        [&[0, 0, 8, 1, 0, 0, 0, count][..], &(0..count).map(|i| i % 10).collect::<Vec<u8>>()].concat()
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn mnist_is_found_where_torchvision_and_kaggle_leave_it() {
    let place = Place::new();
    // torchvision: the archives beside what they unpack to.
    for (file, bytes) in [("train-images-idx3-ubyte", idx(20, true)), ("train-labels-idx1-ubyte", idx(20, false))] {
        place.write(&format!("root/MNIST/raw/{file}"), &bytes);
        place.write(&format!("root/MNIST/raw/{file}.gz"), gzipped(&bytes));
        // Kaggle: dots for hyphens, and each file in a folder of its name.
        place.write(&format!("kaggle/{}", file.replace("-idx", ".idx")), &bytes);
        place.write(&format!("folders/{file}/{file}"), &bytes);
        // Several members, as pigz and cat make them, with the filling of a tape.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        place.write(&format!("members/{file}.gz"), [gzipped(first), gzipped(second), vec![0; 512]].concat());
    }
    for path in
        ["root", "root/MNIST", "root/MNIST/raw", "kaggle", "folders", "members", "kaggle/train-images.idx3-ubyte"]
    {
        assert_eq!(place.counted(path), (20, 10), "{path}");
    }
    // What follows the last member is ignored, and a word says so.
    let file = "members/train-images-idx3-ubyte.gz";
    let longer = [fs::read(place.path(file)).unwrap(), b"no gzip".to_vec()].concat();
    place.write(file, longer);
    place
        .tandem(&["data", "inspect", "members"])
        .assert()
        .success()
        .stderr(contains("what follows its gzip data is ignored").and(contains(file)));
    // A set to train on that is not whole is not the set to test on.
    for (file, bytes) in [("t10k-images-idx3-ubyte", idx(5, true)), ("t10k-labels-idx1-ubyte", idx(5, false))] {
        place.write(&format!("root/MNIST/raw/{file}"), bytes);
    }
    fs::remove_file(place.path("root/MNIST/raw/train-labels-idx1-ubyte")).unwrap();
    fs::remove_file(place.path("root/MNIST/raw/train-labels-idx1-ubyte.gz")).unwrap();
    place.refused("root", &["expected `train-labels-idx1-ubyte`"]);
    place.refused("root/MNIST/raw", &["expected `train-labels-idx1-ubyte`"]);
    // Several sets in one root.
    place.write("root/FashionMNIST/raw/train-images-idx3-ubyte", idx(5, true));
    place.refused("root", &["several data sets", "FashionMNIST/raw", "MNIST/raw", "name one of them as data.path"]);
    // QMNIST's labels are rows of numbers.
    place.write("q/QMNIST/raw/qmnist-train-images-idx3-ubyte", idx(3, true));
    let rows =
        [[7_u32, 0, 2422], [3, 0, 1], [9, 0, 5]].iter().flatten().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
    let labels = [&[0, 0, 12, 2, 0, 0, 0, 3, 0, 0, 0, 3][..], &rows].concat();
    place.write("q/QMNIST/raw/qmnist-train-labels-idx2-int.gz", gzipped(&labels));
    let report = place.inspect("q");
    assert_eq!((&report["images"], &report["classes"][9]["images"]), (&Value::from(3), &Value::from(1)), "{report:#}");
}

#[test]
fn lsuns_parent_folder_is_its_one_set_or_lists_them() {
    let place = Place::new();
    let mut lmdb = Vec::new();
    let packed = fs::File::open(root().join("tests/fixtures/lsun/data.mdb.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut lmdb).unwrap();
    place.write("lsun/church_outdoor_train_lmdb/data.mdb", &lmdb);
    place.write("lsun/church_outdoor_train_lmdb/lock.mdb", "");
    place.write("lsun/category_indices.txt", "church_outdoor 4\n");
    assert_eq!(place.counted("lsun").0, 6);
    assert_eq!(place.prepare("kind = \"lmdb\"\npath = \"lsun\""), 6);
    place.write("lsun/church_outdoor_val_lmdb/data.mdb", &lmdb);
    let both = ["church_outdoor_train_lmdb", "church_outdoor_val_lmdb", "name one of them as data.path"];
    place.refused("lsun", &both);
}

#[test]
fn celebas_lists_are_read_as_published_as_tables_and_with_a_mark_before_them() {
    let place = Place::new();
    for number in 1..=3 {
        let face = encoded(photograph(number), ImageFormat::Jpeg);
        for folder in
            ["kaggle/img_align_celeba/img_align_celeba", "celeba/img_align_celeba", "root/celeba/img_align_celeba"]
        {
            place.write(&format!("{folder}/{number:06}.jpg"), &face);
        }
    }
    let table = "image_id,Male,Young\r\n000001.jpg,-1,1\r\n000002.jpg,1,1\r\n000003.jpg,1,-1\r\n";
    place.write("kaggle/list_attr_celeba.csv", format!("\u{feff}{table}"));
    place.write("kaggle/list_eval_partition.csv", "image_id,partition\n000001.jpg,0\n000002.jpg,1\n000003.jpg,0\n");
    let list = "\u{feff}3\r\nMale Young \r\n000001.jpg -1  1\r\n000002.jpg  1  1\r\n000003.jpg  1 -1\r\n";
    place.write("celeba/list_attr_celeba.txt", list);
    // As PowerShell writes it.
    let wide: Vec<u8> = format!("\u{feff}{}", "000001.jpg 0\r\n000002.jpg 1\r\n000003.jpg 0\r\n")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    place.write("celeba/list_eval_partition.txt", wide);
    for path in ["kaggle", "celeba"] {
        assert_eq!(place.counted(path), (3, 0), "{path}");
        assert_eq!(place.prepare(&format!("kind = \"celeba\"\npath = \"{path}\"\nattribute = \"Male\"")), 3, "{path}");
        assert_eq!(place.prepare(&format!("kind = \"celeba\"\npath = \"{path}\"\nsplit = \"train\"")), 2, "{path}");
    }
    assert_eq!(place.counted("root"), (3, 0));
    let wrong = |list: &str, words: &[&str]| {
        place.write("kaggle/list_attr_celeba.csv", list);
        let data = "plugin = \"dcgan\"\nsteps = 1\n[data]\nkind = \"celeba\"\npath = \"kaggle\"\nattribute = \"Male\"\nimage_size = 32\n";
        place.write("config.toml", data);
        let said = place.tandem(&["data", "prepare", "config.toml"]).assert().code(1);
        let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
    };
    wrong(&table.replace("Male", "Old"), &["list_attr_celeba.csv: row 1: no attribute `Male`", "there are Old, Young"]);
    wrong(&table.replace("000002.jpg,1,1", "000002.jpg,1"), &["row 3: 1 attributes, expected 2"]);
    wrong(&table.replace("000002.jpg,1,1\r\n", ""), &["000002.jpg has no row in it"]);
    // The photographs, not unpacked.
    place.write("packed/img_align_celeba.zip", "PK");
    place.write(
        "config.toml",
        "plugin = \"dcgan\"\nsteps = 1\n[data]\nkind = \"celeba\"\npath = \"packed\"\nimage_size = 32\n",
    );
    let said = place.tandem(&["data", "prepare", "config.toml"]).assert().code(1);
    said.stderr(contains("img_align_celeba.zip").and(contains("unpack it")));
}
