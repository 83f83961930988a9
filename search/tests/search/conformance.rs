//! The suite that every strategy passes. A new strategy joins by being registered.

use std::collections::{BTreeSet, HashSet};

use mfactor::{Architecture, Objective, SearchSpace, Trial, TrialState};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use search::simulation::simulate;
use search::{Observation, Observed, Sought, StrategyKind};

use crate::spaces;

/// Some accuracy that depends on the architecture alone.
fn accuracy(architecture: &Architecture) -> f64 {
    architecture
        .kernels()
        .zip(1..)
        .map(|(kernel, place)| f64::from(kernel) * f64::from(place))
        .sum::<f64>()
        .sin()
        .abs()
}

fn run(kind: StrategyKind, space: &SearchSpace, seed: u64, trials: u64) -> Vec<Trial> {
    let mut answer = |trial: &Trial| Ok(accuracy(&trial.architecture));
    simulate(kind, space, 1.0, seed, trials, &mut answer).unwrap().trials
}

fn architectures(trials: &[Trial]) -> Vec<&Architecture> {
    trials.iter().map(|trial| &trial.architecture).collect()
}

fn sought(space: &SearchSpace) -> Sought {
    Sought::best(space.clone(), Objective::paper(1.0, space.minimum_parameters()).unwrap()).unwrap()
}

/// What a strategy may know of trials.
fn observations(space: &SearchSpace, trials: &[Trial]) -> Vec<Observation> {
    let observed = |trial: &Trial| match (trial.state, trial.m_factor, trial.accuracy) {
        (TrialState::Running, ..) => Observed::Running,
        (_, Some(score), Some(accuracy)) => Observed::Scored { score, accuracy },
        _ => Observed::Failed,
    };
    let observation = |trial: &Trial| Observation {
        point: space.point(&trial.architecture).unwrap(),
        cost: trial.cost,
        observed: observed(trial),
    };
    trials.iter().map(observation).collect()
}

/// Checks that all architectures belong to the space and differ.
fn check_proposals(kind: StrategyKind, space: &SearchSpace, trials: &[Trial]) {
    let distinct: BTreeSet<&Architecture> = trials.iter().map(|trial| &trial.architecture).collect();
    assert_eq!(distinct.len(), trials.len(), "{kind} repeats itself");
    for architecture in distinct {
        space.check(architecture).unwrap();
    }
}

#[test]
fn proposals_are_new_and_in_the_space_until_it_is_exhausted() {
    for kind in StrategyKind::ALL {
        for (space, asked) in spaces::all() {
            let trials = run(kind, &space, 3, asked);
            check_proposals(kind, &space, &trials);
            assert_eq!(
                trials.len() as u128,
                u128::from(asked).min(space.size()),
                "{kind} in {} architectures",
                space.size()
            );
        }
    }
}

#[test]
fn the_same_seed_proposes_the_same_and_another_seed_does_not() {
    for kind in StrategyKind::ALL {
        let space = SearchSpace::paper();
        let first = run(kind, &space, 1, 40);
        assert_eq!(first, run(kind, &space, 1, 40), "{kind}");
        let others = run(kind, &space, 2, 40);
        assert_ne!(architectures(&first)[..5], architectures(&others)[..5], "{kind}");
    }
}

#[test]
fn strategies_draw_different_numbers_from_one_seed() {
    let space = SearchSpace::paper();
    let firsts = StrategyKind::ALL.map(|kind| run(kind, &space, 1, 1)[0].architecture.clone());
    assert_eq!(firsts.iter().collect::<BTreeSet<_>>().len(), firsts.len());
}

#[test]
fn a_fresh_object_with_the_same_history_proposes_the_same() {
    for kind in StrategyKind::ALL {
        for (space, asked) in spaces::all() {
            let trials = run(kind, &space, 5, asked);
            let observations = observations(&space, &trials);
            let mut old = kind.build();
            for known in 0..=trials.len() {
                let mut generators = [0; 2].map(|_| ChaCha8Rng::seed_from_u64(known as u64));
                let resumed =
                    kind.build().propose(&sought(&space), &observations[..known], &mut generators[0]);
                let went_on = old.propose(&sought(&space), &observations[..known], &mut generators[1]);
                assert_eq!(resumed, went_on, "{kind} after {known} trials");
            }
        }
    }
}

