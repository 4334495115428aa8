//! CIFAR-10 and CIFAR-100 in both of their forms: binary, records of one or two label bytes and three planes of 32x32; and
//! Python's, pickles of an array of such planes and a list of labels.

use std::path::{Path, PathBuf};

use super::{Content, Labels, Opened, Samples, Split, file, pickle::Pickle};
use crate::{data::DataError, text::Show as _};

const SIDE: usize = 32;
const AREA: usize = SIDE * SIDE;

/// What tells the two apart.
pub(super) struct Form {
    name: &'static str,
    /// Bytes before the pixels; the last of them is the label.
    label_bytes: usize,
    classes: u8,
    binary: Files,
    python: Files,
    /// The labels in the Python form.
    labels_key: &'static str,
}

/// The files of one form of the set.
struct Files {
    train: &'static [&'static str],
    test: &'static str,
    /// The file that names the classes: one a line, or a pickle.
    names: &'static str,
    /// The names' key in that pickle.
    names_key: &'static str,
    /// The folder that the published archive unpacks to.
    folder: &'static str,
}

pub(super) const TEN: Form = Form {
    name: "CIFAR-10",
    label_bytes: 1,
    classes: 10,
    binary: Files {
        train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
        test: "test_batch.bin",
        names: "batches.meta.txt",
        names_key: "",
        folder: "cifar-10-batches-bin",
    },
    python: Files {
        train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        test: "test_batch",
        names: "batches.meta",
        names_key: "label_names",
        folder: "cifar-10-batches-py",
    },
    labels_key: "labels",
};

/// A coarse label stands before the fine one.
pub(super) const HUNDRED: Form = Form {
    name: "CIFAR-100",
    label_bytes: 2,
    classes: 100,
    binary: Files {
        train: &["train.bin"],
        test: "test.bin",
        names: "fine_label_names.txt",
        names_key: "",
        folder: "cifar-100-binary",
    },
    python: Files {
        train: &["train"],
        test: "test",
        names: "meta",
        names_key: "fine_label_names",
        folder: "cifar-100-python",
    },
    labels_key: "fine_labels",
};

impl Files {
    fn of(&self, split: Split) -> &[&'static str] {
        if split == Split::Test { std::slice::from_ref(&self.test) } else { self.train }
    }

    /// Where files of this form lie: the folder, or the published archive's folder in it.
    fn folder(&self, path: &Path) -> Option<PathBuf> {
        let holds = |folder: &PathBuf| self.train.iter().chain([&self.test]).any(|name| is_batch(&folder.join(name)));
        [path.join(self.folder), path.to_owned()].into_iter().find(holds)
    }
}

/// Whether a batch lies there. CIFAR-100's names are anybody's: `train` and `test` must be pickles, `train.bin` and `test.bin`
/// consist of records or lie beside the list of its classes.
fn is_batch(path: &Path) -> bool {
    let is_of = |files: &Files| files.train.iter().chain([&files.test]).any(|name| path.ends_with(name));
    let of_records = || path.metadata().is_ok_and(|facts| facts.len() > 0 && facts.len() % RECORD_OF_HUNDRED == 0);
    if !path.is_file() {
        false
    } else if is_of(&HUNDRED.python) {
        file::start(path) == Some([PROTOCOL])
    } else if is_of(&HUNDRED.binary) {
        of_records() || path.with_file_name(HUNDRED.binary.names).is_file()
    } else {
        true
    }
}

/// Bytes of an image of CIFAR-100 with its labels.
const RECORD_OF_HUNDRED: u64 = (2 + 3 * AREA) as u64;

/// What every pickle of these begins with.
const PROTOCOL: u8 = 0x80;

/// The files of a split in a folder or in the published archive's folder there; a file is itself.
pub(super) fn files(path: &Path, split: Split, form: &Form) -> Result<Vec<PathBuf>, DataError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let missing = |expected: String| DataError::Missing { path: path.to_owned(), what: form.name, expected };
    let there = [&form.binary, &form.python].into_iter().find_map(|files| Some((files, files.folder(path)?)));
    let Some((files, folder)) = there else {
        let first = |files: &Files| files.of(split)[0];
        return Err(missing(format!("{}` or `{}", first(&form.binary), first(&form.python))));
    };
    let files: Vec<PathBuf> = files.of(split).iter().map(|name| folder.join(name)).collect();
    match files.iter().find(|file| !file.exists()) {
        Some(gone) => Err(missing(gone.strip_prefix(path).unwrap_or(gone).to_string_lossy().into_owned())),
        None => Ok(files),
    }
}

