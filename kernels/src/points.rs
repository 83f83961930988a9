//! The domain of the minimal filtering algorithm (Winograd 1980; in two dimensions Lavin and Gray 2016, arXiv:1509.09308): what
//! carries tiles of an image, and kernels, over to it and back, in one dimension.
//!
//! For a kernel of r taps and m outputs there are n = m + r − 1 points: 0, some pairs ±p, and infinity. With Aᵀ, G and Bᵀ of
//! Lavin and Gray, outputs are Aᵀ [(G g) ⊙ (Bᵀ d)]: A evaluates a polynomial at the points, G does so and divides by what
//! the points' differences multiply to, and the rows of Bᵀ are the products of all x − p but one. Which m and r make up n is
//! left to the caller: F(4, 3) and F(2, 5) use the same points.
#![expect(unsafe_op_in_unsafe_fn, reason = "vector instructions, under the contract of `Vector`")]

use crate::vector::Vector;

/// The points ±p, and what follows from them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Points<const PAIRS: usize> {
    values: [f32; PAIRS],
    /// Coefficients of ∏ (x² − p²) for x⁰, x², …; the last one, 1, is left out.
    product: [f32; PAIRS],
    /// The same without one of the pairs; the last one is 1.
    products_without: [[f32; PAIRS]; PAIRS],
}

/// Points with small rounding errors, found by trying: the root of the mean square, relative to that of the outputs, with 16 channels
/// is 3·10⁻⁷ for 4 × 4 outputs with kernels of 3, 1·10⁻⁶ with 5 and 8·10⁻⁶ with 7, where bfloat16 has 4·10⁻³.
impl Points<1> {
    pub(crate) const FOUR: Self = Self::new([1.0]);
}
impl Points<2> {
    pub(crate) const SIX: Self = Self::new([0.625, 1.5]);
}
impl Points<3> {
    pub(crate) const EIGHT: Self = Self::new([0.5, 1.0, 2.0]);
}
impl Points<4> {
    pub(crate) const TEN: Self = Self::new([0.5, 0.8, 1.25, 2.0]);
}

impl<const PAIRS: usize> Points<PAIRS> {
    /// From pairs that differ from each other and from 0.
    pub(crate) const fn new(values: [f32; PAIRS]) -> Self {
        let mut products_without = [[0.0; PAIRS]; PAIRS];
        let mut pair = 0;
        while pair < PAIRS {
            products_without[pair] = product(&values, pair);
            pair += 1;
        }
        Self { values, product: product(&values, PAIRS), products_without }
    }

    /// The factors of G: what a value at 0, and at either point of each pair, is divided by.
    pub(crate) const fn divisors(&self) -> (f32, [f32; PAIRS]) {
        let mut divisors = [0.0; PAIRS];
        let mut pair = 0;
        while pair < PAIRS {
            let p = self.values[pair];
            let mut divisor = 2.0 * p * p;
            let mut other = 0;
            while other < PAIRS {
                if other != pair {
                    divisor *= p * p - self.values[other] * self.values[other];
                }
                other += 1;
            }
            divisors[pair] = divisor;
            pair += 1;
        }
        // At 0 all x² − p² are multiplied.
        (self.product[0], divisors)
    }

    /// G: the taps of a kernel, at the points.
    #[inline(always)]
    pub(crate) unsafe fn weigh<T: Vector, const TAPS: usize, const POINTS: usize>(
        &self,
        taps: [T; TAPS],
    ) -> [T; POINTS] {
        let (at_zero, divisors) = self.divisors();
        let mut weighed = [taps[0].mul(T::splat(1.0 / at_zero)); POINTS];
        weighed[POINTS - 1] = taps[TAPS - 1];
        for pair in 0..PAIRS {
            let p = self.values[pair];
            let mut power = 1.0 / divisors[pair];
            let (mut even, mut odd) = (T::splat(0.0), T::splat(0.0));
            for tap in 0..TAPS {
                if tap % 2 == 0 {
                    even = even.fma(T::splat(power), taps[tap]);
                } else {
                    odd = odd.fma(T::splat(power), taps[tap]);
                }
                power *= p;
            }
            weighed[1 + 2 * pair] = even.add(odd);
            weighed[2 + 2 * pair] = even.sub(odd);
        }
        weighed
    }

