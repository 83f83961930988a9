//! NSGA-II (Deb et al., IEEE Transactions on Evolutionary Computation 6, 2002): a population that spreads along a front.

use mfactor::Point;
use mfactor::front::{Losses, dominates};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::history::{History, Shape};
use super::{Observation, Sought, Strategy};

/// Members of a generation. With 50, as is usual where evaluations cost little, a study of 50 trainings would be a random
/// search.
const POPULATION: usize = 20;
/// Share of children that have two parents.
const CROSSOVER: f64 = 0.9;

/// Proposes children of the population: tournaments of two by rank and then by crowding, uniform crossover, and one mutated
/// choice in the mean. After each generation the best of parents and children are the next population.
///
/// It seeks the front of accuracy and costs, whether or not one network is sought: that is what there is in the literature
/// under its name.
#[derive(Default)]
pub struct Nsga2 {
    history: History,
}

/// A point that has ended, and where it lies.
#[derive(Clone)]
struct Member<'a> {
    point: &'a Point,
    losses: Losses,
    /// Fronts that have to be taken away before it is in the first.
    rank: usize,
    /// How far its neighbours along its front are from each other.
    crowding: f64,
}

impl Strategy for Nsga2 {
    fn propose(
        &mut self,
        sought: &Sought,
        observations: &[Observation],
        rng: &mut ChaCha8Rng,
    ) -> Option<Point> {
        self.history.follow(&sought.space, observations);
        let history = &self.history;
        let complete = observations.len() / POPULATION * POPULATION;
        let population = population(sought, &observations[..complete]);
        if population.len() < 2 || history.is_exhausted() {
            return history.sample_new(rng);
        }
        let draw = || child(&population, history.shape(), rng);
        history.first_new(draw).or_else(|| history.sample_new(rng))
    }
}

/// The population after these generations.
fn population<'a>(sought: &Sought, observations: &'a [Observation]) -> Vec<Member<'a>> {
    let member = |seen: &'a Observation| {
        let (_, accuracy) = seen.ending()?;
        let losses = sought.front.losses(accuracy, &seen.cost);
        Some(Member { point: &seen.point, losses, rank: 0, crowding: 0.0 })
    };
    observations.chunks(POPULATION).fold(Vec::new(), |mut population, generation| {
        population.extend(generation.iter().filter_map(member));
        survivors(population)
    })
}

/// The best by rank, and by crowding within a rank.
fn survivors(mut members: Vec<Member<'_>>) -> Vec<Member<'_>> {
    rank(&mut members);
    let ranks = members.iter().map(|member| member.rank).max().map_or(0, |last| last + 1);
    (0..ranks).for_each(|rank| crowd(&mut members, rank));
    members.sort_by(|a, b| a.rank.cmp(&b.rank).then(b.crowding.total_cmp(&a.crowding)));
    members.truncate(POPULATION);
    members
}

fn rank(members: &mut [Member<'_>]) {
    let mut left: Vec<usize> = (0..members.len()).collect();
    for rank in 0.. {
        let is_beaten = |place: usize| {
            left.iter().any(|other| dominates(&members[*other].losses, &members[place].losses))
        };
        let (beaten, front): (Vec<usize>, Vec<usize>) = left.iter().partition(|place| is_beaten(**place));
        front.iter().for_each(|place| members[*place].rank = rank);
        if beaten.is_empty() {
            break;
        }
        left = beaten;
    }
}

/// The crowding distance of the members of one rank: infinite for those at an end.
fn crowd(members: &mut [Member<'_>], rank: usize) {
    let mut order: Vec<usize> = (0..members.len()).filter(|place| members[*place].rank == rank).collect();
    order.iter().for_each(|place| members[*place].crowding = 0.0);
    for axis in 0..3 {
        order.sort_by(|a, b| members[*a].losses[axis].total_cmp(&members[*b].losses[axis]));
        let (first, last) = (order[0], order[order.len() - 1]);
        let range = members[last].losses[axis] - members[first].losses[axis];
        if range <= 0.0 {
            continue;
        }
        for place in [first, last] {
            members[place].crowding = f64::INFINITY;
        }
        for three in order.windows(3) {
            members[three[1]].crowding +=
                (members[three[2]].losses[axis] - members[three[0]].losses[axis]) / range;
        }
    }
}

fn child(population: &[Member<'_>], shape: &Shape, rng: &mut ChaCha8Rng) -> Point {
    let [mother, father] = [0; 2].map(|_| parent(population, rng));
    let crosses = rng.random_bool(CROSSOVER);
    let choices = shape.options.len();
    let mut child = mother.clone();
    for choice in 0..choices {
        let from = [mother, father][usize::from(crosses && rng.random_bool(0.5))];
        let options = shape.options[choice];
        child.options_mut()[choice] =
            match [from, mother, father].map(|parent| shape.is_active(parent, choice)) {
                _ if rng.random_bool(1.0 / choices as f64) => rng.random_range(0..options),
                [true, ..] => from.options()[choice],
                [_, true, _] => mother.options()[choice],
                [_, _, true] if crosses => father.options()[choice],
                _ => rng.random_range(0..options),
            };
    }
    shape.canonical(child)
}

/// The better of two members.
fn parent<'a>(population: &[Member<'a>], rng: &mut ChaCha8Rng) -> &'a Point {
    let [one, other] = [0; 2].map(|_| &population[rng.random_range(0..population.len())]);
    let order = one.rank.cmp(&other.rank).then(other.crowding.total_cmp(&one.crowding));
    if order.is_le() { one.point } else { other.point }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(points: &[Point], losses: &[[f64; 2]]) -> Vec<(usize, f64, [f64; 2])> {
        let members = points.iter().zip(losses).map(|(point, [accuracy, cost])| Member {
            point,
            losses: [*accuracy, *cost, 0.0],
            rank: 0,
            crowding: 0.0,
        });
        let survivors = survivors(members.collect());
        survivors.iter().map(|of| (of.rank, of.crowding, [of.losses[0], of.losses[1]])).collect()
    }

    #[test]
    fn fronts_are_ranked_and_the_crowded_come_last() {
        let points: Vec<Point> = (0..5).map(|n| Point::new(vec![n])).collect();
        let losses = [[0.0, 4.0], [4.0, 0.0], [1.0, 3.0], [2.0, 2.5], [4.0, 4.0]];
        let found = members(&points, &losses);
        let order: Vec<[f64; 2]> = found.iter().map(|(_, _, losses)| *losses).collect();
        assert_eq!(order[2..], [[2.0, 2.5], [1.0, 3.0], [4.0, 4.0]]);
        // By hand: (4 - 1) / 4 + (3 - 0) / 4, and (2 - 0) / 4 + (4 - 2.5) / 4.
        assert_eq!(found[2..4].iter().map(|of| of.1).collect::<Vec<_>>(), [1.5, 0.875]);
        assert_eq!(found.iter().map(|of| of.0).collect::<Vec<_>>(), [0, 0, 0, 0, 1]);
        assert!(found[..2].iter().all(|of| of.1.is_infinite()));
    }
}
