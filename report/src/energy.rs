//! Whether a measured energy may be told: it is a difference of two noisy readings, at work and at rest.

use mfactor::Measurement;

/// What is told of an energy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Told {
    /// Energy of one inference, millijoules; `None` where nothing was measured, or nothing that is above its noise.
    pub(crate) mj: Option<f64>,
    /// The larger of what the sensor's own noise makes likely and half of the range of the rounds, millijoules; `None` where
    /// neither is known.
    pub(crate) noise_mj: Option<f64>,
    /// Why a measured energy is not told.
    pub(crate) untold: Option<&'static str>,
}

/// What may be told of a measurement's energy.
pub(crate) fn told(measurement: &Measurement) -> Told {
    let Some(energy) = &measurement.energy else { return Told::default() };
    if let Some(reason) = energy.impossible() {
        return Told { untold: Some(reason), ..Told::default() };
    }
    let noise_mj = energy.noise_mj.into_iter().chain(spread(measurement)).reduce(f64::max);
    if noise_mj.is_some_and(|noise| energy.inference_mj <= noise) {
        return Told { untold: Some("it is no larger than its noise"), noise_mj, mj: None };
    }
    Told { mj: Some(energy.inference_mj), noise_mj, untold: None }
}

/// Half of the range that the rounds that count span.
fn spread(measurement: &Measurement) -> Option<f64> {
    let counting = measurement.rounds.iter().filter(|round| round.set_aside_ns.is_empty());
    let told: Vec<f64> = counting.filter_map(|round| Some(round.energy.as_ref()?.inference_mj)).collect();
    let (low, high) =
        told.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    (told.len() > 1).then_some((high - low) / 2.0).filter(|noise| noise.is_finite())
}
