//! Fronts: what cannot be more accurate without costing more, and how much of what there is it covers.

use std::cmp::Ordering;

use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::objective::Objective;
use crate::quantity::{Quantity, Values};
use crate::space::SearchSpace;

/// What is lost in each quantity, the less the better: the negative of accuracy, and logarithms of the costs; 0 in the
/// place of a cost that is not there. A factor in a cost counts alike wherever it lies, as budgets do.
pub type Losses = [f64; 3];

/// Accuracy against one cost or two.
#[derive(Debug, Clone, PartialEq)]
pub struct Front {
    costs: Vec<Quantity>,
    reference: Losses,
    ideal: Losses,
}

impl Front {
    /// The front of a space. The reference point of its hypervolume is what chance reaches, at the largest costs of the
    /// space. `objective` tells the costs that are not exact.
    ///
    /// # Errors
    /// [`Error::Input`] unless there are one or two different costs that are known before a network is measured.
    pub fn new(space: &SearchSpace, objective: &Objective, costs: Vec<Quantity>) -> Result<Self> {
        Self::check(&costs)?;
        let mut reference = [-1.0 / space.classes() as f64, 1.0, 1.0];
        let mut ideal = [-1.0, 0.0, 0.0];
        for (place, cost) in costs.iter().enumerate() {
            let Some([least, most]) = objective.models().range(*cost, space) else {
                let problem = format!(
                    "cannot be sought over {}: it is known by measuring alone, unless a table tells it (--table)",
                    cost.label()
                );
                return Err(Error::input("front", problem));
            };
            reference[1 + place] = most.ln();
            ideal[1 + place] = least.ln();
        }
        Ok(Self { costs, reference, ideal })
    }

    /// Refuses what is no list of costs for a front.
    fn check(costs: &[Quantity]) -> Result<()> {
        let refuse = |problem: String| Err(Error::input("front", problem));
        match costs {
            [] => refuse("names no cost; an example: macs".to_owned()),
            [_, _, _, ..] => refuse("has more than two costs beside accuracy".to_owned()),
            [one, other] if one == other => refuse(format!("names {} twice", one.name())),
            costs if costs.contains(&Quantity::Accuracy) => refuse("names accuracy twice".to_owned()),
            _ => Ok(()),
        }
    }

    /// The costs.
    pub fn costs(&self) -> &[Quantity] {
        &self.costs
    }

    /// The accuracy from which on the hypervolume counts, a fraction of 1.
    pub fn least_accuracy(&self) -> f64 {
        -self.reference[0]
    }

    /// The same front, whose hypervolume counts accuracies from another one on.
    #[must_use]
    pub fn from_accuracy(mut self, least: f64) -> Self {
        self.reference[0] = -least;
        self
    }

    /// The reference point, quantity by quantity.
    pub fn reference(&self) -> Values {
        let costs = self.costs.iter().zip(&self.reference[1..]);
        let costs = costs.map(|(cost, largest)| {
            (*cost, if cost.is_exact() { largest.exp().round() } else { largest.exp() })
        });
        costs.chain([(Quantity::Accuracy, self.least_accuracy())]).collect()
    }

    /// The reference point in words: `accuracy 10.0 % at 160,572,672 MACs`.
    pub fn reference_words(&self) -> String {
        let reference = self.reference();
        let cost = |cost: &Quantity| Some(format!("{} {}", cost.show(reference.get(*cost)?), cost.label()));
        let costs: Vec<String> = self.costs.iter().filter_map(cost).collect();
        format!("accuracy {:.1} % at {}", 100.0 * self.least_accuracy(), costs.join(" and "))
    }

    /// Where a network lies.
    pub fn losses(&self, accuracy: f64, cost: &Cost) -> Losses {
        let values = cost.values();
        let mut losses = [-accuracy, 0.0, 0.0];
        for (place, quantity) in losses[1..].iter_mut().zip(&self.costs) {
            *place = values.get(*quantity).expect("a front has costs that are known before training").ln();
        }
        losses
    }

    /// Whether one costs no more than the other in any cost.
    pub fn costs_no_more(&self, one: &Cost, other: &Cost) -> bool {
        let (one, other) = (self.losses(0.0, one), self.losses(0.0, other));
        one.iter().zip(other).all(|(one, other)| *one <= other)
    }

