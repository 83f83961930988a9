//! `mfactor compare`: what M promised against what was measured.

use std::path::{Path, PathBuf};

use clap::Args;
use mfactor::{Error, Limits, Measurement, files};
use report::Input;
use search::Study;

use super::measure::measurements_folder;
use crate::output::Output;

/// Compare the ranking by M with what was measured, and write the report page
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor compare runs/first
  mfactor compare runs/first --max-latency-ms 5

The page is written to report/index.html in the folder of the study, and opens offline.")]
pub struct Compare {
    /// Folder of the study
    dir: PathBuf,
    /// Weight of the M-factor, if not the study's
    #[arg(long, allow_negative_numbers = true)]
    alpha: Option<f64>,
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
        let record = Study::read(&self.dir)?;
        let measurements = measurements(&measurements_folder(&self.dir))?;
        let input = Input {
            study: &record.config.name,
            alpha: self.alpha.unwrap_or(record.config.alpha),
            space: &record.config.space,
            trials: &record.trials,
            measurements: &measurements,
            limits: self.limits(),
            seed: record.config.seed,
        };
        let comparison = report::compare(&input)?;
        let page = self.dir.join("report/index.html");
        files::write(&page, report::page(&input, &comparison)?.as_bytes())?;
        output.result(&comparison, || report::terminal(&comparison, output.colour()))?;
        output.say(format!("The page: {}", page.display()));
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits {
            latency_ms: self.max_latency_ms,
            memory_bytes: self.max_memory_bytes,
            model_bytes: self.max_model_bytes,
            accuracy: self.min_accuracy,
        }
    }
}

/// All records of the study, target by target.
fn measurements(folder: &Path) -> mfactor::Result<Vec<Measurement>> {
    let mut paths = vec![];
    for target in entries(folder)? {
        if target.is_dir() {
            paths.extend(
                entries(&target)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "json")),
            );
        }
    }
    paths.iter().map(|path| Measurement::parse(&files::read(path)?, path.display())).collect()
}

/// What is in a folder, in the order of names; nothing where there is no folder.
fn entries(folder: &Path) -> mfactor::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => vec![],
        Err(error) => return Err(Error::io("read", folder)(error)),
    };
    paths.sort();
    Ok(paths)
}
