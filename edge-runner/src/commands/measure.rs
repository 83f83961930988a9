//! `edge-runner measure`: accuracy, latency and memory of models, each in a process of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use edge_runner::child;
use edge_runner::measure::{self, Progress, Request};
use mfactor::measurement::{Measurement, Preset, Verdict};
use mfactor::{Error, Result, exit, files};

use crate::commands::EngineArguments;
use crate::output::Output;

/// A process that has less of its core than this was disturbed by others.
const UNDISTURBED_SHARE: f64 = 0.97;

/// Measure accuracy, latency and memory of models
///
/// Each model is measured in a process of its own, one image at a time, on one core where that is allowed.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  edge-runner measure models/*.onnx --data test_batch.bin --output measurements\n  \
                  edge-runner measure model.onnx --engine ort --preset quick --json"
)]
pub struct Arguments {
    /// The models
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Labelled test records for the accuracy: a file of records, or a data-set folder
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// full: 5 windows of at least 10 s and 1024 samples in all; quick: 1 s and 100 samples, for a first look
    #[arg(long, value_enum, default_value = "full")]
    preset: PresetArgument,
    /// Folder for the records, one file a model, written as soon as it is measured
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArguments,
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
    let mut measurements = vec![];
    let mut code = exit::DONE;
    for model in &arguments.models {
        match measure_one(&program, model, arguments, output) {
            Ok(measurement) => measurements.push(measurement),
            Err(error) => {
                output.error(&error);
                code = if code == exit::DONE { error.exit_code() } else { code };
            }
        }
    }
    if code == exit::DONE && measurements.iter().any(|measured| measured.verdict != Verdict::Valid) {
        code = exit::INVALID;
    }
    output.result(&measurements, || table(&measurements))?;
    Ok(code)
}

fn measure_one(program: &Path, model: &Path, arguments: &Arguments, output: &Output) -> Result<Measurement> {
    let request = Request {
        model: model.to_owned(),
        data: arguments.data.clone(),
        engine: arguments.engine.options(),
        preset: match arguments.preset {
            PresetArgument::Full => Preset::Full,
            PresetArgument::Quick => Preset::Quick,
        },
    };
    let measurement =
        child::measure_in_child(program, &request, &mut |progress| tell(output, model, progress))?;
    if let Some(folder) = &arguments.output {
        files::write_json(&folder.join(measure::file_name(&measurement)), &measurement)?;
    }
    warn(output, &measurement);
    Ok(measurement)
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

fn tell(output: &Output, model: &Path, progress: Progress) {
    let name = model.file_name().unwrap_or_default().to_string_lossy();
    match progress {
        Progress::Loading => output.say(format!("{name}: loading")),
        Progress::WarmingUp => output.say(format!("{name}: warming up")),
        Progress::Window { number, of } => output.say(format!("{name}: window {number} of {of}")),
        Progress::Records { done, of } if done % 1000 == 0 || done == of => {
            output.say(format!("{name}: {done} of {of} test images"));
        }
        Progress::Records { .. } => {}
    }
}

fn warn(output: &Output, measurement: &Measurement) {
    let name = &measurement.model.file;
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
    if measurement.preset == Preset::Quick {
        output.say(format!(
            "{name}: measured with the quick preset; take --preset full for figures to publish"
        ));
    }
}

fn table(measurements: &[Measurement]) -> String {
    let mut text = format!(
        "{:<24}{:>7}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9}  verdict\n",
        "model", "engine", "accuracy", "P", "p50 ms", "p90 ms", "p99 ms", "load ms", "RSS MiB"
    );
    for measured in measurements {
        let accuracy = measured.accuracy.map_or_else(|| "-".to_owned(), |a| format!("{:.4}", a.accuracy));
        let memory = measured
            .peak_rss_bytes
            .map_or_else(|| "-".to_owned(), |bytes| format!("{:.1}", bytes as f64 / f64::from(1 << 20)));
        let latency = &measured.latency;
        let verdict = match (&measured.verdict, measured.board.emulated) {
            (Verdict::Invalid { .. }, _) => "invalid",
            (Verdict::Valid, true) => "emulated",
            (Verdict::Valid, false) => "valid",
        };
        text.push_str(&format!(
            "{:<24}{:>7}{accuracy:>10}{:>10}{:>10.3}{:>10.3}{:>10.3}{:>10.2}{memory:>9}  {verdict}\n",
            measured.model.file,
            measured.engine.name,
            measured.model.parameters,
            latency.p50_ms,
            latency.p90_ms,
            latency.p99_ms,
            measured.load_ms,
        ));
    }
    text
}
