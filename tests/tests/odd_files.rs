//! Whatever stands where a file is meant: the command ends, with a sentence and the code of bad input. And files of others
//! in our folders, full outputs, and outputs that cannot be written.

use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mfactor::{exit, process};
use tests::{Workplace, program};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../studies/paper/models/333-333-333.onnx");
/// Far above anything that is asked here, and below for ever.
const LONGEST: Duration = Duration::from_secs(300);

/// Runs a program of ours in the workplace; code and stderr.
fn run(place: &Workplace, name: &str, arguments: &[&str]) -> (u8, String) {
    let mut command = Command::new(program(name));
    command.args(arguments).current_dir(place.path(".")).env("NO_COLOR", "1");
    let ended =
        process::run(&mut command, LONGEST, 1 << 20).unwrap_or_else(|error| panic!("{arguments:?} {error}"));
    let code = ended.status.code().and_then(|code| u8::try_from(code).ok());
    (
        code.unwrap_or_else(|| panic!("{arguments:?}: {}", ended.status)),
        String::from_utf8_lossy(&ended.stderr).into_owned(),
    )
}

/// Makes one of each kind of file that is none, and [`ODD`] names them. The socket is one as long as it is listened to.
fn odd_files(place: &Workplace) -> UnixListener {
    let fifo = place.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let listener = UnixListener::bind(place.path("socket")).expect("a socket");
    File::create(place.path("sparse")).and_then(|file| file.set_len(100 << 30)).expect("a sparse file");
    fs::create_dir(place.path("folder")).expect("a folder");
    place.write("empty", b"");
    place.write("pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1107374\n");
    place.write("page", b"<!DOCTYPE html>\n<html><head><title>Not found</title></head></html>\n");
    place.write("escapes", b"\x1b]0;owned\x07\x1b[2J\n");
    listener
}

const ODD: [&str; 9] = [
    "./fifo",
    "./socket",
    "/dev/zero",
    "./sparse",
    "./folder",
    "./empty",
    "./pointer",
    "./page",
    "./escapes",
];

/// Arguments, with `{}` for the odd file.
const PLACES: [(&str, &str); 18] = [
    ("edge-runner", "info {}"),
    ("edge-runner", "check {}"),
    ("edge-runner", "classify {} picture.png"),
    ("edge-runner", "classify MODEL {}"),
    ("edge-runner", "classify MODEL {} --record 0"),
    ("edge-runner", "measure {} --preset quick"),
    ("edge-runner", "measure MODEL --preset quick --data {}"),
    ("mfactor", "space --space {}"),
    ("mfactor", "search --evaluator constant:0.5 --trials 1 --space {} --out new"),
    ("mfactor", "search --study {} --out new"),
    ("mfactor", "search --evaluator table:{} --trials 1 --out new"),
    ("mfactor", "search --trials 1 --data {} --out new"),
    ("mfactor", "data check {}"),
    ("mfactor", "targets show {}"),
    ("mfactor", "trials {}"),
    ("mfactor", "export {}"),
    ("mfactor", "compare study --with {}"),
    ("mfactor", "compare study --target {}"),
];

#[test]
fn every_odd_file_ends_every_command_in_a_sentence() {
    let place = Workplace::new();
    place.run("search --evaluator constant:0.75 --trials 1 --strategy random --out study", exit::DONE);
    let _open = odd_files(&place);
    for (name, arguments) in PLACES {
        for odd in ODD {
            let line = arguments.replace("{}", odd).replace("MODEL", MODEL);
            let (code, said) = run(&place, name, &line.split(' ').collect::<Vec<_>>());
            assert_eq!(code, exit::INPUT, "{line}: {said}");
            assert!(said.starts_with("error: ") && said.trim_end().lines().count() == 1, "{line}: {said}");
            assert!(
                !said.contains("defect") && !said.trim_end().contains(char::is_control),
                "{line}: {said}"
            );
        }
        assert!(!place.path("new").exists(), "{arguments} leaves a study behind");
    }
}

