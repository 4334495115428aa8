//! Tar files as `WebDataset` has them: samples are neighbouring entries of one name, `key.jpg` and `key.cls`. Without such
//! labels a tar is the tree of files that it unpacks to.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader},
    os::unix::{ffi::OsStrExt as _, fs::FileExt as _},
    path::Path,
};

use ::tar::EntryType;

use super::{
    Content, Labels, Listed, Opened, Samples,
    compressed::compression,
    is_image,
    labels::plain,
    names,
    passed::{HEAD, Passed, PassedOver, Why},
    regular,
    shards::{Shards, Stamp},
    tree::{Member, Members, Tree},
};
use crate::{data::DataError, files, text::Show as _};

/// A block of a tar file; two of nothing but zeros end it.
const BLOCK: u64 = 512;
/// A class is a number.
const MOST_OF_A_CLASS: usize = 4096;

/// The file itself, or the tar files of a folder in the order of their names.
pub(super) fn files(path: &Path) -> Result<Listed, DataError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()].into());
    }
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    let (mut files, mut passed) = (Vec::new(), Passed::new());
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.as_bytes();
        match names::ending(name).as_str() {
            _ if names::is_hidden(name) => passed.count(Why::Hidden, name),
            "tar" => files.push(entry.path()),
            _ if is_image(&names::text(name)) => passed.count(Why::Image, name),
            _ => passed.file(name, || ()),
        }
    }
    let passed = passed.finish(|()| Vec::new());
    if files.is_empty() {
        let what = match passed.lines.join("; ") {
            none if none.is_empty() => "it holds no tar shards: expected `NAME.tar` in it".to_owned(),
            lines => format!("it holds no tar shards: expected `NAME.tar` in it, found {lines}"),
        };
        return Err(DataError::Malformed { path: path.to_owned(), what });
    }
    files.sort();
    Ok(Listed { files, passed })
}

/// Where an entry's bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    start: u64,
    length: u64,
}

struct Entry {
    shard: u32,
    name: Box<[u8]>,
    place: Result<Place, Box<str>>,
}

#[derive(Default)]
struct Tar {
    shards: Shards,
    entries: Vec<Entry>,
}

/// What a tar file holds, each name with where its bytes lie.
struct Shard {
    file: File,
    stamp: Stamp,
    members: Members<Place>,
}

/// A member's shard and place there, or why it has none.
type InShard = (usize, Result<Place, String>);

/// What is gathered from all shards.
#[derive(Default)]
struct Gathered {
    tar: Tar,
    /// The class of each image by its `.cls`.
    classes: Vec<Option<u16>>,
    /// The lists of labels by name, each with its shard and place.
    lists: Vec<(Vec<u8>, InShard)>,
}

pub(super) fn open(path: &Path, listed: &Listed) -> Result<(Opened, PassedOver), DataError> {
    let (mut all, mut passed) = (Gathered::default(), Passed::new());
    for (number, file) in listed.files.iter().enumerate() {
        let shard = read_shard(file)?;
        all.take(file, number, &shard, &mut passed)?;
        all.tar.shards.push(file.clone(), shard.stamp);
    }
    let Gathered { tar, classes, lists } = all;
    let mut over = passed.finish(|&(shard, Place { start, length })| tar.head(shard, start, length));
    over.lines.splice(0..0, listed.passed.lines.iter().cloned());
    if tar.entries.is_empty() {
        return Err(DataError::no_images(path, &over));
    }
    let labels = if classes.iter().any(Option::is_some) {
        of_classes(path, &tar, &classes)?
    } else {
        let images: Vec<&[u8]> = tar.entries.iter().map(|entry| &*entry.name).collect();
        let (list_names, places): (Vec<_>, Vec<_>) = lists.into_iter().unzip();
        Labels::of_tree(path, &images, &list_names, |index| {
            let (shard, place) = &places[index];
            let read = place.clone().and_then(|place| tar.bytes_at(*shard, place));
            read.map_err(|why| DataError::Malformed {
                path: tar.shards.path(*shard).to_owned(),
                what: format!("entry {} {why}", names::text(&list_names[index]).shown()),
            })
        })?
    };
    Ok((Opened { samples: Box::new(tar), labels }, over))
}

