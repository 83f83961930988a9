//! A journal that is not as it was written: whatever was changed, no number is shown that is not what was found, and
//! going on comes to an end.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use mfactor::{Trial, TrialState, exit};
use proptest::prelude::*;
use proptest::sample::Index;
use search::study::{CONFIG_FILE, JOURNAL_FILE};
use search::{Study, StudyRecord};
use serde_json::Value;
use tempfile::TempDir;

use crate::pretend::Pretend;
use crate::study::{config, finish};

const STRATEGIES: &str = "random,evolution,rl";

/// A finished study.
struct Whole {
    configuration: String,
    journal: String,
    /// The journal as the first versions would have written it: without checksums and numbers.
    unsealed: String,
    record: StudyRecord,
}

fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut study = Study::create(folder.path(), config(STRATEGIES, 4)).unwrap();
        finish(&mut study, &mut evaluator());
        let journal = fs::read_to_string(folder.path().join(JOURNAL_FILE)).unwrap();
        let unsealed = journal.lines().filter_map(unsealed).collect();
        let configuration = fs::read_to_string(folder.path().join(CONFIG_FILE)).unwrap();
        Whole { configuration, journal, unsealed, record: study.record() }
    })
}

fn evaluator() -> Pretend {
    Pretend { failing: 5, ..Pretend::default() }
}

fn unsealed(line: &str) -> Option<String> {
    let mut fields: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
    let code = fields["op_code"].as_u64().unwrap();
    fields.retain(|key, _| {
        !(key == "line"
            || key == "sum"
            || code == 0 && key == "study_id"
            || code == 4 && (key == "trial_id" || key == "number"))
    });
    let is_new = fields.get("user_attr").is_some_and(|attribute| attribute.get("configuration").is_some());
    (!is_new).then(|| Value::from(fields).to_string() + "\n")
}

fn folder(journal: impl AsRef<[u8]>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(CONFIG_FILE), &whole().configuration).unwrap();
    fs::write(folder.path().join(JOURNAL_FILE), journal).unwrap();
    folder
}

/// What was found, and under what; the rest of a trial changes no result.
fn facts(trial: &Trial) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        trial.id,
        trial.proposer.clone(),
        trial.number,
        trial.architecture.clone(),
        trial.seed,
        trial.accuracy,
        trial.m_factor,
    )
}

/// One thing that happens to a file.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Zero(Index, usize),
    Cut(Index, usize),
    Double(Index, Index, usize),
    Remove(Index),
    Swap(Index, Index),
    Word(Index, usize),
}

/// Words of a journal and others that could stand there.
const WORDS: [(&str, &str); 10] = [
    ("\"strategy\":\"evolution\"", "\"strategy\":\"random\""),
    ("\"trial_id\":5", "\"trial_id\":6"),
    ("\"study_id\":1", "\"study_id\":2"),
    ("\"op_code\":6", "\"op_code\":7"),
    ("\"op_code\":4", "\"op_code\":5"),
    ("\"op_code\":0", "\"op_code\":1"),
    ("\"worker_id\":\"mfactor\"", "\"worker_id\":\"someone\""),
    ("\"state\":1", "\"state\":3"),
    ("0.", "0.1"),
    ("333", "335"),
];

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at(), 1usize..600).prop_map(|(at, length)| Change::Zero(at, length)),
        (at(), 1usize..3000).prop_map(|(at, length)| Change::Cut(at, length)),
        (at(), at(), 1usize..5000).prop_map(|(from, to, length)| Change::Double(from, to, length)),
        at().prop_map(Change::Remove),
        (at(), at()).prop_map(|(one, other)| Change::Swap(one, other)),
        (at(), 0..WORDS.len()).prop_map(|(at, word)| Change::Word(at, word)),
    ]
}

fn changed(journal: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = journal.as_bytes().to_vec();
    for change in changes.iter().filter(|_| !journal.is_empty()) {
        if bytes.is_empty() {
            break;
        }
        let lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let end = |at: usize, length: usize| (at + length).min(bytes.len());
        match change {
            Change::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Change::Zero(at, length) => {
                let at = at.index(bytes.len());
                let end = end(at, *length);
                bytes[at..end].fill(0);
            }
            Change::Cut(at, length) => {
                let at = at.index(bytes.len());
                drop(bytes.drain(at..end(at, *length)));
            }
            Change::Double(from, to, length) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let block = bytes[from..end(from, *length)].to_vec();
                bytes.splice(to..to, block);
            }
            Change::Remove(at) => {
                let at = at.index(lines.len());
                bytes = [&lines[..at], &lines[at + 1..]].concat().concat();
            }
            Change::Swap(one, other) => {
                let mut lines = lines;
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
                bytes = lines.concat();
            }
            Change::Word(at, word) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let (word, other) = WORDS[*word];
                let places: Vec<usize> = text.match_indices(word).map(|(place, _)| place).collect();
                if !places.is_empty() {
                    let place = places[at.index(places.len())];
                    bytes = [&text[..place], other, &text[place + word.len()..]].concat().into_bytes();
                }
            }
        }
    }
    bytes
}

