//! Labels of samples, by number, from wherever a data set keeps them.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use super::names;
use crate::{data::DataError, text::Show as _};

/// The list of labels as `StyleGAN`'s tools call it.
pub(super) const LIST: &str = "dataset.json";
/// The most classes that a label can name.
const MOST_CLASSES: usize = 1 << 16;

/// A label for each sample, or none at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::data) struct Labels {
    /// One for each sample; empty without labels.
    pub(in crate::data) of: Vec<u16>,
    /// What the classes are called; empty where they have numbers only.
    pub(in crate::data) names: Vec<String>,
    /// Why there are none, where it looks as if there should be.
    pub(in crate::data) why_none: Option<String>,
}

impl Labels {
    /// The labels of images by these names, which lie at `path` in folders or in an archive: by the list that lies in a folder
    /// above all of them, else by the folders. `lists` are the names of all lists there, and `read` gives one's bytes.
    pub(super) fn of_tree(
        path: &Path,
        images: &[&[u8]],
        lists: &[Vec<u8>],
        read: impl FnOnce(usize) -> Result<Vec<u8>, DataError>,
    ) -> Result<Self, DataError> {
        let file = |list: &[u8]| path.join(&*names::text(list));
        let is_above = |list: &Vec<u8>| images.iter().all(|image| image.starts_with(names::folder(list)));
        let mut above = lists.iter().enumerate().filter(|(_, list)| is_above(list));
        match (above.next(), above.next()) {
            (Some((index, list)), None) => {
                let folder = names::folder(list).len();
                Self::from_json(&file(list), &read(index)?, images.iter().map(|image| &image[folder..]))
            }
            (Some((_, one)), Some((_, other))) => {
                let (one, other) = (names::text(one), names::text(other));
                let what = format!(
                    "it has two lists of labels for its images, {} and {}; remove one",
                    one.shown(),
                    other.shown()
                );
                Err(DataError::Malformed { path: path.to_owned(), what })
            }
            (None, _) => match lists.first() {
                Some(list) => Ok(Self::without(elsewhere(list, images))),
                None => Self::by_folder(path, images),
            },
        }
    }

    fn without(why: String) -> Self {
        Self { why_none: Some(why), ..Self::default() }
    }

    /// Each name's class is the folder that it lies in, the first one that not all of them lie in; none where a name lies in no
    /// folder.
    fn by_folder(path: &Path, images: &[&[u8]]) -> Result<Self, DataError> {
        let common = common_folder(images);
        let folder = |image| folder_after(image, common);
        let mut loose = images.iter().copied().filter(|&image| folder(image).is_none());
        if let Some(first) = loose.next() {
            let (loose, all) = (1 + loose.count(), images.len());
            let why = format!(
                "{loose} of its {all} images lie in no folder, the first of them {}, so that its folders are no classes; \
                 move them into folders, or away",
                names::text(first).shown()
            );
            return Ok(Self { why_none: (loose < all).then_some(why), ..Self::default() });
        }
        let folders = || images.iter().copied().filter_map(folder);
        let classes: Vec<&[u8]> = folders().collect::<BTreeSet<_>>().into_iter().collect();
        if classes.len() > MOST_CLASSES {
            return Err(DataError::TooManyClasses { path: path.to_owned(), found: classes.len() });
        }
        let of = folders().filter_map(|folder| classes.binary_search(&folder).ok()).map(|class| class as u16);
        Ok(Self {
            of: of.collect(),
            names: classes.iter().map(|name| names::text(name).into_owned()).collect(),
            why_none: None,
        })
    }

