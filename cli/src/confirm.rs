//! Training the best of a study again: what `--confirm 5x3` means, and what is shown of it.

use std::path::Path;
use std::str::FromStr;

use mfactor::numbers::percent;
use mfactor::trial::ranked;
use mfactor::{Architecture, Error};
use report::confirm::{Confirmation, Confirmed, confirmation};
use search::study::CONFIG_FILE;
use search::{Outcome, Study, StudyConfig, StudyRecord};

use crate::output::{Output, table};

/// Folder in that of a study, for the studies that confirm it.
const FOLDER: &str = "confirm";

/// How many networks are trained again, and with how many seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirm {
    pub networks: usize,
    pub seeds: u64,
}

impl FromStr for Confirm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse =
            || Error::input(format!("{text:?}"), "is not networks x seeds, each from 1 to 100, as in 5x3");
        let (networks, seeds) = text.split_once('x').ok_or_else(refuse)?;
        let confirm = Self {
            networks: networks.parse().map_err(|_| refuse())?,
            seeds: seeds.parse().map_err(|_| refuse())?,
        };
        let is_in_range = (1..=100).contains(&confirm.networks) && (1..=100).contains(&confirm.seeds);
        is_in_range.then_some(confirm).ok_or_else(refuse)
    }
}

impl Confirm {
    /// Trains the best of a study again, a study a seed; those that are there already are gone on with. `None` where there is
    /// nothing to confirm.
    pub fn run(
        self,
        record: &StudyRecord,
        folder: &Path,
        output: &Output,
        mut search: impl FnMut(&mut Study) -> anyhow::Result<Outcome>,
    ) -> anyhow::Result<Option<Confirmation>> {
        if record.is_fruitless() {
            return Ok(None);
        }
        let mut trials = vec![];
        for (number, config) in (1..).zip(self.configs(record)) {
            let place = folder.join(FOLDER).join(number.to_string());
            let mut study = match place.join(CONFIG_FILE).exists() {
                true => Study::resume(&place)?,
                false => Study::create(&place, config.clone())?,
            };
            study.reconcile(&config)?;
            let (networks, seeds) = (config.architectures.len(), self.seeds);
            output.say(format!("The best {networks} again, seed {number} of {seeds}"));
            if search(&mut study)? != Outcome::Finished {
                let problem =
                    "stopped, and everything known is written; to go on, run the same with --resume";
                return Err(Error::Interrupted(problem.to_owned()).into());
            }
            trials.extend(study.record().trials);
        }
        Ok(Some(confirmation(&trials)))
    }

    /// The studies that train the best of a study again, one a seed: everything else is as it was, and nothing is pruned.
    pub fn configs(self, record: &StudyRecord) -> impl Iterator<Item = StudyConfig> {
        let mut architectures: Vec<Architecture> = vec![];
        for trial in ranked(&record.trials) {
            if architectures.len() < self.networks && !architectures.contains(&trial.architecture) {
                architectures.push(trial.architecture.clone());
            }
        }
        let of = record.config.clone();
        (1..=self.seeds).map(move |number| StudyConfig {
            name: format!("confirm-{number}"),
            seed: of.seed.wrapping_add(number) & (u64::MAX >> 1),
            architectures: architectures.clone(),
            strategies: vec![],
            baseline: false,
            prune: None,
            ..of.clone()
        })
    }
}

/// Which networks chance cannot tell apart.
///
/// `accuracy` is what the accuracy of the study is called.
pub fn text(confirmation: &Confirmation, accuracy: &str) -> String {
    let row = |of: &Confirmed| {
        let accuracies: Vec<String> = of.accuracies.iter().map(|accuracy| percent(*accuracy)).collect();
        let p = of.p.map_or_else(String::new, |p| format!("{p:.3}"));
        [
            of.architecture.to_string(),
            format!("{:.4}", of.m_factor),
            percent(of.accuracy),
            accuracies.join(", "),
            p,
        ]
    };
    let rows = confirmation.networks.iter().map(row);
    let text = table(&["trained again", "M", accuracy, "of each training", "p"], rows);
    let failed = match confirmation.failed {
        0 => String::new(),
        1 => "\nOne training failed.".to_owned(),
        failed => format!("\n{failed} trainings failed."),
    };
    format!("{text}\n\n{}{failed}", confirmation.words())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_times_seeds() {
        assert_eq!("5x3".parse::<Confirm>().unwrap(), Confirm { networks: 5, seeds: 3 });
        for text in ["", "5", "5x", "x3", "0x3", "5x0", "5x3x1", "-1x3", "101x1", "5X3"] {
            assert!(text.parse::<Confirm>().is_err(), "{text}");
        }
    }
}