/// Goes on with a study and returns what it then knows, if it goes on.
fn resumed(folder: &Path) -> Option<StudyRecord> {
    let mut study = match Study::resume(folder) {
        Ok(study) => study,
        Err(error) => {
            assert_eq!(error.exit_code(), exit::INPUT, "{error}");
            return None;
        }
    };
    study.run(&mut [evaluator()], &mut |_| {}, &AtomicBool::new(false)).unwrap();
    Some(study.record())
}

proptest! {
    // A quarter of the usual number, for each case syncs files; PROPTEST_CASES=4000 tries a thousand.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 4,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_changed_journal_gives_what_was_found_or_nothing(changes in prop::collection::vec(change(), 1..3)) {
        let folder = folder(changed(&whole().journal, &changes));
        let found: Vec<_> = whole().record.trials.iter().map(facts).collect();
        if let Ok(record) = Study::read(folder.path()) {
            for trial in record.trials.iter().filter(|trial| trial.state == TrialState::Complete) {
                prop_assert!(found.contains(&facts(trial)), "{trial:?}");
            }
        }
        if let Some(record) = resumed(folder.path()) {
            prop_assert_eq!(record.trials.iter().map(facts).collect::<Vec<_>>(), found);
        }
    }

    #[test]
    fn a_changed_journal_of_the_first_versions_gives_no_value_that_does_not_follow(
        changes in prop::collection::vec(change(), 1..3)
    ) {
        let folder = folder(changed(&whole().unsealed, &changes));
        let config = &whole().record.config;
        let objective = config.objective().unwrap();
        let records = [Study::read(folder.path()).ok(), resumed(folder.path())];
        for trial in records.iter().flatten().flat_map(|record| &record.trials) {
            prop_assert_eq!(trial.cost, config.space.cost(&trial.architecture));
            let value = objective.score(&trial.values());
            prop_assert_eq!(trial.m_factor, value);
        }
    }
}

#[test]
fn a_journal_of_the_first_versions_is_read_and_goes_on() {
    let folder = folder(&whole().unsealed);
    assert_eq!(Study::read(folder.path()).unwrap(), whole().record);
    let config = StudyRecord { ..whole().record.clone() }.config;
    let mut study = Study::resume(folder.path()).unwrap();
    study.reconcile(&search::StudyConfig { trials: 6, ..config }).unwrap();
    finish(&mut study, &mut evaluator());
    let record = Study::read(folder.path()).unwrap();
    assert_eq!((record.trials.len(), &record.damage), (19, &vec![]));
    let mixed = fs::read_to_string(folder.path().join(JOURNAL_FILE)).unwrap();
    assert!(mixed.starts_with(&whole().unsealed) && mixed.ends_with("\"}\n"));
    let last = mixed.lines().last().unwrap();
    let unsealed = mixed.replace(last, unsealed(last).unwrap().trim_end());
    fs::write(folder.path().join(JOURNAL_FILE), unsealed).unwrap();
    let damage = Study::read(folder.path()).unwrap().damage;
    assert!(damage[0].contains("has no checksum"), "{damage:?}");
}

#[test]
fn the_committed_studies_are_whole() {
    let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies");
    // Seed 1 was stopped while a third network was being trained.
    for (name, trials, complete) in [
        ("paper", 201, 201),
        ("edge/search", 49, 41),
        ("edge/seed-1", 4, 3),
        ("edge/seed-2", 3, 3),
        ("edge/seed-3", 3, 3),
    ] {
        let record = Study::read(&studies.join(name)).unwrap();
        let ended = record.trials.iter().filter(|trial| trial.m_factor.is_some()).count();
        assert_eq!((record.trials.len(), ended), (trials, complete), "{name}");
        assert_eq!((record.damage, record.remarks), (vec![], vec![]), "{name}");
    }
}

#[test]
fn a_damaged_trial_is_named_and_the_others_are_shown() {
    for (word, other, problem) in [
        (
            "\"op_code\":6,\"worker_id\":\"mfactor\",\"trial_id\":5",
            "\"op_code\":6,\"worker_id\":\"mfactor\",\"trial_id\":5 ",
            "its checksum is another",
        ),
        ("\"trial_id\":5,\"number\"", "\"trial_id\":5,\"numbex\"", "its checksum is another"),
    ] {
        let folder = folder(whole().journal.replacen(word, other, 1));
        let record = Study::read(folder.path()).unwrap();
        assert!(
            record.damage[0].contains("trial 5: the line ") && record.damage[0].contains(problem),
            "{:?}",
            record.damage
        );
        let ids: Vec<u64> = record.trials.iter().map(|trial| trial.id).collect();
        assert_eq!(ids, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]);
        let error = Study::resume(folder.path()).err().expect("it is damaged").to_string();
        assert!(error.contains("trial 5: the line ") && error.contains("--cache"), "{error}");
    }
}

