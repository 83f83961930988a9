//! Tests of switching, with releases that are folders and a judge that knows what they are.

use std::collections::BTreeSet;

use super::*;

fn ids() -> [String; 3] {
    ["a", "b", "c"].map(|letter| letter.repeat(64))
}

/// Knows which releases are damaged, and which are whole and ill.
#[derive(Default)]
struct Known {
    damaged: BTreeSet<String>,
    ill: BTreeSet<String>,
}

impl Judge for Known {
    fn is_whole(&self, id: &str) -> bool {
        !self.damaged.contains(id)
    }

    fn try_out(&self, id: &str) -> Result<()> {
        match self.is_whole(id) && !self.ill.contains(id) {
            true => Ok(()),
            false => Err(board(id, "is ill")),
        }
    }
}

fn healthy() -> Known {
    Known::default()
}

fn ill(id: &str) -> Known {
    Known { ill: [id.to_owned()].into(), ..Known::default() }
}

fn damaged(ids: &[&String]) -> Known {
    Known { damaged: ids.iter().map(ToString::to_string).collect(), ..Known::default() }
}

fn board_with_releases() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    ids().iter().for_each(|id| fs::create_dir(layout.release(id)).unwrap());
    (folder, layout)
}

/// Switched from `a` to `b`, with `c` beside them, and not confirmed.
fn unconfirmed() -> (tempfile::TempDir, Layout) {
    let (folder, layout) = board_with_releases();
    let [a, b, _] = ids();
    activate_with(&layout, &a, &healthy()).unwrap();
    layout.point(PREVIOUS, None).unwrap();
    files::write_json(&layout.unconfirmed(), &Unconfirmed { new: b.clone(), back_to: Some(a) }).unwrap();
    layout.point(CURRENT, Some(&b)).unwrap();
    (folder, layout)
}

#[test]
fn a_healthy_release_becomes_current_and_the_old_one_previous() {
    let (_folder, layout) = board_with_releases();
    let [a, b, _] = ids();
    // There is more than one other release, so the newest of them is what a rollback goes to.
    let (current, _) = activate_with(&layout, &a, &healthy()).unwrap();
    assert_eq!(current, a);
    assert_eq!(activate_with(&layout, &b, &healthy()).unwrap(), (b.clone(), Some(a.clone())));
    assert_eq!(activate_with(&layout, &b, &ill(&b)).unwrap(), (b.clone(), Some(a)), "nothing to switch");
    assert_eq!(recover_with(&layout, &ill(&b)).unwrap(), None, "nothing to put right");
}

#[test]
fn an_ill_release_is_left_at_once() {
    let (_folder, layout) = board_with_releases();
    let [a, b, _] = ids();
    activate_with(&layout, &a, &healthy()).unwrap();
    assert!(activate_with(&layout, &b, &ill(&b)).is_err());
    assert_eq!(layout.current(), Some(a));
    assert!(!layout.unconfirmed().exists());
    let (_folder, layout) = board_with_releases();
    assert!(activate_with(&layout, &b, &ill(&b)).is_err());
    assert_eq!(layout.current(), None, "before the first there is nothing to go back to");
}

#[test]
fn what_was_cut_off_before_it_was_confirmed_is_judged_when_the_board_is_next_looked_at() {
    let [a, b, _] = ids();
    for (judge, current, previous) in
        [(healthy(), Some(b.clone()), Some(a.clone())), (ill(&b), Some(a.clone()), None)]
    {
        let (_folder, layout) = unconfirmed();
        assert!(recover_with(&layout, &judge).unwrap().is_some());
        assert_eq!((layout.current(), layout.previous()), (current, previous));
        assert!(!layout.unconfirmed().exists());
    }
}

#[test]
fn an_unconfirmed_release_that_was_lost_is_left_for_one_that_is_whole() {
    let [a, b, c] = ids();
    let (_folder, layout) = unconfirmed();
    fs::remove_dir(layout.release(&b)).unwrap();
    let words = recover_with(&layout, &damaged(&[&b])).unwrap().unwrap();
    assert!(words.contains("the board went back"), "{words}");
    assert_eq!(layout.current(), Some(a.clone()));
    // The one before it is damaged too.
    let (_folder, layout) = unconfirmed();
    let words = recover_with(&layout, &damaged(&[&a, &b])).unwrap().unwrap();
    assert!(words.contains("the newest that is whole is active"), "{words}");
    assert_eq!(layout.current(), Some(c.clone()));
    // None is whole: what was there before stays, and it is said.
    let (_folder, layout) = unconfirmed();
    let words = recover_with(&layout, &damaged(&[&a, &b, &c])).unwrap().unwrap();
    assert!(words.contains("no other release on this board is whole"), "{words}");
    assert_eq!(layout.current(), Some(a));
}

#[test]
fn a_note_of_nothing_is_no_path() {
    let (_folder, layout) = unconfirmed();
    let [a, b, c] = ids();
    let note = Unconfirmed { new: b.clone(), back_to: Some("../../../etc".to_owned()) };
    files::write_json(&layout.unconfirmed(), &note).unwrap();
    let judge = damaged(&[&a, &b, &c, &"../../../etc".to_owned()]);
    recover_with(&layout, &judge).unwrap();
    assert!(fs::symlink_metadata(layout.root().join(CURRENT)).is_err());
    for odd in ["{", "", "\0\u{1}", &"x".repeat(1 << 20)] {
        fs::write(layout.unconfirmed(), odd).unwrap();
        assert!(recover_with(&layout, &healthy()).unwrap().unwrap().contains("unreadable"));
        assert!(!layout.unconfirmed().exists());
    }
    fs::create_dir(layout.unconfirmed()).unwrap();
    assert!(recover_with(&layout, &healthy()).unwrap().unwrap().contains("unreadable"));
    std::os::unix::fs::symlink("/etc/passwd", layout.unconfirmed()).unwrap();
    assert!(recover_with(&layout, &healthy()).unwrap().unwrap().contains("unreadable"));
}

#[test]
fn a_rollback_goes_to_the_previous_release_or_to_any_whole_one_where_the_current_is_damaged() {
    let (_folder, layout) = board_with_releases();
    let [a, b, c] = ids();
    activate_with(&layout, &a, &healthy()).unwrap();
    activate_with(&layout, &b, &healthy()).unwrap();
    let error = rollback_with(&layout, &damaged(&[&a])).unwrap_err().to_string();
    assert!(error.contains("is ill"), "the current one is whole, so it stays: {error}");
    assert_eq!(layout.current(), Some(b.clone()));
    assert_eq!(rollback_with(&layout, &damaged(&[&b])).unwrap().0, a);
    assert_eq!(layout.previous(), Some(c.clone()), "what is damaged is nothing to go back to");
    assert_eq!(rollback_with(&layout, &damaged(&[&a, &c])).unwrap().0, b);
    fs::remove_file(layout.root().join(CURRENT)).unwrap();
    fs::remove_file(layout.root().join(PREVIOUS)).unwrap();
    assert!(rollback_with(&layout, &healthy()).is_ok(), "both links were lost");
    assert!(rollback_with(&layout, &damaged(&[&a, &b, &c])).is_err());
}
