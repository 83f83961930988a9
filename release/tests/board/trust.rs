//! Whose releases a board takes, for which target, and how old they may be.

use std::fs;

use release::{Reply, Request};

use crate::place::{Made, Place};

fn stage(place: &Place, made: &Made, downgrade: bool, pin: bool) -> Request {
    match place.stage(made) {
        Request::Stage { manifest, signature, public_key, .. } => {
            Request::Stage { manifest, signature, public_key, allow_downgrade: downgrade, repin: pin }
        }
        other => other,
    }
}

#[test]
fn an_older_release_is_refused_unless_it_is_asked_for() {
    let (place, old, new) = Place::with_two();
    let error = place.refusal(&place.stage(&old));
    assert!(error.contains("took release number 2 before") && error.contains("--allow-downgrade"), "{error}");
    let taken = place.flash_with(&old, stage(&place, &old, true, false));
    assert!(matches!(&taken, Reply::Activated { current, .. } if *current == old.id), "{taken:?}");
    // What was taken once is remembered: also where the newer release, or the note, is gone.
    fs::remove_dir_all(place.path("releases").join(&new.id)).unwrap();
    assert_eq!(place.status().sequence, 2);
    assert!(place.refusal(&place.stage(&old)).contains("is older"));
    fs::write(place.path("taken.json"), "{").unwrap();
    assert_eq!(place.status().sequence, 1, "what is held speaks for itself");
    assert!(place.refusal(&place.stage(&place.make_with("older", 0, |m| m.schema = 1))).contains("is older"));
}

#[test]
fn an_older_release_is_no_reason_against_a_rollback() {
    let (place, old, new) = Place::with_two();
    assert!(matches!(place.ask(&Request::Rollback), Reply::Activated { current, .. } if current == old.id));
    assert_eq!(place.status().sequence, 2);
    assert!(matches!(place.flash(&new), Reply::Activated { current, .. } if current == new.id));
}

#[test]
fn a_release_for_another_target_is_always_refused() {
    let (mut place, ..) = Place::with_two();
    let other = place.make_with("other", 9, |manifest| manifest.target = "rpi4".to_owned());
    for (downgrade, pin) in [(false, false), (true, false), (false, true), (true, true)] {
        let error = place.refusal(&stage(&place, &other, downgrade, pin));
        assert!(error.contains("holds releases for the target host, and this one is for rpi4"), "{error}");
    }
    fs::remove_file(place.path("taken.json")).unwrap();
    assert!(place.refusal(&place.stage(&other)).contains("--target host"));
    place.change_key();
    let other = place.make_with("other", 9, |manifest| manifest.target = "rpi4".to_owned());
    let before = fs::read(place.path("trusted.pub")).unwrap();
    assert!(place.refusal(&stage(&place, &other, true, true)).contains("--target host"));
    assert_eq!(fs::read(place.path("trusted.pub")).unwrap(), before, "nothing was pinned for it");
}

#[test]
fn another_key_is_refused_until_it_is_to_be_pinned() {
    let (mut place, ..) = Place::with_two();
    let first = place.key();
    place.change_key();
    let made = place.make("mine", 1);
    let error = place.refusal(&place.stage(&made));
    assert!(error.contains(&first) && error.contains(&place.key()) && error.contains("--repin"), "{error}");
    let taken = place.flash_with(&made, stage(&place, &made, false, true));
    assert!(matches!(&taken, Reply::Activated { current, .. } if *current == made.id), "{taken:?}");
    let status = place.status();
    assert_eq!((status.trusted_key, status.sequence), (Some(place.key()), 1), "another key counts anew");
    let damaged = status.releases.iter().filter(|release| release.damage.is_some()).count();
    assert_eq!(damaged, 2, "those of the first key are nobody's now");
}

#[test]
fn a_lost_or_damaged_pin_is_no_first_use() {
    for damage in [None, Some(&b""[..]), Some(b"RWQ"), Some(&[255, 0, 254]), Some(&[b'x'; 10_000])] {
        let (mut place, ..) = Place::with_two();
        match damage {
            None => fs::remove_file(place.path("trusted.pub")).unwrap(),
            Some(bytes) => fs::write(place.path("trusted.pub"), bytes).unwrap(),
        }
        let status = place.status();
        assert_eq!((status.trusted_key, status.releases.len()), (None, 2));
        assert_eq!(damage.is_some(), !status.problems.is_empty(), "{:?}", status.problems);
        assert_eq!(place.collect(1).removed.len(), 0, "they are whole, whoever signed them");
        let made = place.make("next", 3);
        assert!(place.refusal(&place.stage(&made)).contains("--repin"));
        place.change_key();
        let strangers = place.make("stranger", 3);
        assert!(place.refusal(&place.stage(&strangers)).contains("--repin"));
        let pinned = place.flash_with(&strangers, stage(&place, &strangers, false, true));
        assert!(matches!(pinned, Reply::Activated { .. }), "{pinned:?}");
    }
}

#[test]
fn a_signature_of_another_manifest_pins_nothing() {
    let place = Place::new();
    let (one, other) = (place.make("one", 1), place.make("other", 2));
    let mixed = Made { signature: other.signature, ..one };
    for (downgrade, pin) in [(false, false), (true, true)] {
        assert!(
            place.refusal(&stage(&place, &mixed, downgrade, pin)).contains("does not sign this manifest")
        );
    }
    assert!(!place.path("trusted.pub").exists());
    assert!(place.status().releases.is_empty());
}
