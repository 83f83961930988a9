//! A study that several processes share: its trials are those of one process, whoever made them and whoever was lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mfactor::{Result, Trial, TrialState};
use search::storage::{Attributes, Beat, Hold, Storage};
use search::{Outcome, Pruning, Study, StudyConfig, StudyEvent};

use crate::pretend::Pretend;
use crate::study::config;

/// What all have in common: the trials of each track, and who is at which.
#[derive(Default)]
struct Kept {
    tracks: Vec<Vec<Trial>>,
    holders: BTreeMap<u64, usize>,
    attributes: Attributes,
}

/// One process's view of it.
struct Shared {
    kept: Arc<Mutex<Kept>>,
    own: usize,
    lost: Vec<u64>,
    /// Every so many'th report finds that the trial is somebody else's; 0 for none.
    losing: u64,
    reports: u64,
}

impl Shared {
    fn trial(kept: &mut Kept, id: u64) -> &mut Trial {
        kept.tracks.iter_mut().flatten().find(|trial| trial.id == id).unwrap()
    }
}

impl Storage for Shared {
    fn study(&mut self, say: &mut dyn FnMut(Option<Attributes>) -> Result<Attributes>) -> Result<()> {
        let mut kept = self.kept.lock().unwrap();
        let news = say(Some(kept.attributes.clone()))?;
        kept.attributes.extend(news);
        Ok(())
    }

    fn trials(&mut self) -> Result<Vec<Vec<Trial>>> {
        Ok(self.kept.lock().unwrap().tracks.clone())
    }

    fn enqueue(
        &mut self,
        track: usize,
        retries: Option<u64>,
        propose: &mut dyn FnMut(Vec<Trial>) -> Option<Trial>,
    ) -> Result<Option<Trial>> {
        assert_eq!(retries, None);
        let mut kept = self.kept.lock().unwrap();
        let Some(mut trial) = propose(kept.tracks[track].clone()) else { return Ok(None) };
        assert_eq!(trial.number, kept.tracks[track].len() as u64, "each number is given once");
        trial.id = kept.tracks.concat().len() as u64;
        kept.holders.insert(trial.id, self.own);
        kept.tracks[track].push(trial.clone());
        Ok(Some(trial))
    }

    fn claim(&mut self, track: usize, _: Option<&Trial>) -> Result<Option<Trial>> {
        let mut kept = self.kept.lock().unwrap();
        let Kept { tracks, holders, .. } = &mut *kept;
        let free = |trial: &&mut Trial| !trial.is_finished() && !holders.contains_key(&trial.id);
        let Some(trial) = tracks[track].iter_mut().find(free) else { return Ok(None) };
        trial.epoch_accuracies.clear();
        holders.insert(trial.id, self.own);
        Ok(Some(trial.clone()))
    }

    fn beat(&mut self) -> Result<Beat> {
        Ok(Beat { lost: std::mem::take(&mut self.lost), ..Beat::default() })
    }

    fn report(&mut self, id: u64, _: u32, accuracy: f64) -> Result<Hold> {
        let mut kept = self.kept.lock().unwrap();
        if kept.holders.get(&id) != Some(&self.own) {
            return Ok(Hold::Lost);
        }
        self.reports += 1;
        if self.losing > 0 && self.reports.is_multiple_of(self.losing) {
            kept.holders.remove(&id);
            // Either the answer says so or the next beat does.
            if self.reports.is_multiple_of(2 * self.losing) {
                self.lost.push(id);
                return Ok(Hold::Held);
            }
            return Ok(Hold::Lost);
        }
        Self::trial(&mut kept, id).epoch_accuracies.push(accuracy);
        Ok(Hold::Held)
    }

    fn finish(&mut self, trial: &Trial) -> Result<Hold> {
        let mut kept = self.kept.lock().unwrap();
        if kept.holders.get(&trial.id) != Some(&self.own) {
            return Ok(Hold::Lost);
        }
        kept.holders.remove(&trial.id);
        *Self::trial(&mut kept, trial.id) = trial.clone();
        Ok(Hold::Held)
    }

    fn release(&mut self) -> Result<()> {
        let own = self.own;
        self.kept.lock().unwrap().holders.retain(|_, holder| *holder != own);
        Ok(())
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// What a study found, without ids: they tell who was quicker.
fn found(mut trials: Vec<Trial>) -> Vec<Trial> {
    trials.iter_mut().for_each(|trial| trial.id = 0);
    trials.sort_by_key(|trial| (trial.proposer.clone(), trial.number));
    trials
}

fn pretend() -> Pretend {
    Pretend { failing: 5, pause: Duration::from_millis(1), ..Pretend::default() }
}

fn alone(config: &StudyConfig) -> Vec<Trial> {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::create(folder.path(), config.clone()).unwrap();
    let outcome = study.run(&mut [pretend()], &mut |_| {}, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    found(study.record().trials)
}

/// The life of a process: it is stopped at its so many'th epoch, and begins again until the study is done.
fn live(kept: &Arc<Mutex<Kept>>, config: &StudyConfig, own: usize, evaluators: usize, losing: u64) {
    for life in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let storage = Shared { kept: Arc::clone(kept), own, lost: vec![], losing, reports: 0 };
        let mut study = Study::over(folder.path(), config.clone(), Box::new(storage)).unwrap();
        let (stop, mut epochs) = (AtomicBool::new(false), 0);
        let mut observer = |event: &StudyEvent| {
            epochs += u64::from(matches!(event, StudyEvent::Epoch { .. }));
            stop.store(losing > 0 && epochs > 10 * life, Ordering::Relaxed);
        };
        let mut evaluators: Vec<Pretend> = (0..evaluators).map(|_| pretend()).collect();
        if study.run(&mut evaluators, &mut observer, &stop).unwrap() == Outcome::Finished {
            break;
        }
    }
}

/// Runs the study with processes of so many evaluators each.
fn together(config: &StudyConfig, processes: &[usize], losing: u64) -> Vec<Trial> {
    let kept =
        Arc::new(Mutex::new(Kept { tracks: vec![vec![]; 1 + config.strategies.len()], ..Kept::default() }));
    std::thread::scope(|scope| {
        for (own, evaluators) in processes.iter().enumerate() {
            let kept = &kept;
            scope.spawn(move || live(kept, config, own, *evaluators, losing));
        }
    });
    let kept = kept.lock().unwrap();
    assert!(kept.holders.is_empty(), "nobody holds a trial of a study that has ended");
    found(kept.tracks.concat())
}

#[test]
fn the_trials_are_those_of_one_process_however_many_there_are_and_whoever_is_lost() {
    let mut config =
        StudyConfig { workers: 3, prune: Some(Pruning::default()), ..config("random,evolution,tpe", 14) };
    config.recipe.epochs = 4;
    let expected = alone(&config);
    let has = |state| expected.iter().any(|trial| trial.state == state);
    assert!(has(TrialState::Failed) && has(TrialState::Complete) && has(TrialState::Pruned));
    for (processes, losing) in [(&[1][..], 0), (&[1, 1, 1, 1, 1], 0), (&[3, 1], 7), (&[1, 2, 1, 2], 5)] {
        assert_eq!(together(&config, processes, losing), expected, "{processes:?} {losing}");
    }
}

#[test]
fn what_is_skipped_does_not_depend_on_who_was_quicker() {
    let mut config = StudyConfig { workers: 2, ..config("random,evolution", 8) };
    config.objective.skip = true;
    let expected = alone(&config);
    assert!(expected.iter().any(|trial| trial.state == TrialState::Skipped));
    assert_eq!(together(&config, &[1, 1, 1, 1], 0), expected);
}
