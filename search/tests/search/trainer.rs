//! The trainer process, with small shell scripts that speak the protocol and die in every way.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mfactor::protocol::{Evaluation, FailureKind, Job};
use mfactor::{AccuracyKind, Error, Recipe, SearchSpace};
use search::evaluators::{TrainerCommand, TrainerProcess};
use search::{Ended, Evaluator, Report, Verdict};
use tempfile::TempDir;

/// Says that it is ready, counts its jobs in `$n`, and calls `job` with the trial's number.
pub const TALK: &str = r#"
echo 'a library prints where it should not'
echo '{"event":"ready","version":"1","libtorch":"2","device":"cpu","precision":"float32","threads":1}'
epoch() { echo '{"event":"epoch","trial":'$1',"epoch":'${2:-1}',"epochs":2,"loss":null,"accuracy":0.5,"images_per_second":9.0,"seconds_left":0.0}'; }
keep() { for name in weights check; do echo 'a form of its own' > "$FOLDER/trials/$1/$name.safetensors"; done; }
done_() { [ -n "$LOST" ] || keep $1; echo '{"event":"done","trial":'$1',"evaluation":{"accuracy":'$2',"seconds":1.0,"images":'$n'}}'; }
n=0
while read -r line; do
    n=$((n + 1))
    trial=${line#*\"trial\":}
    trial=${trial%%,*}
    job "$trial"
done
"#;

pub struct Fake {
    pub folder: TempDir,
    pub trainer: TrainerProcess,
    /// Epochs and announcements seen.
    pub events: Vec<Report>,
    /// Epochs after which the trainer is to ask, and what it is told.
    decisions: Vec<u32>,
    verdict: Verdict,
    /// Which accuracy is sought.
    accuracy: AccuracyKind,
}

impl Fake {
    /// A trainer that does `job` with each job: shell code in which `$1` is the trial.
    pub fn new(job: &str, timeout: Option<Duration>) -> Self {
        Self::script(&format!("job() {{ {job}; }}\n{TALK}"), timeout)
    }

    pub fn script(text: &str, timeout: Option<Duration>) -> Self {
        Self::launched(text, timeout, &[])
    }

    /// Started by another program, as on another machine.
    pub fn launched(text: &str, timeout: Option<Duration>, launcher: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("trainer.sh");
        fs::write(&script, text).unwrap();
        let command = TrainerCommand {
            program: "/bin/sh".into(),
            arguments: vec![script.into()],
            environment: vec![("FOLDER".into(), folder.path().into())],
            launcher: launcher.iter().map(Into::into).collect(),
        };
        Self {
            trainer: TrainerProcess::new(command, timeout),
            folder,
            events: Vec::new(),
            decisions: Vec::new(),
            verdict: Verdict::GoOn,
            accuracy: AccuracyKind::Plain,
        }
    }

    fn evaluate(&mut self, trial: u64, stop: &AtomicBool) -> mfactor::Result<Ended> {
        let space = SearchSpace::paper();
        let job = Job {
            trial,
            architecture: space.smallest(),
            space,
            recipe: Recipe { epochs: 2, ..Recipe::default() },
            seed: 1,
            data: PathBuf::from("data"),
            output: self.folder.path().join("trials").join(trial.to_string()),
            accuracy: self.accuracy,
            decisions: self.decisions.clone(),
        };
        let mut on_report = |report| {
            self.events.push(report);
            Ok(self.verdict)
        };
        let result = self.trainer.evaluate(&job, &mut on_report, stop);
        assert!(job.output.is_dir() || result.is_err(), "the trainer may write to it");
        result
    }

    pub fn done(&mut self, trial: u64) -> Evaluation {
        match self.evaluate(trial, &AtomicBool::new(false)) {
            Ok(Ended::Complete(evaluation)) => evaluation,
            other => panic!("{other:?}"),
        }
    }

    /// Why a trial failed.
    pub fn failed(&mut self, trial: u64) -> String {
        self.failure(trial).1
    }

    fn failure(&mut self, trial: u64) -> (FailureKind, String) {
        match self.evaluate(trial, &AtomicBool::new(false)) {
            Ok(Ended::Failed { kind, reason }) => (kind, reason),
            other => panic!("{other:?}"),
        }
    }

    /// Why the study ended.
    pub fn ended(&mut self) -> Error {
        match self.evaluate(0, &AtomicBool::new(false)) {
            Err(error) => error,
            other => panic!("{other:?}"),
        }
    }
}

/// Writes what was taken for what: of ten classes all of 90 images rightly but the one class of ten images.
const CONFUSED: &str = r#"confused() {
    zeros='0,0,0,0,0,0,0,0'
    echo '{"schema":1,"classes":["0","1","2","3","4","5","6","7","8","9"],"counts":[[90,0,'$zeros'],[10,0,'$zeros']' > "$FOLDER/c"
    for class in 2 3 4 5 6 7 8 9; do echo ',[0,0,'$zeros']' >> "$FOLDER/c"; done
    echo ']}' >> "$FOLDER/c"
    mv "$FOLDER/c" "$FOLDER/trials/$1/confusion.json"
}
"#;

