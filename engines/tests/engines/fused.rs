//! tract with this project's kernels answers as plain tract does, for random models and for changed ones.

use engines::tract_engine::Tract;
use engines::{Engine, Session, Signature};
use kernels::{InstructionSet, Setting};
use mfactor::SearchSpace;
use mfactor::onnx::{Attribute, Graph, Model};
use proptest::prelude::*;
use prost::Message;

use crate::model::{self, named, node, tensor};

mod int8;

/// Of the largest logit.
const ERROR: f32 = 1e-5;

/// Numbers that look random, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    /// From −1 to 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A model of two stages with random weights.
fn random(size: [usize; 2], widths: [usize; 2], architecture: &str, seed: u64) -> Model {
    let [height, width] = size;
    let text = format!(
        "schema = 1\nname = \"random\"\nclasses = 3\nimage = {{ channels = 3, height = {height}, width = {width} }}\n\
         stem = {{ kernel = 3, width = {} }}\n\
         [[stage]]\nblocks = 2\nwidth = {}\nstride = 1\nkernels = [1, 3, 5, 7]\n\
         [[stage]]\nblocks = 1\nwidth = {}\nstride = 2\nkernels = [1, 3, 5, 7]\n",
        widths[0], widths[0], widths[1],
    );
    let mut metadata = model::metadata();
    metadata.space = SearchSpace::parse(&text, "random").unwrap();
    metadata.architecture = architecture.parse().unwrap();
    let mut model = model::model(&metadata);
    let mut numbers = Numbers(seed);
    for weights in &mut model.graph.get_or_insert_default().initializer {
        let count: usize = weights.dims.iter().map(|size| *size as usize).product();
        let fan = count / weights.dims[0] as usize;
        let scale = if weights.dims.len() == 1 { 0.3 } else { (3.0 / fan as f32).sqrt() };
        let values = (0..count).map(|_| scale * numbers.next());
        weights.raw_data = values.flat_map(f32::to_le_bytes).collect();
    }
    model
}

fn graph(model: &mut Model) -> &mut Graph {
    model.graph.get_or_insert_default()
}

fn signature(size: [usize; 2]) -> Signature {
    let image = mfactor::space::ImageShape { channels: 3, height: size[0], width: size[1] };
    Signature { image, classes: 3 }
}

fn load(model: &Model, size: [usize; 2], setting: Setting) -> mfactor::Result<Box<dyn Session>> {
    Tract::with(setting).unwrap().load(&model.encode_to_vec(), signature(size), "random.onnx")
}

fn image(size: [usize; 2]) -> Vec<u8> {
    (0..3 * size[0] * size[1]).map(|place| (place * 89 % 251) as u8).collect()
}

/// What this project's kernels compute of a model, if anything.
fn fused_kernels(session: &dyn Session) -> Option<String> {
    let kernels = session.kernels().unwrap();
    kernels.strip_prefix("fused ").and_then(|rest| rest.split_once(';')).map(|(fused, _)| fused.to_owned())
}

/// Compares every instruction set with plain tract, and says which kernels the last one names.
fn check(model: &Model, size: [usize; 2]) -> Option<String> {
    check_within(model, size, ERROR)
}

/// The same with an error of one's own, relative to the largest logit.
fn check_within(model: &Model, size: [usize; 2], error: f32) -> Option<String> {
    let image = image(size);
    let mut plain = load(model, size, Setting::Off).unwrap();
    assert_eq!(fused_kernels(plain.as_ref()), None);
    let expected = plain.run(&image).unwrap();
    let largest = expected.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
    let mut kernels = None;
    for set in InstructionSet::available() {
        let mut fused = load(model, size, Setting::Set(set)).unwrap();
        let logits = fused.run(&image).unwrap();
        assert_eq!(logits.len(), expected.len());
        for (logit, expected) in logits.iter().zip(&expected) {
            assert!((logit - expected).abs() <= error * largest, "{set}: {logits:?}, not {expected:?}");
        }
        kernels = fused_kernels(fused.as_ref());
    }
    kernels
}

