//! Which sensor tells the processor's temperature. A board has many: of the processor, of the power chip, of the
//! battery, of nothing at all (a Jetson Nano's `PMIC-Die` always says 100 °C), and each says what it is of.

use serde::{Deserialize, Serialize};

use crate::system::SystemTree;

const ZONES: &str = "/sys/class/thermal";
const HWMON: &str = "/sys/class/hwmon";
/// What a processor's sensor can measure, °C: the range of industrial parts.
const POSSIBLE: std::ops::RangeInclusive<f64> = -40.0..=125.0;
/// Readings below this are whole degrees (a few old kernels), above it thousandths: no board that runs is within a degree
/// of freezing by chance.
const LARGEST_DEGREES: f64 = 1000.0;

/// Parts of names of sensors in a processor.
const OF_PROCESSOR: [&str; 12] = [
    "cpu", "x86_pkg", "coretemp", "k10temp", "zenpower", "core", "cluster", "big", "little", "tdie", "tctl",
    "bcm2835",
];
/// Parts of names of sensors beside one, on the same chip.
const OF_CHIP: [&str; 5] = ["soc", "tj", "package", "die_temp", "gpu"];
/// Parts of names of sensors that tell of something else, or nothing.
const OF_OTHERS: [&str; 26] = [
    "pmic", "pmu", "batt", "charg", "wifi", "wlan", "iwl", "ath1", "fan", "pch", "nvme", "drive", "disk",
    "modem", "usb", "skin", "ambient", "case", "board", "int3400", "xo-", "camera", "lcd", "phy", "eth",
    "pa_",
];

/// What a sensor is of, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Processor,
    Chip,
    Unknown,
    Others,
}

impl Of {
    fn named(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        // A battery or a power chip may name the processor it feeds, and not the other way round.
        if has(&OF_OTHERS) && !name.starts_with("cpu") && !name.starts_with("soc") {
            Self::Others
        } else if has(&OF_PROCESSOR) {
            Self::Processor
        } else if has(&OF_CHIP) {
            Self::Chip
        } else {
            Self::Unknown
        }
    }
}

/// The sensors of the processor's temperature: one, or one a core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thermometer {
    /// What they call themselves, for people.
    pub name: String,
    /// Files that tell it.
    pub paths: Vec<String>,
}

impl Thermometer {
    /// The sensors of the best kind that a machine has, which tell something possible now: those of the processor, else
    /// of its chip, else of which nothing is known. Those of other things never count.
    pub fn find(tree: &SystemTree) -> Option<Self> {
        let zones = zones(tree);
        if let Some((of, found)) = Self::best(tree, &zones)
            && of <= Of::Chip
        {
            return Some(found);
        }
        let all: Vec<(String, String)> = zones.into_iter().chain(monitors(tree)).collect();
        Self::best(tree, &all).map(|(_, found)| found)
    }

    /// The sensors that a board's description names: a file, or a pattern with `*` of which the best kind is taken. `None`
    /// where that is nothing better than what is found without.
    pub fn named(tree: &SystemTree, pattern: &str) -> Option<Self> {
        let paths = tree.matching(pattern);
        let name_of = |path: &String| {
            let zone = path.trim_end_matches("/temp");
            tree.read_name(&format!("{zone}/type")).unwrap_or_else(|| path.clone())
        };
        if !pattern.contains('*') {
            let named = Self { name: paths.iter().map(name_of).collect(), paths };
            return Some(named).filter(|named| named.celsius(tree).is_some());
        }
        let candidates: Vec<_> = paths.iter().map(|path| (name_of(path), path.clone())).collect();
        Self::best(tree, &candidates).filter(|(of, _)| *of <= Of::Chip).map(|(_, found)| found)
    }

    /// °C now; `None` if none of them tells anything possible.
    pub fn celsius(&self, tree: &SystemTree) -> Option<f64> {
        self.paths.iter().filter_map(|path| celsius(tree, path)).max_by(f64::total_cmp)
    }

    fn best(tree: &SystemTree, candidates: &[(String, String)]) -> Option<(Of, Self)> {
        let is_telling =
            |(name, path): &&(String, String)| Of::named(name) != Of::Others && celsius(tree, path).is_some();
        let telling: Vec<&(String, String)> = candidates.iter().filter(is_telling).collect();
        let best = telling.iter().map(|(name, _)| Of::named(name)).min()?;
        let of_best = telling.iter().filter(|(name, _)| Of::named(name) == best);
        let (mut names, paths): (Vec<&str>, Vec<String>) =
            of_best.map(|(name, path)| (name.as_str(), path.clone())).unzip();
        names.dedup();
        Some((best, Self { name: names.join(", "), paths }))
    }
}

/// Names and files of the kernel's thermal zones.
fn zones(tree: &SystemTree) -> Vec<(String, String)> {
    let zones = tree.list(ZONES, "thermal_zone").into_iter();
    zones
        .map(|zone| {
            let name = tree.read_name(&format!("{zone}/type")).unwrap_or_default();
            (name, format!("{zone}/temp"))
        })
        .collect()
}

/// Names and files of the processor's own monitors: PCs have no zone for some of them.
fn monitors(tree: &SystemTree) -> Vec<(String, String)> {
    let mut found = vec![];
    for monitor in tree.list(HWMON, "hwmon") {
        let name = tree.read_name(&format!("{monitor}/name")).unwrap_or_default();
        if Of::named(&name) != Of::Processor {
            continue;
        }
        let inputs = tree.list(&monitor, "temp").into_iter().filter(|path| path.ends_with("_input"));
        found.extend(inputs.map(|path| (name.clone(), path)));
    }
    found
}

/// A reading, if it is possible and tells something: 0 is what a sensor says that is switched off.
fn celsius(tree: &SystemTree, path: &str) -> Option<f64> {
    let value: f64 = tree.read_number(path)?;
    let celsius = if value.abs() < LARGEST_DEGREES { value } else { value / 1000.0 };
    (value != 0.0 && POSSIBLE.contains(&celsius)).then_some(celsius)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensors_are_known_by_their_names() {
        for name in
            ["CPU-therm", "cpu-thermal", "cpu0-thermal", "x86_pkg_temp", "bigcore0-thermal", "cluster1"]
        {
            assert_eq!(Of::named(name), Of::Processor, "{name}");
        }
        for name in ["soc-thermal", "tj-thermal", "SOC0-therm", "GPU-therm"] {
            assert_eq!(Of::named(name), Of::Chip, "{name}");
        }
        for name in
            ["PMIC-Die", "battery", "iwlwifi_1", "thermal-fan-est", "pch_cannonlake", "INT3400 Thermal"]
        {
            assert_eq!(Of::named(name), Of::Others, "{name}");
        }
        assert_eq!(Of::named("AO-therm"), Of::Unknown);
        assert_eq!(Of::named(""), Of::Unknown);
    }
}
