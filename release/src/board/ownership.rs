//! Whose folder it is. What another user of the board may write is not checked and then used: it is refused, as
//! OpenSSH's `StrictModes` refuses such a home.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use mfactor::{Error, Result};
use rustix::process::{getegid, geteuid};

use crate::board::board;

/// More links than the system itself follows.
const MOST_LINKS: usize = 40;
const GROUP_MAY_WRITE: u32 = 0o020;
const OTHERS_MAY_WRITE: u32 = 0o002;
/// In such a folder everyone may write, and nobody may rename what is another's (`/tmp`).
const STICKY: u32 = 0o1000;
/// Mode of every folder of ours.
const FOLDER_MODE: u32 = 0o755;

/// The folder at `path` without links on the way, made where it is missing: it is this user's, and nobody but this user
/// and root may change it, or anything above it.
///
/// # Errors
/// [`Error::Board`] naming the first folder or link on the way that is another user's or that others may write, and
/// what to do; [`Error::Io`] if the system refuses.
pub fn own_folder(path: &Path) -> Result<PathBuf> {
    let found = trodden(path)?;
    let facts = fs::symlink_metadata(&found).map_err(Error::io("read", &found))?;
    match is_own(&facts) {
        true => Ok(found),
        false => Err(strangers(&found, &facts)),
    }
}

/// Whether it is this user's, and no other's.
pub fn is_own(facts: &Metadata) -> bool {
    facts.uid() == geteuid().as_raw()
}

/// Makes a folder of ours in a folder of ours; what is there already is a folder of this user and no link. Others lose
/// the right to write there, which an umask of 002 once gave them.
///
/// # Errors
/// [`Error::Board`] if something else is in its place.
pub fn own_subfolder(path: &Path) -> Result<()> {
    make(path)?;
    let facts = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    if !facts.is_dir() {
        return Err(board(
            path.display(),
            "is a link or a file, and should be a folder of mfactor's own; put what it leads to in its place, or move it \
             away",
        ));
    }
    if !is_own(&facts) {
        return Err(strangers(path, &facts));
    }
    if may_others_write(&facts) {
        let mode = facts.mode() & 0o7777 & !(GROUP_MAY_WRITE | OTHERS_MAY_WRITE);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("change", path))?;
    }
    Ok(())
}

/// Walks from the root of the file system and looks at every folder and link on the way.
fn trodden(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(Error::io("read", path))?;
    let mut left: Vec<OsString> = names(&absolute);
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    check(&at)?;
    while let Some(name) = left.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        make(&next)?;
        let facts = fs::symlink_metadata(&next).map_err(Error::io("read", &next))?;
        if facts.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(board(path.display(), "leads from link to link without end"));
            }
            check(&next)?;
            let target = fs::read_link(&next).map_err(Error::io("read", &next))?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            left.extend(names(&target));
        } else {
            check(&next)?;
            at = next;
        }
    }
    Ok(at)
}

/// The names of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    let mut names: Vec<OsString> = path.components().filter_map(name).collect();
    names.reverse();
    names
}

fn make(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A folder above that cannot be written to, and is none of ours: whether it is there is seen next.
        Err(_) if fs::symlink_metadata(path).is_ok() => Ok(()),
        made => made.map_err(Error::io("create", path)),
    }
}

/// A folder or link on the way: this user's or root's, and nobody else may write there.
fn check(path: &Path) -> Result<()> {
    let facts = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    if facts.uid() != 0 && !is_own(&facts) {
        return Err(strangers(path, &facts));
    }
    if facts.is_symlink() {
        return Ok(());
    }
    if !facts.is_dir() {
        return Err(board(path.display(), "is no folder; choose another with --folder"));
    }
    if may_others_write(&facts) && facts.mode() & STICKY == 0 {
        return Err(board(
            path.display(),
            format!(
                "may be written by others (mode {:o}), who could put another program in the place of what is flashed; \
                 `chmod go-w` it there, or choose another folder with --folder",
                facts.mode() & 0o7777
            ),
        ));
    }
    Ok(())
}

/// Whether anyone but owner and root may write. A group of the user's own name and number (as Debian gives each user)
/// is the user.
fn may_others_write(facts: &Metadata) -> bool {
    let own_group = getegid().as_raw();
    let is_private = own_group == geteuid().as_raw() && facts.gid() == own_group && own_group != 0;
    facts.mode() & OTHERS_MAY_WRITE != 0
        || facts.mode() & GROUP_MAY_WRITE != 0 && !is_private && facts.gid() != 0
}

fn strangers(path: &Path, facts: &Metadata) -> Error {
    board(
        path.display(),
        format!(
            "belongs to another user (number {}, and this login is number {}), who could change what is flashed; choose \
             another folder with --folder, or give it to this user with chown",
            facts.uid(),
            geteuid().as_raw()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_is_made_and_found_through_links_of_ones_own() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("deep/er/mfactor");
        let found = own_folder(&path).unwrap();
        assert_eq!(found, path.canonicalize().unwrap());
        symlink("deep/../deep/er", place.path().join("link")).unwrap();
        assert_eq!(own_folder(&place.path().join("link/mfactor")).unwrap(), found);
        symlink("round", place.path().join("round")).unwrap();
        let error = own_folder(&place.path().join("round/x")).unwrap_err().to_string();
        assert!(error.contains("without end"), "{error}");
    }

    #[test]
    fn a_folder_that_others_may_write_or_one_below_it_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let above = place.path().join("above");
        let own = own_folder(&above.join("mfactor")).unwrap();
        mode(&above, 0o777);
        let error = own_folder(&own).unwrap_err().to_string();
        assert!(error.contains("above: may be written by others (mode 777)"), "{error}");
        mode(&above, 0o1777);
        own_folder(&own).unwrap();
        mode(&above, 0o755);
        mode(&own, 0o757);
        assert!(own_folder(&own).is_err());
        fs::write(above.join("file"), "").unwrap();
        let error = own_folder(&above.join("file/x")).unwrap_err().to_string();
        assert!(error.contains("is no folder"), "{error}");
    }

    #[test]
    fn what_is_another_users_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let stranger = place.path().join("stranger");
        fs::create_dir(&stranger).unwrap();
        if std::os::unix::fs::chown(&stranger, Some(65534), Some(65534)).is_err() {
            // Only root may give something away; others are held by the kernel to the same.
            assert!(!geteuid().is_root());
            return;
        }
        let error = own_folder(&stranger.join("mfactor")).unwrap_err().to_string();
        assert!(error.contains("belongs to another user (number 65534"), "{error}");
        let link = place.path().join("link");
        symlink(place.path(), &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(65534), Some(65534)).unwrap();
        assert!(own_folder(&link.join("mfactor")).is_err(), "its owner could make it lead elsewhere");
        assert!(own_subfolder(&stranger).is_err());
    }

    #[test]
    fn a_subfolder_is_a_folder_and_only_its_owner_writes_there() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("releases");
        own_subfolder(&path).unwrap();
        mode(&path, 0o777);
        own_subfolder(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o755);
        symlink("/etc", place.path().join("link")).unwrap();
        let error = own_subfolder(&place.path().join("link")).unwrap_err().to_string();
        assert!(error.contains("is a link or a file"), "{error}");
    }
}