    /// Volume between the reference point and what is at least as good as one of `points` (Zitzler and Thiele 1998). Its
    /// unit is that of accuracy times the natural logarithm of each cost.
    pub fn hypervolume(&self, points: &[Losses]) -> f64 {
        hypervolume(points, &self.reference)
    }

    /// [`Front::hypervolume`] as a share of what one network would cover that is never wrong and costs the least there is. From
    /// 0 to 1; 1 is out of reach.
    pub fn share(&self, points: &[Losses]) -> f64 {
        let whole = volume(&self.ideal, &self.reference);
        // Where all networks of a space cost the same there is nothing to cover.
        if whole > 0.0 { self.hypervolume(points) / whole } else { 0.0 }
    }

    /// What a point would add to the hypervolume of `points`: the volume that it alone dominates.
    pub fn gain(&self, point: &Losses, points: &[Losses]) -> f64 {
        let alone = volume(point, &self.reference);
        if alone <= 0.0 || points.iter().any(|other| other == point || dominates(other, point)) {
            return 0.0;
        }
        // What others dominate of a point's volume, they dominate from where they are not better than it.
        let limited: Vec<Losses> =
            points.iter().map(|other| std::array::from_fn(|place| other[place].max(point[place]))).collect();
        alone - hypervolume(&limited, &self.reference)
    }
}

/// Whether one is nowhere worse than the other, and somewhere better.
pub fn dominates(one: &Losses, other: &Losses) -> bool {
    one.iter().zip(other).all(|(one, other)| one <= other) && one != other
}

/// Positions of the points that no other dominates; the first of those that are equal.
pub fn front(points: &[Losses]) -> Vec<usize> {
    let stands = |place: &usize| {
        let point = &points[*place];
        let beaten = |(other, against): (usize, &Losses)| {
            dominates(against, point) || (against == point && other < *place)
        };
        !points.iter().enumerate().any(beaten)
    };
    (0..points.len()).filter(stands).collect()
}

/// Those that are better than all before them in an order; of those that are equal in both the first. By rising cost, with what
/// is more accurate the better, that is a front.
pub fn staircase<T>(
    mut items: Vec<T>,
    order: impl Fn(&T, &T) -> Ordering,
    better: impl Fn(&T, &T) -> Ordering,
) -> Vec<T> {
    items.sort_by(|a, b| order(a, b).then_with(|| better(a, b)));
    let mut stairs: Vec<T> = vec![];
    for item in items {
        if stairs.last().is_none_or(|best| better(&item, best).is_lt()) {
            stairs.push(item);
        }
    }
    stairs
}

fn volume(point: &Losses, reference: &Losses) -> f64 {
    point.iter().zip(reference).map(|(value, end)| (end - value).max(0.0)).product()
}

/// By sweeping the last axis: between two of its values the area of what lies below stays the same.
fn hypervolume(points: &[Losses], reference: &Losses) -> f64 {
    let inside = |point: &&Losses| point.iter().zip(reference).all(|(value, end)| value < end);
    let mut points: Vec<Losses> = points.iter().filter(inside).copied().collect();
    // By all that counts, or the order of equals would change the last digit.
    points.sort_by(|a, b| a[1].total_cmp(&b[1]).then(a[0].total_cmp(&b[0])));
    let mut slabs: Vec<f64> = points.iter().map(|point| point[2]).chain([reference[2]]).collect();
    slabs.sort_by(f64::total_cmp);
    slabs.dedup();
    let slab = |ends: &[f64]| (ends[1] - ends[0]) * area(&points, ends[0], reference);
    slabs.windows(2).map(slab).sum()
}

