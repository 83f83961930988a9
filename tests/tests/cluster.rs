//! Studies in a database from the command line: registered, worked at, watched, brought home; and what is refused.
#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use mfactor::exit;
use serde_json::{Value, json};
use tests::postgres::Postgres;
use tests::site::{DRY, Site};
use tests::{Workplace, expect};

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_study_is_worked_at_by_several_and_brought_home() {
    let server = Postgres::new(&[]);
    let site = Site::new(&server.database("lab"));
    assert_eq!(site.json("cluster init")["made_optuna"], true);
    assert_eq!(site.json("cluster init")["made_mfactor"], false);
    site.run(&format!("cluster doctor --artifacts {}", site.store()), exit::DONE);
    let registered = site.json(&format!("{DRY} --name first --detach"));
    assert_eq!(registered["next"], "mfactor worker first");
    assert_eq!(site.json("cluster status"), json!(["first"]));
    let workers: Vec<_> = (0..3).map(|_| site.command("worker first --quiet").spawn().unwrap()).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let status = site.json("cluster status first --watch");
    assert_eq!((&status["state"], &status["deaths"]), (&json!("done"), &json!(0)));
    assert_eq!(status["tracks"][1]["complete"], 5);
    assert_eq!(site.json("cluster pull first")["ended"], 11);
    assert_eq!(site.json("cluster pull first")["ended"], 0);
    site.run(&format!("{DRY} --out alone"), exit::DONE);
    let found = |folder: &str| {
        let mut trials = site.json(&format!("trials {folder} --all"));
        for trial in trials.as_array_mut().unwrap() {
            trial.as_object_mut().unwrap().retain(|key, _| !["id", "seconds"].contains(&&**key));
        }
        let mut rows: Vec<String> = trials.as_array().unwrap().iter().map(Value::to_string).collect();
        rows.sort();
        rows
    };
    assert_eq!(found("runs/first"), found("alone"));

    site.json("cluster extend first --trials 7");
    assert_eq!(site.json("worker first")["trials"], 4);
    assert_eq!(site.json("cluster pull first")["ended"], 4);
    site.json("cluster stop first");
    let (_, said) = site.run("worker first", exit::DONE);
    assert!(said.contains("mfactor cluster extend first"), "{said}");
    site.json("cluster remove first");
    assert_eq!(site.json("cluster status"), json!([]));
    assert_eq!(server.sql("lab", "SELECT count(*) FROM studies"), "0");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_search_may_register_and_work_at_once() {
    let server = Postgres::new(&[]);
    let site = Site::new(&server.database("lab"));
    site.run("cluster init", exit::DONE);
    let found = site.json(&format!("{DRY} --name both --database {}", site.url));
    assert_eq!((&found["finished"], &found["trials"]), (&json!(true), &json!(11)));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn what_is_wrong_is_said_in_a_sentence_and_nothing_is_half_made() {
    let server = Postgres::new(&[]);
    let mut site = Site::new(&server.database("lab"));
    let bad = exit::INPUT;
    site.refused("cluster status", bad, &["mfactor cluster init"]);
    site.refused(&format!("{DRY} --name s --detach"), bad, &["mfactor cluster init"]);
    site.run("cluster init", exit::DONE);
    site.refused("worker none", bad, &["none", "there are none"]);
    site.run(&format!("{DRY} --name s --detach"), exit::DONE);
    site.refused(&format!("{DRY} --name s --detach"), bad, &["\"s\"", "another name"]);
    site.refused("worker none", bad, &["\"none\"", "there are \"s\""]);
    site.refused("cluster extend s --trials 2", bad, &["5 trials", "only more"]);
    site.refused("worker s --name a/b", bad, &["--name"]);
    site.refused("cluster gc", exit::USAGE, &["--artifacts"]);

    site.place.prepare();
    let train = "search --data tiny --space small.toml --strategy random --trials 1 --name t --detach";
    site.refused(train, bad, &["--artifacts"]);
    site.refused(&format!("{train} --artifacts file:///nowhere/x"), bad, &["/nowhere/x", "not there"]);
    site.refused(&format!("{train} --artifacts ftp://host/x"), bad, &["file:///FOLDER"]);
    assert_eq!(site.json("cluster status"), json!(["s"]));
    site.run(&format!("{train} --artifacts {}", site.store()), exit::DONE);
    fs::create_dir(site.place.path("other")).unwrap();
    let other = format!("file://{}", site.place.path("other").display());
    site.refused(&format!("worker t --data tiny --artifacts {other}"), bad, &["not the store"]);
    site.refused("worker t", bad, &["--artifacts"]);
    fs::write(
        site.place.path("tiny/train.bin"),
        fs::read(site.place.path("tiny/train.bin")).unwrap().split_off(3),
    )
    .unwrap();
    site.refused(&format!("worker t --data tiny --artifacts {}", site.store()), bad, &["tiny"]);

    server.sql("lab", "UPDATE mfactor_studies SET tool = '0.0.9' WHERE study = 's'");
    site.refused("worker s", exit::MISSING, &["0.0.9", &mfactor::version()]);
    for (change, words) in [
        ("UPDATE mfactor_schema SET version = 7", ["version 7", "mfactor"]),
        ("UPDATE version_info SET library_version = '4.9.0'", ["4.9.0", "local times"]),
        ("UPDATE alembic_version SET version_num = 'v4.0.0.a'", ["v4.0.0.a", "v3.2.0.a"]),
    ] {
        server.sql("lab", change);
        site.refused("cluster status", bad, &words);
        site.refused("cluster init", bad, &words);
    }

    site.url = server.url("lab") + "?sslmode=verify-full";
    site.refused("cluster init", bad, &["no encryption", "ssl = on"]);
    site.url = server.url("lab").replace("mfactor@", "ghost@");
    site.refused("cluster init", bad, &["\"ghost\"", "user in the URL"]);
    site.url = server.url("nothing");
    site.refused("cluster init", bad, &["createdb nothing"]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    site.url = format!("postgresql://m@127.0.0.1:{free}/lab");
    site.refused("worker s", exit::BOARD, &["cannot be reached", "running"]);
    site.url = "postgresql://m:secret@127.0.0.1/lab".to_owned();
    site.refused("worker s", bad, &["~/.pgpass"]);
    site.url = "postgresql://m@db.example.org/lab?sslmode=disable".to_owned();
    site.refused("worker s", bad, &["plain text", "--insecure-database"]);
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_role_that_only_works_cannot_make_or_remove_a_study() {
    let server = Postgres::new(&[]);
    let mut site = Site::new(&server.database("lab"));
    server.sql("lab", "CREATE ROLE hand LOGIN");
    site.refused("cluster init --worker nobody", exit::INPUT, &["createuser", "nobody"]);
    site.run("cluster init --worker hand", exit::DONE);
    site.run(&format!("{DRY} --name s --detach"), exit::DONE);
    site.url = site.url.replace("mfactor@", "hand@");
    site.run("cluster doctor", exit::DONE);
    assert_eq!(site.json("worker s")["trials"], 11);
    site.refused("cluster remove s", exit::INPUT, &["hand", "may not"]);
    site.refused(&format!("{DRY} --name u --detach"), exit::INPUT, &["hand", "may not"]);
    server.sql("lab", "REVOKE UPDATE ON trials FROM hand");
    let doctor = site.output("cluster doctor");
    assert_eq!(doctor.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&doctor.stderr).contains("UPDATE on trials"));
}

/// What nobody may ever read in a file, a message or a list of processes.
const PASSWORD: &str = "a-secret-of-the-tests";

/// A server that has a certificate for 127.0.0.1, signed by an authority of its own, and wants a password.
fn guarded(site: &Workplace) -> Postgres {
    let run = |arguments: &str| {
        let done =
            Command::new("openssl").args(arguments.split_whitespace()).current_dir(site.path(".")).output();
        let done = done.expect("openssl runs");
        assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
    };
    for authority in ["ca", "wrong"] {
        run(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {authority}.key -out {authority}.pem -days 2 -subj /CN={authority}"
        ));
    }
    fs::write(site.path("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    run("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server");
    run(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names",
    );
    let mut server = Postgres::new(&[]);
    server.sql("postgres", &format!("ALTER ROLE mfactor PASSWORD '{PASSWORD}'"));
    server.database("lab");
    server.stop();
    for name in ["server.key", "server.crt"] {
        let to = server.path("data").join(name);
        fs::copy(site.path(name), &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        server.give(&to);
    }
    let settings = fs::read_to_string(server.path("data/postgresql.conf")).unwrap();
    fs::write(server.path("data/postgresql.conf"), settings + "\nssl = on\n").unwrap();
    fs::write(server.path("data/pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    server.start();
    server
}

fn guarded_url(site: &Site, server: &Postgres, host: &str, roots: &str) -> String {
    let (port, roots) = (server.port(), site.place.path(roots));
    format!("postgresql://mfactor@{host}:{port}/lab?sslmode=verify-full&sslrootcert={}", roots.display())
}

fn write_password(path: &Path, password: &str) {
    fs::write(path, format!("*:*:*:*:{password}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
#[ignore = "needs PostgreSQL and openssl: scripts/test"]
fn certificate_host_and_password_are_checked_and_the_password_stays_where_it_is() {
    let mut site = Site::new("");
    let server = guarded(&site.place);
    let of = |host: &str, roots: &str| guarded_url(&site, &server, host, roots);
    let (good, wrong, host) =
        (of("127.0.0.1", "ca.pem"), of("127.0.0.1", "wrong.pem"), of("localhost", "ca.pem"));
    site.url = good.clone();
    site.refused("cluster init", exit::INPUT, &["PGPASSWORD", "~/.pgpass"]);
    let pass = site.place.path(".pgpass");
    write_password(&pass, "wrong");
    site.refused("cluster init", exit::INPUT, &["\"mfactor\"", "~/.pgpass"]);
    write_password(&pass, PASSWORD);
    site.run("cluster init", exit::DONE);
    let (health, _) = site.run("cluster doctor", exit::DONE);
    assert!(health.contains("TLSv1.3"), "{health}");
    for url in [wrong, host] {
        site.url = url;
        site.refused("cluster doctor", exit::INPUT, &["cannot be trusted", "sslrootcert"]);
    }
    site.url = good.split('?').next().unwrap().to_owned() + "?sslmode=disable";
    let plain = site.output("cluster doctor");
    assert_eq!(plain.status.code(), Some(3), "{}", String::from_utf8_lossy(&plain.stderr));
    site.url = good;
    fs::set_permissions(&pass, fs::Permissions::from_mode(0o644)).unwrap();
    site.refused("cluster doctor", exit::INPUT, &["chmod 600"]);
    fs::remove_file(&pass).unwrap();
    let doctor = site.command("cluster doctor --json").env("PGPASSWORD", PASSWORD).output().unwrap();
    let (said, _) = expect("with PGPASSWORD", &doctor, exit::DONE);
    assert!(!said.contains("secret"));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn schedulers_are_given_what_is_shown() {
    let server = Postgres::new(&[]);
    let site = Site::new(&server.database("lab"));
    site.run("cluster init", exit::DONE);
    site.refused("launch slurm s", exit::INPUT, &["no study \"s\""]);
    site.run(&format!("{DRY} --name s --detach"), exit::DONE);
    let (script, _) = site.run("launch slurm s --tasks 3 --gres gpu:1 --print", exit::DONE);
    assert!(
        script.starts_with("#!/bin/bash\n#SBATCH ") && script.contains("#SBATCH --array=1-3\n"),
        "{script}"
    );
    assert!(script.contains(&format!("export MFACTOR_DATABASE={}\n", site.url)), "{script}");
    site.refused("launch slurm s --gres gpu;1", exit::USAGE, &["one word"]);
    let (hosts, _) = site.run("launch ssh s ws1 ws2 --print", exit::DONE);
    assert_eq!(
        hosts.lines().filter(|line| line.starts_with("ssh -o BatchMode=yes -- ws")).count(),
        2,
        "{hosts}"
    );
    let (manifest, _) = site.run("launch kubernetes s --image m:1 --print", exit::DONE);
    assert!(manifest.contains("args: [\"worker\",\"s\",\"--trainers\",\"1\"]"), "{manifest}");

    fs::create_dir(site.place.path("bin")).unwrap();
    let scheduler = |text: &str| {
        let path = site.place.path("bin/sbatch");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", site.place.path("bin").display(), std::env::var("PATH").unwrap());
        site.command("launch slurm s --tasks 3 --gres gpu:1").env("PATH", path).output().unwrap()
    };
    let (answer, _) = expect("sbatch", &scheduler("cat > given; echo Submitted batch job 7"), exit::DONE);
    assert_eq!(answer, "Submitted batch job 7\n");
    assert_eq!(fs::read_to_string(site.place.path("given")).unwrap(), script);
    let (_, said) = expect("sbatch", &scheduler("echo no such partition >&2; exit 1"), exit::BOARD);
    assert!(said.contains("no such partition"), "{said}");
    let nothing = site.command("launch slurm s").env("PATH", site.place.path("bin/none")).output().unwrap();
    let (_, said) = expect("no sbatch", &nothing, exit::MISSING);
    assert!(said.contains("sbatch"), "{said}");
}

/// Command lines of all processes.
fn command_lines() -> String {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n").collect()
}

#[test]
#[ignore = "needs PostgreSQL and openssl: scripts/test"]
fn the_password_is_in_no_file_message_or_list_of_processes() {
    let mut site = Site::new("");
    let server = guarded(&site.place);
    site.url = guarded_url(&site, &server, "127.0.0.1", "ca.pem");
    let pass = site.place.path(".pgpass");
    write_password(&pass, PASSWORD);
    site.run("cluster init", exit::DONE);
    let long = DRY.replace("--trials 5", "--trials 300");
    site.run(&format!("{long} --name s --detach"), exit::DONE);
    let log = fs::File::create(site.place.path("worker.log")).unwrap();
    let mut command = site.command("worker s -v");
    let mut worker = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let mut seen = 0;
    while worker.try_wait().unwrap().is_none() {
        let lines = command_lines();
        seen += lines.matches(" worker s -v").count();
        assert!(!lines.contains(PASSWORD), "{lines}");
    }
    assert!(seen > 0 && worker.wait().unwrap().success(), "it was seen {seen} times");
    site.run("cluster pull s", exit::DONE);
    let said = ["slurm s", "kubernetes s --image m:1", "hq s", "ssh s ws1"];
    let said = said.map(|by| site.run(&format!("launch {by} --print"), exit::DONE).0).concat();
    fs::write(site.place.path("said"), said + &site.run("cluster doctor", exit::DONE).0).unwrap();
    let found =
        Command::new("grep").args(["-rlF", "--", PASSWORD]).arg(site.place.path(".")).output().unwrap();
    let found = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    assert_eq!(Path::new(&found).file_name(), pass.file_name(), "{found}");
}
