//! Energy, where the board has a sensor for it. Nothing is estimated where it has none.
//!
//! | board | sensor | read from |
//! |---|---|---|
//! | Jetson | INA3221: board input where it has that rail, else the sum of its rails | hwmon, or iio before JetPack 5 |
//! | Raspberry Pi 5 | the power chip's own converters: the sum of the rails that it feeds | `vcgencmd pmic_read_adc` |
//! | x86-64 | RAPL: the processor packages, counted by the processor itself | powercap, for root |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mfactor::measurement::Energy;
use serde::{Deserialize, Serialize};

use crate::affinity::Pinned;
use crate::system::SystemTree;

/// Time between two readings of a file.
const INTERVAL: Duration = Duration::from_millis(50);
/// Time between two readings that take a program.
const COMMAND_INTERVAL: Duration = Duration::from_millis(100);
/// Rails of an INA3221 that carry the whole board's current, as NVIDIA names them.
const BOARD_RAILS: [&str; 2] = ["VDD_IN", "POM_5V_IN"];
/// What stands before the name of a rail in a board's description.
const RAIL: &str = "rail ";
/// More than any board takes, and any machine whose counters are read.
const MOST_WATTS: f64 = 2000.0;
/// Highest voltage of a rail, mV, and largest current, mA.
const MOST_MILLIVOLTS: f64 = 60_000.0;
const MOST_MILLIAMPERES: f64 = 100_000.0;
/// A difference counts from so many standard errors on.
const STANDARD_ERRORS: f64 = 3.0;
/// Fewer readings say nothing of their own noise.
const FEWEST_READINGS: usize = 3;
/// A sensor of whose readings more than this share fail is not believed in the others.
const MOST_FAILURES: f64 = 0.1;

/// Where power or energy is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensor {
    /// Rails whose voltage (mV) and current (mA) are files.
    Rails {
        /// What they measure, for records.
        source: String,
        /// Paths of voltage and current, a pair a rail.
        rails: Vec<(String, String)>,
    },
    /// Raspberry Pi 5's power chip, asked through `vcgencmd`.
    PowerChip,
    /// Zones of powercap that count microjoules, and where each begins again at 0.
    Counters {
        /// Folder and range of each zone.
        zones: Vec<(String, u64)>,
    },
}

impl Sensor {
    /// The sensor of a machine, if it has one that tells something possible. `named` is what the board's description says
    /// of it: a rail, or the power chip.
    pub fn find(tree: &SystemTree, named: Option<&str>) -> Option<Self> {
        let rail = named.and_then(|text| text.split_once(RAIL)).map(|(_, rest)| {
            rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                .next()
                .unwrap_or_default()
        });
        let rails = || ina3221(tree, rail).filter(|sensor| sensor.watts(tree).is_some());
        let power_chip = || power_chip_watts(tree).map(|_| Self::PowerChip);
        let is_power_chip = named.is_some_and(|text| text.contains("pmic_read_adc"));
        let first = if is_power_chip { power_chip() } else { None };
        first.or_else(rails).or_else(power_chip).or_else(|| powercap(tree))
    }

    /// The sensor and what it measures, for records.
    pub fn source(&self) -> String {
        match self {
            Self::Rails { source, .. } => source.clone(),
            Self::PowerChip => "PMIC, sum of its rails".to_owned(),
            Self::Counters { zones } => format!("RAPL, {} processor package(s)", zones.len()),
        }
    }

    /// Power now; `None` for a sensor that counts energy, and for a reading that cannot be.
    pub fn watts(&self, tree: &SystemTree) -> Option<f64> {
        let watts = match self {
            Self::Rails { rails, .. } => rails.iter().map(|rail| rail_watts(tree, rail)).sum(),
            Self::PowerChip => power_chip_watts(tree),
            Self::Counters { .. } => None,
        };
        watts.filter(is_power)
    }

    /// Microjoules counted so far in each zone; `None` for a sensor that tells power.
    fn microjoules(&self, tree: &SystemTree) -> Option<Vec<u64>> {
        let Self::Counters { zones } = self else { return None };
        zones.iter().map(|(folder, _)| tree.read_number(&format!("{folder}/energy_uj"))).collect()
    }

    /// Joules between two readings of counters, each of which may have begun again once.
    fn joules_between(&self, before: &[u64], after: &[u64]) -> Option<f64> {
        let Self::Counters { zones } = self else { return None };
        let of_zone = |((zone, before), after): ((&(String, u64), &u64), &u64)| {
            let counted = match after.checked_sub(*before) {
                Some(counted) => counted,
                None => zone.1.checked_sub(*before)?.checked_add(*after)?,
            };
            Some(counted as f64 / 1e6)
        };
        zones.iter().zip(before).zip(after).map(of_zone).sum()
    }
}

