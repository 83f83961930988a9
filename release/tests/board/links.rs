//! Nothing is read, written or run through a link; and what was verified is what is used, whatever its name leads to by
//! then.

use std::fs;
use std::os::unix::fs::symlink;

use release::{MeasureRequest, Reply, Request, SensorChoice};

use crate::place::{MODEL, Place, RECORDS, Reader, line};

#[test]
fn nothing_is_written_through_links_in_an_upload() {
    let (place, ..) = Place::with_two();
    let made = place.make("third", 3);
    let precious = place.outside("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("file"), "precious").unwrap();
    assert!(matches!(place.ask(&place.stage(&made)), Reply::Wanted { .. }));
    let staging = place.path("staging").join(&made.id);
    fs::remove_dir_all(staging.join("models")).unwrap();
    symlink(&precious, staging.join("models")).unwrap();
    for name in ["manifest.json", "manifest.json.minisig", "edge-runner", "edge-runner.part"] {
        let _ = fs::remove_file(staging.join(name));
        symlink(precious.join("file"), staging.join(name)).unwrap();
    }
    let records = place.path("records").join(mfactor::files::sha256(RECORDS));
    fs::remove_file(&records).unwrap();
    symlink(precious.join("file"), &records).unwrap();
    let answer = place.flash(&made);
    assert!(matches!(&answer, Reply::Activated { current, .. } if *current == made.id), "{answer:?}");
    assert_eq!(fs::read(precious.join("file")).unwrap(), b"precious");
    assert_eq!(fs::read_dir(&precious).unwrap().count(), 1);
    assert!(!records.is_symlink());
}

#[test]
fn an_upload_whose_folder_is_a_link_is_made_anew() {
    let (place, ..) = Place::with_two();
    let made = place.make("third", 3);
    fs::create_dir(place.outside("elsewhere")).unwrap();
    symlink(place.outside("elsewhere"), place.path("staging").join(&made.id)).unwrap();
    assert!(matches!(place.flash(&made), Reply::Activated { .. }));
    assert_eq!(fs::read_dir(place.outside("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_part_with_another_name_is_not_written_to() {
    let (place, ..) = Place::with_two();
    let made = place.make("third", 3);
    fs::write(place.outside("mine"), "mine").unwrap();
    place.ask(&place.stage(&made));
    let part = place.path("staging").join(&made.id).join("edge-runner.part");
    let _ = fs::remove_file(&part);
    fs::hard_link(place.outside("mine"), part).unwrap();
    assert!(matches!(place.flash(&made), Reply::Activated { .. }));
    assert_eq!(fs::read(place.outside("mine")).unwrap(), b"mine");
}

#[test]
fn a_key_or_a_note_behind_a_link_is_none() {
    let (place, ..) = Place::with_two();
    fs::rename(place.path("trusted.pub"), place.outside("key")).unwrap();
    symlink(place.outside("key"), place.path("trusted.pub")).unwrap();
    let status = place.status();
    assert!(status.problems[0].contains("trusted.pub: is a link"), "{:?}", status.problems);
    assert_eq!(status.trusted_key, None);
}

#[test]
fn what_was_verified_is_measured_whatever_its_name_leads_to() {
    let (place, ..) = Place::with_two();
    let reader = Reader::default();
    let request = MeasureRequest {
        preset: mfactor::measurement::Preset::Quick,
        threads: 1,
        engines: vec!["tract".to_owned()],
        sensors: SensorChoice::default(),
    };
    let replies = place.say_to(&reader, &line(&Request::Measure(request)));
    assert_eq!(replies, [Reply::Done]);
    assert_eq!(*reader.0.borrow(), ["model of new", "labelled records"]);
    assert_eq!(fs::read(place.path("current").join(MODEL)).unwrap(), b"another", "the name led elsewhere");
}
