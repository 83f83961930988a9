//! What the board holds, every file of it read and compared.

use crate::{BoardStatus, CURRENT, HeldRelease, PREVIOUS};
use mfactor::{Result, text};

use crate::board::layout::{Layout, entries, is_hidden};
use crate::board::{collect, taken, trust, verify};

/// A longer sentence is cut off.
const LONGEST_PROBLEM: usize = 400;

/// What the board holds. What of it is damaged is said, and ends nothing.
///
/// # Errors
/// If the folder of releases cannot be read.
pub fn status(layout: &Layout) -> Result<BoardStatus> {
    let releases = layout.ids()?.into_iter().map(|id| held(layout, id)).collect();
    let mut problems = lost_links(layout);
    let trusted_key = trust::trusted(layout).unwrap_or_else(|error| {
        problems.push(shown(&error));
        None
    });
    let free_bytes = layout.free_bytes().unwrap_or_else(|error| {
        problems.push(shown(&error));
        0
    });
    let taken = taken::taken(layout, trusted_key.as_deref().unwrap_or_default());
    let unfinished = entries(&layout.stagings()).unwrap_or_default();
    Ok(BoardStatus {
        target: taken.target,
        sequence: taken.sequence,
        current: layout.current(),
        previous: layout.previous(),
        releases,
        trusted_key,
        unfinished: unfinished.iter().filter(|path| !is_hidden(path)).count(),
        free_bytes,
        problems,
    })
}

fn lost_links(layout: &Layout) -> Vec<String> {
    let lost = [CURRENT, PREVIOUS].into_iter().filter(|link| layout.leads_nowhere(link));
    let mut problems: Vec<String> =
        lost.map(|link| format!("{link} leads to no release that is here")).collect();
    let is_empty = layout.ids().is_ok_and(|ids| ids.is_empty());
    if layout.current().is_none() && !is_empty {
        problems.push(
            "no release is active; `mfactor board rollback` makes a whole one active, and `mfactor flash` \
             brings another"
                .to_owned(),
        );
    }
    problems
}

fn shown(error: &mfactor::Error) -> String {
    text::quoted(&error.to_string(), LONGEST_PROBLEM)
}

fn held(layout: &Layout, id: String) -> HeldRelease {
    let manifest = verify::manifest(layout, &id).ok().map(|(manifest, _)| manifest);
    let names = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    HeldRelease {
        study: manifest.as_ref().map(|manifest| manifest.study.clone()),
        target: manifest.as_ref().map(|manifest| manifest.target.clone()),
        sequence: manifest.as_ref().map_or(0, |manifest| manifest.sequence),
        models: manifest
            .iter()
            .flat_map(|manifest| &manifest.models)
            .map(|model| names(&model.file))
            .collect(),
        bytes: collect::size(&layout.release(&id)),
        damage: verify::release(layout, &id).err().map(|error| shown(&error)),
        id,
    }
}
