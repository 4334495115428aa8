//! What lies among the images of a data set and is none: counted, and the first of each kind named, so that what was meant to
//! be data is not left behind in silence.

use std::collections::BTreeMap;

use super::names;
use crate::text::Show as _;

/// Endings of pictures that cameras and programs write; those that are read are not asked about.
const PICTURES: [&str; 36] = [
    "arw", "avif", "bmp", "cr2", "cr3", "dds", "dib", "dng", "exr", "gif", "hdr", "heic", "heif", "ico", "j2k", "jfif",
    "jp2", "jpe", "jpf", "jpg", "jpeg", "jxl", "nef", "orf", "pbm", "pgm", "png", "pnm", "ppm", "psd", "qoi", "raf",
    "rw2", "tga", "tif", "tiff",
];
/// Endings of archives and of files that were compressed.
const ARCHIVES: [&str; 16] =
    ["7z", "bz2", "gz", "lz4", "lzma", "mdb", "rar", "tar", "tbz2", "tgz", "txz", "tzst", "xz", "z", "zip", "zst"];
/// Files without a picture's ending that are looked into, of each ending.
const LOOKED_AT: usize = 4;
/// Endings that are told apart; others are one.
const MOST_ENDINGS: usize = 64;
/// Bytes that tell a picture.
pub(super) const HEAD: usize = 16;

/// Why something is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// Its name is hidden or the system's own.
    Hidden,
    /// An archive among images.
    Archive,
    /// An image among archives.
    Image,
    /// A link that leads nowhere.
    Dangling,
    /// A link to a folder that is taken already, or that it lies in.
    Again,
    /// A pipe, a socket or a device.
    Special,
    /// A class without an image.
    Lonely,
    /// A class that is not in a tar file.
    Class,
}

/// What is being passed over while a source is listed; `P` is where one may be looked into.
pub(super) struct Passed<P> {
    counts: BTreeMap<Why, (usize, Vec<u8>)>,
    endings: BTreeMap<String, Others<P>>,
}

/// The files of one ending.
struct Others<P> {
    count: usize,
    /// The first by name.
    first: Vec<(Vec<u8>, P)>,
}

/// What was passed over, in words: a line for each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::data) struct PassedOver {
    /// What nobody will miss.
    pub(in crate::data) hidden: Option<String>,
    /// What may have been meant to be data.
    pub(in crate::data) lines: Vec<String>,
}

impl<P> Passed<P> {
    pub(super) const fn new() -> Self {
        Self { counts: BTreeMap::new(), endings: BTreeMap::new() }
    }

    /// Something that is no file, or a file of a kind that is never looked into.
    pub(super) fn count(&mut self, why: Why, name: &[u8]) {
        let (count, first) = self.counts.entry(why).or_insert_with(|| (0, name.to_vec()));
        *count += 1;
        if names::order(name, first).is_lt() {
            *first = name.to_vec();
        }
    }

    /// A file that is no image by its name.
    pub(super) fn file(&mut self, name: &[u8], place: impl FnOnce() -> P) {
        let mut ending = names::ending(name);
        if ARCHIVES.contains(&ending.as_str()) {
            return self.count(Why::Archive, name);
        }
        if self.endings.len() >= MOST_ENDINGS && !PICTURES.contains(&ending.as_str()) {
            ending = "…".into();
        }
        let others = self.endings.entry(ending).or_insert(Others { count: 0, first: Vec::new() });
        others.count += 1;
        let at = others.first.partition_point(|(before, _)| names::order(before, name).is_lt());
        if at < LOOKED_AT {
            others.first.truncate(LOOKED_AT - 1);
            others.first.insert(at, (name.to_vec(), place()));
        }
    }

    /// Looks into what may be a picture by another name; `head` gives a file's first bytes.
    pub(super) fn finish(self, mut head: impl FnMut(&P) -> Vec<u8>) -> PassedOver {
        let mut over = PassedOver::default();
        for (why, (count, first)) in &self.counts {
            let line = why.line(*count, &names::text(first).shown().to_string());
            if *why == Why::Hidden { over.hidden = Some(line) } else { over.lines.push(line) }
        }
        for (ending, others) in self.endings {
            over.lines.extend(others.line(&ending, &mut head));
        }
        over
    }
}

