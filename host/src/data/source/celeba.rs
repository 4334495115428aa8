//! `CelebA`: the aligned photographs `img_align_celeba` with `list_attr_celeba.txt` and `list_eval_partition.txt`.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use super::{Labels, Opened, Split, folder::Files, is_image};
use crate::{data::DataError, text::Show as _};

const IMAGES: &str = "img_align_celeba";
const ATTRIBUTES: &str = "list_attr_celeba.txt";
const PARTITION: &str = "list_eval_partition.txt";

/// The lists that are needed, then the images in the order of their names. They may lie in `Img`, `Anno` and `Eval`, as published.
pub(super) fn files(root: &Path, attributes: bool, partition: bool) -> Result<Vec<PathBuf>, DataError> {
    let find = |inner: &str, name: &str| {
        let places = [root.join(name), root.join(inner).join(name), root.join("celeba").join(name)];
        places.into_iter().find(|p| p.exists()).ok_or_else(|| DataError::Missing {
            path: root.to_owned(),
            what: "CelebA",
            expected: name.to_owned(),
        })
    };
    let mut files = Vec::new();
    if attributes {
        files.push(find("Anno", ATTRIBUTES)?);
    }
    if partition {
        files.push(find("Eval", PARTITION)?);
    }
    let folder = find("Img", IMAGES)?;
    // Some archives hold a folder of the same name in it.
    let folder = Some(folder.join(IMAGES)).filter(|inner| inner.is_dir()).unwrap_or(folder);
    let failed = |source| DataError::Read { path: folder.clone(), source };
    let mut images = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if is_image(&entry.file_name().to_string_lossy()) {
            images.push(entry.path());
        }
    }
    if images.is_empty() {
        return Err(DataError::NoImages { path: folder });
    }
    images.sort();
    files.extend(images);
    Ok(files)
}

pub(super) fn open(
    root: &Path,
    files: &[PathBuf],
    attribute: Option<&str>,
    split: Option<Split>,
) -> Result<Opened, DataError> {
    let lists = usize::from(attribute.is_some()) + usize::from(split.is_some());
    let (lists, images) = files.split_at(lists);
    let mut images = images.to_vec();
    if let (Some(split), Some(file)) = (split, lists.last()) {
        let of = partition(file)?;
        let wanted = match split {
            Split::Train => 0,
            Split::Valid => 1,
            Split::Test => 2,
        };
        if let Some(image) = images.iter().find(|image| !of.contains_key(&name(image))) {
            let without = images.iter().filter(|image| !of.contains_key(&name(image))).count();
            let (image, all) = (image.shown(), images.len());
            let what = format!(
                "{without} of the {all} images have no row in it, the first of them {image}; fetch the list again"
            );
            return Err(DataError::Malformed { path: file.clone(), what });
        }
        images.retain(|image| of.get(&name(image)) == Some(&wanted));
        if images.is_empty() {
            return Err(DataError::NoImages { path: root.to_owned() });
        }
    }
    let labels = match (attribute, lists.first()) {
        (Some(attribute), Some(file)) => labels(file, attribute, &images)?,
        _ => Labels::default(),
    };
    Ok(Opened { samples: Box::new(Files(images)), labels })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(file: &Path) -> Result<String, DataError> {
    fs::read_to_string(file).map_err(|source| DataError::Read { path: file.to_owned(), source })
}

/// Each file's part: 0 train, 1 valid, 2 test.
fn partition(file: &Path) -> Result<HashMap<String, u8>, DataError> {
    let text = read(file)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            let mut words = line.split_whitespace();
            let part = |word: &str| word.parse().ok().filter(|part| *part < 3);
            let (Some(name), Some(part)) = (words.next(), words.next().and_then(part)) else {
                let what = format!("row {}: found {line:?}, expected a file's name and 0, 1 or 2", i + 1);
                return Err(DataError::Malformed { path: file.to_owned(), what });
            };
            Ok((name.to_owned(), part))
        })
        .collect()
}

/// A count, a row of the attributes' names, then rows of a file's name and -1 or 1 for each.
fn labels(file: &Path, attribute: &str, images: &[PathBuf]) -> Result<Labels, DataError> {
    let wrong = |what: String| DataError::Malformed { path: file.to_owned(), what };
    let text = read(file)?;
    let mut lines = text.lines().enumerate();
    let said = lines.next().and_then(|(_, line)| line.trim().parse::<usize>().ok());
    let said = said.ok_or_else(|| wrong("row 1: expected the number of images".into()))?;
    let names: Vec<&str> = lines.next().map_or_else(Vec::new, |(_, line)| line.split_whitespace().collect());
    let column = names.iter().position(|name| *name == attribute).ok_or_else(|| {
        wrong(format!("row 2: no attribute `{attribute}` (data.attribute); there are {}", names.join(", ")))
    })?;
    let mut by_name = HashMap::with_capacity(said);
    for (i, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.len() != names.len() + 1 {
            let (found, expected) = (words.len().saturating_sub(1), names.len());
            return Err(wrong(format!("row {}: {found} attributes, expected {expected}", i + 1)));
        }
        let label = match words[column + 1] {
            "1" => 1,
            "-1" | "0" => 0,
            other => return Err(wrong(format!("row {}: {attribute} is {other}, expected 1 or -1", i + 1))),
        };
        by_name.insert(words[0], label);
    }
    if by_name.len() != said {
        return Err(wrong(format!("row 1 promises {said} rows of images, found {}", by_name.len())));
    }
    let mut of = Vec::with_capacity(images.len());
    for image in images {
        let label = by_name.get(name(image).as_str()).copied();
        of.push(label.ok_or_else(|| wrong(format!("{} has no row in it; fetch the list again", image.shown())))?);
    }
    Ok(Labels { of, names: vec![format!("not {attribute}"), attribute.to_owned()], why_none: None })
}
