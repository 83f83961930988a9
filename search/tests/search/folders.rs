//! Folders of studies that are refused, mended or taken back: others' files, damage, changes since the study began.

use std::fs;

use mfactor::exit;
use search::Study;
use search::config::{DataSource, EvaluatorConfig, StudyConfig};
use search::study::{CONFIG_FILE, JOURNAL_FILE, trial_folder};

use crate::pretend::Pretend;
use crate::spaces::space;
use crate::study::{config, error_of, finish};

#[test]
fn what_would_have_changed_the_result_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::create(folder.path(), config("tpe", 3)).unwrap();
    for (asked, named) in [
        (StudyConfig { alpha: 2.0, ..config("tpe", 3) }, "alpha is 1.0 and not 2.0"),
        (StudyConfig { seed: 12, ..config("tpe", 3) }, "seed"),
        (StudyConfig { baseline: false, ..config("tpe", 3) }, "baseline"),
        (config("tpe,random", 3), "strategies"),
        (config("tpe", 2), "only more"),
        (StudyConfig { space: space(&[(2, &[3, 5])]), ..config("tpe", 3) }, "space.name"),
    ] {
        let error = error_of(study.reconcile(&asked));
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
    assert_eq!(*study.config(), config("tpe", 3));
}

#[test]
fn folders_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    for error in [error_of(Study::read(&nowhere)), error_of(Study::resume(&nowhere))] {
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
    let study = Study::create(folder.path(), config("tpe", 3)).unwrap();
    let in_use = error_of(Study::resume(folder.path())).to_string();
    assert!(in_use.contains(&format!("process {}", std::process::id())), "{in_use}");
    assert_eq!(Study::read(folder.path()).unwrap().trials, [], "a reader needs no lock");
    drop(study);
    assert!(error_of(Study::create(folder.path(), config("tpe", 3))).to_string().contains("--resume"));

    let untrained = StudyConfig { evaluator: EvaluatorConfig::Train, ..config("tpe", 3) };
    assert!(error_of(Study::create(&nowhere, untrained)).to_string().contains("data"));
    assert!(!nowhere.exists());
}

#[test]
fn a_damaged_journal_is_mended_at_its_end_and_refused_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut Study::create(folder.path(), config("tpe", 2)).unwrap(), &mut Pretend::default());
    let path = folder.path().join(JOURNAL_FILE);
    let good = fs::read_to_string(&path).unwrap();

    fs::write(&path, good.clone() + "{\"op_code\":4,\"worker_id\":\"mfac").unwrap();
    assert_eq!(Study::read(folder.path()).unwrap().trials.len(), 3);
    drop(Study::resume(folder.path()).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), good);

    let foreign = "{\"op_code\":2,\"worker_id\":\"dash";
    fs::write(&path, format!("{good}{foreign}")).unwrap();
    let study = Study::resume(folder.path()).unwrap();
    let aside = study.kept_aside().unwrap().to_owned();
    assert_eq!(
        (fs::read_to_string(&aside).unwrap(), fs::read_to_string(&path).unwrap()),
        (foreign.to_owned(), good.clone())
    );
    drop(study);

    for garbage in ["not json", "{\"op_code\":4}", ""] {
        let mut lines: Vec<&str> = good.lines().collect();
        lines[6] = garbage;
        let damaged = lines.join("\n") + "\n";
        fs::write(&path, &damaged).unwrap();
        let record = Study::read(folder.path()).unwrap();
        assert!(record.damage[0].contains("journal.log:7: "), "{garbage}: {:?}", record.damage);
        assert_eq!(record.trials.len(), 3, "the line was not about a trial");
        let error = error_of(Study::resume(folder.path()));
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains("journal.log:7: "), "{garbage}: {error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged, "nothing is thrown away");
    }
}

#[test]
fn what_optuna_adds_is_borne_and_what_it_takes_away_is_named() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut Study::create(folder.path(), config("tpe", 2)).unwrap(), &mut Pretend::default());
    let before = Study::read(folder.path()).unwrap();
    let path = folder.path().join(JOURNAL_FILE);
    let good = fs::read_to_string(&path).unwrap();
    let note = "{\"op_code\":3,\"worker_id\":\"dashboard\",\"study_id\":1,\"system_attr\":{\"dashboard:note_ver\":1}}\n";
    let tag = "{\"op_code\":9,\"worker_id\":\"dashboard\",\"trial_id\":1,\"system_attr\":{\"a\":1}}\n";
    fs::write(&path, format!("{good}{note}{tag}")).unwrap();
    assert_eq!(Study::read(folder.path()).unwrap(), before);
    let foreign = "{\"op_code\":4,\"worker_id\":\"x\",\"study_id\":1,\"datetime_start\":null}\n";
    fs::write(&path, format!("{good}{foreign}")).unwrap();
    assert_eq!(Study::read(folder.path()).unwrap(), before, "a trial of somebody else is none of ours");
    let deletion = "{\"op_code\":1,\"worker_id\":\"dashboard\",\"study_id\":1}\n";
    fs::write(&path, format!("{good}{deletion}")).unwrap();
    let record = Study::read(folder.path()).unwrap();
    assert_eq!(
        (&record.trials, &record.damage),
        (&before.trials, &before.damage),
        "what was found is still there"
    );
    assert!(record.remarks[0].contains("deleted or renamed the study \"test-tpe\""), "{:?}", record.remarks);
    assert!(
        error_of(Study::resume(folder.path()))
            .to_string()
            .contains("deleted or renamed the study \"test-tpe\"")
    );
}