impl Why {
    fn line(self, count: usize, first: &str) -> String {
        let (one, many, advice) = match self {
            Self::Hidden => ("hidden or system file or folder", "hidden or system files and folders", ""),
            Self::Archive => (
                "archive or compressed file",
                "archives or compressed files",
                "; to take what one holds, name it alone",
            ),
            Self::Image => ("image beside the tar files", "images beside the tar files", ""),
            Self::Dangling => {
                ("link that leads nowhere", "links that lead nowhere", "; restore what it led to, or remove it")
            }
            Self::Again => (
                "link to a folder that is taken already or that it lies in",
                "links to folders that are taken already or that they lie in",
                "",
            ),
            Self::Special => ("pipe, socket or device", "pipes, sockets or devices", ""),
            Self::Class => ("class (.cls)", "classes (.cls)", "; these are read from tar files alone"),
            Self::Lonely => ("class (.cls) without an image", "classes (.cls) without an image", ""),
        };
        match count {
            1 => format!("1 {one}: {first}{advice}"),
            _ => format!("{count} {many}, the first of them {first}{advice}"),
        }
    }
}

impl<P> Others<P> {
    /// `None` of files that are no pictures.
    fn line(&self, ending: &str, head: &mut impl FnMut(&P) -> Vec<u8>) -> Option<String> {
        let count = self.count;
        let files = if count == 1 { "file" } else { "files" };
        let named = match ending {
            "" => format!("{count} {files} without an ending"),
            "…" => format!("{count} {files} of rare endings"),
            _ => format!("{count} {files} ending in .{}", ending.shown()),
        };
        if PICTURES.contains(&ending) {
            let first = names::text(&self.first.first()?.0).shown().to_string();
            let them = if count == 1 { "it" } else { "them" };
            return Some(format!("{named}, which is not read, the first of them {first}; convert {them} to PNG"));
        }
        let (name, (format, advice)) =
            self.first.iter().find_map(|(name, place)| picture(&head(place)).map(|found| (name, found)))?;
        let name = names::text(name);
        Some(format!("{named}; {} is a {format} file by its content: {advice}", name.shown()))
    }
}

/// What picture begins so, and what to do about a file of it.
fn picture(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let convert = "convert it to PNG";
    match head {
        [0xff, 0xd8, 0xff, ..] => Some(("JPEG", "let its name end in .jpg")),
        [0x89, b'P', b'N', b'G', 13, 10, 26, 10, ..] => Some(("PNG", "let its name end in .png")),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(("WebP", "let its name end in .webp")),
        [b'G', b'I', b'F', b'8', ..] => Some(("GIF", "let its name end in .gif")),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(("TIFF", "let its name end in .tif")),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(("BMP", "let its name end in .bmp")),
        [_, _, _, _, b'f', b't', b'y', b'p', b'h', b'e' | b'i', b'c' | b'f', ..] => Some(("HEIF", convert)),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => Some(("AVIF", convert)),
        [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => Some(("JPEG XL", convert)),
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] => Some(("JPEG 2000", convert)),
        _ => None,
    }
}

impl PassedOver {
    /// Every line, that of what is hidden first.
    pub(in crate::data) fn all(&self) -> Vec<String> {
        self.hidden.iter().chain(&self.lines).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_are_not_read_are_counted_by_ending_and_found_by_content() {
        let mut passed = Passed::new();
        for (name, head) in [
            ("b/2.gif", &b"x"[..]),
            ("a/1.GIF", b"x"),
            ("notes.txt", b"only words"),
            ("x.dat", b"GIF89a"),
            ("0123abcd", b"\xff\xd8\xff\xe0"),
            ("backup.tar", b""),
        ] {
            passed.file(name.as_bytes(), || head.to_vec());
        }
        passed.count(Why::Dangling, b"cats");
        let over = passed.finish(Vec::clone);
        assert_eq!(over.hidden, None);
        assert_eq!(
            over.lines,
            [
                "1 archive or compressed file: backup.tar; to take what one holds, name it alone",
                "1 link that leads nowhere: cats; restore what it led to, or remove it",
                "1 file without an ending; 0123abcd is a JPEG file by its content: let its name end in .jpg",
                "1 file ending in .dat; x.dat is a GIF file by its content: let its name end in .gif",
                "2 files ending in .gif, which is not read, the first of them a/1.GIF; convert them to PNG",
            ]
        );
    }

    #[test]
    fn the_first_files_are_the_same_in_whatever_order_they_come_and_few_are_kept() {
        let mut passed = Passed::new();
        for number in [5, 3, 8, 1, 9, 2, 7] {
            passed.file(format!("{number}.x").as_bytes(), || number);
        }
        let mut seen = Vec::new();
        passed.finish(|number| {
            seen.push(*number);
            Vec::new()
        });
        assert_eq!(seen, [1, 2, 3, 5]);
        let mut passed = Passed::new();
        (0..1000).for_each(|number| passed.file(format!("{number}.{number}").as_bytes(), || ()));
        assert_eq!(passed.endings.len(), MOST_ENDINGS + 1);
    }
}
