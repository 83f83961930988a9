//! What M chooses within a budget, of all networks of published tables: the most accurate one that keeps to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mfactor::objective::Term;
use mfactor::{Objective, Quantity, Values};
use serde::Deserialize;

/// The published table that is kept beside this repository, where it is.
pub const NAS_BENCH_MACRO: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/tables/nas-bench-macro_cifar10.json");

/// A network of a published table: what its trainings reached, in percent, and what it costs.
#[derive(Deserialize)]
struct Network {
    #[serde(alias = "acc")]
    test_acc: Vec<f64>,
    params: f64,
    flops: f64,
}

impl Network {
    /// Mean accuracy of its trainings, and its costs.
    fn values(&self) -> Values {
        let accuracy = self.test_acc.iter().sum::<f64>() / self.test_acc.len() as f64 / 100.0;
        let values = [
            (Quantity::Accuracy, accuracy),
            (Quantity::Parameters, self.params),
            (Quantity::Macs, self.flops),
        ];
        values.into_iter().collect()
    }
}

/// All tables at hand: those in the folder that `MFACTOR_TABLES` names, and the one beside this repository.
fn tables() -> Vec<Vec<Values>> {
    let folder = std::env::var_os("MFACTOR_TABLES").map(|folder| std::fs::read_dir(folder).unwrap());
    let named = folder.into_iter().flatten().map(|entry| entry.unwrap().path());
    let beside = Some(PathBuf::from(NAS_BENCH_MACRO)).filter(|file| file.exists());
    beside.into_iter().chain(named).map(|file| table(&file)).collect()
}

fn table(file: &Path) -> Vec<Values> {
    let networks: BTreeMap<String, Network> =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    networks.values().map(Network::values).collect()
}

fn most<'a>(networks: impl Iterator<Item = &'a Values>, key: impl Fn(&Values) -> f64) -> &'a Values {
    networks.max_by(|a, b| key(a).total_cmp(&key(b))).unwrap()
}

/// Whether the best M at `alpha` belongs to the most accurate network that costs at most `budget`.
fn agrees(networks: &[Values], quantity: Quantity, budget: f64, alpha: f64) -> bool {
    let term = Term { quantity, share: 1.0, reference: budget, limit: None };
    let objective = Objective::new(alpha, vec![term]).unwrap();
    let cost = |of: &Values| of.get(quantity).unwrap();
    let best = most(networks.iter(), |of| objective.score(of).unwrap());
    let fitting = networks.iter().filter(|of| cost(of) <= budget);
    best == most(fitting, |of| of.get(Quantity::Accuracy).unwrap())
}

#[test]
fn within_a_budget_m_chooses_the_most_accurate() {
    let tables = tables();
    for alpha in [4.0, 1.0, 0.25, 0.1] {
        let (mut cases, mut missed) = (0, 0);
        for (networks, quantity) in
            tables.iter().flat_map(|table| [(table, Quantity::Parameters), (table, Quantity::Macs)])
        {
            let mut costs: Vec<f64> = networks.iter().map(|of| of.get(quantity).unwrap()).collect();
            costs.sort_by(f64::total_cmp);
            for quantile in [10, 25, 50, 75] {
                cases += 1;
                missed += i32::from(!agrees(networks, quantity, costs[costs.len() * quantile / 100], alpha));
            }
        }
        println!("α = {alpha}: {} of {cases}", cases - missed);
        assert!(missed <= 1.max(cases / 12), "{missed} of {cases} missed at α = {alpha}");
    }
}
