//! Switching: `current` changes by one rename, is tried once more in its place, and only then counts. Whatever is
//! cut off in between is put right by [`recover`], the first thing that an agent does.

use std::fs;

use crate::{CURRENT, PREVIOUS, is_id};
use mfactor::{Error, Result, files, text};
use serde::{Deserialize, Serialize};

use crate::board::layout::{Layout, remove_if_there, sync_folder};
use crate::board::{beneath, board, health, taken, verify};

/// More than the note has.
const LARGEST_NOTE: usize = 4096;
const LONGEST_PROBLEM: usize = 400;

/// The note that lies on the disk from before the switch until it is confirmed.
#[derive(Debug, Serialize, Deserialize)]
struct Unconfirmed {
    new: String,
    back_to: Option<String>,
}

/// What the board changed to: the current release and the one before it.
pub type Switched = (String, Option<String>);

/// What is asked of a release; tests answer without engines.
trait Judge {
    /// Whether all its bytes are right.
    fn is_whole(&self, id: &str) -> bool;

    /// Verified on the disk, and healthy.
    fn try_out(&self, id: &str) -> Result<()>;
}

/// The judge of real releases.
struct Board<'a>(&'a Layout);

impl Judge for Board<'_> {
    fn is_whole(&self, id: &str) -> bool {
        verify::release(self.0, id).is_ok()
    }

    fn try_out(&self, id: &str) -> Result<()> {
        let release = verify::release(self.0, id)?;
        health::check_release(self.0, &release).map(drop)
    }
}

/// Makes a release that lies verified on the disk the current one, tries it in its place, and confirms it.
///
/// # Errors
/// If it is not whole: then nothing changes. If it fails its health check: then what was current is current again.
pub fn activate(layout: &Layout, id: &str) -> Result<Switched> {
    let release = verify::release(layout, id)?;
    let switched = activate_with(layout, id, &Board(layout))?;
    taken::remember(layout, &release.manifest)?;
    Ok(switched)
}

/// Goes back to the release before the current one, if that one is whole and healthy. Where the current one is damaged
/// or lost, the newest that is whole and healthy will do.
///
/// # Errors
/// [`Error::Board`] if there is none, or it is damaged: then nothing changes.
pub fn rollback(layout: &Layout) -> Result<Switched> {
    rollback_with(layout, &Board(layout))
}

/// Puts right what an interruption left: a release that was switched to and not confirmed is confirmed if it is
/// healthy, and left if it is not. Returns what was done, in words.
///
/// # Errors
/// If the system refuses a change; the note stays for the next time.
pub fn recover(layout: &Layout) -> Result<Option<String>> {
    recover_with(layout, &Board(layout))
}

fn activate_with(layout: &Layout, id: &str, judge: &dyn Judge) -> Result<Switched> {
    let before = layout.current();
    if before.as_deref() == Some(id) {
        return Ok((id.to_owned(), layout.previous()));
    }
    let note = Unconfirmed { new: id.to_owned(), back_to: before };
    files::write_json(&layout.unconfirmed(), &note)?;
    layout.point(CURRENT, Some(id))?;
    confirm(layout, &note, judge)?;
    Ok((id.to_owned(), layout.previous()))
}

/// The second half of a switch: it may be done twice.
fn confirm(layout: &Layout, note: &Unconfirmed, judge: &dyn Judge) -> Result<()> {
    if let Err(error) = judge.try_out(&note.new) {
        let outcome = go_back(layout, note, judge)?;
        forget(layout)?;
        let told = |outcome| format!("{}; {outcome}", text::quoted(&error.to_string(), LONGEST_PROBLEM));
        return Err(match outcome {
            None => error,
            Some(outcome) => board(layout.root().display(), told(outcome)),
        });
    }
    // What is damaged is nothing to go back to, as long as there is anything else.
    let whole = |id: &String| *id != note.new && judge.is_whole(id);
    let before = note.back_to.clone().filter(whole).or_else(|| layout.previous().filter(whole));
    if let Some(before) = before.or_else(|| others(layout).into_iter().find(whole)).or(note.back_to.clone()) {
        layout.point(PREVIOUS, Some(&before))?;
    }
    forget(layout)
}

