//! What a trainer says, held against the protocol before anything of it is believed.

use mfactor::protocol::{Epoch, Evaluation, Event, Job, PROTOCOL, TrainerFacts};
use mfactor::text;

use crate::evaluators::Ended;
use crate::tell::is_accuracy;

/// Most characters of a name, and of a reason, that are kept.
const LONGEST_NAME: usize = 120;
const LONGEST_REASON: usize = 1_000;
/// Largest time in seconds, rate and number of images that are believed. Sums over all trials of a study stay numbers.
const MOST_SECONDS: f64 = 1e9;
const MOST_A_SECOND: f64 = 1e9;
const MOST_IMAGES: u64 = 1_000_000_000_000;

/// The conversation about one job.
pub(super) struct Talk<'a> {
    job: &'a Job,
    /// The job that the same trainer ended before this.
    earlier: Option<u64>,
    /// The last epoch that was reported.
    epoch: u32,
    /// Whether the trainer was told to stop.
    pub is_pruned: bool,
}

/// What a line means to the job that is running.
#[derive(Debug)]
pub(super) enum Answer {
    Epoch(Epoch),
    /// The job has ended, and the trainer is ready for another.
    Ended(Ended),
    /// The trainer still speaks of the job before: what it is doing is unknown, and this job is innocent of it.
    Stale,
    /// Nothing: libraries print where they should not.
    Stray,
}

impl<'a> Talk<'a> {
    /// A conversation about `job` with a trainer that ended `earlier` before.
    pub fn new(job: &'a Job, earlier: Option<u64>) -> Self {
        Self { job, earlier, epoch: 0, is_pruned: false }
    }

    /// Reads a line. One that breaks the protocol fails the trial: what was meant may have been the end of the job, and
    /// waiting for another would be for ever.
    ///
    /// # Errors
    /// The reason for which it failed.
    pub fn hear(&mut self, line: &str) -> Result<Answer, String> {
        self.understand(line).map_err(|problem| format!("the trainer broke the protocol: {problem}"))
    }

    fn understand(&mut self, line: &str) -> Result<Answer, String> {
        let Some(event) = event(line)? else { return Ok(Answer::Stray) };
        let trial = match &event {
            Event::Ready(_) => return Err("it said that it is ready in the middle of a job".to_owned()),
            Event::Epoch(epoch) => epoch.trial,
            Event::Done { trial, .. } | Event::Pruned { trial, .. } | Event::Failed { trial, .. } => *trial,
        };
        if trial != self.job.trial {
            return match self.earlier {
                Some(earlier) if earlier == trial => Ok(Answer::Stale),
                _ => Err(format!("it spoke of trial {trial} and not of {}", self.job.trial)),
            };
        }
        Ok(match event {
            Event::Ready(_) => unreachable!("it returned above"),
            Event::Epoch(epoch) => Answer::Epoch(self.epoch(epoch)?),
            Event::Done { evaluation, .. } => Answer::Ended(Ended::Complete(self.done(evaluation)?)),
            Event::Pruned { seconds, images, .. } => {
                self.pruned(seconds, images)?;
                Answer::Ended(Ended::Pruned { seconds, images })
            }
            Event::Failed { kind, reason, .. } => {
                Answer::Ended(Ended::failed(kind, text::quoted(&reason, LONGEST_REASON)))
            }
        })
    }

    /// Epochs come one by one, from 1 to the last of the budget. What is only shown is shown if it can be.
    fn epoch(&mut self, epoch: Epoch) -> Result<Epoch, String> {
        let (number, budget) = (epoch.epoch, self.job.recipe.epochs);
        if self.is_pruned {
            return Err(format!("epoch {number} came after it was told to stop"));
        }
        if number != self.epoch + 1 || number > budget || epoch.epochs != budget {
            let (of, last) = (epoch.epochs, self.epoch);
            return Err(format!("epoch {number} of {of} came after epoch {last} of {budget}"));
        }
        check_accuracy(epoch.accuracy)?;
        self.epoch = number;
        let shown = |value: f64, most: f64| if (0.0..=most).contains(&value) { value } else { f64::NAN };
        Ok(Epoch {
            images_per_second: shown(epoch.images_per_second, MOST_A_SECOND),
            seconds_left: shown(epoch.seconds_left, MOST_SECONDS),
            ..epoch
        })
    }