/// The area that points dominate, rising in the second axis, of those that are at most `until` in the third.
fn area(points: &[Losses], until: f64, reference: &Losses) -> f64 {
    let (mut area, mut best) = (0.0, reference[0]);
    for point in points.iter().filter(|point| point[2] <= until && point[0] <= reference[0]) {
        if point[0] < best {
            area += (best - point[0]) * (reference[1] - point[1]);
            best = point[0];
        }
    }
    area
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNIT: Losses = [1.0, 1.0, 1.0];

    fn of(front: &[Losses]) -> f64 {
        hypervolume(front, &UNIT)
    }

    proptest! {
        /// The share of a grid's cells that a point dominates.
        #[test]
        fn a_hypervolume_is_what_a_grid_counts(points in prop::collection::vec((0u8..7, 0u8..7, 0u8..7), 0..12)) {
            let points: Vec<[u8; 3]> = points.into_iter().map(|(a, b, c)| [a, b, c]).collect();
            let scaled: Vec<Losses> = points.iter().map(|point| point.map(|value| f64::from(value) / 7.0)).collect();
            let cells = (0..7 * 7 * 7).filter(|cell| {
                let cell = [cell / 49, cell / 7 % 7, cell % 7];
                points.iter().any(|point| point.iter().zip(cell).all(|(value, cell)| u16::from(*value) <= cell))
            });
            prop_assert!((of(&scaled) - cells.count() as f64 / 343.0).abs() < 1e-12);
        }

        #[test]
        fn a_staircase_by_rising_cost_is_a_front(points in prop::collection::vec((0u8..4, 0u8..4), 0..9)) {
            let points: Vec<Losses> = points.into_iter().map(|(a, b)| [f64::from(a), f64::from(b), 0.0]).collect();
            let (by_cost, by_accuracy) =
                (|a: &usize, b: &usize| points[*a][1].total_cmp(&points[*b][1]), |a: &usize, b: &usize| points[*a][0].total_cmp(&points[*b][0]));
            let mut stairs = staircase((0..points.len()).collect(), by_cost, by_accuracy);
            prop_assert!(stairs.is_sorted_by(|a, b| by_cost(a, b).is_lt()));
            stairs.sort_unstable();
            prop_assert_eq!(stairs, front(&points));
        }

        #[test]
        fn a_gain_is_what_is_added(points in prop::collection::vec((0.0..1.2, 0.0..1.2, 0.0..1.2), 1..9)) {
            let points: Vec<Losses> = points.into_iter().map(|(a, b, c)| [a, b, c]).collect();
            let (last, others) = points.split_last().unwrap();
            let front = Front { costs: vec![], reference: UNIT, ideal: [0.0; 3] };
            prop_assert!((front.gain(last, others) - (of(&points) - of(others))).abs() < 1e-12);
        }

        #[test]
        fn the_front_has_all_of_the_hypervolume(points in prop::collection::vec((0.0..1.0, 0.0..1.0), 1..12)) {
            let points: Vec<Losses> = points.into_iter().map(|(a, b)| [a, b, 0.0]).collect();
            let standing: Vec<Losses> = front(&points).into_iter().map(|place| points[place]).collect();
            prop_assert!((of(&points) - of(&standing)).abs() < 1e-12);
            for one in &standing {
                prop_assert!(!points.iter().any(|other| dominates(other, one)));
            }
        }
    }

    #[test]
    fn of_equal_points_the_first_stands() {
        assert_eq!(front(&[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.4, 0.6, 0.0], [0.5, 0.6, 0.0]]), [0, 2]);
        assert_eq!(of(&[]), 0.0);
    }

    #[test]
    fn the_reference_is_chance_at_the_largest_cost() {
        let (space, objective) = (SearchSpace::paper(), Objective::paper(1.0, 272_474).unwrap());
        let front = Front::new(&space, &objective, vec![Quantity::Macs]).unwrap();
        assert_eq!(front.reference_words(), "accuracy 10.0 % at 124,699,264 MACs");
        let cost = Cost { macs: 124_699_264, ..space.cost(&space.smallest()) };
        assert_eq!(front.hypervolume(&[front.losses(0.9, &cost)]), 0.0);
        assert!(front.hypervolume(&[front.losses(0.9, &Cost { macs: 50_000_000, ..cost })]) > 0.0);
        let ideal = front.losses(1.0, &Cost { macs: 40_813_184, ..cost });
        assert!((front.share(&[ideal]) - 1.0).abs() < 1e-12);
        assert!((front.share(&[front.losses(0.55, &Cost { macs: 40_813_184, ..cost })]) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_front_is_refused() {
        let (space, objective) = (SearchSpace::paper(), Objective::paper(1.0, 272_474).unwrap());
        let refused =
            |costs: &[Quantity]| Front::new(&space, &objective, costs.to_vec()).unwrap_err().to_string();
        assert!(refused(&[]).contains("no cost"));
        assert!(refused(&[Quantity::Macs, Quantity::Macs]).contains("twice"));
        assert!(refused(&[Quantity::Accuracy]).contains("accuracy twice"));
        assert!(refused(&[Quantity::LatencyP50]).contains("measuring"));
        assert!(refused(&[Quantity::Macs, Quantity::Parameters, Quantity::ModelBytes]).contains("two"));
    }
}
