//! Signals at random moments of a flash, for `mfactor` and for whatever of ours runs on the board: nothing is lost on the
//! board, nothing is left here.
//!
//! `MFACTOR_SIGNALS` asks for more of them than a test has time for.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::place::Place;

const SIGNALS: u64 = 10;
const KINDS: [&str; 4] = ["KILL", "TERM", "HUP", "INT"];

/// A number below `most`, the same each time for a `seed` (the finaliser of MurmurHash3).
fn random(seed: u64, most: u64) -> u64 {
    let mut hash = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    (hash ^ (hash >> 33)) % most
}

#[test]
fn signals_at_random_moments_lose_nothing_and_leave_nothing() {
    let count = std::env::var("MFACTOR_SIGNALS").ok().and_then(|count| count.parse().ok()).unwrap_or(SIGNALS);
    let place = Place::with_old();
    let start = Instant::now();
    place.flash("new", 0);
    let whole = start.elapsed().as_millis() as u64;
    let (mut olds, mut news, mut struck) = (0, 0, 0);
    for number in 0..count {
        place.board.restore();
        // Every session tells its process, which is the agent's while that runs.
        place.board.strike(r#"echo $$ >"$board/agent"; exec sh -c "$1""#);
        let mut flash = place.start("new");
        sleep(Duration::from_millis(random(number, whole)));
        let signal = KINDS[random(number + 1_000_000, 4) as usize];
        let is_agent = random(number + 2_000_000, 3) == 0;
        let victim = match is_agent {
            true => fs::read_to_string(place.board.path("agent")).unwrap_or_default().trim().to_owned(),
            false => flash.id().to_string(),
        };
        let sent = Command::new("kill").args([&format!("-{signal}"), &victim]).output();
        struck += usize::from(sent.is_ok_and(|output| output.status.success()));
        flash.wait().expect("it ends");
        let what =
            format!("number {number}: SIG{signal} for {}", if is_agent { "the agent" } else { "mfactor" });
        nothing_is_left(&place, &what);
        match place.recovers(&what).as_str() {
            "old" => olds += 1,
            _ => news += 1,
        }
    }
    println!("{struck} signals; the board held the old release {olds} times, the new one {news} times");
    assert!(struck > 0, "no flash was struck");
}

/// Here in the folder for temporary files; and of our ssh processes. A moment is given to what cleans up after a kill.
fn nothing_is_left(place: &Place, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let folder = place.temporary();
    loop {
        let files: Vec<_> =
            fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
        let listing = Command::new("ps").args(["-eo", "args"]).output().expect("ps runs");
        let processes = String::from_utf8_lossy(&listing.stdout).into_owned();
        let ours: Vec<&str> =
            processes.lines().filter(|line| line.contains(&folder.display().to_string())).collect();
        if files.is_empty() && ours.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {files:?} {ours:?}");
        sleep(Duration::from_millis(100));
    }
}
