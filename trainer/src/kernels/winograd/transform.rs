//! The domain: what carries the values of a tile over and back, in one dimension and in two.
//!
//! For a kernel of r taps and m = 4 outputs there are n = m + r − 1 points: 0, some pairs ±p, and infinity. With Aᵀ, G and Bᵀ of
//! Lavin and Gray, outputs are Aᵀ [(G g) ⊙ (Bᵀ d)]: A evaluates a polynomial at the points, G does so and divides by what
//! the points' differences multiply to, and the rows of Bᵀ are the products of all x − p but one.

use pulp::Simd;

/// Outputs of a tile in one dimension.
pub const OUTPUTS: usize = 4;

/// The points ±p of one kernel size, and what follows from them.
#[derive(Debug, Clone, Copy)]
pub struct Points<const PAIRS: usize> {
    values: [f32; PAIRS],
    /// Coefficients of ∏ (x² − p²) for x⁰, x², …; the last one, 1, is left out.
    product: [f32; PAIRS],
    /// The same without one of the pairs; the last one is 1.
    products_without: [[f32; PAIRS]; PAIRS],
}

/// Points with small rounding errors, found by trying: relative to the outputs 1·10⁻⁶, 2·10⁻⁶ and 2·10⁻⁵, where bfloat16
/// has 4·10⁻³.
impl Points<2> {
    pub const OF_3: Self = Self::new([0.5, 1.5]);
}
impl Points<3> {
    pub const OF_5: Self = Self::new([0.5, 1.0, 2.0]);
}
impl Points<4> {
    pub const OF_7: Self = Self::new([0.5, 0.8, 1.25, 2.0]);
}

impl<const PAIRS: usize> Points<PAIRS> {
    const fn new(values: [f32; PAIRS]) -> Self {
        let mut products_without = [[0.0; PAIRS]; PAIRS];
        let mut pair = 0;
        while pair < PAIRS {
            products_without[pair] = product(&values, pair);
            pair += 1;
        }
        Self { values, product: product(&values, PAIRS), products_without }
    }

    /// G: how the taps of a kernel count at each point.
    pub const fn of_taps<const POINTS: usize, const TAPS: usize>(&self) -> [[f32; TAPS]; POINTS] {
        let mut rows = [[0.0; TAPS]; POINTS];
        // At 0 all x² − p² are multiplied.
        rows[0][0] = 1.0 / self.product[0];
        rows[POINTS - 1][TAPS - 1] = 1.0;
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
            let mut power = 1.0 / divisor;
            let mut tap = 0;
            while tap < TAPS {
                rows[1 + 2 * pair][tap] = power;
                rows[2 + 2 * pair][tap] = if tap % 2 == 0 { power } else { -power };
                power *= p;
                tap += 1;
            }
            pair += 1;
        }
        rows
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

/// A transform in one dimension, of as many vectors as there are lanes side by side.
pub trait Line<const FROM: usize, const TO: usize> {
    fn line<S: Simd>(&self, simd: S, values: [S::f32s; FROM]) -> [S::f32s; TO];
}

/// Bᵀ: the values of a tile, to the points.
pub struct Spread<'a, const PAIRS: usize>(pub &'a Points<PAIRS>);

impl<const PAIRS: usize, const POINTS: usize> Line<POINTS, POINTS> for Spread<'_, PAIRS> {
    #[inline(always)]
    fn line<S: Simd>(&self, simd: S, values: [S::f32s; POINTS]) -> [S::f32s; POINTS] {
        let points = self.0;
        let mut spread = values;
        let (mut zero, mut infinity) = (values[POINTS - 2], values[POINTS - 1]);
        for (place, coefficient) in points.product.iter().enumerate() {
            let coefficient = simd.splat_f32s(*coefficient);
            zero = simd.mul_add_f32s(coefficient, values[2 * place], zero);
            infinity = simd.mul_add_f32s(coefficient, values[2 * place + 1], infinity);
        }
        spread[0] = zero;
        spread[POINTS - 1] = infinity;
        for pair in 0..PAIRS {
            // The last coefficient is 1.
            let (mut even, mut odd) = (values[POINTS - 2], values[POINTS - 3]);
            for place in 0..PAIRS - 1 {
                let coefficient = simd.splat_f32s(points.products_without[pair][place]);
                even = simd.mul_add_f32s(coefficient, values[2 * place + 2], even);
                odd = simd.mul_add_f32s(coefficient, values[2 * place + 1], odd);
            }
            let p = simd.splat_f32s(points.values[pair]);
            spread[1 + 2 * pair] = simd.mul_add_f32s(p, odd, even);
            spread[2 + 2 * pair] = simd.negate_mul_add_f32s(p, odd, even);
        }
        spread
    }
}

/// A: gradients of the outputs of a tile, to the points.
pub struct Evaluate<'a, const PAIRS: usize>(pub &'a Points<PAIRS>);

impl<const PAIRS: usize, const POINTS: usize> Line<OUTPUTS, POINTS> for Evaluate<'_, PAIRS> {
    #[inline(always)]
    fn line<S: Simd>(&self, simd: S, values: [S::f32s; OUTPUTS]) -> [S::f32s; POINTS] {
        let mut at_points = [values[0]; POINTS];
        at_points[POINTS - 1] = values[OUTPUTS - 1];
        for (pair, p) in self.0.values.iter().enumerate() {
            let square = simd.splat_f32s(p * p);
            let p = simd.splat_f32s(*p);
            let even = simd.mul_add_f32s(square, values[2], values[0]);
            let odd = simd.mul_add_f32s(square, values[3], values[1]);
            at_points[1 + 2 * pair] = simd.mul_add_f32s(p, odd, even);
            at_points[2 + 2 * pair] = simd.negate_mul_add_f32s(p, odd, even);
        }
        at_points
    }
}

/// Aᵀ: from the points, to the outputs of a tile.
pub struct Collect<'a, const PAIRS: usize>(pub &'a Points<PAIRS>);

impl<const PAIRS: usize, const POINTS: usize> Line<POINTS, OUTPUTS> for Collect<'_, PAIRS> {
    #[inline(always)]
    fn line<S: Simd>(&self, simd: S, values: [S::f32s; POINTS]) -> [S::f32s; OUTPUTS] {
        let zero = simd.splat_f32s(0.0);
        let mut outputs = [values[0], zero, zero, values[POINTS - 1]];
        for (pair, p) in self.0.values.iter().enumerate() {
            let even = simd.add_f32s(values[1 + 2 * pair], values[2 + 2 * pair]);
            let odd =
                simd.mul_f32s(simd.splat_f32s(*p), simd.sub_f32s(values[1 + 2 * pair], values[2 + 2 * pair]));
            let square = simd.splat_f32s(p * p);
            outputs[0] = simd.add_f32s(outputs[0], even);
            outputs[1] = simd.add_f32s(outputs[1], odd);
            outputs[2] = simd.mul_add_f32s(square, even, outputs[2]);
            outputs[3] = simd.mul_add_f32s(square, odd, outputs[3]);
        }
        outputs
    }
}
