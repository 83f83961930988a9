//! The boards of a search, of one kind: who is free, who was lost, what they said, and whether they held still meanwhile.
//!
//! Each board measures one and the same network, its probe, when it begins, after every so many others and at the end. Boards
//! whose probes do not agree are not of a kind, and where a board's own do not, what it said in between is forgotten.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use export::{Precision, untrained};
use mfactor::cost::BoardCosts;
use mfactor::measured_networks::{Circumstances, MeasuredNetwork, MeasuredNetworks};
use mfactor::measurement::Verdict;
use mfactor::{Architecture, Error, Quantity, Result, SearchSpace};

use super::bench::Bench;
use crate::cost_tables::DRIFT;

/// Networks between two probes.
const SESSION: usize = 20;
/// How long a board is left alone that was lost.
const AWAY: Duration = Duration::from_secs(60);
/// How long one is that is none of the others' kind.
const FOREVER: Duration = Duration::from_secs(1 << 32);

/// What all boards of a search have in common.
pub struct Terms {
    /// The space that is searched.
    pub space: SearchSpace,
    /// The kind of board.
    pub target: String,
    /// Type of the weights and activations.
    pub precision: Precision,
    /// Whether the cost table is of an emulated processor.
    pub emulated: bool,
    /// Folder for models until they are measured.
    pub models: PathBuf,
    /// Whether the board is this machine, which does one thing at a time.
    pub is_here: bool,
    /// Whether what is measured may end a trial before it is trained.
    pub has_limit: bool,
    /// The least of a quantity that was measured when the study began.
    pub least: BTreeMap<Quantity, f64>,
}

/// The boards of a search.
pub struct Pool<'a> {
    terms: Terms,
    /// The network that tells whether a board is what it was.
    probe: Architecture,
    state: Mutex<State<'a>>,
    /// Wakes whoever waits for a board.
    freed: Condvar,
    /// Held for reading by trainings and for writing by measurements, where both are on this machine.
    machine: RwLock<()>,
}

struct State<'a> {
    /// Where what is known is written down, once there is a study.
    study: Option<PathBuf>,
    known: MeasuredNetworks,
    least: BTreeMap<Quantity, f64>,
    /// Those of the boards; none until one answered.
    circumstances: Option<Circumstances>,
    /// The first probe of all, milliseconds.
    probe_ms: Option<f64>,
    free: Vec<Seat<'a>>,
    busy: usize,
}

/// A board, and what it said since its last probe.
struct Seat<'a> {
    bench: Box<dyn Bench + 'a>,
    /// Its last probe, milliseconds; `None` where it has to be measured before anything else.
    probe_ms: Option<f64>,
    said: Vec<Architecture>,
    /// Until when it is left alone.
    away_until: Option<Instant>,
}

impl Seat<'_> {
    /// Has the board asked nothing more in this search.
    fn leave_out(&mut self, why: &str, warn: &mut dyn FnMut(String)) {
        self.away_until = Some(Instant::now() + FOREVER);
        self.probe_ms = None;
        warn(format!("board {} is left out: {why}", self.bench.name()));
    }
}

impl State<'_> {
    fn forget(&mut self, architectures: &[Architecture]) -> Result<()> {
        self.known.forget(architectures);
        self.write()
    }

    fn write(&self) -> Result<()> {
        self.study.as_ref().map_or(Ok(()), |study| self.known.write(study))
    }
}

impl<'a> Pool<'a> {
    /// Boards that have said nothing yet.
    pub fn new(terms: Terms, benches: Vec<Box<dyn Bench + 'a>>) -> Self {
        let seat = |bench| Seat { bench, probe_ms: None, said: vec![], away_until: None };
        let state = State {
            study: None,
            known: MeasuredNetworks::none(),
            least: terms.least.clone(),
            circumstances: None,
            probe_ms: None,
            free: benches.into_iter().map(seat).collect(),
            busy: 0,
        };
        Self {
            probe: terms.space.smallest(),
            terms,
            state: Mutex::new(state),
            freed: Condvar::new(),
            machine: RwLock::new(()),
        }
    }

    /// From now on what is known is kept in a study's folder, together with what is there.
    ///
    /// # Errors
    /// As [`MeasuredNetworks::read`].
    pub fn keep_in(&self, study: &std::path::Path) -> Result<()> {
        let mut state = self.state();
        let mut known = MeasuredNetworks::read(study)?;
        for network in std::mem::replace(&mut state.known, MeasuredNetworks::none()).into_networks() {
            known.add(network);
        }
        state.known = known;
        state.study = Some(study.to_owned());
        if state.known.is_empty() { Ok(()) } else { state.write() }
    }

    /// Whether a network is to be measured before it is trained, and not meanwhile.
    pub fn comes_first(&self) -> bool {
        self.terms.is_here || self.terms.has_limit
    }

