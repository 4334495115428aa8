//! A folder of image files; folders in it are classes, or a `dataset.json` says what is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Content, Labels, Opened, Samples, is_image};
use crate::{data::DataError, text::Show as _};

const JSON: &str = "dataset.json";

/// Every image below `path` in the order of their names, and the list of labels if there is one.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    collect(path, &mut files)?;
    if files.is_empty() {
        return Err(DataError::NoImages { path: path.to_owned() });
    }
    files.sort();
    files.extend([path.join(JSON)].into_iter().filter(|json| json.is_file()));
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let failed = |source| DataError::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed)?;
        // A link's own type says nothing of what it leads to.
        if kind.is_dir() || (kind.is_symlink() && path.is_dir()) {
            collect(&path, files)?;
        } else if is_image(&entry.file_name().to_string_lossy()) {
            files.push(path);
        }
    }
    Ok(())
}

/// Image files by path.
pub(super) struct Files(pub(super) Vec<PathBuf>);

pub(super) fn open(root: &Path, files: &[PathBuf]) -> Result<Opened, DataError> {
    let (images, json) = match files.split_last() {
        Some((last, images)) if last.ends_with(JSON) => (images, Some(last)),
        _ => (files, None),
    };
    let relative = |file: &PathBuf| file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
    let names: Vec<String> = images.iter().map(relative).collect();
    let labels = match json {
        Some(json) => {
            let text = fs::read(json).map_err(|source| DataError::Read { path: json.clone(), source })?;
            Labels::from_json(json, &text, names.iter().map(String::as_str))?.unwrap_or_default()
        }
        None => Labels::by_folder(root, names.iter().map(String::as_str))?,
    };
    Ok(Opened { samples: Box::new(Files(images.to_vec())), labels })
}

impl Samples for Files {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, index: usize) -> String {
        self.0[index].shown().to_string()
    }

    fn bytes(&self, index: usize) -> u64 {
        fs::metadata(&self.0[index]).map_or(0, |facts| facts.len())
    }

    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
        use std::io::Read as _;
        buffer.clear();
        let mut file = fs::File::open(&self.0[index]).map_err(|e| format!("cannot be read: {e}"))?;
        file.read_to_end(buffer).map_err(|e| format!("cannot be read: {e}"))?;
        Ok(Content::Encoded)
    }
}
