//! Other programs that write into the journal while a search runs: they are borne, or the search ends with a sentence.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use mfactor::{Error, TrialState, exit};
use search::study::JOURNAL_FILE;
use search::{Outcome, Study, StudyEvent, StudyRecord};

use crate::pretend::Pretend;
use crate::study::{config, finish};

/// Optuna's own lines, of a study and trials that are none of ours, with values that only Python's JSON has.
const STRANGER: &str = r#"{"op_code":0,"worker_id":"5d1c-1","study_name":"somebody's own","directions":[1,2]}
{"op_code":2,"worker_id":"5d1c-1","study_id":3,"user_attr":{"note":NaN}}
{"op_code":4,"worker_id":"5d1c-1","study_id":3,"datetime_start":"2026-11-26T12:00:00.000000+00:00"}
{"op_code":5,"worker_id":"5d1c-1","trial_id":1,"param_name":"x","param_value_internal":-Infinity,"distribution":"{}"}
{"op_code":4,"worker_id":"5d1c-1","study_id":1,"datetime_start":null,"state":4,"value":null,"values":null,"params":{},"distributions":{},"user_attrs":{},"system_attrs":{"fixed_params":{"x":1}},"intermediate_values":{"0":NaN}}
{"op_code":8,"worker_id":"5d1c-1","trial_id":0,"user_attr":{"accuracy":0.99}}
{"op_code":7,"worker_id":"5d1c-1","trial_id":0,"step":1,"intermediate_value":Infinity}
{"op_code":9,"worker_id":"5d1c-1","trial_id":0,"system_attr":{"dashboard:note":"é\ud800"}}
{"op_code":2,"worker_id":"5d1c-1","study_id":0,"user_attr":{"alpha":99}}
{"op_code":4711,"worker_id":"5d1c-1"}
"#;

/// Runs a study, during which `meddle` is called when trial number 1 of the first strategy begins, with its id.
fn run(folder: &Path, meddle: &mut dyn FnMut(u64)) -> (mfactor::Result<Outcome>, StudyRecord) {
    let mut study = Study::create(folder, config("random,tpe", 6)).unwrap();
    let mut observer = |event: &StudyEvent| {
        if let StudyEvent::Started { place } = event
            && (place.strategy.as_str(), place.number) == ("random", 1)
        {
            meddle(place.id);
        }
    };
    let outcome = study.run(&mut [Pretend::default()], &mut observer, &AtomicBool::new(false));
    (outcome, study.record())
}

fn append(folder: &Path, lines: &str) {
    let mut journal = OpenOptions::new().append(true).open(folder.join(JOURNAL_FILE)).unwrap();
    journal.write_all(lines.as_bytes()).unwrap();
}

/// What was found, whichever ids it has.
fn found(record: &StudyRecord) -> Vec<impl PartialEq + std::fmt::Debug + use<>> {
    let facts = |trial: &mfactor::Trial| {
        (
            trial.proposer.clone(),
            trial.number,
            trial.architecture.clone(),
            trial.epoch_accuracies.clone(),
            trial.m_factor,
        )
    };
    record.trials.iter().map(facts).collect()
}

fn undisturbed() -> StudyRecord {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &mut |_| {}).1
}

#[test]
fn lines_of_others_shift_the_numbers_and_change_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, record) = run(folder.path(), &mut |_| append(folder.path(), STRANGER));
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    assert_eq!(found(&record), found(&undisturbed()));
    let ids: Vec<u64> = record.trials.iter().map(|trial| trial.id).collect();
    assert_eq!(ids[..5], [0, 1, 2, 5, 6], "two numbers were taken");
    assert_eq!(Study::read(folder.path()).unwrap(), record);
    assert!(
        fs::read_to_string(folder.path().join(JOURNAL_FILE)).unwrap().contains(STRANGER),
        "nothing is cut off"
    );
    let mut study = Study::resume(folder.path()).unwrap();
    study.reconcile(&config("random,tpe", 8)).unwrap();
    finish(&mut study, &mut Pretend::default());
    assert_eq!(Study::read(folder.path()).unwrap().trials.len(), 17);
}

