//! What a data set is, in few enough words to be kept with a run: enough to tell whether another is the same, and what
//! differs where it is not.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Dataset;
use crate::text::Show as _;

/// A data set's images, labels and their order. Two of equal facts train alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Where the images are from, in words.
    pub source: String,
    /// The version of Tandem that read them.
    pub tandem: String,
    /// How many there are.
    pub images: usize,
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// The classes' names, where they have any.
    pub class_names: Vec<String>,
    /// How many images each class has; empty without labels.
    pub class_images: Vec<usize>,
    /// [`Dataset::fingerprint`]: of the shape, the images and the labels, in their order.
    pub fingerprint: String,
    /// SHA-256 of the images' sums in their order.
    pub in_order: String,
    /// A sum over the images' sums, whatever their order.
    pub any_order: String,
    /// SHA-256 of the labels in their order.
    pub labels: String,
}

/// The most names of classes that a message shows.
const MOST_NAMES: usize = 5;

impl Facts {
    /// Of a data set: one pass over what lies in memory, none over a cache.
    pub fn of(dataset: &Dataset) -> Self {
        let sums = dataset.sums();
        let mut in_order = Sha256::new();
        sums.iter().for_each(|sum| in_order.update(sum.to_le_bytes()));
        let mut labels = Sha256::new();
        dataset.labels().iter().for_each(|label| labels.update(label.to_le_bytes()));
        let mut class_images = vec![0; dataset.classes()];
        for &label in dataset.labels() {
            class_images[usize::from(label)] += 1;
        }
        let labelled = !dataset.labels().is_empty();
        Self {
            source: dataset.about().source.clone(),
            tandem: env!("CARGO_PKG_VERSION").into(),
            images: dataset.len(),
            shape: [dataset.channels(), dataset.size(), dataset.size()],
            class_names: if labelled { dataset.about().class_names.clone() } else { Vec::new() },
            class_images,
            fingerprint: dataset.fingerprint_of(&sums),
            in_order: format!("{:x}", in_order.finalize()),
            any_order: format!("{:x}", sums.iter().fold(0_u128, |sum, &one| sum.wrapping_add(mixed(one)))),
            labels: format!("{:x}", labels.finalize()),
        }
    }

    /// As a checkpoint keeps them.
    pub fn to_json(&self) -> String {
        // Texts and numbers alone: they are JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// What differs between these images (then) and others (now), one fact each; nothing where training cannot tell them apart.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.images != now.images {
            found.push(format!("images: {} then, {} now", self.images, now.images));
        }
        if self.shape != now.shape {
            let told = |[channels, height, width]: [usize; 3]| format!("{channels}x{height}x{width}");
            found.push(format!("their shape: {} then, {} now", told(self.shape), told(now.shape)));
        }
        if self.class_names != now.class_names {
            let (then, now) = (names(&self.class_names, &now.class_names), names(&now.class_names, &self.class_names));
            found.push(format!("names of classes: {then} then, {now} now"));
        }
        let other_images = self.in_order != now.in_order;
        let same_set = (self.images, &self.any_order) == (now.images, &now.any_order);
        if other_images && same_set {
            found.push("their order: the same images in another".into());
        } else if other_images && self.images == now.images {
            found.push("their pixels".into());
        }
        if self.class_images.is_empty() != now.class_images.is_empty() {
            let told = |facts: &Self| if facts.class_images.is_empty() { "none" } else { "some" };
            found.push(format!("labels: {} then, {} now", told(self), told(now)));
        } else if self.class_images != now.class_images {
            found.push(format!("images of each class: {}", counts(&self.class_images, &now.class_images)));
        } else if self.labels != now.labels && !other_images {
            found.push("their labels: as many of each class, on other images".into());
        }
        if found.is_empty() && self.fingerprint != now.fingerprint {
            found.push("their fingerprint".into());
        }
        found
    }
}

/// Bits of a sum spread out, so that sums that are added up do not hide each other.
fn mixed(sum: u32) -> u128 {
    let bytes = Sha256::digest(sum.to_le_bytes());
    bytes.iter().take(16).fold(0, |all: u128, &byte| all << 8 | u128::from(byte))
}

/// How many classes there are, and the first names that the others have not.
fn names(of: &[String], others: &[String]) -> String {
    let own: Vec<String> =
        of.iter().filter(|name| !others.contains(name)).map(|name| format!("`{}`", name.shown())).collect();
    let more = if own.len() > MOST_NAMES { ", …" } else { "" };
    match (of.len(), own.len()) {
        (0, _) => "none".into(),
        (count, 0) => format!("{count}"),
        (count, _) => format!("{count}, of them {}{more}", own[..own.len().min(MOST_NAMES)].join(", ")),
    }
}

