//! Names inside a folder or an archive, as bytes with `/` between: which of them are data at all, how they are ordered and
//! shown. The one rule for folders, ZIPs and tars.

use std::{borrow::Cow, cmp::Ordering};

/// What systems leave in folders that nobody put there, whatever the case of its letters; all that begins with a dot counts
/// as well.
const SYSTEM: [&str; 20] = [
    "lost+found",
    "__MACOSX",
    "Icon\r",
    "Network Trash Folder",
    "Temporary Items",
    // Windows
    "$RECYCLE.BIN",
    "RECYCLER",
    "System Volume Information",
    "FOUND.000",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    // Synology, QNAP, NetApp and others that serve files
    "@eaDir",
    "@Recycle",
    "@Recently-Snapshot",
    "@__thumb",
    "#recycle",
    "#snapshot",
    "~snapshot",
    // Python
    "__pycache__",
];

/// Whether the name, or a folder that it lies in, is hidden or the system's own.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.split(|&byte| byte == b'/').any(|part| {
        (part.starts_with(b".") && part != b"." && part != b"..")
            || SYSTEM.iter().any(|known| part.eq_ignore_ascii_case(known.as_bytes()))
    })
}

/// The name without empty parts, and `.` for none: as it would lie in a folder.
pub(super) fn tidy(name: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = name.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    parts.join(&b'/')
}

/// As files in folders are ordered: part by part.
pub(super) fn order(one: &[u8], other: &[u8]) -> Ordering {
    one.split(|&byte| byte == b'/').cmp(other.split(|&byte| byte == b'/'))
}

/// The folder that it lies in, with the last `/`; empty for none.
pub(super) fn folder(name: &[u8]) -> &[u8] {
    name.iter().rposition(|&byte| byte == b'/').map_or(&[], |slash| &name[..=slash])
}

/// The name without its folders.
pub(super) fn base(name: &[u8]) -> &[u8] {
    &name[folder(name).len()..]
}

/// What follows the last dot, in small letters; empty where there is none.
pub(super) fn ending(name: &[u8]) -> String {
    let base = base(name);
    let ending = base.iter().rposition(|&byte| byte == b'.').map_or(&[][..], |dot| &base[dot + 1..]);
    text(ending).to_lowercase()
}

/// The name as text: what is not UTF-8 as `\xE9`, so that different names stay different.
pub(super) fn text(name: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(name) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(name.len() + 16);
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02X}")));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_or_the_systems_own_is_no_data_wherever_it_lies() {
        for hidden in [
            ".DS_Store",
            "a/._1.png",
            ".ipynb_checkpoints/1-checkpoint.png",
            "cat/.Trash-1000/files/1.png",
            "@eaDir/1.png/SYNOPHOTO_THUMB_M.png",
            "__MACOSX/cat/1.png",
            "x/$Recycle.Bin/1.png",
            "LOST+FOUND/1.png",
        ] {
            assert!(is_hidden(hidden.as_bytes()), "{hidden}");
        }
        for data in ["1.png", "./1.png", "../1.png", "lost/1.png", "cat.d/1.png", "@home/1.png", "a/macosx/1.png"] {
            assert!(!is_hidden(data.as_bytes()), "{data}");
        }
    }

    #[test]
    fn names_that_are_not_utf_8_stay_different() {
        assert_eq!(text(b"caf\xe8"), "caf\\xE8");
        assert_ne!(text(b"caf\xe8"), text(b"caf\xe9"));
        assert_eq!(text("größe".as_bytes()), "größe");
    }

    #[test]
    fn names_are_ordered_as_paths_are() {
        let mut names = [&b"a-1/x"[..], b"a/x", b"a", b"b", b"a/x/y"];
        names.sort_by(|one, other| order(one, other));
        let mut paths: Vec<std::path::PathBuf> = names.iter().map(|name| text(name).as_ref().into()).collect();
        let sorted = paths.clone();
        paths.sort();
        assert_eq!(paths, sorted);
        assert_eq!(tidy(b"././/a/./b.png"), b"a/b.png");
        assert_eq!(
            (folder(b"a/b/c.x"), base(b"a/b/c.x"), ending(b"a.b/C.JPG")),
            (&b"a/b/"[..], &b"c.x"[..], "jpg".into())
        );
        assert_eq!((folder(b"c"), base(b"c"), ending(b"a.b/c")), (&b""[..], &b"c"[..], String::new()));
    }
}
