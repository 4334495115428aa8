//! Reads a plugin's file without running a byte of it: is it one, whole, for this machine and this host?
//!
//! `dlopen` maps what the headers say and dies of SIGBUS where the file ends earlier, calls a file of another
//! architecture missing, and runs the constructors of any library before anyone can ask whether it is a plugin. So the
//! ELF file is parsed here first. A file that passes may still hold code that does harm; this is no sandbox.

use std::{
    fmt,
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use abi_stable::library::{AbiHeader, ROOT_MODULE_LOADER_NAME};
use object::{
    LittleEndian as LE, elf,
    elf::FileHeader64,
    read::elf::{FileHeader, Note, ProgramHeader, SectionHeader, SectionTable, Sym},
};
use sha2::{Digest, Sha256};
use tandem_plugin_api::manifest::{NOTE_TYPE, OWNER, SECTION, TARGET};

use super::{
    error::{FileProblem, PluginError},
    manifest::{self, Manifest},
};

/// The largest file that is read as a plugin, in bytes: a plugin is below 2 MB, a debug build below 10.
pub const MAX_FILE: u64 = 64 << 20;

/// With what a file begins that gzip made, as a packed plugin does.
pub const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A plugin's file that passed every check which does not run it; [`super::load`] loads these very bytes.
#[derive(Clone)]
pub struct PluginFile {
    /// The file, as it was named.
    pub path: PathBuf,
    /// What the plugin says of itself.
    pub manifest: Manifest,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    pub(super) bytes: Vec<u8>,
}

impl fmt::Debug for PluginFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, manifest, sha256, .. } = self;
        let mut shown = f.debug_struct("PluginFile");
        shown.field("path", path).field("manifest", manifest).field("sha256", sha256).finish_non_exhaustive()
    }
}

impl PluginFile {
    /// The file's bytes, those that are checked and asked.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a plugin's file and its manifest; runs nothing of it.
pub fn inspect(path: &Path) -> Result<PluginFile, PluginError> {
    examine(path).map(|e| e.hashed(path)).map_err(|problem| PluginError::file(path, problem))
}

/// As [`inspect`], for bytes that came from this path in another form.
pub fn inspect_bytes(bytes: Vec<u8>, path: &Path) -> Result<PluginFile, PluginError> {
    let examined = examined(bytes, Machine::This).map(|e| e.hashed(path));
    examined.map_err(|problem| PluginError::file(path, problem))
}

/// A plugin for any machine, which [`PluginFile`] is not: whole, as far as its headers show.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// What the plugin says of itself.
    pub manifest: Manifest,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Foreign {
    /// As [`inspect`].
    pub fn inspect(path: &Path) -> Result<Self, PluginError> {
        let bytes = read(path).map_err(|problem| PluginError::file(path, problem))?;
        Self::from_bytes(bytes, path)
    }

    /// As [`inspect_bytes`].
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, PluginError> {
        let examined = examined(bytes, Machine::Any).map_err(|problem| PluginError::file(path, problem))?;
        let PluginFile { manifest, sha256, bytes, .. } = examined.hashed(path);
        Ok(Self { manifest, sha256, bytes })
    }
}

/// For which machine a file may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Machine {
    This,
    Any,
}

/// A file that was read and checked but not hashed, which is most of the work.
pub(super) struct Examined {
    bytes: Vec<u8>,
    pub(super) manifest: Manifest,
}

impl Examined {
    pub(super) fn hashed(self, path: &Path) -> PluginFile {
        let sha256 = format!("{:x}", Sha256::digest(&self.bytes));
        PluginFile { path: path.to_owned(), manifest: self.manifest, sha256, bytes: self.bytes }
    }
}

pub(super) fn examine(path: &Path) -> Result<Examined, FileProblem> {
    examined(read(path)?, Machine::This)
}

