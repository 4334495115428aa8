//! Pictures of every format against the pixels that Pillow sees in them, whole, cut short, and with something appended.

use std::{fs, path::PathBuf};

use image::{Rgb, RgbImage, Rgba, codecs::jpeg::JpegEncoder};
use proptest::prelude::*;

use super::*;

fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/pictures"))
}

/// Each picture of `tests/python/make_pictures.py`: its name, its bytes and what Pillow sees in it.
fn pictures() -> Vec<(String, Vec<u8>, Picture)> {
    let expected = fs::read(fixtures().join("pixels.json")).unwrap();
    let expected: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&expected).unwrap();
    let picture = |value: &serde_json::Value| {
        let number = |key: &str| value[key].as_u64().unwrap() as usize;
        let hex = value["pixels"].as_str().unwrap().as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        Picture {
            width: number("width"),
            height: number("height"),
            channels: number("channels"),
            pixels: hex.chunks_exact(2).map(byte).collect(),
        }
    };
    expected.iter().map(|(name, v)| (name.clone(), fs::read(fixtures().join(name)).unwrap(), picture(v))).collect()
}

fn decoded(bytes: &[u8]) -> Result<Picture, String> {
    Picture::decode(bytes, Vec::new())
}

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8])
}

/// The largest difference of two pictures' values; grey and RGB of the same grey are the same picture.
fn difference(found: &Picture, expected: &Picture) -> u8 {
    assert_eq!((found.width, found.height), (expected.width, expected.height));
    let values = |p: &Picture, channels: usize| -> Vec<u8> {
        let times = channels / p.channels;
        p.pixels.iter().flat_map(|&v| std::iter::repeat_n(v, times)).collect()
    };
    let channels = found.channels.max(expected.channels);
    values(found, channels).iter().zip(values(expected, channels)).map(|(a, b)| a.abs_diff(b)).max().unwrap()
}

