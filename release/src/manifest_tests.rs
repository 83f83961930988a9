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
        sequence: 7,
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
fn a_manifest_of_the_former_version_is_read_and_keeps_its_id() {
    let former = Manifest { schema: 1, sequence: 0, ..manifest(&[RUNNER]) };
    let bytes = former.to_bytes().unwrap();
    assert!(!String::from_utf8(bytes.clone()).unwrap().contains("sequence"));
    let read = Manifest::parse(&bytes, "m").unwrap();
    assert_eq!(read, former);
    assert_eq!(id(&read.to_bytes().unwrap()), id(&bytes));
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
    expect(&Manifest { schema: 3, ..manifest(&[RUNNER]) }, "schema is 3");
    expect(&Manifest { sequence: 0, ..manifest(&[RUNNER]) }, "sequence is 0");
    expect(&Manifest { schema: 1, ..manifest(&[RUNNER]) }, "sequence is 7");
    for target in ["", "../x", "RPI4", "a\u{1b}[31m", "-rf", "."] {
        expect(
            &Manifest { target: target.to_owned(), ..manifest(&[RUNNER]) },
            "must begin with a small letter",
        );
    }
    for (change, part) in [
        ((|file| file.mode = 0o4755) as fn(&mut ReleaseFile), "mode 4755"),
        (|file| file.sha256 = "../../x".to_owned(), "no SHA-256"),
        (|file| file.bytes = u64::MAX, "at most"),
        (|file| file.name = "a/".repeat(40) + "a", "is no plain relative path"),
        (|file| file.name = "a\u{1b}[2J".to_owned(), "a\\u{1b}[2J"),
    ] {
        let mut manifest = manifest(&[RUNNER]);
        change(&mut manifest.files[0]);
        expect(&manifest, part);
    }
    let unknown = String::from_utf8(manifest(&[RUNNER]).to_bytes().unwrap()).unwrap();
    let unknown = unknown.replacen("\"study\"", "\"owner\": \"me\", \"study\"", 1);
    assert!(Manifest::parse(unknown.as_bytes(), "m").unwrap_err().to_string().contains("owner"));
}

#[test]
fn what_a_board_holds_open_or_remembers_has_a_limit() {
    let names: Vec<String> = (0..MOST_FILES).map(|number| format!("models/{number}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names[0] = RUNNER;
    manifest(&names).check().unwrap();
    names.push("models/one-more");
    assert!(manifest(&names).check().unwrap_err().contains("has 513 files"));
    let long = Manifest { study: "s".repeat(LONGEST_TEXT + 1), ..manifest(&[RUNNER]) };
    assert!(long.check().unwrap_err().contains("characters of the study"));
    let records = RecordsFile { name: "r".to_owned(), sha256: files::sha256(b""), bytes: 1 };
    let many = Manifest { records: vec![records; MOST_RECORDS + 1], ..manifest(&[RUNNER]) };
    assert!(many.check().unwrap_err().contains("records; at most 64"));
    assert!(Manifest::parse(&vec![b' '; LARGEST_MANIFEST + 1], "m").is_err());
}
