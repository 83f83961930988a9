//! Optuna itself opens our journals and finds what we find.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use mfactor::{SearchSpace, Trial, TrialState};
use search::config::StudyConfig;
use search::study::JOURNAL_FILE;
use search::{Outcome, Study, StudyEvent, StudyRecord};
use serde_json::{Value, json};

use crate::pretend::Pretend;
use crate::spaces;
use crate::study::{config, finish};

/// All studies as Optuna sees them, by name.
fn optuna(folder: &Path) -> Value {
    let seen = String::from_utf8(script("optuna_view.py", folder, &[])).unwrap();
    serde_json::from_str(&seen.replace("NaN", "null")).unwrap()
}

/// What a script beside this file says of the journal in a folder.
fn script(name: &str, folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/search").join(name);
    let journal = folder.join(JOURNAL_FILE);
    let output = Command::new(tests::python()).arg(script).arg(journal).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A trial as Optuna should see it.
fn expected(trial: &Trial, space: &SearchSpace) -> Value {
    let mut attributes = json!({
        "architecture": trial.architecture,
        "parameters": trial.cost.parameters,
        "macs": trial.cost.macs,
        "model_bytes": trial.cost.model_bytes,
        "size_score": trial.size_score,
        "seed": trial.seed,
        "strategy": trial.proposer,
    });
    let found = [
        ("accuracy", json!(trial.accuracy)),
        ("seconds", json!(trial.seconds)),
        ("images", json!(trial.images)),
        ("failure", json!(trial.failure)),
        ("failure_kind", json!(trial.failure_kind)),
    ];
    for (key, value) in found.into_iter().filter(|(_, value)| !value.is_null()) {
        attributes[key] = value;
    }
    let point = space.point(&trial.architecture).unwrap();
    let params: Value = space
        .choices()
        .zip(point.options())
        .enumerate()
        .filter(|(position, _)| space.is_active(&point, *position))
        .map(|(_, (choice, option))| {
            let value = &choice.options[usize::from(*option)];
            (choice.name, json!({"value": value, "choices": choice.options}))
        })
        .collect();
    let epochs: Value = (1..)
        .zip(&trial.epoch_accuracies)
        .map(|(epoch, a): (u32, _)| (epoch.to_string(), json!(a)))
        .collect();
    let state = match trial.state {
        TrialState::Running => "RUNNING",
        TrialState::Complete => "COMPLETE",
        TrialState::Pruned | TrialState::Skipped => "PRUNED",
        TrialState::Failed => "FAIL",
    };
    json!({
        "number": trial.number,
        "state": state,
        "value": trial.m_factor,
        "params": params,
        "intermediate_values": epochs,
        "user_attrs": attributes,
        "ended": trial.is_finished(),
    })
}

/// Compares Optuna's view of every study with the record.
fn check(seen: &Value, record: &StudyRecord, strategies: &[&str]) {
    let names: Vec<String> = strategies.iter().map(|strategy| format!("test-{strategy}")).collect();
    let mut seen_names: Vec<&String> = seen.as_object().unwrap().keys().collect();
    seen_names.sort_by_key(|name| names.iter().position(|known| known == *name));
    assert_eq!(seen_names, names.iter().collect::<Vec<_>>());
    for (name, strategy) in names.iter().zip(strategies) {
        let study = &seen[name];
        let trials = record.of(strategy);
        assert_eq!(study["direction"], "MAXIMIZE");
        assert_eq!(study["metric_names"], json!(["M-factor"]));
        assert_eq!(study["user_attrs"]["seed"], json!(record.config.seed));
        assert_eq!(study["user_attrs"]["versions"], json!([mfactor::version()]));
        let best = mfactor::trial::best(trials.iter().copied());
        assert_eq!(study["best_value"], json!(best.and_then(|trial| trial.m_factor)), "{name}");
        let expected: Vec<Value> = trials.iter().map(|trial| expected(trial, &record.config.space)).collect();
        assert_eq!(study["trials"], json!(expected), "{name}");
    }
}

const ALL: [&str; 8] = ["baseline", "random", "evolution", "tpe", "rl", "local", "nsga2", "guided"];

#[test]
#[ignore = "needs Optuna: scripts/test"]
fn optuna_finds_what_a_study_of_all_strategies_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::create(folder.path(), config("all", 7)).unwrap();
    finish(&mut study, &mut Pretend { failing: 5, diverging: 7, ..Pretend::default() });
    let record = study.record();
    assert!(record.trials.iter().any(|trial| trial.state == TrialState::Failed));
    check(&optuna(folder.path()), &record, &ALL);
}

