//! The IDX form of MNIST: a magic number, big-endian sizes, then bytes; gzipped or not, told by content.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::GzDecoder;

use super::{Content, Labels, Opened, Samples, Split};
use crate::{
    data::{DataError, MOST_BYTES, Transform},
    files,
    text::Show as _,
};

/// The digits that ship with Tandem: MNIST's test split (see `assets/digits/NOTICE.md`).
const DIGITS: (&[u8], &[u8]) = (
    include_bytes!("../../../assets/digits/t10k-images-idx3-ubyte.gz"),
    include_bytes!("../../../assets/digits/t10k-labels-idx1-ubyte.gz"),
);

/// Images as they lie in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data) struct Images {
    /// How many.
    pub(in crate::data) count: usize,
    /// Pixels from top to bottom.
    pub(in crate::data) height: usize,
    /// Pixels from left to right.
    pub(in crate::data) width: usize,
    /// `count · height · width` grey values, row by row.
    pub(in crate::data) pixels: Vec<u8>,
}

/// The shipped digits.
pub(super) fn digits(transform: &Transform) -> Result<Opened, DataError> {
    let images = parse_images(DIGITS.0, Path::new("the shipped digits"))?;
    let labels = parse_labels(DIGITS.1, Path::new("the shipped labels"))?;
    Idx { images, path: "the shipped digits".into(), transposed: false }.with(labels, transform)
}

/// A file's name by its place in a set: before it stands the split, with or without the set's name.
struct Part {
    /// MNIST's own form; others have `.idx3-ubyte` for the last.
    ending: &'static str,
    /// The images' file.
    dotted: &'static str,
}

const IMAGES: Part = Part { ending: "images-idx3-ubyte", dotted: "images.idx3-ubyte" };
const LABELS: Part = Part { ending: "labels-idx1-ubyte", dotted: "labels.idx1-ubyte" };
/// QMNIST's, whose first column is the digit.
const WIDE_LABELS: Part = Part { ending: "labels-idx2-int", dotted: "labels.idx2-int" };

/// A split's images and labels in a folder, under MNIST's usual names or EMNIST's, gzipped or not; or in a folder where
/// torchvision leaves them.
pub(super) fn pair(folder: &Path, split: Split) -> Result<(PathBuf, PathBuf), DataError> {
    let inner = place(folder)?;
    let folder = inner.as_deref().unwrap_or(folder);
    let missing = |part: &Part| {
        let expected = format!("{}-{}", usual(split), part.ending);
        DataError::NotFound { path: folder.to_owned(), expected }
    };
    let images = find(folder, split, &IMAGES)?.ok_or_else(|| missing(&IMAGES))?;
    let labels = match find(folder, split, &LABELS)? {
        Some(labels) => Some(labels),
        None => find(folder, split, &WIDE_LABELS)?,
    };
    Ok((images, labels.ok_or_else(|| missing(&LABELS))?))
}

/// Which split of a set in MNIST's form lies in a folder, if any: the one to train on, where a file of it is there. One that
/// is not whole is an error, and not taken for the other.
pub(super) fn split_in(folder: &Path) -> Result<Option<Split>, DataError> {
    let Some(inner) = place(folder)? else { return Ok(None) };
    for split in [Split::Train, Split::Test] {
        let any = find(&inner, split, &IMAGES)?.is_some() || find(&inner, split, &LABELS)?.is_some();
        if any {
            return pair(folder, split).map(|_| Some(split));
        }
    }
    Ok(None)
}

