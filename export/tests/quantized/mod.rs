//! How far int8 models are from f32 ones. With random weights and noise for images the classes that two models name are no
//! measure, for their logits lie close together: the error of the logits is held against how far classes lie apart.

use engines::onnx_runtime::OnnxRuntime;
use engines::{Engine, Signature, engine, tract_engine};
use export::calibration::{Activations, Method};
use export::weights::Weights;
use export::{folding, graph, int8_graph};
use mfactor::SearchSpace;
use mfactor::dataset::DataSet;
use mfactor::onnx::Model;
use prost::Message;

use crate::trial::Trial;

/// Records that are answered.
const RECORDS: usize = 12;

/// Errors of an int8 model's logits: root mean squares, as a share of the standard deviation of f32 logits between the classes
/// of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    /// Of ONNX Runtime's answers from the f32 model's.
    pub of_int8: f64,
    /// Of tract's answers from ONNX Runtime's to the same int8 model.
    pub of_engines: f64,
}

/// Quantizes a network with random weights, and compares.
pub fn errors(space: &SearchSpace, architecture: &str) -> Errors {
    let trial = Trial::new(space, architecture, RECORDS);
    let request = &trial.request;
    let layers = space.lower(&request.architecture);
    let image = space.image_of(&request.architecture).unwrap();
    let signature = Signature { image, classes: space.classes() };
    let weights = Weights::load(&request.trial_folder, &layers, image.channels).unwrap();
    let folded = folding::fold(&layers, &weights).unwrap();
    let float = graph::build(&layers, &folded, architecture.to_owned()).unwrap();
    let data = DataSet::open(&request.data).unwrap();
    let train = data.train().unwrap().resized(image).unwrap();
    let ort = OnnxRuntime::new(None, engine::DEFAULT_THREADS).unwrap();
    let tract = tract_engine::Tract::new(engine::DEFAULT_THREADS).unwrap();
    let names = int8_graph::observed(&layers);
    let activations = Activations::observe(&float, names, &data, &train, &ort, "a test").unwrap();
    let name = architecture.to_owned();
    let small = int8_graph::build(&layers, &folded, &activations, Method::MinMax, name).unwrap();
    let answers = |engine: &dyn Engine, model: &Model| -> Vec<Vec<f64>> {
        let mut session = engine.load(&model.encode_to_vec(), signature, "a test").unwrap();
        let records = data.split().validation.into_iter();
        let answer = |record| session.run(train.image(record)).unwrap().into_iter().map(f64::from).collect();
        records.map(answer).collect()
    };
    let (float, by_ort, by_tract) = (answers(&ort, &float), answers(&ort, &small), answers(&tract, &small));
    let spread = root_mean_square(float.iter().flat_map(|logits| {
        let mean = logits.iter().sum::<f64>() / logits.len() as f64;
        logits.iter().map(move |logit| logit - mean)
    }));
    Errors {
        of_int8: differences(&by_ort, &float) / spread,
        of_engines: differences(&by_tract, &by_ort) / spread,
    }
}

fn differences(one: &[Vec<f64>], other: &[Vec<f64>]) -> f64 {
    root_mean_square(one.iter().flatten().zip(other.iter().flatten()).map(|(one, other)| one - other))
}

fn root_mean_square(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value * value));
    (sum / f64::from(count)).sqrt()
}
