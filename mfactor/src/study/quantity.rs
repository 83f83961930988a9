//! Quantities: what can be known of a network as a number, with their units, and values of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cost::Count;
use crate::error::{Error, Result};
use crate::{numbers, text};

/// What can be known of a network as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Accuracy on the validation split, a fraction of 1. The one that is better when it is more.
    Accuracy,
    /// Trainable parameters. Exact.
    Parameters,
    /// Multiply-accumulates for one image. Exact.
    Macs,
    /// Bytes of the weights in an exported f32 model. Exact.
    ModelBytes,
    /// Most bytes of f32 activations that are alive at once. Exact.
    PeakActivations,
    /// Median latency, milliseconds. Measured on a board.
    LatencyP50,
    /// 90th percentile of latency, milliseconds. Measured on a board.
    LatencyP90,
    /// Peak resident memory of the process, bytes. Measured on a board.
    PeakMemory,
    /// Energy of one inference, millijoules. Measured on a board.
    Energy,
}

/// What a quantity is counted in. Values are kept in the first of each list of [`Unit::names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Fraction,
    Count,
    Bytes,
    Milliseconds,
    Millijoules,
}

impl Unit {
    /// How it may be written, and how much of the first one each is.
    fn names(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Fraction => &[("", 1.0)],
            Self::Count => &[("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9)],
            Self::Bytes => &[
                ("B", 1.0),
                ("kB", 1e3),
                ("MB", 1e6),
                ("GB", 1e9),
                ("KiB", 1024.0),
                ("MiB", 1_048_576.0),
                ("GiB", 1_073_741_824.0),
            ],
            Self::Milliseconds => &[("ms", 1.0), ("us", 1e-3), ("µs", 1e-3), ("s", 1e3)],
            Self::Millijoules => &[("mJ", 1.0), ("uJ", 1e-3), ("µJ", 1e-3), ("J", 1e3)],
        }
    }
}

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Accuracy,
        Self::Parameters,
        Self::Macs,
        Self::ModelBytes,
        Self::PeakActivations,
        Self::LatencyP50,
        Self::LatencyP90,
        Self::PeakMemory,
        Self::Energy,
    ];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Parameters => "parameters",
            Self::Macs => "macs",
            Self::ModelBytes => "model_bytes",
            Self::PeakActivations => "peak_activations",
            Self::LatencyP50 => "latency_p50",
            Self::LatencyP90 => "latency_p90",
            Self::PeakMemory => "peak_memory",
            Self::Energy => "energy",
        }
    }

    /// What it is called in a sentence.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Parameters => "parameters",
            Self::Macs => "MACs",
            Self::ModelBytes => "bytes of weights",
            Self::PeakActivations => "peak activations",
            Self::LatencyP50 => "latency p50",
            Self::LatencyP90 => "latency p90",
            Self::PeakMemory => "peak memory",
            Self::Energy => "energy",
        }
    }

    /// Whether a network takes the sum over its parts of it; else it takes the largest, as parts run one after the other.
    pub fn adds_up(self) -> bool {
        !matches!(self, Self::PeakMemory | Self::PeakActivations)
    }

    /// Whether it is known from the architecture alone, before any training or measuring.
    pub fn is_exact(self) -> bool {
        self.count().is_some()
    }

    /// What of a network's layers it counts, if it is exact.
    pub fn count(self) -> Option<Count> {
        match self {
            Self::Parameters => Some(Count::Parameters),
            Self::Macs => Some(Count::Macs),
            Self::ModelBytes => Some(Count::ModelBytes),
            Self::PeakActivations => Some(Count::PeakActivations),
            Self::Accuracy | Self::LatencyP50 | Self::LatencyP90 | Self::PeakMemory | Self::Energy => None,
        }
    }

    /// A quantity by its name.
    ///
    /// # Errors
    /// [`Error::Input`] naming those that there are.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|quantity| quantity.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Self::costs().map(Self::name).collect();
            let problem = format!("is not known; there are {}", known.join(", "));
            Error::input(format!("cost {}", text::name(name)), problem)
        })
    }

    /// Those that are better when they are less.
    pub fn costs() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|quantity| *quantity != Self::Accuracy)
    }

    fn unit(self) -> Unit {
        match self {
            Self::Accuracy => Unit::Fraction,
            Self::Parameters | Self::Macs => Unit::Count,
            Self::ModelBytes | Self::PeakActivations | Self::PeakMemory => Unit::Bytes,
            Self::LatencyP50 | Self::LatencyP90 => Unit::Milliseconds,
            Self::Energy => Unit::Millijoules,
        }
    }

    /// An amount of it: a number with a unit, as in `20M`, `300 kB`, `20 ms`. Where the quantity is not a count the unit has
    /// to be there.
    ///
    /// # Errors
    /// [`Error::Input`] if it is no number above 0 with a unit of this quantity.
    pub fn amount(self, text: &str) -> Result<f64> {
        let refuse = |problem: String| Err(Error::input(self.name(), problem));
        let text = text.trim();
        let end = text.find(|c: char| !(c.is_ascii_digit() || "+-._eE".contains(c))).unwrap_or(text.len());
        let (number, unit) = (text[..end].replace('_', ""), text[end..].trim());
        let units = self.unit().names();
        let listed: Vec<&str> = units.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
        let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
            let what = if unit.is_empty() { "has no unit" } else { "has a unit that it cannot have" };
            return refuse(format!("{} {what}; there are {}", text::name(text), listed.join(", ")));
        };
        match number.parse::<f64>() {
            Ok(value) if value.is_finite() && value > 0.0 => Ok(value * factor),
            _ => refuse(format!("{} is not a number above 0", text::name(text))),
        }
    }

    /// An amount for people: of times and energies no more than four digits that say something, of bytes whole ones.
    pub fn show(self, value: f64) -> String {
        let shown = match self.unit() {
            Unit::Milliseconds | Unit::Millijoules => numbers::significant(value, 4),
            Unit::Bytes => value.round(),
            Unit::Fraction | Unit::Count => value,
        };
        self.in_full(shown)
    }

    /// An amount as [`Quantity::amount`] reads it, every digit.
    pub fn in_full(self, value: f64) -> String {
        match self.unit() {
            Unit::Fraction => value.to_string(),
            Unit::Count if value.fract() == 0.0 => numbers::thousands(value as u64),
            Unit::Count => value.to_string(),
            unit => format!("{value} {}", unit.names()[0].0),
        }
    }
}