/// The folder that holds the files: this one, or the one `raw` in it or in a folder of it, where torchvision puts them.
fn place(folder: &Path) -> Result<Option<PathBuf>, DataError> {
    let holds = |folder: &Path| {
        [Split::Train, Split::Test].iter().any(|&split| !matches!(find(folder, split, &IMAGES), Ok(None)))
    };
    let raw = folder.join("raw");
    if holds(folder) {
        return Ok(Some(folder.to_owned()));
    }
    if holds(&raw) {
        return Ok(Some(raw));
    }
    let inner = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    // Among a million pictures no other question is asked of each than this one.
    let folders = inner.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_file()));
    let mut found: Vec<PathBuf> = folders.map(|entry| entry.path().join("raw")).filter(|raw| holds(raw)).collect();
    found.sort();
    match &found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => Err(several_sets(folder, several)),
    }
}

/// Several sets lie in the folders of one; which is meant must be said.
fn several_sets(folder: &Path, found: &[PathBuf]) -> DataError {
    let names: Vec<String> = found.iter().map(|path| path.shown().to_string()).collect();
    let what = format!("it holds several data sets: {}; name one of them as data.path", names.join(", "));
    DataError::Malformed { path: folder.to_owned(), what }
}

fn usual(split: Split) -> &'static str {
    if split == Split::Test { "t10k" } else { "train" }
}

/// A split's file of one part. Before MNIST's own name for it others put the set's, as EMNIST and QMNIST. As published, a
/// folder may have several such files, of sets with other classes; which of them is meant must be said.
fn find(folder: &Path, split: Split, part: &Part) -> Result<Option<PathBuf>, DataError> {
    for name in [part.ending, part.dotted].map(|ending| format!("{}-{ending}", usual(split))) {
        // Some archives unpack to a folder of the file's name that holds it.
        let places = [folder.join(&name), folder.join(format!("{name}.gz")), folder.join(&name).join(&name)];
        if let Some(found) = places.into_iter().find(|path| path.is_file()) {
            return Ok(Some(found));
        }
    }
    let ending = format!("-{}-{}", split.name(), part.ending);
    let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
    // The name without `.gz`, then the name: of two forms of one file the first is taken.
    let mut found: Vec<(String, String)> = Vec::new();
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let plain = name.strip_suffix(".gz").unwrap_or(&name).to_owned();
        if !plain.starts_with('.') && plain.ends_with(&ending) {
            found.push((plain, name));
        }
    }
    found.sort();
    found.dedup_by(|next, first| next.0 == first.0);
    match &found[..] {
        [] => Ok(None),
        [(_, name)] => Ok(Some(folder.join(name))),
        _ => {
            let images = found.into_iter().map(|(_, name)| name).collect();
            Err(DataError::Several { path: folder.to_owned(), images })
        }
    }
}

/// An images' file, with or without a labels' file beside it.
pub(super) fn open(
    images: &Path,
    labels: Option<&PathBuf>,
    transposed: bool,
    transform: &Transform,
) -> Result<Opened, DataError> {
    let found = Idx { images: parse_images(reader(images)?, images)?, path: images.to_owned(), transposed };
    let Some(path) = labels else { return found.with(Vec::new(), transform) };
    let of_images = parse_labels(reader(path)?, path)?;
    if of_images.len() != found.images.count {
        return Err(DataError::LabelCount {
            images: images.shown().to_string(),
            labels: path.shown().to_string(),
            expected: found.images.count,
            found: of_images.len(),
        });
    }
    found.with(of_images, transform)
}

struct Idx {
    images: Images,
    path: PathBuf,
    transposed: bool,
}

impl Idx {
    fn with(self, labels: Vec<u8>, transform: &Transform) -> Result<Opened, DataError> {
        transform.check_digits(self.images.height, self.images.width)?;
        let labels = Labels { of: labels.into_iter().map(u16::from).collect(), ..Labels::default() };
        Ok(Opened { samples: Box::new(self), labels })
    }
}

impl Samples for Idx {
    fn len(&self) -> usize {
        self.images.count
    }