    /// Gᵀ: from the points, to the taps of a kernel's gradient.
    #[inline(always)]
    pub(crate) unsafe fn gather<T: Vector, const TAPS: usize, const POINTS: usize>(
        &self,
        values: [T; POINTS],
    ) -> [T; TAPS] {
        let (at_zero, divisors) = self.divisors();
        let mut taps = [T::splat(0.0); TAPS];
        taps[0] = values[0].mul(T::splat(1.0 / at_zero));
        taps[TAPS - 1] = taps[TAPS - 1].add(values[POINTS - 1]);
        for pair in 0..PAIRS {
            let even = values[1 + 2 * pair].add(values[2 + 2 * pair]);
            let odd = values[1 + 2 * pair].sub(values[2 + 2 * pair]);
            let mut power = 1.0 / divisors[pair];
            for tap in 0..TAPS {
                let half = if tap % 2 == 0 { even } else { odd };
                taps[tap] = taps[tap].fma(T::splat(power), half);
                power *= self.values[pair];
            }
        }
        taps
    }

    /// A: gradients of the outputs of a tile, to the points.
    #[inline(always)]
    pub(crate) unsafe fn evaluate<T: Vector, const OUTPUTS: usize, const POINTS: usize>(
        &self,
        values: [T; OUTPUTS],
    ) -> [T; POINTS] {
        let mut at_points = [values[0]; POINTS];
        at_points[POINTS - 1] = values[OUTPUTS - 1];
        for pair in 0..PAIRS {
            let p = self.values[pair];
            let (mut even, mut odd) = (values[0], values[1].mul(T::splat(p)));
            let mut power = p * p;
            for place in 2..OUTPUTS {
                if place % 2 == 0 {
                    even = even.fma(T::splat(power), values[place]);
                } else {
                    odd = odd.fma(T::splat(power), values[place]);
                }
                power *= p;
            }
            at_points[1 + 2 * pair] = even.add(odd);
            at_points[2 + 2 * pair] = even.sub(odd);
        }
        at_points
    }

    /// Bᵀ: the values of a tile, to the points.
    #[inline(always)]
    pub(crate) unsafe fn spread<T: Vector, const POINTS: usize>(&self, values: [T; POINTS]) -> [T; POINTS] {
        let mut spread = values;
        let (mut zero, mut infinity) = (values[POINTS - 2], values[POINTS - 1]);
        for (place, coefficient) in self.product.iter().enumerate() {
            let coefficient = T::splat(*coefficient);
            zero = zero.fma(coefficient, values[2 * place]);
            infinity = infinity.fma(coefficient, values[2 * place + 1]);
        }
        spread[0] = zero;
        spread[POINTS - 1] = infinity;
        for pair in 0..PAIRS {
            // The last coefficient is 1.
            let (mut even, mut odd) = (values[POINTS - 2], values[POINTS - 3]);
            for place in 0..PAIRS - 1 {
                let coefficient = T::splat(self.products_without[pair][place]);
                even = even.fma(coefficient, values[2 * place + 2]);
                odd = odd.fma(coefficient, values[2 * place + 1]);
            }
            let p = T::splat(self.values[pair]);
            spread[1 + 2 * pair] = even.fma(p, odd);
            spread[2 + 2 * pair] = even.fnma(p, odd);
        }
        spread
    }

