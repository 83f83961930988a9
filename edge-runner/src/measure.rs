//! The parts of a measurement, each made in a process of its own: see [`crate::child`] and [`crate::rounds`].
//!
//! Both parts begin alike: start the engine, load and optimise the model, first inference, golden inputs. Then one
//! classifies test records, and the other warms up and times one window. All at batch 1, by the same path.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use engines::engine::{Engine, EngineOptions, Session};
use engines::model_file::{self, ModelFile};
use engines::{accuracy, engine, golden};
use mfactor::measurement::{Board, Conditions, EngineFacts, MeasuredAccuracy, MeasuredModel, Preset, Round};
use mfactor::{Result, files};
use serde::{Deserialize, Serialize};

use crate::affinity::Pinned;
use crate::energy::{self, Meter, Power, Sensor};
use crate::memory::Phases;
use crate::sensors::Sensors;
use crate::system::SystemTree;
use crate::timing::{Clock, Monotonic, Plan, ProcessorTime};
use crate::{affinity, board, timing, verdict};

/// What to measure, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The model file.
    pub model: PathBuf,
    /// Where its bytes are read, if not there: a descriptor of what was verified before.
    #[serde(default)]
    pub contents: Option<PathBuf>,
    /// The engine.
    pub engine: EngineOptions,
    /// What is read while it measures.
    #[serde(default)]
    pub sensors: Sensors,
    /// Which part.
    pub part: Part,
}

/// A part of a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Classify labelled records.
    Accuracy {
        /// Files of records, and data-set folders, which stand for their test files.
        data: Vec<PathBuf>,
    },
    /// Warm up and time one window.
    Round {
        /// How thorough.
        preset: Preset,
    },
}

/// How far a part is. They come in this order; records repeat.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The model is being loaded.
    Loading,
    /// It is loaded, and an inference takes so long.
    Loaded {
        /// Milliseconds of one inference.
        inference_ms: f64,
    },
    /// The engine is being warmed up.
    WarmingUp,
    /// The timed window begins.
    Timing,
    /// Test records were classified.
    Records {
        /// How many.
        done: usize,
        /// Of how many.
        of: usize,
    },
}

/// What a part found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Of [`Part::Accuracy`].
    Accuracy(MeasuredAccuracy),
    /// Of [`Part::Round`].
    Round(Box<RoundAnswer>),
}

/// What one round found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundAnswer {
    /// The model.
    pub model: MeasuredModel,
    /// The engine.
    pub engine: EngineFacts,
    /// The machine.
    pub board: Board,
    /// The core.
    pub pinned_core: Option<usize>,
    /// Largest difference on the golden inputs; `None` if an answer is not a number.
    pub golden_difference: Option<f64>,
    /// What speaks against the model, in whatever state the board was.
    pub model_reasons: Vec<String>,
    /// The round. Its place among others is not known here, and its samples are not yet set aside.
    pub round: Round,
    /// The samples, nanoseconds.
    pub samples_ns: Vec<u64>,
}

/// Makes one part. The calling process should do nothing else: see [`crate::child`].
///
/// # Errors
/// What [`engine::open`], [`ModelFile::read`] and the reading of records can say. A measurement that was made and
/// is not to be believed is no error: its verdict says so.
pub fn measure(
    request: &Request,
    tree: &SystemTree,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Answer> {
    let engine = engine::open(&request.engine)?;
    let pinned = if request.engine.threads == 1 { affinity::pin_to_one_core(tree) } else { None };
    on_progress(Progress::Loading);
    let mut loaded = Loaded::load(request, engine.as_ref(), tree)?;
    on_progress(Progress::Loaded { inference_ms: loaded.slowest_ms });
    match &request.part {
        Part::Accuracy { data } => loaded.accuracy(data, on_progress).map(Answer::Accuracy),
        Part::Round { preset } => {
            let timed =
                loaded.time(Plan::of(*preset), &request.sensors, tree, pinned.as_ref(), on_progress)?;
            let answer = loaded.answer(timed, engine.as_ref(), board::facts(tree), pinned)?;
            Ok(Answer::Round(Box::new(answer)))
        }
    }
}

/// A model that an engine has loaded, and that has answered its golden inputs.
struct Loaded<'a> {
    model: ModelFile,
    session: Box<dyn Session>,
    inputs: Vec<Vec<u8>>,
    golden_difference: f64,
    load_ms: f64,
    first_inference_ms: f64,
    /// The slowest inference so far.
    slowest_ms: f64,
    memory: Phases<'a>,
    counts_memory: bool,
}

/// One window, and what was read around it.
struct Timed {
    warm_up_inferences: u64,
    samples_ns: Vec<u64>,
    processor_share: f64,
    conditions: [Conditions; 2],
    energy: Option<mfactor::measurement::Energy>,
}

