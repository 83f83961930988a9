//! Making room: old releases, unfinished uploads and records that no release needs go.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::Collected;
use mfactor::{Error, Result};

use crate::board::layout::{Layout, entries, remove_folder};
use crate::board::verify;

/// Keeps the `keep` newest releases; the current and the previous one are among them in any case.
pub fn collect(layout: &Layout, keep: usize) -> Result<Collected> {
    let in_use: Vec<String> = layout.current().into_iter().chain(layout.previous()).collect();
    let (mut kept, mut removed) = (in_use.clone(), vec![]);
    for id in layout.ids()? {
        if in_use.contains(&id) {
            continue;
        }
        let list = if kept.len() < keep { &mut kept } else { &mut removed };
        list.push(id);
    }
    let mut freed_bytes = 0;
    for id in &removed {
        freed_bytes += size(&layout.release(id));
        remove_folder(layout, &layout.release(id))?;
    }
    for path in entries(&layout.stagings())?.into_iter().chain(entries(&layout.incoming())?) {
        freed_bytes += remove(&path)?;
    }
    let manifests = kept.iter().filter_map(|id| verify::manifest(layout, id).ok());
    let needed: BTreeSet<String> =
        manifests.flat_map(|(manifest, _)| manifest.records).map(|records| records.sha256).collect();
    for path in entries(&layout.records())? {
        if !needed.contains(path.file_name().unwrap_or_default().to_string_lossy().as_ref()) {
            freed_bytes += remove(&path)?;
        }
    }
    Ok(Collected { removed, kept, freed_bytes })
}

fn remove(path: &Path) -> Result<u64> {
    let bytes = size(path);
    let is_folder = fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir());
    let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map(|()| bytes).map_err(Error::io("remove", path))
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
