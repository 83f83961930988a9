//! What no measurement can say: a record that says it was damaged, invented, or written by another program.

use crate::measurement::{Energy, Latency, MeasuredAccuracy, Measurement};

/// How far figures may be apart that say the same twice, as a share.
const SAME: f64 = 1e-6;
/// More watts than any board takes that this runs on.
const MOST_WATTS: f64 = 10_000.0;

/// What is impossible in a record, as a phrase; `None` if nothing is.
pub(crate) fn impossible(measurement: &Measurement) -> Option<String> {
    let Measurement { model, engine, .. } = measurement;
    let counts = [
        ("parameters", model.parameters),
        ("bytes of the model", model.model_bytes),
        ("threads", engine.threads as u64),
    ];
    if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
        return Some(format!("says 0 {name}"));
    }
    let plain = [
        ("load_ms", measurement.load_ms),
        ("first_inference_ms", measurement.first_inference_ms),
        ("processor_share", measurement.processor_share),
        ("golden_difference", measurement.golden_difference.unwrap_or(0.0)),
    ];
    if let Some((name, value)) = plain.into_iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
        return Some(format!("says that {name} is {value}"));
    }
    of_latency(&measurement.latency).or_else(|| measurement.accuracy.as_ref().and_then(of_accuracy))
}

fn of_latency(latency: &Latency) -> Option<String> {
    let rising = [
        ("min_ms", latency.min_ms),
        ("p50_ms", latency.p50_ms),
        ("p90_ms", latency.p90_ms),
        ("p99_ms", latency.p99_ms),
    ];
    let others = [("mean_ms", latency.mean_ms), ("window_p50_ms", latency.window_p50_ms)];
    let is_time = |time: f64| time.is_finite() && time > 0.0;
    if let Some((name, value)) = rising.into_iter().chain(others).find(|(_, value)| !is_time(*value)) {
        return Some(format!("says that latency.{name} is {value}"));
    }
    if let Some([(low, _), (high, _)]) =
        rising.array_windows().find(|[(_, a), (_, b)]| *a > *b * (1.0 + SAME))
    {
        return Some(format!("says that latency.{low} is above latency.{high}"));
    }
    let [low, high] = latency.p50_interval_ms;
    let spreads = [latency.mad_ms, latency.window_spread];
    if !is_time(low) || !is_time(high) || low > high || !spreads.iter().all(|s| s.is_finite() && *s >= 0.0) {
        return Some("says an interval or a spread of the latency that is none".to_owned());
    }
    let counted = latency.windows.iter().try_fold(0usize, |sum, window| sum.checked_add(*window));
    if counted != Some(latency.samples_ns.len()) || latency.samples_ns.is_empty() {
        return Some("has not the latency samples that its windows count".to_owned());
    }
    let (least, most) = latency.samples_ns.iter().fold((u64::MAX, 0), |(l, m), s| (l.min(*s), m.max(*s)));
    let is_far = |one: f64, other: f64| (one - other).abs() > SAME * one.abs().max(other.abs());
    if least == 0
        || is_far(latency.min_ms * 1e6, least as f64)
        || latency.p99_ms * 1e6 > most as f64 * (1.0 + SAME)
    {
        return Some("summarises other latency samples than it has".to_owned());
    }
    None
}

fn of_accuracy(measured: &MeasuredAccuracy) -> Option<String> {
    let MeasuredAccuracy { images, correct, accuracy } = *measured;
    let is_right =
        images > 0 && correct <= images && (accuracy - correct as f64 / images as f64).abs() <= SAME;
    (!is_right).then(|| format!("says an accuracy of {accuracy} with {correct} of {images} images"))
}

/// Why an energy is none, as a phrase; `None` if it may be one.
pub(crate) fn of_energy(energy: &Energy) -> Option<&'static str> {
    let watts = [energy.idle_watts, energy.watts];
    if !watts.iter().all(|watts| (0.0..=MOST_WATTS).contains(watts)) || !energy.inference_mj.is_finite() {
        return Some("its sensor told a power that cannot be");
    }
    if energy.inference_mj <= 0.0 || energy.watts <= energy.idle_watts {
        return Some("the board took no more power at work than at rest");
    }
    None
}
