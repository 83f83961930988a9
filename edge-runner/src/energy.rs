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

use crate::affinity::Pinned;
use crate::system::SystemTree;

/// Time between two readings of a sensor that tells power.
const INTERVAL: Duration = Duration::from_millis(100);
/// Rails of an INA3221 that carry the whole board's current, as NVIDIA names them.
const BOARD_RAILS: [&str; 2] = ["VDD_IN", "POM_5V_IN"];

/// Where power or energy is read.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The sensor of a machine, if it has one that can be read.
    pub fn find(tree: &SystemTree) -> Option<Self> {
        let power_chip = || power_chip_watts(tree).map(|_| Self::PowerChip);
        ina3221(tree).or_else(power_chip).or_else(|| powercap(tree))
    }

    /// The sensor and what it measures, for records.
    pub fn source(&self) -> String {
        match self {
            Self::Rails { source, .. } => source.clone(),
            Self::PowerChip => "PMIC, sum of its rails".to_owned(),
            Self::Counters { zones } => format!("RAPL, {} processor package(s)", zones.len()),
        }
    }

    /// Power now; `None` for a sensor that counts energy.
    pub fn watts(&self, tree: &SystemTree) -> Option<f64> {
        match self {
            Self::Rails { rails, .. } => {
                let watts = |(volts, amperes): &(String, String)| {
                    let millivolts: f64 = tree.read_number(volts)?;
                    Some(millivolts * tree.read_number::<f64>(amperes)? / 1e6)
                };
                rails.iter().map(watts).sum()
            }
            Self::PowerChip => power_chip_watts(tree),
            Self::Counters { .. } => None,
        }
    }

    /// Microjoules counted so far in each zone; `None` for a sensor that tells power.
    fn microjoules(&self, tree: &SystemTree) -> Option<Vec<u64>> {
        let Self::Counters { zones } = self else { return None };
        zones.iter().map(|(folder, _)| tree.read_number(&format!("{folder}/energy_uj"))).collect()
    }

    /// Joules between two readings of counters, each of which may have begun again once.
    fn joules_between(&self, before: &[u64], after: &[u64]) -> f64 {
        let Self::Counters { zones } = self else { return f64::NAN };
        let of_zone = |(((_, range), before), after): (((&String, &u64), &u64), &u64)| {
            let counted = if after >= before { after - before } else { range - before + after };
            counted as f64 / 1e6
        };
        zones.iter().map(|(folder, range)| (folder, range)).zip(before).zip(after).map(of_zone).sum()
    }
}

fn ina3221(tree: &SystemTree) -> Option<Sensor> {
    let hwmon = tree
        .list("/sys/class/hwmon", "hwmon")
        .into_iter()
        .filter(|folder| tree.read(&format!("{folder}/name")).is_some_and(|name| name == "ina3221"));
    let mut rails = BTreeMap::new();
    for folder in hwmon {
        for number in 1..=3 {
            let label = tree.read(&format!("{folder}/in{number}_label"));
            let paths = (format!("{folder}/in{number}_input"), format!("{folder}/curr{number}_input"));
            rails.extend(label.map(|label| (label, paths)));
        }
    }
    for device in tree.list("/sys/bus/i2c/devices", "").iter().flat_map(|d| tree.list(d, "iio:device")) {
        for number in 0..3 {
            let label = tree.read(&format!("{device}/rail_name_{number}"));
            let paths =
                (format!("{device}/in_voltage{number}_input"), format!("{device}/in_current{number}_input"));
            rails.extend(label.map(|label| (label, paths)));
        }
    }
    // A channel that is not connected is labelled so.
    rails.retain(|label, _| label != "NC");
    if let Some((name, paths)) = BOARD_RAILS.iter().find_map(|name| rails.get_key_value(*name)) {
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
    for line in text.lines() {
        let (name, value) = line.trim().split_once(' ')?;
        let (_, value) = value.split_once('=')?;
        let value: f64 = value.trim_end_matches(['A', 'V']).parse().ok()?;
        values.insert(name.to_owned(), value);
    }
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
    /// Readings a second; `None` for counters.
    pub samples_per_second: Option<f64>,
}

/// Watches a sensor while something else goes on.
pub struct Meter {
    sensor: Sensor,
    tree: SystemTree,
    start: Instant,
    counted: Option<Vec<u64>>,
    sampler: Option<(Arc<AtomicBool>, JoinHandle<Vec<f64>>)>,
}

impl Meter {
    /// Begins. A sensor that tells power is read by a thread of its own, away from the measuring core.
    pub fn start(sensor: &Sensor, tree: &SystemTree, pinned: Option<&Pinned>) -> Self {
        let counted = sensor.microjoules(tree);
        let sampler = counted.is_none().then(|| {
            let stop = Arc::new(AtomicBool::new(false));
            let (sensor, tree, pinned, ended) =
                (sensor.clone(), tree.clone(), pinned.cloned(), Arc::clone(&stop));
            (stop, std::thread::spawn(move || sample(&sensor, &tree, pinned, &ended)))
        });
        Self { sensor: sensor.clone(), tree: tree.clone(), start: Instant::now(), counted, sampler }
    }

    /// Ends; `None` if the sensor could not be read to the end.
    pub fn stop(self) -> Option<Power> {
        if let Some((stop, sampler)) = self.sampler {
            stop.store(true, Ordering::Relaxed);
            let samples = sampler.join().ok()?;
            let seconds = self.start.elapsed().as_secs_f64();
            let count = samples.len() as f64;
            let watts = samples.iter().sum::<f64>() / count;
            return (count > 0.0).then_some(Power { watts, samples_per_second: Some(count / seconds) });
        }
        let (before, after) = (self.counted?, self.sensor.microjoules(&self.tree)?);
        let joules = self.sensor.joules_between(&before, &after);
        Some(Power { watts: joules / self.start.elapsed().as_secs_f64(), samples_per_second: None })
    }
}

fn sample(sensor: &Sensor, tree: &SystemTree, pinned: Option<Pinned>, stop: &AtomicBool) -> Vec<f64> {
    if let Some(pinned) = pinned {
        pinned.leave();
    }
    let mut samples = vec![];
    while !stop.load(Ordering::Relaxed) {
        samples.extend(sensor.watts(tree));
        std::thread::sleep(INTERVAL);
    }
    samples
}

/// The energy of `inferences` that took `seconds` at `power`, on a board that took `rest` before.
pub fn of_inferences(sensor: &Sensor, rest: Power, power: Power, seconds: f64, inferences: usize) -> Energy {
    Energy {
        source: sensor.source(),
        samples_per_second: power.samples_per_second,
        idle_watts: rest.watts,
        watts: power.watts,
        inference_mj: (power.watts - rest.watts) * seconds / inferences as f64 * 1e3,
    }
}