#[test]
fn what_was_changed_in_the_configuration_since_the_study_began_is_named() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut Study::create(folder.path(), config("tpe", 2)).unwrap(), &mut Pretend::default());
    let path = folder.path().join(CONFIG_FILE);
    let good = fs::read_to_string(&path).unwrap();
    for (line, changed, named) in [
        ("alpha = 1.0", "alpha = 2.0", "alpha is 2.0 and not 1.0"),
        ("seed = 11", "seed = 12", "seed is 12 and not 11"),
        ("workers = 1", "workers = 2", "workers is 2 and not 1"),
        ("epochs = 3", "epochs = 4", "recipe.epochs is 4 and not 3"),
        ("accuracy = 0.75", "accuracy = 0.5", "evaluator.accuracy is 0.5 and not 0.75"),
        ("baseline = true", "baseline = false", "baseline is false and not true"),
        ("strategies = [\"tpe\"]", "strategies = [\"tpe\", \"rl\"]", "strategies is"),
        ("kernels = [3, 5, 7]", "kernels = [3, 5]", "space.stage"),
        (
            "name = \"test\"",
            "name = \"best\"",
            "begins the study \"test-baseline\", which study.toml does not name",
        ),
    ] {
        assert!(good.contains(line), "{line}: {good}");
        fs::write(&path, good.replace(line, changed)).unwrap();
        let resumed = error_of(Study::resume(folder.path()));
        assert_eq!(resumed.exit_code(), exit::INPUT);
        assert!(resumed.to_string().contains(named), "{changed}: {resumed}");
        let read = Study::read(folder.path()).map(|record| record.damage.join("; "));
        let said = read.unwrap_or_else(|error| error.to_string());
        assert!(said.contains(named), "{changed}: {said}");
    }
    fs::write(&path, good.replace("trials = 2", "trials = 3")).unwrap();
    finish(&mut Study::resume(folder.path()).unwrap(), &mut Pretend::default());
    assert_eq!(Study::read(folder.path()).unwrap().trials.len(), 4, "how far to go decides no result");
}

#[test]
fn a_study_that_never_began_can_be_taken_back_and_one_that_did_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    assert!(Study::create(&path, config("tpe", 2)).unwrap().discard().unwrap());
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    fs::write(path.join("notes.txt"), "mine").unwrap();
    assert!(Study::create(&path, config("tpe", 2)).unwrap().discard().unwrap());
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "what else lies there stays");
    let mut study = Study::create(&path, config("tpe", 2)).unwrap();
    finish(&mut study, &mut Pretend::default());
    assert!(!study.discard().unwrap());
    assert_eq!(Study::read(&path).unwrap().trials.len(), 3);
}

#[test]
fn a_study_whose_journal_is_gone_does_not_begin_again() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut Study::create(folder.path(), config("tpe", 2)).unwrap(), &mut Pretend::default());
    let weights = trial_folder(folder.path(), 1).join("weights.safetensors");
    fs::create_dir_all(weights.parent().unwrap()).unwrap();
    fs::write(&weights, "trained").unwrap();
    fs::remove_file(folder.path().join(JOURNAL_FILE)).unwrap();
    for _ in 0..2 {
        let error = error_of(Study::resume(folder.path())).to_string();
        assert!(error.contains("journal.log: is empty or gone"), "{error}");
    }
    assert!(weights.exists());
}

#[test]
fn a_data_set_that_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "schema = 1\nname = \"grey\"\nclasses = [\"a\", \"b\"]\nvalidation = 2\n\
        image = { channels = 1, height = 8, width = 8 }\n\
        train = [{ file = \"train.bin\", records = 6 }]\ntest = [{ file = \"test.bin\", records = 1 }]\n";
    fs::write(folder.path().join("dataset.toml"), manifest).unwrap();
    fs::write(folder.path().join("train.bin"), [1; 6 * 65]).unwrap();
    fs::write(folder.path().join("test.bin"), [0; 65]).unwrap();
    let grey = "schema = 1\nname = \"grey\"\nclasses = 2\nimage = { channels = 1, height = 8, width = 8 }\n\
        stem = { kernel = 3, width = 4 }\n[[stage]]\nblocks = 1\nwidth = 4\nstride = 1\nkernels = [3, 5]\n";
    let space = mfactor::SearchSpace::parse(grey, "grey").unwrap();
    let data = DataSource::open(folder.path(), &space).unwrap();
    assert_eq!(data.name, "grey");
    assert!(data.folder.is_absolute());
    let config =
        StudyConfig { evaluator: EvaluatorConfig::Train, data: Some(data), space, ..config("rl", 2) };
    let study = folder.path().join("study");
    drop(Study::create(&study, config.clone()).unwrap());
    assert_eq!(Study::read(&study).unwrap().config, config);
    config.check_inputs().unwrap();

    let mut changed = [1; 6 * 65];
    changed[200] = 2;
    fs::write(folder.path().join("train.bin"), changed).unwrap();
    let error = error_of(config.check_inputs());
    assert_eq!(error.exit_code(), exit::INPUT);
    assert!(error.to_string().contains("changed"), "{error}");
}
