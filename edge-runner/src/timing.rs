//! Warm-up and timed windows. The clock is passed in, so that tests need none.

use std::time::Duration;

use mfactor::Result;
use mfactor::measurement::Preset;
use rustix::time::{ClockId, clock_gettime};

const SECOND: u64 = 1_000_000_000;

/// How long to warm up and to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Least number of inferences before the window.
    pub warm_up_inferences: u64,
    /// Least time of warm-up, nanoseconds.
    pub warm_up_ns: u64,
    /// Number of rounds: of windows, each in a process of its own.
    pub rounds: usize,
    /// Least time of a window, nanoseconds.
    pub window_ns: u64,
    /// Least number of samples in a window.
    pub window_samples: usize,
    /// How often a round is tried again after the board was not in a state to be believed.
    pub retries: usize,
    /// Longest wait for the board to cool down before a retry.
    pub cool_down: Duration,
    /// How long the board's power at rest is measured, where it has a sensor.
    pub rest: Duration,
    /// Largest [`mfactor::latency::Latency::window_spread`] of a measurement that is to be believed.
    pub window_spread: f64,
}

impl Plan {
    /// The plan of a preset. `full` is 5 windows of at least 10 s, as in MLPerf Tiny, with at least 1,024 samples
    /// in all, as in MLPerf's single stream, that agree within 5 % after waits of up to 5 minutes, as in MLPerf
    /// Mobile; `quick` is a fiftieth of that time and a tenth of the samples, and need not agree; `brief` has three windows
    /// of 40 ms.
    pub fn of(preset: Preset) -> Self {
        match preset {
            Preset::Full => Self {
                warm_up_inferences: 5,
                warm_up_ns: SECOND,
                rounds: 5,
                window_ns: 10 * SECOND,
                window_samples: 205,
                retries: 2,
                cool_down: Duration::from_secs(300),
                rest: Duration::from_secs(2),
                window_spread: 0.05,
            },
            Preset::Quick => Self {
                warm_up_inferences: 5,
                warm_up_ns: SECOND / 5,
                rounds: 5,
                window_ns: SECOND / 5,
                window_samples: 20,
                retries: 1,
                cool_down: Duration::from_secs(10),
                rest: Duration::from_millis(300),
                window_spread: f64::INFINITY,
            },
            Preset::Brief => Self {
                warm_up_inferences: 3,
                warm_up_ns: SECOND / 100,
                rounds: 3,
                window_ns: SECOND / 25,
                window_samples: 8,
                retries: 1,
                cool_down: Duration::from_secs(10),
                rest: Duration::from_millis(50),
                window_spread: f64::INFINITY,
            },
        }
    }
}

impl Plan {
    /// About how long a round takes where an inference takes this many seconds, in seconds.
    pub fn longest(&self, inference: f64) -> f64 {
        let part = |inferences: f64, least_ns: u64| (inferences * inference).max(least_ns as f64 / 1e9);
        self.rest.as_secs_f64()
            + part(self.warm_up_inferences as f64, self.warm_up_ns)
            + part(self.window_samples as f64, self.window_ns)
    }
}

/// A clock: nanoseconds since some moment.
pub trait Clock {
    /// Now.
    fn now_ns(&mut self) -> u64;
}

/// The machine's monotonic clock.
pub struct Monotonic(std::time::Instant);

impl Monotonic {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Clock for Monotonic {
    fn now_ns(&mut self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Processor time that this process has used, all threads together.
pub struct ProcessorTime;

impl Clock for ProcessorTime {
    fn now_ns(&mut self) -> u64 {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as u64 * SECOND + time.tv_nsec as u64
    }
}

/// Runs until both limits of the warm-up are met; returns the number of inferences.
pub fn warm_up(plan: &Plan, clock: &mut impl Clock, run: &mut dyn FnMut() -> Result<()>) -> Result<u64> {
    let start = clock.now_ns();
    let mut inferences = 0;
    while inferences < plan.warm_up_inferences || clock.now_ns() - start < plan.warm_up_ns {
        run()?;
        inferences += 1;
    }
    Ok(inferences)
}

/// One window: times every inference on its own until both limits of a window are met. Nanoseconds.
pub fn window(plan: &Plan, clock: &mut impl Clock, run: &mut dyn FnMut() -> Result<()>) -> Result<Vec<u64>> {
    let mut samples = Vec::new();
    let start = clock.now_ns();
    loop {
        let before = clock.now_ns();
        run()?;
        let after = clock.now_ns();
        samples.push(after - before);
        if samples.len() >= plan.window_samples && after - start >= plan.window_ns {
            return Ok(samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use mfactor::Error;

    use super::*;

    /// A clock that only moves when an inference "runs".
    #[derive(Clone)]
    struct Simulated(Rc<Cell<u64>>);

    impl Clock for Simulated {
        fn now_ns(&mut self) -> u64 {
            self.0.get()
        }
    }

    fn simulated(inference_ns: u64) -> (Simulated, impl FnMut() -> Result<()>) {
        let time = Rc::new(Cell::new(7));
        (Simulated(time.clone()), move || {
            time.set(time.get() + inference_ns);
            Ok(())
        })
    }

    #[test]
    fn a_quick_model_runs_for_the_whole_time() {
        let (mut clock, mut run) = simulated(SECOND / 1000);
        let plan = Plan::of(Preset::Full);
        assert_eq!(warm_up(&plan, &mut clock, &mut run).unwrap(), 1000);
        assert_eq!(window(&plan, &mut clock, &mut run).unwrap(), vec![SECOND / 1000; 10_000]);
    }

    #[test]
    fn a_slow_model_runs_for_all_its_samples() {
        let (mut clock, mut run) = simulated(SECOND);
        let plan = Plan::of(Preset::Full);
        assert_eq!(warm_up(&plan, &mut clock, &mut run).unwrap(), 5);
        assert_eq!(window(&plan, &mut clock, &mut run).unwrap().len(), 205);
    }

    #[test]
    fn the_presets_keep_their_promise() {
        let (full, quick) = (Plan::of(Preset::Full), Plan::of(Preset::Quick));
        assert!(
            full.rounds >= 5 && full.window_ns >= 10 * SECOND && full.rounds * full.window_samples >= 1024
        );
        assert!(
            quick.rounds as u64 * quick.window_ns >= SECOND && quick.rounds * quick.window_samples >= 100
        );
    }

    #[test]
    fn a_failure_ends_the_window() {
        let (mut clock, _) = simulated(1);
        let mut fail = || Err(Error::input("model", "broke"));
        assert!(window(&Plan::of(Preset::Quick), &mut clock, &mut fail).is_err());
    }
}
