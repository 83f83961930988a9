//! A study whose files are in a bucket: pushed, fetched, trained, brought home; and a server that fails.
#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mfactor::exit;
use tests::bucket::{BucketServer, KEY, SECRET};
use tests::postgres::Postgres;
use tests::site::{DRY, Site};

const TRAIN: &str = "search --data tiny --space small.toml --strategy random --trials 1 --epochs 1";

/// A place with a database and a bucket, whose name is that of the store's part of it.
fn site(server: &Postgres, bucket: &BucketServer, name: &str) -> Site {
    let mut site = Site::new(&server.database(name));
    site.variables = bucket.environment(bucket.port()).to_vec();
    site.variables.push(("MFACTOR_ARTIFACTS", bucket.url(name)));
    site.run("cluster init", exit::DONE);
    site
}

/// Whether a text occurs in a file somewhere below a folder.
fn occurs(text: &str, folder: &Path) -> bool {
    let found = Command::new("grep").args(["-rqF", "--", text]).arg(folder).status().unwrap();
    found.success()
}

#[test]
#[ignore = "needs PostgreSQL, SeaweedFS and the trainer: scripts/test"]
fn a_worker_without_the_data_fetches_it_and_what_it_trained_comes_home() {
    let (server, bucket) = (Postgres::new(&[]), BucketServer::new());
    let mut site = site(&server, &bucket, "lab");
    site.place.prepare();
    site.run("cluster doctor", exit::DONE);
    site.run(&format!("{TRAIN} --name s --detach"), exit::DONE);
    let pushed = site.json("cluster push s --data tiny");
    assert_eq!(pushed["files"], 3, "records to train and to test, and the manifest");
    assert_eq!(site.json("cluster push s --data tiny"), pushed, "it may be pushed again");
    fs::rename(site.place.path("tiny"), site.place.path("gone")).unwrap();
    site.variables.push(("XDG_CACHE_HOME", site.place.path("cache").display().to_string()));
    // What a worker's list of processes shows while it is at work.
    let mut worker = site.command("worker s").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let shown = fs::read_to_string(format!("/proc/{}/cmdline", worker.id())).unwrap();
    assert!(!shown.contains(SECRET));
    assert!(worker.wait().unwrap().success());
    let fetched =
        fs::read_dir(site.place.path("cache/mfactor/pushed")).unwrap().next().unwrap().unwrap().path();
    let [there, here] =
        [site.place.path("gone/train.bin"), fetched.join("train.bin")].map(|path| fs::read(path).unwrap());
    assert_eq!(there, here);
    fs::write(fetched.join("train.bin"), b"of another study").unwrap();
    assert_eq!(site.json("cluster pull s")["ended"], 2);
    assert_eq!(fs::read(fetched.join("train.bin")).unwrap(), here, "what is not whole is fetched again");
    let trials = site.json("trials runs/s --all");
    for trial in trials.as_array().unwrap() {
        let weights =
            site.place.path("runs/s/trials").join(trial["id"].to_string()).join("weights.safetensors");
        assert!(weights.is_file(), "{}", weights.display());
    }
    assert_eq!(site.json("cluster gc --older 0")["files"], 0, "everything there is named");

    // A second study of the same data trains nothing that the first has trained.
    let other = TRAIN.replace("random", "tpe").replace("--data tiny", "--data gone");
    site.run(&format!("{other} --name t --detach"), exit::DONE);
    site.run("worker t --data gone", exit::DONE);
    let reused = "SELECT count(*) FROM trial_user_attributes WHERE key = 'reused' AND value_json = 'true'";
    assert_ne!(server.sql("lab", reused), "0", "the baseline at least");
    assert!(!occurs(SECRET, &site.place.path(".")) && !occurs(SECRET, &server.path("data")));
}

