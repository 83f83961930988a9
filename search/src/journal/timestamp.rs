//! Points in time as Optuna writes them.

use std::time::{SystemTime, UNIX_EPOCH};

/// `2026-11-24T05:38:00.123456+00:00`, in UTC.
pub(crate) fn timestamp(time: SystemTime) -> String {
    // A clock before 1970 is a clock that was never set.
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00")
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01. The year is taken to begin in March,
/// so that the leap day is its last.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let days = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // from March
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn known_moments() {
        let at = |seconds, micros: u32| timestamp(UNIX_EPOCH + Duration::new(seconds, micros * 1000));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(at(951_782_400, 1), "2000-02-29T00:00:00.000001+00:00");
        assert_eq!(at(1_709_251_199, 999_999), "2024-02-29T23:59:59.999999+00:00");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000000+00:00");
    }

    #[test]
    fn days_count_up_without_gaps() {
        let mut last = civil(0);
        for days in 1..100_000 {
            let (year, month, day) = civil(days);
            let next = day == last.2 + 1 && (year, month) == (last.0, last.1)
                || day == 1 && (year, month) == (last.0, last.1 + 1)
                || (month, day) == (1, 1) && (last.1, last.2) == (12, 31) && year == last.0 + 1;
            assert!(next, "{last:?} is followed by {:?}", (year, month, day));
            last = (year, month, day);
        }
    }
}