/// What is known of one network, quantity by quantity, in the units that [`Quantity`] names.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Values(BTreeMap<Quantity, f64>);

impl Values {
    /// The value of a quantity, if it is known.
    pub fn get(&self, quantity: Quantity) -> Option<f64> {
        self.0.get(&quantity).copied()
    }

    /// These values, and that of one more quantity.
    #[must_use]
    pub fn with(mut self, quantity: Quantity, value: f64) -> Self {
        self.0.insert(quantity, value);
        self
    }
}

impl FromIterator<(Quantity, f64)> for Values {
    fn from_iter<I: IntoIterator<Item = (Quantity, f64)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variants::variants;

    #[test]
    fn amounts_have_units() {
        for (quantity, text, value) in [
            (Quantity::Parameters, "272474", 272_474.0),
            (Quantity::Parameters, "100k", 100_000.0),
            (Quantity::Macs, "24M", 24e6),
            (Quantity::Macs, "1.5 G", 1.5e9),
            (Quantity::Macs, "2e7", 2e7),
            (Quantity::Parameters, "272_474", 272_474.0),
            (Quantity::ModelBytes, "300 kB", 300_000.0),
            (Quantity::PeakMemory, "1MiB", 1_048_576.0),
            (Quantity::LatencyP50, "20 ms", 20.0),
            (Quantity::LatencyP90, "500us", 0.5),
            (Quantity::Energy, "0.002 J", 2.0),
        ] {
            let read = quantity.amount(text).unwrap();
            assert!((read - value).abs() <= 1e-12 * value, "{text}: {read}");
            assert_eq!(quantity.amount(&quantity.in_full(read).replace(',', "")).unwrap(), read, "{text}");
        }
    }

    #[test]
    fn people_are_told_four_digits() {
        assert_eq!(Quantity::LatencyP50.show(0.149_068_556_9), "0.1491 ms");
        assert_eq!(Quantity::LatencyP50.show(1234.56), "1235 ms");
        assert_eq!(Quantity::LatencyP90.show(20.0), "20 ms");
        assert_eq!(Quantity::Energy.show(0.0), "0 mJ");
        assert_eq!(Quantity::PeakMemory.show(1_048_576.4), "1048576 B");
        assert_eq!(Quantity::Macs.show(124_699_264.0), "124,699,264");
    }

    #[test]
    fn what_is_no_amount_is_said() {
        for (quantity, text, words) in [
            (Quantity::ModelBytes, "300", "no unit"),
            (Quantity::LatencyP50, "20", "ms, us"),
            (Quantity::LatencyP50, "20 kB", "cannot have"),
            (Quantity::Macs, "20 Mb", "cannot have"),
            (Quantity::Macs, "M", "number above 0"),
            (Quantity::Macs, "-3", "number above 0"),
            (Quantity::Macs, "0", "number above 0"),
            (Quantity::Macs, "1e400", "number above 0"),
            (Quantity::Macs, "", "number above 0"),
            (Quantity::Macs, "nan", "cannot have"),
            (Quantity::Macs, "\u{1b}[31m7", "cannot have"),
        ] {
            let error = quantity.amount(text).unwrap_err().to_string();
            assert!(error.contains(quantity.name()) && error.contains(words), "{text}: {error}");
            assert!(!error.contains('\u{1b}'), "{error}");
        }
    }

    #[test]
    fn all_are_listed_by_the_names_of_json() {
        assert_eq!(variants::<Quantity>(), Quantity::ALL.map(Quantity::name));
        for quantity in Quantity::ALL {
            assert_eq!(Quantity::parse(quantity.name()).unwrap(), quantity);
        }
        assert!(Quantity::parse("weight").unwrap_err().to_string().contains("latency_p50"));
    }
}
