//! Several seeds, and several setups of one board.

use report::seeds::{Pair, Seeds};
use report::side_by_side::Difference;
use report::{Comparison, Input, compare};

use crate::sample::Sample;

fn compared(sample: &Sample) -> Comparison {
    compare(&sample.input()).unwrap()
}

fn seeds(sample: &Sample) -> Seeds {
    compared(sample).seeds.unwrap()
}

#[test]
fn one_study_is_no_repetition_and_says_how_little_it_is() {
    let comparison = compared(&Sample::new(12));
    assert!(comparison.seeds.is_none());
    assert!(comparison.strategy_words().iter().any(|words| words.contains("one seed, which says little")));
}

#[test]
fn every_two_strategies_are_paired_by_seed() {
    let sample = Sample::new(12).repeated(9);
    let seeds = seeds(&sample);
    assert_eq!((seeds.seeds.len(), seeds.budget), (10, 12));
    assert_eq!((seeds.pairs.len(), seeds.against_smallest.len(), seeds.strategies.len()), (6, 4, 5));
    let best = |strategy: &str| &seeds.strategies.iter().find(|own| own.strategy == strategy).unwrap().best;
    for Pair { first, second, difference, seeds: [better, equal, worse], superiority, .. } in &seeds.pairs {
        let differences: Vec<f64> = best(first).iter().zip(best(second)).map(|(a, b)| a - b).collect();
        assert!((differences.iter().sum::<f64>() / 10.0 - difference).abs() < 1e-12 && *difference >= 0.0);
        assert_eq!(*better, differences.iter().filter(|value| **value > 0.0).count());
        assert_eq!(better + equal + worse, 10);
        assert!((0.0..=1.0).contains(superiority));
    }
    // The study itself is the first seed.
    let comparison = compared(&sample);
    let rl = comparison.strategies.iter().find(|own| own.strategy == "rl").unwrap();
    assert_eq!(best("rl")[0], rl.best.as_ref().unwrap().m_factor);
}

#[test]
fn a_greedy_strategy_is_told_from_random_search_by_ten_seeds_and_not_by_three() {
    let told = |sample: &Sample| {
        let seeds = seeds(sample);
        let found = seeds.pairs.iter().find(|pair| [&pair.first[..], &pair.second[..]].contains(&"random"));
        (found.unwrap().is_told_from_chance(), seeds.words())
    };
    let (many, words) = told(&Sample::new(30).repeated(9));
    assert!(many, "{words:?}");
    let (few, words) = told(&Sample::new(30).repeated(2));
    assert!(!few);
    assert!(words.iter().any(|words| words.contains("3 seeds are too few")), "{words:?}");
}

#[test]
fn seeds_are_compared_at_the_trials_that_all_of_them_have() {
    let mut sample = Sample::new(12).repeated(3);
    sample.repeats[1].trials.retain(|trial| trial.proposer.name() != "tpe" || trial.number < 5);
    let seeds = seeds(&sample);
    assert_eq!(seeds.budget, 5);
    assert!(seeds.strategies.iter().all(|strategy| strategy.curve.len() <= 5));
    // A strategy that one study lacks cannot be paired with it.
    sample.repeats[1].trials.retain(|trial| trial.proposer.name() != "tpe");
    let without = self::seeds(&sample);
    assert_eq!((without.budget, without.pairs.len()), (12, 3));
}

#[test]
fn setups_of_one_board_stand_side_by_side() {
    let comparison = compared(&Sample::new(20).with_int8());
    let side_by_side = comparison.side_by_side.as_ref().unwrap();
    assert_eq!(side_by_side.columns, ["board-a f32", "board-a int8", "board-b f32"]);
    assert!(side_by_side.rows.iter().all(|row| row.figures.len() == 3));
    assert!(side_by_side.rows.windows(2).all(|rows| rows[0].m_factor >= rows[1].m_factor));
    for bench in 0..3 {
        let mut measured: Vec<_> = side_by_side.rows.iter().filter_map(|row| row.on(bench)).collect();
        measured.sort_by(|one, other| one.0.latency_p50_ms.total_cmp(&other.0.latency_p50_ms));
        let ranks: Vec<usize> = measured.iter().map(|(_, rank)| *rank).collect();
        assert!(ranks[0] == 1 && ranks.is_sorted() && *ranks.last().unwrap() <= ranks.len(), "{ranks:?}");
        assert!(ranks.windows(2).any(|pair| pair[0] < pair[1]), "{ranks:?}");
    }
    let kinds: Vec<Difference> = side_by_side.contrasts.iter().map(|contrast| contrast.differ_in).collect();
    assert_eq!(kinds, [Difference::Precision, Difference::Board]);
    let int8 = &side_by_side.contrasts[0];
    assert!((int8.latency_ratio - 1.6).abs() < 0.01 && (int8.bytes_ratio - 0.27).abs() < 0.01);
    assert!(int8.words().ends_with("smaller, not faster."), "{}", int8.words());
    let words = |index: usize| comparison.recommendations[index].words(&comparison.baselines);
    assert!(words(0)[1].contains("this one answers soonest"), "{:?}", words(0));
    assert!(words(1)[1].contains("another one answers sooner"), "{:?}", words(1));
    assert!(comparison.recommendations[2].on_this_board.is_none());
    assert!(compared(&Sample::new(20)).side_by_side.is_some(), "two boards");
}

#[test]
fn two_boards_of_one_kind_are_two_boards() {
    let mut sample = Sample::new(20);
    sample.measurements.retain(|filed| filed.place == "board-a");
    let before = compared(&sample);
    let mut twin = sample.measurements.clone();
    twin.iter_mut().for_each(|filed| filed.place = "pi@second".to_owned());
    sample.measurements.extend(twin);
    let after = compared(&sample);
    assert_eq!((before.benches.len(), after.benches.len()), (1, 2));
    assert_eq!(after.left_out.len(), 2 * before.left_out.len(), "nothing hides behind its twin");
    assert_eq!(after.side_by_side.unwrap().columns, ["board-a", "pi@second"]);
}

#[test]
fn energy_is_ranked_where_it_was_measured() {
    let comparison = compared(&Sample::new(30));
    let has_energy = |bench: &report::BenchComparison| {
        bench.agreement.iter().any(|agreement| agreement.quantity == report::measured::Measured::Energy)
            && bench.sweep.iter().any(|sweep| sweep.quantity == report::measured::Measured::Energy)
    };
    assert_eq!(comparison.benches.iter().map(has_energy).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn another_seed_of_the_resampling_is_the_only_thing_that_moves_the_intervals() {
    let sample = Sample::new(12).repeated(4);
    let other = compare(&Input { seed: 77, ..sample.input() }).unwrap().seeds.unwrap();
    let own = seeds(&sample);
    assert_eq!(own.pairs, other.pairs);
    assert_ne!(own.strategies[0].interval, other.strategies[0].interval);
}
