//! The objective as a study's file has it.

use std::sync::Arc;

use mfactor::costs::{self, CostTerm, Source};
use mfactor::dataset::DataSet;
use mfactor::front::Front;
use mfactor::objective::check_alpha;
use mfactor::{AccuracyKind, Error, Objective, Quantity, Result, SearchSpace};
use serde::{Deserialize, Serialize};

use super::StudyConfig;
use crate::strategies::Sought;

/// What is sought beside accuracy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// Another place for the study's `alpha`; where it stands once a file was read.
    #[serde(default, skip_serializing)]
    alpha: Option<f64>,
    /// Which accuracy decides.
    #[serde(default, skip_serializing_if = "AccuracyKind::is_plain")]
    pub accuracy: AccuracyKind,
    /// The costs, at most one for each quantity; the paper's if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cost: Vec<CostTerm>,
    /// Costs against which accuracy is sought as a front, one or two, in place of the one network with the largest M;
    /// `accuracy` may be named too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub front: Vec<Quantity>,
    /// Whether proposals are skipped that could not win even with accuracy 1.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip: bool,
}

impl ObjectiveConfig {
    /// An objective over these costs.
    pub fn of(cost: Vec<CostTerm>) -> Self {
        Self { cost, ..Self::default() }
    }

    /// Reads the cost tables that costs name, as [`CostTerm::read_table`].
    ///
    /// # Errors
    /// As there.
    pub fn read_tables(&mut self, space: &SearchSpace, is_forced: bool) -> Result<()> {
        self.cost.iter_mut().try_for_each(|cost| cost.read_table(space, is_forced))
    }

    pub(super) fn is_paper(&self) -> bool {
        *self == Self::default()
    }
}

impl StudyConfig {
    /// What the study maximises.
    ///
    /// # Errors
    /// As [`costs::objective`].
    pub fn objective(&self) -> Result<Objective> {
        let objective = costs::objective(self.alpha, &self.objective.cost, &self.space)?;
        Ok(objective.with_accuracy(self.objective.accuracy))
    }

    /// That a cost is told by the table of an emulated board, where one is.
    pub fn emulated(&self) -> Option<String> {
        let is_emulated = |cost: &&CostTerm| matches!(&cost.source, Source::Model(model) if model.emulated);
        let names: Vec<&str> =
            self.objective.cost.iter().filter(is_emulated).map(|cost| cost.quantity.label()).collect();
        (!names.is_empty()).then(|| {
            format!(
                "{} is of an emulated processor, whose times mean nothing: what is chosen by it is chosen for no board",
                names.join(", ")
            )
        })
    }

    /// The front that is sought; `None` where the one network with the largest M is.
    ///
    /// # Errors
    /// As [`StudyConfig::objective`].
    pub fn front(&self) -> Result<Option<Front>> {
        self.sought().map(|sought| sought.is_front.then_some(sought.front))
    }

    /// Images of the validation split that A is a share of, while the data set is there to be looked at. Balanced accuracy is
    /// a share of none.
    pub fn validation_images(&self) -> Option<u64> {
        if !self.objective.accuracy.is_plain() {
            return None;
        }
        let data = DataSet::open(&self.data.as_ref()?.folder).ok()?;
        Some(data.manifest().validation as u64)
    }

    /// What strategies seek.
    ///
    /// # Errors
    /// As [`StudyConfig::objective`]; and [`Error::Input`] where what is no front is asked for, or one together with skipping.
    pub(crate) fn sought(&self) -> Result<Sought> {
        if self.objective.skip && !self.objective.front.is_empty() {
            let problem =
                "is of no use where a front is sought: what cannot have the largest M may lie on it";
            return Err(Error::input("skip", problem));
        }
        Sought::new(self.space.clone(), self.objective()?, &self.objective.front)
    }

    /// The same with what is known of networks that were not trained.
    ///
    /// # Errors
    /// As [`StudyConfig::sought`]; and where the ratings are not there as the study began with them.
    pub(crate) fn sought_with_ratings(&self) -> Result<Sought> {
        Ok(Sought { ratings: self.ratings()?.map(Arc::new), ..self.sought()? })
    }

    /// Puts α where it belongs once a file was read.
    ///
    /// # Errors
    /// [`Error::Input`] where it is given twice, or costs have parts of it that do not add up.
    pub(super) fn settle_alpha(&mut self, given: Option<f64>) -> Result<()> {
        self.alpha = self.total_alpha(given)?;
        self.objective.alpha = None;
        Ok(())
    }

    /// α where a file gives it: beside the other keys, as `given`, or among the costs.
    fn total_alpha(&self, given: Option<f64>) -> Result<f64> {
        if given.is_some() && self.objective.alpha.is_some() {
            return Err(Error::input("alpha", "is given twice, in [objective] and outside"));
        }
        let given = given.or(self.objective.alpha);
        if given.is_none() && self.objective.cost.is_empty() {
            return Ok(super::default_alpha());
        }
        // A wrong one is named by its own key.
        match given {
            Some(alpha) if check_alpha(alpha).is_err() => Ok(alpha),
            given => costs::total_alpha(given, &self.objective.cost),
        }
    }
}