#[test]
#[ignore = "needs Optuna: scripts/test"]
fn optuna_finds_blocks_that_are_not_always_there() {
    let folder = tempfile::tempdir().unwrap();
    let config = StudyConfig { space: spaces::shipped("edge32"), ..config("all", 7) };
    let mut study = Study::create(folder.path(), config).unwrap();
    finish(&mut study, &mut Pretend::default());
    check(&optuna(folder.path()), &study.record(), &ALL);
}

#[test]
#[ignore = "needs Optuna: scripts/test"]
fn optuna_opens_a_study_that_was_cut_off_and_the_same_one_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let mut observer = |event: &StudyEvent| {
        let now = matches!(event, StudyEvent::Epoch { place, epoch } if place.id == 4 && epoch.epoch == 2);
        stop.fetch_or(now, Ordering::Relaxed);
    };
    let mut study = Study::create(folder.path(), config("tpe", 7)).unwrap();
    assert_eq!(study.run(&mut [Pretend::default()], &mut observer, &stop).unwrap(), Outcome::Stopped);
    let record = study.record();
    drop(study);
    assert_eq!(record.trials[4].state, TrialState::Running);
    check(&optuna(folder.path()), &record, &["baseline", "tpe"]);

    let mut study = Study::resume(folder.path()).unwrap();
    finish(&mut study, &mut Pretend::default());
    check(&optuna(folder.path()), &study.record(), &["baseline", "tpe"]);
}

#[test]
#[ignore = "needs Optuna: scripts/test"]
fn optuna_may_write_into_the_journal_while_the_search_runs() {
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    finish(&mut Study::create(whole.path(), config("random,tpe", 4)).unwrap(), &mut Pretend::default());
    let mut study = Study::create(folder.path(), config("random,tpe", 4)).unwrap();
    let mut observer = |event: &StudyEvent| {
        if matches!(event, StudyEvent::Started { place } if place.number == 1) {
            script("optuna_beside.py", folder.path(), &["test-random"]);
        }
    };
    let outcome = study.run(&mut [Pretend::default()], &mut observer, &AtomicBool::new(false));
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    let (record, undisturbed) = (study.record(), Study::read(whole.path()).unwrap());
    let found = |record: &StudyRecord| -> Vec<Trial> {
        record.trials.iter().map(|trial| Trial { id: 0, ..trial.clone() }).collect()
    };
    assert_eq!(found(&record), found(&undisturbed));
    drop(study);
    assert_eq!(Study::read(folder.path()).unwrap(), record);
    Study::resume(folder.path()).unwrap();
    let seen = optuna(folder.path());
    let tpe: Vec<Value> =
        record.of("tpe").iter().map(|trial| expected(trial, &record.config.space)).collect();
    assert_eq!(seen["test-tpe"]["trials"], json!(tpe));
    let of_random = seen["test-random"]["trials"].as_array().unwrap();
    let ours: Vec<Value> =
        of_random.iter().filter(|trial| trial["user_attrs"] != json!({})).cloned().collect();
    for (trial, seen) in record.of("random").iter().zip(&ours) {
        // Those of others stand between them.
        let expected = Value::Object(expected(trial, &record.config.space).as_object().unwrap().clone());
        let numbered = |value: &Value| {
            let mut value = value.clone();
            value["number"] = json!(0);
            value
        };
        assert_eq!(numbered(&expected), numbered(seen));
    }
    assert_eq!(ours.len(), 4);
    assert!(of_random.len() > 4, "the enqueued ones are there too");
}
