//! Whose releases this board takes: the public key that was pinned at first use.

use std::path::Path;

use mfactor::{Error, Result, files};
use minisign_verify::{PublicKey, Signature};

use crate::board::board;
use crate::board::layout::Layout;

/// Checks a signature with the pinned key. `offered` is the signer's own public key: it is pinned if the board has
/// none yet, and otherwise has to be the pinned one.
///
/// # Errors
/// [`Error::Board`] for a signature that is not of the manifest by that key.
pub fn accept(layout: &Layout, manifest: &[u8], signature: &str, offered: &str) -> Result<()> {
    let pinned = pinned(layout)?;
    if let Some(pinned) = &pinned
        && key_line(pinned) != key_line(offered)
    {
        return Err(board(
            layout.trusted_key().display(),
            format!(
                "trusts the key {} and the release is signed with {}; flash with the first key, or remove that file \
                 on the board to trust another",
                key_line(pinned),
                key_line(offered)
            ),
        ));
    }
    check(offered, manifest, signature)?;
    match pinned {
        Some(_) => Ok(()),
        None => files::write(&layout.trusted_key(), offered.as_bytes()),
    }
}

/// Checks a signature with the pinned key; a board that trusts nobody yet refuses.
pub fn check_pinned(layout: &Layout, manifest: &[u8], signature: &str) -> Result<()> {
    match pinned(layout)? {
        Some(key) => check(&key, manifest, signature),
        None => Err(board(layout.trusted_key().display(), "is missing: this board trusts no key yet")),
    }
}

/// The pinned key's line, `RWQ…`.
pub fn trusted(layout: &Layout) -> Result<Option<String>> {
    Ok(pinned(layout)?.map(|key| key_line(&key).to_owned()))
}

fn pinned(layout: &Layout) -> Result<Option<String>> {
    let path = layout.trusted_key();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

/// The key itself, without minisign's comment line.
fn key_line(key: &str) -> &str {
    key.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default()
}

fn check(key: &str, manifest: &[u8], signature: &str) -> Result<()> {
    let refuse =
        |what: &str, error: minisign_verify::Error| board(crate::SIGNATURE, format!("{what}: {error}"));
    let key =
        PublicKey::from_base64(key_line(key)).map_err(|error| refuse("the public key is none", error))?;
    let signature =
        Signature::decode(signature).map_err(|error| refuse("is no signature of minisign", error))?;
    key.verify(manifest, &signature, false)
        .map_err(|error| refuse("does not sign this manifest by the trusted key", error))
}

/// The signature beside a manifest.
pub fn read_signature(release: &Path) -> Result<String> {
    let path = release.join(crate::SIGNATURE);
    let bytes = files::read(&path)?;
    String::from_utf8(bytes).map_err(|_| Error::file(&path, "is not text"))
}
