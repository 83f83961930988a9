//! Both engines give the known answers, one image at a time, and refuse what they cannot run.

use engines::{EngineKind, EngineOptions, ModelFile, Signature, engine};
use mfactor::exit;

use crate::model;

#[test]
fn known_answers_of_tract() {
    known_answers(EngineKind::Tract);
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn known_answers_of_onnx_runtime() {
    known_answers(EngineKind::Ort);
}

fn known_answers(kind: EngineKind) {
    let folder = tempfile::tempdir().unwrap();
    let read = |model| ModelFile::read(&model::write(&folder, "tiny.onnx", &model)).unwrap();
    let files = [read(model::model(&model::metadata())), read(model::int8())];
    for file in files {
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
fn tract_refuses_in_words() {
    refuses_in_words(EngineKind::Tract);
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn onnx_runtime_refuses_in_words() {
    refuses_in_words(EngineKind::Ort);
}

fn refuses_in_words(kind: EngineKind) {
    let image = model::space().image();
    let engine = engine::open(&EngineOptions::new(kind)).unwrap();
    let error = engine.load(b"no model", Signature { image, classes: 3 }, "bad.onnx").err().unwrap();
    assert_eq!(error.exit_code(), exit::INPUT);
    assert!(error.to_string().starts_with("bad.onnx: "), "{error}");
}

#[test]
fn tract_has_one_thread() {
    let options = EngineOptions { threads: 2, ..EngineOptions::new(EngineKind::Tract) };
    assert_eq!(engine::open(&options).err().unwrap().exit_code(), exit::USAGE);
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn onnx_runtime_has_more_threads() {
    let options = EngineOptions { threads: 2, ..EngineOptions::new(EngineKind::Ort) };
    assert_eq!(engine::open(&options).unwrap().facts().threads, 2);
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
