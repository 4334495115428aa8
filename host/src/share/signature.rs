//! Minisign signatures beside plugin files: `libgan.so.minisig` by `minisign -Sm libgan.so`.

use std::path::{Path, PathBuf};

use minisign_verify::{Error, PublicKey, Signature};

use super::ShareError;

/// Where a file's signature lies.
pub(super) fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// The first of the keys that signed these bytes, or why none did, as the end of a sentence about the file.
pub(super) fn signer<'k>(
    bytes: &[u8],
    signature: &str,
    keys: &'k [String],
) -> Result<Result<&'k str, String>, ShareError> {
    let keys: Vec<(&str, PublicKey)> =
        keys.iter().map(|key| Ok((key.as_str(), parse(key)?))).collect::<Result<_, ShareError>>()?;
    let signature = match Signature::decode(signature) {
        Ok(signature) => signature,
        Err(error) => return Ok(Err(format!("has a malformed signature: {error}"))),
    };
    for (text, key) in keys {
        match key.verify(bytes, &signature, true) {
            Ok(()) => return Ok(Ok(text)),
            Err(Error::UnexpectedKeyId) => {}
            Err(_) => return Ok(Err(format!("is not what was signed with {text}: it or its signature was changed"))),
        }
    }
    Ok(Err("is signed by a key that is not trusted".to_owned()))
}

fn parse(key: &str) -> Result<PublicKey, ShareError> {
    PublicKey::from_base64(key.trim()).map_err(|e| ShareError::BadKey { key: key.to_owned(), why: e.to_string() })
}
