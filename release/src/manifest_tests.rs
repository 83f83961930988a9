//! Tests of what a manifest may say.

use super::*;

fn file(name: &str) -> ReleaseFile {
    let mode = if name == RUNNER { 0o755 } else { 0o644 };
    ReleaseFile { name: name.to_owned(), sha256: files::sha256(name.as_bytes()), bytes: 3, mode }
}

fn manifest(names: &[&str]) -> Manifest {
    Manifest {
        schema: SCHEMA,
        tool_version: "0.1.0".to_owned(),
        study: "study".to_owned(),
        target: "rpi4".to_owned(),
        architecture: "aarch64".to_owned(),
        glibc: Some("2.28".to_owned()),
        files: names.iter().map(|name| file(name)).collect(),
        models: vec![],
        records: vec![],
    }
}

#[test]
fn a_manifest_parses_back_and_its_id_is_its_hash() {
    let manifest = manifest(&[RUNNER, "models/357-333-377.onnx", "models/357-333-377.int8.onnx"]);
    let bytes = manifest.to_bytes().unwrap();
    assert_eq!(Manifest::parse(&bytes, "m").unwrap(), manifest);
    assert!(is_id(&id(&bytes)) && !is_id("current") && !is_id(&"A".repeat(64)));
}

#[test]
fn names_that_could_leave_the_folder_are_refused() {
    let wrong = [
        "..",
        "../edge-runner",
        "models/../../x",
        "/etc/passwd",
        "models//x",
        "models/",
        "",
        ".hidden",
        "models/.x",
        "a b",
        "a\nb",
        "a;b",
        "-rf",
        "ü",
        "a\0b",
        "manifest.json",
        "manifest.json.minisig",
        "edge-runner/x",
    ];
    for name in wrong {
        let error = manifest(&[RUNNER, name]).check().unwrap_err();
        assert!(!error.is_empty(), "{name}");
    }
    manifest(&[RUNNER, &"a".repeat(LONGEST_NAME)]).check().unwrap();
    assert!(manifest(&[RUNNER, &"a".repeat(LONGEST_NAME + 1)]).check().is_err());
}

#[test]
fn what_no_board_could_hold_is_refused() {
    let expect = |manifest: &Manifest, part: &str| {
        let text = Manifest::parse(&manifest.to_bytes().unwrap(), "m.json").unwrap_err().to_string();
        assert!(text.contains(part) && text.contains("m.json"), "{text}");
    };
    expect(&manifest(&["x"]), "has no edge-runner");
    expect(&manifest(&[RUNNER, "x", "x"]), "stands twice");
    expect(&Manifest { schema: 2, ..manifest(&[RUNNER]) }, "schema is 2");
    for (change, part) in [
        ((|file| file.mode = 0o4755) as fn(&mut ReleaseFile), "mode 4755"),
        (|file| file.sha256 = "../../x".to_owned(), "no SHA-256"),
        (|file| file.bytes = u64::MAX, "at most"),
    ] {
        let mut manifest = manifest(&[RUNNER]);
        change(&mut manifest.files[0]);
        expect(&manifest, part);
    }
    let unknown = String::from_utf8(manifest(&[RUNNER]).to_bytes().unwrap()).unwrap();
    let unknown = unknown.replacen("\"study\"", "\"owner\": \"me\", \"study\"", 1);
    assert!(Manifest::parse(unknown.as_bytes(), "m").unwrap_err().to_string().contains("owner"));
}
