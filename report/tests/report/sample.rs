//! A study and measurements that are generated, not measured: for tests and the sample page. Every name in
//! it says so.
#![expect(clippy::unwrap_used, reason = "the generated values are known to be there")]

use std::collections::BTreeMap;

use mfactor::measurement::{
    Board, Conditions, Energy, EngineFacts, Latency, MeasuredAccuracy, MeasuredModel, MemoryUse, Preset,
    Round, SCHEMA, Verdict,
};
use mfactor::{
    Architecture, Cost, Limits, Measurement, ModelMetadata, Objective, Point, Recipe, SearchSpace, Trial,
    TrialState,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use report::{Filed, Input, Repeat};

/// What an [`Input`] borrows.
pub struct Sample {
    pub space: SearchSpace,
    pub objective: Objective,
    pub trials: Vec<Trial>,
    pub measurements: Vec<Filed>,
    pub repeats: Vec<Repeat>,
}

impl Sample {
    /// Four strategies with `trials` trials each and the smallest architecture, measured on two boards, on an
    /// emulated one, and once in a way that is not valid.
    pub fn new(trials: usize) -> Self {
        let space = SearchSpace::paper();
        let trials = Study::new(&space, 1).run(trials);
        let measurements = measure(&space, &trials);
        let objective = paper(&space, 1.0);
        Self { space, objective, trials, measurements, repeats: Vec::new() }
    }

    /// The same study with further seeds, `count` of them.
    pub fn repeated(mut self, count: u64) -> Self {
        let trials = self.trials.iter().filter(|trial| trial.proposer.name() == "random").count();
        let repeat = |seed| Repeat {
            study: format!("synthetic-sample-{seed}"),
            seed,
            trials: Study::new(&self.space, seed).run(trials),
        };
        self.repeats = (2..2 + count).map(repeat).collect();
        self
    }

    /// The models of the first board once more as int8: smaller, slower, a little less accurate.
    pub fn with_int8(mut self) -> Self {
        let first = self.measurements.iter().filter(|filed| filed.place == "board-a");
        let mut small: Vec<Filed> = first.cloned().collect();
        for Filed { measurement, .. } in &mut small {
            measurement.model.metadata.precision = "int8".to_owned();
            measurement.model.model_bytes = measurement.model.model_bytes * 27 / 100;
            let slower = measurement.latency.samples_ns.iter().map(|sample| sample * 8 / 5).collect();
            measurement.latency = Latency::from_samples(slower).unwrap();
            let accuracy = measurement.accuracy.as_mut().unwrap();
            accuracy.correct -= 12;
            accuracy.accuracy = accuracy.correct as f64 / accuracy.images as f64;
        }
        self.measurements.extend(small);
        self
    }

    pub fn input(&self) -> Input<'_> {
        Input {
            study: "synthetic-sample",
            objective: &self.objective,
            front: None,
            validation_images: Some(5_000),
            space: &self.space,
            trials: &self.trials,
            measurements: &self.measurements,
            unreadable: &[],
            repeats: &self.repeats,
            seed: 1,
        }
    }
}

/// The paper's objective at weight `alpha`.
pub fn paper(space: &SearchSpace, alpha: f64) -> Objective {
    Objective::paper(alpha, space.minimum_parameters()).unwrap()
}

/// Stands in for the search: strategies that lean towards small kernels, each in its own way.
struct Study<'a> {
    space: &'a SearchSpace,
    objective: Objective,
    rng: ChaCha8Rng,
    trials: Vec<Trial>,
}

impl<'a> Study<'a> {
    fn new(space: &'a SearchSpace, seed: u64) -> Self {
        let objective = paper(space, 1.0);
        Self { space, objective, rng: ChaCha8Rng::seed_from_u64(10 + seed), trials: Vec::new() }
    }

    fn run(mut self, trials: usize) -> Vec<Trial> {
        self.tell("baseline", 0, self.space.smallest(), false);
        for (strategy, greed) in [("random", 0.0), ("evolution", 0.75), ("tpe", 0.85), ("rl", 0.95)] {
            for number in 0..trials {
                let progress = number as f64 / trials as f64;
                let lean = greed * if strategy == "rl" { progress.powi(3) } else { progress.min(0.8) };
                let architecture = self.propose(lean);
                self.tell(strategy, number as u64, architecture, strategy == "tpe" && number == 3);
            }
        }
        self.trials
    }

