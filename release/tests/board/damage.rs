//! One unreadable thing never ends the whole look: what is whole is listed, gone back to, and kept.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use release::{Reply, Request};

use crate::place::{MODEL, Place};

/// What it is called, and what is done to the release in this folder.
type Damage = (&'static str, fn(&Path));

/// Ways to damage a release, each of which `status` has to tell.
const WAYS: [Damage; 12] = [
    ("no manifest", |release| fs::remove_file(release.join("manifest.json")).unwrap()),
    ("a binary manifest", |release| fs::write(release.join("manifest.json"), [0, 255, 7]).unwrap()),
    ("an empty manifest", |release| fs::write(release.join("manifest.json"), "").unwrap()),
    ("a folder for a manifest", |release| {
        fs::remove_file(release.join("manifest.json")).unwrap();
        fs::create_dir(release.join("manifest.json")).unwrap();
    }),
    ("a pipe for a manifest", |release| {
        fs::remove_file(release.join("manifest.json")).unwrap();
        assert!(Command::new("mkfifo").arg(release.join("manifest.json")).status().unwrap().success());
    }),
    ("an endless manifest", |release| {
        fs::remove_file(release.join("manifest.json")).unwrap();
        symlink("/dev/zero", release.join("manifest.json")).unwrap();
    }),
    ("no signature", |release| fs::remove_file(release.join("manifest.json.minisig")).unwrap()),
    ("a signature that is no text", |release| {
        fs::write(release.join("manifest.json.minisig"), [255, 254]).unwrap();
    }),
    ("no runner", |release| fs::remove_file(release.join("edge-runner")).unwrap()),
    ("another mode", |release| {
        fs::set_permissions(release.join(MODEL), fs::Permissions::from_mode(0o666)).unwrap();
    }),
    ("a file for a folder", |release| {
        fs::remove_dir_all(release.join("models")).unwrap();
        fs::write(release.join("models"), "").unwrap();
    }),
    ("a link for a folder", |release| {
        fs::rename(release.join("models"), release.join("elsewhere")).unwrap();
        symlink("elsewhere", release.join("models")).unwrap();
    }),
];

#[test]
fn a_damaged_release_is_listed_and_the_one_before_it_can_be_gone_back_to() {
    for (what, damage) in WAYS {
        let (place, old, new) = Place::with_two();
        damage(&place.path("current").canonicalize().unwrap());
        let status = place.status();
        assert_eq!(status.releases.len(), 2, "{what}");
        for release in &status.releases {
            assert_eq!(release.damage.is_some(), release.id == new.id, "{what}: {release:?}");
        }
        let collected = place.collect(1);
        assert_eq!((collected.kept.len(), collected.problems.len()), (2, 0), "{what}: {collected:?}");
        let back = place.ask(&Request::Rollback);
        assert!(matches!(&back, Reply::Activated { current, .. } if *current == old.id), "{what}: {back:?}");
        let again = place.flash(&new);
        assert!(
            matches!(&again, Reply::Activated { current, .. } if *current == new.id),
            "{what}: {again:?}"
        );
        assert!(place.status().releases.iter().all(|release| release.damage.is_none()), "{what}");
    }
}

#[test]
fn a_release_that_is_gone_altogether_is_gone_back_from() {
    let (place, old, new) = Place::with_two();
    fs::remove_dir_all(place.path("releases").join(&new.id)).unwrap();
    let status = place.status();
    assert_eq!((status.current, status.previous.as_ref()), (None, Some(&old.id)));
    assert!(status.problems[0].contains("current leads to no release"), "{:?}", status.problems);
    assert!(matches!(place.ask(&Request::Rollback), Reply::Activated { current, .. } if current == old.id));
    for link in ["current", "previous"] {
        let _ = fs::remove_file(place.path(link));
    }
    assert!(place.status().problems[0].contains("mfactor board rollback"));
    assert_eq!(place.collect(1).kept, [old.id.as_str()], "the newest whole one stays, links or not");
    assert!(matches!(place.ask(&Request::Rollback), Reply::Activated { current, .. } if current == old.id));
}

#[test]
fn odd_names_among_the_releases_are_nobodys_business() {
    let (place, old, _) = Place::with_two();
    let (file, link) = ("1".repeat(64), "2".repeat(64));
    let releases = place.path("releases");
    for name in [".DS_Store", "._x", ".nfs00001", "README", "a b\u{7}", &"A".repeat(64)] {
        fs::write(releases.join(name), "x").unwrap();
    }
    fs::write(releases.join(&file), "x").unwrap();
    symlink("/etc", releases.join(&link)).unwrap();
    fs::write(releases.join(&old.id).join(".DS_Store"), "x").unwrap();
    for folder in ["staging", "incoming", "records"] {
        fs::write(place.path(folder).join("._x"), "x").unwrap();
    }
    let status = place.status();
    let damaged: Vec<&str> = status
        .releases
        .iter()
        .filter(|release| release.damage.is_some())
        .map(|release| release.id.as_str())
        .collect();
    assert_eq!((status.releases.len(), damaged.len(), status.unfinished), (4, 2, 0), "{status:?}");
    assert!(damaged.contains(&file.as_str()) && damaged.contains(&link.as_str()));
    let collected = place.collect(9);
    assert_eq!((collected.removed.len(), collected.kept.len()), (2, 2), "damaged ones go first");
    assert!(Path::new("/etc/passwd").exists());
    for name in ["releases/.DS_Store", "releases/README", "staging/._x", "incoming/._x", "records/._x"] {
        assert!(place.path(name).exists(), "{name}");
    }
    assert!(matches!(place.ask(&Request::Rollback), Reply::Activated { current, .. } if current == old.id));
}

#[test]
fn what_stands_in_the_place_of_a_folder_is_put_aside() {
    let (place, old, _) = Place::with_two();
    for folder in ["staging", "incoming", "records"] {
        fs::remove_dir_all(place.path(folder)).unwrap();
    }
    fs::write(place.path("staging"), "mine").unwrap();
    symlink(place.outside(""), place.path("incoming")).unwrap();
    symlink("nowhere", place.path("records")).unwrap();
    assert_eq!(place.status().releases.len(), 2);
    assert_eq!(fs::read(place.path("staging.aside")).unwrap(), b"mine");
    assert!(place.path("incoming").is_dir() && !place.path("incoming").is_symlink());
    assert!(matches!(place.ask(&Request::Rollback), Reply::Activated { current, .. } if current == old.id));
    fs::rename(place.path("releases"), place.outside("moved")).unwrap();
    symlink(place.outside("moved"), place.path("releases")).unwrap();
    let mut said = vec![];
    let reader = crate::place::Reader::default();
    let error =
        release::board::agent::serve(&place.path(""), "ada", &reader, &b""[..], &mut said).unwrap_err();
    assert!(error.to_string().contains("releases: is a link or a file"), "{error}");
}

#[test]
fn what_a_killed_agent_left_half_made_is_collected_at_the_next_start() {
    let (place, ..) = Place::with_two();
    fs::create_dir_all(place.path("staging/.trash-x/models")).unwrap();
    symlink("releases/x", place.path(".current.new")).unwrap();
    for name in [".mfactor-a1b2.tmp", "incoming/.mfactor-a1b2.tmp"] {
        fs::write(place.path(name), "").unwrap();
    }
    fs::write(place.path(".mine"), "").unwrap();
    place.status();
    for name in ["staging/.trash-x", ".current.new", ".mfactor-a1b2.tmp", "incoming/.mfactor-a1b2.tmp"] {
        assert!(fs::symlink_metadata(place.path(name)).is_err(), "{name}");
    }
    assert!(place.path(".mine").exists());
}
