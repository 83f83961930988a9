//! The connection, the client, the agent: each killed after every step. Bits that flip. The disk full. Two at once.

use std::fs;
use std::process::{Command, ExitStatus};

use crate::place::Place;

/// Replies of the agent in a flash: ready, wanted, stored (the model), sealed, health, activated.
const REPLIES: usize = 6;
/// Lines before the first of them: the mark, and an empty one that ends whatever a login left open.
const MARK: usize = 2;
/// More calls of one kind than an agent makes in a flash.
const MANY_CALLS: usize = 100;

/// Kills the agent at the first call of this kind, then at the second, until a flash gets through. Returns how often the
/// old and the new release was found.
fn killed_at_every(call: &str) -> (usize, usize) {
    let place = Place::with_old();
    let (mut olds, mut news) = (0, 0);
    for number in 1..MANY_CALLS {
        place.board.restore();
        // The count is of the agent's own process; the commands that bring the runner are left alone.
        place.board.strike(&format!(
            "case $1 in *release-agent*) exec strace -f -qq -o /dev/null -e trace={call} \
             -e inject={call}:signal=KILL:when={number} sh -c \"$1\" ;; esac\nexec sh -c \"$1\""
        ));
        if place.try_flash("new") {
            assert_eq!(place.recovers("no call is left to be killed at"), "new");
            return (olds, news);
        }
        match place.recovers(&format!("killed at {call} {number}")).as_str() {
            "old" => olds += 1,
            _ => news += 1,
        }
    }
    panic!("a flash makes fewer calls of {call}");
}

#[test]
#[ignore = "needs OpenSSH's server and strace: scripts/test"]
fn the_agent_is_killed_at_every_rename() {
    let (olds, news) = killed_at_every("rename");
    // Runner, model, release; the switch is the fourth, and is not made where it is killed.
    assert!(olds >= 4 && news >= 1, "{olds} times old, {news} times new");
    // Manifest, signature and the note of the switch are written through temporary files, by other calls.
    let olds = killed_at_every("renameat").0 + killed_at_every("renameat2").0;
    assert!(olds >= 3, "{olds} times old");
}

#[test]
#[ignore = "needs OpenSSH's server and strace: scripts/test"]
fn the_agent_is_killed_at_every_sync() {
    let (olds, news) = killed_at_every("fsync");
    assert!(olds > 8 && news > 2, "{olds} times old, {news} times new");
}

#[test]
#[ignore = "needs OpenSSH's server and strace: scripts/test"]
fn the_agent_is_killed_at_every_link_and_removal() {
    let (olds, news) = killed_at_every("symlink");
    assert!(olds == 1 && news == 1, "`current` and `previous`: {olds} times old, {news} times new");
    let (_, news) = killed_at_every("unlink");
    assert!(news > 0, "the note that a release is unconfirmed is removed last");
}

/// Runs the agent, and does something once it has given so many replies.
fn after_replies(count: usize, action: &str) -> String {
    format!(
        "case $1 in *release-agent*) ;; *) exec sh -c \"$1\" ;; esac\n\
         sh -c \"$1\" | {{ n=0; while IFS= read -r line; do printf '%s\\n' \"$line\"; n=$((n + 1)); \
         if [ $n -eq {} ]; then {action}; fi; done; }}",
        count + MARK
    )
}

#[test]
#[ignore = "needs OpenSSH's server and strace: scripts/test"]
fn the_connection_is_cut_after_every_step() {
    let place = Place::with_old();
    for count in 1..=REPLIES {
        place.board.restore();
        // The parent of a session's shell is the server's process for this connection.
        place.board.strike(&after_replies(count, "kill -9 $PPID"));
        let succeeded = place.try_flash("new");
        let held = place.recovers(&format!("cut after {count} replies"));
        assert_eq!(held == "new", count == REPLIES, "after {count} replies");
        assert!(!succeeded || count == REPLIES);
    }
}

#[test]
#[ignore = "needs OpenSSH's server and strace: scripts/test"]
fn the_client_is_killed_after_every_step() {
    let place = Place::with_old();
    for count in 1..=REPLIES {
        place.board.restore();
        let code = struck_client(&place, count, "KILL").code();
        assert_eq!(code, None, "after {count} replies");
        place.recovers(&format!("client killed after {count} replies"));
    }
}

#[test]
#[ignore = "needs OpenSSH's server and strace: scripts/test"]
fn ctrl_c_leaves_nothing_behind_here() {
    let place = Place::with_old();
    let code = struck_client(&place, 3, "INT").code();
    assert_eq!(code, Some(i32::from(mfactor::exit::INTERRUPTED)));
    let left: Vec<_> = fs::read_dir(place.temporary()).expect("a folder").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    place.recovers("Ctrl-C");
}

/// Flashes `new`, and sends the flashing program a signal once the agent has given so many replies.
fn struck_client(place: &Place, replies: usize, signal: &str) -> ExitStatus {
    let _ = fs::remove_file(place.board.path("client"));
    let action = "until [ -s $board/client ]; do sleep 0.05; done; kill -SIGNAL $(cat $board/client)";
    place.board.strike(&after_replies(replies, &action.replace("SIGNAL", signal)));
    let mut client = place.start("new");
    fs::write(place.board.path("client.new"), client.id().to_string()).expect("a file");
    fs::rename(place.board.path("client.new"), place.board.path("client")).expect("a file");
    client.wait().expect("it ends")
}

