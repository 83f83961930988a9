//! A study whose files are in a bucket of a real S3 server: pushed, fetched, kept, cleaned up; and a server that fails.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use cluster::registry::{self, Terms};
use cluster::{DatabaseStorage, Link, Patience, Store, inputs, pull, schema};
use mfactor::dataset::DataSet;
use mfactor::{Result, SearchSpace, exit};
use search::config::DataSource;
use search::{Outcome, Pruning, Study, StudyConfig, StudyEvent};
use tests::bucket::{BucketServer, KEY, READER, SECRET};
use tests::postgres::Postgres;

use crate::shared::{Leaves, left};
use crate::worker::{config, link, register, terms};

/// The store in a part of the bucket, with something else in the environment where that is said.
fn open(server: &BucketServer, url: &str, port: u16, other: &[(&str, &str)]) -> Result<Store> {
    let mut environment = server.environment(port).to_vec();
    for (name, value) in other {
        environment.retain(|(known, _)| known != name);
        if !value.is_empty() {
            let name = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"]
                .into_iter()
                .find(|known| known == name);
            environment.push((name.unwrap(), (*value).to_owned()));
        }
    }
    Store::open_in(url, &|name| {
        environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    })
}

fn store(server: &BucketServer, name: &str) -> Store {
    open(server, &server.url(name), server.port(), &[]).unwrap()
}

#[test]
#[ignore = "needs SeaweedFS: scripts/test-cluster"]
fn a_bucket_keeps_files_by_their_contents_once() {
    let server = BucketServer::new();
    let kept = store(&server, "lab/files");
    kept.try_out().unwrap();
    assert!(kept.list().unwrap().is_empty());
    let large = vec![7; 9 << 20];
    let names = [kept.put(b"weights").unwrap(), kept.put(&large).unwrap(), kept.put(b"weights").unwrap()];
    assert_eq!(names[0], names[2]);
    assert_eq!(kept.get(&names[0]).unwrap(), b"weights");
    assert_eq!(kept.get(&names[1]).unwrap(), large);
    let (own, other) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
    assert!(kept.check(own).unwrap_err().to_string().contains("is not the store of this database"));
    kept.mark(own).unwrap();
    kept.mark(other).unwrap();
    kept.check(own).unwrap();
    assert_eq!(kept.strangers(own).unwrap(), [other.to_string()]);
    let listed = kept.list().unwrap();
    assert_eq!(listed.len(), 2);
    assert!(store(&server, "lab/elsewhere").list().unwrap().is_empty(), "a prefix is a store of its own");
    kept.remove(&listed[0]).unwrap();
    assert_eq!(kept.list().unwrap().len(), 1);
    let missing = kept.get(&listed[0].name).unwrap_err();
    assert_eq!(missing.exit_code(), exit::INPUT);
    assert!(missing.to_string().contains("is not there"), "{missing}");
}

#[test]
#[ignore = "needs SeaweedFS: scripts/test-cluster"]
fn what_is_wrong_with_a_bucket_is_said_in_a_sentence() {
    let mut server = BucketServer::new();
    let (url, port) = (server.url("lab"), server.port());
    for (url, other, word) in [
        (&*url, ("AWS_SECRET_ACCESS_KEY", "another"), "AWS_SECRET_ACCESS_KEY"),
        (&url, ("AWS_ACCESS_KEY_ID", "nobody"), "AWS_ACCESS_KEY_ID"),
        (&url, ("AWS_ACCESS_KEY_ID", ""), "AWS_ACCESS_KEY_ID"),
        (&url, ("AWS_ACCESS_KEY_ID", READER), "the key's rights"),
        (&url, ("AWS_ENDPOINT_URL", "http://s3.example.org"), "AWS_ALLOW_HTTP"),
        ("s3://no-such-bucket/lab", ("AWS_ACCESS_KEY_ID", KEY), "no such bucket"),
    ] {
        let error = open(&server, url, port, &[other]).and_then(|store| store.put(b"x")).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit_code(), exit::INPUT, "{text}");
        assert!(text.contains(word) && !text.contains(SECRET) && text.lines().count() == 1, "{text}");
    }
    server.crash();
    let error = store(&server, "lab").put(b"x").unwrap_err();
    assert_eq!(error.exit_code(), exit::BOARD);
    assert!(error.to_string().contains("does it run"), "{error}");
}

