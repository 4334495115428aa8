//! A data set ready to be read: 8-bit images of one size with labels, in memory or in a mapped cache.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use super::{
    Bad, Crop, DataError, Description, MOST_BYTES, Transform,
    cache::{self, Cache, Writer},
    fill::{check_bad, fill},
    source::{Labels, Listed, PassedOver, Source},
};
use crate::{text::Show as _, work::Work};

/// What to read and what to do to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The data set.
    pub source: Source,
    /// What is done to its pictures.
    pub transform: Transform,
    /// Whether labels are taken along.
    pub labelled: bool,
    /// Whether training mirrors half of the images.
    pub flip: bool,
    /// How many bad images are left out before it is an error.
    pub max_bad: usize,
    /// The folder where caches are looked for and written; none without one.
    pub caches: Option<PathBuf>,
}

/// Images, plane by plane, and their labels. A clone shares them.
#[derive(Debug, Clone)]
pub struct Dataset {
    images: Images,
    labels: Arc<[u16]>,
    about: Arc<Description>,
    flip: bool,
}

#[derive(Debug, Clone)]
enum Images {
    Memory(Arc<[u8]>),
    Mapped(Arc<Cache>),
}

/// What `prepare` did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Prepared {
    /// The cache.
    pub path: PathBuf,
    /// Whether it was there already, whole.
    pub found: bool,
    /// Images in it.
    pub images: usize,
    /// Images that were left out.
    pub left_out: Vec<Bad>,
}

impl Spec {
    /// A data set as it comes: labelled, not mirrored, at most ten bad images, no caches.
    pub const fn new(source: Source, transform: Transform) -> Self {
        Self { source, transform, labelled: true, flip: false, max_bad: 10, caches: None }
    }

    /// The files, their key, and where the cache belongs.
    fn locate(&self) -> Result<(Listed, String), DataError> {
        let _work = Work::begin(format!("looking through {}", self.source.describe()));
        let files = self.source.files()?;
        let key = cache::key(&self.source.identity(&files)?, &self.transform, self.labelled);
        Ok((files, key))
    }

    /// Writes the cache, unless it is there already, whole.
    pub fn prepare(&self, again: bool) -> Result<Prepared, DataError> {
        let Some(folder) = &self.caches else { return Err(DataError::NoPlace) };
        let (files, key) = self.locate()?;
        let path = cache::file(folder, &key);
        if !again && let Some(cache) = whole(&path, &key)? {
            check_bad(&self.source.describe(), &cache.about.left_out, self.max_bad)?;
            let images = cache.sums.len();
            return Ok(Prepared { path, found: true, images, left_out: cache.about.left_out });
        }
        let (opened, passed) = self.source.open(&files, &self.transform)?;
        self.tell(&opened.labels, &passed);
        let mut writer = Writer::begin(&path)?;
        let source = self.source.describe();
        let sink = |planes: &[u8]| writer.push(planes);
        let filled = fill(&source, &*opened.samples, &self.transform, self.max_bad, sink)?;
        let labels = self.chosen(&opened.labels, &filled.taken);
        let about = self.describe(key, opened.labels.names, &filled.bad);
        writer.finish(&about, &labels)?;
        Ok(Prepared { path, found: false, images: filled.taken.len(), left_out: filled.bad })
    }

    fn chosen(&self, labels: &Labels, taken: &[usize]) -> Vec<u16> {
        if self.labelled { taken.iter().filter_map(|&i| labels.of.get(i).copied()).collect() } else { Vec::new() }
    }

    fn describe(&self, key: String, names: Vec<String>, bad: &[Bad]) -> Description {
        Description {
            source: self.source.describe(),
            key,
            transform: self.transform,
            class_names: if self.labelled { names } else { Vec::new() },
            left_out: bad.to_vec(),
        }
    }

    /// Says what lies among the images and is not taken, and why there are no labels, where they were wanted and seem to be
    /// meant.
    pub(super) fn tell(&self, labels: &Labels, passed: &PassedOver) {
        for line in &passed.lines {
            tracing::warn!("{}: passed over: {line}", self.source.describe());
        }
        if let Some(why) = labels.why_none.as_ref().filter(|_| self.labelled) {
            tracing::warn!("{}: no labels are taken: {why}", self.source.describe());
        }
    }
}

