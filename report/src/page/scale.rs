//! From values to pixels, and round numbers for ticks.

/// A linear or logarithmic map from a domain of values to a range of pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    domain: [f64; 2],
    logarithmic: bool,
}

impl Scale {
    /// A linear scale that holds all finite `values` with a little room on both sides.
    pub(crate) fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let [low, high] = finite
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)]);
        let [low, high] = if low <= high { [low, high] } else { [0.0, 1.0] };
        let room = if high > low { 0.05 * (high - low) } else { 0.05 * low.abs().max(1e-3) };
        Self { domain: [low - room, high + room], logarithmic: false }
    }

    /// A scale of exactly this domain.
    pub(crate) fn exactly(low: f64, high: f64) -> Self {
        Self { domain: [low, high], logarithmic: false }
    }

    /// A logarithmic scale that holds all `values`, which are above 0, with a little room on both sides.
    pub(crate) fn around_logarithms(values: impl IntoIterator<Item = f64>) -> Self {
        let [low, high] = Self::around(values.into_iter().map(f64::ln)).domain;
        Self::exactly(low.exp(), high.exp()).logarithmic()
    }

    /// The same domain, which lies above 0, in logarithms.
    pub(crate) fn logarithmic(self) -> Self {
        Self { logarithmic: true, ..self }
    }

    /// Lowest and highest value.
    pub(crate) fn domain(&self) -> [f64; 2] {
        self.domain
    }

    pub(crate) fn contains(&self, value: f64) -> bool {
        (self.domain[0]..=self.domain[1]).contains(&value)
    }

    /// Where a value lies between `start` (the lowest) and `end` (the highest).
    pub(crate) fn place(&self, value: f64, start: f64, end: f64) -> f64 {
        let map = |value: f64| if self.logarithmic { value.ln() } else { value };
        let [low, high] = self.domain.map(map);
        start + (end - start) * (map(value) - low) / (high - low)
    }

    /// About `count` round values inside the domain, and the number of decimals they need.
    pub(crate) fn ticks(&self, count: usize) -> (Vec<f64>, usize) {
        let [low, high] = self.domain;
        if self.logarithmic {
            return self.logarithmic_ticks();
        }
        let rough = (high - low) / count as f64;
        let power = 10f64.powf(rough.log10().floor());
        // A step somewhat below the rough one is better than a much larger one.
        let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= 0.7 * rough).unwrap_or(10.0);
        let step = factor * power;
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        ((first..=last).map(|index| index as f64 * step).collect(), decimals)
    }
}

impl Scale {
    /// 1, 2 and 5 times powers of ten; of a domain so narrow that it has fewer than two of them, round values.
    fn logarithmic_ticks(&self) -> (Vec<f64>, usize) {
        let powers = self.domain.map(|end| end.log10().floor() as i32);
        let ticks =
            (powers[0]..=powers[1]).flat_map(|power| [1.0, 2.0, 5.0].map(|of| of * 10f64.powi(power)));
        let ticks: Vec<f64> = ticks.filter(|tick| self.contains(*tick)).collect();
        match ticks.len() {
            0 | 1 => Self { logarithmic: false, ..*self }.ticks(4),
            _ => (ticks, (-powers[0]).max(0) as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ticks_are_few_and_inside(low in -1e6..1e6f64, width in 1e-3..1e6f64) {
            let scale = Scale::exactly(low, low + width);
            let (ticks, _) = scale.ticks(5);
            prop_assert!((2..=8).contains(&ticks.len()), "{:?}", ticks);
            prop_assert!(ticks.iter().all(|tick| *tick >= low - width * 1e-9 && *tick <= low + width * (1.0 + 1e-9)));
        }
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Scale::exactly(0.0, 50.0).ticks(5), (vec![0.0, 10.0, 20.0, 30.0, 40.0, 50.0], 0));
        let (ticks, decimals) = Scale::exactly(0.731, 0.772).ticks(5);
        let written: Vec<String> = ticks.iter().map(|tick| format!("{tick:.decimals$}")).collect();
        assert_eq!(written, ["0.74", "0.75", "0.76", "0.77"]);
        let ticks = |low, high| Scale::exactly(low, high).logarithmic().ticks(9);
        assert_eq!(ticks(0.1, 10.0), (vec![0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0], 1));
        assert_eq!(ticks(3e6, 1.2e8).0, [5e6, 1e7, 2e7, 5e7, 1e8]);
        assert_eq!(ticks(21.0, 24.0), (vec![21.0, 22.0, 23.0, 24.0], 0));
    }

    #[test]
    fn values_find_their_place() {
        assert_eq!(Scale::exactly(0.0, 10.0).place(2.5, 100.0, 0.0), 75.0);
        let middle = Scale::exactly(0.1, 10.0).logarithmic().place(1.0, 0.0, 200.0);
        assert!((middle - 100.0).abs() < 1e-9);
        let one_value = Scale::around([3.0]);
        assert!(one_value.contains(3.0) && one_value.domain()[0] < 3.0);
        assert!(Scale::around([]).contains(0.5));
    }
}
