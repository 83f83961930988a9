//! An upload: what the board lacks of a release, receiving it, and making it a release once every byte of it was
//! read back from the disk.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::{MANIFEST, Manifest, RUNNER, ReleaseFile, SIGNATURE, Wanted, id};
use mfactor::{Error, Result, files, text};
use rustix::fs::RenameFlags;

use crate::board::layout::{Layout, entries, is_hidden, name_of, remove_all, remove_folder, sync_folder};
use crate::board::ownership::own_subfolder;
use crate::board::receive::{Received, begun, copy, part, receive, remove_unless_file};
use crate::board::{board, taken, trust, verify};

const LONGEST_SHOWN: usize = 80;
/// Space that stays free for the board itself.
const RESERVE_BYTES: u64 = 4 << 20;

/// A release that is on its way in.
#[derive(Debug)]
pub struct Staging {
    id: String,
    manifest: Manifest,
    text: String,
    signature: String,
    /// The board holds it already, verified when this upload began.
    pub is_held: bool,
    /// Files that are lacking.
    pub files: Vec<Wanted>,
    /// Test records that are lacking.
    pub records: Vec<Wanted>,
}

/// What the host offers.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The manifest's text.
    pub manifest: &'a str,
    /// Its signature.
    pub signature: &'a str,
    /// The signer's key.
    pub public_key: &'a str,
    /// Take it although the board took a newer one.
    pub allow_downgrade: bool,
    /// Pin the key although the board trusts another.
    pub repin: bool,
}

impl Staging {
    /// Begins an upload or goes on with one: checks signature and manifest, takes what the board holds already
    /// in other releases, and says what is lacking.
    ///
    /// # Errors
    /// A manifest or signature that is refused, or too little space; nothing was changed then.
    pub fn begin(layout: &Layout, offer: Offer<'_>) -> Result<Self> {
        let text = offer.manifest;
        let id = id(text.as_bytes());
        let manifest = Manifest::parse(text.as_bytes(), MANIFEST)?;
        if manifest.architecture != std::env::consts::ARCH {
            let ours = std::env::consts::ARCH;
            let theirs = text::quoted(&manifest.architecture, LONGEST_SHOWN);
            return Err(board(MANIFEST, format!("is for {theirs}, this board is {ours}")));
        }
        let Offer { signature, public_key, .. } = offer;
        if signature.len() > verify::LARGEST_SIGNATURE {
            return Err(board(SIGNATURE, "is too long for a signature"));
        }
        let accepted = trust::accept(layout, text.as_bytes(), signature, public_key, offer.repin)?;
        taken::check(layout, &manifest, trust::key_line(public_key), offer.allow_downgrade)?;
        accepted.pin(layout)?;
        let is_held = verify::release(layout, &id).is_ok();
        let mut staging = Self {
            id,
            manifest,
            text: text.to_owned(),
            signature: signature.to_owned(),
            is_held,
            files: vec![],
            records: vec![],
        };
        staging.check_space(layout)?;
        if !is_held {
            staging.files = staging.lacking_files(layout)?;
        }
        staging.records = staging.lacking_records(layout)?;
        Ok(staging)
    }

