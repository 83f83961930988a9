//! Many models measured fairly: in rounds, each of which times every model once, in a process of its own.
//!
//! Accuracy comes first. Then every round begins with another model, so that a board that grows warm, or a neighbour
//! that comes and goes, does not favour a place in the ranking. A round in which the board throttled is tried again
//! after a cool-down, and the failed attempt stays in the record.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use engines::engine::EngineOptions;
use mfactor::measurement::{MeasuredAccuracy, Measurement, Preset, Verdict};
use mfactor::{Error, Result};

use release::SensorChoice;

use crate::child::measure_in_child;
use crate::measure::{Answer, Part, Progress, Request, RoundAnswer};
use crate::record;
use crate::sensors::Sensors;
use crate::system::SystemTree;
use crate::timing::Plan;

/// A board counts as cool again at this much above the temperature it began with, °C.
const COOL_WITHIN: f64 = 2.0;
/// Time between two looks at the temperature.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One model with one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The model file.
    pub model: PathBuf,
    /// Where its bytes are read, if not there: see [`Request`].
    pub contents: Option<PathBuf>,
    /// The engine.
    pub engine: EngineOptions,
}

/// What is to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Models and engines.
    pub subjects: Vec<Subject>,
    /// Test records, as in [`Part::Accuracy`]. Without any, accuracy is not measured.
    pub data: Vec<PathBuf>,
    /// How thorough.
    pub preset: Preset,
}

/// What happens on the way. Every event but a pause is one subject's.
#[derive(Debug)]
pub enum Event<'a> {
    /// A part is on its way.
    Progress {
        /// The round, from 1; 0 is the accuracy.
        round: usize,
        /// Of how many.
        of: usize,
        /// How far.
        progress: Progress,
    },
    /// The board was not in a state to be believed; the round is tried again.
    Retry {
        /// Why.
        reasons: &'a [String],
        /// Longest wait before.
        wait: Duration,
    },
    /// A round is over. The record is not complete, and its verdict says so.
    Partial(&'a Measurement),
    /// The record is complete.
    Complete(&'a Measurement),
    /// It could not be measured.
    Failed(&'a Error),
}

/// What the rounds need of the machine.
pub trait Machine {
    /// Makes a part in a fresh process.
    ///
    /// # Errors
    /// As [`measure_in_child`].
    fn part(&mut self, request: &Request, on_progress: &mut dyn FnMut(Progress)) -> Result<Answer>;

    /// Temperature, °C, where it is told.
    fn temperature(&mut self) -> Option<f64>;

    /// Waits.
    fn pause(&mut self, time: Duration);

    /// Whether the work is to end now, with what is measured by then.
    fn is_stopped(&self) -> bool;
}

/// This machine.
pub struct LiveMachine<'a> {
    program: &'a Path,
    tree: SystemTree,
    sensors: Sensors,
    is_stopped: &'a dyn Fn() -> bool,
}

impl<'a> LiveMachine<'a> {
    /// Measures with children of `program`, see [`measure_in_child`], until `is_stopped`.
    pub fn new(program: &'a Path, choice: &SensorChoice, is_stopped: &'a dyn Fn() -> bool) -> Self {
        let tree = SystemTree::live();
        let sensors = Sensors::find(&tree, choice);
        Self { program, tree, sensors, is_stopped }
    }
}

impl Machine for LiveMachine<'_> {
    fn part(&mut self, request: &Request, on_progress: &mut dyn FnMut(Progress)) -> Result<Answer> {
        let request = Request { sensors: self.sensors.clone(), ..request.clone() };
        measure_in_child(self.program, &request, self.is_stopped, on_progress)
    }

    fn temperature(&mut self) -> Option<f64> {
        self.sensors.thermometer.as_ref()?.celsius(&self.tree)
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn is_stopped(&self) -> bool {
        (self.is_stopped)()
    }
}

/// One attempt at a round.
pub(crate) type Attempt = RoundAnswer;

/// A subject under way.
#[derive(Default)]
struct State {
    accuracy: Option<MeasuredAccuracy>,
    attempts: Vec<Attempt>,
    error: Option<Error>,
}

/// Measures all subjects. A subject that fails costs no other; what is measured of it before is told as
/// [`Event::Partial`]. Stopped, it returns what is measured by then: a record of fewer rounds, which says so.
pub fn measure(
    order: &Order,
    machine: &mut dyn Machine,
    on_event: &mut dyn FnMut(usize, Event<'_>),
) -> Vec<Result<Measurement>> {
    let plan = Plan::of(order.preset);
    let start = machine.temperature();
    let mut states: Vec<State> = order.subjects.iter().map(|_| State::default()).collect();
    let mut rounds = Rounds { order, plan, start, machine, on_event };
    if !order.data.is_empty() {
        for (number, state) in states.iter_mut().enumerate() {
            rounds.guard(number, state, |rounds, state| rounds.accuracy(number, state));
        }
    }
    for round in 1..=plan.rounds {
        for position in 0..states.len() {
            let number = (position + round - 1) % states.len();
            rounds.guard(number, &mut states[number], |rounds, state| {
                rounds.round(number, round, position + 1, state)
            });
        }
    }
    let finished = states.into_iter().enumerate();
    finished.map(|(number, state)| rounds.finish(number, state)).collect()
}

struct Rounds<'a> {
    order: &'a Order,
    plan: Plan,
    /// Temperature before anything was measured.
    start: Option<f64>,
    machine: &'a mut dyn Machine,
    on_event: &'a mut dyn FnMut(usize, Event<'_>),
}