#[test]
fn an_object_that_is_given_another_history_forgets_the_old_one() {
    for kind in StrategyKind::ALL {
        let mut strategy = kind.build();
        let small = spaces::space(&[(3, &[3, 5, 7])]);
        for (space, trials) in [
            (SearchSpace::paper(), run(kind, &SearchSpace::paper(), 1, 45)),
            (SearchSpace::paper(), run(kind, &SearchSpace::paper(), 2, 45)),
            (SearchSpace::paper(), run(kind, &SearchSpace::paper(), 2, 30)),
            (small.clone(), run(kind, &small, 1, 25)),
        ] {
            let observations = observations(&space, &trials);
            let propose = |strategy: &mut dyn search::Strategy| {
                strategy.propose(&sought(&space), &observations, &mut ChaCha8Rng::seed_from_u64(0))
            };
            assert_eq!(propose(&mut *strategy), propose(&mut *kind.build()), "{kind}");
        }
    }
}

#[test]
fn failed_and_diverged_trials_are_survived_and_not_tried_again() {
    for kind in StrategyKind::ALL {
        for (space, asked) in spaces::all() {
            let mut answer = |trial: &Trial| match trial.number % 4 {
                0 => Err("it crashed".to_owned()),
                1 => Ok(f64::NAN),
                2 => Ok(f64::INFINITY),
                _ => Ok(accuracy(&trial.architecture)),
            };
            let trials = simulate(kind, &space, 1.0, 4, asked, &mut answer).unwrap().trials;
            check_proposals(kind, &space, &trials);
            assert_eq!(trials.len() as u128, u128::from(asked).min(space.size()), "{kind}");
            for trial in &trials {
                let complete = trial.number % 4 == 3;
                assert_eq!(trial.state == TrialState::Complete, complete);
                assert_eq!(trial.failure.is_some(), !complete);
                assert_eq!(trial.m_factor.is_some(), complete);
            }
        }
    }
}

#[test]
fn a_study_in_which_everything_fails_goes_on() {
    for kind in StrategyKind::ALL {
        let space = SearchSpace::paper();
        let trials = simulate(kind, &space, 1.0, 4, 60, &mut |_| Err("no".to_owned())).unwrap().trials;
        assert_eq!(trials.len(), 60);
        check_proposals(kind, &space, &trials);
    }
}

#[test]
fn equal_scores_are_survived() {
    for kind in StrategyKind::ALL {
        let space = SearchSpace::paper();
        let trials = simulate(kind, &space, 1e-12, 4, 60, &mut |_| Ok(0.5)).unwrap().trials;
        assert_eq!(trials.len(), 60);
        check_proposals(kind, &space, &trials);
    }
}

#[test]
fn running_trials_are_not_proposed_again() {
    for kind in StrategyKind::ALL {
        let space = spaces::space(&[(3, &[3, 5, 7])]);
        let mut observations = observations(&space, &run(kind, &space, 1, 20));
        let mut strategy = kind.build();
        for number in 20..27 {
            let mut rng = ChaCha8Rng::seed_from_u64(number);
            let point = strategy.propose(&sought(&space), &observations, &mut rng).expect("27 points");
            observations.push(Observation {
                cost: space.cost(&space.architecture(&point)),
                point,
                observed: Observed::Running,
            });
        }
        let distinct: HashSet<_> = observations.iter().map(|seen| &seen.point).collect();
        assert_eq!(distinct.len(), 27, "{kind} repeats itself");
        assert_eq!(
            strategy.propose(&sought(&space), &observations, &mut ChaCha8Rng::seed_from_u64(27)),
            None
        );
    }
}

#[test]
fn trials_that_end_out_of_order_leave_no_trace_in_the_object() {
    for kind in StrategyKind::ALL {
        let space = SearchSpace::paper();
        let ended = observations(&space, &run(kind, &space, 9, 40));
        let mut cut_off = ended.clone();
        cut_off[17].observed = Observed::Running;
        let mut strategy = kind.build();
        strategy.propose(&sought(&space), &cut_off, &mut ChaCha8Rng::seed_from_u64(0));
        let propose = |strategy: &mut dyn search::Strategy| {
            strategy.propose(&sought(&space), &ended, &mut ChaCha8Rng::seed_from_u64(1))
        };
        assert_eq!(propose(&mut *strategy), propose(&mut *kind.build()), "{kind}");
    }
}

#[test]
fn the_order_in_which_choices_are_listed_does_not_matter() {
    for kind in StrategyKind::ALL {
        let listed = |kernels: &[u8]| run(kind, &spaces::space(&[(4, kernels), (4, kernels)]), 6, 40);
        assert_eq!(listed(&[3, 5, 7]), listed(&[7, 3, 5]), "{kind}");
    }
}
