//! Tests of a pool, with boards that do as they are told.

use std::collections::VecDeque;
use std::path::Path;

use mfactor::cost_table::Entry;
use mfactor::measurement::Preset;

use super::*;

/// A board that takes a millisecond for each digit of a network's name, times what is said for each of its measurements in
/// turn; `None` where it is gone.
struct Fake {
    name: &'static str,
    factors: VecDeque<Option<f64>>,
    engine: &'static str,
}

impl Bench for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn measure(&mut self, network: &Architecture, _: &Path) -> Result<(MeasuredNetwork, Verdict)> {
        let gone = || Error::Board {
            subject: self.name.to_owned(),
            problem: "does not answer\nand is gone".to_owned(),
        };
        let factor = self.factors.pop_front().unwrap_or(Some(1.0)).ok_or_else(gone)?;
        let digits = network.to_string().chars().filter_map(|digit| digit.to_digit(10)).sum::<u32>();
        let ms = factor * f64::from(digits);
        let interval = [0.9 * ms, 1.01 * ms];
        let took = Entry {
            macs: 1,
            latency_p50: ms,
            interval,
            latency_p90: 1.1 * ms,
            peak_memory: Some(1000),
            energy: None,
        };
        let circumstances = Circumstances {
            target: "rpi4".to_owned(),
            engine: ["tract".to_owned(), self.engine.to_owned()],
            precision: "f32".to_owned(),
            preset: Preset::Quick,
            runner: "1".to_owned(),
            emulated: false,
        };
        let (architecture, board) = (network.clone(), self.name.to_owned());
        let network = MeasuredNetwork { architecture, took, board, circumstances, unix_seconds: 1 };
        Ok((network, Verdict::Valid))
    }
}

/// A pool in a folder, with what its boards do at each measurement: at first probes.
fn pool(folder: &Path, boards: &[&[Option<f64>]]) -> Pool<'static> {
    let names = ["one", "two", "three"];
    let bench = |(factors, name): (&&[Option<f64>], &'static str)| -> Box<dyn Bench> {
        Box::new(Fake { name, factors: factors.iter().copied().collect(), engine: "1" })
    };
    let terms = Terms {
        space: SearchSpace::paper(),
        target: "rpi4".to_owned(),
        precision: Precision::F32,
        emulated: false,
        models: folder.to_owned(),
        is_here: false,
        has_limit: false,
        least: BTreeMap::new(),
    };
    let pool = Pool::new(terms, boards.iter().zip(names).map(bench).collect());
    pool.keep_in(folder).unwrap();
    pool
}

fn networks() -> Vec<Architecture> {
    ["333-333-335", "333-333-355", "333-333-555"].map(|id| id.parse().unwrap()).to_vec()
}

/// What a pool says of a network, and what it warns of.
fn ask(pool: &Pool<'_>, network: &Architecture) -> (Option<f64>, Vec<String>) {
    let mut warnings = vec![];
    let costs = pool.measure(network, &mut |warning| warnings.push(warning)).unwrap();
    (costs.and_then(|costs| costs.get(Quantity::LatencyP50)), warnings)
}

#[test]
fn what_was_measured_is_kept_and_counts_by_the_upper_end_of_its_interval() {
    let folder = tempfile::tempdir().unwrap();
    let first = pool(folder.path(), &[&[]]);
    assert_eq!(ask(&first, &networks()[0]), (Some(1.01 * 29.0), vec![]));
    // Another search in the folder has it without a board, and measures it anew where something else is another.
    let again = pool(folder.path(), &[&[None]]);
    assert_eq!(ask(&again, &networks()[0]), (Some(1.01 * 29.0), vec![]));
    let other = pool(folder.path(), &[&[Some(2.0), Some(2.0), Some(2.0)]]);
    let known = other.state().known.get(&networks()[0]).unwrap().circumstances.clone();
    other.state().circumstances = Some(Circumstances { runner: "2".to_owned(), ..known });
    let (costs, warnings) = ask(&other, &networks()[0]);
    assert_eq!(costs, None);
    assert!(warnings[0].contains("another runner"), "{warnings:?}");
}

