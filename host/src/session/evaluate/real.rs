//! The real images' statistics, kept from one evaluation to the next: under the user's cache directory, in files named by a
//! hash over the images, their shape and the extractor. A file that is damaged is made again.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use sha2::{Digest, Sha256};
use tch::Tensor;

use super::{
    super::{
        SessionError,
        arrays::{to_array, to_tensor},
    },
    EvaluationPlan, Images,
    images::as_is,
};
use crate::{
    metrics::{COVERAGE_K, Collector, Extractor, MANIFOLD_K, Metric, Moments, radii, root},
    run::{Metadata, NamedArray, read_arrays, write_arrays},
    work::{Work, go_on},
};

/// Images that are summed at a time.
const CHUNK: usize = 1024;

/// What figures need of the real images.
#[derive(Debug)]
pub(super) struct Real {
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) count: usize,
    pub(super) size: usize,
    pub(super) moments: Option<Moments>,
    /// The root of the covariance.
    pub(super) root: Option<Tensor>,
    pub(super) rows: Option<Tensor>,
    /// Squared, for manifolds and for coverage.
    pub(super) radii: Option<[Tensor; 2]>,
    pub(super) seconds: f64,
}

impl Real {
    /// From the cache as far as it has them; the rest is computed and put there.
    pub(super) fn get(
        extractor: &Extractor,
        images: &Images<'_>,
        metrics: &[Metric],
        plan: &EvaluationPlan,
    ) -> Result<Self, SessionError> {
        let start = Instant::now();
        let _work = Work::begin("statistics of the real images");
        let sha256 = sum(images)?;
        let store = Store::new(plan.cache.as_deref(), &sha256, extractor);
        let (width, n) = (extractor.width(), images.len() as i64);
        let want_rows = plan.features || metrics.iter().any(|m| m.needs_rows());
        let want_radii = metrics.iter().any(|m| m.counts_neighbours());
        let want_moments = metrics.contains(&Metric::Fid);
        let device = extractor.device();

        let mut moments = None;
        if want_moments {
            let shapes = [("mean", vec![width]), ("covariance", vec![width, width]), ("root", vec![width, width])];
            moments = store.read("moments", &shapes).map(|mut found| {
                let root = found.remove(2);
                (found, root)
            });
        }
        let mut rows = if want_rows { store.read("features", &[("features", vec![n, width])]) } else { None };
        let missing = (want_moments && moments.is_none()) || (want_rows && rows.is_none());
        let (mut of_all, mut of_root) = (None, None);
        if let Some((parts, root)) = moments {
            let on = |tensor: &Tensor| tensor.f_to_device(device);
            of_all = Some(Moments::from_parts(n, on(&parts[0])?, &on(&parts[1])?)?);
            of_root = Some(on(&root)?);
        }
        if missing {
            tracing::info!("features of {n} real images ({}) with {}", images.name, extractor.name());
            let mut collector = Collector::new(extractor, images.len(), want_rows, false)?;
            let work = Work::of(format!("features of the real images ({})", images.name), n as u64, "images");
            for at in (0..n).step_by(plan.batch) {
                work.at(at as u64)?;
                collector.add(&images.batch(&(at..(at + plan.batch as i64).min(n)))?)?;
            }
            drop(work);
            let made = collector.finish()?;
            if let Some(found) = made.rows.filter(|_| want_rows) {
                store.write("features", &[("features", &found)]);
                rows = Some(vec![found]);
            }
            if want_moments {
                let found = root(&made.moments)?;
                store.write(
                    "moments",
                    &[("mean", made.moments.mean()), ("covariance", &made.moments.covariance()?), ("root", &found)],
                );
                (of_all, of_root) = (Some(made.moments), Some(found));
            }
        }
        let rows = rows.map(|mut found| found.remove(0));
        let of_radii = match rows.as_ref().filter(|_| want_radii) {
            Some(rows) => Some(store.radii(rows, extractor)?),
            None => None,
        };
        Ok(Self {
            name: images.name.clone(),
            sha256,
            count: images.len(),
            size: images.size,
            moments: of_all,
            root: of_root,
            rows,
            radii: of_radii,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// How generated images of the same size reach the extractor.
    pub(super) fn size_text(&self) -> String {
        as_is(self.size)
    }
}

/// SHA-256 over shape and pixels, in hex.
fn sum(images: &Images<'_>) -> Result<String, SessionError> {
    let mut digest = Sha256::new();
    digest.update(format!("tandem images 1 {} {} {}\n", images.len(), images.channels, images.size));
    for start in (0..images.len()).step_by(CHUNK) {
        go_on()?;
        digest.update(images.bytes(start..(start + CHUNK).min(images.len()))?);
    }
    Ok(format!("{:x}", digest.finalize()))
}

/// The files of one set of images under one extractor.
struct Store {
    /// Their folder, and how their names begin.
    place: Option<(PathBuf, String)>,
}

impl Store {
    fn new(cache: Option<&Path>, images: &str, extractor: &Extractor) -> Self {
        let key = format!("tandem real statistics 1\n{images}\n{}\n", extractor.sha256());
        let key = format!("{:x}", Sha256::digest(key))[..32].to_owned();
        Self { place: cache.map(|cache| (cache.join("statistics"), key)) }
    }

    fn file(&self, what: &str) -> Option<PathBuf> {
        self.place.as_ref().map(|(folder, key)| folder.join(format!("{key}.{what}.safetensors")))
    }

    /// The arrays of these names and shapes; `None` if the file is missing or not what it should be.
    fn read(&self, what: &str, shapes: &[(&str, Vec<i64>)]) -> Option<Vec<Tensor>> {
        let file = self.file(what).filter(|file| file.exists())?;
        let of_file = || -> Result<Option<Vec<Tensor>>, SessionError> {
            let (arrays, _) = read_arrays(&file)?;
            let find = |name: &str| arrays.iter().find(|a| a.name == name).map(to_tensor).transpose();
            let mut tensors = Vec::new();
            for (name, shape) in shapes {
                match find(name)?.filter(|tensor| tensor.size() == *shape) {
                    Some(tensor) => tensors.push(tensor),
                    None => return Ok(None),
                }
            }
            Ok(Some(tensors))
        };
        match of_file() {
            Ok(Some(tensors)) => Some(tensors),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!("statistics of real images are computed again: {error}");
                None
            }
        }
    }

    /// Keeps arrays. A cache that cannot be written costs time and nothing else, so it is only told.
    fn write(&self, what: &str, tensors: &[(&str, &Tensor)]) {
        let Some(file) = self.file(what) else { return };
        let put = || -> Result<(), SessionError> {
            let arrays: Vec<NamedArray> =
                tensors.iter().map(|(name, tensor)| to_array(*name, tensor)).collect::<Result<_, _>>()?;
            let failed = |source| SessionError::Write { path: file.clone(), source };
            fs::create_dir_all(file.parent().unwrap_or_else(|| ".".as_ref())).map_err(failed)?;
            // Two processes may make the same file at once: each writes one of its own, and the last one's stays.
            let own = file.with_extension(std::process::id().to_string());
            write_arrays(&own, &arrays, &Metadata::new())?;
            fs::rename(&own, &file).map_err(failed)
        };
        if let Err(error) = put() {
            tracing::warn!("statistics of real images are not kept: {error}");
        }
    }

    fn radii(&self, rows: &Tensor, extractor: &Extractor) -> Result<[Tensor; 2], SessionError> {
        let ks = [MANIFOLD_K, COVERAGE_K];
        let names = ks.map(|k| format!("squared_radii_{k}"));
        let shapes = names.each_ref().map(|name| (name.as_str(), vec![rows.size()[0]]));
        let found = if let Some(found) = self.read("radii", &shapes) {
            found
        } else {
            let made = radii(rows, &ks, extractor.device())?;
            let named: Vec<_> = names.iter().map(String::as_str).zip(&made).collect();
            self.write("radii", &named);
            made
        };
        found.try_into().map_err(|_| SessionError::Stored("radii for two k were expected".into()))
    }
}
