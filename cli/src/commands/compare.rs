//! `mfactor compare`: what M promised against what was measured.

use std::path::PathBuf;

use clap::Args;
use mfactor::{Error, Limits, files};
use report::by_class::winners;
use report::doubts::Doubt;
use report::{Input, Repeat};
use search::{StudyConfig, StudyRecord};

use crate::output::Output;
use crate::{measurements, studies};

/// The page of a study without trials has more bytes.
const SMALLEST_PAGE: u64 = 64 << 10;

/// Compare the ranking by M with what was measured, and write the report page
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor compare runs/first
  mfactor compare runs/first --max-latency-ms 5
  mfactor compare runs/seed0 --with runs/seed1 runs/seed2

The page is written to report/index.html in the folder of the study, and opens offline. Limits apply to everything that was measured,
on whichever board: those of the options, and where an option says nothing those of the board file that --target names.")]
pub struct Compare {
    /// Folder of the study
    dir: PathBuf,
    /// Studies that differ from it in their seed only: the strategies are compared over all of them
    #[arg(long, value_name = "DIR", num_args = 1..)]
    with: Vec<PathBuf>,
    /// Weight of the M-factor, if not the study's
    #[arg(long, allow_negative_numbers = true)]
    alpha: Option<f64>,
    /// Apply the limits of this board to everything measured: its name, or a board file
    #[arg(long, value_name = "NAME|FILE")]
    target: Option<String>,
    /// A model to ship must answer within this time (p90)
    #[arg(long, value_name = "MS")]
    max_latency_ms: Option<f64>,
    /// A model to ship must do with this much memory at its peak
    #[arg(long, value_name = "BYTES")]
    max_memory_bytes: Option<u64>,
    /// The file of a model to ship must not be larger
    #[arg(long, value_name = "BYTES")]
    max_model_bytes: Option<u64>,
    /// A model to ship must reach this accuracy, a fraction of 1
    #[arg(long, value_name = "A")]
    min_accuracy: Option<f64>,
}

impl Compare {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let record = studies::read(&self.dir, output)?;
        let page = self.dir.join("report/index.html");
        files::check_target(&page, SMALLEST_PAGE)?;
        let (measurements, unreadable) = measurements::read(&self.dir, &record.config.space, self.limits()?)?;
        unreadable.iter().for_each(|problem| output.say(format!("left out: {problem}")));
        let repeats = self.repeats(&record, output)?;
        let objective = record.config.objective()?;
        let objective = self.alpha.map_or(Ok(objective.clone()), |alpha| objective.at_alpha(alpha))?;
        let front = record.config.front()?;
        let input = Input {
            study: &record.config.name,
            objective: &objective,
            front: front.as_ref(),
            validation_images: record.config.validation_images(),
            space: &record.config.space,
            trials: &record.trials,
            measurements: &measurements,
            unreadable: &unreadable,
            repeats: &repeats,
            seed: record.config.seed,
        };
        let mut comparison = report::compare(&input)?;
        comparison.by_class = winners(&comparison)
            .into_iter()
            .filter_map(|(architecture, trial)| studies::by_class(&self.dir, architecture, trial, output))
            .collect();
        let remarks = record.damage_in_short().into_iter().chain(record.remarks.iter().cloned());
        comparison.doubts.extend(remarks.map(|remark| Doubt::OfStudy { remark }));
        files::write(&page, report::page(&input, &comparison).as_bytes())?;
        output.drawn_result(&comparison.with_words(), || report::terminal(&comparison, output.colour()))?;
        output.say(format!("The page: {}", page.display()));
        Ok(())
    }

    /// The other studies, each of which must be this one but for its seed.
    fn repeats(&self, own: &StudyRecord, output: &Output) -> anyhow::Result<Vec<Repeat>> {
        let mut repeats: Vec<Repeat> = vec![];
        for folder in &self.with {
            let StudyRecord { config, trials, .. } = studies::read(folder, output)?;
            let differences = own.config.differences(&named_alike(&config, &own.config));
            if !differences.is_empty() {
                let problem = format!(
                    "is no repetition of {}: {}; only the seed may be another",
                    self.dir.display(),
                    differences.join(", ")
                );
                return Err(Error::file(folder, problem).into());
            }
            let taken = repeats.iter().any(|repeat| repeat.seed == config.seed);
            if taken || config.seed == own.config.seed {
                let problem = format!("has seed {}, which another study has already", config.seed);
                return Err(Error::file(folder, problem).into());
            }
            repeats.push(Repeat { study: config.name, seed: config.seed, trials });
        }
        Ok(repeats)
    }

    /// The limits that were asked for, and those of the board that was named where nothing was.
    fn limits(&self) -> mfactor::Result<Limits> {
        let board = self.target.as_deref().map(targets::load).transpose()?;
        let of_board = board.map(|board| board.limits).unwrap_or_default();
        Ok(Limits {
            latency_ms: self.max_latency_ms.or(of_board.latency_ms),
            memory_bytes: self.max_memory_bytes.or(of_board.memory_bytes),
            model_bytes: self.max_model_bytes.or(of_board.model_bytes),
            accuracy: self.min_accuracy.or(of_board.accuracy),
        })
    }
}

/// A configuration with all that two seeds of one experiment may differ in taken from `own`.
fn named_alike(config: &StudyConfig, own: &StudyConfig) -> StudyConfig {
    StudyConfig {
        name: own.name.clone(),
        seed: own.seed,
        strategies: own.strategies.clone(),
        baseline: own.baseline,
        ..config.clone()
    }
}