#[test]
fn random_models_answer_as_plain_tract_does() {
    for (seed, (size, widths, architecture)) in [
        ([32, 32], [16, 32], "33-3"),
        ([20, 18], [16, 32], "57-5"),
        ([9, 8], [2, 5], "37-7"),
        ([17, 23], [12, 20], "11-1"),
        ([8, 11], [1, 40], "15-3"),
    ]
    .into_iter()
    .enumerate()
    {
        let kernels = check(&random(size, widths, architecture, seed as u64), size);
        assert!(kernels.is_some(), "{size:?} {widths:?} {architecture}");
    }
}

#[test]
fn everything_to_the_logits_is_one_operator() {
    let kernels = check(&random([32, 32], [16, 32], "33-3", 5), [32, 32]);
    // Stem, two blocks of two, a block of two with a shortcut, and the linear layer.
    assert_eq!(convolutions(kernels), 9);
}

/// How many convolutions, of all kinds, some kernels compute.
fn convolutions(kernels: Option<String>) -> usize {
    let kernels = kernels.unwrap_or_default();
    kernels.split(' ').filter_map(|word| word.parse::<usize>().ok()).sum()
}

/// Puts a node of another kind behind one.
fn insert(model: &mut Model, place: usize, operator: &str, attributes: Vec<Attribute>) {
    let graph = graph(model);
    let name = graph.node[place].output[0].clone();
    let inserted = node(operator, "inserted", &[&name], attributes);
    for reader in &mut graph.node[place + 1..] {
        reader
            .input
            .iter_mut()
            .filter(|input| **input == name)
            .for_each(|input| *input = "inserted".to_owned());
    }
    graph.node.insert(place + 1, inserted);
}

#[test]
fn what_is_unknown_ends_the_part_and_stays_tracts() {
    let whole = random([16, 16], [8, 16], "33-3", 7);
    for place in 1..whole.graph.as_ref().unwrap().node.len() - 3 {
        let mut model = whole.clone();
        // Bounds that no activation has.
        insert(&mut model, place, "Clip", vec![]);
        let graph = graph(&mut model);
        graph.node[place + 1].input.extend(["low".to_owned(), "high".to_owned()]);
        graph.initializer.extend([tensor("low", &[], &[-0.7]), tensor("high", &[], &[1.9])]);
        let kernels = check(&model, [16, 16]);
        // In front of the last convolutions a part worth it is left.
        assert!(kernels.is_some() || place < 3, "{place}");
    }
}

#[test]
fn activations_of_other_networks_are_known() {
    for (operator, bounds) in [("HardSwish", false), ("Clip", true)] {
        let mut model = random([16, 16], [8, 16], "33-3", 8);
        model.opset_import[0].version = 17;
        let graph = graph(&mut model);
        if bounds {
            graph.initializer.extend([tensor("zero", &[], &[0.0]), tensor("six", &[], &[6.0])]);
        }
        for node in graph.node.iter_mut().filter(|node| node.op_type == "Relu") {
            node.op_type = operator.to_owned();
            if bounds {
                node.input.extend(["zero".to_owned(), "six".to_owned()]);
            }
        }
        assert_eq!(convolutions(check(&model, [16, 16])), 9, "{operator}");
    }
}

