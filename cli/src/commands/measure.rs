//! `mfactor measure`: the exported models of a study, measured on this machine.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::{Args, ValueEnum};
use edge_runner::figures;
use edge_runner::measure::Progress;
use edge_runner::record::{check_places, file_name, partial_name};
use edge_runner::rounds::{self, Event, LiveMachine, Order, Subject};
use engines::{EngineChoice, EngineKind, EngineOptions};
use mfactor::measurement::{Preset, Verdict};
use mfactor::{Error, Measurement, files};
use release::SensorChoice;

use super::export::models_folder;
use crate::output::Output;
use crate::programs::RUNNER;
use crate::progress::Line;
use crate::{signals, studies};

/// Measure the exported models on this machine: accuracy, latency, memory, energy
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor measure runs/first --preset quick
  mfactor measure runs/first --engine all

Models are measured in rounds, each round of a model in a process of its own, and records are filed under measurements/host/.
With --engine all both engines are measured, and the text says which to ship.")]
pub struct Measure {
    /// Folder of the study
    dir: PathBuf,
    /// Inference engine
    #[arg(long, value_enum, default_value_t = EngineChoice::Tract)]
    engine: EngineChoice,
    /// Threads of one inference
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// How thorough
    #[arg(long, value_enum, default_value_t = Thoroughness::Full)]
    preset: Thoroughness,
    /// ONNX Runtime's library; looked for in the Python environment if not given
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    ort_library: Option<PathBuf>,
}

/// The presets, as words of the command line.
#[derive(Clone, Copy, ValueEnum)]
pub enum Thoroughness {
    /// Seconds a model: a first look, labelled as such
    Quick,
    /// A minute a model: 5 windows of 10 seconds and at least 1,024 inferences
    Full,
}

impl Thoroughness {
    /// The preset that the word stands for.
    pub fn preset(self) -> Preset {
        match self {
            Self::Quick => Preset::Quick,
            Self::Full => Preset::Full,
        }
    }
}

impl Measure {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let record = studies::read(&self.dir, output)?;
        let order = self.order(models(&self.dir)?, record.config.data.map(|data| data.folder));
        let program = RUNNER.find()?;
        let line = Line::new(output);
        let folder = measurements_folder(&self.dir).join("host");
        check_places(&order, Some(&folder))?;
        let mut unfiled = None;
        let mut on_event = |subject: usize, event: Event<'_>| {
            text_of(&order.subjects[subject], &event).iter().for_each(|text| line.show(text));
            if let Err(error) = file(&folder, &event) {
                unfiled.get_or_insert(error);
            }
        };
        let stop = signals::stop_flag();
        let is_stopped = || stop.load(Ordering::Relaxed);
        let mut machine = LiveMachine::new(&program, &SensorChoice::default(), &is_stopped);
        let results = rounds::measure(&order, &mut machine, &mut on_event);
        line.finish();
        let (measurements, failures): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        let measurements: Vec<Measurement> = measurements.into_iter().flatten().collect();
        output.result(&measurements, || figures::text(&measurements))?;
        if is_stopped() {
            let text = "stopped: the figures are those of the rounds that were measured by then";
            return Err(Error::Interrupted(text.to_owned()).into());
        }
        if let Some(error) = unfiled.or_else(|| failures.into_iter().find_map(Result::err)) {
            return Err(error.into());
        }
        check(&measurements)
    }

    /// Every model with every engine.
    fn order(&self, models: Vec<PathBuf>, data: Option<PathBuf>) -> Order {
        let engine = |kind: &EngineKind| EngineOptions {
            kind: *kind,
            threads: self.threads,
            library: self.ort_library.clone(),
        };
        let subjects = models.iter().flat_map(|model| {
            self.engine.kinds().iter().map(|kind| Subject {
                model: model.clone(),
                contents: None,
                engine: engine(kind),
            })
        });
        Order { subjects: subjects.collect(), data: data.into_iter().collect(), preset: self.preset.preset() }
    }
}

/// Files what is known so far, lest a later failure lose it.
fn file(folder: &Path, event: &Event<'_>) -> mfactor::Result<()> {
    match event {
        Event::Partial(measured) => files::write_json(&folder.join(partial_name(measured)), measured),
        Event::Complete(measured) => {
            files::write_json(&folder.join(file_name(measured)), measured)?;
            // Left there after a crash it would only be replaced by the next measurement's.
            let _ = std::fs::remove_file(folder.join(partial_name(measured)));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Where the measurements of a study lie, a folder a target.
pub fn measurements_folder(study: &Path) -> PathBuf {
    study.join("measurements")
}

/// The exported models of a study.
pub fn models(study: &Path) -> mfactor::Result<Vec<PathBuf>> {
    let folder = models_folder(study);
    let mut models = files::entries(&folder)?;
    models.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    if models.is_empty() {
        let problem = format!("has no models; `mfactor export {}` makes them", study.display());
        return Err(Error::file(&folder, problem));
    }
    Ok(models)
}

/// An invalid measurement is filed and shown, and then is an error.
pub fn check(measurements: &[Measurement]) -> anyhow::Result<()> {
    let reasons: Vec<String> = measurements
        .iter()
        .filter_map(|measurement| match &measurement.verdict {
            Verdict::Valid => None,
            Verdict::Invalid { reasons } => {
                Some(format!("{}: {}", measurement.model.file, reasons.join("; ")))
            }
        })
        .collect();
    if reasons.is_empty() { Ok(()) } else { Err(Error::Invalid(reasons.join("; ")).into()) }
}

fn text_of(subject: &Subject, event: &Event<'_>) -> Option<String> {
    let model = subject.model.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{model} ({})", subject.engine.kind.name());
    Some(match event {
        Event::Progress { round, of, progress } => match progress {
            Progress::Loading | Progress::Loaded { .. } => format!("{name}: loading"),
            Progress::WarmingUp => format!("{name}: round {round} of {of}, warming up"),
            Progress::Timing => format!("{name}: round {round} of {of}, timing"),
            Progress::Records { done, of } => format!("{name}: test image {done} of {of}"),
        },
        Event::Retry { reasons, wait } => {
            let wait = wait.as_secs();
            format!("{name}: {}; cooling down, at most {wait} s", reasons.join("; "))
        }
        Event::Partial(_) | Event::Complete(_) | Event::Failed(_) => return None,
    })
}