fn examined(bytes: Vec<u8>, machine: Machine) -> Result<Examined, FileProblem> {
    let manifest = manifest::read(check(&bytes, machine)?)?;
    let target = &manifest.about.target;
    // Plugins of API 1.0 do not say it.
    if machine == Machine::This && !target.is_empty() && target != TARGET {
        return Err(FileProblem::Target(target.clone()));
    }
    Ok(Examined { bytes, manifest })
}

fn read(path: &Path) -> Result<Vec<u8>, FileProblem> {
    let io = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => FileProblem::Missing,
        _ => FileProblem::Unreadable(error),
    };
    // Asked before opening, which would wait for ever on a pipe.
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        return Err(FileProblem::Directory);
    }
    if !metadata.is_file() {
        return Err(FileProblem::NotRegular);
    }
    if metadata.len() > MAX_FILE {
        return Err(FileProblem::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
    // A file that grows meanwhile stays within the bound.
    File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes)).map_err(io)?;
    Ok(bytes)
}

/// The manifest's text in a shared library that is whole and for the machine.
pub(super) fn check(bytes: &[u8], machine: Machine) -> Result<&[u8], FileProblem> {
    let header = check_header(bytes, machine)?;
    check_extent(header, bytes)?;
    let sections = header.sections(LE, bytes).map_err(damaged)?;
    let text = find_manifest(header, &sections, bytes)?;
    check_symbol(&sections, bytes)?;
    Ok(text)
}

type Header = FileHeader64<LE>;

fn damaged(error: object::Error) -> FileProblem {
    FileProblem::Damaged(error.to_string())
}

fn check_header(bytes: &[u8], wanted: Machine) -> Result<&Header, FileProblem> {
    if bytes.is_empty() {
        return Err(FileProblem::Empty);
    }
    if bytes.starts_with(&GZIP) {
        return Err(FileProblem::Packed);
    }
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(FileProblem::NotElf(bytes[..bytes.len().min(8)].escape_ascii().to_string()));
    }
    let needed = size_of::<Header>();
    if bytes.len() < needed {
        return Err(FileProblem::Truncated { needed: needed as u64, found: bytes.len() as u64 });
    }
    if bytes[4] == elf::ELFCLASS32 {
        return Err(FileProblem::Bits32);
    }
    if bytes[5] == elf::ELFDATA2MSB {
        return Err(FileProblem::BigEndian);
    }
    let header = Header::parse(bytes).map_err(damaged)?;
    let machine = machine_name(header.e_machine(LE));
    if wanted == Machine::This && machine != std::env::consts::ARCH {
        return Err(FileProblem::Architecture(machine));
    }
    match header.e_type(LE) {
        elf::ET_DYN => Ok(header),
        elf::ET_REL => Err(FileProblem::NotLibrary("an object file")),
        elf::ET_EXEC => Err(FileProblem::NotLibrary("an executable")),
        elf::ET_CORE => Err(FileProblem::NotLibrary("a core dump")),
        _ => Err(FileProblem::NotLibrary("an ELF file of an unknown type")),
    }
}

/// Rust's name of an ELF machine, as in a target triple.
fn machine_name(machine: u16) -> String {
    match machine {
        elf::EM_X86_64 => "x86_64".into(),
        elf::EM_AARCH64 => "aarch64".into(),
        elf::EM_RISCV => "riscv64".into(),
        elf::EM_PPC64 => "powerpc64".into(),
        elf::EM_LOONGARCH => "loongarch64".into(),
        elf::EM_S390 => "s390x".into(),
        elf::EM_386 => "x86".into(),
        elf::EM_ARM => "arm".into(),
        other => format!("ELF machine {other}"),
    }
}

