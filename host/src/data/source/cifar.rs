//! CIFAR-10 and CIFAR-100 in their binary form: records of one or two label bytes and three planes of 32x32.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Content, Labels, Opened, Samples, Split};
use crate::{data::DataError, text::Show as _};

const SIDE: usize = 32;
const AREA: usize = SIDE * SIDE;

/// What tells the two apart.
pub(super) struct Form {
    /// Bytes before the pixels; the last of them is the label.
    label_bytes: usize,
    classes: u8,
    train: &'static [&'static str],
    test: &'static [&'static str],
    /// The file that names the classes, one a line.
    names: &'static str,
    /// The folder that the published archive unpacks to.
    folder: &'static str,
}

pub(super) const TEN: Form = Form {
    label_bytes: 1,
    classes: 10,
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: &["test_batch.bin"],
    names: "batches.meta.txt",
    folder: "cifar-10-batches-bin",
};

/// A coarse label stands before the fine one.
pub(super) const HUNDRED: Form = Form {
    label_bytes: 2,
    classes: 100,
    train: &["train.bin"],
    test: &["test.bin"],
    names: "fine_label_names.txt",
    folder: "cifar-100-binary",
};

/// The files of a split in a folder or in the published archive's folder there; a file is itself.
pub(super) fn files(path: &Path, split: Split, form: &Form) -> Result<Vec<PathBuf>, DataError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let names = if split == Split::Test { form.test } else { form.train };
    let inner = path.join(form.folder);
    let folder = if inner.is_dir() { &inner } else { path };
    let files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    match files.iter().find(|file| !file.exists()) {
        Some(missing) => Err(DataError::Missing {
            path: path.to_owned(),
            what: if form.classes == 10 { "CIFAR-10" } else { "CIFAR-100" },
            expected: missing.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }),
        None => Ok(files),
    }
}

struct Cifar {
    /// Each file with its bytes.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// Where each image begins: file and byte of its pixels.
    places: Vec<(usize, usize)>,
}

pub(super) fn open(files: &[PathBuf], form: &Form) -> Result<Opened, DataError> {
    let record = form.label_bytes + 3 * AREA;
    let mut cifar = Cifar { files: Vec::new(), places: Vec::new() };
    let mut labels = Labels::default();
    for (i, path) in files.iter().enumerate() {
        let bytes = fs::read(path).map_err(|source| DataError::Read { path: path.clone(), source })?;
        let wrong = |what| Err(DataError::Malformed { path: path.clone(), what });
        if bytes.is_empty() {
            return wrong("the file is empty".into());
        }
        if bytes.len() % record != 0 {
            let (row, end) = (bytes.len() / record, (bytes.len() / record + 1) * record);
            return wrong(format!(
                "truncated: row {row} of {record} bytes ends at byte {end}, the file at {}; fetch the file again",
                bytes.len()
            ));
        }
        for start in (0..bytes.len()).step_by(record) {
            let label = bytes[start + form.label_bytes - 1];
            if label >= form.classes {
                let (row, at, most) = (start / record, start + form.label_bytes - 1, form.classes - 1);
                return wrong(format!(
                    "row {row}, byte {at}: label {label}, expected at most {most}; is it a file of this data set?"
                ));
            }
            labels.of.push(label.into());
            cifar.places.push((i, start + form.label_bytes));
        }
        cifar.files.push((path.clone(), bytes));
    }
    labels.names = names(files, form);
    Ok(Opened { samples: Box::new(cifar), labels })
}

/// The classes' names where the file that has them lies there and is whole.
fn names(files: &[PathBuf], form: &Form) -> Vec<String> {
    let file = files.first().and_then(|f| f.parent()).map(|folder| folder.join(form.names));
    let text = file.and_then(|f| fs::read_to_string(f).ok()).unwrap_or_default();
    let names: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if names.len() == usize::from(form.classes) { names } else { Vec::new() }
}

impl Samples for Cifar {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn name(&self, index: usize) -> String {
        let (file, byte) = self.places[index];
        format!("{}, byte {byte}", self.files[file].0.shown())
    }

    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
        let (file, start) = self.places[index];
        let planes = &self.files[file].1[start..start + 3 * AREA];
        buffer.clear();
        buffer.extend((0..AREA).flat_map(|i| [planes[i], planes[AREA + i], planes[2 * AREA + i]]));
        Ok(Content::Raw { width: SIDE, height: SIDE, channels: 3 })
    }
}