    /// The labels of a `dataset.json` as `StyleGAN`'s tools write it, for these names; none, and why, where it has none.
    fn from_json<'a>(
        file: &Path,
        text: &[u8],
        images: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<Self, DataError> {
        let wrong = |what: String| DataError::Malformed { path: file.to_owned(), what };
        let value: serde_json::Value = serde_json::from_str(plain(text).map_err(wrong)?)
            .map_err(|e| wrong(format!("not what StyleGAN's tools write: {}", e.to_string().shown())))?;
        let rows = match value.get("labels") {
            None | Some(serde_json::Value::Null) => {
                let found = if value.get("labels").is_none() { "has no `labels`" } else { "has `labels` = null" };
                return Ok(Self::without(format!(
                    "{} {found}; make it anew with labels, or remove it to take the folders as classes",
                    file.shown()
                )));
            }
            Some(rows) => rows.as_array().ok_or_else(|| wrong("`labels` is not a list".into()))?,
        };
        let mut by_name = HashMap::with_capacity(rows.len());
        for (row, pair) in rows.iter().enumerate() {
            let (name, label) = row_of(pair).map_err(|why| wrong(format!("row {row} of `labels` {why}")))?;
            if by_name.insert(separated(name.as_bytes()), (row, label)).is_some() {
                return Err(wrong(format!(
                    "row {row} of `labels` gives `{}` a label again; each file has one row",
                    name.shown()
                )));
            }
        }
        let (count, rows) = (images.len(), by_name.len());
        let mut missing = None;
        let of: Vec<u16> = images
            .filter_map(|image| {
                by_name.remove(&separated(image)).map(|(_, label)| label).or_else(|| {
                    missing.get_or_insert(image);
                    None
                })
            })
            .collect();
        if let Some(missing) = missing {
            let (found, missing) = (of.len(), names::text(missing));
            let what = format!("it has labels for {found} of the {count} images; `{}` has none", missing.shown());
            return Err(wrong(what));
        }
        // StyleGAN's tools write a row for each image that they wrote, and no other.
        if let Some((name, (row, _))) = by_name.iter().min_by_key(|(_, (row, _))| *row) {
            return Err(wrong(format!(
                "it has labels for {rows} files, but there are {count} images: `{}` of row {row} is not there; are \
                 images missing? Else remove such rows, or the file to train without labels",
                names::text(name).shown()
            )));
        }
        Ok(Self { of, ..Self::default() })
    }
}

/// A row's name and class; otherwise what is wrong with it.
fn row_of(row: &serde_json::Value) -> Result<(&str, u16), String> {
    let expected = format!("expected a file's name and a class number from 0 to {}", MOST_CLASSES - 1);
    if let Some(numbers) = row.get(1).and_then(serde_json::Value::as_array) {
        let count = numbers.len();
        return Err(format!("has a list of {count} numbers as its label, as for attributes; {expected}"));
    }
    let name = row.get(0).and_then(serde_json::Value::as_str);
    let label = row.get(1).and_then(serde_json::Value::as_u64).and_then(|label| u16::try_from(label).ok());
    name.zip(label).ok_or_else(|| format!("is {}, {expected}", row.to_string().shown()))
}

/// The name in a list as it would be in a folder: Windows' tools write `\`.
fn separated(name: &[u8]) -> Vec<u8> {
    let name: Vec<u8> = name.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect();
    names::tidy(&name)
}

/// The text of a small file without the mark that some editors put before it.
pub(super) fn plain(text: &[u8]) -> Result<&str, String> {
    if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16; save it as UTF-8".into());
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    str::from_utf8(text).map_err(|e| format!("byte {} is not UTF-8; save it as UTF-8", e.valid_up_to()))
}

/// Why a list that does not lie above all images labels none.
fn elsewhere(list: &[u8], images: &[&[u8]]) -> String {
    let folder = names::folder(list);
    let outside = images.iter().filter(|image| !image.starts_with(folder)).count();
    format!(
        "{} is of its own folder, and {outside} of the {} images lie outside of it; name that folder, or remove the list to take \
         the folders as classes",
        names::text(list).shown(),
        images.len()
    )
}

/// The folder that stands after the first `common` bytes of a name.
fn folder_after(image: &[u8], common: usize) -> Option<&[u8]> {
    let rest = &image[common..];
    rest.iter().position(|&byte| byte == b'/').map(|slash| &rest[..slash])
}

