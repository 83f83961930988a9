//! The copy of a study that is kept elsewhere: as the original, however often it is brought up to date.

use std::fs;
use std::path::Path;

use mfactor::{Trial, TrialState};
use search::storage::Attributes;
use search::{Study, StudyConfig};

use crate::pretend::Pretend;
use crate::study::{config, finish};

/// Trials by track, with ids of somewhere else, in which those after `known` have not ended and the next one has said little.
fn tracks(trials: &[Trial], known: u64) -> Vec<Vec<Trial>> {
    let of = |strategy: &str| {
        let own = trials.iter().filter(|trial| trial.proposer.name() == strategy && trial.number <= known);
        own.map(|trial| {
            let elsewhere = Trial { id: 1000 + trial.id, ..trial.clone() };
            if trial.number < known {
                return elsewhere;
            }
            let epoch_accuracies = trial.epoch_accuracies.iter().take(1).copied().collect();
            Trial {
                state: TrialState::Running,
                accuracy: None,
                m_factor: None,
                failure: None,
                failure_kind: None,
                epoch_accuracies,
                ..elsewhere
            }
        })
        .collect()
    };
    ["baseline", "random", "tpe"].map(of).to_vec()
}

fn copy(folder: &Path, config: &StudyConfig, tracks: Vec<Vec<Trial>>) -> mfactor::Result<u64> {
    let mut copy = Study::copy_of(folder, config.clone())?;
    copy.copy(&Attributes::new(), tracks, &mut |trial, output| {
        assert!(trial.id >= 1000);
        fs::create_dir_all(output).unwrap();
        fs::write(output.join("left"), trial.id.to_string()).unwrap();
        Ok(())
    })
}

#[test]
fn a_copy_in_several_steps_is_the_study_and_one_that_went_its_own_way_is_refused() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config("random,tpe", 6);
    let mut study = Study::create(other.path(), config.clone()).unwrap();
    finish(&mut study, &mut Pretend { failing: 5, ..Pretend::default() });
    let trials = study.record().trials;
    let ended: Vec<u64> =
        [3, 3, 5, 9].map(|known| copy(folder.path(), &config, tracks(&trials, known)).unwrap()).to_vec();
    assert_eq!(ended, [7, 0, 4, 2]);
    let found = |mut trials: Vec<Trial>| {
        trials.iter_mut().for_each(|trial| trial.id = 0);
        trials.sort_by_key(|trial| (trial.proposer.clone(), trial.number));
        trials
    };
    let record = Study::read(folder.path()).unwrap();
    assert_eq!((&record.damage[..], record.trials.len()), (&[][..], trials.len()));
    for trial in &record.trials {
        let left = search::study::trial_folder(folder.path(), trial.id).join("left");
        let original =
            trials.iter().find(|other| (&other.proposer, other.number) == (&trial.proposer, trial.number));
        assert_eq!(fs::read_to_string(left).unwrap(), (1000 + original.unwrap().id).to_string());
    }
    assert_eq!(found(record.trials), found(trials.clone()));

    let mut changed = tracks(&trials, 9);
    changed[1][2].epoch_accuracies[0] = 0.5;
    let error = copy(folder.path(), &config, changed).unwrap_err().to_string();
    assert!(error.contains("trial 2 of random") && error.contains("another folder"), "{error}");
    let error = copy(folder.path(), &StudyConfig { seed: 5, ..config }, vec![]).unwrap_err().to_string();
    assert!(error.contains("seed is 11 and not 5"), "{error}");
}
