//! What the board holds, every file of it read and compared.

use crate::{BoardStatus, HeldRelease};
use mfactor::Result;

use crate::board::layout::{Layout, entries};
use crate::board::{collect, trust, verify};

/// What the board holds.
pub fn status(layout: &Layout) -> Result<BoardStatus> {
    let releases = layout.ids()?.into_iter().map(|id| held(layout, id)).collect();
    Ok(BoardStatus {
        current: layout.current(),
        previous: layout.previous(),
        releases,
        trusted_key: trust::trusted(layout)?,
        unfinished: entries(&layout.stagings())?.len(),
        free_bytes: layout.free_bytes()?,
    })
}

fn held(layout: &Layout, id: String) -> HeldRelease {
    let manifest = verify::manifest(layout, &id).ok().map(|(manifest, _)| manifest);
    let names = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    HeldRelease {
        study: manifest.as_ref().map(|manifest| manifest.study.clone()),
        models: manifest
            .iter()
            .flat_map(|manifest| &manifest.models)
            .map(|model| names(&model.file))
            .collect(),
        bytes: collect::size(&layout.release(&id)),
        damage: verify::release(layout, &id).err().map(|error| error.to_string()),
        id,
    }
}
