//! `CelebA`: the aligned photographs `img_align_celeba` with the lists of their attributes and parts, as published
//! (`list_attr_celeba.txt`, `list_eval_partition.txt`) or as tables (`.csv`).

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use super::{Labels, Opened, Split, file, folder::Files, is_image};
use crate::{data::DataError, text::Show as _};

const IMAGES: &str = "img_align_celeba";
const ATTRIBUTES: &str = "list_attr_celeba";
const PARTITION: &str = "list_eval_partition";

/// Where one of these lies: in the folder, where it was published in (`Img`, `Anno`, `Eval`), or where torchvision puts it.
fn find(root: &Path, inner: &str, names: &[String]) -> Option<PathBuf> {
    let places = [root.to_owned(), root.join(inner), root.join("celeba")];
    places.iter().flat_map(|place| names.iter().map(|name| place.join(name))).find(|path| path.exists())
}

/// The photographs' folder. Some archives hold a folder of the same name in it.
fn images(root: &Path) -> Option<PathBuf> {
    let folder = find(root, "Img", &[IMAGES.to_owned()]).filter(|folder| folder.is_dir())?;
    Some(Some(folder.join(IMAGES)).filter(|inner| inner.is_dir()).unwrap_or(folder))
}

/// Whether the photographs lie in a folder, or in one of those in it that they are published in.
pub(super) fn is_here(root: &Path) -> bool {
    images(root).is_some()
}

/// The lists that are needed, then the images in the order of their names.
pub(super) fn files(root: &Path, attributes: bool, partition: bool) -> Result<Vec<PathBuf>, DataError> {
    let missing = |expected: String| DataError::Missing { path: root.to_owned(), what: "CelebA", expected };
    let list = |inner: &str, name: &str| {
        let names = ["txt", "csv"].map(|ending| format!("{name}.{ending}"));
        find(root, inner, &names).ok_or_else(|| missing(names.join("` or `")))
    };
    let mut files = Vec::new();
    if attributes {
        files.push(list("Anno", ATTRIBUTES)?);
    }
    if partition {
        files.push(list("Eval", PARTITION)?);
    }
    let Some(folder) = images(root) else {
        let packed = find(root, "Img", &[format!("{IMAGES}.zip")]);
        let what = |zip: PathBuf| DataError::Malformed {
            path: zip,
            what: format!("the photographs are packed; unpack it, so that a folder {IMAGES} lies beside it"),
        };
        return Err(packed.map_or_else(|| missing(IMAGES.to_owned()), what));
    };
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

/// A list in either form: words between spaces, or a table with commas between and a head of the columns' names.
struct List {
    text: String,
    is_table: bool,
}

impl List {
    fn read(path: &Path) -> Result<Self, DataError> {
        let text = file::text(path)?;
        let is_table = text.lines().next().is_some_and(|first| first.contains(','));
        Ok(Self { text, is_table })
    }

    /// The words of each row that has any, with the row's number.
    fn rows(&self) -> impl Iterator<Item = (usize, Vec<&str>)> {
        let rows = self.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        rows.map(|(i, line)| {
            let words = if self.is_table {
                line.split(',').map(|word| word.trim().trim_matches('"')).collect()
            } else {
                line.split_whitespace().collect()
            };
            (i + 1, words)
        })
    }
}

/// Each file's part: 0 train, 1 valid, 2 test.
fn partition(path: &Path) -> Result<HashMap<String, u8>, DataError> {
    let list = List::read(path)?;
    let part = |(row, words): (usize, Vec<&str>)| {
        let part = |word: &str| word.parse().ok().filter(|part| *part < 3);
        if let &[name, word] = &words[..]
            && let Some(part) = part(word)
        {
            return Ok((name.to_owned(), part));
        }
        let what = format!("row {row}: found {:?}, expected a file's name and 0, 1 or 2", words.join(" "));
        Err(DataError::Malformed { path: path.to_owned(), what })
    };
    list.rows().skip(usize::from(list.is_table)).map(part).collect()
}

/// Whether each image has an attribute, by the list's rows of an image's name and -1 or 1 for each of them. The attributes'
/// names are a table's head; else the number of images stands before them.
fn labels(path: &Path, attribute: &str, images: &[PathBuf]) -> Result<Labels, DataError> {
    let wrong = |what: String| DataError::Malformed { path: path.to_owned(), what };
    let list = List::read(path)?;
    let mut rows = list.rows();
    let mut promised = None;
    if !list.is_table {
        let count = rows.next().and_then(|(_, words)| words.first()?.parse::<usize>().ok());
        let what = "row 1: expected the number of images, or a table's head: image_id and the attributes' names";
        promised = Some(count.ok_or_else(|| wrong(what.into()))?);
    }
    let (row, head) = rows.next().unwrap_or((2, Vec::new()));
    let names = head.get(usize::from(list.is_table)..).unwrap_or_default();
    let column = names.iter().position(|name| *name == attribute).ok_or_else(|| {
        let names = names.join(", ");
        wrong(format!("row {row}: no attribute `{attribute}` (data.attribute); there are {}", names.shown()))
    })?;
    let mut by_name = HashMap::new();
    for (row, words) in rows {
        if words.len() != names.len() + 1 {
            let (found, expected) = (words.len().saturating_sub(1), names.len());
            return Err(wrong(format!("row {row}: {found} attributes, expected {expected}")));
        }
        let label = match words[column + 1] {
            "1" => 1,
            "-1" | "0" => 0,
            other => return Err(wrong(format!("row {row}: {attribute} is {}, expected 1 or -1", other.shown()))),
        };
        by_name.insert(words[0], label);
    }
    if let Some(promised) = promised.filter(|promised| *promised != by_name.len()) {
        return Err(wrong(format!("row 1 promises {promised} rows of images, found {}", by_name.len())));
    }
    let mut of = Vec::with_capacity(images.len());
    for image in images {
        let label = by_name.get(name(image).as_str()).copied();
        of.push(label.ok_or_else(|| wrong(format!("{} has no row in it; fetch the list again", image.shown())))?);
    }
    Ok(Labels { of, names: vec![format!("not {attribute}"), attribute.to_owned()], why_none: None })
}