/// Goes back to what the note says, or, where that is damaged or lost, to the newest that is whole. Returns what is
/// out of the ordinary, in words.
fn go_back(layout: &Layout, note: &Unconfirmed, judge: &dyn Judge) -> Result<Option<String>> {
    let Some(back_to) = &note.back_to else {
        return layout.point(CURRENT, None).map(|()| None);
    };
    if judge.is_whole(back_to) {
        return layout.point(CURRENT, Some(back_to)).map(|()| None);
    }
    let whole = |id: &String| *id != note.new && judge.is_whole(id);
    match layout.previous().into_iter().chain(others(layout)).find(whole) {
        Some(id) => {
            layout.point(CURRENT, Some(&id))?;
            if layout.previous().as_ref() == Some(&id) {
                layout.point(PREVIOUS, None)?;
            }
            Ok(Some(format!("the release before it is damaged, so the newest that is whole is active: {id}")))
        }
        None => {
            let is_there = is_id(back_to) && fs::symlink_metadata(layout.release(back_to)).is_ok();
            layout.point(CURRENT, is_there.then_some(back_to))?;
            Ok(Some("no other release on this board is whole; flash again".to_owned()))
        }
    }
}

/// All releases, the newest first.
fn others(layout: &Layout) -> Vec<String> {
    layout.ids().unwrap_or_default()
}

fn rollback_with(layout: &Layout, judge: &dyn Judge) -> Result<Switched> {
    let current = layout.current();
    let is_damaged = current.as_ref().is_none_or(|current| !judge.is_whole(current));
    let mut candidates: Vec<String> = layout.previous().into_iter().collect();
    if is_damaged {
        candidates.extend(others(layout));
    }
    let mut first = None;
    for id in candidates.iter().filter(|id| Some(*id) != current.as_ref()) {
        match judge.try_out(id).and_then(|()| activate_with(layout, id, judge)) {
            Ok(switched) => return Ok(switched),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| board(layout.root().display(), "holds no previous release to go back to")))
}

fn forget(layout: &Layout) -> Result<()> {
    let path = layout.unconfirmed();
    remove_if_there(fs::remove_file(&path)).map_err(Error::io("remove", &path))?;
    sync_folder(layout.root())
}

fn recover_with(layout: &Layout, judge: &dyn Judge) -> Result<Option<String>> {
    let path = layout.unconfirmed();
    if fs::symlink_metadata(&path).is_err() {
        return Ok(None);
    }
    let read = beneath::read(layout.root(), &path, LARGEST_NOTE);
    let Some(note) = read.ok().and_then(|bytes| serde_json::from_slice::<Unconfirmed>(&bytes).ok()) else {
        if fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_dir()) {
            fs::rename(&path, path.with_extension("aside")).map_err(Error::io("rename", &path))?;
        }
        forget(layout)?;
        return Ok(Some("the note of an earlier flash was unreadable and was removed".to_owned()));
    };
    // The link may lead to a release that was lost since: then it was switched to all the same.
    if layout.linked(CURRENT).as_deref() != Some(&note.new) {
        forget(layout)?;
        return Ok(Some("an earlier flash ended before it switched".to_owned()));
    }
    Ok(Some(match confirm(layout, &note, judge) {
        Ok(()) => {
            "an earlier flash had switched and not confirmed: it is healthy and was confirmed".to_owned()
        }
        Err(error) => {
            format!("an earlier flash had switched and not confirmed: the board went back, because {error}")
        }
    }))
}

#[cfg(test)]
#[path = "switch_tests.rs"]
mod tests;
