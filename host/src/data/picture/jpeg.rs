//! JPEG: what its segments say, where its own stream ends, and its pixels. The decoder gets that stream and nothing else, so
//! that what a telephone appends (a film, a second picture, padding) neither counts nor hides that the picture is cut short.

use std::cell::Cell;

use image::{DynamicImage, GrayImage, RgbImage, metadata::Orientation};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{
        bytestream::{ZByteIoError, ZByteReaderTrait, ZSeekFrom},
        colorspace::ColorSpace,
        options::DecoderOptions,
    },
};

use super::{check_size, exif};

// Markers, without the 0xff that begins each.
const RESTARTS: std::ops::RangeInclusive<u8> = 0xd0..=0xd7;
const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const INTERVAL: u8 = 0xdd;
const EXIF: u8 = 0xe1;

/// Bytes that may follow the last pixels before the end marker. Some cameras leave a few; a picture that was cut short and
/// to which something else was appended has more.
const MOST_LEFT_OVER: usize = 32;
/// What the decoder sees after the stream: ones, which no Huffman code consists of, so that it cannot miss that pixels are
/// missing, as it would with an end marker. It reads up to eight bytes ahead.
const TAIL: [u8; 34] = {
    let mut tail = [0xff; 34];
    let mut i = 1;
    while i < 32 {
        tail[i] = 0;
        i += 2;
    }
    tail[33] = END;
    tail
};

/// What the segments before the first scan say.
pub(super) struct Outline {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) grey: bool,
    pub(super) orientation: Orientation,
    progressive: bool,
    /// Each component's name and how many of its blocks stand side by side and below each other.
    components: Vec<(u8, usize, usize)>,
    /// After how many units a restart marker stands; 0 of none.
    interval: usize,
    /// Whether other bytes stand between segments.
    stray: bool,
    /// Where the first scan's segment begins, after its marker.
    scan: usize,
}

/// A marker: its code, and where it begins and ends.
#[derive(Clone, Copy)]
struct Marker {
    code: u8,
    start: usize,
    end: usize,
}

/// The first marker at byte `at` or after it.
fn marker(bytes: &[u8], mut at: usize) -> Result<Marker, String> {
    let cut = || format!("truncated: its end marker is missing; the file ends at byte {}", bytes.len());
    loop {
        at += bytes.get(at..).and_then(|rest| memchr::memchr(0xff, rest)).ok_or_else(cut)?;
        match *bytes.get(at + 1).ok_or_else(cut)? {
            // A value of 0xff among pixels.
            0 => at += 2,
            // Filling.
            0xff => at += 1,
            code => return Ok(Marker { code, start: at, end: at + 2 }),
        }
    }
}

/// What a segment holds, which begins at byte `at` with its length.
fn segment(bytes: &[u8], at: usize) -> Result<&[u8], String> {
    let length = bytes.get(at..at + 2).map_or(2, |b| usize::from(u16::from_be_bytes([b[0], b[1]])));
    if length < 2 {
        return Err(format!("damaged: the segment at byte {at} says that it is {length} bytes long"));
    }
    let (end, all) = (at + length, bytes.len());
    bytes.get(at + 2..end).ok_or_else(|| format!("truncated: a segment ends at byte {end}, the file at {all}"))
}