#[test]
fn every_format_has_the_pixels_that_pillow_sees() {
    let all = pictures();
    assert!(all.len() > 80);
    let mut wrong = Vec::new();
    for (name, bytes, expected) in all {
        let (found, head) = match (decoded(&bytes), header(&bytes)) {
            (Ok(found), Ok(head)) => (found, head),
            (found, head) => {
                wrong.push(format!("{name}: {:?}, {:?}", found.err(), head.err()));
                continue;
            }
        };
        let size = (expected.width, expected.height);
        if (head.width, head.height) != size || (found.width, found.height) != size {
            wrong.push(format!("{name}: {}x{}, {}x{}", head.width, head.height, found.width, found.height));
            continue;
        }
        // Decoders of JPEG differ by so much; inks are mixed with another rounding.
        let most = if is_jpeg(&bytes) { 3 } else { u8::from(name == "cmyk.tif") };
        let difference = difference(&found, &expected);
        if difference > most {
            wrong.push(format!("{name}: {difference}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_transparent_is_white_and_what_is_opaque_is_itself() {
    let alpha = [0, 1, 128, 254, 255];
    let image = RgbaImage::from_fn(5, 256, |x, y| Rgba([y as u8, 255 - y as u8, 7, alpha[x as usize]]));
    let expected: Vec<u8> = image
        .pixels()
        .flat_map(|p| {
            [0, 1, 2].map(|c| {
                let share = f64::from(p.0[3]) / 255.0;
                (f64::from(p.0[c]) * share + 255.0 * (1.0 - share)).round() as u8
            })
        })
        .collect();
    assert_eq!(on_white(&image), expected);
}

/// What telephones and programs append; the last three hold an end marker.
fn trailers() -> Vec<Vec<u8>> {
    let mut other = Vec::new();
    JpegEncoder::new(&mut other).encode_image(&RgbImage::from_pixel(20, 20, Rgb([1, 200, 3]))).unwrap();
    let noise: Vec<u8> = (0..4000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        vec![0],
        vec![0; 100_000],
        vec![0xff; 1000],
        b"\0\0\0\x18ftypmp42 a film \0\0\0\x01mdat and more of it: SEFHe\0\0\0SEFT".to_vec(),
        other[..other.len() / 2].to_vec(),
        [&noise[..], b"\xff\xd9"].concat(),
        [&[0; 3000][..], b"\xff\xd9"].concat(),
        other,
    ]
}

#[test]
fn a_whole_picture_stays_whole_whatever_is_appended() {
    for (name, bytes, _) in pictures() {
        let plain = decoded(&bytes).unwrap();
        for (i, trailer) in trailers().iter().enumerate() {
            let longer = [&bytes[..], trailer].concat();
            let found = decoded(&longer).unwrap_or_else(|why| panic!("{name} with trailer {i}: {why}"));
            assert!(found == plain, "{name} with trailer {i}");
            assert!(header(&longer).is_ok(), "{name} with trailer {i}");
        }
    }
}

#[test]
fn a_jpeg_that_is_cut_short_is_found_whatever_is_appended() {
    let scene = RgbImage::from_fn(72, 56, |x, y| Rgb([(x * 3) as u8, (y * 4) as u8, (x * y) as u8]));
    let mut plain = Vec::new();
    JpegEncoder::new_with_quality(&mut plain, 90).encode_image(&scene).unwrap();
    let mut files = vec![("plain".to_owned(), plain)];
    files.extend(pictures().into_iter().filter(|(_, bytes, _)| is_jpeg(bytes)).map(|(name, bytes, _)| (name, bytes)));
    for (name, bytes) in files {
        let whole = decoded(&bytes).unwrap();
        let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
        for end in 2..bytes.len() - 1 {
            let why = decoded(&bytes[..end]).expect_err(&name);
            assert!(!why.contains('\n'), "{name}: {why}");
            // Through the last scan, and here and there before it.
            if end < scan && end % 97 != 0 {
                continue;
            }
            let first = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
            for (i, trailer) in trailers().iter().enumerate() {
                // A picture of which nothing but the beginning of the head is left may be another one's head by now.
                if end < first && i == 7 {
                    continue;
                }
                if let Ok(found) = decoded(&[&bytes[..end], trailer].concat()) {
                    // Where nothing but the end marker was lost, or a few bits that the trailer happens to have.
                    let shown = format!("{name} cut at {end} of {} with trailer {i}", bytes.len());
                    assert!(end + 2 >= bytes.len() && difference(&found, &whole) == 0, "{shown}");
                }
            }
        }
    }
}

#[test]
fn other_formats_that_are_cut_short_are_found() {
    for (name, bytes, _) in pictures() {
        // Nothing tells that a number in words goes on.
        if is_jpeg(&bytes) || name == "words.ppm" {
            continue;
        }
        let whole = decoded(&bytes).unwrap();
        for end in 0..bytes.len() {
            // What stands after the pixels may be lost.
            if let Ok(found) = decoded(&bytes[..end]) {
                let turned = name.starts_with("turned");
                assert!(turned || found == whole, "{name} cut at {end} of {} is taken for whole", bytes.len());
            }
        }
    }
}

#[test]
fn a_thumbnail_in_exif_and_a_late_exif_neither_end_nor_turn_a_jpeg_wrongly() {
    let (_, plain, expected) = pictures().into_iter().find(|(name, ..)| name == "turned-6.jpg").unwrap();
    let mut thumbnail = Vec::new();
    JpegEncoder::new(&mut thumbnail).encode_image(&RgbImage::from_pixel(8, 8, Rgb([9, 9, 9]))).unwrap();
    let segment =
        |code: u8, inside: &[u8]| [&[0xff, code], &(inside.len() as u16 + 2).to_be_bytes()[..], inside].concat();
    // EXIF after another segment of its kind, with a whole JPEG in it.
    let xmp = segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>");
    let at = plain.windows(6).position(|six| six == b"Exif\0\0").unwrap() - 4;
    let length = usize::from(u16::from_be_bytes([plain[at + 2], plain[at + 3]])) + 2;
    let exif = segment(0xe1, &[&plain[at + 4..at + length], &thumbnail[..]].concat());
    let more = segment(0xe1, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0\0\0\0\0");
    let with = [&plain[..at], &xmp, &exif, &more, &plain[at + length..]].concat();
    let found = decoded(&with).unwrap();
    assert!(difference(&found, &expected) <= 3);
    assert!((header(&with).unwrap().width, found.width) == (9, 9));
    let cut = with.len() - plain.len() / 4;
    assert!(decoded(&with[..cut]).unwrap_err().starts_with("truncated"));
    // EXIF that makes no sense turns nothing.
    let broken = segment(0xe1, b"Exif\0\0II*\0\xff\xff\xff\xff");
    let found = decoded(&[&plain[..at], &broken, &plain[at + length..]].concat()).unwrap();
    assert_eq!((found.width, found.height), (13, 9));
}

#[test]
fn bytes_between_segments_harm_nothing_and_hide_nothing() {
    let (_, plain, expected) = pictures().into_iter().find(|(name, ..)| name == "rgb.jfif").unwrap();
    let table = plain.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
    let with = [&plain[..table], b"twelve bytes", &plain[table..]].concat();
    assert!(difference(&decoded(&with).unwrap(), &expected) <= 3);
    for end in with.len() - 60..with.len() - 1 {
        assert!(decoded(&with[..end]).is_err());
    }
}

#[test]
fn a_jpeg_of_a_kind_that_is_not_read_is_named() {
    let (_, plain, _) = pictures().into_iter().find(|(name, ..)| name == "rgb.jfif").unwrap();
    let frame = plain.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let with = |at: usize, value: u8| {
        let mut other = plain.clone();
        other[frame + at] = value;
        (header(&other).unwrap_err(), decoded(&other).unwrap_err())
    };
    for (at, value, kind) in [
        (1, 0xc3, "lossless"),
        (1, 0xc9, "arithmetically coded"),
        (1, 0xc5, "hierarchical"),
        (4, 12, "of 12 bits a value"),
    ] {
        let why = format!("a JPEG that is {kind}, which is not read; save it as a usual (baseline) JPEG, or as PNG");
        assert_eq!(with(at, value), (why.clone(), why));
    }
}

#[test]
fn more_pixels_than_memory_should_hold_are_refused_before_they_are_taken() {
    let huge = 40_000_u32;
    let [b3, b2, b1, b0] = huge.to_be_bytes();
    let bmp = [
        b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
        &huge.to_le_bytes()[..],
        &huge.to_le_bytes(),
        b"\x01\0\x18\0",
        &[0; 24],
    ]
    .concat();
    let ppm = format!("P6 {huge} {huge} 255\n").into_bytes();
    let qoi = [b"qoif", &[b3, b2, b1, b0, b3, b2, b1, b0, 3, 0][..], &[0; 20]].concat();
    let mut tga = vec![0; 18];
    (tga[2], tga[16]) = (2, 24);
    tga[12..16].copy_from_slice(&[b0, b1, b0, b1]);
    let gif = [b"GIF89a", &[b0, b1, b0, b1, 0, 0, 0][..], b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b"].concat();
    for (name, bytes) in [("bmp", bmp), ("ppm", ppm), ("qoi", qoi), ("tga", tga), ("gif", gif)] {
        let why = decoded(&bytes).unwrap_err();
        // QOI's decoder has a limit of its own.
        let own = name == "qoi" && why.contains("invalid image dimensions: 40000x40000");
        assert!(own || why.contains("its size, 40000x40000, is absurd"), "{name}: {why}");
    }
}

#[test]
fn floating_point_values_are_colours_or_refused() {
    let tiff = |value: f32| {
        let image = image::Rgb32FImage::from_pixel(3, 2, Rgb([value, 0.5, 1.0]));
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::from(image).write_to(&mut bytes, ImageFormat::Tiff).unwrap();
        bytes.into_inner()
    };
    assert_eq!(decoded(&tiff(0.25)).unwrap().pixels[..3], [64, 128, 255]);
    for value in [-0.5, 1.5, f32::NAN, f32::INFINITY] {
        let why = decoded(&tiff(value)).unwrap_err();
        assert!(why.contains("expected colours from 0 to 1; save it with 8 or 16 bits"), "{why}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_bytes_never_panic(which in 0..90_usize, at in any::<prop::sample::Index>(), value in any::<u8>(), end in any::<prop::sample::Index>()) {
        let all = PICTURES.with(Vec::clone);
        let mut bytes = all[which % all.len()].1.clone();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if value % 3 == 0 {
            bytes.truncate(end.index(bytes.len()));
        }
        let _ = (decoded(&bytes), header(&bytes));
    }
}

thread_local! {
    static PICTURES: Vec<(String, Vec<u8>, Picture)> = pictures();
}
