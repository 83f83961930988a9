//! `mfactor measure`: the exported models of a study, measured on this machine.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use edge_runner::child::measure_in_child;
use edge_runner::measure::{Progress, Request, file_name};
use edge_runner::{EngineKind, EngineOptions};
use mfactor::measurement::{Preset, Verdict};
use mfactor::{Error, Measurement, files};
use search::Study;

use super::export::models_folder;
use crate::output::{Output, table};
use crate::programs::RUNNER;
use crate::progress::Line;

/// Measure the exported models on this machine: accuracy, latency, memory
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor measure runs/first --preset quick
  mfactor measure runs/first --engine ort

Each model is measured in a process of its own and its record filed under measurements/host/ at once.")]
pub struct Measure {
    /// Folder of the study
    dir: PathBuf,
    /// Inference engine
    #[arg(long, value_enum, default_value_t = EngineKind::Tract)]
    engine: EngineKind,
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
enum Thoroughness {
    /// Seconds a model: a first look, labelled as such
    Quick,
    /// A minute a model: 5 windows of 10 seconds and at least 1,024 inferences
    Full,
}

impl Measure {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let record = Study::read(&self.dir)?;
        let models = models(&self.dir)?;
        let data = record.config.data.map(|data| data.folder);
        let program = RUNNER.find()?;
        let line = Line::new(output);
        let mut measurements = vec![];
        for model in models {
            let name = model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let request = self.request(model, data.as_deref());
            let measurement =
                measure_in_child(&program, &request, &mut |progress| line.show(&text_of(&name, progress)))?;
            // Filed at once, lest a later model's failure lose it.
            let path = measurements_folder(&self.dir).join("host").join(file_name(&measurement));
            files::write_json(&path, &measurement)?;
            measurements.push(measurement);
        }
        line.finish();
        output.result(&measurements, || text(&measurements))?;
        check(&measurements)
    }

    fn request(&self, model: PathBuf, data: Option<&Path>) -> Request {
        let preset = match self.preset {
            Thoroughness::Quick => Preset::Quick,
            Thoroughness::Full => Preset::Full,
        };
        let engine =
            EngineOptions { kind: self.engine, threads: self.threads, library: self.ort_library.clone() };
        Request { model, data: data.into_iter().map(Path::to_owned).collect(), engine, preset }
    }
}

/// Where the measurements of a study lie, a folder a target.
pub fn measurements_folder(study: &Path) -> PathBuf {
    study.join("measurements")
}

fn models(study: &Path) -> mfactor::Result<Vec<PathBuf>> {
    let folder = models_folder(study);
    let mut models: Vec<PathBuf> = match std::fs::read_dir(&folder) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => vec![],
        Err(error) => return Err(Error::io("read", &folder)(error)),
    };
    models.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    models.sort();
    if models.is_empty() {
        let problem = format!("has no models; `mfactor export {}` makes them", study.display());
        return Err(Error::file(&folder, problem));
    }
    Ok(models)
}

/// An invalid measurement is filed and shown, and then is an error.
fn check(measurements: &[Measurement]) -> anyhow::Result<()> {
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

fn text_of(name: &str, progress: Progress) -> String {
    match progress {
        Progress::Loading => format!("{name}: loading"),
        Progress::WarmingUp => format!("{name}: warming up"),
        Progress::Window { number, of } => format!("{name}: timing, window {number} of {of}"),
        Progress::Records { done, of } => format!("{name}: test image {done} of {of}"),
    }
}

fn text(measurements: &[Measurement]) -> String {
    let headers = [
        "model",
        ">accuracy",
        ">p50 ms",
        ">p90 ms",
        ">p99 ms",
        ">load ms",
        ">peak MB",
        ">file kB",
        "verdict",
    ];
    let rows = measurements.iter().map(|measurement| {
        let ms = |value: f64| format!("{value:.3}");
        let missing = || "-".to_owned();
        [
            measurement.model.metadata.architecture.to_string(),
            measurement.accuracy.map_or_else(missing, |accuracy| format!("{:.4}", accuracy.accuracy)),
            ms(measurement.latency.p50_ms),
            ms(measurement.latency.p90_ms),
            ms(measurement.latency.p99_ms),
            format!("{:.1}", measurement.load_ms),
            measurement.peak_rss_bytes.map_or_else(missing, |bytes| format!("{:.1}", bytes as f64 / 1e6)),
            format!("{:.0}", measurement.model.model_bytes as f64 / 1e3),
            if measurement.counts() { "valid".to_owned() } else { "does not count".to_owned() },
        ]
    });
    let mut text = table(&headers, rows);
    if let Some(first) = measurements.first() {
        let engine = &first.engine;
        text.push_str(&format!(
            "\n{} with {} {}, {} thread{}, batch 1, preset {}\n",
            first.board.name,
            engine.name,
            engine.version,
            engine.threads,
            if engine.threads == 1 { "" } else { "s" },
            if first.preset == Preset::Quick { "quick: a first look only" } else { "full" },
        ));
    }
    text
}