impl<'a> Loaded<'a> {
    fn load(request: &Request, engine: &dyn Engine, tree: &'a SystemTree) -> Result<Self> {
        let mut memory = Phases::start(tree);
        let mut clock = Monotonic::start();
        let contents = request.contents.as_ref().unwrap_or(&request.model);
        let bytes = files::read_at_most(contents, model_file::LARGEST_FILE)?;
        let model = ModelFile::inspect(&request.model, bytes)?;
        let mut session = engine.load(&model.bytes, model.signature(), &model.path.display().to_string())?;
        let load_ms = elapsed_ms(0, &mut clock);
        memory.loaded();
        let inputs = golden::inputs(&model);
        let start = clock.now_ns();
        black_box(session.run(&inputs[0])?);
        let first_inference_ms = elapsed_ms(start, &mut clock);
        let start = clock.now_ns();
        let golden_difference = golden::difference(session.as_mut(), &inputs, &model)?;
        let slowest_ms = first_inference_ms.max(elapsed_ms(start, &mut clock) / inputs.len() as f64);
        let counts_memory = engine.allocates_here();
        Ok(Self {
            model,
            session,
            inputs,
            golden_difference,
            load_ms,
            first_inference_ms,
            slowest_ms,
            memory,
            counts_memory,
        })
    }

    fn accuracy(
        &mut self,
        data: &[PathBuf],
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<MeasuredAccuracy> {
        let files = accuracy::record_files(data, &self.model)?;
        let records = accuracy::read(&files, &self.model)?;
        let mut on_progress = |done, of| on_progress(Progress::Records { done, of });
        accuracy::measure(self.session.as_mut(), &records, &mut on_progress)
    }

    /// Warm-up and window, over the golden inputs in turn.
    fn time(
        &mut self,
        plan: Plan,
        sensors: &Sensors,
        tree: &SystemTree,
        pinned: Option<&Pinned>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Timed> {
        let core = pinned.map(|pinned| pinned.core);
        let sensor = sensors.energy.as_ref().and_then(|sensor| {
            let rest = rest(sensor, tree, pinned, plan.rest)?;
            Some((sensor, rest))
        });
        let mut clock = Monotonic::start();
        let mut inputs = self.inputs.iter().cycle();
        let session = &mut self.session;
        let mut run = || {
            let input = inputs.next().expect("there are golden inputs, and a cycle over them has no end");
            session.run(input).map(|logits| drop(black_box(logits)))
        };
        on_progress(Progress::WarmingUp);
        let warm_up_inferences = timing::warm_up(&plan, &mut clock, &mut run)?;
        self.memory.warm(self.counts_memory);
        let before = board::conditions(tree, sensors, core);
        on_progress(Progress::Timing);
        let meter = sensor.as_ref().map(|(sensor, _)| Meter::start(sensor, tree, pinned));
        let start = (ProcessorTime.now_ns(), clock.now_ns());
        let samples_ns = timing::window(&plan, &mut clock, &mut run)?;
        let (processor_ns, wall_ns) = (ProcessorTime.now_ns() - start.0, clock.now_ns() - start.1);
        let power = meter.and_then(Meter::stop);
        let energy = sensor.zip(power).and_then(|((sensor, rest), power)| {
            energy::of_inferences(sensor, rest, power, wall_ns as f64 / 1e9, samples_ns.len())
        });
        let processor_share = processor_ns as f64 / wall_ns as f64;
        let conditions = [before, board::conditions(tree, sensors, core)];
        Ok(Timed { warm_up_inferences, samples_ns, processor_share, conditions, energy })
    }

    fn answer(
        self,
        timed: Timed,
        engine: &dyn Engine,
        board: Board,
        pinned: Option<Pinned>,
    ) -> Result<RoundAnswer> {
        let difference = self.golden_difference;
        let facts = engine.facts();
        let kernels = self.session.kernels().or(facts.kernels);
        Ok(RoundAnswer {
            golden_difference: difference.is_finite().then_some(difference),
            model_reasons: verdict::of_model(&self.model, difference),
            model: describe(self.model),
            engine: EngineFacts { kernels, ..facts },
            board,
            pinned_core: pinned.map(|pinned| pinned.core),
            round: Round {
                number: 1,
                attempt: 1,
                position: 1,
                cool_down_seconds: 0.0,
                unix_seconds: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
                load_ms: self.load_ms,
                first_inference_ms: self.first_inference_ms,
                warm_up_inferences: timed.warm_up_inferences,
                processor_share: timed.processor_share,
                memory: self.memory.found(),
                energy: timed.energy,
                verdict: verdict::of_board(&timed.conditions[0], &timed.conditions[1]),
                conditions: timed.conditions,
                samples: timed.samples_ns.len(),
                set_aside_ns: vec![],
            },
            samples_ns: timed.samples_ns,
        })
    }
}

/// The board's power with the model loaded and nothing to do.
fn rest(
    sensor: &Sensor,
    tree: &SystemTree,
    pinned: Option<&Pinned>,
    time: std::time::Duration,
) -> Option<Power> {
    let meter = Meter::start(sensor, tree, pinned);
    std::thread::sleep(time);
    meter.stop()
}

fn elapsed_ms(start_ns: u64, clock: &mut Monotonic) -> f64 {
    (clock.now_ns() - start_ns) as f64 / 1e6
}

fn describe(model: ModelFile) -> MeasuredModel {
    MeasuredModel {
        file: model.name(),
        model_bytes: model.bytes.len() as u64,
        sha256: model.sha256(),
        parameters: model.graph.parameters,
        metadata: model.metadata,
    }
}
