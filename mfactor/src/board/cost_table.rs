//! A table of what the parts of a space's networks cost on one board with one engine, and how well whole networks are told
//! from them. `mfactor table build` writes it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::cost_model::CostModel;
use crate::error::{Error, Result};
use crate::files;
use crate::measurement::{Board, EngineFacts, Measurement};
use crate::quantity::{Quantity, Values};
use crate::space::SearchSpace;
use crate::statistics::quantile;
use crate::text;

/// Version of the file's form.
pub const SCHEMA: u32 = 1;
/// Networks that were measured and took no part in the line: fewer prove nothing.
pub const FEWEST_HELD_OUT: usize = 30;
/// Largest median of the relative errors of these of a table that can be relied on.
pub const MEDIAN_ERROR: f64 = 0.05;
/// Largest 90th percentile of them.
pub const P90_ERROR: f64 = 0.10;
/// Least Kendall's tau-b between what was predicted and what was measured of them.
pub const TAU: f64 = 0.93;

/// The table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostTable {
    /// Version of this form.
    pub schema: u32,
    /// Version of the tool that wrote it.
    pub tool_version: String,
    /// When the last part was measured: seconds since 1970-01-01 UTC.
    pub unix_seconds: u64,
    /// The kind of board: the name of its file, or `host`.
    pub target: String,
    /// Name of the space whose parts these are.
    pub space: String,
    /// Type of the weights: `f32` or `int8`.
    pub precision: String,
    /// What ran them.
    pub engine: EngineFacts,
    /// Where.
    pub board: Board,
    /// Quantity by quantity, how whole networks are told from their parts, and how well.
    pub lines: BTreeMap<Quantity, Line>,
    /// Each part by its name: what a network took that has it and little beside it.
    pub parts: BTreeMap<String, Entry>,
    /// Whole networks.
    #[serde(rename = "network")]
    pub networks: Vec<WholeNetwork>,
}

/// What one model took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Multiply-accumulates of the model for one image.
    pub macs: u64,
    /// Median latency, milliseconds; the median over the windows.
    pub latency_p50: f64,
    /// 95 % interval of the median, milliseconds.
    pub interval: [f64; 2],
    /// 90th percentile of latency, milliseconds.
    pub latency_p90: f64,
    /// Peak resident memory, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Energy of one inference, millijoules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<f64>,
}

impl Entry {
    /// What a record says.
    pub fn of(measurement: &Measurement) -> Self {
        let latency = &measurement.latency;
        Self {
            macs: measurement.model.metadata.macs,
            latency_p50: latency.window_p50_ms,
            interval: latency.p50_interval_ms,
            latency_p90: latency.p90_ms,
            peak_memory: measurement.memory.peak_rss_bytes,
            energy: measurement.inference_mj(),
        }
    }

    /// A quantity, in its unit; `None` where it was not measured.
    pub fn get(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::LatencyP50 => Some(self.latency_p50),
            Quantity::LatencyP90 => Some(self.latency_p90),
            Quantity::PeakMemory => self.peak_memory.map(|bytes| bytes as f64),
            Quantity::Energy => self.energy,
            _ => None,
        }
    }

    /// All of them.
    pub fn values(&self) -> Values {
        Quantity::costs().filter_map(|quantity| Some((quantity, self.get(quantity)?))).collect()
    }
}

/// A network that was measured whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WholeNetwork {
    /// Which.
    pub architecture: Architecture,
    /// Whether the lines were fitted without it.
    pub held_out: bool,
    /// What it took.
    #[serde(flatten)]
    pub took: Entry,
}

/// How whole networks are told from the sum over their parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Where it begins, in the quantity's unit.
    pub intercept: f64,
    /// How steep it is.
    pub slope: f64,
    /// What each parameter adds, in the quantity's unit: the weights of a whole network are read from further away than those of a
    /// part alone. 0 in tables of earlier versions.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub per_parameter: f64,
    /// How well networks are told that took no part in it.
    pub test: Agreement,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_nothing(number: &f64) -> bool {
    *number == 0.0
}

/// What was predicted of networks against what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Number of networks.
    pub networks: usize,
    /// Median of |predicted − measured| / measured.
    pub median_error: f64,
    /// Its 90th percentile.
    pub p90_error: f64,
    /// Kendall's tau-b; absent where all cost the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau: Option<f64>,
    /// Its 95 % bootstrap interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau_interval: Option<[f64; 2]>,
}

impl Agreement {
    /// What it falls short of, as phrases; none if it can be relied on.
    pub fn shortcomings(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let mut problems = vec![];
        if self.networks < FEWEST_HELD_OUT {
            problems.push(format!("only {} networks were held out, of {FEWEST_HELD_OUT}", self.networks));
        }
        for (what, error, most) in
            [("median", self.median_error, MEDIAN_ERROR), ("90th percentile", self.p90_error, P90_ERROR)]
        {
            if error.is_nan() || error > most {
                problems.push(format!(
                    "the {what} of its errors is {}, more than {}",
                    percent(error),
                    percent(most)
                ));
            }
        }
        match self.tau {
            Some(tau) if tau >= TAU => {}
            Some(tau) => problems.push(format!("its tau is {tau:.3}, less than {TAU}")),
            None => problems.push("it has no tau".to_owned()),
        }
        problems
    }
}

