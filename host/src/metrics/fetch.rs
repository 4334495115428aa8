//! The standard Inception, fetched when somebody asks for it, and known by its sum.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{
    MetricsError,
    extractor::{check_sum, hash},
};
use crate::{
    text::Show as _,
    work::{Work, go_on},
};

/// How often a download is looked after.
const GLANCE: Duration = Duration::from_millis(50);

/// The 2015 Inception as TorchScript, as StyleGAN's metrics use it.
pub const INCEPTION: &str = "inception-2015-12-05";
const URL: &str = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt";
/// Of the file at [`URL`], 95,607,719 bytes. Its authors publish no sum; this one stands, found independently, in evaluators that download the same
/// file, k-diffusion's (Crowson) among them.
pub(super) const INCEPTION_SHA256: &str = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4";

/// Where the file lies in a cache.
pub fn inception_place(cache: &Path) -> PathBuf {
    cache.join("extractors").join(format!("{INCEPTION}.pt"))
}

/// Downloads the file into the cache, through `curl`, unless it is there. Another file than the known one is not kept.
pub fn fetch_inception(cache: &Path) -> Result<(), MetricsError> {
    let place = inception_place(cache);
    if place.exists() {
        return Ok(());
    }
    let failed = |why: String| MetricsError::Fetch { url: URL, why };
    let folder = cache.join("extractors");
    fs::create_dir_all(&folder).map_err(|e| failed(format!("{}: {e}", folder.shown())))?;
    let beside = tempfile::Builder::new().suffix(".tmp").tempfile_in(&folder);
    let beside = beside.map_err(|e| failed(format!("{}: {e}", folder.shown())))?;
    let _work = Work::begin(format!("fetching {INCEPTION}"));
    let mut curl = Command::new("curl")
        .args(["--fail", "--location", "--silent", "--show-error", "--proto", "=https", "--output"])
        .arg(beside.path())
        .arg(URL)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(format!("curl did not start: {e}; fetch the file by other means and name its path")))?;
    while curl.try_wait().map_err(|e| failed(e.to_string()))?.is_none() {
        if let Err(interrupted) = go_on() {
            // Gone already, or ended here; what it wrote is removed with its file.
            let _ = curl.kill().and_then(|()| curl.wait());
            return Err(interrupted.into());
        }
        thread::sleep(GLANCE);
    }
    let told = curl.wait_with_output().map_err(|e| failed(e.to_string()))?;
    if !told.status.success() {
        let words = String::from_utf8_lossy(&told.stderr);
        return Err(failed(format!("{}; fetch the file by other means and name its path", words.trim().shown())));
    }
    let bytes = fs::read(beside.path()).map_err(|e| failed(format!("{}: {e}", beside.path().shown())))?;
    check_sum(Path::new(URL), Some(INCEPTION_SHA256), &hash(&bytes))?;
    beside
        .as_file()
        .sync_all()
        .and_then(|()| beside.persist(&place).map(drop).map_err(|e| e.error))
        .map_err(|e| failed(format!("{}: {e}", place.shown())))
}

/// The cached file; its sum is not looked at.
pub(super) fn fetched_inception(cache: Option<&Path>) -> Result<PathBuf, MetricsError> {
    cache.map(inception_place).filter(|path| path.exists()).ok_or_else(|| {
        MetricsError::Unknown(format!(
            "{INCEPTION} was not fetched yet: name the path of {INCEPTION}.pt, or fetch it with `tandem eval ... \
             --extractor {INCEPTION} --fetch`"
        ))
    })
}
