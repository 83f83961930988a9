//! One measurement of one model, in this process.
//!
//! In this order: pin to a core, start the engine, load and optimise the model, first inference, golden inputs,
//! warm-up, memory, timed windows, and only then, with the same session, the test records. All at batch 1.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use mfactor::measurement::{Latency, MeasuredAccuracy, MeasuredModel, Measurement, Preset, SCHEMA};
use mfactor::{Error, Result, golden};
use serde::{Deserialize, Serialize};

use crate::engine::{EngineOptions, Session};
use crate::model_file::ModelFile;
use crate::system::SystemTree;
use crate::timing::{Clock, Monotonic, Plan, ProcessorTime};
use crate::{accuracy, affinity, board, engine, memory, timing, verdict};

/// What to measure, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The model file.
    pub model: PathBuf,
    /// Files with labelled test records, and data-set folders, which stand for their test files. Without any,
    /// accuracy is not measured.
    pub data: Vec<PathBuf>,
    /// The engine.
    pub engine: EngineOptions,
    /// How thorough.
    pub preset: Preset,
}

/// How far a measurement is. They come in this order; windows and records repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The model is being loaded.
    Loading,
    /// The engine is being warmed up.
    WarmingUp,
    /// A timed window begins.
    Window {
        /// Which, from 1.
        number: usize,
        /// Of how many.
        of: usize,
    },
    /// Test records were classified.
    Records {
        /// How many.
        done: usize,
        /// Of how many.
        of: usize,
    },
}

/// Measures one model. The calling process should do nothing else: see [`crate::child`].
///
/// # Errors
/// What [`engine::open`], [`ModelFile::read`] and the reading of records can say. A measurement that was made and
/// is not to be believed is no error: its verdict says so.
pub fn measure(
    request: &Request,
    tree: &SystemTree,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Measurement> {
    let engine = engine::open(&request.engine)?;
    let pinned_core = if request.engine.threads == 1 { affinity::pin_to_one_core(tree) } else { None };
    let baseline = memory::now(tree);
    let mut clock = Monotonic::start();
    on_progress(Progress::Loading);

    let start = clock.now_ns();
    let model = ModelFile::read(&request.model)?;
    let mut session = engine.load(&model.bytes, model.signature(), &model.path.display().to_string())?;
    let load_ms = elapsed_ms(start, &mut clock);
    let records = accuracy::record_files(&request.data, &model)?;

    let inputs: Vec<Vec<u8>> =
        (0..golden::INPUTS).map(|number| golden::input(model.signature().image, number)).collect();
    let start = clock.now_ns();
    black_box(session.run(&inputs[0])?);
    let first_inference_ms = elapsed_ms(start, &mut clock);
    let golden_difference = golden_difference(session.as_mut(), &inputs, &model)?;

    let timed = time(session.as_mut(), &inputs, request.preset, tree, pinned_core, on_progress)?;
    let accuracy = measure_accuracy(session.as_mut(), &records, &model, on_progress)?;
    let [before, during @ ..] = timed.conditions.as_slice() else {
        return Err(Error::Defect("a measurement has no conditions".to_owned()));
    };
    Ok(Measurement {
        schema: SCHEMA,
        tool_version: mfactor::version(),
        unix_seconds: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
        verdict: verdict::judge(&model, golden_difference, before, during),
        conditions: [before.clone(), during.last().unwrap_or(before).clone()],
        model: describe(model),
        engine: engine.facts(),
        board: board::facts(tree),
        pinned_core,
        preset: request.preset,
        golden_difference: golden_difference.is_finite().then_some(golden_difference),
        accuracy,
        load_ms,
        first_inference_ms,
        warm_up_inferences: timed.warm_up_inferences,
        latency: timed.latency,
        processor_share: timed.processor_share,
        baseline_rss_bytes: baseline.resident,
        peak_rss_bytes: timed.memory.peak_resident,
        private_dirty_bytes: timed.memory.private_dirty,
        energy: None,
    })
}

/// The file name under which a measurement is filed: one for each model and engine.
pub fn file_name(measurement: &Measurement) -> String {
    let model = measurement.model.file.trim_end_matches(".onnx");
    format!("{model}.{}.json", measurement.engine.name)
}

fn elapsed_ms(start_ns: u64, clock: &mut Monotonic) -> f64 {
    (clock.now_ns() - start_ns) as f64 / 1e6
}

/// Largest difference from the golden logits of the model's metadata; infinite where one is not a number.
///
/// # Errors
/// If the session fails.
pub fn golden_difference(session: &mut dyn Session, inputs: &[Vec<u8>], model: &ModelFile) -> Result<f64> {
    let mut largest = 0.0f64;
    for (input, golden) in inputs.iter().zip(&model.metadata.golden_logits) {
        largest = largest.max(golden::difference(golden, &session.run(input)?));
    }
    Ok(largest)
}

struct Timed {
    warm_up_inferences: u64,
    memory: memory::Memory,
    latency: Latency,
    processor_share: f64,
    /// Before the first window, then after each.
    conditions: Vec<mfactor::measurement::Conditions>,
}

/// Warm-up and windows, over the golden inputs in turn.
fn time(
    session: &mut dyn Session,
    inputs: &[Vec<u8>],
    preset: Preset,
    tree: &SystemTree,
    core: Option<usize>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Timed> {
    let (plan, mut clock) = (Plan::of(preset), Monotonic::start());
    let mut inputs = inputs.iter().cycle();
    let mut run = || {
        let input = inputs.next().expect("there are golden inputs, and a cycle over them has no end");
        session.run(input).map(|logits| drop(black_box(logits)))
    };
    on_progress(Progress::WarmingUp);
    let warm_up_inferences = timing::warm_up(&plan, &mut clock, &mut run)?;
    // By now the engine holds all that it ever holds; later, our own samples would be counted too.
    let memory = memory::now(tree);
    let mut conditions = vec![board::conditions(tree, core)];
    let mut windows = vec![];
    let (mut processor_ns, mut wall_ns) = (0, 0);
    for number in 1..=plan.windows {
        on_progress(Progress::Window { number, of: plan.windows });
        let start = (ProcessorTime.now_ns(), clock.now_ns());
        windows.push(timing::window(&plan, &mut clock, &mut run)?);
        processor_ns += ProcessorTime.now_ns() - start.0;
        wall_ns += clock.now_ns() - start.1;
        conditions.push(board::conditions(tree, core));
    }
    let latency = Latency::from_windows(&windows)
        .ok_or_else(|| Error::Defect("a window ended without a sample".to_owned()))?;
    let processor_share = processor_ns as f64 / wall_ns as f64;
    Ok(Timed { warm_up_inferences, memory, latency, processor_share, conditions })
}

fn measure_accuracy(
    session: &mut dyn Session,
    files: &[PathBuf],
    model: &ModelFile,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Option<MeasuredAccuracy>> {
    if files.is_empty() {
        return Ok(None);
    }
    let records = accuracy::read(files, model)?;
    let mut on_progress = |done, of| on_progress(Progress::Records { done, of });
    accuracy::measure(session, &records, &mut on_progress).map(Some)
}

fn describe(model: ModelFile) -> MeasuredModel {
    MeasuredModel {
        file: model.name(),
        model_bytes: model.bytes.len() as u64,
        sha256: model.sha256,
        parameters: model.graph.parameters,
        metadata: model.metadata,
    }
}
