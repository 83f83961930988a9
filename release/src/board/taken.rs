//! What this board took: it takes releases for one target only, and none that is older than the newest it took. Else an
//! old release, well signed and with a known hole, could be brought back by whoever once saw it pass.

use serde::{Deserialize, Serialize};

use crate::Manifest;
use mfactor::{Result, files};

use crate::board::layout::Layout;
use crate::board::{beneath, board, trust, verify};

/// More than the note has.
const LARGEST_NOTE: usize = 4096;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The key whose numbers these are, `RWQ…`: another key counts anew.
    pub key: String,
    /// The target of all releases here; `None` before the first.
    pub target: Option<String>,
    /// The highest sequence number of a release that was switched to.
    pub sequence: u64,
}

/// What this board took of the holder of `key`, by its note; and by the releases that it holds, where the note is lost,
/// damaged, of another key, or none yet, as on a board that was flashed by a former version.
pub fn taken(layout: &Layout, key: &str) -> Taken {
    let noted = note(layout).unwrap_or_default();
    if noted.key == key && noted.target.is_some() {
        return noted;
    }
    let known = Taken { key: key.to_owned(), sequence: 0, target: noted.target };
    let ids = layout.ids().unwrap_or_default();
    let held = layout.current().into_iter().chain(ids);
    held.filter_map(|id| of_release(layout, &id, key)).fold(known, |known, held| Taken {
        sequence: known.sequence.max(held.sequence),
        target: known.target.or(held.target),
        key: known.key,
    })
}

fn note(layout: &Layout) -> Option<Taken> {
    let bytes = beneath::read(layout.root(), &layout.taken(), LARGEST_NOTE).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Of one release: its number counts if it is signed with this key.
fn of_release(layout: &Layout, id: &str, key: &str) -> Option<Taken> {
    let (manifest, bytes) = verify::manifest(layout, id).ok()?;
    let is_signed =
        verify::signature(layout, id).is_ok_and(|signature| trust::is_of(key, &bytes, &signature));
    let sequence = if is_signed { manifest.sequence } else { 0 };
    Some(Taken { key: key.to_owned(), target: Some(manifest.target), sequence })
}

/// Whether a release, signed with `key`, is for this board's target, and not older than what it took.
///
/// # Errors
/// [`mfactor::Error::Board`] with the option that takes it all the same, where there is one.
pub fn check(layout: &Layout, manifest: &Manifest, key: &str, allow_downgrade: bool) -> Result<()> {
    let taken = taken(layout, key);
    if let Some(target) = taken.target.filter(|target| *target != manifest.target) {
        return Err(board(
            layout.root().display(),
            format!(
                "holds releases for the target {target}, and this one is for {}; flash with --target {target}, or into \
                 another folder with --folder",
                manifest.target
            ),
        ));
    }
    if manifest.sequence < taken.sequence && !allow_downgrade {
        return Err(board(
            layout.root().display(),
            format!(
                "took release number {} before, and this one is number {}, which is older; `mfactor flash \
                 --allow-downgrade` takes it all the same",
                taken.sequence, manifest.sequence
            ),
        ));
    }
    Ok(())
}

/// Remembers a release that was switched to. Its signature was checked with the pinned key.
///
/// # Errors
/// If the note cannot be written.
pub fn remember(layout: &Layout, manifest: &Manifest) -> Result<()> {
    let Some(key) = trust::trusted(layout)? else { return Ok(()) };
    let sequence = taken(layout, &key).sequence.max(manifest.sequence);
    let now = Taken { key, target: Some(manifest.target.clone()), sequence };
    match note(layout).as_ref() == Some(&now) {
        true => Ok(()),
        false => files::write_json(&layout.taken(), &now),
    }
}