impl Outline {
    /// Reads no further than the first scan's beginning.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut outline = Self {
            width: 0,
            height: 0,
            grey: false,
            orientation: Orientation::NoTransforms,
            progressive: false,
            components: Vec::new(),
            interval: 0,
            stray: false,
            scan: 0,
        };
        let (mut at, mut turned) = (2, false);
        loop {
            let Marker { code, start, end } = marker(bytes, at)?;
            outline.stray |= start != at;
            at = end;
            match code {
                // They stand alone.
                0x01 | 0xd0..=0xd7 => {
                    outline.stray = true;
                    continue;
                }
                START => return Err(format!("truncated: another picture begins at byte {start}, before its pixels")),
                END => return Err(format!("its end marker, at byte {start}, comes before its pixels")),
                SCAN if outline.components.is_empty() => {
                    return Err(format!("damaged: its pixels begin at byte {start}, before their size is known"));
                }
                SCAN => {
                    outline.scan = end;
                    return Ok(outline);
                }
                _ => {}
            }
            let inside = segment(bytes, at)?;
            match code {
                // The tables of Huffman codes and of arithmetic ones have numbers among the frames'.
                0xc4 | 0xcc => {}
                0xc0..=0xcf => outline.frame(code, inside, start)?,
                INTERVAL => outline.interval = interval(inside),
                // The first counts; what follows may be of an embedded picture.
                EXIF if !turned && inside.starts_with(b"Exif\0\0") => {
                    turned = true;
                    outline.orientation = exif::orientation(inside).unwrap_or(Orientation::NoTransforms);
                }
                _ => {}
            }
            at += 2 + inside.len();
        }
    }

    fn frame(&mut self, code: u8, inside: &[u8], start: usize) -> Result<(), String> {
        let unread = |what: &str| {
            Err(format!("a JPEG that is {what}, which is not read; save it as a usual (baseline) JPEG, or as PNG"))
        };
        match code {
            0xc0..=0xc2 => {}
            0xc3 => return unread("lossless"),
            0xc5..=0xc7 | 0xcd..=0xcf => return unread("hierarchical"),
            _ => return unread("arithmetically coded"),
        }
        let damaged = || format!("damaged: byte {start} does not begin the description of a picture");
        let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = inside else { return Err(damaged()) };
        if precision != 8 {
            return unread(&format!("of {precision} bits a value"));
        }
        let components = rest.chunks_exact(3).map(|c| (c[0], usize::from(c[1] >> 4), usize::from(c[1] & 15)));
        self.components = components.filter(|&(_, h, v)| (1..=4).contains(&h) && (1..=4).contains(&v)).collect();
        if count == 0 || self.components.len() != usize::from(count) || rest.len() != 3 * usize::from(count) {
            return Err(damaged());
        }
        (self.width, self.height) =
            (usize::from(u16::from_be_bytes([w1, w0])), usize::from(u16::from_be_bytes([h1, h0])));
        (self.progressive, self.grey) = (code == 0xc2, count == 1);
        Ok(())
    }

    /// How many restart markers a scan has, by its segment.
    fn restarts(&self, scan: &[u8], interval: usize) -> usize {
        let most = |of: fn(&(u8, usize, usize)) -> usize| self.components.iter().map(of).max().unwrap_or(1);
        let (across, down) = (most(|c| c.1), most(|c| c.2));
        let units =
            match *scan {
                // A component alone goes block by block, and only as far as the picture does.
                [1, name, ..] => self.components.iter().find(|c| c.0 == name).map_or(0, |&(_, h, v)| {
                    (self.width * h).div_ceil(8 * across) * (self.height * v).div_ceil(8 * down)
                }),
                _ => self.width.div_ceil(8 * across) * self.height.div_ceil(8 * down),
            };
        if interval == 0 { 0 } else { units.div_ceil(interval).saturating_sub(1) }
    }

    /// Where the stream ends, before its end marker, and how many scans it has.
    fn end(&self, bytes: &[u8]) -> Result<(usize, usize), String> {
        let (mut at, mut interval, mut scans) = (self.scan, self.interval, 0);
        loop {
            scans += 1;
            let scan = segment(bytes, at)?;
            at += 2 + scan.len();
            let mut restarts = 0;
            let mut next = marker(bytes, at)?;
            while RESTARTS.contains(&next.code) {
                restarts += 1;
                next = marker(bytes, next.end)?;
            }
            let expected = self.restarts(scan, interval);
            if restarts < expected {
                return Err(format!(
                    "truncated: {restarts} of {expected} restart markers stand before byte {}, where its scan ends",
                    next.start
                ));
            }
            while next.code != SCAN {
                match next.code {
                    END => return Ok((next.start, scans)),
                    0xc4 | 0xcc | 0xdb..=0xef | 0xfe => {}
                    START => {
                        return Err(format!("truncated: another picture begins at byte {} before it ends", next.start));
                    }
                    code => {
                        return Err(format!(
                            "damaged: a marker ff {code:02x} stands among its pixels at byte {}",
                            next.start
                        ));
                    }
                }
                let inside = segment(bytes, next.end)?;
                if next.code == INTERVAL {
                    interval = self::interval(inside);
                }
                next = marker(bytes, next.end + 2 + inside.len())?;
            }
            at = next.end;
        }
    }
}

fn interval(inside: &[u8]) -> usize {
    inside.get(..2).map_or(0, |b| usize::from(u16::from_be_bytes([b[0], b[1]])))
}

/// A picture, turned as its EXIF says; `spare` is memory for its pixels.
pub(super) fn decode(bytes: &[u8], spare: Vec<u8>) -> Result<DynamicImage, String> {
    let outline = Outline::read(bytes)?;
    check_size(outline.width, outline.height)?;
    let (end, scans) = outline.end(bytes)?;
    let tail = match (outline.progressive, scans) {
        (false, _) => &TAIL[..32],
        // Of these the decoder wants to see the end of the first scan at once.
        (true, 1) => &TAIL[32..],
        (true, _) => &TAIL[..],
    };
    let mut image = if outline.stray {
        pixels(&outline, &without_stray(bytes, end)?, tail, spare)
    } else {
        pixels(&outline, &bytes[..end], tail, spare)
    }?;
    image.apply_orientation(outline.orientation);
    Ok(image)
}

/// The stream with its segments one right after the other. Some cameras leave other bytes between them, which harm nothing,
/// but about which the decoder is strict or forgives everything.
fn without_stray(bytes: &[u8], end: usize) -> Result<Vec<u8>, String> {
    let mut clean = bytes[..2].to_vec();
    let mut at = 2;
    loop {
        let found = marker(bytes, at)?;
        at = found.end;
        if found.code == SCAN {
            clean.extend_from_slice(&bytes[found.start..end]);
            return Ok(clean);
        }
        if found.code != 0x01 && !RESTARTS.contains(&found.code) {
            at += 2 + segment(bytes, at)?.len();
            clean.extend_from_slice(&bytes[found.start..at]);
        }
    }
}

