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
}

impl Labels {
    /// Each name's class is the folder that it lies in, the first part of it; none where a name lies in no folder.
    pub(super) fn by_folder<'a>(path: &Path, names: impl Iterator<Item = &'a str>) -> Result<Self, DataError> {
        let folders: Option<Vec<&str>> = names.map(|name| name.split_once('/').map(|(folder, _)| folder)).collect();
        let Some(folders) = folders else { return Ok(Self::default()) };
        let classes: Vec<&str> = folders.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if classes.len() > MOST_CLASSES {
            return Err(DataError::TooManyClasses { path: path.to_owned(), found: classes.len() });
        }
        let of = folders.iter().filter_map(|folder| classes.binary_search(folder).ok()).map(|class| class as u16);
        Ok(Self { of: of.collect(), names: classes.iter().map(ToString::to_string).collect() })
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
            by_name.insert(name.replace('\\', "/"), label as u16);
        }
        let images = names.len();
        let mut missing = None;
        let of: Vec<u16> = names
            .filter_map(|n| {
                by_name.get(n).copied().or_else(|| {
                    missing.get_or_insert(n);
                    None
                })
            })
            .collect();
        if let Some(missing) = missing {
            let found = of.len();
            return Err(wrong(format!("it has labels for {found} of the {images} images; `{missing}` has none")));
        }
        Ok(Some(Self { of, names: Vec::new() }))
    }
}
