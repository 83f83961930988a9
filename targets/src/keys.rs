//! Keys that sign releases, in minisign's form: `minisign -V` checks what is signed here.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mfactor::{Error, Result, files};
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use release::Manifest;
use serde::Serialize;

use crate::numbers;

/// Largest key that is read, in bytes: minisign's have some hundred.
const LARGEST_KEY: u64 = 64 << 10;
/// Ending of a public key's file.
const PUBLIC: &str = "pub";

/// What makes a key.
pub const KEYGEN: &str = "mfactor targets keygen";

/// A pair of keys that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewKeys {
    /// The secret one, readable for its owner alone.
    pub secret: PathBuf,
    /// The public one, which boards pin.
    pub public: PathBuf,
    /// The public key itself.
    pub key: String,
}

/// Signs manifests.
pub struct Signer {
    path: PathBuf,
    secret: SecretKey,
    public: PublicKey,
}

/// Where the key lies if nobody says otherwise: `$XDG_CONFIG_HOME/mfactor/flash.key`.
pub fn default_path() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CONFIG_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".config")))
        .map(|folder| folder.join("mfactor/flash.key"))
        .ok_or_else(|| {
            Error::Usage("neither XDG_CONFIG_HOME nor HOME is set; say where with --key".to_owned())
        })
}

/// Makes a pair of keys: `path`, and beside it the public one, with the ending `.pub`. Neither may be there; each is there
/// whole or not at all, and of two that are made at once under one name one is left.
///
/// # Errors
/// [`Error::Input`] for a name that is taken or ends in `.pub`, [`Error::Io`] if they cannot be written.
pub fn generate(path: &Path) -> Result<NewKeys> {
    if path.extension() == Some(OsStr::new(PUBLIC)) || path.file_name().is_none() {
        return Err(Error::file(
            path,
            "cannot be the secret key: the public one goes beside it with the ending .pub",
        ));
    }
    let public = path.with_extension(PUBLIC);
    for path in [path, &public] {
        if path.symlink_metadata().is_ok() {
            return Err(taken(path));
        }
    }
    let pair = KeyPair::generate_unencrypted_keypair().map_err(defect)?;
    let secret =
        pair.sk.to_box(Some("mfactor: signs releases for boards; keep it secret")).map_err(defect)?;
    let text = pair.pk.to_box().map_err(defect)?.into_string();
    write_new(path, secret.into_string().as_bytes(), 0o600)?;
    if let Err(error) = write_new(&public, text.as_bytes(), 0o644) {
        // Alone it would keep the next try out.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(NewKeys { secret: path.to_owned(), public, key: pair.pk.to_base64() })
}

fn taken(path: &Path) -> Error {
    Error::file(
        path,
        "is there already; boards that pinned it would take no other. Move it away to make a new one",
    )
}

/// Writes a file whole, on the disk, where nothing of this name is.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    files::make_folder(folder)?;
    let builder = tempfile::Builder::new().prefix(".mfactor-").suffix(".tmp").tempfile_in(folder);
    let mut file = builder.map_err(Error::io("write", path))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::io("write", path))?;
    match file.persist_noclobber(path) {
        Ok(_) => files::sync_folder(folder),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(taken(path)),
        Err(error) => Err(Error::io("write", path)(error.error)),
    }
}

