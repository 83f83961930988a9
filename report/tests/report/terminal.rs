//! The comparison in a terminal.

use report::{Filed, compare, terminal};

use crate::sample::Sample;

#[test]
fn a_study_reads_like_this() {
    let sample = Sample::new(12);
    insta::assert_snapshot!(terminal(&compare(&sample.input()).unwrap(), false));
}

#[test]
fn several_seeds_and_setups_read_like_this() {
    let sample = Sample::new(12).repeated(7).with_int8();
    let text = terminal(&compare(&sample.input()).unwrap(), false);
    let part = |name: &str| text.split("\n\n").find(|part| part.starts_with(name)).unwrap().to_owned();
    insta::assert_snapshot!(part("Side by side"));
    let seeds = text.split_once("The strategies over").unwrap().1;
    insta::assert_snapshot!(seeds.split_once("Measured, and left out").unwrap().0);
}

#[test]
fn no_line_is_longer_than_80_columns() {
    let mut sample = Sample::new(50).repeated(9).with_int8();
    for Filed { measurement, .. } in &mut sample.measurements {
        measurement.board.name += " with an uncommonly long name that has no end at all, and more of it";
    }
    for trial in &mut sample.trials {
        trial.proposer = trial.proposer.name().replace("tpe", "a-strategy-of-somebody-else").into();
    }
    let text = terminal(&compare(&sample.input()).unwrap(), false);
    let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
    assert!(widest.chars().count() <= 80, "{widest}");
    assert!(text.lines().all(|line| line.trim_end() == line), "no line ends in spaces");
}

#[test]
fn colour_only_where_it_is_asked_for() {
    let sample = Sample::new(12);
    let comparison = compare(&sample.input()).unwrap();
    let (plain, coloured) = (terminal(&comparison, false), terminal(&comparison, true));
    assert!(!plain.contains('\u{1b}'));
    assert!(coloured.contains("\u{1b}[1m") && coloured.contains("\u{1b}[0m"));
    let mut stripped = coloured;
    for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m"] {
        stripped = stripped.replace(code, "");
    }
    assert_eq!(stripped, plain);
}
