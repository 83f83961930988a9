//! How long a trainer may say nothing. A training of hours is as silent as one that hangs, so the limit grows with what
//! was seen: nothing that works is ended by it, and nothing waits for ever.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// Longest time between two looks that counts.
const LONGEST_LOOK: Duration = Duration::from_secs(5);
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
    /// The one that lasts.
    lasting: Duration,
    /// How long that was when it was last said.
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
    /// The trainer has reported something.
    pub fn end(&mut self) {
        self.longest = Some(self.longest.map_or(self.lasting, |longest| longest.max(self.lasting)));
        (self.lasting, self.said) = (Duration::ZERO, None);
    }

    /// The silence has gone on for `more` since the last look, and is judged. Of a look that was longer than it can be this
    /// program itself was stopped, and perhaps the trainer with it: that does not count.
    pub fn lasts(&mut self, more: Duration) -> Verdict {
        self.lasting += more.min(LONGEST_LOOK);
        self.judge(self.lasting)
    }

    fn judge(&mut self, length: Duration) -> Verdict {
        let limit = self.limit();
        let minutes = |length: Duration| length.as_secs() / MINUTE.as_secs();
        if length >= limit {
            return Verdict::End(format!("the trainer reported nothing for {} minutes", minutes(limit)));
        }
        if length < self.said.map_or(NOTABLE, |said| 2 * said) {
            return Verdict::Wait;
        }
        self.said = Some(length);
        let (now, limit) = (minutes(length), minutes(limit));
        Verdict::Say(format!(
            "the trainer has reported nothing for {now} minutes; it is waited for until it is {limit}, or as long as \
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
            Verdict::End("the trainer reported nothing for 1440 minutes".to_owned())
        );
    }

    #[test]
    fn what_was_seen_decides_how_long_is_waited() {
        let seen = |minutes: u32| Silence { lasting: minutes * MINUTE, ..Silence::default() };
        let mut silence = seen(1);
        silence.end();
        assert!(matches!(silence.judge(HOUR), Verdict::End(_)), "an hour at least");
        assert!(!matches!(silence.judge(59 * MINUTE), Verdict::End(_)));
        let mut silence = Silence { longest: Some(MINUTE), ..seen(60) };
        silence.end();
        assert!(!matches!(silence.judge(19 * HOUR), Verdict::End(_)), "slow trainings are waited for");
        assert!(matches!(silence.judge(20 * HOUR), Verdict::End(_)));
    }

    #[test]
    fn a_search_that_was_stopped_itself_blames_nobody() {
        let mut silence = Silence::default();
        assert_eq!(silence.lasts(48 * HOUR), Verdict::Wait);
        let looks = (0..24 * 3_600 / LONGEST_LOOK.as_secs()).map(|_| silence.lasts(LONGEST_LOOK));
        assert!(looks.filter(|verdict| matches!(verdict, Verdict::End(_))).count() > 0);
    }
}