#[test]
fn balanced_accuracy_needs_the_counts_and_they_must_agree() {
    let script = format!(
        r#"{CONFUSED}job() {{ epoch $1; epoch $1 2; case $1 in
            1) done_ 1 0.5 ;;
            2) confused 2; done_ 2 0.9 ;;
            3) confused 3; done_ 3 0.5 ;;
            4) confused 4; echo '[]' > "$FOLDER/trials/4/confusion.json"; done_ 4 0.5 ;;
        esac; }}
        {TALK}"#
    );
    let mut fake = Fake::script(&script, None);
    fake.accuracy = AccuracyKind::Balanced;
    assert!(fake.failed(1).contains("confusion.json"), "there is none");
    let reason = fake.failed(2);
    assert!(reason.contains("balanced accuracy 0.500000, and 0.900000 was reported"), "{reason}");
    assert_eq!(fake.done(3).accuracy, 0.5);
    assert!(fake.failed(4).contains("confusion.json"));

    // Where the share of all images is sought the counts may be absent, and must agree if they are there.
    let mut fake = Fake::script(&script, None);
    assert_eq!((fake.done(1).accuracy, fake.done(2).accuracy), (0.5, 0.9));
    let reason = fake.failed(3);
    assert!(reason.contains("accuracy 0.900000, and 0.500000 was reported"), "{reason}");
}

/// State and process group of the process whose id is in `file`; `None` once there is no such process.
fn state(file: &Path) -> Option<(String, String)> {
    let id = fs::read_to_string(file).unwrap().trim().to_owned();
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields[0].to_owned(), fields[2].to_owned()))
}

/// Whether a process ends soon; a killed one needs a moment to be gone, and is a zombie until it is missed.
fn is_gone(process: &Path) -> bool {
    (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        state(process).is_none_or(|(state, _)| state == "Z")
    })
}

#[test]
fn one_process_serves_many_jobs_and_fails_single_ones() {
    let job = r#"case $1 in
        2) echo '{"event":"failed","trial":2,"kind":"diverged","reason":"the loss is NaN"}' ;;
        3) epoch 3; epoch 3 2; done_ 3 null ;;
        *) epoch $1; epoch $1 2; echo 'a warning'; done_ $1 0.75 ;;
    esac"#;
    let mut fake = Fake::new(job, None);
    assert_eq!(fake.done(1), Evaluation { accuracy: 0.75, seconds: 1.0, images: 1 });
    assert_eq!(fake.failure(2), (FailureKind::Diverged, "the loss is NaN".to_owned()));
    assert!(fake.done(3).accuracy.is_nan(), "the study judges that");
    assert_eq!(fake.done(4).images, 4, "it is the same process");
    let epochs: Vec<u64> = fake
        .events
        .iter()
        .filter_map(|event| match event {
            Report::Epoch(epoch) => Some(epoch.trial),
            _ => None,
        })
        .collect();
    assert_eq!(epochs, [1, 1, 3, 3, 4, 4]);
    assert!(matches!(&fake.events[0], Report::Trainer(facts) if facts.device == "cpu"));
}

