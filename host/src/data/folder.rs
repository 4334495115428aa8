//! A folder of JPEG and PNG files as RGB images of one size; folders in it are classes.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use image::{ImageReader, RgbaImage};

use super::DataError;

const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];

/// The images of a folder.
#[derive(Debug)]
pub(super) struct Folder {
    /// Three planes of `size * size` values an image.
    pub(super) pixels: Vec<u8>,
    /// The class of each image, as the alphabetical order of the class folders has it; empty without such.
    pub(super) labels: Vec<u8>,
}

/// Reads every image below `path`, in the order of their names.
///
/// Each is cropped to its central square and brought to `size` pixels, bilinearly and antialiased; what is transparent
/// becomes white. Where all images lie in folders of `path`, these are the classes.
///
/// # Errors
/// No image, a file that is none, more than 256 class folders, or more than `most` bytes in all.
pub(super) fn read(path: &Path, size: usize, most: usize) -> Result<Folder, DataError> {
    let mut files = Vec::new();
    collect(path, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(DataError::NoImages { path: path.to_owned() });
    }
    let length = 3 * size * size;
    let bytes = files.len().saturating_mul(length);
    if bytes > most {
        return Err(DataError::TooLarge { count: files.len(), size, most: most >> 30 });
    }
    let labels = classes(path, &files)?;
    let mut pixels = vec![0; bytes];
    let share = files.len().div_ceil(thread::available_parallelism().map_or(1, Into::into));
    thread::scope(|scope| {
        let parts = files.chunks(share).zip(pixels.chunks_mut(share * length));
        let workers: Vec<_> = parts
            .map(|(files, pixels)| {
                scope.spawn(move || {
                    files.iter().zip(pixels.chunks_exact_mut(length)).try_for_each(|(file, to)| load(file, size, to))
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| DataError::Worker("a decoder panicked; please report the file".into()))?
        })
    })?;
    Ok(Folder { pixels, labels })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let failed = |source| DataError::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known))) {
            files.push(path);
        }
    }
    Ok(())
}

/// Each file's class: the number of the folder of `root` that it lies in.
fn classes(root: &Path, files: &[PathBuf]) -> Result<Vec<u8>, DataError> {
    let folder = |file: &PathBuf| {
        let mut parts = file.strip_prefix(root).ok()?.components();
        let first = parts.next()?;
        parts.next().map(|_| first.as_os_str().to_owned())
    };
    let Some(folders) = files.iter().map(folder).collect::<Option<Vec<_>>>() else { return Ok(Vec::new()) };
    // The files are sorted, but by whole paths: `a-b/x` comes before `a/x`.
    let mut names = folders.clone();
    names.sort();
    names.dedup();
    if names.len() > 256 {
        return Err(DataError::TooManyClasses { path: root.to_owned(), found: names.len() });
    }
    Ok(folders.iter().filter_map(|f| names.binary_search(f).ok()).map(|class| class as u8).collect())
}

/// One image into its three planes.
fn load(file: &Path, size: usize, to: &mut [u8]) -> Result<(), DataError> {
    let malformed = |what: String| DataError::Malformed { path: file.to_owned(), what };
    let reader = ImageReader::open(file).and_then(ImageReader::with_guessed_format);
    let reader = reader.map_err(|source| DataError::Read { path: file.to_owned(), source })?;
    let image = reader.decode().map_err(|e| malformed(format!("cannot be decoded as an image: {e}")))?;
    let square = on_white(&central_square(&image.to_rgba8()));
    let side = (square.len() / 3).isqrt() as u32;
    let resized = resize(&square, side, size).map_err(|e| malformed(format!("cannot be resized: {e}")))?;
    for (i, pixel) in resized.chunks_exact(3).enumerate() {
        for (channel, value) in pixel.iter().enumerate() {
            to[channel * size * size + i] = *value;
        }
    }
    Ok(())
}

fn central_square(image: &RgbaImage) -> RgbaImage {
    let (width, height) = image.dimensions();
    let side = width.min(height);
    image::imageops::crop_imm(image, (width - side) / 2, (height - side) / 2, side, side).to_image()
}

fn on_white(image: &RgbaImage) -> Vec<u8> {
    let blend = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    image.pixels().flat_map(|p| [0, 1, 2].map(|c| blend(p.0[c], p.0[3]))).collect()
}

fn resize(square: &[u8], side: u32, size: usize) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let source = ImageRef::new(side, side, square, PixelType::U8x3)?;
    let mut target = Image::new(size as u32, size as u32, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &options)?;
    Ok(target.into_vec())
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, Rgba};

    use super::*;

    fn paint(path: &Path, width: u32, height: u32, colour: [u8; 3]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(width, height, Rgb(colour)).save(path).unwrap();
    }

    #[test]
    fn folders_are_classes_and_files_come_in_order() {
        let here = tempfile::tempdir().unwrap();
        let at = |name: &str| here.path().join(name);
        paint(&at("cat/1.png"), 8, 8, [250, 0, 0]);
        paint(&at("ant/2.jpg"), 20, 10, [0, 250, 0]);
        paint(&at("ant/1.PNG"), 8, 12, [0, 0, 250]);
        fs::write(at("ant/notes.txt"), "no image").unwrap();
        let found = read(here.path(), 4, 1 << 20).unwrap();
        assert_eq!(found.labels, [0, 0, 1]);
        assert_eq!(found.pixels.len(), 3 * 3 * 16);
        // Planes: the first image is blue, the last red.
        assert_eq!(found.pixels[..48], [[0; 16], [0; 16], [250; 16]].concat());
        assert_eq!(found.pixels[96..112], [250; 16]);
        assert!(found.pixels[64..80].iter().all(|v| v.abs_diff(250) < 4));
        // An image outside of any folder: no classes.
        paint(&at("3.png"), 8, 8, [1, 2, 3]);
        assert!(read(here.path(), 4, 1 << 20).unwrap().labels.is_empty());
    }

    #[test]
    fn the_central_square_is_kept_and_transparency_is_white() {
        let here = tempfile::tempdir().unwrap();
        let mut image = RgbaImage::from_pixel(12, 4, Rgba([255, 0, 0, 255]));
        for (x, _, pixel) in image.enumerate_pixels_mut() {
            if (4..8).contains(&x) {
                *pixel = Rgba([0, 0, 0, 128]);
            }
        }
        image.save(here.path().join("x.png")).unwrap();
        // Half black over white, and nothing of the red sides.
        assert_eq!(read(here.path(), 4, 1 << 20).unwrap().pixels, [127; 48]);
    }

    #[test]
    fn what_is_no_image_is_named() {
        let here = tempfile::tempdir().unwrap();
        let said = |size, most| read(here.path(), size, most).unwrap_err().to_string();
        assert!(
            said(4, 1 << 20)
                .ends_with("holds no images: expected files ending in .jpg, .jpeg or .png in it or its folders")
        );
        fs::write(here.path().join("broken.png"), b"\x89PNG\r\n\x1a\n and no more").unwrap();
        let message = said(4, 1 << 20);
        assert!(message.contains("broken.png: cannot be decoded as an image"), "{message}");
        assert!(said(64, 1000).starts_with("1 images at 64x64 take more than"));
    }
}