/// Everything that the headers speak of lies within the file; a linker puts the section table last.
fn check_extent(header: &Header, bytes: &[u8]) -> Result<(), FileProblem> {
    let found = bytes.len() as u64;
    let within = |offset: u64, size: u64| match offset.saturating_add(size) {
        needed if needed > found => Err(FileProblem::Truncated { needed, found }),
        _ => Ok(()),
    };
    let table = |count: u16, entry: u16| u64::from(count) * u64::from(entry);
    within(header.e_shoff(LE), table(header.e_shnum.get(LE), header.e_shentsize(LE)))?;
    within(header.e_phoff(LE), table(header.e_phnum.get(LE), header.e_phentsize(LE)))?;
    let segments = header.program_headers(LE, bytes).map_err(damaged)?;
    for segment in segments {
        // Other segments lie within loaded ones in what linkers make; what they say is checked all the same.
        within(segment.p_offset(LE), segment.p_filesz(LE))?;
        if segment.p_type(LE) == elf::PT_LOAD && segment.p_memsz(LE) < segment.p_filesz(LE) {
            return Err(FileProblem::Damaged("a segment is larger in the file than in memory".into()));
        }
    }
    for kind in [elf::PT_LOAD, elf::PT_DYNAMIC] {
        if !segments.iter().any(|s| s.p_type(LE) == kind) {
            return Err(FileProblem::Damaged("it has nothing to load".into()));
        }
    }
    Ok(())
}

/// The text of the one note `TANDEM`, type 1: in the one section `.note.tandem`, and nowhere else where a tool that goes by
/// the type of sections or by segments would find another.
fn find_manifest<'a>(
    header: &Header,
    sections: &SectionTable<'a, Header>,
    bytes: &'a [u8],
) -> Result<&'a [u8], FileProblem> {
    let bad = |what: &str| FileProblem::BadManifest(what.into());
    let mut named = sections.iter().filter(|s| sections.section_name(LE, s) == Ok(SECTION.as_bytes()));
    let section = named.next().ok_or(FileProblem::NoManifest)?;
    if named.next().is_some() {
        return Err(bad("there are several sections `.note.tandem`, a plugin has one"));
    }
    let notes = section.notes(LE, bytes).map_err(|e| bad(&e.to_string()))?;
    let mut texts = Vec::new();
    for note in notes.ok_or_else(|| bad("`.note.tandem` is not a section of notes"))? {
        let note = note.map_err(|e| bad(&e.to_string()))?;
        texts.extend(manifest_in(&note));
    }
    let text = match texts[..] {
        [text] => text,
        [] => return Err(bad("`.note.tandem` holds no note of the owner TANDEM and type 1")),
        _ => return Err(bad(&format!("`.note.tandem` holds {} manifests, a plugin has one", texts.len()))),
    };
    // What is malformed elsewhere is no plugin's concern: up to there it is read.
    let elsewhere = sections.iter().filter_map(|s| s.notes(LE, bytes).ok().flatten());
    let segments = header.program_headers(LE, bytes).map_err(damaged)?;
    let loaded = segments.iter().filter_map(|s| s.notes(LE, bytes).ok().flatten());
    for notes in elsewhere.chain(loaded) {
        if notes.map_while(Result::ok).filter_map(|n| manifest_in(&n)).any(|found| !std::ptr::eq(found, text)) {
            return Err(bad("a note outside of `.note.tandem` is a manifest, too; a plugin has one"));
        }
    }
    Ok(text)
}

/// The text of a note that is a manifest.
fn manifest_in<'a>(note: &Note<'a, Header>) -> Option<&'a [u8]> {
    // `name` comes without the padding's NULs.
    let owned = note.name() == OWNER.split(|&b| b == 0).next().unwrap_or_default();
    (owned && note.n_type(LE) == NOTE_TYPE).then(|| note.desc())
}

/// The entry symbol is defined and large enough to hold the header that the loader reads first.
fn check_symbol<'a>(sections: &SectionTable<'a, Header>, bytes: &'a [u8]) -> Result<(), FileProblem> {
    let symbols = sections.symbols(LE, bytes, elf::SHT_DYNSYM).map_err(damaged)?;
    let entry = symbols.iter().find(|s| symbols.symbol_name(LE, *s) == Ok(ROOT_MODULE_LOADER_NAME.as_bytes()));
    match entry {
        Some(s) if !s.is_undefined(LE) && s.st_size(LE) >= size_of::<AbiHeader>() as u64 => Ok(()),
        _ => Err(FileProblem::NoSymbol),
    }
}
