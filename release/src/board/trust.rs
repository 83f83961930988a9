//! Whose releases this board takes: the public key that was pinned at first use.

use std::io::ErrorKind;

use mfactor::{Error, Result, files, text};
use minisign_verify::{PublicKey, Signature};

use crate::board::layout::Layout;
use crate::board::{beneath, board};

/// More than a public key of minisign has, with its comment.
const LARGEST_KEY: usize = 4096;
const LONGEST_SHOWN: usize = 80;
/// What a user does who means to change the key.
const REPIN: &str = "`mfactor flash --repin` has the board trust your key from now on";

/// What is to be pinned once everything else about a release is right.
#[derive(Debug)]
#[must_use]
pub struct Accepted<'a> {
    to_pin: Option<&'a str>,
}

/// Checks a signature with the pinned key. `offered` is the signer's own public key: it has to be the pinned one, except
/// on a board that holds no release yet, and where the user asks to pin it (`repin`).
///
/// # Errors
/// [`Error::Board`] for a signature that is not of the manifest by that key, for another key, and where the pinned key
/// was lost or damaged.
pub fn accept<'a>(
    layout: &Layout,
    manifest: &[u8],
    signature: &str,
    offered: &'a str,
    repin: bool,
) -> Result<Accepted<'a>> {
    check(offered, manifest, signature)?;
    if repin {
        return Ok(Accepted { to_pin: Some(offered) });
    }
    match pinned(layout) {
        Ok(Some(pinned)) if key_line(&pinned) == key_line(offered) => Ok(Accepted { to_pin: None }),
        Ok(Some(pinned)) => Err(other_key(layout, key_line(&pinned), key_line(offered))),
        Ok(None) if layout.ids()?.is_empty() => Ok(Accepted { to_pin: Some(offered) }),
        Ok(None) => Err(board(
            layout.trusted_key().display(),
            format!("is missing, and this board holds releases: whom it trusted is not known; {REPIN}"),
        )),
        Err(error) => {
            Err(board(layout.trusted_key().display(), format!("cannot be read ({error}); {REPIN}")))
        }
    }
}

impl Accepted<'_> {
    /// Pins the key, if it is not pinned yet. Returns whether it was.
    ///
    /// # Errors
    /// If it cannot be written: then the former one is still pinned.
    pub fn pin(self, layout: &Layout) -> Result<bool> {
        let Some(key) = self.to_pin else { return Ok(false) };
        let is_another =
            pinned(layout).ok().flatten().is_none_or(|pinned| key_line(&pinned) != key_line(key));
        if is_another {
            files::write(&layout.trusted_key(), key.as_bytes())?;
        }
        Ok(is_another)
    }
}

/// Checks a signature with the pinned key; a board that trusts nobody yet refuses.
///
/// # Errors
/// [`Error::Board`] if it is not right.
pub fn check_pinned(layout: &Layout, manifest: &[u8], signature: &str) -> Result<()> {
    match pinned(layout)? {
        Some(key) => check(&key, manifest, signature),
        None => Err(board(layout.trusted_key().display(), "is missing: this board trusts no key")),
    }
}

/// Whether a signature is of the manifest by this key, `RWQ…`.
pub fn is_of(key: &str, manifest: &[u8], signature: &str) -> bool {
    check(key, manifest, signature).is_ok()
}

/// The pinned key's line, `RWQ…`; `None` before the first release.
///
/// # Errors
/// [`Error::Board`] if what is there is no key.
pub fn trusted(layout: &Layout) -> Result<Option<String>> {
    Ok(pinned(layout)?.map(|key| key_line(&key).to_owned()))
}

fn pinned(layout: &Layout) -> Result<Option<String>> {
    let path = layout.trusted_key();
    match beneath::read_text(layout.root(), &path, LARGEST_KEY) {
        Ok(key) => match PublicKey::from_base64(key_line(&key)) {
            Ok(_) => Ok(Some(key)),
            Err(error) => Err(board(path.display(), format!("holds no public key: {error}"))),
        },
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn other_key(layout: &Layout, pinned: &str, offered: &str) -> Error {
    board(
        layout.trusted_key().display(),
        format!(
            "trusts the key {} and the release is signed with {}; flash with the first key, or, if the change is yours, \
             {REPIN}",
            text::quoted(pinned, LONGEST_SHOWN),
            text::quoted(offered, LONGEST_SHOWN)
        ),
    )
}

/// The key itself, without minisign's comment line.
pub fn key_line(key: &str) -> &str {
    key.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default()
}

fn check(key: &str, manifest: &[u8], signature: &str) -> Result<()> {
    let refuse =
        |what: &str, error: minisign_verify::Error| board(crate::SIGNATURE, format!("{what}: {error}"));
    if key.len() > LARGEST_KEY {
        return Err(board(crate::SIGNATURE, "the public key is none: it is too long"));
    }
    let key =
        PublicKey::from_base64(key_line(key)).map_err(|error| refuse("the public key is none", error))?;
    let signature =
        Signature::decode(signature).map_err(|error| refuse("is no signature of minisign", error))?;
    key.verify(manifest, &signature, false)
        .map_err(|error| refuse("does not sign this manifest by the trusted key", error))
}