    fn name(&self, index: usize) -> String {
        format!("{}, image {index}", self.path.shown())
    }

    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
        let &Images { height, width, ref pixels, .. } = &self.images;
        let image = &pixels[index * height * width..(index + 1) * height * width];
        buffer.clear();
        if self.transposed {
            buffer.extend((0..width).flat_map(|x| (0..height).map(move |y| image[y * width + x])));
            return Ok(Content::Raw { width: height, height: width, channels: 1 });
        }
        buffer.extend_from_slice(image);
        Ok(Content::Raw { width, height, channels: 1 })
    }
}

fn reader(path: &Path) -> Result<BufReader<File>, DataError> {
    files::open(path).map(BufReader::new).map_err(|source| DataError::Read { path: path.to_owned(), source })
}

pub(in crate::data) fn parse_images(source: impl BufRead, path: &Path) -> Result<Images, DataError> {
    let ([count, height, width], pixels) = parse(source, path)?;
    Ok(Images { count, height, width, pixels })
}

/// QMNIST's labels are rows of numbers of four bytes, of which the first is the digit.
fn parse_labels(mut source: impl BufRead, path: &Path) -> Result<Vec<u8>, DataError> {
    if !path.to_string_lossy().contains(WIDE_LABELS.ending) {
        let ([_], labels) = parse(source, path)?;
        return Ok(labels);
    }
    let ([count, columns], values) = parse_as::<2>(&mut source, path, Kind::Wide)?;
    let row = columns * Kind::Wide.bytes();
    let label = |(i, row): (usize, &[u8])| match *row {
        [0, 0, 0, label, ..] => Ok(label),
        _ => {
            Err(DataError::Malformed { path: path.to_owned(), what: format!("row {i}: its first number is no digit") })
        }
    };
    values.chunks_exact(row).take(count).enumerate().map(label).collect()
}

/// What an IDX file's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bytes = 8,
    Wide = 12,
}

impl Kind {
    const fn bytes(self) -> usize {
        match self {
            Self::Bytes => 1,
            Self::Wide => 4,
        }
    }
}

/// The sizes and the bytes of an IDX file of `D` dimensions.
fn parse<const D: usize>(source: impl BufRead, path: &Path) -> Result<([usize; D], Vec<u8>), DataError> {
    parse_as(source, path, Kind::Bytes)
}

fn parse_as<const D: usize>(
    mut source: impl BufRead,
    path: &Path,
    kind: Kind,
) -> Result<([usize; D], Vec<u8>), DataError> {
    let unread = |source| DataError::Read { path: path.to_owned(), source };
    if !source.fill_buf().map_err(unread)?.starts_with(&GZIP) {
        return parse_plain(source, path, kind, unread);
    }
    let members = Members { current: Some(GzDecoder::new(source)), path };
    parse_plain(members, path, kind, |source| DataError::Malformed {
        path: path.to_owned(),
        what: format!("its gzip stream is broken: {source}; fetch the file again"),
    })
}

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The members of a gzip file, one after the other, as gzip itself reads them: what follows the last of them is ignored, and
/// a word says so, unless it is the filling of a tape.
struct Members<'a, R> {
    current: Option<GzDecoder<R>>,
    path: &'a Path,
}

impl<R: BufRead> Read for Members<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.current {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut rest) = self.current.take().map(GzDecoder::into_inner) else { break };
            let next = rest.fill_buf()?;
            if next.starts_with(&GZIP) || next == &GZIP[..1] {
                self.current = Some(GzDecoder::new(rest));
            } else if next.iter().any(|&byte| byte != 0) {
                tracing::warn!("{}: what follows its gzip data is ignored", self.path.shown());
            }
        }
        Ok(0)
    }
}

