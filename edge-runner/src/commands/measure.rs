//! `edge-runner measure`: accuracy, latency, memory and energy of models.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use edge_runner::measure::Progress;
use edge_runner::rounds::{self, Event, LiveMachine, Order, Subject};
use edge_runner::{figures, record, stop};
use engines::{EngineChoice, EngineOptions};
use mfactor::measurement::{Measurement, Preset, Verdict};
use mfactor::{Error, Result, exit, files};
use release::SensorChoice;

use crate::output::Output;

/// A process that has less of its core than this was disturbed by others.
const UNDISTURBED_SHARE: f64 = 0.97;

/// Measure accuracy, latency, memory and energy of models
///
/// Models are measured in rounds: each round times every model once, one image at a time, in a process of its own, on
/// one core where that is allowed. A round in which the board throttled is tried again after a cool-down.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  edge-runner measure models/*.onnx --data test_batch.bin --output measurements\n  \
                  edge-runner measure model.onnx --engine all --preset quick --json"
)]
pub struct Arguments {
    /// The models
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Labelled test records for the accuracy: a file of records, or a data-set folder
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// full: 5 rounds of at least 10 s and 1024 samples in all, which must agree; quick: 1 s and 100 samples, for a
    /// first look
    #[arg(long, value_enum, default_value = "full")]
    preset: PresetArgument,
    /// Folder for the records, one file a model and engine; a round's figures are there as soon as it is over
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// What runs the models; all: both engines, and which to ship
    #[arg(long, value_enum, default_value = "tract")]
    engine: EngineChoice,
    /// Threads of one inference
    #[arg(long, default_value_t = engines::engine::DEFAULT_THREADS)]
    threads: usize,
    /// ONNX Runtime's library (else $ORT_DYLIB_PATH, $VIRTUAL_ENV, or a .venv folder)
    #[arg(long, value_name = "FILE")]
    ort_library: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PresetArgument {
    Full,
    Quick,
}

/// Runs the command: every model is measured even if one fails. The exit code is that of the first failure, else
/// [`exit::INVALID`] if any measurement is not valid.
pub fn run(arguments: &Arguments, output: &Output) -> Result<u8> {
    check_names(&arguments.models, arguments.output.is_some())?;
    let program = std::env::current_exe().map_err(Error::io("find", Path::new("this program")))?;
    let order = order(arguments);
    record::check_places(&order, arguments.output.as_deref())?;
    let mut unfiled = None;
    let mut on_event = |subject: usize, event: Event<'_>| {
        tell(output, &order.subjects[subject], &event);
        let filed = arguments.output.as_deref().map_or(Ok(()), |folder| file(folder, &event));
        if let Err(error) = filed {
            unfiled.get_or_insert(error);
        }
    };
    stop::listen()?;
    let mut machine = LiveMachine::new(&program, &SensorChoice::default(), &stop::is_asked);
    let results = rounds::measure(&order, &mut machine, &mut on_event);
    let failed = results.iter().find_map(|result| result.as_ref().err()).map(Error::exit_code);
    let code = if stop::is_asked() { Some(exit::INTERRUPTED) } else { failed };
    let measurements: Vec<Measurement> = results.into_iter().flatten().collect();
    let is_invalid = measurements.iter().any(|measured| measured.verdict != Verdict::Valid);
    output.result(&measurements, || figures::text(&measurements))?;
    if stop::is_asked() {
        output.say("stopped: the figures are those of the rounds that were measured by then");
    }
    match unfiled {
        Some(error) => Err(error),
        None => Ok(code.unwrap_or(if is_invalid { exit::INVALID } else { exit::DONE })),
    }
}

/// Every model with every engine.
fn order(arguments: &Arguments) -> Order {
    let engine = |kind: &engines::EngineKind| EngineOptions {
        threads: arguments.threads,
        library: arguments.ort_library.clone(),
        ..EngineOptions::new(*kind)
    };
    let engines: Vec<EngineOptions> = arguments.engine.kinds().iter().map(engine).collect();
    let subjects = arguments.models.iter().flat_map(|model| {
        engines.iter().map(|engine| Subject { model: model.clone(), contents: None, engine: engine.clone() })
    });
    let preset = match arguments.preset {
        PresetArgument::Full => Preset::Full,
        PresetArgument::Quick => Preset::Quick,
    };
    Order { subjects: subjects.collect(), data: arguments.data.clone(), preset }
}

/// Files what is known so far, lest a later failure lose it.
fn file(folder: &Path, event: &Event<'_>) -> Result<()> {
    match event {
        Event::Partial(measured) => files::write_json(&folder.join(record::partial_name(measured)), measured),
        Event::Complete(measured) => {
            files::write_json(&folder.join(record::file_name(measured)), measured)?;
            // Left there after a crash it would only be replaced by the next measurement's.
            let _ = std::fs::remove_file(folder.join(record::partial_name(measured)));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Two models of one name would overwrite each other's record.
fn check_names(models: &[PathBuf], is_filed: bool) -> Result<()> {
    let mut names = BTreeSet::new();
    match models.iter().find(|model| !names.insert(model.file_stem())) {
        Some(twice) if is_filed => Err(Error::Usage(format!(
            "{}: another model has the same name, and their records would be one file; measure them apart",
            twice.display()
        ))),
        _ => Ok(()),
    }
}

fn tell(output: &Output, subject: &Subject, event: &Event<'_>) {
    let model = subject.model.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{model} ({})", subject.engine.kind.name());
    match event {
        Event::Progress { round, of, progress: Progress::Timing } => {
            output.say(format!("{name}: round {round} of {of}"));
        }
        Event::Progress { progress: Progress::Records { done, of }, .. }
            if done % 1000 == 0 || done == of =>
        {
            output.say(format!("{name}: {done} of {of} test images"));
        }
        Event::Retry { reasons, wait } => {
            let (reasons, wait) = (reasons.join("; "), wait.as_secs());
            output.say(format!("{name}: {reasons}; trying again after at most {wait} s to cool down"));
        }
        Event::Failed(error) => output.error(error),
        Event::Complete(measured) => warn(output, &name, measured),
        Event::Progress { .. } | Event::Partial(_) => {}
    }
}

fn warn(output: &Output, name: &str, measurement: &Measurement) {
    if let Verdict::Invalid { reasons } = &measurement.verdict {
        reasons.iter().for_each(|reason| output.say(format!("{name}: not valid: {reason}")));
    }
    if measurement.board.emulated {
        output.say(format!("{name}: the processor is emulated, so the times mean nothing"));
    }
    if measurement.engine.threads == 1 && measurement.processor_share < UNDISTURBED_SHARE {
        let share = 100.0 * measurement.processor_share;
        output.say(format!(
            "{name}: had only {share:.0} % of its core, so upper percentiles are too high; stop what else runs here"
        ));
    }
    if measurement.preset != Preset::Full {
        output.say(format!(
            "{name}: measured with the {} preset; take --preset full for figures to publish",
            measurement.preset.name()
        ));
    }
}
