//! Runs the real program on a small data set: jobs in, events and files out.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

mod toy;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use kernels::{InstructionSet, KNOB};
use mfactor::dataset::DataSet;
use mfactor::protocol::{
    CHECK_FILE, CHECK_LOGITS_TENSOR, CHECK_RECORDS, CHECK_RECORDS_TENSOR, CONFUSION_FILE, CORES_VARIABLE,
    DEVIATION_TENSOR, Decision, Event, FailureKind, Job, MEAN_TENSOR, WEIGHTS_FILE,
};
use mfactor::{AccuracyKind, Confusion, Layer, Recipe};
use safetensors::{Dtype, SafeTensors};

/// Runs the program with `arguments` and `input`, without any hint where libtorch lies.
fn run(arguments: &[&str], input: &str) -> Output {
    run_with(&[], arguments, input)
}

/// And with `variables` in its environment.
fn run_with(variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mfactor-trainer"))
        .args(["--device", "cpu"])
        .args(arguments)
        .env_remove("LD_LIBRARY_PATH")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// The events on standard output, which must hold nothing else.
fn events(output: &Output) -> Vec<Event> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn line(job: &Job) -> String {
    serde_json::to_string(job).unwrap() + "\n"
}

fn shapes(file: &SafeTensors<'_>) -> BTreeMap<String, (Dtype, Vec<usize>)> {
    file.iter().map(|(name, view)| (name.to_owned(), (view.dtype(), view.shape().to_vec()))).collect()
}

fn check_files(job: &Job, folder: &Path) {
    let bytes = std::fs::read(folder.join(WEIGHTS_FILE)).unwrap();
    let layers = job.space.lower(&job.architecture);
    let mut expected: BTreeMap<String, (Dtype, Vec<usize>)> =
        layers.iter().flat_map(Layer::tensors).map(|spec| (spec.name, (Dtype::F32, spec.shape))).collect();
    expected.insert(MEAN_TENSOR.to_owned(), (Dtype::F32, vec![3]));
    expected.insert(DEVIATION_TENSOR.to_owned(), (Dtype::F32, vec![3]));
    assert_eq!(shapes(&SafeTensors::deserialize(&bytes).unwrap()), expected);
    let bytes = std::fs::read(folder.join(CHECK_FILE)).unwrap();
    let shapes = shapes(&SafeTensors::deserialize(&bytes).unwrap());
    assert_eq!(shapes[CHECK_RECORDS_TENSOR], (Dtype::I64, vec![CHECK_RECORDS]));
    assert_eq!(shapes[CHECK_LOGITS_TENSOR], (Dtype::F32, vec![CHECK_RECORDS, 4]));
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 3, "no temporary file is left");
}