impl CostTable {
    /// Reads a table.
    ///
    /// # Errors
    /// [`Error::Input`] for what is no table, or one of another version; [`Error::Io`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let text = files::read_text(path)?;
        let refuse = |error: toml::de::Error| Error::toml(path.display(), &text, &error);
        let Version { schema } = toml::from_str(&text).map_err(refuse)?;
        if schema != SCHEMA {
            return Err(Error::file(path, format!("schema is {schema}; this version reads {SCHEMA}")));
        }
        toml::from_str(&text).map_err(refuse)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self)
            .map_err(|error| Error::Defect(format!("a table cannot be written as TOML: {error}")))?;
        files::write(path, text.as_bytes())
    }

    /// The name of its file: `rpi4.edge32.tract.f32.toml`.
    pub fn file_name(&self) -> String {
        let Self { target, space, engine, precision, .. } = self;
        format!("{target}.{space}.{}.{precision}.toml", engine.name)
    }

    /// A quantity of every part that has it.
    pub fn costs(&self, quantity: Quantity) -> BTreeMap<String, f64> {
        let parts = self.parts.iter();
        parts.filter_map(|(name, entry)| Some((name.clone(), entry.get(quantity)?))).collect()
    }

    /// How fast each kind of block runs here: its word, the median over its places of the millions of multiply-accumulates that it
    /// does in a millisecond, and how many places there are; the fastest first. Seams are taken off.
    pub fn speeds(&self) -> Vec<(String, f64, usize)> {
        let mut speeds: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (name, entry) in &self.parts {
            let mut words = name.split(' ');
            let (Some(shape), Some(_), Some(block)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let Some(seam) = self.parts.get(&format!("seam {shape}")) else { continue };
            let macs = entry.macs.saturating_sub(seam.macs) as f64;
            let ms = entry.latency_p50 - seam.latency_p50;
            if ms > 0.0 && macs > 0.0 {
                speeds.entry(block).or_default().push(macs / 1e6 / ms);
            }
        }
        let median = |(block, mut speeds): (&str, Vec<f64>)| {
            speeds.sort_unstable_by(f64::total_cmp);
            Some((block.to_owned(), quantile(&speeds, 0.5)?, speeds.len()))
        };
        let mut medians: Vec<(String, f64, usize)> = speeds.into_iter().filter_map(median).collect();
        medians.sort_by(|one, other| other.1.total_cmp(&one.1));
        medians
    }

    /// Why a line of this table is not to be relied on, as phrases; none if it is.
    pub fn shortcomings(&self, line: &Line) -> Vec<String> {
        let emulated = "its processor is emulated, so that times mean nothing";
        let of_board = self.board.emulated.then(|| emulated.to_owned());
        line.test.shortcomings().into_iter().chain(of_board).collect()
    }

    /// What a study needs to tell a quantity of the networks of its space. A table that cannot be relied on, or is of an
    /// emulated processor, is refused unless `is_forced`.
    ///
    /// # Errors
    /// [`Error::Input`] where the quantity was not measured, the table is of another space, or cannot be relied on.
    pub fn model(&self, quantity: Quantity, space: &SearchSpace, is_forced: bool) -> Result<CostModel> {
        let subject =
            || format!("table of {} with {}", text::name(&self.target), text::name(&self.engine.name));
        let Some(line) = self.lines.get(&quantity) else {
            let known: Vec<&str> = self.lines.keys().map(|quantity| quantity.name()).collect();
            let problem = format!("does not tell {}; it tells {}", quantity.name(), known.join(", "));
            return Err(Error::input(subject(), problem));
        };
        let shortcomings = self.shortcomings(line);
        if !shortcomings.is_empty() && !is_forced {
            let problem = format!(
                "cannot be relied on for {}: {}; build it again on a machine that does nothing else, or take it all the \
                 same with --force-cost-table",
                quantity.label(),
                shortcomings.join("; ")
            );
            return Err(Error::input(subject(), problem));
        }
        let model = CostModel {
            target: self.target.clone(),
            engine: self.engine.name.clone(),
            precision: self.precision.clone(),
            intercept: line.intercept,
            slope: line.slope,
            p90_error: line.test.p90_error,
            emulated: self.board.emulated,
            parts: self.weighted(quantity, line, space)?,
        };
        model.check(space)?;
        Ok(model)
    }

    /// A quantity of every part that has it, with what the line adds for its parameters: those of a network are the sum over
    /// its parts, less their seams, as what it takes is.
    fn weighted(
        &self,
        quantity: Quantity,
        line: &Line,
        space: &SearchSpace,
    ) -> Result<BTreeMap<String, f64>> {
        let mut costs = self.costs(quantity);
        if line.per_parameter == 0.0 {
            return Ok(costs);
        }
        for part in space.parts() {
            if let Some(cost) = costs.get_mut(&part.to_string()) {
                let (alone, network) = space.network_of(&part)?;
                *cost += line.per_parameter / line.slope * alone.cost(&network).parameters as f64;
            }
        }
        Ok(costs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement() -> Agreement {
        Agreement {
            networks: 30,
            median_error: 0.02,
            p90_error: 0.06,
            tau: Some(0.96),
            tau_interval: Some([0.9, 0.99]),
        }
    }

    #[test]
    fn a_table_that_misses_a_floor_says_which() {
        assert_eq!(agreement().shortcomings(), [""; 0]);
        for (wrong, words) in [
            (Agreement { networks: 29, ..agreement() }, "29 networks"),
            (Agreement { median_error: 0.051, ..agreement() }, "median of its errors is 5.1 %"),
            (Agreement { p90_error: 0.2, ..agreement() }, "90th percentile"),
            (Agreement { p90_error: f64::NAN, ..agreement() }, "90th percentile"),
            (Agreement { tau: Some(0.9), ..agreement() }, "tau is 0.900"),
            (Agreement { tau: None, ..agreement() }, "no tau"),
        ] {
            let problems = wrong.shortcomings();
            assert!(problems.len() == 1 && problems[0].contains(words), "{problems:?}");
        }
    }
}
