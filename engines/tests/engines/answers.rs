//! Both engines give the known answers, one image at a time, and refuse what they cannot run.

use engines::{EngineKind, EngineOptions, ModelFile, Signature, engine};
use mfactor::exit;

use crate::model;

fn kinds() -> Vec<EngineKind> {
    let mut kinds = vec![EngineKind::Tract];
    if crate::onnx_runtime_is_here() {
        kinds.push(EngineKind::Ort);
    }
    kinds
}

#[test]
fn known_answers() {
    let folder = tempfile::tempdir().unwrap();
    let read = |model| ModelFile::read(&model::write(&folder, "tiny.onnx", &model)).unwrap();
    let files = [read(model::model(&model::metadata())), read(model::int8())];
    for (kind, file) in kinds().into_iter().flat_map(|kind| files.iter().map(move |file| (kind, file))) {
        let engine = engine::open(&EngineOptions::new(kind)).unwrap();
        let facts = engine.facts();
        assert_eq!((facts.name.as_str(), facts.threads), (kind.name(), 1));
        assert!(facts.version.starts_with(|c: char| c.is_ascii_digit()), "{}", facts.version);
        let mut session = engine.load(&file.bytes, file.signature(), "tiny.onnx").unwrap();
        for value in [0, 1, 255] {
            let logits = session.run(&vec![value; file.signature().image.bytes()]).unwrap();
            assert_eq!(logits, model::logits(), "{kind:?}");
        }
        let error = session.run(&[1, 2, 3]).unwrap_err();
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains("has 3 values"), "{error}");
        // A failed call leaves the session as good as before.
        assert_eq!(session.run(&vec![3; file.signature().image.bytes()]).unwrap(), model::logits());
    }
}

#[test]
fn an_engine_refuses_in_words() {
    let image = model::space().image();
    for kind in kinds() {
        let engine = engine::open(&EngineOptions::new(kind)).unwrap();
        let error = engine.load(b"no model", Signature { image, classes: 3 }, "bad.onnx").err().unwrap();
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().starts_with("bad.onnx: "), "{error}");
    }
}

#[test]
fn more_threads() {
    let options = EngineOptions { threads: 2, ..EngineOptions::new(EngineKind::Tract) };
    assert_eq!(engine::open(&options).err().unwrap().exit_code(), exit::USAGE);
    if crate::onnx_runtime_is_here() {
        let options = EngineOptions { threads: 2, ..EngineOptions::new(EngineKind::Ort) };
        assert_eq!(engine::open(&options).unwrap().facts().threads, 2);
    }
}

#[test]
fn a_file_that_is_no_library_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    std::fs::write(&path, b"no library").unwrap();
    let options = EngineOptions { library: Some(path), ..EngineOptions::new(EngineKind::Ort) };
    let error = engine::open(&options).err().unwrap();
    assert_eq!(error.exit_code(), exit::MISSING);
    assert!(error.to_string().contains("libonnxruntime.so"), "{error}");
}