/// Memory is taken as values arrive, never for what a header merely promises.
fn parse_plain<const D: usize>(
    mut source: impl Read,
    path: &Path,
    kind: Kind,
    failed: impl Fn(io::Error) -> DataError,
) -> Result<([usize; D], Vec<u8>), DataError> {
    let wrong = |what| DataError::Malformed { path: path.to_owned(), what };
    let mut header = Vec::new();
    source.by_ref().take(4 + 4 * D as u64).read_to_end(&mut header).map_err(&failed)?;
    let sizes = parse_header::<D>(&header, kind).map_err(wrong)?;
    let want = sizes.iter().try_fold(kind.bytes(), |n, &s| n.checked_mul(s)).filter(|&n| n <= MOST_BYTES);
    let want = want.ok_or_else(|| {
        wrong(format!("its sizes {sizes:?} are absurd: at most {} GiB can be trained on", MOST_BYTES >> 30))
    })?;
    let mut values = Vec::new();
    // One more than wanted shows what is left over, and makes gzip check its sum at the end.
    source.take(want as u64 + 1).read_to_end(&mut values).map_err(&failed)?;
    match values.len() {
        found if found < want => Err(wrong(format!(
            "truncated: sizes {sizes:?} need {want} bytes after the header, found {found}; fetch the file again"
        ))),
        found if found > want => {
            Err(wrong(format!("it goes on after the {want} bytes that its sizes {sizes:?} need; is it damaged?")))
        }
        _ => Ok((sizes, values)),
    }
}

