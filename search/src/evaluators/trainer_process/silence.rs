//! How long a trainer may say nothing. A training of hours is as silent as one that hangs, so the limit grows with what
//! was seen: nothing that works is ended by it, and nothing waits for ever.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// Silence after which it is said; again after each doubling.
const NOTABLE: Duration = Duration::from_secs(600);
/// Most silence before the first word of a first job.
const LONGEST_AT_FIRST: Duration = Duration::from_secs(24 * 3_600);
/// Later silences may be so many times the longest that was seen.
const PATIENCE: u32 = 20;

/// Silences of one trainer so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Silence {
    /// The longest that ended.
    longest: Option<Duration>,
    /// How long the one that lasts was when it was last said.
    said: Option<Duration>,
}

/// What to do about a silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    /// Wait on, and say so.
    Say(String),
    /// Give the trainer up, for this reason.
    End(String),
}

impl Silence {
    /// Takes note that a silence of this length has ended.
    pub fn ended(&mut self, length: Duration) {
        self.longest = Some(self.longest.map_or(length, |longest| longest.max(length)));
        self.said = None;
    }

    /// Judges a silence that has lasted so long.
    pub fn judge(&mut self, length: Duration) -> Verdict {
        let limit = self.limit();
        let minutes = |length: Duration| length.as_secs() / MINUTE.as_secs();
        if length >= limit {
            return Verdict::End(format!("the trainer said nothing for {} minutes", minutes(limit)));
        }
        if length < self.said.map_or(NOTABLE, |said| 2 * said) {
            return Verdict::Wait;
        }
        self.said = Some(length);
        let (now, limit) = (minutes(length), minutes(limit));
        Verdict::Say(format!(
            "the trainer has said nothing for {now} minutes; it is waited for until it is {limit}, or as long as \
             --trial-timeout says"
        ))
    }

    fn limit(&self) -> Duration {
        self.longest.map_or(LONGEST_AT_FIRST, |longest| (PATIENCE * longest).max(HOUR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_said_and_said_again_and_ends() {
        let mut silence = Silence::default();
        assert_eq!(silence.judge(MINUTE), Verdict::Wait);
        assert!(matches!(silence.judge(10 * MINUTE), Verdict::Say(text) if text.contains("for 10 minutes")));
        assert_eq!(silence.judge(19 * MINUTE), Verdict::Wait);
        assert!(matches!(silence.judge(20 * MINUTE), Verdict::Say(_)));
        assert_eq!(
            silence.judge(24 * HOUR),
            Verdict::End("the trainer said nothing for 1440 minutes".to_owned())
        );
    }

    #[test]
    fn what_was_seen_decides_how_long_is_waited() {
        let mut silence = Silence::default();
        silence.ended(MINUTE);
        assert!(matches!(silence.judge(HOUR), Verdict::End(_)), "an hour at least");
        assert!(!matches!(silence.judge(59 * MINUTE), Verdict::End(_)));
        silence.ended(HOUR);
        silence.ended(MINUTE);
        assert!(!matches!(silence.judge(19 * HOUR), Verdict::End(_)), "slow trainings are waited for");
        assert!(matches!(silence.judge(20 * HOUR), Verdict::End(_)));
    }
}