#[test]
fn good_and_bad_jobs_in_one_conversation() {
    let (data, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    toy::write_data(data.path());
    let folder = output.path().join("trials/7");
    let good = toy::job(data.path(), &folder);
    let mut nowhere = Job { trial: 8, data: data.path().join("none"), ..good.clone() };
    nowhere.output = output.path().join("trials/8");
    let mut diverging = Job { trial: 9, output: output.path().join("trials/9"), ..good.clone() };
    diverging.recipe.learning_rate = 1e30;
    let unwritable = Job { trial: 11, output: data.path().join("train.bin/below"), ..good.clone() };
    let foreign = line(&good).replace("\"seed\"", "\"sead\"").replace("\"trial\":7", "\"trial\":10");
    let input = [line(&nowhere), line(&diverging), foreign, line(&unwritable), "\n".to_owned(), line(&good)];
    let ran = run(&["--threads", "1"], &input.concat());
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let events = events(&ran);
    let Event::Ready(facts) = &events[0] else { panic!("{events:?}") };
    assert_eq!((facts.device.as_str(), facts.threads), ("cpu", 1));
    assert!(facts.libtorch.starts_with("2.13"), "{facts:?}");
    let failed = |wanted: u64| {
        let of = |event: &Event| match event {
            Event::Failed { trial, kind, reason } if *trial == wanted => Some((*kind, reason.clone())),
            _ => None,
        };
        events.iter().find_map(of).unwrap_or_else(|| panic!("trial {wanted} did not fail: {events:?}"))
    };
    for (trial, expected, words) in [
        (8, FailureKind::Job, "none"),
        (9, FailureKind::Diverged, "diverged"),
        (10, FailureKind::Job, "line 3"),
        (10, FailureKind::Job, "sead"),
        (11, FailureKind::Job, "train.bin"),
    ] {
        let (kind, reason) = failed(trial);
        assert!(kind == expected && reason.contains(words), "{trial}: {kind:?}, {reason}");
    }
    let Some(Event::Done { trial: 7, evaluation }) = events.last() else { panic!("{events:?}") };
    assert!((0.25..=1.0).contains(&evaluation.accuracy) && evaluation.images == 2 * 9 * 32, "{evaluation:?}");
    check_files(&good, &folder);
    assert!(!output.path().join("trials/9").exists(), "a training that failed leaves nothing");
}

#[test]
fn the_counts_give_the_accuracy_that_was_asked_for() {
    let (data, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    toy::write_data(data.path());
    let trained = |accuracy: AccuracyKind| {
        let mut job = toy::job(data.path(), &output.path().join(accuracy.label()));
        // Bad enough for the two accuracies to differ.
        job.recipe = Recipe { epochs: 1, learning_rate: 0.002, ..job.recipe };
        job.accuracy = accuracy;
        let said = events(&run(&["--threads", "1"], &line(&job)));
        let Some(Event::Done { evaluation, .. }) = said.last() else { panic!("{said:?}") };
        let Some(Event::Epoch(epoch)) = said.get(1) else { panic!("{said:?}") };
        assert_eq!(epoch.accuracy, evaluation.accuracy);
        (evaluation.accuracy, Confusion::read(&job.output.join(CONFUSION_FILE)).unwrap())
    };
    let (plain, of_plain) = trained(AccuracyKind::Plain);
    let (balanced, of_balanced) = trained(AccuracyKind::Balanced);
    assert_eq!(of_plain, of_balanced, "it is the same training");
    assert_eq!(of_plain.classes(), DataSet::open(data.path()).unwrap().manifest().classes);
    assert_eq!(of_plain.images(), DataSet::open(data.path()).unwrap().split().validation.len() as u64);
    assert!((plain - of_plain.accuracy()).abs() < 1e-12, "{plain}");
    assert!((balanced - of_plain.balanced_accuracy()).abs() < 1e-12 && balanced != plain, "{balanced}");
}

#[test]
fn after_the_epochs_that_a_job_names_the_trainer_asks() {
    let (data, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    toy::write_data(data.path());
    let mut job = toy::job(data.path(), &output.path().join("trial"));
    job.recipe.epochs = 4;
    job.decisions = vec![1, 3];
    let decision = |go_on| serde_json::to_string(&Decision { trial: 7, go_on }).unwrap() + "\n";
    let pruned = run(&["--threads", "1"], &[line(&job), decision(true), decision(false)].concat());
    let said = events(&pruned);
    assert!(matches!(said.last(), Some(Event::Pruned { trial: 7, images: 864, .. })), "{said:?}");
    assert_eq!(said.len(), 5, "ready, three epochs, pruned: {said:?}");
    assert!(!job.output.exists());
    for (answer, text) in [
        (String::new(), "ended where a decision was due"),
        (line(&job), "line 2 is not a decision"),
        (decision(true).replace('7', "8"), "decides on trial 8 and not on 7"),
    ] {
        let ran = run(&["--threads", "1"], &[line(&job), answer].concat());
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(i32::from(mfactor::exit::INPUT)), "{said}");
        assert!(said.contains(text), "{said}");
        assert_eq!(events(&ran).len(), 2, "it stops after the first epoch");
    }
}

#[test]
fn it_stays_on_the_cores_it_is_given() {
    let start = |cores: &str| {
        let program = env!("CARGO_BIN_EXE_mfactor-trainer");
        Command::new(program).arg("--device=cpu").env(CORES_VARIABLE, cores).stdin(Stdio::null()).output()
    };
    assert!(start("0").unwrap().status.success());
    for (cores, text) in [("zero", "not the number of a core"), ("1023", "refuses")] {
        let ran = start(cores).unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(i32::from(mfactor::exit::INPUT)), "{said}");
        assert!(said.contains("MFACTOR_TRAINER_CORES") && said.contains(text), "{said}");
    }
}

#[test]
fn its_kernels_are_those_that_are_asked_for() {
    let (data, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    toy::write_data(data.path());
    let start = |word: &str, input: &str| run_with(&[(KNOB, word)], &["--threads", "1"], input);
    let trained = |word: &str| {
        let mut job = toy::job(data.path(), &output.path().join(word));
        job.recipe.epochs = 1;
        let said = events(&start(word, &line(&job)));
        let [Event::Ready(facts), Event::Epoch(epoch), Event::Done { .. }] = &said[..] else {
            panic!("{word}: {said:?}")
        };
        (facts.kernels.clone(), epoch.loss)
    };
    let (kernels, exact) = trained("off");
    assert_eq!(kernels, "");
    for set in InstructionSet::available() {
        let (kernels, loss) = trained(set.name());
        assert_eq!(kernels, set.of_numbers().name());
        assert!(loss != exact && (loss / exact - 1.0).abs() < 0.01, "{set}: {loss}, by libtorch {exact}");
    }
    let missing = InstructionSet::ALL.into_iter().find(|set| !set.is_available()).unwrap();
    for (word, code, text) in
        [("fast", mfactor::exit::USAGE, "may be best, off"), (missing.name(), mfactor::exit::INPUT, "lacks")]
    {
        let ran = start(word, "");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(i32::from(code)), "{said}");
        assert!(said.contains(KNOB) && said.contains(text), "{said}");
    }
}

#[test]
fn the_same_job_gives_the_same_files() {
    let (data, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    toy::write_data(data.path());
    let files = |precision: &str, name: &str| {
        let folder = output.path().join(name);
        let mut job = toy::job(data.path(), &folder);
        job.recipe.epochs = 1;
        let ran = run(&["--threads", "2", "--precision", precision], &line(&job));
        let events = events(&ran);
        assert!(matches!(events.last(), Some(Event::Done { .. })), "{events:?}");
        assert!(matches!(&events[0], Event::Ready(facts) if facts.precision == precision), "{events:?}");
        [WEIGHTS_FILE, CHECK_FILE].map(|file| std::fs::read(folder.join(file)).unwrap())
    };
    let [one, other] = ["float32", "bfloat16"].map(|precision| {
        let one = files(precision, &format!("{precision}-1"));
        assert!(one == files(precision, &format!("{precision}-2")), "{precision}");
        one
    });
    assert!(one != other, "the precision decides what is learnt");
}

#[test]
fn an_input_that_ends_at_once_is_fine() {
    let ran = run(&[], "");
    assert!(ran.status.success());
    assert!(matches!(events(&ran)[..], [Event::Ready(_)]));
}

#[test]
fn a_line_that_is_no_job_ends_in_code_3() {
    let ran = run(&[], "{\"job\": 1}\n");
    assert_eq!(ran.status.code(), Some(i32::from(mfactor::exit::INPUT)));
    let text = String::from_utf8(ran.stderr).unwrap();
    assert!(text.contains("standard input: line 1 is not a job"), "{text}");
}

#[test]
fn a_wrong_use_ends_in_code_2() {
    for arguments in [["--threads", "0"], ["--precision", "float8"], ["--threads", "many"]] {
        assert_eq!(run(&arguments, "").status.code(), Some(i32::from(mfactor::exit::USAGE)), "{arguments:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn it_ends_with_the_search_that_is_killed() {
    use std::io::{BufRead, BufReader, Read};
    // The shell stands for the search. Its own end closes nothing: the test holds the trainer's input open.
    let script = "exec 3<&0; MFACTOR_TRAINER_OWNER=$$ \"$0\" --device cpu <&3 & wait";
    let mut search = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_mfactor-trainer")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(search.stdout.take().unwrap());
    let mut ready = String::new();
    events.read_line(&mut ready).unwrap();
    assert!(ready.contains("\"ready\""), "{ready}");
    let input = search.stdin.take();
    search.kill().unwrap();
    // This does not end before the trainer does, which holds the other end.
    assert_eq!(events.read_to_end(&mut Vec::new()).unwrap(), 0);
    drop(input);
    search.wait().unwrap();
}