/// A line of which nothing is left, wherever it stood, hides no more than the trial that it was about.
#[test]
fn one_lost_line_hides_no_other_trial() {
    let lines: Vec<&str> = whole().journal.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let fields: Value = serde_json::from_str(line).unwrap();
        let own = fields["trial_id"].as_u64();
        let cut = &line[..line.len() / 2];
        for other in [None, Some(""), Some("garbage"), Some("\0\0\0"), Some(cut)] {
            let around = lines[..at].iter().chain(other.as_ref()).chain(&lines[at + 1..]);
            let folder = folder(around.flat_map(|line| [line, "\n"]).collect::<String>());
            let record = Study::read(folder.path()).unwrap();
            let others = |trials: &[Trial]| -> Vec<_> {
                trials.iter().filter(|trial| Some(trial.id) != own).map(facts).collect()
            };
            assert_eq!(others(&record.trials), others(&whole().record.trials), "line {}: {other:?}", at + 1);
            let is_end = at + 1 == lines.len() && other.is_none();
            assert_eq!(record.damage.is_empty(), is_end, "line {}: {other:?}", at + 1);
        }
    }
}

#[test]
fn of_much_damage_the_first_lines_are_named_and_the_rest_counted() {
    let folder = folder(whole().journal.clone() + &"garbage\n".repeat(1000));
    let record = Study::read(folder.path()).unwrap();
    assert_eq!(record.trials, whole().record.trials);
    let short = record.damage_in_short();
    assert_eq!((record.damage.len(), short.len()), (1000, 6));
    assert!(short[5].contains("995 more"), "{short:?}");
}

/// Without checksums nothing says which trial a line is about but the lines before it.
#[test]
fn what_stands_before_the_damage_of_an_old_journal_is_shown() {
    let is_end = |line: &&str| line.contains("\"op_code\":6");
    let (end, _) = whole()
        .unsealed
        .match_indices('\n')
        .filter(|(at, _)| is_end(&last_line(&whole().unsealed[..*at])))
        .nth(2)
        .unwrap();
    let (before, after) = whole().unsealed.split_at(end + 1);
    let folder = folder(format!("{before}garbage\n{after}"));
    let record = Study::read(folder.path()).unwrap();
    let shown: Vec<_> = record.trials.iter().map(facts).collect();
    assert_eq!(shown, whole().record.trials[..3].iter().map(facts).collect::<Vec<_>>());
    assert!(record.damage.iter().any(|damage| damage.contains("have no checksum")), "{:?}", record.damage);
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

/// Without checksums, what is said twice is all there is to hold a line against.
#[test]
fn what_a_journal_says_twice_is_held_against_itself() {
    let journal = &whole().unsealed;
    let line = |begin: &str| journal.lines().find(|line| line.contains(begin)).unwrap().to_owned();
    let create =
        journal.lines().find(|line| line.contains("\"op_code\":4") && line.contains("evolution")).unwrap();
    let end = line("\"state\":1,");
    let accuracy = line("\"op_code\":8,\"trial_id\":5,\"user_attr\":{\"accuracy\":");
    let changed = |line: &str, word: &str, other: &str| {
        assert!(line.contains(word), "{word}: {line}");
        journal.replacen(line, &line.replacen(word, other, 1), 1)
    };
    for (journal, problem) in [
        (
            changed(create, "\"strategy\":\"evolution\"", "\"strategy\":\"random\""),
            "in the study of strategy evolution",
        ),
        (changed(create, "\"parameters\":", "\"parameters\":1"), "\"parameters\" of another architecture"),
        (changed(create, "\"architecture\":\"", "\"architecture\":\"9"), "architecture"),
        (
            changed(
                create,
                "\"params\":{\"stage1.block1.kernel\":",
                "\"params\":{\"stage1.block1.kernel\":1",
            ),
            "\"params\" of another",
        ),
        (changed(create, "\"study_id\":2", "\"study_id\":1"), "in the study of strategy random"),
        (changed(&end, "\"values\":[0.", "\"values\":[0.1"), "and its accuracy gives"),
        (changed(&accuracy, "{\"accuracy\":0.", "{\"accuracy\":0.1"), "and its accuracy gives"),
        (changed(&end, "\"state\":1", "\"state\":7"), "state 7"),
    ] {
        let folder = folder(journal);
        let record = Study::read(folder.path()).unwrap();
        assert!(
            record.damage.iter().any(|damage| damage.contains(problem)),
            "{problem}: {:?}",
            record.damage
        );
        assert_eq!(record.trials.len(), 12, "{problem}");
        let error = Study::resume(folder.path()).err().expect("it is damaged");
        assert_eq!(error.exit_code(), exit::INPUT, "{error}");
    }
}