/// Whether a machine that runs can take so much: nothing, or less, is what a sensor says that is not connected.
fn is_power(watts: &f64) -> bool {
    watts.is_finite() && *watts > 0.0 && *watts <= MOST_WATTS
}

/// Power of one rail. A rail without load may read a little below 0.
fn rail_watts(tree: &SystemTree, (volts, amperes): &(String, String)) -> Option<f64> {
    let millivolts = tree.read_number(volts).filter(|volts| (0.0..=MOST_MILLIVOLTS).contains(volts))?;
    let is_current = |amperes: &f64| amperes.abs() <= MOST_MILLIAMPERES;
    Some(millivolts * tree.read_number(amperes).filter(is_current)? / 1e6)
}

fn ina3221(tree: &SystemTree, named: Option<&str>) -> Option<Sensor> {
    let hwmon = tree
        .list("/sys/class/hwmon", "hwmon")
        .into_iter()
        .filter(|folder| tree.read(&format!("{folder}/name")).is_some_and(|name| name == "ina3221"));
    let mut rails = BTreeMap::new();
    for folder in hwmon {
        for number in 1..=3 {
            let label = tree.read_name(&format!("{folder}/in{number}_label"));
            let paths = (format!("{folder}/in{number}_input"), format!("{folder}/curr{number}_input"));
            rails.extend(label.map(|label| (label, paths)));
        }
    }
    for device in tree.list("/sys/bus/i2c/devices", "").iter().flat_map(|d| tree.list(d, "iio:device")) {
        for number in 0..3 {
            let label = tree.read_name(&format!("{device}/rail_name_{number}"));
            let paths =
                (format!("{device}/in_voltage{number}_input"), format!("{device}/in_current{number}_input"));
            rails.extend(label.map(|label| (label, paths)));
        }
    }
    // A channel that is not connected is labelled so.
    rails.retain(|label, _| label != "NC");
    if let Some((name, paths)) = named.iter().chain(&BOARD_RAILS).find_map(|name| rails.get_key_value(*name))
    {
        return Some(Sensor::Rails { source: format!("INA3221 {name}"), rails: vec![paths.clone()] });
    }
    let names: Vec<&str> = rails.keys().map(String::as_str).collect();
    let source = format!("INA3221, sum of {}", names.join(", "));
    (!rails.is_empty()).then(|| Sensor::Rails { source, rails: rails.into_values().collect() })
}

/// The sum over rails that have both lines, such as `3V3_SYS_A current(1)=0.06245373A` and
/// `3V3_SYS_V volt(9)=3.30989300V`.
fn power_chip_watts(tree: &SystemTree) -> Option<f64> {
    let text = tree.command("vcgencmd", &["pmic_read_adc"])?;
    let mut values = BTreeMap::new();
    let told = text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(' ')?;
        let value: f64 = value.split_once('=')?.1.trim_end_matches(['A', 'V']).parse().ok()?;
        Some((name.to_owned(), value))
    });
    values.extend(told);
    let rails = values.iter().filter_map(|(name, amperes)| {
        let volts = values.get(&format!("{}_V", name.strip_suffix("_A")?))?;
        Some(amperes * volts)
    });
    let watts: Vec<f64> = rails.collect();
    (!watts.is_empty()).then(|| watts.iter().sum())
}

/// The processor packages; their parts, which have a second colon, are counted in them.
fn powercap(tree: &SystemTree) -> Option<Sensor> {
    let zones = tree.list("/sys/class/powercap", "intel-rapl:").into_iter().filter(|folder| {
        tree.read(&format!("{folder}/name")).is_some_and(|name| name.starts_with("package"))
    });
    let readable = zones.filter_map(|folder| {
        let range = tree.read_number(&format!("{folder}/max_energy_range_uj"))?;
        tree.read_number::<u64>(&format!("{folder}/energy_uj"))?;
        Some((folder, range))
    });
    let zones: Vec<(String, u64)> = readable.collect();
    (!zones.is_empty()).then_some(Sensor::Counters { zones })
}

/// Mean power over a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    /// Watts.
    pub watts: f64,
    /// Standard error of that mean; `None` of too few readings to know it.
    pub standard_error: Option<f64>,
    /// Readings a second; `None` for counters.
    pub samples_per_second: Option<f64>,
}

/// Power over one piece of time; `None` where it was not told.
type Reading = Option<(f64, Duration)>;

/// Watches a sensor while something else goes on.
pub struct Meter {
    counts_energy: bool,
    start: Instant,
    stop: Arc<AtomicBool>,
    sampler: JoinHandle<Vec<Reading>>,
}

