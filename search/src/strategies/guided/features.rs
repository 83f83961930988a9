//! What a regression knows of a network before it is trained, as a row of numbers.

use std::sync::Arc;

use mfactor::block::BlockKind;
use mfactor::point::Label;
use mfactor::{Cost, Point, SearchSpace};

use super::predictor::LAMBDA;
use super::ridge::Ridge;
use crate::ratings::Ratings;

/// What ratings are multiplied with, in deviations. The larger a column is, the less λ holds it back: of a rating it is known
/// beforehand that more is better. On the table of NAS-Bench-Macro ten trainings have a tau of 0.65 at 1, of 0.69 at 5; from
/// twenty on it changes nothing.
const WEIGHT: f64 = 4.0;

/// The columns of the regression: one for each option of each choice, one for how often an option is taken by choices of the same
/// kind (the blocks of a stage), the logarithms of all costs, and the number of blocks that compute something.
#[derive(Debug, Clone, Default)]
pub(super) struct Features {
    /// Column of the first option of each choice.
    options: Vec<usize>,
    /// Column of the first option of each choice's kind, if others are of it too.
    kinds: Vec<Option<usize>>,
    /// Columns before the numbers.
    counted: usize,
    /// Mean and deviation of each number over the space.
    numbers: Vec<(f64, f64)>,
    rated: Option<Rated>,
}

/// Ratings, and what those are expected to have that were not rated.
#[derive(Debug, Clone)]
struct Rated {
    ratings: Arc<Ratings>,
    /// Over all that are rated.
    mean: f64,
    deviation: f64,
    /// Of a rating in deviations, over all other columns.
    expected: Ridge,
}

impl Features {
    /// The columns for a space, scaled by some of its points.
    pub fn new(space: &SearchSpace, points: &[(Point, Cost)], ratings: Option<Arc<Ratings>>) -> Self {
        let mut features = Self::of_choices(space);
        let numbers: Vec<[f64; 4]> = points.iter().map(|(point, cost)| numbers(space, point, cost)).collect();
        features.numbers = (0..4).map(|place| scale(&numbers, place)).collect();
        features.rated = ratings.map(|ratings| features.rated(space, ratings));
        features
    }

    fn of_choices(space: &SearchSpace) -> Self {
        let mut features = Self::default();
        let choices: Vec<_> = space.choices().collect();
        for choice in &choices {
            features.options.push(features.counted);
            features.counted += choice.options.len();
        }
        let kind = |name: &str, options: &[Label]| {
            (
                name.rsplit_once(char::is_numeric).map(|(stem, end)| (stem.to_owned(), end.to_owned())),
                options.to_vec(),
            )
        };
        let kinds: Vec<_> = choices.iter().map(|choice| kind(&choice.name, &choice.options)).collect();
        for (place, kind) in kinds.iter().enumerate() {
            let first = kinds.iter().position(|other| other == kind).unwrap_or(place);
            let is_shared = kinds.iter().filter(|other| *other == kind).count() > 1;
            let column = match first == place {
                true => features.counted,
                false => features.kinds[first].unwrap_or_default(),
            };
            if is_shared && first == place {
                features.counted += choices[place].options.len();
            }
            features.kinds.push(is_shared.then_some(column));
        }
        features
    }

    fn rated(&self, space: &SearchSpace, ratings: Arc<Ratings>) -> Rated {
        let points = ratings.points();
        let known: Vec<[f64; 4]> =
            points.iter().filter_map(|point| Some([ratings.get(point)?, 0.0, 0.0, 0.0])).collect();
        let (mean, deviation) = scale(&known, 0);
        let rows: Vec<Vec<f64>> = points
            .iter()
            .map(|point| self.row(space, point, &space.cost(&space.architecture(point))))
            .collect();
        let targets: Vec<f64> = known.iter().map(|[rating, ..]| (rating - mean) / deviation).collect();
        let slices: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        Rated { mean, deviation, expected: Ridge::fit(&slices, &targets, LAMBDA), ratings }
    }

    /// The row of a point.
    pub fn row(&self, space: &SearchSpace, point: &Point, cost: &Cost) -> Vec<f64> {
        let mut row = vec![0.0; self.counted];
        for (choice, option) in point.options().iter().enumerate() {
            if space.is_active(point, choice) {
                row[self.options[choice] + usize::from(*option)] = 1.0;
                self.kinds[choice].iter().for_each(|column| row[column + usize::from(*option)] += 1.0);
            }
        }
        let numbers = numbers(space, point, cost);
        row.extend(
            numbers.iter().zip(&self.numbers).map(|(value, (mean, deviation))| (value - mean) / deviation),
        );
        if let Some(Rated { ratings, mean, deviation, expected }) = &self.rated {
            let own = ratings.get(point).map(|rating| (rating - mean) / deviation);
            row.push(WEIGHT * own.unwrap_or_else(|| expected.predict(&row)));
        }
        row
    }
}

fn numbers(space: &SearchSpace, point: &Point, cost: &Cost) -> [f64; 4] {
    let plan = space.plan(point);
    let blocks = plan.stages.iter().flat_map(|stage| &stage.blocks);
    let depth = blocks.filter(|block| block.kind != BlockKind::Identity).count();
    [(cost.parameters as f64).ln(), (cost.macs as f64).ln(), (cost.model_bytes as f64).ln(), depth as f64]
}

/// Mean and deviation; a column without any is left at 0.
fn scale(numbers: &[[f64; 4]], place: usize) -> (f64, f64) {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().map(|row| row[place]).sum::<f64>() / count;
    let variance = numbers.iter().map(|row| (row[place] - mean).powi(2)).sum::<f64>() / count;
    (mean, if variance > 1e-18 { variance.sqrt() } else { f64::INFINITY })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_a_stage_share_columns_and_inactive_choices_have_none() {
        let space = SearchSpace::load(std::path::Path::new("nas-bench-macro")).unwrap();
        let point = Point::new(vec![2, 2, 0, 1, 0, 1, 1, 1]);
        let cost = space.cost(&space.architecture(&point));
        let features = Features::new(&space, &[(point.clone(), cost)], None);
        let row = features.row(&space, &point, &cost);
        // Eight choices and three stages of three options each, and four numbers.
        assert_eq!(row.len(), 24 + 9 + 4);
        assert_eq!(row[24..33], [0.0, 0.0, 2.0, 2.0, 1.0, 0.0, 0.0, 3.0, 0.0]);
        assert_eq!(row[33..], [0.0; 4]);
        let space = SearchSpace::load(std::path::Path::new("edge32")).unwrap();
        let shallow = Point::new(vec![0; space.choices().count()]);
        let cost = space.cost(&space.architecture(&shallow));
        let features = Features::new(&space, &[(shallow.clone(), cost)], None);
        let deep = space.choices().position(|choice| choice.name == "stage1.block3").unwrap();
        let row = features.row(&space, &shallow, &cost);
        assert_eq!(row[features.options[deep]..features.options[deep + 1]], [0.0; 8]);
    }
}