    fn propose(&mut self, lean: f64) -> Architecture {
        let options: Vec<usize> = self.space.choices().map(|choice| choice.options.len()).collect();
        let mut pick = |count| if self.rng.random_bool(lean) { 0 } else { self.rng.random_range(0..count) };
        let point = options.into_iter().map(|count| pick(count) as u8).collect();
        self.space.architecture(&Point::new(point))
    }

    fn tell(&mut self, strategy: &str, number: u64, architecture: Architecture, failed: bool) {
        let cost = self.space.cost(&architecture);
        let gain = 0.018 * ((cost.macs as f64 - 40.8e6) / 84e6).sqrt();
        let accuracy = 0.742 + gain + self.rng.random_range(-0.008..0.008);
        let accuracy = (!failed).then_some((accuracy * 5000.0).round() / 5000.0);
        let mut trial = Trial {
            id: self.trials.len() as u64,
            number,
            proposer: strategy.into(),
            architecture,
            state: if failed { TrialState::Failed } else { TrialState::Complete },
            seed: self.trials.len() as u64,
            cost,
            size_score: 0.0,
            accuracy,
            m_factor: None,
            epoch_accuracies: accuracy.map(|a| vec![a - 0.2, a - 0.08, a]).unwrap_or_default(),
            seconds: accuracy.map(|_| cost.macs as f64 / 1e6),
            images: accuracy.map(|_| 135_000),
            reused: false,
            failure: failed.then(|| "generated: the accuracy was not a number".to_owned()),
            failure_kind: None,
        };
        trial.score(&self.objective);
        self.trials.push(trial);
    }
}

/// A board as a speed in multiply-accumulates a nanosecond for each stage, and its noise.
struct SyntheticBoard {
    place: &'static str,
    name: &'static str,
    speeds: [f64; 3],
    noise: f64,
    /// Of a board with a sensor for its power.
    watts: Option<f64>,
    emulated: bool,
}

const BOARDS: [SyntheticBoard; 3] = [
    SyntheticBoard {
        place: "board-a",
        name: "Synthetic board A",
        speeds: [5.5, 7.5, 8.0],
        noise: 0.02,
        watts: None,
        emulated: false,
    },
    SyntheticBoard {
        place: "board-b",
        name: "Synthetic board B",
        speeds: [16.0, 20.0, 17.0],
        noise: 0.05,
        watts: Some(3.4),
        emulated: false,
    },
    SyntheticBoard {
        place: "emulator",
        name: "Synthetic emulator",
        speeds: [0.5, 0.5, 0.5],
        noise: 0.05,
        watts: None,
        emulated: true,
    },
];

/// The best of every strategy, a few at random, and the smallest.
fn measure(space: &SearchSpace, trials: &[Trial]) -> Vec<Filed> {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let complete: Vec<&Trial> = trials.iter().filter(|trial| trial.accuracy.is_some()).collect();
    let mut chosen: Vec<&Trial> = complete.iter().step_by(11).copied().collect();
    chosen.extend(mfactor::trial::ranked(trials).into_iter().take(5));
    chosen.sort_by_key(|trial| trial.id);
    chosen.dedup_by_key(|trial| trial.id);
    let mut measurements = Vec::new();
    for board in &BOARDS {
        let measured = if board.emulated { &chosen[..1] } else { &chosen[..] };
        for trial in measured {
            measurements.push(Filed {
                place: board.place.to_owned(),
                limits: Limits::default(),
                measurement: measurement(space, trial, board, &mut rng),
            });
        }
    }
    measurements[2].measurement.verdict =
        Verdict::Invalid { reasons: vec!["generated: the processor was throttled".to_owned()] };
    measurements
}