impl Signer {
    /// The key at `path`.
    ///
    /// # Errors
    /// [`Error::Missing`] if it is not there; [`Error::Input`] for one that others can read, that needs a password,
    /// or that is none.
    pub fn load(path: &Path) -> Result<Self> {
        let file = match files::open(path) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                let what = format!("there is no key to sign releases with at {}", path.display());
                return Err(Error::missing(what, KEYGEN));
            }
            file => file?,
        };
        let facts = file.metadata().map_err(Error::io("read", path))?;
        if facts.permissions().mode() & 0o077 != 0 {
            let problem = format!("can be read by others; run: chmod 600 {}", path.display());
            return Err(Error::file(path, problem));
        }
        let mut text = String::new();
        let read = file.take(LARGEST_KEY).read_to_string(&mut text);
        read.map_err(|error| match error.kind() {
            ErrorKind::InvalidData => Error::file(path, "is not text"),
            _ => Error::io("read", path)(error),
        })?;
        let refuse = |error| {
            let hint = "is no secret key of minisign without a password";
            Error::file(path, format!("{hint} ({error}); `{KEYGEN}` makes one"))
        };
        let secret = SecretKeyBox::from_string(&text).and_then(SecretKeyBox::into_unencrypted_secret_key);
        let secret = secret.map_err(refuse)?;
        let public = PublicKey::from_secret_key(&secret).map_err(refuse)?;
        Ok(Self { path: path.to_owned(), secret, public })
    }

    /// The public key's line, `RWQ…`.
    pub fn public_key(&self) -> String {
        self.public.to_base64()
    }

    /// The sequence number of a manifest: that which it had when it was signed before, else one above all others.
    ///
    /// # Errors
    /// [`Error::Input`] if the file of numbers beside the key is damaged.
    pub fn sequence(&self, manifest: &Manifest) -> Result<u64> {
        numbers::sequence(&self.path, manifest)
    }

    /// Signs a manifest: the text of a `.minisig` file.
    pub fn sign(&self, manifest: &[u8]) -> Result<String> {
        let comment = Some("manifest of a release by mfactor");
        minisign::sign(Some(&self.public), &self.secret, manifest, comment, None)
            .map(|signature| signature.into_string())
            .map_err(defect)
    }
}

fn defect(error: minisign::PError) -> Error {
    Error::Defect(format!("minisign: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_private_are_never_overwritten_and_sign() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/flash.key");
        let keys = generate(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(generate(&path).unwrap_err().to_string().contains("is there already"));
        let signer = Signer::load(&path).unwrap();
        assert_eq!(signer.public_key(), keys.key);
        assert!(fs::read_to_string(&keys.public).unwrap().contains(&keys.key));
        let signature = minisign::SignatureBox::from_string(&signer.sign(b"manifest").unwrap()).unwrap();
        let public = PublicKey::from_base64(&keys.key).unwrap();
        minisign::verify(&public, &signature, std::io::Cursor::new(b"manifest"), true, false, false).unwrap();
        assert!(
            minisign::verify(&public, &signature, std::io::Cursor::new(b"another"), true, false, false)
                .is_err()
        );
    }

    #[test]
    fn keys_are_never_written_over_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str| generate(&folder.path().join(name)).unwrap_err().to_string();
        assert!(refused("x.pub").contains("cannot be the secret key"));
        assert!(!folder.path().join("x.pub").exists());
        // The public key's place is taken: the secret one is not left there alone.
        fs::write(folder.path().join("other.pub"), "mine").unwrap();
        assert!(refused("other.key").contains("other.pub: is there already"));
        assert!(!folder.path().join("other.key").exists());
        std::os::unix::fs::symlink("nowhere", folder.path().join("link.key")).unwrap();
        assert!(refused("link.key").contains("is there already"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash.key");
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| generate(&path))).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect::<Vec<_>>()
        });
        assert_eq!(made.len(), 1, "one of those that are made at once is left");
        assert_eq!(Signer::load(&path).unwrap().public_key(), made[0].key);
        assert!(fs::read_to_string(&made[0].public).unwrap().contains(&made[0].key));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn a_key_that_cannot_be_used_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash.key");
        let error = |path: &Path| Signer::load(path).err().unwrap();
        assert_eq!(error(&path).exit_code(), mfactor::exit::MISSING);
        assert!(error(&path).to_string().contains(KEYGEN));
        let pair = KeyPair::generate_encrypted_keypair(Some("secret".to_owned())).unwrap();
        fs::write(&path, pair.sk.to_box(None).unwrap().into_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(error(&path).to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(error(&path).to_string().contains("without a password"));
    }
}
