//! Strategies held against tables: a small one that is made here, and a published one where it is at hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use mfactor::{Objective, Point, Quantity, SearchSpace};
use search::benchmark::{Benchmark, Comparison};
use search::{Sought, StrategyKind};

use crate::budgets;

fn space() -> SearchSpace {
    SearchSpace::load(Path::new("nas-bench-macro")).unwrap()
}

fn paper(space: &SearchSpace) -> Objective {
    Objective::paper(1.0, space.minimum_parameters()).unwrap()
}

/// The published table as a CSV file; false where it is not at hand.
fn published(folder: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(budgets::NAS_BENCH_MACRO) else { return false };
    let networks: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let space = space();
    let mut table = "architecture,seed,accuracy\n".to_owned();
    for (key, network) in networks {
        let architecture = space.architecture(&Point::new(key.bytes().map(|digit| digit - b'0').collect()));
        let accuracies: Vec<f64> = serde_json::from_value(network["test_acc"].clone()).unwrap();
        for (seed, accuracy) in accuracies.iter().enumerate() {
            writeln!(table, "{architecture},{seed},{}", accuracy / 100.0).unwrap();
        }
    }
    std::fs::write(folder.join("table.csv"), table).unwrap();
    true
}

fn compare(folder: &Path, kinds: &[StrategyKind], trials: u64) -> Comparison {
    let space = space();
    let objective = paper(&space);
    let sought = Sought::new(space, objective, &[Quantity::Macs]).unwrap();
    let benchmark = Benchmark::load(&folder.join("table.csv"), sought, Some(0.8)).unwrap();
    benchmark.compare(kinds, 0..20, trials).unwrap()
}

#[test]
fn guided_covers_a_published_front_with_few_trainings() {
    let folder = tempfile::tempdir().unwrap();
    if !published(folder.path()) {
        return;
    }
    let kinds = [StrategyKind::Random, StrategyKind::Nsga2, StrategyKind::Guided];
    let rows = compare(folder.path(), &kinds, 100).rows;
    let covered =
        |row: usize| rows[row].reached[2..].iter().map(|of| of.hypervolume.mean).collect::<Vec<_>>();
    let (random, nsga2, guided) = (covered(0), covered(1), covered(2));
    assert!(guided[0] >= 0.92 && guided[1] >= 0.975, "{guided:?}");
    assert!(nsga2[1] > random[1] && guided[0] > nsga2[1], "{random:?} {nsga2:?}");
    assert!(rows[2].p.unwrap() < 0.01);
}

#[test]
fn a_comparison_is_a_function_of_its_seeds_and_fits_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let space = crate::spaces::space(&[(3, &[3, 5, 7])]);
    let mut table = "architecture,seed,accuracy\n".to_owned();
    for (number, architecture) in (0..27).map(|number| (number, space.nth(number))) {
        for seed in 0..3 {
            writeln!(table, "{architecture},{seed},{}", 0.5 + 0.01 * (number * 7 % 27 + seed) as f64)
                .unwrap();
        }
    }
    let file = folder.path().join("table.csv");
    std::fs::write(&file, table).unwrap();
    let load = |from| Benchmark::load(&file, Sought::best(space.clone(), paper(&space)).unwrap(), from);
    let run = |seeds| load(None).unwrap().compare(&StrategyKind::ALL, seeds, 27).unwrap();
    let without_times = |mut of: Comparison| {
        of.rows.iter_mut().for_each(|row| row.microseconds = 0.0);
        of
    };
    let comparison = without_times(run(0..6));
    assert_eq!(comparison, without_times(run(0..6)));
    assert_ne!(comparison.rows, without_times(run(6..12)).rows);
    assert!(comparison.words().lines().all(|line| line.chars().count() <= 80), "{}", comparison.words());
    for row in &comparison.rows {
        // All networks were seen: what is left of the regret is the luck of one training.
        let last = row.reached.last().unwrap();
        assert!(last.regret.upper < 0.02 && last.hypervolume.median > 0.9, "{row:?}");
    }
    let refused = load(Some(1.0)).err().unwrap().to_string();
    assert!(refused.contains("from 0 to 1"), "{refused}");
    assert!(load(Some(0.99)).err().unwrap().to_string().contains("no network above"));
}
