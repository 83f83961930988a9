//! The sensors of a machine, found once for a whole measurement: each reading is then of the same ones, and a sensor
//! that hangs is waited for once.

use serde::{Deserialize, Serialize};

use release::SensorChoice;

use crate::energy;
use crate::system::SystemTree;
use crate::thermal::Thermometer;

/// Where a Raspberry Pi's kernel tells its throttle bits.
const THROTTLE_FILE: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";
const THROTTLE_COMMAND: [&str; 2] = ["vcgencmd", "get_throttled"];
/// The bits that mean something, now and since the start; a firmware that sets others says something else.
const THROTTLE_BITS: u32 = 0xf_000f;

/// What is read while a measurement goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sensors {
    /// The processor's temperature.
    pub thermometer: Option<Thermometer>,
    /// Throttle bits.
    pub throttle: Option<Throttle>,
    /// Power or energy.
    pub energy: Option<energy::Sensor>,
}

/// Where throttle bits are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Throttle {
    /// In a file.
    File(String),
    /// By `vcgencmd`.
    Command,
}

impl Sensors {
    /// The sensors of a machine: those that a board's description names, else those that are found.
    pub fn find(tree: &SystemTree, choice: &SensorChoice) -> Self {
        let thermometer = match &choice.temperature {
            Some(pattern) => Thermometer::named(tree, pattern),
            None => None,
        };
        Self {
            // A pattern that matches nothing here is that of another kernel.
            thermometer: thermometer.or_else(|| Thermometer::find(tree)),
            throttle: Throttle::find(tree, choice.throttle.as_deref()),
            energy: energy::Sensor::find(tree, choice.power.as_deref()),
        }
    }

    /// Throttle bits now.
    pub fn throttle_bits(&self, tree: &SystemTree) -> Option<u32> {
        self.throttle.as_ref()?.bits(tree)
    }
}

impl Throttle {
    fn find(tree: &SystemTree, named: Option<&str>) -> Option<Self> {
        let named = named.filter(|path| path.starts_with('/')).map(|path| Self::File(path.to_owned()));
        let places = named.into_iter().chain([Self::File(THROTTLE_FILE.to_owned()), Self::Command]);
        places.into_iter().find(|place| place.bits(tree).is_some())
    }

    /// Raspberry Pi's bits: `throttled=0x50000`, or `50000` in the kernel's file.
    fn bits(&self, tree: &SystemTree) -> Option<u32> {
        let text = match self {
            Self::File(path) => tree.read(path)?,
            Self::Command => tree.command(THROTTLE_COMMAND[0], &THROTTLE_COMMAND[1..])?,
        };
        let digits = text.trim_start_matches("throttled=").trim_start_matches("0x");
        u32::from_str_radix(digits, 16).ok().filter(|bits| bits & !THROTTLE_BITS == 0)
    }
}
