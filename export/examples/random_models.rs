//! Models of the paper's smallest and largest network, in f32 and int8, with random weights, and a file of test records:
//! for checks and counts to which training makes no difference. Argument: the folder to write to.

#![expect(clippy::unwrap_used, reason = "what an example cannot unwrap, it fails by")]

#[path = "../tests/trial/mod.rs"]
mod trial;

use std::path::PathBuf;

use export::Precision;
use mfactor::SearchSpace;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("a folder to write to"));
    let precisions = [("", Precision::F32), ("int8.", Precision::Int8)];
    for architecture in ["333-333-333", "777-777-777"] {
        let mut trial = trial::Trial::new(&SearchSpace::paper(), architecture, 4);
        for (suffix, precision) in precisions {
            trial.request.precision = precision;
            trial.request.output = folder.join(format!("{architecture}.{suffix}onnx"));
            export::export(&trial.request, &mut |_| {}).unwrap();
        }
        std::fs::copy(trial.folder().join("data/test.bin"), folder.join("records.bin")).unwrap();
    }
}
