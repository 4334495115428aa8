//! Labels of samples, by number, from wherever a data set keeps them.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use crate::data::DataError;

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
    /// Each name's class is the folder that it lies in, the first part of it; none where a name lies in no folder.
    pub(super) fn by_folder<'a>(path: &Path, names: impl Iterator<Item = &'a str> + Clone) -> Result<Self, DataError> {
        let mut loose = names.clone().filter(|name| !name.contains('/'));
        if let Some(first) = loose.next() {
            let (loose, all) = (1 + loose.count(), names.count());
            let why = format!(
                "{loose} of its {all} images lie in no folder, the first of them {first}, so that its folders are no \
                 classes; move them into folders, or away"
            );
            return Ok(Self { why_none: (loose < all).then_some(why), ..Self::default() });
        }
        let folders: Vec<&str> = names.filter_map(|name| name.split_once('/').map(|(folder, _)| folder)).collect();
        let classes: Vec<&str> = folders.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if classes.len() > MOST_CLASSES {
            return Err(DataError::TooManyClasses { path: path.to_owned(), found: classes.len() });
        }
        let of = folders.iter().filter_map(|folder| classes.binary_search(folder).ok()).map(|class| class as u16);
        Ok(Self { of: of.collect(), names: classes.iter().map(ToString::to_string).collect(), why_none: None })
    }

    /// The labels of a `dataset.json` as `StyleGAN`'s tools write it, for these names; `None` where it has none.
    pub(super) fn from_json<'a>(
        file: &Path,
        text: &[u8],
        names: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<Option<Self>, DataError> {
        let wrong = |what: String| DataError::Malformed { path: file.to_owned(), what };
        let value: serde_json::Value =
            serde_json::from_slice(text).map_err(|e| wrong(format!("not what StyleGAN's tools write: {e}")))?;
        let Some(pairs) = value.get("labels").filter(|l| !l.is_null()) else { return Ok(None) };
        let pairs = pairs.as_array().ok_or_else(|| wrong("`labels` is not a list".into()))?;
        let mut by_name = HashMap::with_capacity(pairs.len());
        for (row, pair) in pairs.iter().enumerate() {
            let name = pair.get(0).and_then(|n| n.as_str());
            let label = pair.get(1).and_then(serde_json::Value::as_u64).filter(|&l| l < MOST_CLASSES as u64);
            let (Some(name), Some(label)) = (name, label) else {
                return Err(wrong(format!(
                    "row {row} of `labels` is {pair}, expected a file's name and a class number below {MOST_CLASSES}"
                )));
            };
            if by_name.insert(name.replace('\\', "/"), (row, label as u16)).is_some() {
                return Err(wrong(format!(
                    "row {row} of `labels` gives `{name}` a label again; each file has one row"
                )));
            }
        }
        let (images, rows) = (names.len(), by_name.len());
        let mut missing = None;
        let of: Vec<u16> = names
            .filter_map(|n| {
                by_name.remove(n).map(|(_, label)| label).or_else(|| {
                    missing.get_or_insert(n);
                    None
                })
            })
            .collect();
        if let Some(missing) = missing {
            let found = of.len();
            return Err(wrong(format!("it has labels for {found} of the {images} images; `{missing}` has none")));
        }
        // StyleGAN's tools write a row for each image that they wrote, and no other.
        if let Some((name, (row, _))) = by_name.iter().min_by_key(|(_, (row, _))| *row) {
            return Err(wrong(format!(
                "it has labels for {rows} files, but there are {images} images: `{name}` of row {row} is not there; are \
                 images missing? Else remove such rows, or the file to train without labels"
            )));
        }
        Ok(Some(Self { of, ..Self::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_json(text: &str) -> Result<Vec<u16>, String> {
        let labels = Labels::from_json(Path::new("d.json"), text.as_bytes(), ["a/0.png", "a/1.png"].into_iter());
        labels.map(|found| found.unwrap().of).map_err(|e| e.to_string())
    }

    #[test]
    fn a_row_of_a_list_is_an_image_and_the_other_way_round() {
        assert_eq!(from_json(r#"{"labels": [["a/1.png", 1], ["a\\0.png", 4]]}"#), Ok(vec![4, 1]));
        let message = from_json(r#"{"labels": [["a/1.png", 1]]}"#).unwrap_err();
        assert!(message.contains("1 of the 2 images; `a/0.png` has none"), "{message}");
        let message = from_json(r#"{"labels": [["a/1.png", 1], ["b.png", 1], ["a/0.png", 4], ["c.png", 1]]}"#);
        let message = message.unwrap_err();
        assert!(message.contains("4 files, but there are 2 images: `b.png` of row 1 is not there"), "{message}");
        let message = from_json(r#"{"labels": [["a/1.png", 1], ["a/1.png", 0], ["a/0.png", 4]]}"#).unwrap_err();
        assert!(message.contains("row 1 of `labels` gives `a/1.png` a label again"), "{message}");
    }

    #[test]
    fn folders_are_classes_unless_an_image_lies_beside_them() {
        let by_folder = |names: &[&str]| Labels::by_folder(Path::new("x"), names.iter().copied()).unwrap();
        let found = by_folder(&["cats/1.png", "cats/2/3.png", "dogs/1.png"]);
        assert_eq!((found.of, found.names.len(), found.why_none), (vec![0, 0, 1], 2, None));
        assert_eq!(by_folder(&["1.png", "2.png"]), Labels::default());
        let found = by_folder(&["cats/1.png", "dogs/1.png", "stray.png"]);
        let why = found.why_none.unwrap();
        assert!(found.of.is_empty() && why.contains("1 of its 3 images lie in no folder, the first of them stray.png"));
    }
}
