//! An import that is stopped, killed or out of space leaves nothing that stays.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mfactor::exit;
use tests::Workplace;

const IMPORT: &str = "data import photos --side 64 --out made/leaves";

/// So many pictures of two classes, each of 200×200 pixels of its own.
fn with_pictures(pictures: usize) -> Workplace {
    let place = Workplace::new();
    std::fs::create_dir_all(place.path("made")).unwrap();
    for number in 0..pictures {
        let class = ["ash", "oak"][number % 2];
        std::fs::create_dir_all(place.path("photos").join(class)).unwrap();
        place.write(&format!("photos/{class}/{number}.bmp"), bmp(200, number as u32));
    }
    place
}

/// A square picture of noise that only `number` gives: a BMP of 24 bits a pixel.
fn bmp(side: u32, number: u32) -> Vec<u8> {
    let pixels = 3 * side * side;
    let mut bytes = b"BM".to_vec();
    let file_header = [54 + pixels, 0, 54];
    let picture_header = [40, side, side, 1 | 24 << 16, 0, pixels, 0, 0, 0, 0];
    bytes.extend(file_header.iter().chain(&picture_header).flat_map(|value: &u32| value.to_le_bytes()));
    let mut state = number.wrapping_mul(2_654_435_761) | 1;
    bytes.extend((0..pixels).map(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    }));
    bytes
}

/// Drafts beside the place of the data set.
fn drafts(place: &Workplace) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.path("made")).unwrap().map(|entry| entry.unwrap());
    let hidden = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    hidden.map(|entry| entry.path()).collect()
}

/// An import that has staged some of its pictures.
fn in_the_middle(place: &Workplace) -> Child {
    let child = place.mfactor(IMPORT.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    let has_staged = |draft: &PathBuf| draft.join(".staging").metadata().is_ok_and(|of| of.len() > 0);
    while !drafts(place).iter().any(has_staged) {
        assert!(started.elapsed() < Duration::from_secs(120), "the import does not begin");
        sleep(Duration::from_millis(1));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_stopped_import_leaves_nothing_and_a_killed_one_nothing_that_stays() {
    let place = with_pictures(400);
    let mut stopped = in_the_middle(&place);
    signal(&stopped, "TERM");
    assert_eq!(stopped.wait().unwrap().code(), Some(i32::from(exit::INTERRUPTED)));
    assert!(drafts(&place).is_empty() && !place.path("made/leaves").exists());

    let mut killed = in_the_middle(&place);
    signal(&killed, "KILL");
    killed.wait().unwrap();
    assert!(drafts(&place).len() == 1 && !place.path("made/leaves").exists(), "it was in the middle");
    // What another import is at stays; what the killed one left goes.
    let other = mfactor::drafts::folder(&place.path("made")).unwrap();
    place.run(IMPORT, exit::DONE);
    assert_eq!(drafts(&place), [other.path()]);
    assert!(place.path("made/leaves/dataset.toml").is_file());
}

/// A limit on the size of files, which the system enforces as a full disk, in the middle of the staging.
#[test]
fn a_full_disk_is_said_and_nothing_is_left() {
    let place = with_pictures(100);
    let program = tests::program("mfactor");
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1200; exec \"$0\" \"$@\""])
        .arg(program)
        .args(IMPORT.split(' '))
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let (_, said) = tests::expect("a full disk", &limited, exit::MISSING);
    assert!(said.contains("write"), "{said}");
    assert!(drafts(&place).is_empty() && !place.path("made/leaves").exists());
    place.run(IMPORT, exit::DONE);
}