#[test]
fn what_cannot_be_borne_ends_the_search_with_a_sentence_and_no_wrong_number() {
    let line = |code: u8, rest: &str| format!("{{\"op_code\":{code},\"worker_id\":\"5d1c-1\",{rest}}}\n");
    let garbage = "half a line, then another\n".to_owned();
    let torn = "{\"op_code\":2,\"worker_id\":\"5d1c-1\",\"stu".to_owned();
    type Meddle<'a> = Box<dyn FnMut(&Path, u64) + 'a>;
    let cases: [(Meddle<'_>, &str); 6] = [
        (
            Box::new(|folder, _| append(folder, &line(1, "\"study_id\":1"))),
            "deleted or renamed the study \"test-random\"",
        ),
        (
            Box::new(|folder, id| {
                append(folder, &line(6, &format!("\"trial_id\":{id},\"state\":1,\"values\":[0.99]")))
            }),
            "ended trial 2",
        ),
        (Box::new(|folder, _| append(folder, &garbage)), "is not a line of Optuna's journal format"),
        (Box::new(|folder, _| append(folder, &torn)), "half a line"),
        (Box::new(|folder, _| fs::write(folder.join(JOURNAL_FILE), "").unwrap()), "changed"),
        (
            Box::new(|folder, _| {
                let text = fs::read(folder.join(JOURNAL_FILE)).unwrap();
                fs::write(folder.join("copy"), text).unwrap();
                fs::rename(folder.join("copy"), folder.join(JOURNAL_FILE)).unwrap();
            }),
            "replaced",
        ),
    ];
    let whole = found(&undisturbed());
    for (mut meddle, problem) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (outcome, _) = run(folder.path(), &mut |id| meddle(folder.path(), id));
        let error: Error = outcome.err().unwrap_or_else(|| panic!("{problem}: it went on"));
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains(problem), "{problem}: {error}");
        let Ok(record) = Study::read(folder.path()) else { continue };
        let complete = |record: &&mfactor::Trial| record.state == TrialState::Complete;
        let known =
            StudyRecord { trials: record.trials.iter().filter(complete).cloned().collect(), ..record };
        assert!(found(&known).iter().all(|trial| whole.contains(trial)), "{problem}");
    }
}

#[test]
fn a_trial_that_another_program_ended_has_failed_and_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let end = |id: u64| {
        format!("{{\"op_code\":6,\"worker_id\":\"x\",\"trial_id\":{id},\"state\":1,\"values\":[0.99]}}\n")
    };
    run(folder.path(), &mut |id| append(folder.path(), &end(id))).0.unwrap_err();
    finish(&mut Study::resume(folder.path()).unwrap(), &mut Pretend::default());
    let record = Study::read(folder.path()).unwrap();
    let failed: Vec<_> = record.trials.iter().filter(|trial| trial.state == TrialState::Failed).collect();
    assert!(
        matches!(&failed[..], [trial] if trial.id == 2 && trial.failure.as_ref().unwrap().contains("another program"))
    );
    let mut study = Study::resume(folder.path()).unwrap();
    study.retry_failed();
    finish(&mut study, &mut Pretend::default());
    let record = Study::read(folder.path()).unwrap();
    assert!(
        record.trials.iter().all(|trial| trial.state == TrialState::Complete) && record.trials.len() == 13
    );
}

#[test]
fn a_study_of_our_name_that_another_program_made_is_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path(), config("random,tpe", 6)).unwrap();
    drop(study);
    fs::write(
        folder.path().join(JOURNAL_FILE),
        "{\"op_code\":0,\"worker_id\":\"x\",\"study_name\":\"test-tpe\",\"directions\":[2]}\n",
    )
    .unwrap();
    let error = Study::resume(folder.path()).err().expect("it is refused").to_string();
    assert!(error.contains("\"test-tpe\" that another program made"), "{error}");
}