    /// Held while something trains: nothing is measured on this machine then.
    pub fn training(&self) -> Option<RwLockReadGuard<'_, ()>> {
        let lock = || self.machine.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.terms.is_here.then(lock)
    }

    /// What a network costs on a board; `None` where no board can be had now, or did not hold still. What there is to say
    /// of the boards goes to `warn`.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the user stopped it, and what writing the model or what is known says.
    pub fn measure(
        &self,
        architecture: &Architecture,
        warn: &mut dyn FnMut(String),
    ) -> Result<Option<BoardCosts>> {
        if let Some(costs) = self.known(architecture) {
            return Ok(Some(costs));
        }
        let Some(mut seat) = self.take() else { return Ok(None) };
        let measured = self.measure_on(&mut seat, architecture, warn);
        self.give_back(seat);
        let costs = measured?.map(|network| network.costs());
        if let Some(costs) = &costs {
            self.compare_with_least(architecture, costs, warn);
        }
        Ok(costs)
    }

    /// The least of a quantity that any of these networks costs, all of them measured.
    ///
    /// # Errors
    /// As [`Pool::measure`]; and [`Error::Board`] where one of them cannot be measured.
    pub fn least(
        &self,
        quantity: Quantity,
        architectures: &[Architecture],
        warn: &mut dyn FnMut(String),
    ) -> Result<(Architecture, f64)> {
        let mut least: Option<(Architecture, f64)> = None;
        for architecture in architectures {
            let costs = self.measure(architecture, warn)?;
            let Some(value) = costs.and_then(|costs| costs.get(quantity)) else {
                return Err(Error::Board {
                    subject: format!("{} of {architecture}", quantity.name()),
                    problem: "could not be measured, and the least that a network costs is the study's reference: try again, or \
                              name a budget"
                        .to_owned(),
                });
            };
            if least.as_ref().is_none_or(|(_, least)| value < *least) {
                least = Some((architecture.clone(), value));
            }
        }
        let least = least.ok_or_else(|| Error::Defect("a minimum of nothing".to_owned()))?;
        self.state().least.insert(quantity, least.1);
        Ok(least)
    }

    /// Measures what has no value yet, as far as boards can be had, and ends the session: probes once more, and measures again
    /// what was said while a board did not hold still. How many of them have a value then.
    ///
    /// # Errors
    /// As [`Pool::measure`].
    pub fn catch_up(&self, architectures: &[Architecture], warn: &mut dyn FnMut(String)) -> Result<usize> {
        let is_lost =
            |seat: &&mut Seat<'_>| seat.away_until.is_some_and(|until| until <= Instant::now() + AWAY);
        self.state().free.iter_mut().filter(is_lost).for_each(|seat| seat.away_until = None);
        for _ in 0..2 {
            for architecture in architectures {
                self.measure(architecture, warn)?;
            }
            while let Some(mut seat) = self.take_unprobed() {
                let probed = self.probe(&mut seat, warn);
                seat.said.clear();
                self.give_back(seat);
                probed?;
            }
        }
        Ok(architectures.iter().filter(|architecture| self.known(architecture).is_some()).count())
    }

    /// What is known of a network, in the circumstances of these boards.
    fn known(&self, architecture: &Architecture) -> Option<BoardCosts> {
        let state = self.state();
        let network = state.known.get(architecture)?;
        let counts = match &state.circumstances {
            Some(circumstances) => network.circumstances == *circumstances,
            // No board answered yet: what was said by one of this kind stands.
            None => network.circumstances.target == self.terms.target,
        };
        counts.then(|| network.costs())
    }

    fn measure_on(
        &self,
        seat: &mut Seat<'_>,
        architecture: &Architecture,
        warn: &mut dyn FnMut(String),
    ) -> Result<Option<MeasuredNetwork>> {
        if (seat.probe_ms.is_none() || seat.said.len() >= SESSION) && !self.probe(seat, warn)? {
            return Ok(None);
        }
        // The probe may have told on what it hangs, and then that it is known.
        if let Some(known) = self.known_whole(architecture) {
            return Ok(Some(known));
        }
        let Some(network) = self.asked(seat, architecture, warn)? else { return Ok(None) };
        seat.said.push(architecture.clone());
        self.keep(network.clone())?;
        Ok(Some(network))
    }

    fn known_whole(&self, architecture: &Architecture) -> Option<MeasuredNetwork> {
        self.known(architecture)?;
        self.state().known.get(architecture).cloned()
    }

    /// Measures the probe; whether the board is to be believed from now on. What it said since the last one is forgotten if it
    /// was not.
    fn probe(&self, seat: &mut Seat<'_>, warn: &mut dyn FnMut(String)) -> Result<bool> {
        let Some(probed) = self.asked(seat, &self.probe, warn)? else { return Ok(false) };
        let (now, circumstances) = (probed.took.latency_p50, probed.circumstances);
        if circumstances.emulated != self.terms.emulated {
            let why = match circumstances.emulated {
                true => "its processor is emulated, so that its times mean nothing",
                false => "its processor is real, and the cost table is of an emulated one",
            };
            seat.leave_out(why, warn);
            return Ok(false);
        }
        let mut state = self.state();
        let first = *state.probe_ms.get_or_insert(now);
        let is_alike = *state.circumstances.get_or_insert_with(|| circumstances.clone()) == circumstances;
        let before = seat.probe_ms.replace(now);
        let said = std::mem::take(&mut seat.said);
        let name = seat.bench.name();
        if let Some(before) = before.filter(|before| is_off(*before, now)) {
            warn(format!(
                "board {name} did not hold still: the same network took {before:.3} ms and then {now:.3} ms; what it said of \
                 {} networks in between is forgotten, and measured again",
                said.len()
            ));
            state.forget(&said)?;
            // One that is alone has none to be compared with but itself.
            if state.free.is_empty() && state.busy == 1 {
                state.probe_ms = Some(now);
            }
        }
        let first = state.probe_ms.unwrap_or(first);
        if !is_alike {
            seat.leave_out("it has another runner or engine than the others", warn);
            return Ok(false);
        }
        if is_off(first, now) {
            let why = format!(
                "the same network takes {now:.3} ms there and {first:.3} ms on another, so they are not of a kind"
            );
            seat.leave_out(&why, warn);
            return Ok(false);
        }
        Ok(true)
    }

    /// What a board says of a network. `None` where it is gone, or its answer does not count.
    fn asked(
        &self,
        seat: &mut Seat<'_>,
        architecture: &Architecture,
        warn: &mut dyn FnMut(String),
    ) -> Result<Option<MeasuredNetwork>> {
        let model = self.terms.models.join(format!("{architecture}.onnx"));
        untrained::write(&self.terms.space, architecture, self.terms.precision, &model)?;
        let measured = {
            let lock = || self.machine.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let _alone = self.terms.is_here.then(lock);
            seat.bench.measure(architecture, &model)
        };
        // What the next one takes is not worth the disk that it would need.
        let _ = std::fs::remove_file(&model);
        let told = "its cost is what the table tells until it is measured";
        match measured {
            Ok((network, Verdict::Valid)) => Ok(Some(network)),
            Ok((_, Verdict::Invalid { reasons })) => {
                warn(format!("board {}: {}; {told}", seat.bench.name(), reasons.join("; ")));
                Ok(None)
            }
            Err(error @ (Error::Interrupted(_) | Error::Defect(_))) => Err(error),
            Err(error) => {
                seat.away_until = Some(Instant::now() + AWAY);
                // Whether it is the same when it comes back, the probe will tell.
                seat.said.clear();
                seat.probe_ms = None;
                // What ssh said may be several lines.
                let why = error.to_string().lines().collect::<Vec<_>>().join("; ");
                warn(format!("board {} is lost ({why}): {told}", seat.bench.name()));
                Ok(None)
            }
        }
    }

    fn keep(&self, network: MeasuredNetwork) -> Result<()> {
        let mut state = self.state();
        state.known.add(network);
        state.write()
    }

    /// What costs less than what was thought to be the least.
    fn compare_with_least(
        &self,
        architecture: &Architecture,
        costs: &BoardCosts,
        warn: &mut dyn FnMut(String),
    ) {
        let least = self.state().least.clone();
        for (quantity, least) in least {
            if let Some(value) = costs.get(quantity).filter(|value| *value < least) {
                warn(format!(
                    "{architecture} costs {}, less than the least that was measured when the study began, {}: its S' is 1",
                    quantity.show(value),
                    quantity.show(least)
                ));
            }
        }
    }

    /// A board, as soon as one is free; `None` where all are away.
    fn take(&self) -> Option<Seat<'a>> {
        self.wait_for(|seat| seat.away_until.is_none_or(|until| Instant::now() >= until))
    }

    /// A board that said something since its last probe, as [`Pool::take`].
    fn take_unprobed(&self) -> Option<Seat<'a>> {
        self.wait_for(|seat| !seat.said.is_empty())
    }

    fn wait_for(&self, will_do: impl Fn(&Seat<'a>) -> bool) -> Option<Seat<'a>> {
        let mut state = self.state();
        loop {
            if let Some(place) = state.free.iter().position(&will_do) {
                state.busy += 1;
                let mut seat = state.free.remove(place);
                seat.away_until = None;
                return Some(seat);
            }
            if state.busy == 0 {
                return None;
            }
            state = self.freed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    fn give_back(&self, seat: Seat<'a>) {
        let mut state = self.state();
        state.busy -= 1;
        state.free.push(seat);
        drop(state);
        self.freed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn is_off(before: f64, now: f64) -> bool {
    (now / before - 1.0).abs() > DRIFT
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