/// A study that trains on `data`, whose files go to a store.
fn training(url: &str, name: &str, data: &Path) -> StudyConfig {
    let mut config = config(name, 2);
    config.prune = None::<Pruning>;
    config.space = SearchSpace::parse(tests::SMALL_SPACE, "small").unwrap();
    config.data = Some(DataSource::open(data, &config.space).unwrap());
    register(url, &config, Terms { keeps_files: true, ..terms(60_000) });
    config
}

#[test]
#[ignore = "needs PostgreSQL and SeaweedFS: scripts/test-cluster"]
fn what_a_study_reads_is_pushed_once_and_fetched_whole() {
    let (server, bucket, places) = (Postgres::new(&[]), BucketServer::new(), tempfile::tempdir().unwrap());
    let [data, copy, home] = ["data", "copy", "home"].map(|name| places.path().join(name));
    tests::make_data(&data);
    let url = server.database("inputs");
    let config = training(&url, "s", &data);
    let (mut link, store) = (link(&url), store(&bucket, "inputs"));
    store.mark(schema::check(&mut link).unwrap()).unwrap();
    let study = registry::find(&mut link, "s").unwrap();
    assert!(
        !inputs::find(&mut link, &study).unwrap().fetch_data(&store, &copy).unwrap(),
        "nothing was pushed"
    );
    let pushed = inputs::push(&mut link, &study, &config, &store).unwrap();
    assert_eq!(inputs::push(&mut link, &study, &config, &store).unwrap(), pushed);
    assert_eq!(
        (pushed.files, store.list().unwrap().len()),
        (3, 3),
        "records to train and to test, and the manifest"
    );
    let found = inputs::find(&mut link, &study).unwrap();
    assert!(found.fetch_data(&store, &copy).unwrap());
    let fingerprint = |folder: &Path| DataSet::open(folder).unwrap().fingerprint().unwrap();
    assert_eq!(fingerprint(&copy), fingerprint(&data));
    fs::write(copy.join("train.bin"), "of another study").unwrap();
    found.fetch_data(&store, &copy).unwrap();
    assert_eq!(fingerprint(&copy), fingerprint(&data), "what is not whole is fetched again");

    let work = places.path().join("work");
    let storage =
        DatabaseStorage::new(crate::worker::patient(&url), &study, &config, "w", Some(store.clone()), &work)
            .unwrap();
    let mut running = Study::over(&work, config.clone(), Box::new(storage)).unwrap();
    running.run(&mut [Leaves], &mut |_| {}, &AtomicBool::new(false)).unwrap();
    pull::pull(&mut link, &study, config, Some(&store), &home).unwrap();
    for trial in Study::read(&home).unwrap().trials {
        let folder = search::study::trial_folder(&home, trial.id);
        assert_eq!(
            fs::read_to_string(folder.join("weights.safetensors")).unwrap(),
            left("weights.safetensors", trial.seed)
        );
    }
    let database = schema::check(&mut link).unwrap();
    let orphan = store.put(b"of a worker that was killed").unwrap();
    let orphans = pull::orphans(&mut link, &store, database, Duration::ZERO).unwrap();
    assert_eq!(orphans.iter().map(|kept| &kept.name).collect::<Vec<_>>(), [&orphan]);
    let secrets = Command::new("grep")
        .args(["-rqF", "--", SECRET])
        .arg(places.path())
        .arg(server.path("data"))
        .status();
    assert!(!secrets.unwrap().success(), "the secret is in no file");
}

/// Passes on to `to`, and strikes once so many bytes have gone there.
fn after(to: u16, bytes: usize, strike: impl FnOnce() + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut strike = Some(strike);
    std::thread::spawn(move || {
        let mut passed = 0;
        for mut client in listener.incoming().flatten() {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let (mut back, mut answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut answers, &mut back);
                let _ = back.shutdown(Shutdown::Both);
            });
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = client.read(&mut buffer) {
                passed += read;
                if server.write_all(&buffer[..read]).is_err() {
                    break;
                }
                if passed > bytes
                    && let Some(strike) = strike.take()
                {
                    strike();
                }
            }
            let _ = server.shutdown(Shutdown::Both);
        }
    });
    port
}

