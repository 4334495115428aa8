//! Which formats are pictures: by their first bytes when they are read, by their names' endings when they are looked for.

use image::ImageFormat;

/// The endings of files that are looked at. What they hold is told by their content, so that a PNG by the name of a JPEG is
/// read, too.
const ENDINGS: [&str; 25] = [
    "jpg", "jpeg", "jpe", "jfif", "jfi", "jif", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "pbm",
    "pgm", "ppm", "pnm", "pam", "tga", "icb", "vda", "vst", "qoi", "ico",
];

fn ending(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// Whether a file's name says that it holds a picture that can be read.
pub(in crate::data) fn is_picture(name: &str) -> bool {
    ENDINGS.iter().any(|known| ending(name).eq_ignore_ascii_case(known))
}

/// What a server sends in place of a picture that it no longer has.
const WEB_PAGE: &str = "web page";

/// The formats' names, for messages.
pub(super) const NAMES: &str = "JPEG, PNG, WebP, GIF, BMP, TIFF, PNM, TGA, QOI or ICO";

/// What the bytes are: the format and its name; otherwise why they are no picture.
pub(super) fn of(bytes: &[u8]) -> Result<(ImageFormat, &'static str), String> {
    // The 64-bit form of TIFF, which `image` reads but does not tell.
    let big_tiff = bytes.starts_with(b"II+\0") || bytes.starts_with(b"MM\0+");
    let format = if big_tiff { Some(ImageFormat::Tiff) } else { image::guess_format(bytes).ok() };
    let format = format.or_else(|| is_tga(bytes).then_some(ImageFormat::Tga));
    let name = match format {
        Some(ImageFormat::Jpeg) => "JPEG",
        Some(ImageFormat::Png) => "PNG",
        Some(ImageFormat::WebP) => "WebP",
        Some(ImageFormat::Gif) => "GIF",
        Some(ImageFormat::Bmp) => "BMP",
        Some(ImageFormat::Tiff) => "TIFF",
        Some(ImageFormat::Pnm) => "PNM",
        Some(ImageFormat::Tga) => "TGA",
        Some(ImageFormat::Qoi) => "QOI",
        Some(ImageFormat::Ico) => "ICO",
        _ => {
            return Err(match (bytes, other(bytes)) {
                ([], _) => "the file is empty".into(),
                (_, Some(WEB_PAGE)) => "a web page, and no picture; fetch the file again".into(),
                (_, Some(format)) => {
                    format!("a file of the format {format}, which is not read; convert it to PNG or JPEG")
                }
                (_, None) => format!("no picture of a format that is read ({NAMES})"),
            });
        }
    };
    Ok((format.unwrap_or(ImageFormat::Png), name))
}

/// What the bytes are of that cannot be read.
fn other(bytes: &[u8]) -> Option<&'static str> {
    const MAGICS: [(&[u8], &str); 11] = [
        (b"\0\0\0\x0cJXL ", "JPEG XL"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
        (b"#?R", "Radiance HDR"),
        (b"DDS ", "DDS"),
        (b"8BPS", "Photoshop"),
        (b"gimp xcf", "GIMP"),
        (b"%PDF", "PDF"),
        (b"<svg", "SVG"),
    ];
    if let Some((_, name)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(name);
    }
    // The family of MP4 says at its fifth byte which of them it is.
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(match bytes.get(8..12)? {
            b"avif" | b"avis" => "AVIF",
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => "HEIC",
            _ => "MP4 (a film)",
        });
    }
    let start: String = bytes.iter().take(64).map(|&b| char::from(b).to_ascii_lowercase()).collect();
    ["<!doctype html", "<html"].iter().any(|tag| start.trim_start().starts_with(tag)).then_some(WEB_PAGE)
}

/// TGA has no mark at its beginning, and its older form none at all: its head must make sense in all that it says.
fn is_tga(bytes: &[u8]) -> bool {
    let Some(head) = bytes.first_chunk::<18>() else { return false };
    let [_, map, kind, .., depth, descriptor] = *head;
    let some = |at: usize| head[at..at + 2] != [0, 0];
    let fits = match (kind, map) {
        (1 | 9, 1) => some(5) && matches!(head[7], 15 | 16 | 24 | 32) && depth == 8,
        (2 | 10, 0) => matches!(depth, 15 | 16 | 24 | 32),
        (3 | 11, 0) => matches!(depth, 8 | 16),
        _ => false,
    };
    fits && some(12) && some(14) && descriptor & 0xc0 == 0 && descriptor & 15 <= 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_names_ending_says_whether_a_file_is_looked_at() {
        for name in ["a.jpg", "b/c.JFIF", "a.tar/d.Tiff", "x.y.png", "a.jpe", "a.bmp", "a.pgm", "a.tga", "a.qoi"] {
            assert!(is_picture(name), "{name}");
        }
        for name in ["png", "a.png/b", "a.txt", "a.jpg.bak", "a.heic", "", ".", "a."] {
            assert!(!is_picture(name), "{name}");
        }
    }

    #[test]
    fn what_is_not_read_is_called_by_its_name() {
        let of = |bytes: &[u8]| of(bytes).map(|(_, name)| name);
        assert_eq!(of(b""), Err("the file is empty".into()));
        assert_eq!(of(b"only words"), Err(format!("no picture of a format that is read ({NAMES})")));
        for (bytes, name) in [
            (&b"\0\0\0\x1cftypavif\0\0\0\0"[..], "AVIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0", "MP4"),
            (b"\xff\x0a\x00\x00", "JPEG XL"),
            (b"#?RADIANCE\n", "Radiance HDR"),
            (b"\x76\x2f\x31\x01\x02\0\0\0", "OpenEXR"),
        ] {
            let why = of(bytes).unwrap_err();
            assert!(why.contains(name) && why.contains("convert it to PNG or JPEG"), "{why}");
        }
        assert!(of(b"\n<!DOCTYPE HTML><html>404").unwrap_err().starts_with("a web page"));
    }

    #[test]
    fn tga_is_told_by_a_head_that_makes_sense_and_words_are_not_taken_for_it() {
        let mut head = [0; 18];
        (head[2], head[12], head[14], head[16]) = (2, 4, 4, 24);
        assert_eq!(of(&head).map(|(_, name)| name), Ok("TGA"));
        for (at, value) in [(1, 1), (2, 4), (12, 0), (14, 0), (16, 12), (17, 0xc0)] {
            let mut other = head;
            other[at] = value;
            assert!(of(&other).is_err(), "byte {at}");
        }
        assert!(!is_tga(b"a file of words and nothing else"));
    }
}