#[test]
fn a_crash_costs_one_trial_and_says_how_it_came() {
    for (death, reason) in [
        ("kill -9 $$", "killed by signal 9 (SIGKILL: the system does this when memory runs out)"),
        ("kill -SEGV $$", "signal 11 (SIGSEGV"),
        ("echo 'one'; echo 'what(): std::bad_alloc' >&2; kill -ABRT $$", "ran out of memory"),
        ("echo 'CUDA out of memory. Tried to allocate' >&2; exit 1", "ran out of memory"),
        ("echo 'first' >&2; echo 'last' >&2; exit 3", "exit code 3; its last words: first | last"),
        ("i=0; while [ $i -lt 9999 ]; do echo line $i >&2; i=$((i + 1)); done; exit 3", "line 9998"),
    ] {
        let mut fake = Fake::new(&format!("[ $1 = 1 ] && {{ {death}; }}; done_ $1 0.5"), None);
        assert_eq!(fake.done(0).images, 1);
        let found = fake.failed(1);
        assert!(found.contains(reason) && found.len() < 2500, "{death}: {found}");
        assert_eq!(fake.done(2).images, 1, "another process serves the next");
    }
}

#[test]
fn a_job_whose_trainer_was_killed_begins_again_once() {
    let job =
        "epoch $1; [ $1 = 2 ] && kill -KILL $$; [ -e $FOLDER/once ] || { > $FOLDER/once; kill -KILL $$; }
        epoch $1 2; done_ $1 0.5";
    let mut fake = Fake::new(job, None);
    assert_eq!(fake.done(1).images, 1, "another process has done it");
    let again = fake.events.iter().position(|event| matches!(event, Report::Again(_))).unwrap();
    let Report::Again(text) = &fake.events[again] else { panic!() };
    assert!(text.contains("signal 9") && text.contains("begins again"), "{text}");
    assert!(matches!(fake.events[again + 2], Report::Epoch(_)), "after the trainer said that it is ready");
    let (kind, reason) = fake.failure(2);
    assert!(kind == FailureKind::Trainer && reason.contains("signal 9"), "{kind:?}: {reason}");
}

#[test]
fn a_trainer_that_asks_is_told_whether_to_go_on() {
    let job = r#"epoch $1; read -r said; echo "$said" >> $FOLDER/said; case $said in
        *true*) epoch $1 2; done_ $1 0.5 ;;
        *) echo '{"event":"pruned","trial":'$1',"seconds":2.5,"images":9}' ;;
    esac"#;
    let mut fake = Fake::new(job, None);
    fake.decisions = vec![1];
    assert_eq!(fake.done(4).images, 1);
    fake.verdict = Verdict::Prune;
    let pruned = fake.evaluate(5, &AtomicBool::new(false));
    assert!(matches!(pruned, Ok(Ended::Pruned { seconds: 2.5, images: 9 })), "{pruned:?}");
    fake.verdict = Verdict::GoOn;
    assert_eq!(fake.done(6).images, 3, "it is the same process");
    let said = fs::read_to_string(fake.folder.path().join("said")).unwrap();
    assert_eq!(said.lines().next(), Some(r#"{"trial":4,"go_on":true}"#));
}

#[test]
fn a_trainer_that_ended_between_two_jobs_costs_no_trial() {
    let mut fake = Fake::new("done_ $1 0.5; [ $1 = 0 ] && { echo $$ > $FOLDER/process; exit 0; }", None);
    fake.done(0);
    // Reaped only by the next evaluation, so that is where it is noticed.
    while !fake.folder.path().join("process").exists() {}
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(fake.done(1).images, 1);
}

#[test]
fn a_trial_that_runs_too_long_is_killed_with_all_it_started() {
    let job = "[ $1 = 0 ] && { sleep 1000 & echo $! > $FOLDER/process; wait; }; done_ $1 0.5";
    let mut fake = Fake::new(job, Some(Duration::from_millis(700)));
    let reason = fake.failed(0);
    assert_eq!(reason, "ran past the trial timeout of 0.7 seconds");
    assert!(is_gone(&fake.folder.path().join("process")));
    assert_eq!(fake.done(1).images, 1);
}

#[test]
fn a_stop_is_heard_in_the_middle_of_a_trial() {
    let mut fake = Fake::new("epoch $1; echo $$ > $FOLDER/process; sleep 1000", None);
    let process = fake.folder.path().join("process");
    let stop = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !process.exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            stop.store(true, Ordering::Relaxed);
        });
        fake.evaluate(0, &stop)
    });
    assert!(matches!(result, Err(Error::Interrupted(_))), "{result:?}");
    assert!(is_gone(&process));
}

