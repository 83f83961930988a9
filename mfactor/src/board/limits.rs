//! What a model must keep to on a board: equation 5 of the paper, C(arc) ≤ θ.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::measurement::Measurement;

/// Limits; what is absent is unlimited. They are judged by what a board measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest latency of one image in milliseconds, at the 90th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Largest peak resident memory of the process in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Largest model file in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_bytes: Option<u64>,
    /// Lowest accuracy on test records, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses limits that no model could be judged by; the error names `subject` and the key.
    pub fn check(&self, subject: &str) -> Result<()> {
        let refuse = |key: &str, must: &str| Err(Error::input(format!("{subject}, limits.{key}"), must));
        if self.latency_ms.is_some_and(|limit| !limit.is_finite() || limit <= 0.0) {
            return refuse("latency_ms", "must be a finite number above 0");
        }
        if self.memory_bytes == Some(0) {
            return refuse("memory_bytes", "must be above 0");
        }
        if self.model_bytes == Some(0) {
            return refuse("model_bytes", "must be above 0");
        }
        if self.accuracy.is_some_and(|limit| !(0.0..=1.0).contains(&limit)) {
            return refuse("accuracy", "must be from 0 to 1");
        }
        Ok(())
    }

    /// What keeps a measured model from these limits, a phrase each; empty if it keeps them all. A limited
    /// quantity that was not measured counts as not kept.
    pub fn violations(&self, measurement: &Measurement) -> Vec<String> {
        let mut violations = Vec::new();
        let mut most = |what: &str, unit: &str, value: Option<f64>, limit: Option<f64>| match (value, limit) {
            (Some(value), Some(limit)) if value > limit => {
                violations.push(format!("{what} {value:.2} {unit} is above {limit:.2} {unit}"));
            }
            (None, Some(_)) => violations.push(format!("{what} was not measured")),
            _ => {}
        };
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        most("latency p90", "ms", Some(measurement.latency.p90_ms), self.latency_ms);
        most("peak memory", "MiB", measurement.memory.peak_rss_bytes.map(mib), self.memory_bytes.map(mib));
        most("model file", "MiB", Some(mib(measurement.model.model_bytes)), self.model_bytes.map(mib));
        match (measurement.accuracy, self.accuracy) {
            (Some(measured), Some(limit)) if measured.accuracy < limit => {
                violations.push(format!("accuracy {:.4} is below {limit:.4}", measured.accuracy));
            }
            (None, Some(_)) => violations.push("accuracy was not measured".to_owned()),
            _ => {}
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_nothing_could_keep_is_refused_by_name() {
        let wrong = [
            ("latency_ms", Limits { latency_ms: Some(f64::NAN), ..Limits::default() }),
            ("memory_bytes", Limits { memory_bytes: Some(0), ..Limits::default() }),
            ("model_bytes", Limits { model_bytes: Some(0), ..Limits::default() }),
            ("accuracy", Limits { accuracy: Some(75.0), ..Limits::default() }),
        ];
        for (key, limits) in wrong {
            let text = limits.check("board.toml").unwrap_err().to_string();
            assert!(text.contains(&format!("board.toml, limits.{key}")), "{text}");
        }
        assert!(Limits::default().check("none").is_ok() && Limits::default().is_empty());
    }

    #[test]
    fn an_unknown_limit_is_refused() {
        assert!(toml::from_str::<Limits>("latency = 3.0").unwrap_err().to_string().contains("latency"));
    }
}
