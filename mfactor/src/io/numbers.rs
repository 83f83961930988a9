//! Figures as people read them. One place, so that terminal and page show the same digits.

/// A value rounded to so many significant digits.
pub fn significant(value: f64, digits: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let place = digits - 1 - value.abs().log10().floor() as i32;
    // A power with a negative exponent is not exact, a division by one with a positive is.
    match place {
        0.. => (value * 10f64.powi(place)).round() / 10f64.powi(place),
        _ => (value / 10f64.powi(-place)).round() * 10f64.powi(-place),
    }
}

/// `272474` as `272,474`.
pub fn thousands(value: impl Into<u128>) -> String {
    let digits = value.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count in millions: `40813184` as `40.8 M`.
pub fn millions(value: u64) -> String {
    format!("{:.1} M", value as f64 / 1e6)
}

/// Bytes in the unit that fits: `1.04 MiB`, `340 KiB`.
pub fn bytes(value: u64) -> String {
    let kib = value as f64 / 1024.0;
    if kib < 1.0 {
        format!("{value} B")
    } else if kib < 1000.0 {
        format!("{kib:.0} KiB")
    } else if kib < 1000.0 * 1024.0 {
        format!("{:.2} MiB", kib / 1024.0)
    } else {
        format!("{:.2} GiB", kib / (1024.0 * 1024.0))
    }
}

/// Milliseconds with three significant digits.
pub fn milliseconds(value: f64) -> String {
    let decimals = if value < 1.0 {
        3
    } else if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.decimals$} ms")
}

/// Millijoules with three significant digits.
pub fn millijoules(value: f64) -> String {
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} mJ")
}

/// A fraction of 1 as per cent with two decimals: `0.7512` as `75.12 %`.
pub fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

/// A difference of fractions in percentage points, signed: `+1.20 points`.
pub fn points(difference: f64) -> String {
    format!("{:+.2} points", 100.0 * difference)
}

/// The size of a difference of fractions in percentage points: `1.20 points`.
pub fn points_apart(difference: f64) -> String {
    format!("{:.2} points", 100.0 * difference.abs())
}

/// Seconds as a person says them: `48 s`, `12 min`, `3.4 h`.
pub fn duration(seconds: f64) -> String {
    if seconds < 100.0 {
        format!("{seconds:.0} s")
    } else if seconds < 100.0 * 60.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

/// `1 pair`, `2 pairs`, `2 benches`, `2 classes`.
pub fn counted(count: usize, word: &str) -> String {
    let plural = match (count, word.ends_with("ch") || word.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{} {word}{plural}", thousands(count as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!([0u64, 999, 1_000, 272_474].map(thousands), ["0", "999", "1,000", "272,474"]);
        assert_eq!(millions(40_813_184), "40.8 M");
        assert_eq!([12, 2_048, 1_090_000, 3 << 30].map(bytes), ["12 B", "2 KiB", "1.04 MiB", "3.00 GiB"]);
        assert_eq!(
            [0.1234, 4.567, 45.67, 456.7].map(milliseconds),
            ["0.123 ms", "4.57 ms", "45.7 ms", "457 ms"]
        );
        assert_eq!([0.456, 45.67, 456.7].map(millijoules), ["0.46 mJ", "45.7 mJ", "457 mJ"]);
        assert_eq!((percent(0.7512), points(0.012), points(-0.001)).0, "75.12 %");
        assert_eq!(points(-0.001), "-0.10 points");
        assert_eq!([48.2, 720.0, 12_240.0].map(duration), ["48 s", "12 min", "3.4 h"]);
        assert_eq!((counted(1, "pair"), counted(2_000, "pair")), ("1 pair".into(), "2,000 pairs".into()));
    }
}
