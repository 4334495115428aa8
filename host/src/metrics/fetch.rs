//! The standard Inception, fetched when somebody asks for it, and used when they have said which sum it must have.
//!
//! Its authors publish no sum, so Tandem pins none: the user confirms the first one, and it holds from then on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    MetricsError,
    extractor::{check_sum, hash},
};

/// The 2015 Inception as TorchScript, as StyleGAN's metrics use it.
pub const INCEPTION: &str = "inception-2015-12-05";
const URL: &str = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt";

/// Where the file lies in a cache.
pub fn inception_place(cache: &Path) -> PathBuf {
    cache.join("extractors").join(format!("{INCEPTION}.pt"))
}

fn sum_place(cache: &Path) -> PathBuf {
    cache.join("extractors").join(format!("{INCEPTION}.pt.sha256"))
}

/// Downloads the file into the cache, through `curl`, unless it is there.
pub fn fetch_inception(cache: &Path) -> Result<(), MetricsError> {
    let place = inception_place(cache);
    if place.exists() {
        return Ok(());
    }
    let failed = |why: String| MetricsError::Fetch { url: URL, why };
    let folder = cache.join("extractors");
    fs::create_dir_all(&folder).map_err(|e| failed(format!("{}: {e}", folder.display())))?;
    let beside = tempfile::Builder::new().suffix(".tmp").tempfile_in(&folder);
    let beside = beside.map_err(|e| failed(format!("{}: {e}", folder.display())))?;
    let told = Command::new("curl")
        .args(["--fail", "--location", "--silent", "--show-error", "--proto", "=https", "--output"])
        .arg(beside.path())
        .arg(URL)
        .output()
        .map_err(|e| failed(format!("curl did not start: {e}; fetch the file by other means and name its path")))?;
    if !told.status.success() {
        let words = String::from_utf8_lossy(&told.stderr);
        return Err(failed(format!("{}; fetch the file by other means and name its path", words.trim())));
    }
    beside
        .as_file()
        .sync_all()
        .and_then(|()| beside.persist(&place).map(drop).map_err(|e| e.error))
        .map_err(|e| failed(format!("{}: {e}", place.display())))
}

/// The cached file, if it has the sum that was confirmed: now, by `sum`, or before.
pub(super) fn confirmed_inception(cache: Option<&Path>, sum: Option<&str>) -> Result<PathBuf, MetricsError> {
    let absent = || {
        MetricsError::Unknown(format!(
            "{INCEPTION} was not fetched yet: name the path of {INCEPTION}.pt, or fetch it with `tandem eval ... \
             --extractor {INCEPTION} --fetch`"
        ))
    };
    let cache = cache.ok_or_else(absent)?;
    let path = inception_place(cache);
    if !path.exists() {
        return Err(absent());
    }
    let bytes = fs::read(&path).map_err(|source| MetricsError::Read { path: path.clone(), source })?;
    let found = hash(&bytes);
    if let Some(sum) = sum {
        check_sum(&path, Some(sum), &found)?;
        let place = sum_place(cache);
        fs::write(&place, format!("{found}\n")).map_err(|source| MetricsError::Read { path: place, source })?;
        return Ok(path);
    }
    match fs::read_to_string(sum_place(cache)) {
        Ok(confirmed) => check_sum(&path, Some(confirmed.trim()), &found).map(|()| path),
        Err(_) => Err(MetricsError::Unconfirmed { path, sum: found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetched_file_is_used_once_its_sum_is_confirmed() {
        let cache = tempfile::tempdir().unwrap();
        let open = |sum: Option<&str>| confirmed_inception(Some(cache.path()), sum).map_err(|e| e.to_string());
        assert!(open(None).unwrap_err().contains("was not fetched yet: name the path"));
        fs::create_dir_all(cache.path().join("extractors")).unwrap();
        fs::write(inception_place(cache.path()), "a module").unwrap();
        let sum = hash(b"a module");
        let message = open(None).unwrap_err();
        assert!(
            message.contains(&format!("--sha256 {sum}")) && message.contains("knows no published sum"),
            "{message}"
        );
        assert!(open(Some("00")).unwrap_err().contains("expected 00"));
        assert!(open(None).is_err());
        open(Some(&sum)).unwrap();
        open(None).unwrap();
        fs::write(inception_place(cache.path()), "another").unwrap();
        assert!(open(None).unwrap_err().contains(&format!("expected {sum}")));
    }
}