/// Which split of the set lies in a folder, if any: the one to train on. A set that lacks a file is an error, and never taken for
/// the test set that lies beside it.
pub(super) fn split_in(path: &Path, form: &Form) -> Result<Option<Split>, DataError> {
    for part in [&form.binary, &form.python] {
        let Some(folder) = part.folder(path) else { continue };
        let whole = part.train.iter().find(|name| !folder.join(name).exists()).map_or(Ok(()), |gone| {
            let what = format!(
                "it holds {} without `{gone}`; fetch that file again. To take the test images alone, name {} in a config, or set \
                 data.split = \"test\"",
                form.name, part.test
            );
            Err(DataError::Malformed { path: folder.clone(), what })
        });
        return whole.map(|()| Some(Split::Train));
    }
    Ok(None)
}

struct Cifar {
    /// Each file with its bytes: records of a binary file, or the pixels of a pickle.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// Where each image begins: file, row, and byte of its pixels.
    places: Vec<(usize, usize, usize)>,
}

pub(super) fn open(files: &[PathBuf], form: &Form) -> Result<Opened, DataError> {
    let mut cifar = Cifar { files: Vec::new(), places: Vec::new() };
    let mut labels = Labels::default();
    for (i, path) in files.iter().enumerate() {
        let wrong = |what| DataError::Malformed { path: path.clone(), what };
        let mut bytes = file::bytes(path)?;
        // A binary file begins with a label.
        let (first, record, of) = if bytes.first() == Some(&PROTOCOL) {
            let (pixels, of) = unpickled(&bytes, form).map_err(|why| {
                wrong(format!("{why}; fetch the file again, or give the binary version of {}", form.name))
            })?;
            bytes = pixels;
            (0, 3 * AREA, of)
        } else {
            let record = form.label_bytes + 3 * AREA;
            (form.label_bytes, record, records(&bytes, record, form).map_err(wrong)?)
        };
        cifar.places.extend((0..of.len()).map(|row| (i, row, row * record + first)));
        labels.of.extend(of);
        cifar.files.push((path.clone(), bytes));
    }
    labels.names = names(files, form);
    Ok(Opened { samples: Box::new(cifar), labels })
}

/// The labels of a binary file's records.
fn records(bytes: &[u8], record: usize, form: &Form) -> Result<Vec<u16>, String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    if !bytes.len().is_multiple_of(record) {
        let (row, end) = (bytes.len() / record, (bytes.len() / record + 1) * record);
        return Err(format!(
            "truncated: row {row} of {record} bytes ends at byte {end}, the file at {}; fetch the file again",
            bytes.len()
        ));
    }
    let label = |(row, record): (usize, &[u8])| {
        let label = record[form.label_bytes - 1];
        if label < form.classes {
            return Ok(label.into());
        }
        let (at, most) = (row * record.len() + form.label_bytes - 1, form.classes - 1);
        Err(format!("row {row}, byte {at}: label {label}, expected at most {most}; is it a file of this data set?"))
    };
    bytes.chunks_exact(record).enumerate().map(label).collect()
}

/// The pixels and labels of a pickle.
fn unpickled(bytes: &[u8], form: &Form) -> Result<(Vec<u8>, Vec<u16>), String> {
    let pickle = Pickle::read(bytes)?;
    let (sizes, pixels) = pickle.array("data")?;
    let numbers = pickle.numbers(form.labels_key)?;
    let rows = numbers.len();
    if rows == 0 || *sizes != [rows, 3 * AREA] {
        return Err(format!(
            "its `data` is of the sizes {sizes:?}, expected {:?} for its {rows} labels",
            [rows, 3 * AREA]
        ));
    }
    let label = |(row, number): (usize, &i64)| {
        let label = u16::try_from(*number).ok().filter(|&label| label < form.classes.into());
        label.ok_or_else(|| format!("row {row}: label {number}, expected at most {}", form.classes - 1))
    };
    Ok((pixels.to_vec(), numbers.iter().enumerate().map(label).collect::<Result<_, _>>()?))
}

/// The classes' names where the file that has them lies there and is whole.
fn names(files: &[PathBuf], form: &Form) -> Vec<String> {
    let beside = |name| files.first()?.parent().map(|folder: &Path| folder.join(name));
    let lines = |file: PathBuf| {
        let text = file::text(&file).ok()?;
        Some(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect())
    };
    let pickled = |file: PathBuf| Pickle::read(&file::bytes(&file).ok()?).ok()?.words(form.python.names_key).ok();
    let names: Option<Vec<String>> =
        beside(form.binary.names).and_then(lines).or_else(|| beside(form.python.names).and_then(pickled));
    names.filter(|names| names.len() == usize::from(form.classes)).unwrap_or_default()
}

impl Samples for Cifar {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn name(&self, index: usize) -> String {
        let (file, row, _) = self.places[index];
        format!("{}, row {row}", self.files[file].0.shown())
    }

    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
        let (file, _, start) = self.places[index];
        let planes = &self.files[file].1[start..start + 3 * AREA];
        buffer.clear();
        buffer.extend((0..AREA).flat_map(|i| [planes[i], planes[AREA + i], planes[2 * AREA + i]]));
        Ok(Content::Raw { width: SIDE, height: SIDE, channels: 3 })
    }
}
