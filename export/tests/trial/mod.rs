//! A trial's folder and a data set as the trainer and `mfactor data` leave them, with random weights, and the
//! logits of a plain f64 walk over the layers in the place of the trainer's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mfactor::dataset::{self, DataSet, HeldOut, Manifest, RecordFile};
use mfactor::layers::{Layer, Operation};
use mfactor::protocol::{
    CHECK_FILE, CHECK_LOGITS_TENSOR, CHECK_RECORDS_TENSOR, DEVIATION_TENSOR, MEAN_TENSOR, WEIGHTS_FILE,
};
use mfactor::{Objective, Recipe, SearchSpace};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use tempfile::TempDir;

/// Tensors by name: shape and values.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A finished trial in a folder that goes when this does.
pub struct Trial {
    folder: TempDir,
    /// What to export.
    pub request: export::Request,
    /// The weights, as in the file.
    pub tensors: Tensors,
    /// Check records and their logits, as in the file.
    pub records: Vec<i64>,
    pub logits: Vec<Vec<f64>>,
}

impl Trial {
    /// A trial of `architecture` with `checks` check records.
    pub fn new(space: &SearchSpace, architecture: &str, checks: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let architecture = architecture.parse().unwrap();
        let layers = space.lower(&architecture);
        let mut rng = ChaCha8Rng::seed_from_u64(17);
        let data = write_data(&folder.path().join("data"), space, checks, &mut rng);
        let tensors = random_tensors(&layers, space.image().channels, &mut rng);
        let train = data.train().unwrap().resized(layers[0].output).unwrap();
        let records: Vec<i64> = data.split().validation.iter().map(|record| *record as i64).collect();
        let forward = |record: &i64| forward(&layers, &tensors, train.image(*record as usize));
        let logits: Vec<Vec<f64>> = records.iter().map(forward).collect();
        let request = export::Request {
            trial_folder: folder.path().join("trial"),
            data: folder.path().join("data"),
            output: folder.path().join("models/model.onnx"),
            library: None,
            space: space.clone(),
            architecture,
            objective: Objective::paper(1.0, space.minimum_parameters()).expect("1 is a valid alpha"),
            accuracy: 0.75,
            recipe: Recipe::default(),
            seed: 7,
            study: "test".to_owned(),
            trial: 3,
            strategy: "random".to_owned(),
            precision: export::Precision::F32,
            largest_file: u64::MAX,
        };
        let trial = Self { folder, request, tensors, records, logits };
        trial.write();
        trial
    }

    /// Writes the trainer's files from the fields.
    pub fn write(&self) {
        let to_bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let weights: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, (shape, values))| (name.as_str(), Dtype::F32, shape.clone(), to_bytes(values)))
            .collect();
        write_tensors(&self.request.trial_folder.join(WEIGHTS_FILE), &weights);
        let logits: Vec<f32> = self.logits.iter().flatten().map(|logit| *logit as f32).collect();
        let records = self.records.iter().flat_map(|record| record.to_le_bytes()).collect();
        let shape = vec![self.logits.len(), self.logits[0].len()];
        write_tensors(
            &self.request.trial_folder.join(CHECK_FILE),
            &[
                (CHECK_RECORDS_TENSOR, Dtype::I64, vec![self.records.len()], records),
                (CHECK_LOGITS_TENSOR, Dtype::F32, shape, to_bytes(&logits)),
            ],
        );
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Writes a safetensors file.
pub fn write_tensors(path: &PathBuf, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("shape and bytes fit"))
    });
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, serialize(views, None).unwrap()).unwrap();
}

/// `validation` records to check with, two to train on and twenty to test on.
fn write_data(folder: &Path, space: &SearchSpace, validation: usize, rng: &mut ChaCha8Rng) -> DataSet {
    std::fs::create_dir_all(folder).unwrap();
    let file = |file: &str, records: usize| RecordFile { file: file.to_owned(), records };
    let manifest = Manifest {
        schema: dataset::SCHEMA,
        name: "noise".to_owned(),
        classes: (0..space.classes()).map(|class| format!("class {class}")).collect(),
        validation,
        held_out: HeldOut::Drawn,
        image: space.image(),
        train: vec![file("train.bin", validation + 2)],
        test: vec![file("test.bin", 20)],
    };
    std::fs::write(folder.join(dataset::MANIFEST_FILE), toml::to_string(&manifest).unwrap()).unwrap();
    for RecordFile { file, records } in manifest.train.iter().chain(&manifest.test) {
        let mut bytes = vec![];
        for _ in 0..*records {
            bytes.push(rng.random_range(0..space.classes()) as u8);
            bytes.extend((0..space.image().bytes()).map(|_| rng.random_range(0..=u8::MAX)));
        }
        std::fs::write(folder.join(file), bytes).unwrap();
    }
    DataSet::open(folder).unwrap()
}