#[test]
#[ignore = "needs PostgreSQL and SeaweedFS: scripts/test-cluster"]
fn a_server_that_is_killed_in_the_middle_of_a_push_leaves_nothing_half_made() {
    let (server, mut bucket, places) =
        (Postgres::new(&[]), BucketServer::new(), tempfile::tempdir().unwrap());
    let data = places.path().join("data");
    tests::make_data(&data);
    let url = server.database("killed");
    let config = training(&url, "s", &data);
    let mut link = link(&url);
    let study = registry::find(&mut link, "s").unwrap();
    let id = bucket.id().to_string();
    let kill = move || drop(Command::new("kill").args(["-KILL", &id]).status());
    let port = after(bucket.port(), 150_000, kill);
    let cut_off = open(&bucket, &bucket.url("lab"), port, &[]).unwrap();
    let error = inputs::push(&mut link, &study, &config, &cut_off).unwrap_err();
    assert_eq!(error.exit_code(), exit::BOARD);
    assert!(
        error.to_string().contains("store s3://") && error.to_string().contains("does it run"),
        "{error}"
    );
    let named = "SELECT count(*) FROM study_system_attributes WHERE key LIKE 'artifacts:%'";
    assert_eq!(server.sql("killed", named), "0", "the database names files that are all there, or none");
    bucket.crash();
    bucket.start();
    let store = store(&bucket, "lab");
    // The server answers before all its parts have found each other again.
    let push = |_| match inputs::push(&mut link, &study, &config, &store) {
        Err(error) if error.exit_code() == exit::BOARD => {
            sleep(Duration::from_secs(1));
            None
        }
        pushed => Some(pushed),
    };
    (0..60).find_map(push).unwrap().unwrap();
    assert_eq!(server.sql("killed", named), "3");
    for kept in store.list().unwrap() {
        store.get(&kept.name).unwrap();
    }
}

#[test]
#[ignore = "needs PostgreSQL and SeaweedFS: scripts/test-cluster"]
fn the_end_of_a_trial_waits_for_a_bucket_that_is_gone() {
    let (server, bucket, places) = (Postgres::new(&[]), BucketServer::new(), tempfile::tempdir().unwrap());
    let url = server.database("waits");
    let config = StudyConfig { prune: None, ..config("s", 3) };
    let study = register(&url, &config, Terms { keeps_files: true, ..terms(2_000) });
    let store = store(&bucket, "waits");
    let (said, bucket) = (Arc::new(Mutex::new(vec![])), Mutex::new(bucket));
    let run = |limit: Option<Duration>, strike: &dyn Fn()| {
        let told = Arc::clone(&said);
        let say = Arc::new(move |text: &str| told.lock().unwrap().push(text.to_owned()));
        let patience = Patience { limit, stop: Arc::default(), say };
        let link = Link::open(&cluster::Address::parse(&url, false).unwrap(), patience).unwrap();
        let storage =
            DatabaseStorage::new(link, &study, &config, "w", Some(store.clone()), places.path()).unwrap();
        let mut study = Study::over(places.path(), config.clone(), Box::new(storage)).unwrap();
        let mut struck = false;
        let mut observer = |event: &StudyEvent| {
            if matches!(event, StudyEvent::Started { .. }) && !std::mem::replace(&mut struck, true) {
                strike();
            }
        };
        study.run(&mut [Leaves], &mut observer, &AtomicBool::new(false))
    };
    let error = run(Some(Duration::from_secs(1)), &|| bucket.lock().unwrap().crash()).unwrap_err();
    assert_eq!(error.exit_code(), exit::BOARD, "{error}");
    bucket.lock().unwrap().start();
    std::thread::scope(|scope| {
        let outcome = run(None, &|| {
            bucket.lock().unwrap().crash();
            scope.spawn(|| {
                sleep(Duration::from_secs(5));
                bucket.lock().unwrap().start();
            });
        });
        assert_eq!(outcome.unwrap(), Outcome::Finished);
    });
    let said = said.lock().unwrap();
    assert!(said.iter().any(|text| text.contains("store s3://") && text.contains("tried again")), "{said:?}");
    assert!(!said.iter().any(|text| text.contains(SECRET)));
    assert_eq!(
        server.sql("waits", "SELECT count(*) FROM mfactor_deaths"),
        "0",
        "leases were renewed meanwhile"
    );
}
