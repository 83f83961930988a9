//! A small data set that can be learnt in seconds, and a small space whose networks fit it.

use std::path::Path;

use mfactor::dataset::{HeldOut, MANIFEST_FILE, Manifest, RecordFile, SCHEMA};
use mfactor::protocol::Job;
use mfactor::space::ImageShape;
use mfactor::{Recipe, SearchSpace};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const SIDE: usize = 12;
const TRAIN: usize = 400;
const TEST: usize = 10;

const SPACE: &str = r#"
schema = 1
name = "toy"
classes = 4
image = { channels = 3, height = 12, width = 12 }
stem = { kernel = 3, width = 8 }
[[stage]]
blocks = 1
width = 8
stride = 1
kernels = [3, 5]
[[stage]]
blocks = 2
width = 16
stride = 2
kernels = [3, 7]
"#;

/// Two stages of one and two blocks for 12×12 images of 4 classes.
pub fn space() -> SearchSpace {
    SearchSpace::parse(SPACE, "the toy space").unwrap()
}

/// Writes noise in which one colour is brighter, or none: the class says which.
pub fn write_data(folder: &Path) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut records = |count: usize| -> Vec<u8> {
        (0..count).flat_map(|number| record((number % 4) as u8, &mut rng)).collect()
    };
    std::fs::write(folder.join("train.bin"), records(TRAIN)).unwrap();
    std::fs::write(folder.join("test.bin"), records(TEST)).unwrap();
    let file = |file: &str, records| RecordFile { file: file.to_owned(), records };
    let manifest = Manifest {
        schema: SCHEMA,
        name: "toy".to_owned(),
        classes: ["red", "green", "blue", "grey"].map(str::to_owned).to_vec(),
        validation: 100,
        held_out: HeldOut::Drawn,
        image: ImageShape { channels: 3, height: SIDE, width: SIDE },
        train: vec![file("train.bin", TRAIN)],
        test: vec![file("test.bin", TEST)],
    };
    std::fs::write(folder.join(MANIFEST_FILE), toml::to_string(&manifest).unwrap()).unwrap();
}

fn record(label: u8, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let plane = |channel: u8| if channel == label { 90..=255 } else { 0..=165 };
    let mut pixels =
        |channel| -> Vec<u8> { (0..SIDE * SIDE).map(|_| rng.random_range(plane(channel))).collect() };
    [vec![label], pixels(0), pixels(1), pixels(2)].concat()
}

/// A job on this data set that learns it.
pub fn job(data: &Path, output: &Path) -> Job {
    Job {
        trial: 7,
        architecture: "5-37".parse().unwrap(),
        space: space(),
        recipe: Recipe { epochs: 2, batch_size: 32, label_smoothing: 0.0, ..Recipe::default() },
        seed: 3,
        data: data.to_owned(),
        output: output.to_owned(),
        accuracy: mfactor::AccuracyKind::Plain,
        decisions: vec![],
    }
}