    fn done(&self, evaluation: Evaluation) -> Result<Evaluation, String> {
        if self.is_pruned {
            return Err("it went on to the end after it was told to stop".to_owned());
        }
        let (last, budget) = (self.epoch, self.job.recipe.epochs);
        let is_silent = last == 0 && self.job.decisions.is_empty();
        if last < budget && !is_silent {
            return Err(format!("it was done after epoch {last} of {budget}"));
        }
        check_accuracy(evaluation.accuracy)?;
        check_cost(evaluation.seconds, evaluation.images)?;
        // There is a −0.
        Ok(Evaluation { accuracy: evaluation.accuracy + 0.0, ..evaluation })
    }

    fn pruned(&self, seconds: f64, images: u64) -> Result<(), String> {
        if !self.is_pruned {
            return Err("it stopped a training without being told to".to_owned());
        }
        check_cost(seconds, images)
    }
}

/// An accuracy is from 0 to 1, or not a number where training diverged.
fn check_accuracy(accuracy: f64) -> Result<(), String> {
    if accuracy.is_nan() || is_accuracy(accuracy) {
        return Ok(());
    }
    Err(format!("an accuracy is {accuracy}; it must be from 0 to 1"))
}

fn check_cost(seconds: f64, images: u64) -> Result<(), String> {
    if !(0.0..=MOST_SECONDS).contains(&seconds) {
        return Err(format!("a training took {seconds} seconds; that cannot be"));
    }
    if images > MOST_IMAGES {
        return Err(format!("a training saw {images} images; that cannot be"));
    }
    Ok(())
}

/// What a trainer says of itself before its first job; `None` for a line that was not meant as an event.
pub(super) fn introduction(line: &str) -> Result<Option<TrainerFacts>, String> {
    let facts = match event(line)? {
        None => return Ok(None),
        Some(Event::Ready(facts)) => facts,
        Some(_) => return Err(format!("it said {} before it was ready", quote(line))),
    };
    if facts.protocol != PROTOCOL {
        let other = facts.protocol;
        return Err(format!("it speaks version {other} of the protocol, and this program speaks {PROTOCOL}"));
    }
    let name = |name: &str| text::quoted(name, LONGEST_NAME);
    Ok(Some(TrainerFacts {
        version: name(&facts.version),
        build: name(&facts.build),
        libtorch: name(&facts.libtorch),
        device: name(&facts.device),
        device_name: name(&facts.device_name),
        precision: name(&facts.precision),
        kernels: name(&facts.kernels),
        ..facts
    }))
}

/// The event on a line; `None` for a line that was not meant as one.
fn event(line: &str) -> Result<Option<Event>, String> {
    if !line.trim_start().starts_with('{') {
        return Ok(None);
    }
    serde_json::from_str(line).map(Some).map_err(|error| format!("{} is not an event ({error})", quote(line)))
}

/// The beginning of a line, in quotes.
fn quote(line: &str) -> String {
    format!("\"{}\"", text::quoted(line, LONGEST_NAME))
}

#[cfg(test)]
mod tests {
    use mfactor::protocol::FailureKind;
    use mfactor::{Recipe, SearchSpace};

    use super::*;

    /// What the last of `lines` means to a job of two epochs, trial 7, after trial 6; or why it is not believed.
    fn heard(lines: &[&str], is_pruned: bool) -> Result<Answer, String> {
        let space = SearchSpace::paper();
        let job = Job {
            trial: 7,
            architecture: space.smallest(),
            space,
            recipe: Recipe { epochs: 2, ..Recipe::default() },
            seed: 1,
            data: "data".into(),
            output: "output".into(),
            accuracy: mfactor::AccuracyKind::Plain,
            decisions: vec![],
        };
        let mut talk = Talk::new(&job, Some(6));
        let (last, first) = lines.split_last().unwrap();
        for line in first {
            talk.understand(line).unwrap();
        }
        talk.is_pruned = is_pruned;
        talk.understand(last)
    }

    const ONE: &str = r#"{"event":"epoch","trial":7,"epoch":1,"epochs":2,"loss":null,"accuracy":0.5,"images_per_second":1e308,"seconds_left":-1}"#;
    const TWO: &str = r#"{"event":"epoch","trial":7,"epoch":2,"epochs":2,"loss":1,"accuracy":null,"images_per_second":9,"seconds_left":0}"#;
    const DONE: &str = r#"{"event":"done","trial":7,"evaluation":{"accuracy":-0.0,"seconds":1,"images":9}}"#;
    const PRUNED: &str = r#"{"event":"pruned","trial":7,"seconds":1,"images":9}"#;