/// Either every image has a `.cls` or none.
fn of_classes(path: &Path, tar: &Tar, classes: &[Option<u16>]) -> Result<Labels, DataError> {
    let of: Vec<u16> = classes.iter().copied().flatten().collect();
    if let Some(missing) = classes.iter().position(Option::is_none) {
        let (labelled, name) = (of.len(), tar.name(missing));
        let what = format!("{labelled} of its {} images have a .cls beside them; {name} has none", classes.len());
        return Err(DataError::Malformed { path: path.to_owned(), what });
    }
    Ok(Labels { of, ..Labels::default() })
}

impl Gathered {
    /// The images, classes and lists of a shard.
    fn take(
        &mut self,
        path: &Path,
        number: usize,
        shard: &Shard,
        passed: &mut Passed<(usize, Place)>,
    ) -> Result<(), DataError> {
        let wrong = |what: String| DataError::Malformed { path: path.to_owned(), what };
        let sorted = Tree::new(&shard.members).sort(passed, |place| (number, place)).map_err(wrong)?;
        let mut classes = HashMap::with_capacity(sorted.classes.len());
        for (name, place) in sorted.classes {
            let of_entry = |what: String| wrong(format!("entry {} {what}", names::text(name).shown()));
            let class = place.and_then(|place| class(&shard.file, place)).map_err(of_entry)?;
            if classes.insert(key(name), (class, name, false)).is_some() {
                return Err(of_entry("gives its sample a class again".into()));
            }
        }
        for (name, place) in sorted.images {
            let class = classes.get_mut(key(name)).map(|(class, _, used)| {
                *used = true;
                *class
            });
            self.classes.push(class);
            let place = place.map_err(Into::into);
            self.tar.entries.push(Entry { shard: number as u32, name: name.into(), place });
        }
        for (_, name, _) in classes.values().filter(|(_, _, used)| !used) {
            passed.count(Why::Lonely, name);
        }
        self.lists.extend(sorted.lists.into_iter().map(|(name, place)| (name.to_vec(), (number, place))));
        Ok(())
    }
}

/// The number in a `.cls`.
fn class(file: &File, place: Place) -> Result<u16, String> {
    let mut text = vec![0; usize::try_from(place.length).unwrap_or(usize::MAX).min(MOST_OF_A_CLASS)];
    file.read_exact_at(&mut text, place.start).map_err(|e| format!("at byte {} cannot be read: {e}", place.start))?;
    let text = plain(&text).map_err(|why| format!("at byte {}: {why}", place.start))?;
    text.trim().parse().map_err(|_| {
        let text = text.chars().take(64).collect::<String>();
        format!("at byte {} holds {text:?}, expected a class number below 65536", place.start)
    })
}

/// What lies in a tar file, to its end.
fn read_shard(path: &Path) -> Result<Shard, DataError> {
    let unread = |source| DataError::Read { path: path.to_owned(), source };
    let wrong = |what: String| DataError::Malformed { path: path.to_owned(), what };
    let (file, facts) = files::open_known(path).map_err(unread)?;
    let size = facts.len();
    let mut head = [0; 6];
    if size == 0 {
        return Err(wrong("the file is empty".into()));
    }
    if file.read_exact_at(&mut head, 0).is_ok()
        && let Some(found) = compression(&head)
    {
        return Err(wrong(found.refusal("a tar file")));
    }
    let mut archive = ::tar::Archive::new(BufReader::new(file));
    // Where one tar file was put behind another, both are read.
    archive.set_ignore_zeros(true);
    let (mut members, mut end) = (Vec::new(), 0);
    let broken = |at: u64, e: &io::Error| {
        let e = e.to_string();
        wrong(format!("not a tar file that can be read: at byte {at} of {size}: {}; fetch the file again", e.shown()))
    };
    for entry in archive.entries_with_seek().map_err(|e| broken(0, &e))? {
        let mut entry = entry.map_err(|e| broken(end, &e))?;
        let name = names::tidy(&entry.path_bytes());
        let place = Place { start: entry.raw_file_position(), length: entry.size() };
        let sparse = entry.header().entry_type() == EntryType::GNUSparse;
        // Of a sparse file, fewer bytes lie here than it has.
        let length = if sparse { entry.header().entry_size().unwrap_or(0) } else { place.length };
        end = place.start.saturating_add(length);
        if end > size {
            return Err(wrong(format!(
                "truncated: entry {} ends at byte {end}, the file at {size}; fetch the file again",
                names::text(&name).shown()
            )));
        }
        members.extend(member(&mut entry, name, place).map_err(|e| broken(place.start, &e))?);
    }
    let needed = end.next_multiple_of(BLOCK).saturating_add(2 * BLOCK);
    if needed > size {
        return Err(wrong(format!(
            "truncated: after its last entry, at byte {end} of {size}, the two empty blocks that end a tar file are missing; \
             fetch the file again"
        )));
    }
    let file = archive.into_inner().into_inner();
    Ok(Shard { file, stamp: Stamp::of(&facts), members })
}

