//! Ranges of a network's activations, from training images.

use std::collections::BTreeMap;

use engines::engine::{Engine, Observer};
use mfactor::dataset::{DataSet, Records};
use mfactor::onnx::Model;
use mfactor::{Error, Result};
use prost::Message;
use serde::Serialize;

use crate::graph_writer::add_outputs;
use crate::quantization::Range;

/// Training images that ranges are taken from.
pub const IMAGES: usize = 512;
/// Share of an activation's values that [`Method::Percentile`] leaves out at either end.
pub const LEFT_OUT: f64 = 1e-4;
const BINS: usize = 2048;

/// How a range is taken from values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// All values are covered.
    MinMax,
    /// All but the outermost [`LEFT_OUT`] at either end: steps are finer, and outliers are cut.
    Percentile,
}

impl Method {
    /// Both.
    pub const ALL: [Self; 2] = [Self::MinMax, Self::Percentile];

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinMax => "min-max",
            Self::Percentile => "percentile",
        }
    }
}

/// Values of one activation, counted between its smallest and largest one.
#[derive(Debug, Clone, PartialEq)]
struct Histogram {
    range: Range,
    counts: Vec<u64>,
}

impl Histogram {
    fn add(&mut self, values: &[f32]) {
        let width = self.range.high - self.range.low;
        let bins = BINS as f32 / if width > 0.0 { width } else { 1.0 };
        for value in values {
            let bin = ((value - self.range.low) * bins) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    /// The edge up to which at most `share` of the values lie.
    fn range(&self, left_out: f64) -> Range {
        let total: u64 = self.counts.iter().sum();
        let most = (left_out * total as f64) as u64;
        let edge = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut passed = 0;
            counts
                .take_while(|count| {
                    passed += *count;
                    passed <= most
                })
                .count()
        };
        let width = (self.range.high - self.range.low) / BINS as f32;
        let (low, high) = (edge(&mut self.counts.iter()), edge(&mut self.counts.iter().rev()));
        Range { low: self.range.low + low as f32 * width, high: self.range.high - high as f32 * width }
    }
}

/// What was seen of every activation, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Activations {
    histograms: BTreeMap<String, Histogram>,
}

impl Activations {
    /// Runs the f32 `model` over the first [`IMAGES`] images of the training split, twice: for the smallest and largest
    /// values, and for the counts between them. `names` are the values to observe.
    ///
    /// # Errors
    /// [`Error::Input`] if the engine refuses the model or a value is not a number, [`Error::Defect`] if it is one that shows
    /// none.
    pub fn observe(
        model: &Model,
        names: Vec<String>,
        data: &DataSet,
        train: &Records,
        engine: &dyn Engine,
        subject: &str,
    ) -> Result<Self> {
        let mut model = model.clone();
        add_outputs(&mut model, names.into_iter());
        let observer = engine.observe(&model.encode_to_vec(), train.image_shape(), subject)?;
        let hidden = || Error::Defect("an engine that shows no values was asked for them".to_owned());
        let mut observer = observer.ok_or_else(hidden)?;
        let mut order = data.split().train;
        order.truncate(IMAGES);
        let mut ranges: BTreeMap<String, Range> = BTreeMap::new();
        each(observer.as_mut(), train, &order, &mut |name, values| {
            let range = ranges
                .entry(name.to_owned())
                .or_insert(Range { low: f32::INFINITY, high: f32::NEG_INFINITY });
            for value in values {
                range.low = range.low.min(*value);
                range.high = range.high.max(*value);
            }
            let is_finite = values.iter().all(|value| value.is_finite());
            if is_finite {
                Ok(())
            } else {
                Err(Error::input(subject, format!("{name} is not a number on a training image")))
            }
        })?;
        let mut activations = Self::assumed(ranges);
        let histograms = &mut activations.histograms;
        each(observer.as_mut(), train, &order, &mut |name, values| {
            histograms.get_mut(name).into_iter().for_each(|histogram| histogram.add(values));
            Ok(())
        })?;
        Ok(activations)
    }

    /// Ranges that are not observed, where only the time counts that a network takes.
    pub fn assumed(ranges: impl IntoIterator<Item = (String, Range)>) -> Self {
        let histogram = |(name, range)| (name, Histogram { range, counts: vec![0; BINS] });
        Self { histograms: ranges.into_iter().map(histogram).collect() }
    }

    /// Range of one activation.
    ///
    /// # Errors
    /// [`Error::Defect`] for one that was not observed.
    pub fn range(&self, name: &str, method: Method) -> Result<Range> {
        let histogram = self.histograms.get(name);
        let histogram = histogram.ok_or_else(|| Error::Defect(format!("{name} was not observed")))?;
        Ok(match method {
            Method::MinMax => histogram.range,
            Method::Percentile => histogram.range(LEFT_OUT),
        })
    }
}

fn each(
    observer: &mut dyn Observer,
    records: &Records,
    order: &[usize],
    see: &mut dyn FnMut(&str, &[f32]) -> Result<()>,
) -> Result<()> {
    order.iter().try_for_each(|record| observer.run(records.image(*record), see))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_cuts_outliers_and_keeps_the_rest() {
        let mut histogram = Histogram { range: Range { low: 0.0, high: 2048.0 }, counts: vec![0; BINS] };
        let values: Vec<f32> = (0..100_000).map(|n| (n % 100) as f32).collect();
        histogram.add(&values);
        histogram.add(&[2048.0]);
        assert_eq!(histogram.range(LEFT_OUT), Range { low: 0.0, high: 100.0 });
        assert_eq!(histogram.range(0.0), Range { low: 0.0, high: 2048.0 });
    }

    #[test]
    fn a_value_that_never_changes_has_a_range() {
        let mut histogram = Histogram { range: Range { low: 3.0, high: 3.0 }, counts: vec![0; BINS] };
        histogram.add(&[3.0; 10]);
        assert_eq!(histogram.range(LEFT_OUT), Range { low: 3.0, high: 3.0 });
    }
}
