//! Models with random weights. What they answer is nothing, but what they take in time and memory is what the trained ones
//! will: it hangs on shapes and operators, and not on what the weights are.

use std::collections::BTreeMap;
use std::path::Path;

use engines::{Engine, ModelFile, Signature, engine, tract_engine};
use mfactor::layers::Operation;
use mfactor::metadata::{self, ModelMetadata};
use mfactor::{AccuracyKind, Architecture, Error, Layer, Objective, Recipe, Result, SearchSpace};
use prost::Message;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::calibration::{Activations, Method};
use crate::folding::{Folded, FoldedWeights};
use crate::quantization::Range;
use crate::{Precision, check, graph, graph_writer, int8_graph};

/// What is written where a trained model names its study, strategy and data set.
pub const UNTRAINED: &str = "untrained";
/// Mean of pixels, which are bytes.
const MEAN: f32 = 127.5;
/// Their deviation where every value is as likely as any other.
const DEVIATION: f32 = 73.9;
/// Largest activation of an int8 model.
const WIDEST: f32 = 6.0;

/// Writes the model of an architecture with random weights of He et al. (2015, uniform), which neither grow nor vanish
/// with depth: what is no normal number slows processors down. The same architecture has the same weights every time.
///
/// # Errors
/// [`Error::Input`] if the architecture is not of the space; [`Error::Io`] if the file cannot be written.
pub fn write(
    space: &SearchSpace,
    architecture: &Architecture,
    precision: Precision,
    path: &Path,
) -> Result<()> {
    space.check(architecture)?;
    let signature = Signature { image: space.image_of(architecture)?, classes: space.classes() };
    let layers = space.lower(architecture);
    let (weights, name) = (weights(&layers)?, architecture.to_string());
    let mut model = match precision {
        Precision::F32 => graph::build(&layers, &weights, name)?,
        Precision::Int8 => int8_graph::build(&layers, &weights, &activations(&layers), Method::MinMax, name)?,
    };
    let tract = tract_engine::Tract::new(engine::DEFAULT_THREADS)?;
    let subject = path.display().to_string();
    let mut session = tract.load(&model.encode_to_vec(), signature, &subject)?;
    let golden_logits = check::golden_logits(session.as_mut(), signature.image)?;
    graph_writer::set_metadata(&mut model, &describe(space, architecture, precision, golden_logits)?);
    let file = ModelFile::inspect(path, model.encode_to_vec())?;
    mfactor::files::write(path, &file.bytes)
}

/// Random weights, as they are after batch norm was folded.
fn weights(layers: &[Layer]) -> Result<FoldedWeights> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut folded = BTreeMap::new();
    for (position, layer) in layers.iter().enumerate() {
        let owner = match layer.operation {
            Operation::BatchNorm { .. } => &layers[layer.inputs[0]],
            Operation::Linear { .. } => layer,
            _ => continue,
        };
        let missing = || Error::Defect(format!("layer {} has no weights", owner.name));
        let shape = owner.tensors().into_iter().next().ok_or_else(missing)?.shape;
        let inputs: usize = shape[1..].iter().product();
        let pixels = if owner.inputs.first() == Some(&0) { DEVIATION } else { 1.0 };
        let limit = (6.0 / inputs as f32).sqrt() / pixels;
        let count: usize = shape.iter().product();
        let weight = (0..count).map(|_| rng.random_range(-limit..limit)).collect();
        folded.insert(position, Folded { weight, bias: vec![0.01; shape[0]] });
    }
    Ok(FoldedWeights { pixel_mean: vec![MEAN; layers[0].output.channels], layers: folded })
}

/// Ranges that these weights do not leave often: of what is rectified from 0, of all else to either side of it.
fn activations(layers: &[Layer]) -> Activations {
    let is_rectified = |name: &str| {
        layers.iter().any(|layer| layer.operation.rectifies() && graph::value_name(layers, layer) == name)
    };
    let range = |name: String| {
        let low = if is_rectified(&name) { 0.0 } else { -WIDEST };
        (name, Range { low, high: WIDEST })
    };
    Activations::assumed(int8_graph::observed(layers).into_iter().map(range))
}

fn describe(
    space: &SearchSpace,
    architecture: &Architecture,
    precision: Precision,
    golden_logits: Vec<Vec<f32>>,
) -> Result<ModelMetadata> {
    let cost = space.cost(architecture);
    let minimum_parameters = space.minimum_parameters();
    let objective = Objective::paper(1.0, minimum_parameters)?;
    let word = || UNTRAINED.to_owned();
    Ok(ModelMetadata {
        schema: metadata::SCHEMA,
        tool_version: mfactor::version(),
        architecture: architecture.clone(),
        space: space.clone(),
        parameters: cost.parameters,
        macs: cost.macs,
        minimum_parameters,
        alpha: objective.alpha(),
        m_factor: 0.0,
        validation_accuracy: 0.0,
        accuracy: AccuracyKind::Plain,
        test_accuracy: 0.0,
        data: word(),
        classes: (0..space.classes()).map(|class| class.to_string()).collect(),
        recipe: Recipe::default(),
        seed: 0,
        study: word(),
        trial: 0,
        strategy: word(),
        precision: precision.name().to_owned(),
        golden_logits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_part_can_be_measured_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["edge96", "edge32", "nas-bench-macro"] {
            let space = SearchSpace::load(Path::new(name)).unwrap();
            let parts = space.parts();
            let precisions = [Precision::F32, Precision::Int8].into_iter().cycle();
            for (part, precision) in parts.iter().step_by(parts.len() / 12).zip(precisions) {
                let (alone, network) = space.network_of(part).unwrap();
                let path = folder.path().join("part.onnx");
                write(&alone, &network, precision, &path).unwrap();
                let file = ModelFile::read(&path).unwrap();
                assert_eq!(file.metadata.precision, precision.name());
                assert_eq!(file.graph.macs, alone.cost(&network).macs, "{part}");
                let logits = file.metadata.golden_logits.concat();
                assert!(
                    logits.iter().all(|logit| logit.is_normal() && logit.abs() < 1e4),
                    "{part}: {logits:?}"
                );
            }
        }
    }
}
