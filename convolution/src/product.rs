//! Products of small matrices that lie row by row.

use pulp::Simd;

/// Rows of a result that are computed at once: with two vectors each they leave a processor's registers room for
/// what is multiplied.
const ROWS: usize = 4;

/// The left matrix of a product.
#[derive(Clone, Copy)]
pub enum Left<'a> {
    /// Rows × depth.
    Plain(&'a [f32]),
    /// Depth × rows.
    Transposed(&'a [f32]),
}

/// Writes the product of `left` and `right` (`depth` × `columns` vectors) to `result`, whose rows are as many vectors; or adds it.
///
/// # Panics
/// If the matrices do not fit each other.
#[inline(always)]
pub fn product<S: Simd, const ADD: bool>(
    simd: S,
    left: Left<'_>,
    right: &[S::f32s],
    columns: usize,
    result: &mut [S::f32s],
) {
    let (rows, depth) = (result.len() / columns, right.len() / columns);
    let (values, row_step, column_step) = match left {
        Left::Plain(values) => (values, depth, 1),
        Left::Transposed(values) => (values, 1, rows),
    };
    assert!(values.len() == rows * depth && result.len() == rows * columns && right.len() == depth * columns);
    for row in (0..rows).step_by(ROWS) {
        let values = &values[row * row_step..];
        let result = &mut result[row * columns..];
        let steps = (row_step, column_step);
        for column in (0..columns).step_by(2) {
            match (row + ROWS <= rows, column + 2 <= columns) {
                (true, true) => panel::<S, ROWS, 2, ADD>(simd, values, steps, depth, right, columns, column, result),
                (true, false) => panel::<S, ROWS, 1, ADD>(simd, values, steps, depth, right, columns, column, result),
                (false, _) => {
                    for row in 0..rows - row {
                        let values = &values[row * row_step..];
                        let result = &mut result[row * columns..];
                        for column in column..columns.min(column + 2) {
                            panel::<S, 1, 1, ADD>(simd, values, steps, depth, right, columns, column, result);
                        }
                    }
                }
            }
        }
    }
}

/// The first rows of the result, and of those some vectors from `column` on: as many as fit into registers.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "it is the inside of one loop")]
fn panel<S: Simd, const ROWS: usize, const COLUMNS: usize, const ADD: bool>(
    simd: S,
    left: &[f32],
    (row_step, column_step): (usize, usize),
    depth: usize,
    right: &[S::f32s],
    columns: usize,
    column: usize,
    result: &mut [S::f32s],
) {
    let mut sums = [[simd.splat_f32s(0.0); COLUMNS]; ROWS];
    assert!(depth > 0 && column + COLUMNS <= columns && right.len() == depth * columns);
    assert!(left.len() > (ROWS - 1) * row_step + (depth - 1) * column_step);
    for step in 0..depth {
        for (row, sums) in sums.iter_mut().enumerate() {
            #[expect(unsafe_code, reason = "checks here would take as long as the products")]
            // SAFETY: step < depth and row < ROWS, for which the length is asserted above.
            let value = simd.splat_f32s(*unsafe { left.get_unchecked(row * row_step + step * column_step) });
            for (place, sum) in sums.iter_mut().enumerate() {
                #[expect(unsafe_code, reason = "as above")]
                // SAFETY: step < depth and column + place < columns, and right has depth × columns vectors.
                let vector = *unsafe { right.get_unchecked(step * columns + column + place) };
                *sum = simd.mul_add_f32s(value, vector, *sum);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (result, sum) in result[row * columns + column..][..COLUMNS].iter_mut().zip(sums) {
            *result = if ADD { simd.add_f32s(*result, *sum) } else { *sum };
        }
    }
}
