//! Making room, and uploads that do not fit what is there.

use std::fs;
use std::process::{Command, Stdio};

use release::{Reply, Request};

use crate::place::{MODEL, Place, line};

#[test]
fn what_is_current_previous_or_running_stays() {
    let (place, old, new) = Place::with_two();
    let third = place.make("third", 3);
    assert!(matches!(place.flash(&third), Reply::Activated { .. }));
    // `old` is neither current nor previous any more, and something reads its runner.
    let runner = place.path("releases").join(&old.id).join("edge-runner");
    let mut running = Command::new("tail").arg("-f").arg(&runner).stdout(Stdio::null()).spawn().unwrap();
    let kept = place.collect(0).kept;
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(kept, [third.id.as_str(), &new.id, &old.id]);
    assert_eq!(place.collect(0).removed, [old.id.as_str()]);
    assert_eq!(place.status().releases.len(), 2);
}

#[test]
fn the_release_whose_link_was_lost_stays() {
    let (place, old, new) = Place::with_two();
    fs::remove_file(place.path("current")).unwrap();
    let collected = place.collect(1);
    assert_eq!(collected.kept, [new.id.as_str(), &old.id], "{collected:?}");
    assert!(matches!(place.ask(&Request::Rollback), Reply::Activated { current, .. } if current == old.id));
}

#[test]
fn a_part_that_is_longer_than_its_file_is_thrown_away() {
    let (place, ..) = Place::with_two();
    let made = place.make("third", 3);
    place.ask(&place.stage(&made));
    let part = place.path("staging").join(&made.id).join(format!("{MODEL}.part"));
    fs::write(&part, "x".repeat(10_000)).unwrap();
    let Reply::Wanted { files, .. } = place.ask(&place.stage(&made)) else { panic!("nothing is wanted") };
    assert!(files.iter().all(|file| file.offset == 0), "{files:?}");
    // One of the right length and other bytes is dropped when it is compared, and sent again.
    fs::write(&part, "x".repeat(made.files[MODEL].len())).unwrap();
    let said = [
        line(&place.stage(&made)),
        line(&Request::File { name: MODEL.to_owned(), offset: made.files[MODEL].len() as u64 }),
    ];
    assert!(matches!(place.say(&said.concat()).pop(), Some(Reply::Damaged { .. })));
    assert!(matches!(place.flash(&made), Reply::Activated { .. }));
}

#[test]
fn an_ill_release_is_not_switched_to() {
    let (place, _, new) = Place::with_two();
    let ill = place.make("ill", 3);
    let Reply::Failed { failure } = place.flash(&ill) else { panic!("it is ill") };
    assert!(mfactor::Error::from(failure).to_string().starts_with("3.onnx: its answers"));
    let status = place.status();
    assert_eq!((status.current, status.sequence), (Some(new.id), 2), "nor does its number count");
}
