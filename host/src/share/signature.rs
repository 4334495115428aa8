//! Minisign signatures beside plugin files: `libgan.so.minisig` by `minisign -Sm libgan.so`.

use std::{
    io,
    path::{Path, PathBuf},
};

use minisign_verify::{Error, PublicKey, Signature};

use super::ShareError;
use crate::files;

/// A signature is four lines; more is none.
const MOST: u64 = 16 << 10;

/// A plugin, and its signature where there is one.
pub type WithSignature<T> = (T, Option<Vec<u8>>);

/// The public keys of those who are trusted, each with its text.
pub(super) struct Keys<'k>(Vec<(&'k str, PublicKey)>);

impl<'k> Keys<'k> {
    /// Reads keys that were given at `place`, which a message names.
    pub(super) fn read(keys: &'k [String], place: &'static str) -> Result<Self, ShareError> {
        let read = |key: &'k String| match PublicKey::from_base64(key.trim()) {
            Ok(read) => Ok((key.as_str(), read)),
            Err(error) => Err(ShareError::BadKey { place, key: key.to_owned(), why: error.to_string() }),
        };
        keys.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// What a signature says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// One of the keys signed these very bytes.
    By(String),
    /// There is no signature.
    Not,
    /// There is one, and no key to check it with.
    Unchecked,
    /// It is none, is another file's, or is by none of the keys; the end of a sentence about the file.
    Wrong(String),
}

/// What a signature, if there is one, says of these bytes.
pub(super) fn signed(bytes: &[u8], signature: Option<&[u8]>, keys: &Keys<'_>) -> Signed {
    let Some(signature) = signature else { return Signed::Not };
    let signature = match decode(signature) {
        Ok(signature) => signature,
        Err(what) => return Signed::Wrong(what),
    };
    if keys.0.is_empty() {
        return Signed::Unchecked;
    }
    // An id is eight bytes that whoever makes a key may choose: two keys can have one, so a refusal by one says nothing of
    // the other.
    let mut refused = Vec::new();
    for (text, key) in &keys.0 {
        match key.verify(bytes, &signature, true) {
            Ok(()) => return Signed::By((*text).to_owned()),
            Err(Error::UnexpectedKeyId) => {}
            Err(_) => refused.push(*text),
        }
    }
    if refused.is_empty() {
        return Signed::Wrong("is signed by a key that is not trusted".to_owned());
    }
    Signed::Wrong(format!("is not what was signed with {}: it or its signature was changed", refused.join(" or with ")))
}

/// Refuses what is no signature at all; whose it is, and of what, only a key can say.
pub(super) fn check(file: &Path, signature: &[u8]) -> Result<(), ShareError> {
    decode(signature).map(drop).map_err(|what| ShareError::BadSignature { path: file.to_owned(), what })
}

fn decode(signature: &[u8]) -> Result<Signature, String> {
    let text = std::str::from_utf8(signature).map_err(|_| "it is not text".to_owned());
    // Readers pass over what follows; what is passed over has no place in a file that vouches.
    let text = text.and_then(|text| match text.lines().count() {
        4 => Ok(text),
        count => Err(format!("it has {count} lines, not four")),
    });
    let signature = text.and_then(|text| Signature::decode(text).map_err(|error| error.to_string()));
    signature.map_err(|why| format!("has a malformed signature: {why}"))
}

/// Where a file's signature lies.
pub(super) fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// The signature that lies beside a file, if one does.
pub(super) fn read_beside(file: &Path) -> Result<Option<Vec<u8>>, ShareError> {
    let path = beside(file);
    match files::read(&path, MOST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ShareError::Read { path, error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signs nothing here.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn what_is_no_signature_is_wrong_whether_a_key_is_there_or_not() {
        let keys = [KEY.to_owned()];
        for keys in [Keys::read(&[], "--key").unwrap(), Keys::read(&keys, "--key").unwrap()] {
            assert_eq!(signed(b"x", None, &keys), Signed::Not);
            for text in [&b""[..], b"garbage", b"\xff\xfe", b"untrusted comment: x\nRWQ=\ntrusted comment: y\nAA==\n"] {
                let Signed::Wrong(what) = signed(b"x", Some(text), &keys) else { panic!("{text:?} passed") };
                assert!(what.starts_with("has a malformed signature"), "{what}");
            }
        }
    }

    /// An id says nothing of who made a key: that of the signer's, over another key.
    #[test]
    fn all_keys_of_one_id_are_tried() {
        let signer = "RWQsZDnFOuJsKPV9w6M9S7Ko5TKomOrx90tVaBJlK6rTR5hgxr0XVG3C".to_owned();
        let twin = "RWQsZDnFOuJsKHmlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3".to_owned();
        let signature = include_bytes!("../../../tests/fixtures/api-1.0.0/lsgan.so.minisig");
        let mut library = Vec::new();
        let packed = &include_bytes!("../../../tests/fixtures/api-1.0.0/lsgan.so.gz")[..];
        io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut library).unwrap();
        let by = |keys: &[String]| signed(&library, Some(signature), &Keys::read(keys, "--key").unwrap());
        for keys in [[twin.clone(), signer.clone()], [signer.clone(), twin.clone()]] {
            assert_eq!(by(&keys), Signed::By(signer.clone()));
        }
        let Signed::Wrong(what) = by(std::slice::from_ref(&twin)) else { panic!("the twin signed nothing") };
        assert!(what.starts_with(&format!("is not what was signed with {twin}: ")), "{what}");
    }

    #[test]
    fn four_lines_are_a_signature() {
        let text = include_str!("../../../tests/fixtures/api-1.0.0/lsgan.so.minisig");
        assert!(decode(text.as_bytes()).is_ok() && decode(text.trim_end().as_bytes()).is_ok());
        for more in ["\n", "untrusted comment: another\n", "x"] {
            let said = decode(format!("{text}{more}").as_bytes()).map(drop).unwrap_err();
            assert_eq!(said, "has a malformed signature: it has 5 lines, not four");
        }
    }

    #[test]
    fn a_key_that_is_none_says_where_it_was_given() {
        let said = Keys::read(&["nonsense".to_owned()], "--key").err().map(|e| e.to_string()).unwrap();
        assert!(said.starts_with("--key: \"nonsense\" is no minisign public key"), "{said}");
    }
}