/// Random tensors of a size that keeps activations of all layers near 1.
fn random_tensors(layers: &[Layer], channels: usize, rng: &mut ChaCha8Rng) -> Tensors {
    let mut tensors = Tensors::new();
    for spec in layers.iter().flat_map(Layer::tensors) {
        let fan_in: usize = spec.shape[1..].iter().product();
        let (low, high) = match spec.name.rsplit_once('.').unwrap().1 {
            "running_var" => (0.3, 1.5),
            "weight" if spec.shape.len() == 1 => (0.5, 1.5),
            "weight" => (-(3.0 / fan_in as f32).sqrt(), (3.0 / fan_in as f32).sqrt()),
            _ => (-0.3, 0.3),
        };
        let values = (0..spec.len()).map(|_| rng.random_range(low..high)).collect();
        tensors.insert(spec.name, (spec.shape, values));
    }
    for (name, low) in [(MEAN_TENSOR, 0.4), (DEVIATION_TENSOR, 0.2)] {
        let values = (0..channels).map(|_| rng.random_range(low..low + 0.1)).collect();
        tensors.insert(name.to_owned(), (vec![channels], values));
    }
    tensors
}

/// Logits of one image: every layer as its definition says, in f64, batch norm unfolded.
pub fn forward(layers: &[Layer], tensors: &Tensors, image: &[u8]) -> Vec<f64> {
    let get = |name: String| -> Vec<f64> { tensors[&name].1.iter().map(|value| f64::from(*value)).collect() };
    let plane = layers[0].output.height * layers[0].output.width;
    let (mean, deviation) = (get(MEAN_TENSOR.to_owned()), get(DEVIATION_TENSOR.to_owned()));
    let normalized = image.iter().enumerate().map(|(position, value)| {
        let channel = position / plane;
        (f64::from(*value) / 255.0 - mean[channel]) / deviation[channel]
    });
    let mut values = vec![normalized.collect::<Vec<f64>>()];
    for layer in &layers[1..] {
        let input = &values[layer.inputs[0]];
        let shape = layers[layer.inputs[0]].output;
        let own = |suffix: &str| get(format!("{}.{suffix}", layer.name));
        let size = shape.height * shape.width;
        let value = match layer.operation {
            Operation::Convolution { .. } => convolve(layer, &layers[layer.inputs[0]], input, &own("weight")),
            Operation::BatchNorm { channels } => {
                let (gamma, beta) = (own("weight"), own("bias"));
                let (mean, variance) = (own("running_mean"), own("running_var"));
                let norm =
                    |c: usize, x: &f64| gamma[c] * (x - mean[c]) / (variance[c] + 1e-5).sqrt() + beta[c];
                (0..channels)
                    .flat_map(|c| {
                        input[c * size..][..size].iter().map(move |x| norm(c, x)).collect::<Vec<_>>()
                    })
                    .collect()
            }
            Operation::Relu => input.iter().map(|x| x.max(0.0)).collect(),
            Operation::Relu6 => input.iter().map(|x| x.clamp(0.0, 6.0)).collect(),
            Operation::HardSigmoid => input.iter().map(|x| hard_sigmoid(*x)).collect(),
            Operation::HardSwish => input.iter().map(|x| x * hard_sigmoid(*x)).collect(),
            Operation::Scale => {
                let factors = &values[layer.inputs[1]];
                input.iter().enumerate().map(|(position, x)| x * factors[position / size]).collect()
            }
            Operation::Add => input.iter().zip(&values[layer.inputs[1]]).map(|(a, b)| a + b).collect(),
            Operation::GlobalAveragePool => {
                input.chunks(size).map(|plane| plane.iter().sum::<f64>() / size as f64).collect()
            }
            Operation::Linear { input_features, .. } => {
                let (weight, bias) = (own("weight"), own("bias"));
                let dot = |row: &[f64]| row.iter().zip(input).map(|(w, x)| w * x).sum::<f64>();
                weight.chunks(input_features).zip(bias).map(|(row, bias)| dot(row) + bias).collect()
            }
            Operation::Image => unreachable!("only the first layer is the image"),
        };
        values.push(value);
    }
    values.pop().unwrap()
}

fn hard_sigmoid(x: f64) -> f64 {
    (x + 3.0).clamp(0.0, 6.0) / 6.0
}

fn convolve(layer: &Layer, from: &Layer, input: &[f64], weight: &[f64]) -> Vec<f64> {
    let Operation::Convolution { input_channels, output_channels, kernel, stride, padding, groups } =
        layer.operation
    else {
        unreachable!("called for convolutions alone");
    };
    let (height, width) = (from.output.height, from.output.width);
    let mut output = vec![0.0; output_channels * layer.output.height * layer.output.width];
    for (position, sum) in output.iter_mut().enumerate() {
        let column = position % layer.output.width;
        let row = position / layer.output.width % layer.output.height;
        let channel = position / (layer.output.width * layer.output.height);
        let (planes, group) = (input_channels / groups, channel / (output_channels / groups));
        for c in 0..planes {
            for i in (0..kernel).filter(|i| (padding..height + padding).contains(&(row * stride + i))) {
                for j in (0..kernel).filter(|j| (padding..width + padding).contains(&(column * stride + j))) {
                    let (y, x) = (row * stride + i - padding, column * stride + j - padding);
                    let w = weight[((channel * planes + c) * kernel + i) * kernel + j];
                    *sum += w * input[((group * planes + c) * height + y) * width + x];
                }
            }
        }
    }
    output
}