/// The first classes whose numbers of images differ.
fn counts(then: &[usize], now: &[usize]) -> String {
    let of = |all: &[usize], class: usize| all.get(class).copied().unwrap_or(0);
    let mut differ = (0..then.len().max(now.len())).filter(|&class| of(then, class) != of(now, class));
    let told = |class| format!("class {class} {} then, {} now", of(then, class), of(now, class));
    let first: Vec<String> = differ.by_ref().take(MOST_NAMES).map(told).collect();
    let more = if differ.next().is_some() { "; …" } else { "" };
    first.join("; ") + more
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::{Crop, Source, Spec, Transform};

    /// Grey pictures of these shades in folders that are classes.
    fn write(root: &std::path::Path, shades: &[(&str, u8)]) {
        for (name, shade) in shades {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::GrayImage::from_pixel(8, 8, image::Luma([*shade])).save(path).unwrap();
        }
    }

    fn facts(shades: &[(&str, u8)], change: impl FnOnce(&mut Spec)) -> Facts {
        let here = tempfile::tempdir().unwrap();
        write(here.path(), shades);
        let source = Source::Folder(here.path().to_owned());
        let mut spec = Spec::new(source, Transform { image_size: 8, crop: Crop::Center, channels: 3 });
        change(&mut spec);
        Facts::of(&Dataset::open(&spec).unwrap())
    }

    const PLAIN: [(&str, u8); 4] = [("a/0.png", 1), ("a/1.png", 2), ("b/0.png", 3), ("b/1.png", 4)];

    fn differences(now: &[(&str, u8)]) -> Vec<String> {
        facts(&PLAIN, |_| ()).differences(&facts(now, |_| ()))
    }

    #[test]
    fn the_same_images_are_the_same_wherever_they_lie_and_from_a_cache() {
        assert_eq!(differences(&PLAIN), Vec::<String>::new());
        // Names of files do not matter while they keep the order.
        assert_eq!(
            differences(&[("a/3.png", 1), ("a/4.png", 2), ("b/7.png", 3), ("b/8.png", 4)]),
            Vec::<String>::new()
        );
        let caches = tempfile::tempdir().unwrap();
        let cached = facts(&PLAIN, |spec| {
            spec.caches = Some(caches.path().to_owned());
            spec.prepare(false).unwrap();
        });
        assert_eq!(facts(&PLAIN, |_| ()).differences(&cached), Vec::<String>::new());
    }

    #[test]
    fn what_differs_is_told() {
        let [a0, a1, b0, b1] = PLAIN;
        assert_eq!(differences(&[a0, a1, b0, ("b/1.png", 9)]), ["their pixels"]);
        assert_eq!(
            differences(&[a0, a1, b0]),
            ["images: 4 then, 3 now", "images of each class: class 1 2 then, 1 now"]
        );
        assert_eq!(differences(&[a0, ("a/1.png", 3), ("b/0.png", 2), b1]), ["their order: the same images in another"]);
        // The folder `a` is called `z` now: every label moves.
        assert_eq!(
            differences(&[("z/0.png", 1), ("z/1.png", 2), b0, b1]),
            ["names of classes: 2, of them `a` then, 2, of them `z` now", "their order: the same images in another"]
        );
        assert_eq!(
            differences(&[a0, a1, b0, b1, ("c/0.png", 5)]),
            [
                "images: 4 then, 5 now",
                "names of classes: 2 then, 3, of them `c` now",
                "images of each class: class 2 0 then, 1 now"
            ]
        );
        let unlabelled = facts(&PLAIN, |spec| spec.labelled = false);
        assert_eq!(
            facts(&PLAIN, |_| ()).differences(&unlabelled),
            ["names of classes: 2, of them `a`, `b` then, none now", "labels: some then, none now"]
        );
        let small = facts(&PLAIN, |spec| spec.transform.image_size = 4);
        assert_eq!(facts(&PLAIN, |_| ()).differences(&small), ["their shape: 3x8x8 then, 3x4x4 now", "their pixels"]);
    }

    #[test]
    fn labels_that_move_between_images_are_told() {
        let mut now = facts(&PLAIN, |_| ());
        now.labels = "other".into();
        assert_eq!(facts(&PLAIN, |_| ()).differences(&now), ["their labels: as many of each class, on other images"]);
    }
}