impl Rounds<'_> {
    /// Does `work` unless the subject has failed, and keeps its failure.
    fn guard(
        &mut self,
        number: usize,
        state: &mut State,
        work: impl FnOnce(&mut Self, &mut State) -> Result<()>,
    ) {
        if state.error.is_some() || self.machine.is_stopped() {
            return;
        }
        match work(self, state) {
            Ok(()) => {}
            // What was measured before is its result.
            Err(_) if self.machine.is_stopped() => {}
            Err(error) => {
                (self.on_event)(number, Event::Failed(&error));
                state.error = Some(error);
            }
        }
    }

    fn part(&mut self, number: usize, round: usize, part: Part) -> Result<Answer> {
        let Subject { model, contents, engine } = self.order.subjects[number].clone();
        let of = self.plan.rounds;
        let mut on_progress = |progress| (self.on_event)(number, Event::Progress { round, of, progress });
        let request = Request { model, contents, engine, sensors: Sensors::default(), part };
        self.machine.part(&request, &mut on_progress)
    }

    fn accuracy(&mut self, number: usize, state: &mut State) -> Result<()> {
        match self.part(number, 0, Part::Accuracy { data: self.order.data.clone() })? {
            Answer::Accuracy(accuracy) => state.accuracy = Some(accuracy),
            Answer::Round(_) => return Err(other_part()),
        }
        Ok(())
    }

    fn round(&mut self, number: usize, round: usize, position: usize, state: &mut State) -> Result<()> {
        let mut cool_down_seconds = 0.0;
        for attempt in 1..=self.plan.retries + 1 {
            let Answer::Round(answer) =
                self.part(number, round, Part::Round { preset: self.order.preset })?
            else {
                return Err(other_part());
            };
            let mut answer = *answer;
            answer.round.number = round;
            answer.round.attempt = attempt;
            answer.round.position = position;
            answer.round.cool_down_seconds = cool_down_seconds;
            state.attempts.push(answer);
            let last = &state.attempts[state.attempts.len() - 1];
            match &last.round.verdict {
                Verdict::Invalid { reasons } if attempt <= self.plan.retries => {
                    (self.on_event)(number, Event::Retry { reasons, wait: self.plan.cool_down });
                    cool_down_seconds = self.cool_down();
                }
                _ => break,
            }
        }
        // Brief rounds are over before a record of some of them could be of use.
        if round < self.plan.rounds
            && self.order.preset != Preset::Brief
            && let Some(partial) = self.record(state)
        {
            (self.on_event)(number, Event::Partial(&partial));
        }
        Ok(())
    }

    /// Waits until the board is as cool as it was at the start, or the plan's longest wait is over; where it tells no
    /// temperature, a tenth of that. Seconds waited.
    fn cool_down(&mut self) -> f64 {
        let longest = if self.start.is_some() { self.plan.cool_down } else { self.plan.cool_down / 10 };
        let mut waited = Duration::ZERO;
        while waited < longest && !self.machine.is_stopped() {
            let begun = Instant::now();
            self.machine.pause(LOOK_EVERY);
            // A machine that does not really wait is one of a test.
            waited += LOOK_EVERY.max(begun.elapsed());
            let is_cool = |(now, start): (f64, f64)| now <= start + COOL_WITHIN;
            if self.machine.temperature().zip(self.start).is_some_and(is_cool) {
                break;
            }
        }
        waited.as_secs_f64()
    }

    fn record(&self, state: &State) -> Option<Measurement> {
        record::assemble(&state.attempts, state.accuracy, self.order.preset, &self.plan)
    }

    fn finish(&mut self, number: usize, mut state: State) -> Result<Measurement> {
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        let is_stopped = self.machine.is_stopped();
        let Some(record) = self.record(&state) else {
            return Err(match is_stopped {
                true => Error::Interrupted("stopped before anything was measured".to_owned()),
                false => Error::Defect("a measurement ended without a sample".to_owned()),
            });
        };
        if state.attempts.iter().map(|attempt| attempt.round.number).max() == Some(self.plan.rounds) {
            (self.on_event)(number, Event::Complete(&record));
        }
        Ok(record)
    }
}

fn other_part() -> Error {
    Error::Defect("the measuring child answered another part than was asked for".to_owned())
}
