//! How a camera held its picture: the one tag of EXIF that changes pixels. EXIF that makes no sense says nothing.

use image::metadata::Orientation;

const ORIENTATION: u16 = 0x0112;

/// The orientation that EXIF data gives, with or without the name that JPEG puts before it and some writers of PNG and
/// WebP do, too.
pub(super) fn orientation(exif: &[u8]) -> Option<Orientation> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let word: fn([u8; 2]) -> u16 = match tiff.get(..4)? {
        b"II*\0" => u16::from_le_bytes,
        b"MM\0*" => u16::from_be_bytes,
        _ => return None,
    };
    let little = tiff[0] == b'I';
    let short = |at: usize| Some(word([*tiff.get(at)?, *tiff.get(at.checked_add(1)?)?]));
    let long = |at: usize| {
        let (first, second) = (u32::from(short(at)?), u32::from(short(at.checked_add(2)?)?));
        Some(if little { first | second << 16 } else { first << 16 | second })
    };
    let directory = long(4)? as usize;
    let entries = usize::from(short(directory)?);
    (0..entries).find_map(|i| {
        let entry = directory.checked_add(2 + 12 * i)?;
        if short(entry)? != ORIENTATION {
            return None;
        }
        // The standard has it as a short; some writers do not.
        let value = match short(entry + 2)? {
            1 => u32::from(*tiff.get(entry + 8)?),
            3 => u32::from(short(entry + 8)?),
            4 => long(entry + 8)?,
            _ => return None,
        };
        Orientation::from_exif(u8::try_from(value).ok()?)
    })
}

/// The orientation of a PNG, wherever among its chunks the EXIF stands: a decoder sees those before the pixels only.
pub(super) fn of_png(png: &[u8]) -> Option<Orientation> {
    let mut at = 8_usize;
    loop {
        let head = png.get(at..at.checked_add(8)?)?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let data = png.get(at + 8..(at + 8).checked_add(length)?)?;
        match &head[4..] {
            b"eXIf" => return orientation(data),
            b"IEND" => return None,
            _ => at += 12 + length,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A directory of one entry: of this tag and type, with these four bytes of value.
    fn exif(order: &[u8], tag: u16, kind: u16, value: [u8; 4]) -> Vec<u8> {
        let little = order[0] == b'I';
        let short = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let long = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        [order, &long(8), &short(1), &short(tag), &short(kind), &long(1), &value, &[0; 4]].concat()
    }

    #[test]
    fn every_orientation_is_read_in_either_order_and_of_any_whole_type() {
        for value in 1..=8_u8 {
            let expected = Orientation::from_exif(value);
            assert!(expected.is_some());
            for (kind, bytes) in [(1, [value, 0, 0, 0]), (3, [value, 0, 0, 0]), (4, [value, 0, 0, 0])] {
                assert_eq!(orientation(&exif(b"II*\0", ORIENTATION, kind, bytes)), expected, "{value} as {kind}");
            }
            for (kind, bytes) in [(1, [value, 0, 0, 0]), (3, [0, value, 0, 0]), (4, [0, 0, 0, value])] {
                let data = exif(b"MM\0*", ORIENTATION, kind, bytes);
                assert_eq!(orientation(&data), expected, "{value} as {kind}");
                assert_eq!(orientation(&[b"Exif\0\0", &data[..]].concat()), expected);
            }
        }
    }

    #[test]
    fn what_makes_no_sense_says_nothing() {
        let good = exif(b"II*\0", ORIENTATION, 3, [6, 0, 0, 0]);
        for end in 0..20 {
            assert_eq!(orientation(&good[..end]), None);
        }
        assert_eq!(orientation(&exif(b"II*\0", ORIENTATION, 3, [9, 0, 0, 0])), None);
        assert_eq!(orientation(&exif(b"II*\0", ORIENTATION, 2, [6, 0, 0, 0])), None);
        assert_eq!(orientation(&exif(b"II*\0", 0x0110, 3, [6, 0, 0, 0])), None);
        assert_eq!(orientation(&[b"II*\0", &u32::MAX.to_le_bytes()[..]].concat()), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = orientation(&bytes);
            let _ = orientation(&[b"II*\0", &bytes[..]].concat());
            let _ = orientation(&[b"MM\0*\0\0\0\x08", &bytes[..]].concat());
            let _ = of_png(&bytes);
        }
    }
}
