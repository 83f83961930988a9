//! `mfactor pick`: a model for each budget, from one study.

use std::path::PathBuf;

use clap::Args;
use mfactor::costs::parse_pair;
use mfactor::numbers::{percent, points_apart};
use mfactor::text::name;
use mfactor::{Error, Limits, Quantity, Result};
use report::Input;
use report::pick::{Candidate, CostFront, Pick as Picked, exact_fronts};
use search::StudyRecord;
use serde::Serialize;

use crate::output::{Output, table, wrapped};
use crate::{measurements, studies};

/// Name a model for each budget, what a step down costs, and where the front bends
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor pick runs/first --budget macs=60M,80M,100M
  mfactor pick runs/first --budget latency_p50=2ms,4ms --on rpi4

Parameters, MACs and bytes are known of every trial; latency, memory and energy of the models that were measured. Models are told apart by
their accuracy on validation images. A latency keeps to a budget if the upper end of its interval does.")]
pub struct Pick {
    /// Folder of the study
    dir: PathBuf,
    /// A cost and its budgets, as in latency_p50=10ms,20ms,40ms
    #[arg(long, value_name = "COST=AMOUNT,...")]
    budget: String,
    /// Where it was measured, if in several places: the name of a place, or a column's name in `mfactor compare`
    #[arg(long, value_name = "NAME")]
    on: Option<String>,
}

impl Pick {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let (quantity, amounts) = parse_pair(&self.budget, "latency_p50=10ms,20ms")?;
        let budgets =
            amounts.split(',').map(|amount| quantity.amount(amount)).collect::<Result<Vec<f64>>>()?;
        let record = studies::read(&self.dir, output)?;
        let fronts = match quantity.is_exact() {
            true => exact_fronts(&record.trials, record.config.validation_images()),
            false => self.measured(&record, output)?,
        };
        let front = self.front(quantity, fronts)?;
        if let Some(on) = &front.on {
            output.say(format!("Measured on {on}"));
        }
        let picks = Picks { picks: budgets.iter().map(|budget| front.pick(*budget)).collect(), front };
        let accuracy = record.config.objective.accuracy.label();
        output.result(&picks, || text(&picks, accuracy))
    }

    /// Fronts over what was measured, among others.
    fn measured(&self, record: &StudyRecord, output: &Output) -> Result<Vec<CostFront>> {
        let space = &record.config.space;
        let (measurements, unreadable) = measurements::read(&self.dir, space, Limits::default())?;
        unreadable.iter().for_each(|problem| output.say(format!("left out: {problem}")));
        let comparison = report::compare(&Input {
            study: &record.config.name,
            objective: &record.config.objective()?,
            front: None,
            validation_images: record.config.validation_images(),
            space,
            trials: &record.trials,
            measurements: &measurements,
            unreadable: &unreadable,
            repeats: &[],
            seed: record.config.seed,
        })?;
        Ok(comparison.cost_fronts)
    }

    /// The one front that was meant, among those over the quantity.
    fn front(&self, quantity: Quantity, fronts: Vec<CostFront>) -> Result<CostFront> {
        let named = |on: &String| {
            self.on.as_ref().is_none_or(|name| name == on || on.starts_with(&format!("{name} ")))
        };
        let is_meant = |front: &CostFront| front.quantity == quantity && front.on.as_ref().is_none_or(named);
        let mut meant: Vec<CostFront> = fronts.into_iter().filter(is_meant).collect();
        match meant.len() {
            1 => Ok(meant.remove(0)),
            0 if quantity.is_exact() => Err(Error::file(&self.dir, "has no complete trial to pick from yet")),
            0 => {
                let on = self.on.as_ref().map_or(String::new(), |on| format!(" on {}", name(on)));
                let folder = self.dir.display();
                let problem = format!(
                    "was not measured{on}; to measure it here, run: mfactor measure {folder}; on a board: mfactor flash {folder}"
                );
                Err(Error::input(quantity.name(), problem))
            }
            _ => {
                let names: Vec<&str> = meant.iter().filter_map(|front| front.on.as_deref()).collect();
                let problem =
                    format!("was measured in several ways; say --on and one of: {}", names.join(", "));
                Err(Error::input(quantity.name(), problem))
            }
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Picks {
    /// One for each budget, in their order.
    picks: Vec<Picked>,
    #[serde(flatten)]
    front: CostFront,
}

/// `accuracy` is what the accuracy of the study is called.
fn text(picks: &Picks, accuracy: &str) -> String {
    let CostFront { quantity, front, knee, .. } = &picks.front;
    let show = |value: f64| quantity.show(rounded(*quantity, value));
    let row = |pick: &Picked| {
        let of = |text: &dyn Fn(&Candidate) -> String| pick.model.as_ref().map_or("-".to_owned(), text);
        let down = pick.step_down.as_ref().map_or("-".to_owned(), |down| {
            format!(
                "{}: {} less, {:.0} % cheaper",
                down.model.architecture,
                points_apart(down.accuracy_lost),
                100.0 * down.cost_saved
            )
        });
        [
            show(pick.budget),
            of(&|model| model.architecture.to_string()),
            of(&|model| percent(model.accuracy)),
            of(&|model| show(model.cost)),
            down,
        ]
    };
    let (cost, heading) = (format!(">{}", quantity.label()), format!(">{accuracy}"));
    let headers = [">budget", "model", &heading, &cost, "one step down"];
    let mut text = table(&headers, picks.picks.iter().map(row));
    let mut say = |line: String| text += &format!("\n{}", wrapped("", &line, 2));
    if let (Some(cheapest), true) = (front.first(), picks.picks.iter().any(|pick| pick.model.is_none())) {
        let (id, cost) = (&cheapest.architecture, show(cheapest.cost));
        say(format!("Nothing keeps to the smallest budgets: the cheapest model, {id}, has {cost}."));
    }
    if let Some(knee) = knee {
        let (id, reached, cost) = (&knee.architecture, percent(knee.accuracy), show(knee.cost));
        say(format!(
            "The front of {} models bends at {id} ({reached}, {cost}): beyond it {accuracy} costs more.",
            front.len()
        ));
    }
    text
}

/// What is measured is shown to the thousandth.
fn rounded(quantity: Quantity, value: f64) -> f64 {
    if quantity.is_exact() { value } else { (1000.0 * value).round() / 1000.0 }
}