/// The cache of this key if it lies at `path` and every image in it is what was written.
fn whole(path: &Path, key: &str) -> Result<Option<Cache>, DataError> {
    if !path.exists() {
        return Ok(None);
    }
    let again = |why: &dyn std::fmt::Display| tracing::warn!("{why}; it is made again now");
    let cache = match Cache::open(path) {
        Ok(cache) => cache,
        Err(error) => {
            again(&error);
            return Ok(None);
        }
    };
    if cache.about.key != key {
        again(&format!("cache {} is of another source or transform", path.shown()));
        return Ok(None);
    }
    if let Some((_, error)) = cache.damaged()?.first() {
        again(error);
        return Ok(None);
    }
    Ok(Some(cache))
}

impl Dataset {
    /// Opens a data set: from its cache where there is a whole one, else by decoding it into memory on all cores.
    pub fn open(spec: &Spec) -> Result<Self, DataError> {
        if let Source::Cache(path) = &spec.source {
            return Self::from_cache(path, spec);
        }
        let (files, key) = spec.locate()?;
        if let Some(path) = spec.caches.as_ref().map(|folder| cache::file(folder, &key)).filter(|path| path.exists()) {
            match Cache::open(&path) {
                Ok(cache) if cache.about.key == key => {
                    check_bad(&spec.source.describe(), &cache.about.left_out, spec.max_bad)?;
                    return Ok(Self::of_cache(cache, spec.flip));
                }
                Ok(cache) => {
                    let (there, wanted) = (cache.about.transform, spec.transform);
                    let what = format!("a cache of another source or transform ({there}; wanted: {wanted}); remove it");
                    return Err(DataError::Cache { path, what });
                }
                Err(error) => tracing::warn!("not used, the images are decoded again: {error}"),
            }
        }
        Self::decode(spec, &files, key)
    }

    fn decode(spec: &Spec, files: &Listed, key: String) -> Result<Self, DataError> {
        let (opened, passed) = spec.source.open(files, &spec.transform)?;
        spec.tell(&opened.labels, &passed);
        let (count, size) = (opened.samples.len(), spec.transform.image_size);
        let bytes = count.saturating_mul(spec.transform.sample_len());
        if bytes > MOST_BYTES {
            return Err(DataError::TooLarge { count, size, most: MOST_BYTES >> 30 });
        }
        let mut images = Vec::with_capacity(bytes);
        let sink = |planes: &[u8]| {
            images.extend_from_slice(planes);
            Ok(())
        };
        let source = spec.source.describe();
        let filled = fill(&source, &*opened.samples, &spec.transform, spec.max_bad, sink)?;
        Ok(Self {
            images: Images::Memory(images.into()),
            labels: spec.chosen(&opened.labels, &filled.taken).into(),
            about: Arc::new(spec.describe(key, opened.labels.names, &filled.bad)),
            flip: spec.flip,
        })
    }

    /// A cache by its own name: it says what was done to its images, and must be what is wanted.
    fn from_cache(path: &Path, spec: &Spec) -> Result<Self, DataError> {
        let cache = Cache::open(path)?;
        let (there, wanted) = (cache.about.transform, spec.transform);
        if there != wanted {
            let what = format!(
                "a cache of another transform: {there}; wanted: {wanted}; prepare it again or set [data] as it is"
            );
            return Err(DataError::Cache { path: path.to_owned(), what });
        }
        let mut dataset = Self::of_cache(cache, spec.flip);
        if !spec.labelled {
            dataset.labels = Arc::default();
        }
        Ok(dataset)
    }

    /// A cache by its own name, whatever was done to its images.
    pub fn cached(path: &Path) -> Result<Self, DataError> {
        Ok(Self::of_cache(Cache::open(path)?, false))
    }

    fn of_cache(cache: Cache, flip: bool) -> Self {
        let (labels, about) = (cache.labels.clone().into(), Arc::new(cache.about.clone()));
        Self { images: Images::Mapped(Arc::new(cache)), labels, about, flip }
    }

    /// The shipped digits: 10,000, at 32 or 64 pixels.
    pub fn digits(image_size: usize) -> Result<Self, DataError> {
        Self::open(&Spec::new(Source::Digits, Transform { image_size, crop: Crop::Digits, channels: 1 }))
    }

