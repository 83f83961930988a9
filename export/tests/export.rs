//! Models are exported from random weights and compared with a plain f64 walk over the layers, with both engines.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]
#![expect(clippy::print_stdout, reason = "what the long forms find is for people to read")]

mod quantized;
mod trial;

use engines::ModelFile;
use mfactor::block::BlockKind;
use mfactor::objective::m_factor;
use mfactor::protocol::{CHECK_FILE, DEVIATION_TENSOR, WEIGHTS_FILE};
use mfactor::space::shipped;
use mfactor::{Cost, SearchSpace, exit};
use quantized::{Errors, errors};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trial::Trial;

/// Largest errors of int8 logits, see [`Errors`].
const LARGEST_INT8_ERROR: f64 = 0.5;
const LARGEST_ENGINE_ERROR: f64 = 0.5;
const PAPER: &str = include_str!("../../spaces/paper.toml");

/// The spaces that ship, but for the paper's.
fn spaces() -> impl Iterator<Item = &'static str> {
    shipped::names().filter(|name| *name != "paper")
}

/// Small, odd and not square: a side of 9 at stride 2 and 3, one colour plane, kernels up to 9.
fn odd_space() -> SearchSpace {
    let text = "schema = 1\nname = \"odd\"\nclasses = 4\nimage = { channels = 1, height = 9, width = 14 }\n\
                stem = { kernel = 5, width = 6 }\n\
                [[stage]]\nblocks = 2\nwidth = 6\nstride = 2\nkernels = [1, 3, 9]\n\
                [[stage]]\nblocks = 1\nwidth = 10\nstride = 3\nkernels = [3, 5]\n";
    SearchSpace::parse(text, "odd").unwrap()
}

fn export(trial: &Trial) -> mfactor::Result<export::ExportedModel> {
    export::export(&trial.request, &mut |_| {}).map(|model| model.expect("no limit is set"))
}

/// Nothing is left where the model would be.
fn assert_no_file(trial: &Trial) {
    let models = trial.folder().join("models");
    assert!(!models.exists() || std::fs::read_dir(models).unwrap().count() == 0);
}