    /// Aᵀ: from the points, to the outputs of a tile.
    #[inline(always)]
    pub(crate) unsafe fn collect<T: Vector, const POINTS: usize, const OUTPUTS: usize>(
        &self,
        values: [T; POINTS],
    ) -> [T; OUTPUTS] {
        let mut outputs = [values[0]; OUTPUTS];
        for pair in 0..PAIRS {
            let even = values[1 + 2 * pair].add(values[2 + 2 * pair]);
            let odd = values[1 + 2 * pair].sub(values[2 + 2 * pair]);
            let mut power = 1.0f32;
            for place in 0..OUTPUTS {
                let half = if place % 2 == 0 { even } else { odd };
                // At 0 only the first output is not 0: the others begin with the first pair.
                outputs[place] = match (place, pair) {
                    (0, _) => outputs[0].add(half),
                    (_, 0) => half.mul(T::splat(power)),
                    _ => outputs[place].fma(T::splat(power), half),
                };
                power *= self.values[pair];
            }
        }
        outputs[OUTPUTS - 1] = outputs[OUTPUTS - 1].add(values[POINTS - 1]);
        outputs
    }
}

/// Coefficients of ∏ (x² − p²) over all pairs but one, for x⁰, x², …
const fn product<const PAIRS: usize>(values: &[f32; PAIRS], but: usize) -> [f32; PAIRS] {
    let mut coefficients = [0.0; PAIRS];
    coefficients[0] = 1.0;
    let mut degree = 0;
    let mut pair = 0;
    while pair < PAIRS {
        if pair != but {
            let square = values[pair] * values[pair];
            let mut place = degree + 1;
            while place > 0 {
                if place < PAIRS {
                    coefficients[place] = coefficients[place - 1] - square * coefficients[place];
                }
                place -= 1;
            }
            coefficients[0] *= -square;
            degree += 1;
        }
        pair += 1;
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Plain;

    fn filtered<const PAIRS: usize, const POINTS: usize, const TAPS: usize, const OUTPUTS: usize>(
        points: &Points<PAIRS>,
        image: [f32; POINTS],
        taps: [f32; TAPS],
    ) -> [f32; OUTPUTS] {
        // SAFETY: arrays of four numbers need no instructions, and `first` stores as many as it has room for.
        unsafe {
            let spread = points.spread::<Plain, POINTS>(image.map(|value| Plain::splat(value)));
            let weighed = points.weigh::<Plain, TAPS, POINTS>(taps.map(|value| Plain::splat(value)));
            let products = std::array::from_fn(|point| spread[point].mul(weighed[point]));
            points.collect::<Plain, POINTS, OUTPUTS>(products).map(|output| {
                let mut first = [0.0; 4];
                output.store(first.as_mut_ptr());
                first[0]
            })
        }
    }

    fn check<const PAIRS: usize, const POINTS: usize, const TAPS: usize, const OUTPUTS: usize>(
        points: &Points<PAIRS>,
    ) {
        let image: [f32; POINTS] = std::array::from_fn(|place| ((7 * place + 3) % 11) as f32 - 5.0);
        let taps: [f32; TAPS] = std::array::from_fn(|tap| 0.5 - ((5 * tap + 1) % 4) as f32);
        let outputs = filtered::<PAIRS, POINTS, TAPS, OUTPUTS>(points, image, taps);
        for (place, output) in outputs.iter().enumerate() {
            let direct: f32 = taps.iter().zip(&image[place..]).map(|(tap, value)| tap * value).sum();
            assert!(
                (output - direct).abs() < 1e-3,
                "F({OUTPUTS}, {TAPS}) at {place}: {output}, not {direct}"
            );
        }
    }

    #[test]
    fn outputs_are_those_of_the_filter_for_any_number_of_outputs() {
        check::<1, 4, 3, 2>(&Points::FOUR);
        check::<2, 6, 3, 4>(&Points::SIX);
        check::<2, 6, 5, 2>(&Points::SIX);
        check::<3, 8, 3, 6>(&Points::EIGHT);
        check::<3, 8, 5, 4>(&Points::EIGHT);
        check::<3, 8, 7, 2>(&Points::EIGHT);
        check::<4, 10, 5, 6>(&Points::TEN);
        check::<4, 10, 7, 4>(&Points::TEN);
        check::<4, 10, 2, 9>(&Points::TEN);
    }
}
