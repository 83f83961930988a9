//! Files that are good but for some changes: whatever they have become, they are refused in words, or everything copes.
//!
//! The number of cases is proptest's (`PROPTEST_CASES`); scripts/fuzz runs many, within a limit of memory.

use std::path::Path;

use engines::{EngineKind, EngineOptions, ModelFile, engine};
use mfactor::dataset::Records;
use mfactor::onnx::{DimensionValue, Graph, Model};
use mfactor::{Measurement, exit};
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;

use crate::model;
use crate::rounds::simulated_measurement;

/// Cases where the environment names no number: what CI runs.
const CASES: u32 = 400;

fn config() -> ProptestConfig {
    let cases =
        if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Numbers at which sizes, indices and sums break.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        -3i64..20,
        prop::sample::select(vec![127, 128, 255, 4096, 4097, 1 << 20, i64::from(i32::MAX), 1 << 32, 1 << 40]),
        prop::sample::select(vec![i64::MAX, i64::MIN, i64::from(i32::MIN), -128]),
    ]
}

/// One change of a graph.
#[derive(Debug, Clone)]
enum Change {
    Attribute(Index, Index, Index, i64),
    TensorDim(Index, Index, i64),
    TensorType(Index, i32),
    TensorData(Index, usize),
    Operator(Index, Index),
    Input(Index, Index, Index),
    Swap(Index, Index),
    Remove(Index),
    Repeat(Index, usize),
    ImageDim(Index, i64),
    OutputName(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        (index(), index(), index(), number()).prop_map(|(a, b, c, n)| Change::Attribute(a, b, c, n)),
        (index(), index(), number()).prop_map(|(a, b, n)| Change::TensorDim(a, b, n)),
        (index(), 0..12).prop_map(|(a, n)| Change::TensorType(a, n)),
        (index(), 0usize..300).prop_map(|(a, n)| Change::TensorData(a, n)),
        (index(), index()).prop_map(|(a, b)| Change::Operator(a, b)),
        (index(), index(), index()).prop_map(|(a, b, c)| Change::Input(a, b, c)),
        (index(), index()).prop_map(|(a, b)| Change::Swap(a, b)),
        index().prop_map(Change::Remove),
        (index(), 1usize..40).prop_map(|(a, n)| Change::Repeat(a, n)),
        (index(), number()).prop_map(|(a, n)| Change::ImageDim(a, n)),
        index().prop_map(Change::OutputName),
    ]
}

fn apply(graph: &mut Graph, change: &Change) -> Option<()> {
    /// The chosen element, if there is any.
    fn of<'a, T>(list: &'a mut [T], index: &Index) -> Option<&'a mut T> {
        if list.is_empty() { None } else { Some(&mut list[index.index(list.len())]) }
    }
    match change {
        Change::Attribute(node, attribute, value, number) => {
            let attribute = of(&mut of(&mut graph.node, node)?.attribute, attribute)?;
            attribute.i = *number;
            *of(&mut attribute.ints, value)? = *number;
        }
        Change::TensorDim(tensor, dim, number) => {
            *of(&mut of(&mut graph.initializer, tensor)?.dims, dim)? = *number;
        }
        Change::TensorType(tensor, number) => of(&mut graph.initializer, tensor)?.data_type = *number,
        Change::TensorData(tensor, length) => {
            of(&mut graph.initializer, tensor)?.raw_data.resize(*length, 0x7f)
        }
        Change::Operator(node, other) => {
            let operator = of(&mut graph.node, other)?.op_type.clone();
            of(&mut graph.node, node)?.op_type = operator;
        }
        Change::Input(node, input, other) => {
            let output = of(&mut graph.node, other)?.output.first()?.clone();
            *of(&mut of(&mut graph.node, node)?.input, input)? = output;
        }
        Change::Swap(one, other) => {
            let nodes = graph.node.len();
            if nodes > 0 {
                graph.node.swap(one.index(nodes), other.index(nodes));
            }
        }
        Change::Remove(node) => {
            if !graph.node.is_empty() {
                let node = node.index(graph.node.len());
                graph.node.remove(node);
            }
        }
        Change::Repeat(node, times) => {
            let node = of(&mut graph.node, node)?.clone();
            graph.node.extend(std::iter::repeat_n(node, *times));
        }
        Change::ImageDim(dim, number) => {
            let tensor = of(&mut graph.input, dim)?.r#type.as_mut()?.tensor_type.as_mut()?;
            of(&mut tensor.shape.as_mut()?.dim, dim)?.value = Some(DimensionValue::Value(*number));
        }
        Change::OutputName(node) => {
            let name = of(&mut graph.node, node)?.output.first()?.clone();
            of(&mut graph.output, node)?.name = name;
        }
    }
    Some(())
}

