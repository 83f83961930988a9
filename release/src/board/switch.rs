//! Switching: `current` changes by one rename, is tried once more in its place, and only then counts. Whatever is
//! cut off in between is put right by [`recover`], the first thing that an agent does.

use std::fs;

use crate::{CURRENT, PREVIOUS};
use mfactor::{Error, Result, files};
use serde::{Deserialize, Serialize};

use crate::board::layout::{Layout, remove_if_there, sync_folder};
use crate::board::{board, health, verify};

/// The note that lies on the disk from before the switch until it is confirmed.
#[derive(Debug, Serialize, Deserialize)]
struct Unconfirmed {
    new: String,
    back_to: Option<String>,
}

/// What the board changed to: the current release and the one before it.
pub type Switched = (String, Option<String>);

/// Makes a release that lies verified on the disk the current one, tries it in its place, and confirms it.
///
/// # Errors
/// If it fails its health check: then what was current is current again.
pub fn activate(layout: &Layout, id: &str) -> Result<Switched> {
    activate_with(layout, id, &mut |id| try_out(layout, id))
}

/// Goes back to the release before the current one, if that one is whole and healthy.
///
/// # Errors
/// [`Error::Board`] if there is none, or it is damaged: then nothing changes.
pub fn rollback(layout: &Layout) -> Result<Switched> {
    let Some(previous) = layout.previous() else {
        return Err(board(layout.root().display(), "holds no previous release to go back to"));
    };
    try_out(layout, &previous)?;
    activate(layout, &previous)
}

/// Puts right what an interruption left: a release that was switched to and not confirmed is confirmed if it is
/// healthy, and left if it is not. Returns what was done, in words.
pub fn recover(layout: &Layout) -> Result<Option<String>> {
    recover_with(layout, &mut |id| try_out(layout, id))
}

/// Verified on the disk, and healthy.
pub fn try_out(layout: &Layout, id: &str) -> Result<()> {
    let manifest = verify::release(layout, id)?;
    health::check_release(layout, id, &manifest).map(drop)
}

fn activate_with(layout: &Layout, id: &str, check: &mut dyn FnMut(&str) -> Result<()>) -> Result<Switched> {
    let before = layout.current();
    if before.as_deref() == Some(id) {
        return Ok((id.to_owned(), layout.previous()));
    }
    let note = Unconfirmed { new: id.to_owned(), back_to: before };
    files::write_json(&layout.unconfirmed(), &note)?;
    layout.point(CURRENT, Some(id))?;
    confirm(layout, &note, check)?;
    Ok((id.to_owned(), layout.previous()))
}

/// The second half of a switch: it may be done twice.
fn confirm(layout: &Layout, note: &Unconfirmed, check: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    if let Err(error) = check(&note.new) {
        layout.point(CURRENT, note.back_to.as_deref())?;
        forget(layout)?;
        return Err(error);
    }
    if let Some(before) = &note.back_to {
        layout.point(PREVIOUS, Some(before))?;
    }
    forget(layout)
}

fn forget(layout: &Layout) -> Result<()> {
    let path = layout.unconfirmed();
    remove_if_there(fs::remove_file(&path)).map_err(Error::io("remove", &path))?;
    sync_folder(layout.root())
}

fn recover_with(layout: &Layout, check: &mut dyn FnMut(&str) -> Result<()>) -> Result<Option<String>> {
    if !layout.unconfirmed().exists() {
        return Ok(None);
    }
    let Ok(note) = files::read_json::<Unconfirmed>(&layout.unconfirmed()) else {
        forget(layout)?;
        return Ok(Some("the note of an earlier flash was unreadable and was removed".to_owned()));
    };
    if layout.current().as_deref() != Some(&note.new) {
        forget(layout)?;
        return Ok(Some("an earlier flash ended before it switched".to_owned()));
    }
    Ok(Some(match confirm(layout, &note, check) {
        Ok(()) => {
            "an earlier flash had switched and not confirmed: it is healthy and was confirmed".to_owned()
        }
        Err(error) => {
            format!("an earlier flash had switched and not confirmed: the board went back, because {error}")
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> [String; 2] {
        ["a".repeat(64), "b".repeat(64)]
    }

    fn board_with_releases() -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::open(folder.path()).unwrap();
        ids().iter().for_each(|id| fs::create_dir(layout.release(id)).unwrap());
        (folder, layout)
    }

    fn healthy(_: &str) -> Result<()> {
        Ok(())
    }

    fn ill(_: &str) -> Result<()> {
        Err(board("model", "is ill"))
    }

    #[test]
    fn a_healthy_release_becomes_current_and_the_old_one_previous() {
        let (_folder, layout) = board_with_releases();
        let [a, b] = ids();
        assert_eq!(activate_with(&layout, &a, &mut healthy).unwrap(), (a.clone(), None));
        assert_eq!(activate_with(&layout, &b, &mut healthy).unwrap(), (b.clone(), Some(a.clone())));
        assert_eq!(activate_with(&layout, &b, &mut ill).unwrap(), (b, Some(a)), "nothing to switch");
        assert_eq!(recover_with(&layout, &mut ill).unwrap(), None, "nothing to put right");
    }

    #[test]
    fn an_ill_release_is_left_at_once() {
        let (_folder, layout) = board_with_releases();
        let [a, b] = ids();
        activate_with(&layout, &a, &mut healthy).unwrap();
        assert!(activate_with(&layout, &b, &mut ill).is_err());
        assert_eq!((layout.current(), layout.previous()), (Some(a), None));
        assert!(!layout.unconfirmed().exists());
        let (_folder, layout) = board_with_releases();
        assert!(activate_with(&layout, &b, &mut ill).is_err());
        assert_eq!(layout.current(), None, "before the first there is nothing to go back to");
    }

    #[test]
    fn what_was_cut_off_before_it_was_confirmed_is_judged_when_the_board_is_next_looked_at() {
        let [a, b] = ids();
        for (check, current, previous) in [
            (healthy as fn(&str) -> Result<()>, Some(b.clone()), Some(a.clone())),
            (ill, Some(a.clone()), None),
        ] {
            let (_folder, layout) = board_with_releases();
            activate_with(&layout, &a, &mut healthy).unwrap();
            let note = Unconfirmed { new: b.clone(), back_to: Some(a.clone()) };
            files::write_json(&layout.unconfirmed(), &note).unwrap();
            layout.point(CURRENT, Some(&b)).unwrap();
            assert!(recover_with(&layout, &mut { check }).unwrap().is_some());
            assert_eq!((layout.current(), layout.previous()), (current, previous));
            assert!(!layout.unconfirmed().exists());
        }
    }
}
