//! Ridge regression on few columns, by Cholesky's decomposition of the normal equations.

/// Weights w that minimise |X w − y|² + λ |w|², with columns of mean 0.
#[derive(Debug, Clone)]
pub(super) struct Ridge {
    /// Mean of each column.
    means: Vec<f64>,
    weights: Vec<f64>,
    /// Lower triangle of the decomposition of XᵀX + λ.
    factor: Vec<Vec<f64>>,
}

impl Ridge {
    /// Fits rows of equal length to `targets` whose mean is 0.
    pub fn fit(rows: &[&[f64]], targets: &[f64], lambda: f64) -> Self {
        let columns = rows.first().map_or(0, |row| row.len());
        let count = rows.len().max(1) as f64;
        let means: Vec<f64> =
            (0..columns).map(|column| rows.iter().map(|row| row[column]).sum::<f64>() / count).collect();
        let mut gram = vec![vec![0.0; columns]; columns];
        let mut moments = vec![0.0; columns];
        for (row, target) in rows.iter().zip(targets) {
            let filled: Vec<usize> = (0..columns).filter(|column| row[*column] != 0.0).collect();
            for (place, one) in filled.iter().enumerate() {
                moments[*one] += row[*one] * target;
                filled[..=place].iter().for_each(|other| gram[*one][*other] += row[*one] * row[*other]);
            }
        }
        let target: f64 = targets.iter().sum();
        for one in 0..columns {
            moments[one] -= means[one] * target;
            (0..=one).for_each(|other| gram[one][other] -= count * means[one] * means[other]);
            gram[one][one] += lambda;
        }
        let factor = decompose(gram);
        let weights = backward(&factor, forward(&factor, moments));
        Self { means, weights, factor }
    }

    /// What a row is predicted to have.
    pub fn predict(&self, row: &[f64]) -> f64 {
        let terms = row.iter().zip(&self.means).zip(&self.weights);
        terms.map(|((value, mean), weight)| (value - mean) * weight).sum()
    }

    /// How much the prediction of one of the rows of the fit owes to its own target.
    pub fn leverage(&self, row: &[f64], rows: usize) -> f64 {
        let centred = row.iter().zip(&self.means).map(|(value, mean)| value - mean).collect();
        1.0 / rows as f64 + forward(&self.factor, centred).iter().map(|value| value * value).sum::<f64>()
    }
}

fn decompose(mut matrix: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for row in 0..matrix.len() {
        for column in 0..=row {
            let dot: f64 = (0..column).map(|k| matrix[row][k] * matrix[column][k]).sum();
            let rest = matrix[row][column] - dot;
            // λ on the diagonal keeps it above 0.
            matrix[row][column] = if row == column { rest.sqrt() } else { rest / matrix[column][column] };
        }
    }
    matrix
}

fn forward(factor: &[Vec<f64>], mut values: Vec<f64>) -> Vec<f64> {
    for row in 0..values.len() {
        let dot: f64 = (0..row).map(|k| factor[row][k] * values[k]).sum();
        values[row] = (values[row] - dot) / factor[row][row];
    }
    values
}

fn backward(factor: &[Vec<f64>], mut values: Vec<f64>) -> Vec<f64> {
    for row in (0..values.len()).rev() {
        let dot: f64 = (row + 1..values.len()).map(|k| factor[k][row] * values[k]).sum();
        values[row] = (values[row] - dot) / factor[row][row];
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [[f64; 2]; 4] = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 3.0]];
    const TARGETS: [f64; 4] = [-1.0, 0.5, -0.5, 1.0];

    fn fit(rows: &[[f64; 2]], targets: &[f64]) -> Ridge {
        let rows: Vec<&[f64]> = rows.iter().map(|row| row.as_slice()).collect();
        Ridge::fit(&rows, targets, 1.0)
    }

    #[test]
    fn weights_solve_the_normal_equations() {
        // By hand: XᵀX + λ = [[3, 2], [2, 5.75]] and Xᵀy = [2, 1.5], after taking the means away.
        let ridge = fit(&ROWS, &TARGETS);
        let determinant = 3.0 * 5.75 - 4.0;
        let expected = [(5.75 * 2.0 - 2.0 * 1.5) / determinant, (3.0 * 1.5 - 2.0 * 2.0) / determinant];
        for (found, expected) in ridge.weights.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn leverages_give_what_a_fit_without_a_row_predicts() {
        // With the mean of the targets taken away anew the formula is exact.
        let ridge = fit(&ROWS, &TARGETS);
        for left_out in 0..4 {
            let rows: Vec<[f64; 2]> = (0..4).filter(|row| *row != left_out).map(|row| ROWS[row]).collect();
            let targets: Vec<f64> = (0..4).filter(|row| *row != left_out).map(|row| TARGETS[row]).collect();
            let mean = targets.iter().sum::<f64>() / 3.0;
            let centred: Vec<f64> = targets.iter().map(|target| target - mean).collect();
            let expected = mean + fit(&rows, &centred).predict(&ROWS[left_out]);
            let (own, leverage) = (ridge.predict(&ROWS[left_out]), ridge.leverage(&ROWS[left_out], 4));
            let found = (own - leverage * TARGETS[left_out]) / (1.0 - leverage);
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}