/// The largest difference of a logit in either engine.
fn assert_parity(space: &SearchSpace, architecture: &str) -> f64 {
    let trial = Trial::new(space, architecture, 3);
    let exported = export(&trial).unwrap();
    let [ort, tract] = exported.checks.as_slice() else { panic!("{:?}", exported.checks) };
    assert_eq!((ort.engine.name.as_str(), tract.engine.name.as_str()), ("ort", "tract"));
    for check in [ort, tract] {
        assert_eq!(check.images, 3);
        // Far below what is allowed: rounding in f32 is all that may differ.
        assert!(check.largest_difference < 1e-4, "{check:?}");
    }
    let file = ModelFile::read(&exported.path).unwrap();
    let cost = space.cost(&trial.request.architecture);
    assert_eq!((file.graph.parameters, file.graph.macs), (cost.parameters, cost.macs));
    assert_eq!((file.sha256(), file.metadata), (exported.sha256, exported.metadata));
    ort.largest_difference.max(tract.largest_difference)
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn the_smallest_network_of_the_paper() {
    assert_parity(&SearchSpace::paper(), "333-333-333");
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn the_largest_network_of_the_paper() {
    assert_parity(&SearchSpace::paper(), "777-777-777");
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn a_mixed_network_of_the_paper() {
    assert_parity(&SearchSpace::paper(), "357-753-537");
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn odd_images_and_strides() {
    for architecture in ["11-3", "93-5", "39-5"] {
        assert_parity(&odd_space(), architecture);
    }
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn another_image_size_and_number_of_classes() {
    let text = PAPER.replace("height = 32", "height = 27").replace("width = 32\n\n", "width = 21\n\n");
    let space = SearchSpace::parse(&text.replace("classes = 10", "classes = 3"), "changed").unwrap();
    assert_eq!((space.image().height, space.image().width, space.classes()), (27, 21, 3));
    assert_parity(&space, "375-333-737");
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn metadata_and_test_accuracy_are_in_the_file() {
    let trial = Trial::new(&odd_space(), "13-5", 4);
    let mut steps = vec![];
    let exported = export::export(&trial.request, &mut |step| steps.push(step)).unwrap().unwrap();
    let card = std::fs::read_to_string(export::card::path(&exported.path)).unwrap();
    assert!(card.contains(&exported.sha256) && card.contains("data set of the user's own"), "{card}");
    let metadata = ModelFile::read(&exported.path).unwrap().metadata;
    let Cost { parameters, .. } = trial.request.space.cost(&trial.request.architecture);
    let size_score = trial.request.space.minimum_parameters() as f64 / parameters as f64;
    let expected = m_factor(0.75, size_score, 1.0);
    assert_eq!((metadata.alpha, metadata.m_factor, metadata.validation_accuracy), (1.0, expected, 0.75));
    assert_eq!((metadata.study.as_str(), metadata.trial, metadata.seed), ("test", 3, 7));
    assert_eq!((metadata.data.as_str(), metadata.classes.len()), ("noise", 4));
    let layers = trial.request.space.lower(&trial.request.architecture);
    let test = mfactor::dataset::DataSet::open(&trial.request.data).unwrap().test().unwrap();
    let is_right = |record: &usize| {
        let logits = trial::forward(&layers, &trial.tensors, test.image(*record));
        let best = (0..4).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        best == usize::from(test.labels()[*record])
    };
    let right = (0..test.len()).filter(is_right).count();
    assert_eq!((metadata.test_accuracy, exported.test_images), (right as f64 / 20.0, 20));
    let expected = [
        export::Progress::Checking,
        export::Progress::Testing { done: 20, of: 20 },
        export::Progress::Writing,
    ];
    assert_eq!(steps, expected);
    let golden =
        trial::forward(&layers, &trial.tensors, &mfactor::golden::input(trial.request.space.image(), 0));
    let golden: Vec<f32> = golden.iter().map(|logit| *logit as f32).collect();
    assert!(mfactor::golden::difference(&golden, &metadata.golden_logits[0]) < 1e-4);
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn a_wrong_logit_is_refused_and_leaves_the_old_file() {
    let mut trial = Trial::new(&odd_space(), "13-5", 4);
    let written = export(&trial).unwrap();
    trial.logits[2][1] += 0.002;
    trial.write();
    let error = export(&trial).unwrap_err();
    assert_eq!(error.exit_code(), exit::INPUT);
    let text = error.to_string();
    assert!(text.contains(CHECK_FILE) && text.contains(&format!("record {}", trial.records[2])), "{text}");
    assert_eq!(ModelFile::read(&written.path).unwrap().sha256(), written.sha256);
    std::fs::remove_file(&written.path).unwrap();
    std::fs::remove_file(export::card::path(&written.path)).unwrap();
    assert!(export(&trial).is_err());
    assert_no_file(&trial);
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn a_record_that_is_not_there_is_refused() {
    let mut trial = Trial::new(&odd_space(), "13-5", 4);
    trial.records[0] = 6;
    trial.write();
    assert!(export(&trial).unwrap_err().to_string().contains("only 6 training records"));
    trial.records[0] = -1;
    trial.write();
    assert!(export(&trial).unwrap_err().to_string().contains("below 0"));
    assert_no_file(&trial);
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn tensors_that_do_not_fit_are_named() {
    let name = "stage1.block1.conv1.weight";
    let tamper = |change: &dyn Fn(&mut Trial)| {
        let mut trial = Trial::new(&odd_space(), "13-5", 2);
        change(&mut trial);
        trial.write();
        let error = export(&trial).unwrap_err();
        assert_eq!(error.exit_code(), exit::INPUT, "{error}");
        assert!(error.to_string().contains(WEIGHTS_FILE), "{error}");
        assert_no_file(&trial);
        error.to_string()
    };
    let text = tamper(&|trial| drop(trial.tensors.remove(name)));
    assert!(text.contains(name) && text.contains("not there"), "{text}");
    let text = tamper(&|trial| trial.tensors.get_mut(name).unwrap().0 = vec![6, 1, 1, 6]);
    assert!(text.contains(name) && text.contains("[6, 1, 1, 6]") && text.contains("[6, 6, 1, 1]"), "{text}");
    let text = tamper(&|trial| trial.tensors.get_mut(name).unwrap().1[5] = f32::NAN);
    assert!(text.contains(name) && text.contains("value 5 is NaN"), "{text}");
    let text = tamper(&|trial| trial.tensors.get_mut(DEVIATION_TENSOR).unwrap().1[0] = 0.0);
    assert!(text.contains(DEVIATION_TENSOR), "{text}");
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn a_trial_without_weights_says_why() {
    let trial = Trial::new(&odd_space(), "13-5", 2);
    std::fs::remove_file(trial.request.trial_folder.join(WEIGHTS_FILE)).unwrap();
    let error = export(&trial).unwrap_err();
    assert_eq!(error.exit_code(), exit::INPUT);
    assert!(error.to_string().contains("--evaluator train"), "{error}");
    std::fs::write(trial.request.trial_folder.join(WEIGHTS_FILE), b"not tensors").unwrap();
    assert!(export(&trial).unwrap_err().to_string().contains("not a safetensors file"));
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn another_data_set_is_refused() {
    let mut trial = Trial::new(&odd_space(), "13-5", 2);
    let other = Trial::new(&SearchSpace::paper(), "333-333-333", 1);
    trial.request.data = other.request.data.clone();
    let error = export(&trial).unwrap_err();
    assert_eq!(error.exit_code(), exit::INPUT);
    assert!(error.to_string().contains("3×32×32"), "{error}");
}

#[test]
fn a_missing_onnx_runtime_names_the_command() {
    let mut trial = Trial::new(&odd_space(), "13-5", 2);
    trial.request.library = Some("no/such/libonnxruntime.so".into());
    let error = export(&trial).unwrap_err();
    assert_eq!(error.exit_code(), exit::MISSING);
    assert!(error.to_string().contains("pip install onnxruntime"), "{error}");
    assert_no_file(&trial);
}

fn int8(space: &SearchSpace, architecture: &str) -> export::ExportedModel {
    let mut trial = Trial::new(space, architecture, 30);
    trial.request.precision = export::Precision::Int8;
    let exported = export(&trial).unwrap();
    let file = ModelFile::read(&exported.path).unwrap();
    let cost = space.cost(&trial.request.architecture);
    assert_eq!((file.graph.parameters, file.graph.macs), (cost.parameters, cost.macs), "recounted");
    assert_eq!(file.metadata.precision, "int8");
    assert_eq!(file.metadata, exported.metadata);
    exported
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn int8_is_small_and_both_engines_agree() {
    let exported = int8(&SearchSpace::paper(), "333-333-333");
    let facts = exported.int8.unwrap();
    assert_eq!(facts.calibration_images, 2, "that is how many there are to train on");
    assert!(facts.agreement >= 0.99, "{facts:?}");
    assert!(facts.share_of_f32_bytes < 0.30, "{facts:?}");
    assert!(facts.validation_accuracies.iter().all(|accuracy| (0.0..=1.0).contains(accuracy)));
}

/// All but the linear layer are made of integers, so that a processor that multiplies bytes gains by it.
#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn int8_multiplies_bytes() {
    let mut trial = Trial::new(&SearchSpace::paper(), "333-333-333", 30);
    trial.request.precision = export::Precision::Int8;
    let file = ModelFile::read(&export(&trial).unwrap().path).unwrap();
    let plain = kernels::Setting::Set(kernels::InstructionSet::Plain);
    let tract = engines::tract_engine::Tract::with(plain).unwrap();
    let session = engines::Engine::load(&tract, &file.bytes, file.graph.signature, "a test").unwrap();
    let kernels = session.kernels().unwrap();
    assert!(kernels.contains("1 direct, 21 direct int8"), "{kernels}");
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn int8_of_odd_images_and_strides() {
    int8(&odd_space(), "93-5");
}

/// Networks of a space that ships, drawn at random; the largest would take the plain walk too long.
fn drawn(name: &str, networks: usize, seed: u64) -> (SearchSpace, Vec<String>) {
    let space = SearchSpace::load(std::path::Path::new(name)).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let small = std::iter::repeat_with(|| space.sample(&mut rng))
        .filter(|network| space.cost(network).macs < 60_000_000)
        .take(networks);
    let ids = small.map(|network| network.to_string()).collect();
    (space, ids)
}

fn assert_parity_of_drawn(networks: usize, seed: u64) {
    for name in spaces() {
        let (space, ids) = drawn(name, networks, seed);
        let largest = ids.iter().map(|id| assert_parity(&space, id)).fold(0.0, f64::max);
        println!("{name}: {} networks, largest difference of a logit {largest:.1e}", ids.len());
    }
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn networks_of_all_spaces_that_ship() {
    assert_parity_of_drawn(5, 1);
}

/// The long form, 200 of each space: too long for every run.
#[test]
#[ignore = "takes an hour: cargo nextest run --run-ignored all -E 'test(two_hundred)' --ignore-default-filter"]
fn two_hundred_networks_of_each_space_that_ships() {
    assert_parity_of_drawn(200, 2);
}

fn assert_int8_of_drawn(networks: usize, seed: u64) {
    for name in spaces() {
        let (space, ids) = drawn(name, networks, seed);
        let all: Vec<Errors> = ids.iter().map(|id| errors(&space, id)).collect();
        let worst = |of: fn(&Errors) -> f64| all.iter().map(of).fold(0.0, f64::max);
        let [of_int8, of_engines] = [worst(|of| of.of_int8), worst(|of| of.of_engines)];
        println!("{name}: int8 {of_int8:.3}, engines {of_engines:.3}");
        assert!(of_int8 < LARGEST_INT8_ERROR && of_engines < LARGEST_ENGINE_ERROR, "{name}: {all:?}");
    }
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn int8_logits_of_networks_of_all_spaces_stay_near() {
    assert_int8_of_drawn(2, 3);
}

/// The long form, ten of each space: too long for every run.
#[test]
#[ignore = "takes long: cargo nextest run --run-ignored all -E 'test(ten_networks)' --ignore-default-filter"]
fn ten_networks_of_each_space_in_int8_stay_near() {
    assert_int8_of_drawn(10, 4);
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn every_kind_of_block_and_activation() {
    let space = kinds();
    for id in
        ["s8-w8.b3.i3e2-w16.n5mq.n5mq", "s8-w8.i3e2s.i5e2h-w16.f3e2s", "s16-w8.d.i3e26-w16.f3e1h.f3e1h.f3e1h"]
    {
        assert_parity(&space, id);
    }
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn int8_of_every_kind_of_block_and_activation() {
    for id in ["s8-w8.b3.i3e2-w16.n5mq", "s8-w8.i3e2s.i5e2h-w16.f3e2s", "s16-w8.d.i3e26-w16.f3e1h"] {
        int8(&kinds(), id);
    }
}

/// A small space with all of them.
fn kinds() -> SearchSpace {
    let text = r#"
        schema = 2
        name = "kinds"
        classes = 4
        image = { channels = 3, height = 13, width = 16 }
        stem = { kernel = 3, stride = 2, width = [8, 16], activation = "relu" }
        head = { width = 24 }
        [[stage]]
        depth = 2
        width = 8
        stride = 1
        block = [
          { kind = "basic", kernel = 3 },
          { kind = "inverted", kernel = 3, expand = 2, squeeze = [0, 4], activation = ["relu", "relu6"] },
          { kind = "inverted", kernel = 5, expand = 2, activation = "hard-swish" },
          { kind = "identity" },
        ]
        [[stage]]
        depth = [1, 2, 3]
        width = 16
        stride = 2
        choose = "stage"
        block = [
          { kind = "bottleneck", kernel = 5, expand = 0.25 },
          { kind = "fused", kernel = 3, expand = 2, squeeze = 4 },
          { kind = "fused", kernel = 3, expand = 1, activation = "hard-swish" },
        ]
    "#;
    let absent = BlockKind::ALL.map(BlockKind::name).into_iter().find(|kind| !text.contains(kind));
    assert_eq!(absent, None, "a kind of block that this space lacks is not tested");
    SearchSpace::parse(text, "kinds").unwrap()
}