#[test]
#[ignore = "needs OpenSSH's server and strace: scripts/test"]
fn an_upload_that_breaks_off_goes_on_where_it_was() {
    let place = Place::new();
    place.board.strike("case $1 in *timeout*) head -c 100000 | sh -c \"$1\" ;; *) exec sh -c \"$1\" ;; esac");
    assert!(!place.try_flash("new"));
    let begun =
        fs::read_dir(place.board.held("incoming")).expect("a folder").flatten().next().expect("a part");
    let size = begun.metadata().expect("facts").len();
    assert!((100_000..=200_000).contains(&size), "what arrived stays: {size}");
    place.board.calm();
    let arguments = [place.arguments("new"), vec!["--json".to_owned()]].concat();
    let (text, _) = place.flash_with(arguments, 0);
    let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(result[0]["flashed"]["held_bytes"], size, "{result}");
    assert_eq!(place.study_on_board(), "new");
}

#[test]
#[ignore = "needs OpenSSH's server and strace: scripts/test"]
fn bits_flip_on_the_way() {
    let place = Place::with_old();
    let flip = |at: usize| {
        format!(
            "perl -e 'binmode STDIN; binmode STDOUT; $| = 1; my ($at, $seen) = ({at}, 0); \
             while (my $n = sysread(STDIN, my $b, 65536)) {{ if ($seen <= $at && $at < $seen + $n) \
             {{ substr($b, $at - $seen, 1) ^= \"\\x10\" }} $seen += $n; syswrite(STDOUT, $b) }}'"
        )
    };
    place
        .board
        .strike("case $1 in *release-agent*) tee $board/said | sh -c \"$1\" ;; *) exec sh -c \"$1\" ;; esac");
    place.flash("new", 0);
    let said = fs::read(place.board.path("said")).expect("what the host said");
    let lines: Vec<usize> =
        said.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    // In the manifest, in its signature after it, and in the model, which follows the second line.
    for at in [lines[0] / 2, lines[0] - 250, lines[1] + 1_000] {
        place.board.restore();
        let flip = flip(at);
        place.board.strike(&format!(
            "case $1 in *release-agent*) {flip} | sh -c \"$1\" ;; *) exec sh -c \"$1\" ;; esac"
        ));
        let succeeded = place.try_flash("new");
        let held = place.recovers(&format!("a bit flipped at byte {at}"));
        assert_eq!(held == "new", succeeded, "byte {at}");
        assert_eq!(succeeded, at > lines[1], "a model is sent once more; a manifest is refused");
    }
    // In the runner, before an agent can check it: the board's own sha256sum refuses it, and it is sent once more.
    let place = Place::new();
    let once = flip(1_000_000);
    place.board.strike(&format!(
        "case $1 in *timeout*) if mkdir $board/struck 2>/dev/null; then {once} | sh -c \"$1\"; exit; fi ;; esac\n\
         exec sh -c \"$1\""
    ));
    place.flash("new", 0);
    assert!(place.board.path("struck").exists());
    assert_eq!(place.study_on_board(), "new");
}

#[test]
#[ignore = "needs OpenSSH's server and strace: scripts/test"]
fn the_disk_is_full() {
    let place = Place::with_old();
    // As root the board's home is a small disk of its own; elsewhere a file has a largest size.
    let home = place.board.path("home");
    let mut mount = Command::new("mount");
    let runner = fs::metadata(place.work.path("edge-runner")).expect("a runner").len();
    let size = format!("size={}", 2 * runner + (6 << 20));
    place.board.restore();
    fs::rename(&home, place.board.path("saved")).expect("a folder");
    fs::create_dir(&home).expect("a folder");
    let mounted = mount
        .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
        .arg(&home)
        .output()
        .is_ok_and(|o| o.status.success());
    let copied = Command::new("cp").arg("-a").arg(place.board.path("saved/mfactor")).arg(&home).status();
    assert!(copied.expect("cp runs").success());
    let filler = home.join("filler");
    if mounted {
        // The board says that there is space, and there is not: what fills it comes after the question.
        place
            .board
            .tool("df", "echo Filesystem 1024-blocks Used Available; echo disk 99999999 0 99999999 0% /");
        place.board.strike(
            "case $1 in *release-agent*) dd if=/dev/zero of=filler bs=64k 2>/dev/null; truncate -s -5M filler ;; esac\n\
             exec sh -c \"$1\"",
        );
    } else {
        place.board.strike("case $1 in *release-agent*) ulimit -f 64 ;; esac\nexec sh -c \"$1\"");
    }
    assert!(!place.try_flash("new"), "there is no room");
    assert_eq!(place.study_on_board(), "old");
    let _ = fs::remove_file(&filler);
    let held = place.recovers("a full disk");
    if mounted {
        assert!(Command::new("umount").arg("-l").arg(&home).status().expect("umount runs").success());
    }
    assert_eq!(held, "old");
}

#[test]
#[ignore = "needs OpenSSH's server and strace: scripts/test"]
fn two_at_once() {
    let place = Place::with_old();
    // The first one that gets the lock keeps it for a while.
    place
        .board
        .strike("case $1 in *release-agent*) (sleep 2; cat) | sh -c \"$1\" ;; *) exec sh -c \"$1\" ;; esac");
    let mut flashes = [place.start("new"), place.start("new"), place.start("old")];
    let codes: Vec<_> = flashes.iter_mut().map(|flash| flash.wait().expect("it ends").code()).collect();
    assert!(codes.contains(&Some(0)), "one gets through: {codes:?}");
    assert!(
        codes.iter().all(|code| [Some(0), Some(i32::from(mfactor::exit::BOARD))].contains(code)),
        "{codes:?}"
    );
    place.recovers("two at once");
}
