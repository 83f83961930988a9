//! A search whose networks are measured on a board: one that cannot be reached at first, and is there when the search goes on.

use mfactor::{SearchSpace, exit};
use tests::loopback::HOST;
use tests::{FEW_NETWORKS, expect, made_up_table};

use crate::place::Place;

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_board_that_is_lost_measures_when_it_is_back() {
    let place = Place::new();
    place.flash("old", exit::DONE);
    place.work.write("few.toml", FEW_NETWORKS);
    let space = SearchSpace::load(&place.work.path("few.toml")).expect("the space is one");
    made_up_table(&space).write(&place.work.path("table.toml")).expect("the folder can be written to");
    let search = |arguments: &str, host: &str| {
        let (runner, config) = (place.runner().display().to_string(), place.board.ssh_config());
        let line = format!(
            "search --out found {arguments} --measure --board {host} --runner {runner} --ssh-config {config} --key flash.key"
        );
        place.work.mfactor(line.split_whitespace()).output().expect("mfactor runs")
    };
    let seek = "--space few.toml --evaluator constant:0.75 --strategy random --trials 2 --budget latency_p50=0.4ms \
                --cost-table table.toml";

    // Nobody is there: the search goes on with what the table tells, and says so.
    let (_, stderr) = expect("a lost board", &search(seek, "nobody@127.0.0.9"), exit::DONE);
    assert!(stderr.contains("board 127.0.0.9 is lost"), "{stderr}");
    assert!(stderr.contains("0 of 3 trained networks count as they were measured"), "{stderr}");
    let trials = place.work.json("trials found --all");
    let has_measured = |trial: &serde_json::Value| trial["measured"]["latency_p50"].is_f64();
    assert!(trials.as_array().is_some_and(|all| all.len() == 3 && !all.iter().any(has_measured)), "{trials}");

    // A busy machine does not hold still: what it said is forgotten then, and the next search measures again.
    let mut stderr = String::new();
    for _ in 0..8 {
        let again = search("--resume --budget latency_p50=0.4ms --cost-table table.toml", HOST);
        (_, stderr) = expect("a board that is back", &again, exit::DONE);
        assert!(!stderr.contains("is lost"), "the last probe is the release that the first was: {stderr}");
        if !stderr.contains("did not hold still") {
            break;
        }
    }
    assert!(stderr.contains("3 of 3 trained networks count as they were measured"), "{stderr}");
    let trials = place.work.json("trials found --all");
    assert!(trials.as_array().is_some_and(|all| all.iter().all(has_measured)), "{trials}");
    assert_eq!(place.study_on_board(), "old", "the board goes on with what it had");
}