#[test]
fn it_is_out_of_reach_of_the_terminal_and_ends_with_its_owner() {
    let job = "echo $$ > $FOLDER/process; echo $MFACTOR_TRAINER_OWNER > $FOLDER/owner; done_ $1 0.5";
    let mut fake = Fake::new(job, None);
    fake.done(0);
    let [process, owner] = ["process", "owner"].map(|name| fake.folder.path().join(name));
    let number = |path: &Path| fs::read_to_string(path).unwrap().trim().to_owned();
    assert_eq!(state(&process).unwrap().1, number(&process), "it leads a process group of its own");
    assert_eq!(number(&owner), std::process::id().to_string(), "it knows whom to end with");
    let Fake { folder: _folder, trainer, .. } = fake;
    drop(trainer);
    assert!(is_gone(&process));
}

#[test]
fn broken_talk_fails_the_trial() {
    for (talk, reason) in [
        (r#"echo '{"event":"done","trial":1'"#, "is not an event"),
        (r#"echo '{"event":"joke"}'"#, "joke"),
        ("done_ 7 0.5", "it spoke of trial 7 and not of 1"),
        (
            r#"echo '{"event":"ready","version":"1","libtorch":"2","device":"cpu","precision":"f","threads":1}'"#,
            "in the middle",
        ),
        ("exec 1>&-; exec 2>&-; sleep 1000", "closed its input or output and had to be killed"),
    ] {
        let mut fake = Fake::new(&format!("[ $1 = 1 ] && {{ {talk}; }}; [ $1 = 2 ] && done_ 2 0.5"), None);
        let found = fake.failed(1);
        assert!(found.contains(reason), "{talk}: {found}");
        assert_eq!(fake.done(2).images, 1, "a trainer that lost its way is replaced");
    }
}

/// What a trainer leaves, in place of its files, and why the trial fails.
#[test]
fn a_training_without_whole_files_is_a_failed_trial() {
    let weights = "$FOLDER/trials/$1/weights.safetensors";
    for (harm, reason) in [
        (format!("rm {weights}"), "No such file"),
        (format!(": > {weights}"), "cut off after 0 bytes"),
        (
            format!("printf 'x\\000\\000\\000\\000\\000\\000\\000{{\"a\"' > {weights}"),
            "cut off after 12 bytes",
        ),
        (format!("rm {weights}; mkfifo {weights}"), "not a regular file"),
        ("rm $FOLDER/trials/$1/check.safetensors".to_owned(), "check.safetensors"),
    ] {
        let mut fake =
            Fake::new(&format!("LOST=1; keep $1; [ $1 = 1 ] && {{ {harm}; }}; done_ $1 0.5"), None);
        let found = fake.failed(1);
        assert!(found.contains("its files are not whole") && found.contains(reason), "{harm}: {found}");
        assert_eq!(fake.done(2).images, 2, "it is the same process");
    }
    // The files of an earlier attempt are not taken for those of the next.
    let mut fake =
        Fake::new("[ $1 = 1 ] && [ -e $FOLDER/once ] && LOST=1; > $FOLDER/once; done_ $1 0.5", None);
    fake.done(1);
    assert!(fake.failed(1).contains("No such file"));
}

#[test]
fn a_trainer_that_is_done_twice_costs_no_trial() {
    // The second time without its files, which may be looked at by then.
    let mut fake = Fake::new("done_ $1 0.5; [ $1 = 1 ] && ( LOST=1; done_ $1 0.9 )", None);
    assert_eq!(fake.done(1).accuracy, 0.5);
    assert_eq!(fake.done(2).images, 1, "another trainer has done it");
    let again = fake
        .events
        .iter()
        .any(|event| matches!(event, Report::Again(text) if text.contains("of trial 1 after")));
    assert!(again, "{:?}", fake.events);
}

#[test]
fn a_trainer_that_does_not_listen_makes_nobody_wait() {
    // The decision cannot be written, and the trainer goes on talking to itself.
    let mut fake = Fake::new("exec <&-; epoch $1; sleep 1000", None);
    fake.decisions = vec![1];
    assert!(fake.failed(1).contains("closed its input or output and had to be killed"));
}