    #[test]
    fn a_whole_training_is_believed() {
        let Answer::Epoch(epoch) = heard(&[ONE], false).unwrap() else { panic!("it is an epoch") };
        assert!(epoch.images_per_second.is_nan() && epoch.seconds_left.is_nan(), "only shown: {epoch:?}");
        let Answer::Ended(Ended::Complete(done)) = heard(&[ONE, "talk", TWO, DONE], false).unwrap() else {
            panic!("it is done")
        };
        assert!(done.accuracy == 0.0 && done.accuracy.is_sign_positive());
        assert!(matches!(heard(&[ONE, PRUNED], true).unwrap(), Answer::Ended(Ended::Pruned { .. })));
        assert!(matches!(heard(&[&DONE.replace('7', "6")], false).unwrap(), Answer::Stale));
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let done = |from: &str, to: &str| DONE.replace(from, to);
        for (lines, is_pruned, problem) in [
            (vec![TWO.to_owned()], false, "epoch 2 of 2 came after epoch 0 of 2"),
            (vec![ONE.to_owned(), ONE.to_owned()], false, "epoch 1 of 2 came after epoch 1 of 2"),
            (vec![ONE.replace("\"epochs\":2", "\"epochs\":0")], false, "epoch 1 of 0"),
            (vec![ONE.replace("\"epoch\":1", "\"epoch\":-1")], false, "is not an event"),
            (vec![ONE.replace("\"epoch\":1", "\"epoch\":4294967295")], false, "epoch 4294967295"),
            (vec![ONE.replace("0.5", "1.5")], false, "an accuracy is 1.5"),
            (vec![ONE.replace('7', "8")], false, "trial 8 and not of 7"),
            (vec![ONE.to_owned(), TWO.to_owned()], true, "told to stop"),
            (vec![ONE.to_owned(), DONE.to_owned()], false, "done after epoch 1 of 2"),
            (vec![ONE.to_owned(), DONE.to_owned()], true, "told to stop"),
            (vec![PRUNED.to_owned()], false, "without being told"),
            (vec![ONE.to_owned(), TWO.to_owned(), done("-0.0", "-0.1")], false, "an accuracy is -0.1"),
            (
                vec![ONE.to_owned(), TWO.to_owned(), done("\"seconds\":1", "\"seconds\":-1")],
                false,
                "-1 seconds",
            ),
            (
                vec![ONE.to_owned(), TWO.to_owned(), done("\"seconds\":1", "\"seconds\":null")],
                false,
                "NaN seconds",
            ),
            (
                vec![ONE.to_owned(), TWO.to_owned(), done(":9", ":18446744073709551615")],
                false,
                "images; that cannot",
            ),
            (vec![r#"{"event":"joke"}"#.to_owned()], false, "joke"),
            (vec!["{\u{1b}[2J".to_owned()], false, "\"{\\u{1b}[2J\" is not an event"),
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let found = heard(&lines, is_pruned).unwrap_err();
            assert!(found.contains(problem), "{lines:?}: {found}");
        }
    }

    #[test]
    fn neither_names_nor_reasons_reach_a_terminal_as_they_come() {
        let reason = r#"{"event":"failed","trial":7,"reason":"\u001b]0;title\u0007 one\ntwo"}"#;
        let Answer::Ended(Ended::Failed { kind, reason }) = heard(&[reason], false).unwrap() else {
            panic!("it failed")
        };
        assert_eq!(kind, FailureKind::Unknown, "programs that say a sentence alone are understood");
        assert_eq!(reason, "\\u{1b}]0;title\\u{7} one\\ntwo");
        let ready = r#"{"event":"ready","version":"\u001b","libtorch":"2","device":"cpu","precision":"f","threads":1}"#;
        assert_eq!(introduction(ready).unwrap().unwrap().version, "\\u{1b}");
        assert_eq!(introduction("a library prints").unwrap(), None);
        let other = ready.replace("\"version\"", "\"protocol\":2,\"version\"");
        assert!(introduction(&other).unwrap_err().contains("version 2 of the protocol"));
    }
}