/// What is handed on to a board or to ssh is looked at before anybody is connected to.
#[test]
fn no_odd_file_is_handed_on_to_a_board() {
    let place = Workplace::new();
    place.run("search --evaluator constant:0.75 --trials 1 --strategy random --out study", exit::DONE);
    place.run("targets keygen --key key", exit::DONE);
    fs::create_dir(place.path("study/models")).expect("a folder");
    fs::copy(MODEL, place.path("study/models/333-333-333.onnx")).expect("a model");
    let _open = odd_files(&place);
    let flash = "flash study --target host --no-measure --host nobody.invalid";
    for arguments in [
        "board info --host nobody.invalid --ssh-config {}".to_owned(),
        "flash study --target host --inventory {}".to_owned(),
        format!("{flash} --key {{}} --runner key"),
        format!("{flash} --key key --runner {{}}"),
    ] {
        for odd in &ODD[..5] {
            let line = arguments.replace("{}", odd);
            let (code, said) = run(&place, "mfactor", &line.split(' ').collect::<Vec<_>>());
            assert_eq!(code, exit::INPUT, "{line}: {said}");
            assert!(said.trim_end().lines().count() == 1 && said.contains(odd), "{line}: {said}");
        }
    }
}

#[test]
fn what_can_be_told_of_a_file_is_told() {
    let place = Workplace::new();
    let _open = odd_files(&place);
    let cases = [
        ("info ./pointer", "git lfs pull"),
        ("info ./page", "is a web page"),
        ("info ./empty", "is empty"),
        ("info ./fifo", "is not a regular file"),
        ("info ./sparse", "at most"),
        ("classify MODEL ./pointer", "git lfs pull"),
        ("classify MODEL ./page --record 0", "is a web page"),
        ("measure MODEL --data ./pointer --preset quick", "git lfs pull"),
    ];
    for (arguments, words) in cases {
        let line = arguments.replace("MODEL", MODEL);
        let (_, said) = run(&place, "edge-runner", &line.split(' ').collect::<Vec<_>>());
        assert!(said.contains(words), "{line}: {said}");
    }
    for (arguments, words) in
        [("space --space ./pointer", "git lfs pull"), ("space --space ./page", "is a web page")]
    {
        let (_, said) = run(&place, "mfactor", &arguments.split(' ').collect::<Vec<_>>());
        assert!(said.contains(words), "{arguments}: {said}");
    }
}

#[test]
fn files_of_others_in_a_study_are_passed_over_and_one_bad_record_ends_nothing() {
    let place = Workplace::new();
    place.run("search --evaluator constant:0.75 --trials 2 --strategy random --out study", exit::DONE);
    let folder = place.path("study/measurements/host");
    fs::create_dir_all(&folder).expect("a folder");
    fs::create_dir_all(place.path("study/measurements/.AppleDouble")).expect("a folder");
    for name in ["._a.json", ".DS_Store", "desktop.ini", "b.json~", ".mfactor-1.tmp", "c.json.partial"] {
        fs::write(folder.join(name), b"Mac OS X").expect("a file");
    }
    let (_, said) = place.run("compare study", exit::DONE);
    assert!(!said.contains("left out"), "{said}");
    fs::write(folder.join("bad\u{1b}[2J.json"), b"{").expect("a file");
    fs::write(folder.join("old.json"), b"{\"schema\": 1}").expect("a file");
    let (_, said) = place.run("compare study", exit::DONE);
    assert!(
        said.contains("left out: study/measurements/host/bad\\u{1b}[2J.json: not a measurement"),
        "{said}"
    );
    assert!(
        said.contains("old.json: schema is 1; this version reads 2") && said.contains("The page:"),
        "{said}"
    );
    let compared = place.json("compare study");
    assert!(compared["notes"].to_string().contains("could not be read: 2 measurements"), "{compared}");
    fs::create_dir(place.path("study/models")).expect("a folder");
    fs::write(place.path("study/models/._333-333-333.onnx"), b"Mac OS X").expect("a file");
    let (_, said) = place.run("measure study --preset quick", exit::INPUT);
    assert!(said.contains("has no models"), "{said}");
}

