//! Whether a measurement may be believed.

use engines::model_file::ModelFile;
use mfactor::golden;
use mfactor::measurement::{Conditions, Verdict};

/// A frequency that falls below this share of what it was has dropped. Steps of real boards are larger
/// (1,400 to 1,200 kHz on a Raspberry Pi 3B+), wandering of a turbo clock is smaller.
const LOWEST_SHARE_OF_FREQUENCY: f64 = 0.9;
/// Raspberry Pi's throttle bits; 16 above each is its sticky version.
const THROTTLE_BITS: [(u32, &str); 4] =
    [(0, "under-voltage"), (1, "frequency capped"), (2, "throttled"), (3, "soft temperature limit")];

/// What speaks against a model, whatever the board does: it will speak against it in every round.
pub fn of_model(model: &ModelFile, golden_difference: f64) -> Vec<String> {
    let mut reasons = counts(model);
    let tolerance = golden::tolerance(&model.metadata.precision);
    if golden_difference > tolerance {
        reasons.push(format!(
            "the answers on the golden inputs differ from the model file's by {golden_difference:.2e}; at most \
             {tolerance:.0e} is allowed"
        ));
    }
    reasons
}

/// Whether the board was in a state to be believed.
pub fn of_board(before: &Conditions, after: &Conditions) -> Verdict {
    verdict(throttling(before, after).into_iter().chain(frequency_drop(before, after)).collect())
}

/// Valid if nothing speaks against it.
pub fn verdict(reasons: Vec<String>) -> Verdict {
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
fn throttling(before: &Conditions, after: &Conditions) -> Option<String> {
    let (before, after) = before.throttle_bits.zip(after.throttle_bits)?;
    let bad = after & !before | after & 0xf;
    let is_set = |bit: u32| bad & (1 << bit | 1 << (bit + 16)) != 0;
    let names: Vec<&str> =
        THROTTLE_BITS.iter().filter(|(bit, _)| is_set(*bit)).map(|(_, name)| *name).collect();
    (bad != 0).then(|| format!("the board reported {} (bits {bad:#x}) while measuring", names.join(", ")))
}

fn frequency_drop(before: &Conditions, after: &Conditions) -> Option<String> {
    let (before, after) = before.frequency_khz.zip(after.frequency_khz)?;
    ((after as f64) < LOWEST_SHARE_OF_FREQUENCY * before as f64)
        .then(|| format!("the core's frequency fell from {before} to {after} kHz while measuring"))
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
        assert_eq!(throttling(&old, &throttled(0x50000)), None);
        let reason = throttling(&old, &throttled(0x70000)).unwrap();
        assert!(reason.contains("frequency capped") && reason.contains("0x20000"), "{reason}");
        let reason = throttling(&throttled(0x50005), &throttled(0x50005)).unwrap();
        assert!(reason.contains("under-voltage, throttled"), "{reason}");
        assert_eq!(throttling(&Conditions::default(), &throttled(0xf)), None, "no Raspberry Pi before");
    }

    #[test]
    fn a_drop_of_a_step_counts() {
        assert_eq!(of_board(&at(1_500_000), &at(1_400_000)), Verdict::Valid);
        let Verdict::Invalid { reasons } = of_board(&at(1_500_000), &at(1_000_000)) else { panic!() };
        assert!(reasons[0].contains("1500000 to 1000000"), "{reasons:?}");
        assert_eq!(of_board(&at(1), &Conditions::default()), Verdict::Valid);
    }
}
