//! Optuna 5 itself opens the database and finds what we find.

use std::path::Path;
use std::process::Command;

use mfactor::{Trial, TrialState};
use serde_json::{Value, json};
use tests::postgres::Postgres;

use crate::worker::{Mode, config, link, pulled, register, terms, work};

fn optuna(url: &str, arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/database/optuna_view.py");
    let url = url.replace("postgresql://", "postgresql+psycopg://");
    // A reader in another time zone sees the same.
    let output = Command::new(tests::python())
        .arg(script)
        .arg(url)
        .args(arguments)
        .env("TZ", "America/New_York")
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn expected(trial: &Trial) -> Value {
    let state = match trial.state {
        TrialState::Running => "RUNNING",
        TrialState::Complete => "COMPLETE",
        TrialState::Pruned | TrialState::Skipped => "PRUNED",
        TrialState::Failed => "FAIL",
    };
    json!({
        "number": trial.number, "state": state, "value": trial.m_factor, "architecture": trial.architecture,
        "kernel": trial.architecture.kernels().next(), "epochs": trial.epoch_accuracies,
    })
}

#[test]
#[ignore = "needs PostgreSQL and Optuna: scripts/test"]
fn optuna_finds_what_was_found_in_the_tables_that_were_made_here() {
    let server = Postgres::new(&[]);
    let url = server.database("optuna");
    let config = config("s", 6);
    register(&url, &config, terms(60_000));
    let folder = tempfile::tempdir().unwrap();
    work(&url, "s", "w", folder.path(), Mode::Plain).unwrap();
    let trials = pulled(&url, "s");
    let seen = optuna(&url, &[]);
    for strategy in ["baseline", "random", "evolution", "tpe"] {
        let study = &seen[format!("s-{strategy}")];
        assert_eq!((&study["direction"], &study["seed"]), (&json!("MAXIMIZE"), &json!(config.seed)));
        assert_eq!(study["metric_names"], json!(["M-factor"]));
        let own: Vec<&Trial> = trials.iter().filter(|trial| trial.proposer.name() == strategy).collect();
        let best = mfactor::trial::best(own.iter().copied()).and_then(|trial| trial.m_factor);
        assert_eq!(study["best_value"], json!(best));
        let found = study["trials"].as_array().unwrap();
        assert_eq!(found.len(), own.len());
        for (found, own) in found.iter().zip(own) {
            let mut found = found.clone();
            let times =
                ["seconds", "age"].map(|key| found.as_object_mut().unwrap().remove(key).unwrap().as_f64());
            assert!(times.iter().all(|time| (0.0..600.0).contains(&time.unwrap())), "{times:?}");
            assert_eq!(found, expected(own));
        }
    }
    let left = optuna(&url, &["s-tpe"]);
    assert_eq!(left.as_object().unwrap().len(), 3);
    let error = cluster::registry::find(&mut link(&url), "s").unwrap_err().to_string();
    assert!(error.contains("deleted or renamed") && error.contains("mfactor cluster remove s"), "{error}");
    cluster::registry::remove(&mut link(&url), "s").unwrap();
    assert_eq!(optuna_tables(&server), "0 0 0");
}

/// Rows of studies, trials and leases that are left.
fn optuna_tables(server: &Postgres) -> String {
    server.sql(
        "optuna",
        "SELECT concat_ws(' ', (SELECT count(*) FROM studies), (SELECT count(*) FROM trials), (SELECT count(*) FROM mfactor_leases))",
    )
}
