//! Whether a measurement may be believed.

use mfactor::golden;
use mfactor::measurement::{Conditions, Verdict};

use crate::model_file::ModelFile;

/// A frequency that falls below this share of what it was has dropped. Steps of real boards are larger
/// (1,400 to 1,200 kHz on a Raspberry Pi 3B+), wandering of a turbo clock is smaller.
const LOWEST_SHARE_OF_FREQUENCY: f64 = 0.9;
/// Raspberry Pi's throttle bits; 16 above each is its sticky version.
const THROTTLE_BITS: [(u32, &str); 4] =
    [(0, "under-voltage"), (1, "frequency capped"), (2, "throttled"), (3, "soft temperature limit")];

/// Everything that speaks against a measurement.
pub fn judge(
    model: &ModelFile,
    golden_difference: f64,
    before: &Conditions,
    during: &[Conditions],
) -> Verdict {
    let mut reasons = counts(model);
    if golden_difference > golden::TOLERANCE {
        reasons.push(format!(
            "the answers on the golden inputs differ from the model file's by {golden_difference:.2e}; at most {:.0e} is allowed",
            golden::TOLERANCE
        ));
    }
    reasons.extend(throttling(before, during));
    reasons.extend(frequency_drop(before, during));
    if reasons.is_empty() { Verdict::Valid } else { Verdict::Invalid { reasons } }
}

fn counts(model: &ModelFile) -> Vec<String> {
    let mut reasons = vec![];
    let pairs = [
        ("parameters", model.graph.parameters, model.metadata.parameters),
        ("multiply-accumulates", model.graph.macs, model.metadata.macs),
    ];
    for (what, counted, told) in pairs {
        if counted != told {
            reasons.push(format!("the model has {counted} {what}, its metadata says {told}"));
        }
    }
    reasons
}

/// Bits that were set while measuring, and those that are set now though they were before.
fn throttling(before: &Conditions, during: &[Conditions]) -> Option<String> {
    let before = before.throttle_bits?;
    let seen = during.iter().filter_map(|conditions| conditions.throttle_bits);
    let bad = seen.fold(0, |bad, bits| bad | bits & !before | bits & 0xf);
    let is_set = |bit: u32| bad & (1 << bit | 1 << (bit + 16)) != 0;
    let names: Vec<&str> =
        THROTTLE_BITS.iter().filter(|(bit, _)| is_set(*bit)).map(|(_, name)| *name).collect();
    (bad != 0).then(|| format!("the board reported {} (bits {bad:#x}) while measuring", names.join(", ")))
}

fn frequency_drop(before: &Conditions, during: &[Conditions]) -> Option<String> {
    let before = before.frequency_khz?;
    let lowest = during.iter().filter_map(|conditions| conditions.frequency_khz).min()?;
    ((lowest as f64) < LOWEST_SHARE_OF_FREQUENCY * before as f64)
        .then(|| format!("the core's frequency fell from {before} to {lowest} kHz while measuring"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled(bits: u32) -> Conditions {
        Conditions { throttle_bits: Some(bits), ..Conditions::default() }
    }

    fn at(khz: u64) -> Conditions {
        Conditions { frequency_khz: Some(khz), ..Conditions::default() }
    }

    #[test]
    fn old_sticky_bits_are_forgiven_and_new_ones_are_not() {
        let old = throttled(0x50000);
        assert_eq!(throttling(&old, &[throttled(0x50000)]), None);
        let reason = throttling(&old, &[throttled(0x50000), throttled(0x70000)]).unwrap();
        assert!(reason.contains("frequency capped") && reason.contains("0x20000"), "{reason}");
        let reason = throttling(&throttled(0x50005), &[throttled(0x50005)]).unwrap();
        assert!(reason.contains("under-voltage, throttled"), "{reason}");
        assert_eq!(throttling(&Conditions::default(), &[throttled(0xf)]), None, "no Raspberry Pi before");
    }

    #[test]
    fn a_drop_in_any_window_counts() {
        assert_eq!(frequency_drop(&at(1_500_000), &[at(1_500_000), at(1_400_000)]), None);
        let reason = frequency_drop(&at(1_500_000), &[at(1_000_000), at(1_500_000)]).unwrap();
        assert!(reason.contains("1500000 to 1000000"), "{reason}");
        assert_eq!(frequency_drop(&at(1), &[]), None);
    }
}
