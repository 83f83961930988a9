//! What the options of a search ask of its study's configuration.

use mfactor::costs::{CostTerm, On, Source, parse_pair};
use mfactor::{Error, Quantity};
use search::config::{DataSource, EvaluatorConfig, FileSource, ObjectiveConfig};
use search::{Pruning, StrategyKind, StudyConfig};

use super::Search;
use crate::workers::Workers;

impl Search {
    /// Lays the options that were given over a configuration.
    pub(super) fn lay_over(&self, config: &mut StudyConfig) -> anyhow::Result<()> {
        if !self.architecture.is_empty() {
            config.architectures = self.architecture.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
            config.strategies.clear();
        }
        if let Some(strategy) = &self.strategy {
            config.strategies = StrategyKind::parse_list(strategy)?;
        }
        if let Some(path) = &self.space {
            config.space = mfactor::SearchSpace::load(path)?;
        }
        if let Some(evaluator) = &self.evaluator {
            config.evaluator = EvaluatorConfig::parse(&with_table(evaluator)?)?;
        }
        if let Some(data) = &self.data {
            config.data = Some(DataSource::open(&datasets::resolve(data)?, &config.space)?);
        }
        config.trials = self.trials.unwrap_or(config.trials);
        config.seed = self.seed.unwrap_or(config.seed);
        config.alpha = self.alpha.unwrap_or(config.alpha);
        self.lay_over_costs(config)?;
        if !self.front.is_empty() {
            config.objective.front.clone_from(&self.front);
        }
        self.lay_over_table(config)?;
        self.lay_over_measuring(config)?;
        config.objective.accuracy = self.accuracy.unwrap_or(config.objective.accuracy);
        config.objective.skip |= self.skip;
        if let Some(file) = &self.naswot {
            config.naswot = Some(FileSource::open(file)?);
        }
        config.recipe.epochs = self.epochs.unwrap_or(config.recipe.epochs);
        if self.prune && config.prune.is_none() {
            let is_front = !config.objective.front.is_empty();
            config.prune = Some(if is_front { Pruning::by_front() } else { Pruning::default() });
        }
        config.workers = match self.workers {
            None => config.workers,
            Some(Workers::Count(workers)) => workers,
            // A study that goes on keeps its number, which the machine of its beginning may have decided.
            Some(Workers::Auto) if self.resume => config.workers,
            Some(Workers::Auto) => self.trainers.most()?,
        };
        config.trial_timeout_seconds = self.trial_timeout.or(config.trial_timeout_seconds);
        config.check("the options")?;
        Ok(())
    }

    /// Budgets take the place of a file's costs; a limit joins the cost that it is of.
    fn lay_over_costs(&self, config: &mut StudyConfig) -> mfactor::Result<()> {
        let costs = &mut config.objective.cost;
        if !self.budget.is_empty() {
            *costs = self.budget.iter().map(|text| CostTerm::parse_budget(text)).collect::<Result<_, _>>()?;
        }
        for text in &self.limit {
            let (quantity, amount) = parse_pair(text, "macs=30M")?;
            if costs.is_empty() && quantity == Quantity::Parameters {
                costs.push(CostTerm::paper());
            }
            let Some(cost) = costs.iter_mut().find(|cost| cost.quantity == quantity) else {
                let problem = "has a limit and no budget; a limit is on a cost that the objective has";
                return Err(Error::input(quantity.name(), problem));
            };
            cost.limit = Some(quantity.amount(amount)?);
        }
        Ok(())
    }

    /// A cost table tells whatever cost is not exact; one of the front that is no cost of M yet becomes one.
    fn lay_over_table(&self, config: &mut StudyConfig) -> mfactor::Result<()> {
        let Some(file) = &self.cost_table else { return Ok(()) };
        let ObjectiveConfig { cost: costs, front, .. } = &mut config.objective;
        for quantity in
            front.iter().filter(|quantity| **quantity != Quantity::Accuracy && !quantity.is_exact())
        {
            if costs.iter().all(|cost| cost.quantity != *quantity) {
                costs.push(CostTerm { quantity: *quantity, ..CostTerm::paper() });
            }
        }
        let told: Vec<&mut CostTerm> = costs.iter_mut().filter(|cost| !cost.quantity.is_exact()).collect();
        if told.is_empty() {
            let problem = "tells nothing that is sought: name a budget or a front of what a board alone can tell, as in \
                           --budget latency_p50=2ms";
            return Err(Error::file(file, problem));
        }
        for cost in told {
            cost.source = Source::File { file: file.clone(), on: On::default() };
        }
        config.objective.read_tables(&config.space, self.force_cost_table)
    }

    /// What a table tells is measured too, if that was asked for.
    fn lay_over_measuring(&self, config: &mut StudyConfig) -> mfactor::Result<()> {
        if !self.boards.measure {
            return Ok(());
        }
        let told = config.objective.cost.iter_mut().filter(|cost| matches!(cost.source, Source::Model(_)));
        let told: Vec<&mut CostTerm> = told.collect();
        if told.is_empty() {
            let problem = "has to know what to measure, and for proposals what a table tells of it: name a budget and a \
                           --cost-table, as in --budget latency_p50=2ms";
            return Err(Error::Usage(format!("--measure {problem}")));
        }
        told.into_iter().for_each(|cost| cost.is_measured = true);
        Ok(())
    }
}

/// An evaluator in whose short form a published table is named by its file.
fn with_table(evaluator: &str) -> mfactor::Result<String> {
    match evaluator.strip_prefix("table:") {
        Some(table) => Ok(format!("table:{}", crate::commands::bench::table_file(table)?.display())),
        None => Ok(evaluator.to_owned()),
    }
}