/// An entry as a member; `None` of folders and of what only describes the archive.
fn member(
    entry: &mut ::tar::Entry<'_, impl io::Read>,
    mut name: Vec<u8>,
    place: Place,
) -> io::Result<Option<(Vec<u8>, Member<Place>)>> {
    let kind = entry.header().entry_type();
    let target = |entry: &::tar::Entry<'_, _>| entry.link_name_bytes().unwrap_or_default().into_owned();
    let unread = |what: &str| Member::Unread(format!("cannot be read: it is {what}"));
    let sparse = "a sparse entry; pack it without --sparse";
    let member = match kind {
        EntryType::Directory | EntryType::XGlobalHeader | EntryType::XHeader => return Ok(None),
        EntryType::Regular | EntryType::Continuous => match sparse_name(entry)? {
            Some(real) => {
                name = real;
                unread(sparse)
            }
            None => Member::Data(place),
        },
        EntryType::GNUSparse => unread(sparse),
        // Some writers put the bytes beside a link.
        EntryType::Link if place.length > 0 => Member::Data(place),
        EntryType::Link => Member::Hard(target(entry)),
        EntryType::Symlink => Member::Symbolic(target(entry)),
        EntryType::Fifo => unread("a named pipe"),
        EntryType::Char | EntryType::Block => unread("a device"),
        other => unread(&format!("an entry of type {:?}", char::from(other.as_byte()))),
    };
    Ok(Some((name, member)))
}

/// The name of a sparse file in the newer form, whose entry looks like a regular file.
fn sparse_name(entry: &mut ::tar::Entry<'_, impl io::Read>) -> io::Result<Option<Vec<u8>>> {
    let own = names::tidy(&entry.path_bytes());
    let Some(facts) = entry.pax_extensions()? else { return Ok(None) };
    let mut name = None;
    for fact in facts {
        let fact = fact?;
        if fact.key_bytes() == b"GNU.sparse.name" {
            name = Some(names::tidy(fact.value_bytes()));
        } else if fact.key_bytes().starts_with(b"GNU.sparse.") {
            name.get_or_insert_with(|| own.clone());
        }
    }
    Ok(name)
}

/// What the entries of one sample share: the name up to the first dot after its folders.
fn key(name: &[u8]) -> &[u8] {
    let base = names::folder(name).len();
    name[base..].iter().position(|&byte| byte == b'.').map_or(name, |dot| &name[..base + dot])
}

impl Tar {
    fn bytes_at(&self, shard: usize, place: Place) -> Result<Vec<u8>, String> {
        let mut buffer = Vec::new();
        self.read_at(shard, place, &mut buffer)?;
        Ok(buffer)
    }

    fn read_at(&self, shard: usize, Place { start, length }: Place, buffer: &mut Vec<u8>) -> Result<(), String> {
        regular::check_length(length)?;
        buffer.clear();
        buffer.resize(length as usize, 0);
        self.shards.read(shard, start, buffer).map_err(|e| format!("cannot be read at byte {start}: {e}"))
    }

    fn head(&self, shard: usize, start: u64, length: u64) -> Vec<u8> {
        self.bytes_at(shard, Place { start, length: length.min(HEAD as u64) }).unwrap_or_default()
    }
}

impl Samples for Tar {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn name(&self, index: usize) -> String {
        let Entry { shard, name, .. } = &self.entries[index];
        format!("{}, entry {}", self.shards.path(*shard as usize).shown(), names::text(name).shown())
    }

    fn bytes(&self, index: usize) -> u64 {
        self.entries[index].place.as_ref().map_or(0, |place| place.length)
    }

    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
        let Entry { shard, place, .. } = &self.entries[index];
        let place = place.as_ref().map_err(ToString::to_string)?;
        self.read_at(*shard as usize, *place, buffer)?;
        Ok(Content::Encoded)
    }
}