/// Squeeze and excitation as `mfactor export` writes it, behind the first rectification.
#[test]
fn channels_that_are_scaled_by_a_gate_are_known() {
    let mut model = random([16, 14], [8, 16], "33-3", 14);
    let graph = graph(&mut model);
    let place = graph.node.iter().position(|node| node.op_type == "Relu").unwrap();
    let name = graph.node[place].output[0].clone();
    let mut numbers = Numbers(14);
    let mut linear = |name: &str, inputs: usize, outputs: usize| {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let values: Vec<f32> = (0..inputs * outputs).map(|_| numbers.next()).collect();
        let shape = [outputs, inputs, 1, 1];
        graph.initializer.push(tensor(&weight, &shape, &values));
        let values: Vec<f32> = (0..outputs).map(|_| numbers.next()).collect();
        graph.initializer.push(tensor(&bias, &[1, outputs, 1, 1], &values));
        (weight, bias)
    };
    let (down, up) = (linear("down", 8, 2), linear("up", 2, 8));
    let slope = |name, value| Attribute { f: value, ..named(name, 1) };
    let nodes = vec![
        node("GlobalAveragePool", "pooled", &[&name], vec![]),
        node("Conv", "down.product", &["pooled", &down.0], vec![]),
        node("Add", "down", &["down.product", &down.1], vec![]),
        node("Relu", "down.relu", &["down"], vec![]),
        node("Conv", "up.product", &["down.relu", &up.0], vec![]),
        node("Add", "up", &["up.product", &up.1], vec![]),
        node("HardSigmoid", "gate", &["up"], vec![slope("alpha", 1.0 / 6.0), slope("beta", 0.5)]),
        node("Mul", "scaled", &[&name, "gate"], vec![]),
    ];
    for reader in &mut graph.node[place + 1..] {
        reader
            .input
            .iter_mut()
            .filter(|input| **input == name)
            .for_each(|input| *input = "scaled".to_owned());
    }
    graph.node.splice(place + 1..place + 1, nodes);
    assert_eq!(convolutions(check(&model, [16, 14])), 11);
}

#[test]
fn weights_that_are_not_numbers_or_huge_stay_tracts() {
    for weight in [f32::NAN, f32::INFINITY, 1e30] {
        let mut model = random([8, 8], [4, 8], "33-3", 9);
        graph(&mut model).initializer[2].raw_data[..4].copy_from_slice(&weight.to_le_bytes());
        let fused = load(&model, [8, 8], Setting::Best).unwrap();
        assert_eq!(fused_kernels(fused.as_ref()), None, "{weight}");
    }
}

/// A change of a graph that still can be read as one.
fn change(model: &mut Model, kind: usize, place: usize, value: i64) {
    let graph = graph(model);
    let (nodes, weights) = (graph.node.len(), graph.initializer.len());
    let at = place % nodes;
    match kind {
        0 => {
            // Another stride or padding.
            let mut ints =
                graph.node[at].attribute.iter_mut().flat_map(|attribute| attribute.ints.iter_mut());
            if let Some(int) = ints.nth(value as usize % 4) {
                *int = value;
            }
        }
        1 => {
            // An earlier value is read instead.
            let other = graph.node[value as usize % (at + 1)].output[0].clone();
            if graph.node[at].output[0] != other {
                graph.node[at].input[0] = other;
            }
        }
        2 => {
            graph.node[at].op_type =
                ["Relu", "Sigmoid", "Add", "MaxPool", "Conv"][value as usize % 5].to_owned()
        }
        3 => {
            graph.node[at].attribute.push(Attribute { i: value, ..named("group", 2) });
        }
        4 => {
            let dims = &mut graph.initializer[place % weights].dims;
            if !dims.is_empty() {
                let axis = value as usize % dims.len();
                dims[axis] = value;
            }
        }
        _ => {
            graph.node.swap(at, value as usize % nodes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a graph says: tract's answer, or a refusal, and no panic.
    #[test]
    fn changed_models_are_answered_as_by_plain_tract_or_refused(
        changes in prop::collection::vec((0usize..6, 0usize..64, 0i64..9), 1..4),
        seed in 0u64..8,
    ) {
        let size = [9, 8];
        let mut changed = random(size, [3, 5], "35-3", seed);
        for (kind, place, value) in changes {
            change(&mut changed, kind, place, value);
        }
        let plain = load(&changed, size, Setting::Off);
        let fused = load(&changed, size, Setting::Best);
        let (Ok(mut plain), Ok(mut fused)) = (plain, fused) else { return Ok(()) };
        if let (Ok(expected), Ok(logits)) = (plain.run(&image(size)), fused.run(&image(size))) {
            let largest = expected.iter().fold(1e-3f32, |most, logit| most.max(logit.abs()));
            prop_assert_eq!(logits.len(), expected.len());
            for (logit, expected) in logits.iter().zip(&expected) {
                // A change may let values cancel each other.
                prop_assert!((logit - expected).abs() <= 1e-4 * largest, "{} for {}", logit, expected);
            }
        }
    }
}