    /// How many images there are; never 0.
    pub fn len(&self) -> usize {
        match &self.images {
            Images::Memory(images) => images.len() / self.sample_len(),
            Images::Mapped(cache) => cache.sums.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels: 1, grey, or 3, RGB.
    pub fn channels(&self) -> usize {
        self.about.transform.channels
    }

    /// Height and width in pixels.
    pub fn size(&self) -> usize {
        self.about.transform.image_size
    }

    /// Number of classes: as many as have names, else one more than the largest label; 0 without labels.
    pub fn classes(&self) -> usize {
        let largest = self.labels.iter().max().map_or(0, |&most| usize::from(most) + 1);
        if self.labels.is_empty() { 0 } else { largest.max(self.about.class_names.len()) }
    }

    /// Values of one image.
    pub fn sample_len(&self) -> usize {
        self.about.transform.sample_len()
    }

    /// Where the images are from, what was done to them, and which were left out.
    pub fn about(&self) -> &Description {
        &self.about
    }

    /// The cache that they lie in, if they do.
    pub fn cache(&self) -> Option<&Path> {
        match &self.images {
            Images::Memory(_) => None,
            Images::Mapped(cache) => Some(cache.path()),
        }
    }

    /// Whether training mirrors half of the images. Reading them in order never does.
    pub const fn flip(&self) -> bool {
        self.flip
    }

    /// Copies image `index`: [`Self::sample_len`] values from 0 to 255, `[C, H, W]`, row-major.
    pub fn read(&self, index: usize, to: &mut [u8]) -> Result<(), DataError> {
        match &self.images {
            Images::Memory(images) => {
                let length = to.len();
                to.copy_from_slice(&images[index * length..(index + 1) * length]);
                Ok(())
            }
            Images::Mapped(cache) => cache.read(index, to),
        }
    }

    /// All images in their order, `count` at a time (the last time what is left): `[N, C, H, W]` values from 0 to 255 with
    /// their labels, none without labels. Not shuffled, not mirrored, nothing left out.
    pub fn chunks(&self, count: usize) -> impl Iterator<Item = Result<(Vec<u8>, Vec<i64>), DataError>> + '_ {
        let count = count.max(1);
        (0..self.len()).step_by(count).map(move |start| {
            let range = start..(start + count).min(self.len());
            let mut images = vec![0; range.len() * self.sample_len()];
            for (index, to) in range.clone().zip(images.chunks_exact_mut(self.sample_len())) {
                self.read(index, to)?;
            }
            Ok((images, range.filter_map(|index| self.label(index)).collect()))
        })
    }

    /// All images of a data set in memory.
    #[cfg(test)]
    pub(crate) fn pixels(&self) -> &[u8] {
        match &self.images {
            Images::Memory(images) => images,
            Images::Mapped(_) => panic!("it lies in a cache"),
        }
    }

    /// The label of each image; empty without labels.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// The label of image `index`, if there are labels.
    pub fn label(&self, index: usize) -> Option<i64> {
        self.labels.get(index).map(|&label| i64::from(label))
    }

    /// SHA-256, in hex, of what the images are: their shape, the CRC-32 of each in order, and their labels. The same on every
    /// machine and at every path, from memory or from a cache.
    pub fn fingerprint(&self) -> String {
        self.fingerprint_of(&self.sums())
    }

    /// As [`Self::fingerprint`], of sums that are at hand.
    pub(super) fn fingerprint_of(&self, sums: &[u32]) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("tandem images 1\n{} {} {}\n", self.len(), self.channels(), self.size()));
        for sum in sums {
            hash.update(sum.to_le_bytes());
        }
        self.labels.iter().for_each(|label| hash.update(label.to_le_bytes()));
        format!("{:x}", hash.finalize())
    }

    /// The CRC-32 of each image in order: a cache has them, in memory they are made.
    pub(super) fn sums(&self) -> Cow<'_, [u32]> {
        match &self.images {
            Images::Memory(images) => images.chunks_exact(self.sample_len()).map(crc32fast::hash).collect(),
            Images::Mapped(cache) => Cow::Borrowed(&cache.sums),
        }
    }
}