#[test]
fn a_lost_board_costs_a_warning_and_is_asked_again_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool(folder.path(), &[&[Some(1.0), None]]);
    let (costs, warnings) = ask(&pool, &networks()[0]);
    assert_eq!(costs, None);
    assert!(warnings[0].contains("board one is lost (one: does not answer; and is gone)"), "{warnings:?}");
    // It is left alone for a while.
    assert_eq!(ask(&pool, &networks()[1]), (None, vec![]));
    assert_eq!(pool.catch_up(&networks(), &mut |warning| panic!("{warning}")).unwrap(), 3);
    assert!(MeasuredNetworks::read(folder.path()).unwrap().get(&networks()[2]).is_some());
}

#[test]
fn what_a_board_said_that_did_not_hold_still_is_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    // A probe, two networks, and a probe that takes longer: the two are of no account.
    let pool = pool(
        folder.path(),
        &[&[Some(1.0), Some(1.0), Some(1.0), Some(1.2), Some(1.2), Some(1.2), Some(1.2)]],
    );
    let two = &networks()[..2];
    two.iter().for_each(|network| assert!(ask(&pool, network).0.is_some()));
    let mut warnings = vec![];
    assert_eq!(pool.catch_up(two, &mut |warning| warnings.push(warning)).unwrap(), 2);
    assert!(warnings[0].contains("did not hold still") && warnings.len() == 1, "{warnings:?}");
    let known = MeasuredNetworks::read(folder.path()).unwrap();
    assert_eq!(known.get(&two[0]).unwrap().took.latency_p50, 1.2 * 29.0);
}

#[test]
fn a_board_of_another_kind_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool(folder.path(), &[&[], &[Some(1.3)]]);
    let first = pool.take().unwrap();
    // The other one is all that is free.
    let mut second = pool.take().unwrap();
    pool.state().probe_ms = Some(27.0);
    let mut warnings = vec![];
    assert!(!pool.probe(&mut second, &mut |warning| warnings.push(warning)).unwrap());
    assert!(
        warnings[0].contains("board two is left out") && warnings[0].contains("not of a kind"),
        "{warnings:?}"
    );
    [first, second].into_iter().for_each(|seat| pool.give_back(seat));
    networks().iter().for_each(|network| assert!(ask(&pool, network).0.is_some()));
    let known = MeasuredNetworks::read(folder.path()).unwrap();
    assert!(networks().iter().all(|network| known.get(network).unwrap().board == "one"));
}

#[test]
fn a_board_that_is_emulated_is_left_out_unless_the_table_is_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let Pool { terms, .. } = pool(folder.path(), &[]);
    let board = Fake { name: "one", factors: VecDeque::new(), engine: "1" };
    let pool = Pool::new(Terms { emulated: true, ..terms }, vec![Box::new(board)]);
    let (costs, warnings) = ask(&pool, &networks()[0]);
    assert_eq!(costs, None);
    assert!(warnings[0].contains("its processor is real"), "{warnings:?}");
}

#[test]
fn the_least_is_measured_and_what_costs_less_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool(folder.path(), &[&[]]);
    let all = networks();
    let least = pool.least(Quantity::LatencyP50, &all[1..], &mut |warning| panic!("{warning}")).unwrap();
    assert_eq!(least, (all[1].clone(), 1.01 * 31.0));
    let (_, warnings) = ask(&pool, &all[0]);
    assert!(warnings[0].contains("less than the least") && warnings[0].contains("S' is 1"), "{warnings:?}");
    let lost = self::pool(folder.path(), &[&[None]]);
    let unknown: Vec<Architecture> = vec!["777-777-777".parse().unwrap()];
    let error = lost.least(Quantity::LatencyP50, &unknown, &mut drop).unwrap_err();
    assert_eq!(error.exit_code(), mfactor::exit::BOARD);
}