#[test]
#[ignore = "needs PostgreSQL and SeaweedFS: scripts/test"]
fn what_is_wrong_with_a_bucket_is_said_in_a_sentence() {
    let (server, mut bucket) = (Postgres::new(&[]), BucketServer::new());
    let mut site = site(&server, &bucket, "lab");
    site.place.prepare();
    let set = |site: &mut Site, name: &str, value: &str| {
        site.variables.retain(|(known, _)| *known != name);
        site.variables.push((Box::leak(name.to_owned().into_boxed_str()), value.to_owned()));
    };
    site.run(&format!("{TRAIN} --name s --detach"), exit::DONE);
    set(&mut site, "AWS_SECRET_ACCESS_KEY", "another-secret");
    site.refused(&format!("{TRAIN} --name u --detach"), exit::INPUT, &["lab", "AWS_SECRET_ACCESS_KEY"]);
    set(&mut site, "AWS_SECRET_ACCESS_KEY", SECRET);
    site.refused(
        "cluster doctor --artifacts s3://no-such-bucket/x",
        exit::INPUT,
        &["no such bucket", "--artifacts"],
    );
    site.refused("cluster gc --artifacts s3://mfactor-tests/other", exit::INPUT, &["is not the store"]);
    site.refused("cluster gc --artifacts s3://key:secret@bucket/x", exit::INPUT, &["AWS_ACCESS_KEY_ID"]);
    set(&mut site, "AWS_ENDPOINT_URL", "http://s3.example.org");
    site.refused("cluster doctor", exit::INPUT, &["plain text", "AWS_ALLOW_HTTP"]);
    set(&mut site, "AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{}", bucket.port()));
    site.variables.retain(|(name, _)| *name != "AWS_ACCESS_KEY_ID");
    site.refused("cluster doctor", exit::INPUT, &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    set(&mut site, "AWS_ACCESS_KEY_ID", KEY);
    bucket.crash();
    site.refused("cluster doctor", exit::BOARD, &["does it run"]);
    site.refused("cluster push s --data tiny", exit::BOARD, &["does it run"]);
    assert_eq!(site.json("cluster status"), serde_json::json!(["s"]), "what was refused left nothing");
    site.run(&format!("{DRY} --name dry --detach"), exit::BOARD);
}

/// Passes on to `to`, and does something once so many bytes have gone there.
fn after(to: u16, bytes: usize, strike: impl FnOnce() + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut strike = Some(strike);
    std::thread::spawn(move || {
        let mut passed = 0;
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let (mut back, mut answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut answers, &mut back);
                let _ = back.shutdown(Shutdown::Both);
            });
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = client.read(&mut buffer) {
                if server.write_all(&buffer[..read]).is_err() {
                    break;
                }
                passed += read;
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
#[ignore = "needs PostgreSQL and SeaweedFS: scripts/test"]
fn a_server_that_is_killed_in_the_middle_of_a_push_leaves_nothing_half_made() {
    let (server, mut bucket) = (Postgres::new(&[]), BucketServer::new());
    let mut site = site(&server, &bucket, "lab");
    site.place.prepare();
    site.run(&format!("{TRAIN} --name s --detach"), exit::DONE);
    let id = bucket.id().to_string();
    let kill = move || drop(Command::new("kill").args(["-KILL", &id]).status());
    let port = after(bucket.port(), 150_000, kill);
    site.variables.extend(bucket.environment(port));
    site.refused("cluster push s --data tiny", exit::BOARD, &["store s3://", "does it run"]);
    let named = "SELECT count(*) FROM study_system_attributes WHERE key LIKE 'artifacts:%'";
    assert_eq!(server.sql("lab", named), "0", "the database names files that are all there, or none");
    bucket.crash();
    bucket.start();
    site.variables.extend(bucket.environment(bucket.port()));
    site.json("cluster push s --data tiny");
    assert_eq!(server.sql("lab", named), "3");
    assert_eq!(site.json("cluster gc --older 0")["files"], 0, "what was there before is named now");
}

#[test]
#[ignore = "needs PostgreSQL, SeaweedFS and the trainer: scripts/test"]
fn the_end_of_a_trial_waits_for_a_bucket_that_is_gone() {
    let (server, mut bucket) = (Postgres::new(&[]), BucketServer::new());
    let site = site(&server, &bucket, "lab");
    site.place.prepare();
    site.run(&format!("{TRAIN} --name s --detach"), exit::DONE);
    let running = "SELECT count(*) FROM trial_intermediate_values";
    let mut worker = site.command("worker s --data tiny").stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while server.sql("lab", "SELECT count(*) FROM mfactor_leases") == "0" {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", server.sql("lab", running));
        sleep(Duration::from_millis(20));
    }
    bucket.crash();
    sleep(Duration::from_secs(4));
    assert!(worker.try_wait().unwrap().is_none(), "it waits");
    bucket.start();
    assert!(worker.wait().unwrap().success());
    let mut said = String::new();
    worker.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("waiting: store s3://") && !said.contains(SECRET), "{said}");
    assert_eq!(site.json("cluster status s")["deaths"], 0);

    site.run(&format!("{TRAIN} --seed 1 --name impatient --detach"), exit::DONE);
    let mut worker = site
        .command("worker impatient --data tiny --patience 1 --cache none")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while server.sql("lab", "SELECT count(*) FROM mfactor_leases WHERE NOT done") == "0" {
        sleep(Duration::from_millis(20));
    }
    bucket.crash();
    assert_eq!(worker.wait().unwrap().code(), Some(i32::from(exit::BOARD)));
}