/// A model in either precision.
fn good(is_int8: bool) -> Model {
    if is_int8 { model::int8() } else { model::model(&model::metadata()) }
}

/// Inspects a model and, if that accepts it, runs it as the runner would.
fn cope(bytes: Vec<u8>) {
    let file = match ModelFile::inspect(Path::new("changed.onnx"), bytes) {
        Ok(file) => file,
        Err(error) => {
            assert_eq!(error.exit_code(), exit::INPUT, "{error}");
            assert!(error.to_string().starts_with("changed.onnx"), "{error}");
            return;
        }
    };
    let engine = engine::open(&EngineOptions::new(EngineKind::Tract)).unwrap();
    let image = vec![7; file.signature().image.bytes()];
    if let Ok(mut session) = engine.load(&file.bytes, file.signature(), "changed.onnx")
        && let Err(error) = session.run(&image)
    {
        assert_eq!(error.exit_code(), exit::INPUT, "{error}");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn models_with_changed_bytes(
        is_int8 in any::<bool>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = good(is_int8).encode_to_vec();
        for (index, value) in changes {
            let position = index.index(bytes.len());
            bytes[position] = value;
        }
        cope(bytes);
    }

    #[test]
    fn models_with_changed_graphs(
        is_int8 in any::<bool>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let mut model = good(is_int8);
        for change in &changes {
            // A change that finds nothing to change leaves the others to be seen.
            let _ = apply(model.graph.as_mut().unwrap(), change);
        }
        cope(model.encode_to_vec());
    }

    #[test]
    fn models_with_changed_metadata(entry in any::<Index>(), position in any::<Index>(), text in "[-0-9eE.\\[\\]{}\",a-z]{0,9}") {
        let mut model = good(false);
        let entries = model.metadata_props.len();
        let value = &mut model.metadata_props[entry.index(entries)].value;
        let position = position.index(value.len() + 1);
        if value.is_char_boundary(position) {
            value.insert_str(position, &text);
        }
        cope(model.encode_to_vec());
    }

    #[test]
    fn measurements_with_changed_bytes(changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6), cut in any::<Index>()) {
        let mut bytes = serde_json::to_vec(&simulated_measurement()).unwrap();
        for (index, value) in changes {
            let position = index.index(bytes.len());
            bytes[position] = value;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Err(error) = Measurement::parse(bytes, "changed.json") {
                assert_eq!(error.exit_code(), exit::INPUT);
                assert!(error.to_string().starts_with("changed.json: "), "{error}");
            }
        }
    }

    #[test]
    fn record_files_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000), whole in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let (path, image) = (folder.path().join("changed.bin"), model::space().image());
        let size = 1 + image.bytes();
        let length = if whole { bytes.len() / size * size } else { bytes.len() };
        std::fs::write(&path, &bytes[..length]).unwrap();
        match Records::read_file(&path, image, model::CLASSES) {
            Ok(records) => assert_eq!(records.len() * size, length),
            Err(error) => {
                assert_eq!(error.exit_code(), exit::INPUT);
                assert!(error.to_string().contains("changed.bin"), "{error}");
            }
        }
    }
}
