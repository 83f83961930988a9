//! Servers, connections and people that do what they like.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cluster::registry;
use cluster::{DatabaseStorage, schema};
use mfactor::TrialState;
use search::{Outcome, Study, StudyEvent};
use tests::postgres::Postgres;

use crate::worker::{Mode, alone, config, link, patient, pretend, process, pulled, register, terms, work};

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn settings_of_the_server_and_of_the_role_change_nothing() {
    let server = Postgres::new(&["timezone=Asia/Kathmandu", "synchronous_commit=off"]);
    let url = server.database("odd");
    server.sql(
        "odd",
        "CREATE SCHEMA mfactor; ALTER ROLE mfactor SET default_transaction_isolation = 'repeatable read';
         ALTER ROLE mfactor SET timezone = 'America/New_York'; ALTER ROLE mfactor SET extra_float_digits = -3;
         ALTER ROLE mfactor SET search_path = \"$user\", public",
    );
    let config = config("s", 8);
    register(&url, &config, terms(60_000));
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let url = &url;
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                work(url, "s", &format!("w{worker}"), folder.path(), Mode::Plain).unwrap();
            });
        }
    });
    assert_eq!(pulled(&url, "s"), alone(&config));
    let off = "SELECT count(*) FROM trials WHERE abs(extract(epoch FROM datetime_complete - (now() AT TIME ZONE 'UTC'))) > 600";
    assert_eq!(server.sql("odd", off), "0", "times are in UTC");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn tables_are_made_once_however_many_make_them_at_once() {
    let server = Postgres::new(&[]);
    let url = server.database("twice");
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..4).map(|_| scope.spawn(|| schema::make(&mut link(&url)).unwrap())).collect();
        let made: Vec<_> = makers.into_iter().map(|maker| maker.join().unwrap()).collect();
        assert_eq!(made.iter().filter(|made| made.optuna && made.ours).count(), 1);
        assert!(made.iter().all(|other| other.database == made[0].database));
    });
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_worker_that_is_asked_to_stop_hands_back_and_no_attempt_is_counted() {
    let server = Postgres::new(&[]);
    let url = server.database("stop");
    let config = config("s", 6);
    let study = register(&url, &config, terms(60_000));
    let folder = tempfile::tempdir().unwrap();
    let stopped = |stop: &dyn Fn(&AtomicBool)| {
        let storage = DatabaseStorage::new(patient(&url), &study, &config, "w", None, folder.path()).unwrap();
        let mut study = Study::over(folder.path(), config.clone(), Box::new(storage)).unwrap();
        let flag = AtomicBool::new(false);
        let mut observer = |event: &StudyEvent| {
            if matches!(event, StudyEvent::Epoch { place, epoch } if epoch.epoch == 2 && place.number > 1) {
                stop(&flag);
            }
        };
        let outcome = study.run(&mut [pretend(100), pretend(100)], &mut observer, &flag).unwrap();
        assert_eq!(outcome, Outcome::Stopped);
    };
    stopped(&|flag| flag.store(true, Ordering::Relaxed));
    let open = "SELECT string_agg(concat(expires, ' ', attempt), ',') FROM mfactor_leases WHERE NOT done";
    let free = server.sql("stop", open);
    assert!(!free.is_empty() && free.split(',').all(|lease| lease == "-infinity 0"), "{free}");
    registry::extend(&mut link(&url), "s", Some(7)).unwrap();
    assert!(process(&url, "s", "next", Mode::Plain).wait().unwrap().success());
    assert_eq!(server.sql("stop", "SELECT count(*) FROM mfactor_deaths"), "0");
    assert_eq!(server.sql("stop", "SELECT max(attempt) FROM mfactor_leases"), "1");
    assert_eq!(pulled(&url, "s"), alone(&crate::worker::config("s", 7)));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn workers_leave_a_study_that_somebody_stops() {
    let server = Postgres::new(&[]);
    let url = server.database("stopping");
    let config = config("s", 200);
    let study = register(&url, &config, terms(900));
    let folder = tempfile::tempdir().unwrap();
    let storage = DatabaseStorage::new(patient(&url), &study, &config, "w", None, folder.path()).unwrap();
    let mut study = Study::over(folder.path(), config, Box::new(storage)).unwrap();
    let mut observer = |event: &StudyEvent| {
        if matches!(event, StudyEvent::Finished { place, .. } if place.number == 3) {
            registry::stop(&mut link(&url), "s").unwrap();
        }
    };
    let outcome = study.run(&mut [pretend(20)], &mut observer, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Stopped);
    assert_eq!(
        server.sql("stopping", "SELECT count(*) FROM mfactor_leases WHERE NOT done AND expires > now()"),
        "0"
    );
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_worker_that_is_at_a_study_notices_that_it_is_extended() {
    let server = Postgres::new(&[]);
    let url = server.database("longer");
    let config = config("s", 30);
    let study = register(&url, &config, terms(900));
    let folder = tempfile::tempdir().unwrap();
    let storage = DatabaseStorage::new(patient(&url), &study, &config, "w", None, folder.path()).unwrap();
    let mut study = Study::over(folder.path(), config, Box::new(storage)).unwrap();
    let mut observer = |event: &StudyEvent| {
        if matches!(event, StudyEvent::Started { place } if place.strategy == "random" && place.number == 3) {
            registry::extend(&mut link(&url), "s", Some(34)).unwrap();
        }
    };
    let outcome = study.run(&mut [pretend(10)], &mut observer, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(pulled(&url, "s"), alone(&crate::worker::config("s", 34)));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_trial_that_a_person_ends_is_given_up_by_its_worker() {
    let server = Postgres::new(&[]);
    let url = server.database("person");
    let config = config("s", 5);
    let study = register(&url, &config, terms(900));
    let folder = tempfile::tempdir().unwrap();
    let storage = DatabaseStorage::new(patient(&url), &study, &config, "w", None, folder.path()).unwrap();
    let mut study = Study::over(folder.path(), config, Box::new(storage)).unwrap();
    let mut ended = None;
    let mut observer = |event: &StudyEvent| {
        if let StudyEvent::Started { place } = event
            && place.strategy == "random"
            && place.number == 2
        {
            server.sql("person", &format!("UPDATE trials SET state = 'FAIL' WHERE trial_id = {}", place.id));
            ended = Some(place.number);
        }
    };
    let outcome = study.run(&mut [pretend(20)], &mut observer, &AtomicBool::new(false)).unwrap();
    assert_eq!((outcome, ended), (Outcome::Finished, Some(2)));
    let trials = pulled(&url, "s");
    let trial = trials.iter().find(|trial| trial.proposer.name() == "random" && trial.number == 2).unwrap();
    assert_eq!(trial.state, TrialState::Failed);
    assert!(trial.failure.as_deref().unwrap().contains("another program"), "{:?}", trial.failure);
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_trial_of_another_program_ends_the_work_and_is_named() {
    let server = Postgres::new(&[]);
    let url = server.database("strange");
    register(&url, &config("s", 5), terms(60_000));
    server.sql(
        "strange",
        "INSERT INTO trials (number, study_id, state) SELECT 0, study_id, 'WAITING' FROM studies WHERE study_name = 's-random'",
    );
    let folder = tempfile::tempdir().unwrap();
    let error = work(&url, "s", "w", folder.path(), Mode::Plain).unwrap_err();
    assert_eq!(error.exit_code(), mfactor::exit::INPUT);
    assert!(error.to_string().contains("trial 0 of random"), "{error}");
}

/// A way to the server on which connections are cut: the n-th after so many bytes of the server's answers.
fn cutting(server: u16, bytes_of: impl Fn(u64) -> u64 + Send + Sync + 'static) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, cuts) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&cuts);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) =
                (client.unwrap(), TcpStream::connect(("127.0.0.1", server)).unwrap());
            let mut left = bytes_of(counted.load(Ordering::Relaxed));
            let (mut to_server, mut from_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                let mut buffer = [0; 512];
                while let Ok(read @ 1..) = server.read(&mut buffer) {
                    let passed = read.min(left as usize);
                    left -= passed as u64;
                    if client.write_all(&buffer[..passed]).is_err() || left == 0 {
                        counted.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            });
        }
    });
    (port, cuts)
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn connections_that_are_cut_anywhere_do_nothing_twice() {
    let server = Postgres::new(&[]);
    let url = server.database("cut");
    let config = config("s", 40);
    register(&url, &config, terms(60_000));
    // What logging in takes is let through; then an answer is cut at another byte each time, commits' among them.
    let (port, cuts) = cutting(server.port(), |cut| 1_200 + (cut * 379) % 3_000);
    let way = url.replace(&server.port().to_string(), &port.to_string());
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    while work(&way, "s", "w", folder.path(), Mode::Plain).map_err(|error| error.to_string())
        != Ok(Outcome::Finished)
    {
        assert!(began.elapsed() < Duration::from_secs(100));
        sleep(Duration::from_millis(10));
    }
    assert!(cuts.load(Ordering::Relaxed) > 20, "{cuts:?}");
    assert_eq!(pulled(&url, "s"), alone(&config));
    assert_eq!(server.sql("cut", "SELECT count(*) FROM mfactor_leases WHERE NOT done"), "0");
}
