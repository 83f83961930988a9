//! Which releases a program is running from: they are not removed under its feet.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::is_id;

use crate::board::layout::{Layout, entries};

/// Most bytes of a command line that are looked at.
const LONGEST_COMMAND: u64 = 64 << 10;

/// Ids of the releases whose files a process runs or names on its command line, as far as this user may see it.
pub fn running(layout: &Layout) -> BTreeSet<String> {
    let is_process = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
    };
    let processes = entries(Path::new("/proc")).unwrap_or_default().into_iter().filter(is_process);
    processes.flat_map(|process| named(&process)).filter_map(|path| release_of(layout, &path)).collect()
}

/// What a process runs, and the paths on its command line.
fn named(process: &Path) -> Vec<PathBuf> {
    let command = mfactor::files::read_at_most(&process.join("cmdline"), LONGEST_COMMAND).unwrap_or_default();
    let arguments = command.split(|byte| *byte == 0).filter(|argument| argument.contains(&b'/'));
    let arguments = arguments.map(|argument| PathBuf::from(OsString::from_vec(argument.to_vec())));
    let folder = fs::read_link(process.join("cwd")).unwrap_or_default();
    arguments.map(|path| folder.join(path)).chain(fs::read_link(process.join("exe")).ok()).collect()
}

/// The release that a path leads into.
fn release_of(layout: &Layout, path: &Path) -> Option<String> {
    // A program whose file is gone already has no path any more; that it is named is enough.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let below = real.strip_prefix(layout.releases()).ok()?;
    let id = below.components().next()?.as_os_str().to_str()?.to_owned();
    is_id(&id).then_some(id)
}