/// The length of the folders that all names begin with, where folders remain without them.
fn common_folder(images: &[&[u8]]) -> usize {
    let Some(first) = images.first() else { return 0 };
    let mut common = 0;
    while let Some(slash) = first[common..].iter().position(|&byte| byte == b'/') {
        let end = common + slash + 1;
        let prefix = &first[..end];
        if !images.iter().all(|image| image.strip_prefix(prefix).is_some_and(|rest| rest.contains(&b'/'))) {
            break;
        }
        common = end;
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: [&[u8]; 2] = [b"a/0.png", b"a/1.png"];

    fn of_list(list: &str, text: &[u8]) -> Result<Labels, String> {
        Labels::of_tree(Path::new("d"), &IMAGES, &[list.into()], |_| Ok(text.to_vec())).map_err(|e| e.to_string())
    }

    fn from_json(text: &str) -> Result<Vec<u16>, String> {
        of_list(LIST, text.as_bytes()).map(|found| found.of)
    }

    #[test]
    fn a_row_of_a_list_is_an_image_and_the_other_way_round() {
        assert_eq!(from_json(r#"{"labels": [["a/1.png", 1], ["./a\\0.png", 4]]}"#), Ok(vec![4, 1]));
        let message = from_json(r#"{"labels": [["a/1.png", 1]]}"#).unwrap_err();
        assert!(message.contains("1 of the 2 images; `a/0.png` has none"), "{message}");
        let message = from_json(r#"{"labels": [["a/1.png", 1], ["b.png", 1], ["a/0.png", 4], ["c.png", 1]]}"#);
        let message = message.unwrap_err();
        assert!(message.contains("4 files, but there are 2 images: `b.png` of row 1 is not there"), "{message}");
        let message = from_json(r#"{"labels": [["a/1.png", 1], ["a/1.png", 0], ["a/0.png", 4]]}"#).unwrap_err();
        assert!(message.contains("row 1 of `labels` gives `a/1.png` a label again"), "{message}");
    }

    #[test]
    fn a_label_that_is_no_class_is_told_with_its_row() {
        for (label, why) in [
            ("-1", r#"row 1 of `labels` is ["a/1.png",-1], expected a file's name and a class number from 0 to 65535"#),
            ("1.5", r#"["a/1.png",1.5]"#),
            ("65536", "65536]"),
            ("true", "true]"),
            ("[0, 1, 0]", "row 1 of `labels` has a list of 3 numbers as its label"),
        ] {
            let message = from_json(&format!(r#"{{"labels": [["a/0.png", 0], ["a/1.png", {label}]]}}"#)).unwrap_err();
            assert!(message.contains(why), "{message}");
        }
        assert_eq!(from_json(r#"{"labels": [["a/0.png", 0], ["a/1.png", 65535]]}"#), Ok(vec![0, 65535]));
    }

    #[test]
    fn a_list_lies_above_all_images_and_names_them_from_its_folder() {
        let rows = br#"{"labels": [["0.png", 3], ["1.png", 1]]}"#;
        assert_eq!(of_list("a/dataset.json", rows).unwrap().of, [3, 1]);
        assert!(of_list("dataset.json", rows).unwrap_err().contains("`a/0.png` has none"));
        let why = of_list("a/b/dataset.json", rows).unwrap().why_none.unwrap();
        assert!(why.contains("a/b/dataset.json is of its own folder, and 2 of the 2 images lie outside"), "{why}");
        let lists = [b"dataset.json".to_vec(), b"a/dataset.json".to_vec()];
        let two = Labels::of_tree(Path::new("d"), &IMAGES, &lists, |_| Ok(rows.to_vec())).unwrap_err().to_string();
        assert!(two.contains("dataset.json and a/dataset.json; remove one"), "{two}");
    }

    #[test]
    fn a_list_without_labels_says_so_and_a_mark_before_it_is_skipped() {
        for (text, why) in [(r#"{"labels": null}"#, "d/dataset.json has `labels` = null"), ("{}", "has no `labels`")] {
            let found = of_list(LIST, text.as_bytes()).unwrap();
            assert!(found.of.is_empty() && found.why_none.as_ref().unwrap().contains(why), "{found:?}");
        }
        assert_eq!(from_json("\u{feff}{\"labels\": [[\"a/1.png\", 1], [\"a/0.png\", 4]]}"), Ok(vec![4, 1]));
        assert!(of_list(LIST, b"\xff\xfe{\0}\0").unwrap_err().contains("UTF-16; save it as UTF-8"));
        assert!(from_json("{\"labels\": [").unwrap_err().contains("not what StyleGAN's tools write"));
        assert!(from_json("{\"labels\": {}}").unwrap_err().contains("`labels` is not a list"));
    }

    #[test]
    fn folders_are_classes_unless_an_image_lies_beside_them() {
        let by_folder = |names: &[&[u8]]| Labels::of_tree(Path::new("x"), names, &[], |_| Ok(Vec::new())).unwrap();
        let found = by_folder(&[b"cats/1.png", b"cats/2/3.png", b"dogs/1.png"]);
        assert_eq!((found.of, found.names.len(), found.why_none), (vec![0, 0, 1], 2, None));
        assert_eq!(by_folder(&[b"1.png", b"2.png"]), Labels::default());
        let found = by_folder(&[b"cats/1.png", b"dogs/1.png", b"stray.png"]);
        let why = found.why_none.unwrap();
        assert!(found.of.is_empty() && why.contains("1 of its 3 images lie in no folder, the first of them stray.png"));
    }

    #[test]
    fn a_folder_that_all_lies_in_is_no_class_where_there_are_folders_in_it() {
        let names = |images: &[&[u8]]| Labels::by_folder(Path::new("x"), images).unwrap().names;
        assert_eq!(names(&[b"set/train/cats/1.png", b"set/train/dogs/1.png"]), ["cats", "dogs"]);
        assert_eq!(names(&[b"set/1.png", b"set/2.png"]), ["set"]);
        assert_eq!(names(&[b"caf\xe8/1.png", b"caf\xe9/1.png"]), ["caf\\xE8", "caf\\xE9"]);
    }
}