fn pixels(outline: &Outline, stream: &[u8], tail: &[u8], spare: Vec<u8>) -> Result<DynamicImage, String> {
    let reached = Cell::new(0);
    // Some of its messages run over several lines.
    let words = |e: zune_jpeg::errors::DecodeErrors| {
        let why = e.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if reached.get() + 8 < stream.len() {
            return why;
        }
        format!("truncated: its pixels end early, at byte {} ({why})", stream.len())
    };
    let wanted = if outline.grey { ColorSpace::Luma } else { ColorSpace::RGB };
    let options = DecoderOptions::default()
        .set_max_width(1 << 16)
        .set_max_height(1 << 16)
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(wanted);
    let mut decoder = JpegDecoder::new_with_options(Stream { bytes: stream, tail, at: 0, reached: &reached }, options);
    decoder.decode_headers().map_err(words)?;
    let mut pixels = spare;
    pixels.clear();
    pixels.resize(decoder.output_buffer_size().ok_or("it has no size")?, 0);
    decoder.decode_into(&mut pixels).map_err(words)?;
    if reached.get() + 8 + MOST_LEFT_OVER < stream.len() {
        return Err(format!(
            "truncated: its pixels end at byte {}, and something else stands there before its end marker at {}",
            reached.get(),
            stream.len()
        ));
    }
    let (width, height) = (outline.width as u32, outline.height as u32);
    let image = if outline.grey {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    image.ok_or_else(|| "its pixels are not as many as its size says".into())
}

/// A stream and what the decoder is to see after it.
struct Stream<'a> {
    bytes: &'a [u8],
    tail: &'a [u8],
    at: usize,
    /// Where the decoder last took pixels' bytes: those come by fours, and nothing else does.
    reached: &'a Cell<usize>,
}

impl Stream<'_> {
    fn length(&self) -> usize {
        self.bytes.len() + self.tail.len()
    }

    /// As many bytes from here as there are.
    fn copy(&self, to: &mut [u8]) -> usize {
        let rest = self.bytes.iter().chain(self.tail).skip(self.at);
        to.iter_mut().zip(rest).map(|(to, from)| *to = *from).count()
    }
}

impl ZByteReaderTrait for Stream<'_> {
    #[inline]
    fn read_byte_no_error(&mut self) -> u8 {
        let at = self.at;
        self.at += 1;
        match self.bytes.get(at) {
            Some(&byte) => byte,
            None => self.tail.get(at - self.bytes.len()).copied().unwrap_or(0),
        }
    }

    #[inline]
    fn read_exact_bytes(&mut self, buffer: &mut [u8]) -> Result<(), ZByteIoError> {
        if buffer.len() == 4 {
            self.reached.set(self.at);
        }
        self.peek_exact_bytes(buffer)?;
        self.at += buffer.len();
        Ok(())
    }

    fn read_bytes(&mut self, buffer: &mut [u8]) -> Result<usize, ZByteIoError> {
        let count = self.copy(buffer);
        self.at += count;
        Ok(count)
    }

    fn peek_bytes(&mut self, buffer: &mut [u8]) -> Result<usize, ZByteIoError> {
        Ok(self.copy(buffer))
    }

    #[inline]
    fn peek_exact_bytes(&mut self, buffer: &mut [u8]) -> Result<(), ZByteIoError> {
        if let Some(from) = self.bytes.get(self.at..).and_then(|rest| rest.get(..buffer.len())) {
            buffer.copy_from_slice(from);
            return Ok(());
        }
        match self.copy(buffer) {
            count if count == buffer.len() => Ok(()),
            count => Err(ZByteIoError::NotEnoughBytes(count, buffer.len())),
        }
    }

    #[inline]
    fn z_seek(&mut self, from: ZSeekFrom) -> Result<u64, ZByteIoError> {
        let to = match from {
            ZSeekFrom::Start(at) => usize::try_from(at).ok(),
            ZSeekFrom::End(by) => self.length().checked_add_signed(by as isize),
            ZSeekFrom::Current(by) => self.at.checked_add_signed(by as isize),
        };
        self.at = to.ok_or(ZByteIoError::SeekError("outside of the file"))?;
        Ok(self.at as u64)
    }

    #[inline]
    fn is_eof(&mut self) -> Result<bool, ZByteIoError> {
        Ok(self.at >= self.length())
    }

    fn z_position(&mut self) -> Result<u64, ZByteIoError> {
        Ok(self.at as u64)
    }

    fn read_remaining(&mut self, sink: &mut Vec<u8>) -> Result<usize, ZByteIoError> {
        let before = sink.len();
        sink.extend(self.bytes.iter().chain(self.tail).skip(self.at));
        self.at = self.length().max(self.at);
        Ok(sink.len() - before)
    }
}