    /// Id of the release.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn folder(&self, layout: &Layout) -> PathBuf {
        layout.staging(&self.id)
    }

    /// What has still to be written must fit, copies included.
    fn check_space(&self, layout: &Layout) -> Result<()> {
        let folder = self.folder(layout);
        let there = |path: PathBuf| fs::symlink_metadata(path).map_or(0, |facts| facts.len());
        let files = self.manifest.files.iter().filter(|_| !self.is_held);
        let files = files.map(|file| {
            file.bytes
                .saturating_sub(there(folder.join(&file.name)).max(there(part(&folder.join(&file.name)))))
        });
        let records = self.manifest.records.iter().map(|records| {
            let path = layout.records().join(&records.sha256);
            records.bytes.saturating_sub(there(path.clone()).max(there(part(&path))))
        });
        // Each is at most 1 GiB, and there are a few hundred at most.
        let (needed, free) = (files.chain(records).sum::<u64>() + RESERVE_BYTES, layout.free_bytes()?);
        if needed <= free {
            return Ok(());
        }
        let problem = format!(
            "has {} MB free and the release needs {} MB; `mfactor board gc` removes old releases",
            free / 1_000_000,
            needed / 1_000_000
        );
        Err(board(layout.root().display(), problem))
    }

    fn lacking_files(&self, layout: &Layout) -> Result<Vec<Wanted>> {
        let folder = self.folder(layout);
        let held = held_files(layout)?;
        let mut wanted = vec![];
        for file in &self.manifest.files {
            let path = folder.join(&file.name);
            make_folders(&folder, &file.name)?;
            if verify::file(layout, &folder, file).is_ok() {
                continue;
            }
            remove_all(&path)?;
            let sources = held.iter().filter(|(sha256, _)| *sha256 == file.sha256).map(|(_, path)| path);
            if sources.into_iter().any(|source| copy(layout, source, &path, file).is_ok()) {
                continue;
            }
            wanted.push(Wanted { name: file.name.clone(), offset: begun(&path, file.bytes)? });
        }
        Ok(wanted)
    }

    fn lacking_records(&self, layout: &Layout) -> Result<Vec<Wanted>> {
        let mut wanted = vec![];
        for records in &self.manifest.records {
            let path = layout.records().join(&records.sha256);
            if verify::records(layout, &records.sha256).is_err() {
                remove_unless_file(&path)?;
                let offset = begun(&path, records.bytes)?;
                wanted.push(Wanted { name: records.sha256.clone(), offset });
            }
        }
        Ok(wanted)
    }

    /// Receives a file of the release from `offset` to its end.
    ///
    /// # Errors
    /// A name that is not in the manifest, an input that ends early, and a disk that refuses. What arrived stays,
    /// and the next upload goes on from there.
    pub fn receive_file(
        &self,
        layout: &Layout,
        name: &str,
        offset: u64,
        input: &mut dyn Read,
    ) -> Result<Received> {
        let Some(file) = self.manifest.files.iter().find(|file| file.name == name) else {
            return Err(board(text::quoted(name, LONGEST_SHOWN), "is not in the manifest"));
        };
        let folder = self.folder(layout);
        make_folders(&folder, name)?;
        receive(layout, &folder.join(name), file, offset, input)
    }

    /// Receives test records likewise.
    ///
    /// # Errors
    /// As [`Staging::receive_file`].
    pub fn receive_records(
        &self,
        layout: &Layout,
        sha256: &str,
        offset: u64,
        input: &mut dyn Read,
    ) -> Result<Received> {
        let Some(records) = self.manifest.records.iter().find(|records| records.sha256 == sha256) else {
            return Err(board(text::quoted(sha256, LONGEST_SHOWN), "is not among the manifest's records"));
        };
        let (bytes, sha256) = (records.bytes, records.sha256.clone());
        let file = ReleaseFile { name: records.name.clone(), sha256, bytes, mode: 0o644 };
        receive(layout, &layout.records().join(&records.sha256), &file, offset, input)
    }

    /// Makes a release of the upload: every file is read back and compared, everything is synced, and then the
    /// folder gets its name by one rename. A damaged release of the same id is exchanged for it.
    ///
    /// # Errors
    /// If a file is missing or is not what the manifest says.
    pub fn seal(&self, layout: &Layout) -> Result<()> {
        if self.is_held {
            return Ok(());
        }
        let folder = self.folder(layout);
        own_subfolder(&folder)?;
        remove_strangers(&folder, &folder, &self.manifest)?;
        for file in &self.manifest.files {
            verify::file(layout, &folder, file)?;
        }
        files::write(&folder.join(MANIFEST), self.text.as_bytes())?;
        files::write(&folder.join(SIGNATURE), self.signature.as_bytes())?;
        sync_folders(&folder)?;
        let place = layout.release(&self.id);
        if fs::symlink_metadata(&place).is_ok() {
            exchange(&folder, &place)?;
            sync_folder(&layout.releases())?;
            remove_folder(layout, &folder)?;
        } else {
            fs::rename(&folder, &place).map_err(Error::io("write", &place))?;
        }
        sync_folder(&layout.releases())?;
        sync_folder(&layout.stagings())?;
        for path in entries(&layout.incoming())?.iter().filter(|path| !is_hidden(path)) {
            // What cannot go is in nobody's way; `gc` says why.
            let _ = remove_all(path);
        }
        Ok(())
    }
}

/// All files that the board's releases list, and what arrived for this one, with the SHA-256 that they should have.
fn held_files(layout: &Layout) -> Result<Vec<(String, PathBuf)>> {
    let mut held = vec![];
    for path in entries(&layout.incoming())? {
        let name = name_of(&path);
        if let Some(sha256) = name.strip_prefix(RUNNER).and_then(|rest| rest.strip_prefix('-')) {
            held.push((sha256.to_owned(), path));
        }
    }
    for id in layout.ids()? {
        // A damaged manifest lists nothing that could be used.
        let Ok((manifest, _)) = verify::manifest(layout, &id) else { continue };
        let folder = layout.release(&id);
        held.extend(manifest.files.into_iter().map(|file| (file.sha256, folder.join(file.name))));
    }
    Ok(held)
}

/// Makes the folders above a file, of which none may be a link.
fn make_folders(root: &Path, name: &str) -> Result<()> {
    let mut folder = root.to_owned();
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in std::iter::once("").chain(parts) {
        folder = if part.is_empty() { folder } else { folder.join(part) };
        match fs::symlink_metadata(&folder) {
            Ok(facts) if facts.is_dir() => {}
            Ok(_) => fs::remove_file(&folder)
                .and_then(|()| fs::create_dir(&folder))
                .map_err(Error::io("create", &folder))?,
            Err(_) => fs::create_dir(&folder).map_err(Error::io("create", &folder))?,
        }
    }
    Ok(())
}

/// Removes from the upload what the manifest does not list: broken-off parts, and what anybody else put there, but for
/// what begins with a dot, which a system may put back at once.
fn remove_strangers(root: &Path, folder: &Path, manifest: &Manifest) -> Result<()> {
    for path in entries(folder)?.into_iter().filter(|path| !is_hidden(path)) {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let facts = fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
        if facts.is_dir() && manifest.files.iter().any(|file| file.name.starts_with(&format!("{name}/"))) {
            remove_strangers(root, &path, manifest)?;
        } else if facts.is_dir() || !manifest.files.iter().any(|file| file.name == name) {
            remove_all(&path)?;
        }
    }
    Ok(())
}

/// Syncs a folder and all below it.
fn sync_folders(folder: &Path) -> Result<()> {
    for path in entries(folder)? {
        if fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_dir()) {
            sync_folders(&path)?;
        }
    }
    sync_folder(folder)
}

/// Exchanges two folders by one rename; where the file system cannot, the damaged one goes first.
fn exchange(new: &Path, damaged: &Path) -> Result<()> {
    let here = rustix::fs::CWD;
    if rustix::fs::renameat_with(here, new, here, damaged, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    let aside = new.with_extension("damaged");
    fs::rename(damaged, &aside)
        .and_then(|()| fs::rename(new, damaged))
        .and_then(|()| fs::rename(&aside, new))
        .map_err(Error::io("write", damaged))
}
