//! A cost table, measured on a board.

use mfactor::exit;
use tests::loopback::HOST;
use tests::{FEW_NETWORKS, expect};

use crate::place::Place;

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_table_of_a_board_leaves_its_models_alone_and_outlives_a_lost_board() {
    let place = Place::new();
    place.flash("old", exit::DONE);
    place.work.write("few.toml", FEW_NETWORKS);
    let build = |host: &str| {
        let (runner, config) = (place.runner().display().to_string(), place.board.ssh_config());
        let line = format!(
            "table build --space few.toml --target host --host {host} --runner {runner} --ssh-config {config} --key flash.key"
        );
        place.work.mfactor(line.split_whitespace()).output().expect("mfactor runs")
    };
    let table = place.work.path("tables/host.few.tract.f32.toml");
    // Nobody is there: what was written stays for the next call.
    let lost = build("nobody@127.0.0.9");
    expect("a lost board", &lost, exit::BOARD);
    assert!(!table.exists() && place.work.path("tables/host.few.work").exists());

    let built = build(HOST);
    let stderr = String::from_utf8_lossy(&built.stderr);
    // Beside other tests a table may be one that is not relied on.
    let code = built.status.code().expect("it ended by itself");
    assert!([exit::DONE, exit::INVALID].map(i32::from).contains(&code), "{stderr}");
    let shown = place.work.json("table show tables/host.few.tract.f32.toml");
    assert_eq!(shown["network"].as_array().map(Vec::len), Some(50), "{shown}");
    assert!(!place.work.path("tables/host.few.work").exists());
    assert_eq!(place.study_on_board(), "old", "the board goes on with what it had");
    place.work.run("table build --space few.toml --target host", exit::USAGE);
}
