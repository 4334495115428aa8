//! The IDX form of MNIST: a magic number, big-endian sizes, then bytes; gzipped or not, told by content.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use flate2::read::GzDecoder;

use super::DataError;

/// Files beyond this are no IDX that anyone trains on from memory.
const MOST_BYTES: u64 = 4 << 30;

/// Images as they lie in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// How many.
    pub count: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// `count · height · width` grey values, row by row.
    pub pixels: Vec<u8>,
}

/// Reads `idx3-ubyte` images.
pub fn read_images(path: &Path) -> Result<Images, DataError> {
    parse_images(&read(path)?, path)
}

/// Reads `idx1-ubyte` labels.
pub fn read_labels(path: &Path) -> Result<Vec<u8>, DataError> {
    parse_labels(&read(path)?, path)
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    inflate(bytes).map_err(|source| DataError::Malformed {
        path: path.to_owned(),
        what: format!("its gzip stream is broken: {source}; fetch the file again"),
    })
}

/// The bytes themselves, or what they hold if they begin as a gzip stream does.
pub(super) fn inflate(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let read = GzDecoder::new(&bytes[..]).take(MOST_BYTES + 1).read_to_end(&mut plain)?;
    if read as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it holds more than {MOST_BYTES} bytes")));
    }
    Ok(plain)
}

pub(super) fn parse_images(bytes: &[u8], path: &Path) -> Result<Images, DataError> {
    let (sizes, pixels) = parse::<3>(bytes, path)?;
    let [count, height, width] = sizes;
    Ok(Images { count, height, width, pixels: pixels.to_vec() })
}

pub(super) fn parse_labels(bytes: &[u8], path: &Path) -> Result<Vec<u8>, DataError> {
    Ok(parse::<1>(bytes, path)?.1.to_vec())
}

/// The sizes and the values of an IDX file of `D` dimensions, held to what the file really has.
fn parse<'a, const D: usize>(bytes: &'a [u8], path: &Path) -> Result<([usize; D], &'a [u8]), DataError> {
    let wrong = |what: String| DataError::Malformed { path: path.to_owned(), what };
    let header = 4 + 4 * D;
    if bytes.len() < header {
        return Err(wrong(format!(
            "truncated in the header: an IDX header of {D} sizes is {header} bytes, found {}",
            bytes.len()
        )));
    }
    match bytes[..4] {
        [0, 0, 8, d] if usize::from(d) == D => {}
        [0, 0, 8, d] => {
            return Err(wrong(format!(
                "it has {d} dimensions, expected {D} ({})",
                if D == 3 { "images" } else { "labels" }
            )));
        }
        [0, 0, kind, _] => {
            return Err(wrong(format!("its values are of IDX type {kind:#04x}, expected 0x08 (unsigned bytes)")));
        }
        _ => {
            let found: Vec<String> = bytes[..4].iter().map(|b| format!("{b:02x}")).collect();
            return Err(wrong(format!(
                "not an IDX file: it begins with {}, expected 00 00 08 {D:02x}",
                found.join(" ")
            )));
        }
    }
    let mut sizes = [0; D];
    for (size, word) in sizes.iter_mut().zip(bytes[4..header].chunks_exact(4)) {
        *size = word.iter().fold(0_usize, |n, &b| n << 8 | usize::from(b));
    }
    if sizes.contains(&0) {
        return Err(wrong(format!("it is empty: its sizes are {sizes:?}")));
    }
    let want = sizes.iter().try_fold(1_usize, |n, &s| n.checked_mul(s)).filter(|&n| n as u64 <= MOST_BYTES);
    let have = bytes.len() - header;
    match want {
        Some(want) if want == have => Ok((sizes, &bytes[header..])),
        Some(want) if want > have => Err(wrong(format!(
            "truncated: sizes {sizes:?} need {want} bytes after the header, found {have}; fetch the file again"
        ))),
        Some(want) => Err(wrong(format!(
            "{} bytes too many: sizes {sizes:?} need {want} after the header, found {have}",
            have - want
        ))),
        None => Err(wrong(format!("its sizes {sizes:?} are absurd; the file has {have} bytes after the header"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(kind: u8, sizes: &[u32], values: usize) -> Vec<u8> {
        let mut bytes = vec![0, 0, kind, sizes.len() as u8];
        sizes.iter().for_each(|s| bytes.extend(s.to_be_bytes()));
        bytes.extend((0..values).map(|i| i as u8));
        bytes
    }

    fn images(bytes: &[u8]) -> Result<Images, String> {
        parse_images(bytes, Path::new("digits")).map_err(|e| e.to_string())
    }

    #[test]
    fn reads_sizes_and_pixels() {
        let found = images(&file(8, &[2, 3, 4], 24)).unwrap();
        assert_eq!((found.count, found.height, found.width, found.pixels[23]), (2, 3, 4, 23));
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let message = |bytes: &[u8]| images(bytes).unwrap_err();
        assert_eq!(message(&[]), "digits: truncated in the header: an IDX header of 3 sizes is 16 bytes, found 0");
        assert_eq!(
            message(&file(8, &[2, 3, 4], 23)),
            "digits: truncated: sizes [2, 3, 4] need 24 bytes after the header, found 23; fetch the file again"
        );
        assert_eq!(
            message(&file(8, &[2, 3, 4], 25)),
            "digits: 1 bytes too many: sizes [2, 3, 4] need 24 after the header, found 25"
        );
        assert_eq!(
            message(&file(13, &[2, 3, 4], 24)),
            "digits: its values are of IDX type 0x0d, expected 0x08 (unsigned bytes)"
        );
        assert_eq!(message(&file(8, &[24], 24)), "digits: it has 1 dimensions, expected 3 (images)");
        assert_eq!(message(&file(8, &[0, 3, 4], 0)), "digits: it is empty: its sizes are [0, 3, 4]");
        assert_eq!(
            message(b"PNG file, not an IDX"),
            "digits: not an IDX file: it begins with 50 4e 47 20, expected 00 00 08 03"
        );
        assert!(message(&file(8, &[u32::MAX; 3], 24)).contains("are absurd"));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = images(&bytes);
            let _ = inflate(bytes);
        }

        #[test]
        fn a_header_never_outgrows_its_file(sizes in prop::array::uniform3(any::<u32>()), values in 0..64_usize) {
            if let Ok(found) = images(&file(8, &sizes, values)) {
                prop_assert_eq!(found.pixels.len(), values);
            }
        }
    }
}