impl Meter {
    /// Begins. The sensor is read by a thread of its own, away from the measuring core.
    pub fn start(sensor: &Sensor, tree: &SystemTree, pinned: Option<&Pinned>) -> Self {
        let counts_energy = matches!(sensor, Sensor::Counters { .. });
        let stop = Arc::new(AtomicBool::new(false));
        let (sensor, tree, pinned, ended) =
            (sensor.clone(), tree.clone(), pinned.cloned(), Arc::clone(&stop));
        // Counters are read before anything begins.
        let counted = sensor.microjoules(&tree);
        let start = Instant::now();
        let sampler = std::thread::spawn(move || {
            if let Some(pinned) = pinned {
                pinned.leave();
            }
            match counts_energy {
                true => count(&sensor, &tree, (start, counted), &ended),
                false => sample(&sensor, &tree, &ended),
            }
        });
        Self { counts_energy, start, stop, sampler }
    }

    /// Ends; `None` if the sensor could not be read to the end.
    pub fn stop(self) -> Option<Power> {
        self.stop.store(true, Ordering::Relaxed);
        self.sampler.thread().unpark();
        let readings = self.sampler.join().ok()?;
        let told: Vec<(f64, Duration)> = readings.iter().copied().flatten().collect();
        let failures = (readings.len() - told.len()) as f64;
        if told.is_empty() || failures > MOST_FAILURES * readings.len() as f64 {
            return None;
        }
        let seconds: f64 = told.iter().map(|(_, time)| time.as_secs_f64()).sum();
        let joules: f64 = told.iter().map(|(watts, time)| watts * time.as_secs_f64()).sum();
        let readings: Vec<f64> = told.iter().map(|(watts, _)| *watts).collect();
        let rate = readings.len() as f64 / self.start.elapsed().as_secs_f64();
        let watts = Some(joules / seconds).filter(is_power)?;
        Some(Power {
            watts,
            standard_error: standard_error(&readings),
            samples_per_second: (!self.counts_energy).then_some(rate),
        })
    }
}

/// Standard error of the mean of readings. A sensor that is read faster than it measures repeats itself, which makes no
/// mean better: only changes count.
fn standard_error(readings: &[f64]) -> Option<f64> {
    let count = readings.len() as f64;
    let mean = readings.iter().sum::<f64>() / count;
    let squares: f64 = readings.iter().map(|reading| (reading - mean).powi(2)).sum();
    let changes = readings.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64;
    (readings.len() >= FEWEST_READINGS).then(|| (squares / (count - 1.0) / (1.0 + changes)).sqrt())
}

/// Reads power until it is to stop; each reading stands for the same time.
fn sample(sensor: &Sensor, tree: &SystemTree, stop: &AtomicBool) -> Vec<Reading> {
    let interval = if *sensor == Sensor::PowerChip { COMMAND_INTERVAL } else { INTERVAL };
    let mut readings = vec![];
    loop {
        readings.push(sensor.watts(tree).map(|watts| (watts, interval)));
        std::thread::park_timeout(interval);
        if stop.load(Ordering::Relaxed) {
            return readings;
        }
    }
}

/// Reads counters until it is to stop, and once more then.
fn count(
    sensor: &Sensor,
    tree: &SystemTree,
    mut before: (Instant, Option<Vec<u64>>),
    stop: &AtomicBool,
) -> Vec<Reading> {
    let mut readings = vec![];
    loop {
        std::thread::park_timeout(INTERVAL);
        let is_last = stop.load(Ordering::Relaxed);
        let now = (Instant::now(), sensor.microjoules(tree));
        let time = now.0.duration_since(before.0);
        // In a moment a counter that is renewed every millisecond counts nothing.
        if is_last && !readings.is_empty() && time < INTERVAL / 5 {
            return readings;
        }
        let joules = before.1.zip(now.1.as_ref()).and_then(|(one, other)| sensor.joules_between(&one, other));
        let watts = joules.map(|joules| joules / time.as_secs_f64());
        // A counter that jumped has counted something else; one that stands still for a while may be renewed seldom.
        let possible = watts.filter(|watts| (0.0..=MOST_WATTS).contains(watts));
        readings.push(possible.map(|watts| (watts, time)));
        before = now;
        if is_last {
            return readings;
        }
    }
}

/// The energy of `inferences` that took `seconds` at `power`, on a board that took `rest` before; `None` where the
/// difference of the two is within what the sensor's noise makes of nothing.
pub fn of_inferences(
    sensor: &Sensor,
    rest: Power,
    power: Power,
    seconds: f64,
    inferences: usize,
) -> Option<Energy> {
    let noise = STANDARD_ERRORS * rest.standard_error?.hypot(power.standard_error?);
    let millijoules = |watts: f64| watts * seconds / inferences as f64 * 1e3;
    let energy = Energy {
        source: sensor.source(),
        samples_per_second: power.samples_per_second,
        idle_watts: rest.watts,
        watts: power.watts,
        inference_mj: millijoules(power.watts - rest.watts),
        noise_mj: Some(millijoules(noise)),
    };
    // Not so for what is no number, either.
    (energy.inference_mj > 0.0 && power.watts - rest.watts > noise).then_some(energy)
}