/// The sizes in a header of `D` dimensions; what is wrong with it otherwise.
fn parse_header<const D: usize>(header: &[u8], kind: Kind) -> Result<[usize; D], String> {
    let length = 4 + 4 * D;
    match *header {
        [] => return Err("the file is empty".into()),
        [0, 0, found, d, ..] if found == kind as u8 && usize::from(d) == D => {}
        [0, 0, found, d, ..] if found == kind as u8 => {
            let what = if D == 3 { "images" } else { "labels" };
            return Err(format!("it has {d} dimensions, expected {D} ({what})"));
        }
        [0, 0, found, _, ..] => {
            let expected = match kind {
                Kind::Bytes => "0x08 (unsigned bytes)",
                Kind::Wide => "0x0c (numbers of four bytes)",
            };
            return Err(format!("its values are of IDX type {found:#04x}, expected {expected}"));
        }
        _ => {
            let found: Vec<String> = header.iter().take(4).map(|b| format!("{b:02x}")).collect();
            return Err(format!("not an IDX file: it begins with {}, expected 00 00 08 {D:02x}", found.join(" ")));
        }
    }
    if header.len() < length {
        return Err(format!("truncated in the header: {D} sizes make it {length} bytes, found {}", header.len()));
    }
    let mut sizes = [0; D];
    for (size, word) in sizes.iter_mut().zip(header[4..].chunks_exact(4)) {
        *size = word.iter().fold(0_usize, |n, &b| n << 8 | usize::from(b));
    }
    if sizes.contains(&0) { Err(format!("it holds nothing: its sizes are {sizes:?}")) } else { Ok(sizes) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn file(kind: u8, sizes: &[u32], values: usize) -> Vec<u8> {
        let mut bytes = vec![0, 0, kind, sizes.len() as u8];
        for size in sizes {
            bytes.extend(size.to_be_bytes());
        }
        bytes.extend((0..values).map(|i| i as u8));
        bytes
    }

    fn images(bytes: &[u8]) -> Result<Images, String> {
        parse_images(bytes, Path::new("digits")).map_err(|e| e.to_string())
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn reads_sizes_and_pixels() {
        let found = images(&file(8, &[2, 3, 4], 24)).unwrap();
        assert_eq!((found.count, found.height, found.width, found.pixels[23]), (2, 3, 4, 23));
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let message = |bytes: &[u8]| images(bytes).unwrap_err();
        let whole = file(8, &[2, 3, 4], 25);
        assert_eq!(message(&[]), "digits: the file is empty");
        assert_eq!(message(&whole[..15]), "digits: truncated in the header: 3 sizes make it 16 bytes, found 15");
        assert_eq!(
            message(&whole[..16 + 23]),
            "digits: truncated: sizes [2, 3, 4] need 24 bytes after the header, found 23; fetch the file again"
        );
        assert_eq!(
            message(&whole),
            "digits: it goes on after the 24 bytes that its sizes [2, 3, 4] need; is it damaged?"
        );
        assert_eq!(
            message(&file(13, &[2, 3, 4], 24)),
            "digits: its values are of IDX type 0x0d, expected 0x08 (unsigned bytes)"
        );
        assert_eq!(message(&file(8, &[24], 24)), "digits: it has 1 dimensions, expected 3 (images)");
        assert_eq!(message(&file(8, &[0, 3, 4], 0)), "digits: it holds nothing: its sizes are [0, 3, 4]");
        assert_eq!(
            message(b"PNG file, not an IDX"),
            "digits: not an IDX file: it begins with 50 4e 47 20, expected 00 00 08 03"
        );
        assert_eq!(
            message(&file(8, &[u32::MAX; 3], 24)),
            "digits: its sizes [4294967295, 4294967295, 4294967295] are absurd: at most 4 GiB can be trained on"
        );
    }

    #[test]
    fn gzip_is_told_by_content_and_its_damage_is_named() {
        let plain = file(8, &[2, 3, 4], 24);
        let whole = gzipped(&plain);
        assert_eq!(images(&whole).unwrap(), images(&plain).unwrap());
        let cut = images(&whole[..whole.len() - 9]).unwrap_err();
        assert!(cut.starts_with("digits: its gzip stream is broken: "), "{cut}");
        let mut wrong_sum = whole;
        let sum = wrong_sum.len() - 8;
        wrong_sum[sum] ^= 1;
        let damaged = images(&wrong_sum).unwrap_err();
        assert!(damaged.starts_with("digits: its gzip stream is broken: "), "{damaged}");
        assert_eq!(
            images(&gzipped(&plain[..30])).unwrap_err(),
            "digits: truncated: sizes [2, 3, 4] need 24 bytes after the header, found 14; fetch the file again"
        );
    }

    #[test]
    fn several_sets_in_a_folder_are_listed_and_one_is_taken_in_either_form() {
        let folder = tempfile::tempdir().unwrap();
        let create = |name: &str| fs::write(folder.path().join(name), "").unwrap();
        for ending in ["images-idx3-ubyte", "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"] {
            create(&format!("emnist-letters-train-{ending}"));
        }
        let (images, labels) = pair(folder.path(), Split::Train).unwrap();
        assert_eq!(images.file_name().unwrap(), "emnist-letters-train-images-idx3-ubyte");
        assert_eq!(labels.file_name().unwrap(), "emnist-letters-train-labels-idx1-ubyte.gz");
        create("emnist-digits-train-images-idx3-ubyte.gz");
        let message = pair(folder.path(), Split::Train).unwrap_err().to_string();
        let named =
            message.contains("emnist-digits-train-images-idx3-ubyte.gz, emnist-letters-train-images-idx3-ubyte;");
        assert!(named && message.contains("emnist-digits-train-labels-idx1-ubyte.gz"), "{message}");
        assert!(matches!(pair(folder.path(), Split::Test), Err(DataError::NotFound { .. })));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let message = reader(folder.path()).unwrap_err().to_string();
        assert!(message.contains("Is a directory"), "{message}");
        let message = reader(&folder.path().join("none")).unwrap_err().to_string();
        assert!(message.starts_with("cannot read ") && message.contains("No such file"), "{message}");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = images(&bytes);
            let _ = images(&gzipped(&bytes));
            let _ = images(&[&[0x1f, 0x8b, 8, 0], &bytes[..]].concat());
            let _ = images(&[&[0, 0, 8, 3], &bytes[..]].concat());
        }

        #[test]
        fn a_header_never_outgrows_its_file(sizes in prop::array::uniform3(any::<u32>()), values in 0..64_usize) {
            if let Ok(found) = images(&file(8, &sizes, values)) {
                prop_assert_eq!(found.pixels.len(), values);
            }
        }
    }
}
