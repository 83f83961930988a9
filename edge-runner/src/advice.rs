//! Which of several measured models and engines to ship, from what was measured and nothing else.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use mfactor::Measurement;
use mfactor::text::visible;
use serde::Serialize;

/// A latency that is not lower than another by this share is no reason to choose it.
const CLEARLY: f64 = 0.05;

/// Advice on one architecture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// The architecture.
    pub architecture: String,
    /// File of the model to ship.
    pub ship: String,
    /// Engine to run it with.
    pub engine: String,
    /// Why, and what each other choice would give, a sentence each.
    pub sentences: Vec<String>,
}

/// Advice on every architecture that was measured in more than one way. Emulated and invalid measurements are left out.
///
/// What answers clearly faster is shipped; among equals tract, which needs no library beside the runner, and then the
/// smaller file.
pub fn advise(measurements: &[Measurement]) -> Vec<Advice> {
    let mut ways: BTreeMap<String, Vec<&Measurement>> = BTreeMap::new();
    for measured in measurements.iter().filter(|measured| measured.counts()) {
        ways.entry(measured.model.metadata.architecture.to_string()).or_default().push(measured);
    }
    ways.retain(|_, ways| ways.len() > 1);
    ways.into_iter().map(|(architecture, ways)| on_one(architecture, &ways)).collect()
}

fn on_one(architecture: String, ways: &[&Measurement]) -> Advice {
    let fastest = ways.iter().min_by(|a, b| a.latency.p50_ms.total_cmp(&b.latency.p50_ms));
    let is_fast = |way: &&&Measurement| fastest.is_none_or(|fastest| is_as_fast(way, fastest));
    let simpler = |a: &&&Measurement, b: &&&Measurement| {
        let key = |way: &Measurement| (way.engine.name != "tract", way.model.model_bytes);
        key(a).cmp(&key(b)).then(a.latency.p50_ms.partial_cmp(&b.latency.p50_ms).unwrap_or(Ordering::Equal))
    };
    // The fastest itself is fast, so there is one.
    let ship = ways.iter().filter(is_fast).min_by(simpler).copied().unwrap_or(ways[0]);
    let mut sentences = vec![format!(
        "{} with {} answers in {:.2} ms (p50), {:.2} ms (p90)",
        ship.model.file, ship.engine.name, ship.latency.p50_ms, ship.latency.p90_ms
    )];
    sentences.extend(ways.iter().filter(|way| !std::ptr::eq(**way, ship)).map(|way| against(way, ship)));
    Advice { architecture, ship: ship.model.file.clone(), engine: ship.engine.name.clone(), sentences }
}

/// Whether one way is not clearly slower than another: by [`CLEARLY`], and by more than both scatter.
fn is_as_fast(way: &Measurement, other: &Measurement) -> bool {
    let more = way.latency.p50_ms - other.latency.p50_ms;
    more < other.latency.p50_ms * CLEARLY || more <= way.latency.mad_ms + other.latency.mad_ms
}

/// What another choice would give instead of the one to ship.
fn against(other: &Measurement, ship: &Measurement) -> String {
    let ratio = other.latency.p50_ms / ship.latency.p50_ms;
    let time = if is_as_fast(other, ship) && is_as_fast(ship, other) {
        "is as fast".to_owned()
    } else if ratio > 1.0 {
        format!("takes {ratio:.2} times as long")
    } else {
        format!("takes {ratio:.2} of the time")
    };
    let mut differences = vec![];
    let file = other.model.model_bytes as f64 / ship.model.model_bytes as f64;
    if (file - 1.0).abs() > CLEARLY {
        let size = if file < 1.0 { "smaller" } else { "larger" };
        differences.push(format!("its file is {size}: {file:.2} of the size"));
    }
    let memory = other.memory.peak_rss_bytes.zip(ship.memory.peak_rss_bytes);
    if let Some((other, ship)) = memory
        && other.abs_diff(ship) > 1 << 20
    {
        let difference = other.abs_diff(ship) as f64 / f64::from(1 << 20);
        let more = if other > ship { "more" } else { "less" };
        differences.push(format!("it takes {difference:.1} MiB {more} memory at its peak"));
    }
    if let Some((other, ship)) = other.accuracy.zip(ship.accuracy)
        && other.correct != ship.correct
    {
        differences.push(format!("its accuracy is {:+.4}", other.accuracy - ship.accuracy));
    }
    let name = format!("{} with {}", other.model.file, other.engine.name);
    std::iter::once(format!("{name} {time}")).chain(differences).collect::<Vec<_>>().join("; ")
}

/// The advice as lines for people.
pub fn text(advice: &[Advice]) -> String {
    let of_one = |advice: &Advice| {
        let head = format!(
            "{}: ship {} with {}\n",
            advice.architecture,
            visible(&advice.ship),
            visible(&advice.engine)
        );
        let lines = advice.sentences.iter().map(|sentence| format!("  {}\n", visible(sentence)));
        std::iter::once(head).chain(lines).collect::<String>()
    };
    advice.iter().map(of_one).collect()
}