fn measurement(
    space: &SearchSpace,
    trial: &Trial,
    board: &SyntheticBoard,
    rng: &mut ChaCha8Rng,
) -> Measurement {
    let images = 10_000;
    let correct = ((trial.accuracy.unwrap() + rng.random_range(-0.007..0.007)) * images as f64) as u64;
    let expected = latency_ms(space, &trial.architecture, board);
    let sample = |rng: &mut ChaCha8Rng| {
        let tail = if rng.random_bool(0.06) { rng.random_range(0.1..0.5) } else { 0.0 };
        (expected * (1.0 + board.noise * rng.random_range(-1.0..1.0) + tail) * 1e6) as u64
    };
    let samples: Vec<u64> = (0..300).map(|_| sample(rng)).collect();
    let energy = |watts: f64, rng: &mut ChaCha8Rng| Energy {
        source: "synthetic".to_owned(),
        samples_per_second: None,
        idle_watts: 0.0,
        watts,
        inference_mj: watts * expected * (1.0 + rng.random_range(-0.03..0.03)),
        noise_mj: None,
    };
    let measured = board.watts.map(|watts| energy(watts, rng));
    Measurement {
        schema: SCHEMA,
        tool_version: "0.0.0+synthetic".to_owned(),
        unix_seconds: 1_700_000_000 + trial.id,
        model: measured_model(space, trial),
        engine: EngineFacts {
            name: "tract".to_owned(),
            version: "0.23.9".to_owned(),
            threads: 1,
            knobs: BTreeMap::new(),
            kernels: None,
        },
        board: Board {
            name: board.name.to_owned(),
            architecture: "aarch64".to_owned(),
            kernel: None,
            cores: 4,
            memory_bytes: Some(1 << 32),
            processor: None,
            emulated: board.emulated,
        },
        conditions: [Conditions::default(), Conditions::default()],
        pinned_core: None,
        preset: Preset::Full,
        golden_difference: Some(1e-6),
        accuracy: Some(MeasuredAccuracy { images, correct, accuracy: correct as f64 / images as f64 }),
        load_ms: 31.0,
        first_inference_ms: 2.0 * expected,
        warm_up_inferences: 20,
        latency: Latency::from_samples(samples).unwrap(),
        rounds: measured.as_ref().map_or_else(Vec::new, rounds),
        energy: measured,
        processor_share: 1.0,
        memory: MemoryUse {
            baseline_rss_bytes: Some(4_000_000),
            peak_rss_bytes: Some(9_000_000 + 9 * trial.cost.parameters + 4096 * rng.random_range(0..40)),
            ..MemoryUse::default()
        },
        verdict: Verdict::Valid,
    }
}

/// Three rounds whose energies are a thousandth of it apart.
fn rounds(energy: &Energy) -> Vec<Round> {
    let round = |number: usize| Round {
        number,
        attempt: 1,
        position: 1,
        cool_down_seconds: 0.0,
        unix_seconds: 1_700_000_000,
        load_ms: 31.0,
        first_inference_ms: 31.0,
        warm_up_inferences: 20,
        processor_share: 1.0,
        memory: MemoryUse::default(),
        energy: Some(Energy {
            inference_mj: energy.inference_mj * (0.998 + 0.001 * number as f64),
            ..energy.clone()
        }),
        conditions: [Conditions::default(), Conditions::default()],
        samples: 100,
        set_aside_ns: vec![],
        verdict: Verdict::Valid,
    };
    (1..=3).map(round).collect()
}

fn latency_ms(space: &SearchSpace, architecture: &Architecture, board: &SyntheticBoard) -> f64 {
    let of_layer = |layer: &mfactor::Layer| {
        let stage = (1..=3).find(|n| layer.name.starts_with(&format!("stage{n}."))).unwrap_or(1);
        layer.macs() as f64 / board.speeds[stage - 1] / 1e6
    };
    space.lower(architecture).iter().map(of_layer).sum()
}

fn measured_model(space: &SearchSpace, trial: &Trial) -> MeasuredModel {
    let Cost { parameters, macs, model_bytes, .. } = trial.cost;
    let (accuracy, m_factor) = (trial.accuracy.unwrap(), trial.m_factor.unwrap());
    MeasuredModel {
        file: format!("{}.onnx", trial.architecture),
        sha256: mfactor::files::sha256(trial.architecture.to_string().as_bytes()),
        model_bytes: model_bytes + 9_000,
        parameters,
        metadata: ModelMetadata {
            schema: mfactor::metadata::SCHEMA,
            tool_version: "0.0.0+synthetic".to_owned(),
            architecture: trial.architecture.clone(),
            space: space.clone(),
            parameters,
            macs,
            minimum_parameters: space.minimum_parameters(),
            alpha: 1.0,
            m_factor,
            validation_accuracy: accuracy,
            accuracy: mfactor::AccuracyKind::Plain,
            test_accuracy: accuracy,
            data: "synthetic".to_owned(),
            classes: (0..10).map(|class| class.to_string()).collect(),
            recipe: Recipe::default(),
            seed: trial.seed,
            study: "synthetic-sample".to_owned(),
            trial: trial.id,
            strategy: trial.proposer.to_string(),
            precision: "f32".to_owned(),
            golden_logits: Vec::new(),
        },
    }
}
