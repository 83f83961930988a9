//! The runner for 64-bit ARM on a board whose programs run through qemu-user: what a real board runs, byte for byte.

use std::path::PathBuf;

use mfactor::exit;
use tests::Workplace;
use tests::loopback::HOST;

use crate::place::Place;

/// A session whose programs for 64-bit ARM the kernel hands to QEMU: where the machine does so already, or in a user
/// namespace of its own (Linux 6.7).
const BOARD: &str = r#"export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu QEMU_CPU=cortex-a72
if [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then exec sh -c "$1"; fi
exec unshare --map-root-user --mount sh -c '
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    printf "%s" ":aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:$(command -v qemu-aarch64-static):" \
        >/proc/sys/fs/binfmt_misc/register
    exec sh -c "$1"' sh "$1""#;

fn place() -> Place {
    let runner = std::env::var_os("MFACTOR_AARCH64_RUNNER").map(PathBuf::from);
    let runner = runner.expect("MFACTOR_AARCH64_RUNNER names the runner that `mfactor targets build` made");
    let place = Place::with_runner(Workplace::new(), runner, "generic-aarch64");
    place.board.tool("uname", "echo aarch64");
    place.board.strike(BOARD);
    place
}

#[test]
#[ignore = "needs the runner for aarch64 and QEMU: scripts/test"]
fn the_real_runner_is_flashed_checked_measured_and_survives_a_cut_connection() {
    let place = place();
    let mut arguments = place.arguments("old");
    arguments.retain(|argument| argument != "--no-measure");
    arguments.extend(["--preset", "quick", "--json"].map(str::to_owned));
    let (text, _) = place.flash_with(arguments, exit::DONE);
    let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let flashed = &result[0]["flashed"];
    assert_eq!(flashed["health"][0]["is_healthy"], true, "{flashed}");
    let measured = &flashed["measurements"][0];
    assert_eq!(measured["board"]["architecture"], "aarch64", "{measured}");
    assert_eq!(measured["board"]["emulated"], true, "{measured}");
    let target = place.work.path(&format!("old/measurements/{HOST}/3.tract.json"));
    assert!(target.is_file(), "the record is filed under the board's name");

    let cut = format!("board() {{\n{BOARD}\n}}\nboard \"$1\" | {{ head -n 4; kill -9 $PPID; }}");
    place.board.strike(&format!("case $1 in *release-agent*) {cut} ;; *) {BOARD} ;; esac"));
    assert!(!place.try_flash("new"));
    place.board.strike(BOARD);
    assert_eq!(place.study_on_board(), "old");
    place.flash("new", exit::DONE);
    assert_eq!(place.study_on_board(), "new");
    assert_eq!(place.board_json("rollback")["current"].as_str().map(str::len), Some(64));
}