#[test]
fn a_full_output_is_said_to_be_full() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let place = Workplace::new();
    place.run("search --evaluator constant:0.75 --trials 1 --strategy random --out study", exit::DONE);
    let lines = [
        ("mfactor", "targets list"),
        ("mfactor", "targets list --json"),
        ("mfactor", "--help"),
        ("mfactor", "--version"),
        ("mfactor", "trials --help"),
        ("mfactor", "completions bash"),
        ("mfactor", "trials study --format csv"),
        ("mfactor", "trials study --format jsonl"),
        ("mfactor", "trials study --format markdown"),
        ("mfactor", "compare study"),
        ("edge-runner", "board"),
        ("edge-runner", "board --json"),
        ("edge-runner", "--help"),
        ("edge-runner", "--version"),
    ];
    for (name, arguments) in lines {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let output = Command::new(program(name))
            .args(arguments.split(' '))
            .current_dir(place.path("."))
            .stdout(Stdio::from(full))
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(i32::from(exit::MISSING)), "{arguments}: {said}");
        assert!(said.contains("error: cannot write standard output: No space left"), "{arguments}: {said}");
    }
}

#[test]
fn outputs_are_looked_at_before_anything_is_measured() {
    let place = Workplace::new();
    place.run("search --evaluator constant:0.75 --trials 1 --strategy random --out study", exit::DONE);
    place.write("file", b"x");
    fs::create_dir_all(place.path("records/333-333-333.tract.json")).expect("a folder");
    for (arguments, words) in [
        ("measure MODEL --preset quick --output file", "file: is a file; a folder is wanted there"),
        ("measure MODEL --preset quick --output file/below", "a folder is wanted there"),
        ("measure MODEL --preset quick --output records", "is in the way"),
        ("measure MODEL --preset quick --output new --data nowhere", "nowhere"),
    ] {
        let line = arguments.replace("MODEL", MODEL);
        let (code, said) = run(&place, "edge-runner", &line.split(' ').collect::<Vec<_>>());
        assert_eq!(code, exit::INPUT, "{said}");
        assert!(said.contains(words) && !said.contains("round"), "{said}");
    }
    for (arguments, words) in [
        ("data fetch digits --out file/below", "a folder is wanted there"),
        ("man file", "a folder is wanted there"),
    ] {
        let (_, said) = place.run(arguments, exit::INPUT);
        assert!(said.contains(words), "{said}");
    }
    fs::write(place.path("study/report"), b"x").expect("a file");
    let (stdout, said) = place.run("compare study", exit::INPUT);
    assert!(
        said.contains("study/report: is a file; a folder is wanted there") && stdout.is_empty(),
        "{said}"
    );
    assert!(!place.path("new").exists(), "nothing is left behind");
    assert_eq!(fs::read(place.path("file")).expect("the file"), b"x");
}

#[test]
fn escapes_in_arguments_and_files_do_not_reach_the_terminal() {
    let place = Workplace::new();
    for (name, arguments) in [
        ("mfactor", ["\u{1b}]0;T\u{7}", "x"]),
        ("mfactor", ["space", "\u{1b}[2J\u{202e}"]),
        ("mfactor", ["trials", "a\u{9b}31m\nerror: b"]),
        ("edge-runner", ["info", "\u{1b}]0;T\u{7}.onnx"]),
        ("edge-runner", ["\u{1b}[2J", "x"]),
    ] {
        let (code, said) = run(&place, name, &arguments);
        assert!(code == exit::INPUT || code == exit::USAGE, "{said}");
        let is_hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(is_hidden) && !said.contains("\nerror: b"), "{said:?}");
    }
}
