//! Making room: old and damaged releases, unfinished uploads and records that no release needs go. What is current,
//! previous, or being run stays, and so does what cannot be removed: it is told, and stops nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::Collected;
use mfactor::{Result, text};

use crate::board::layout::{Layout, entries, is_hidden, name_of, remove_all, remove_folder};
use crate::board::running::running;
use crate::board::verify;

/// A longer sentence is cut off.
const LONGEST_PROBLEM: usize = 400;

/// Keeps the `keep` newest whole releases; the current and the previous one are among them in any case. Where the link to
/// the current one was lost, it is taken to be the newest that is whole.
///
/// # Errors
/// If the folder of releases cannot be read.
pub fn collect(layout: &Layout, keep: usize) -> Result<Collected> {
    let mut found = Collected::default();
    let ids = layout.ids()?;
    let is_whole = |id: &&String| verify::contents_of(layout, id).is_ok();
    let current = layout.current().or_else(|| ids.iter().find(is_whole).cloned());
    let in_use: Vec<String> = current.into_iter().chain(layout.previous()).collect();
    found.kept.extend(in_use.iter().cloned());
    found.kept.dedup();
    let running = running(layout);
    for id in ids {
        if in_use.contains(&id) {
            continue;
        }
        let is_kept = found.kept.len() < keep && verify::contents_of(layout, &id).is_ok();
        if is_kept || running.contains(&id) {
            found.kept.push(id);
        } else {
            remove_release(layout, id, &mut found);
        }
    }
    for folder in [layout.stagings(), layout.incoming()] {
        remove_each(&folder, |_| true, &mut found);
    }
    if let Some(needed) = needed_records(layout, &found.kept) {
        remove_each(&layout.records(), |name| !needed.contains(name), &mut found);
    }
    Ok(found)
}

fn remove_release(layout: &Layout, id: String, found: &mut Collected) {
    let path = layout.release(&id);
    let bytes = size(&path);
    match remove_folder(layout, &path) {
        Ok(()) => {
            found.freed_bytes += bytes;
            found.removed.push(id);
        }
        Err(error) => {
            found.problems.push(text::quoted(&error.to_string(), LONGEST_PROBLEM));
            found.kept.push(id);
        }
    }
}

/// Removes what is in a folder, and is ours: what begins with a dot is not.
fn remove_each(folder: &Path, is_free: impl Fn(&str) -> bool, found: &mut Collected) {
    for path in entries(folder).unwrap_or_default() {
        if is_hidden(&path) || !is_free(&name_of(&path)) {
            continue;
        }
        let bytes = size(&path);
        match remove_all(&path) {
            Ok(()) => found.freed_bytes += bytes,
            Err(error) => found.problems.push(text::quoted(&error.to_string(), LONGEST_PROBLEM)),
        }
    }
}

/// The records of all releases that stay; `None` if one of them does not tell.
fn needed_records(layout: &Layout, kept: &[String]) -> Option<BTreeSet<String>> {
    let mut needed = BTreeSet::new();
    for id in kept {
        let (manifest, _) = verify::manifest(layout, id).ok()?;
        needed.extend(manifest.records.into_iter().map(|records| records.sha256));
    }
    Some(needed)
}

/// Bytes of a file, or of all files in a folder.
pub(super) fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => {
            entries(path).unwrap_or_default().iter().map(|entry| size(entry)).sum()
        }
        Ok(facts) => facts.len(),
        Err(_) => 0,
    }
}
