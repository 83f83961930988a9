//! Disks that are full, trainers of another kind, roles without rights: one sentence, the right exit code, nothing half made.
#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use mfactor::exit;
use tempfile::TempDir;
use tests::as_root;
use tests::postgres::Postgres;
use tests::site::{DRY, Site};

const TRAIN: &str = "search --data tiny --space small.toml --strategy random --trials 1 --epochs 1";

/// A small disk.
struct Disk {
    folder: TempDir,
}

impl Disk {
    fn new(mebibytes: u32) -> Self {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        let size = format!("size={mebibytes}m,mode=755");
        on_disks("mount", &["-t", "tmpfs", "-o", &size, "tmpfs"], disk.folder.path());
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.path("filler")).unwrap();
        let mut size = 1 << 16;
        while size > 0 {
            if file.write_all(&vec![1; size]).is_err() {
                size /= 2;
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        on_disks("umount", &["-l"], self.folder.path());
    }
}

fn on_disks(program: &str, arguments: &[&str], path: &Path) {
    let status = as_root(program).args(arguments).arg(path).status().unwrap();
    assert!(status.success(), "{program} {}", path.display());
}

#[test]
#[ignore = "needs PostgreSQL and root: scripts/test"]
fn a_database_whose_disk_is_full_says_so_and_goes_on_when_there_is_room() {
    let (server, disk) = (Postgres::new(&[]), Disk::new(16));
    let place = disk.path("space");
    fs::create_dir(&place).unwrap();
    server.give(&place);
    server.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", place.display()));
    server.sql("postgres", "CREATE DATABASE lab TABLESPACE small");
    let site = Site::new(&server.url("lab"));
    site.run("cluster init", exit::DONE);
    site.run(&format!("{} --name s --detach", DRY.replace("--trials 5", "--trials 400")), exit::DONE);
    disk.fill();
    // What is there has room for some more.
    let code = |output: std::process::Output| output.status.code();
    let is_full = |number: &i32| code(site.output(&format!("{DRY} --name t{number} --detach"))) != Some(0);
    let full = (0..200).find(is_full).unwrap();
    site.refused(&format!("{DRY} --name t{full} --detach"), exit::BOARD, &["disk is full", "make room"]);
    assert_eq!(site.json("cluster status").as_array().unwrap().len(), full as usize + 1);
    let studies = server.sql("lab", "SELECT count(*) FROM studies");
    assert_eq!(
        studies,
        (3 * (full + 1)).to_string(),
        "a baseline and two strategies each, and no part of what was refused"
    );
    site.refused("worker s --patience 1 --quiet", exit::BOARD, &["disk is full"]);
    disk.empty();
    site.run("worker s", exit::DONE);
    let status = site.json("cluster status s");
    assert_eq!((&status["state"], &status["tracks"][1]["complete"]), (&"done".into(), &400.into()));
}

#[test]
#[ignore = "needs PostgreSQL and root: scripts/test"]
fn a_store_that_is_full_keeps_whole_files_alone() {
    let (server, disk) = (Postgres::new(&[]), Disk::new(1));
    let site = Site::new(&server.database("lab"));
    site.run("cluster init", exit::DONE);
    site.place.prepare();
    let store = format!("file://{}", disk.path("").display());
    site.run(&format!("{TRAIN} --name s --detach --artifacts {store}"), exit::DONE);
    disk.fill();
    let push = format!("cluster push s --data tiny --artifacts {store}");
    site.refused(&push, exit::BOARD, &["disk is full", "make room"]);
    site.refused(&format!("{TRAIN} --name t --detach --artifacts {store}/none"), exit::INPUT, &["not there"]);
    let left: Vec<_> = fs::read_dir(disk.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".put-")), "{left:?}");
    let named = "SELECT count(*) FROM study_system_attributes WHERE key LIKE 'artifacts:%'";
    assert_eq!(server.sql("lab", named), "0");
    disk.empty();
    site.run(&push, exit::DONE);
    assert_eq!(server.sql("lab", named), "3");
}

#[test]
#[ignore = "needs PostgreSQL and the trainer: scripts/test"]
fn a_worker_with_another_kind_of_trainer_lacks_what_the_study_needs() {
    let server = Postgres::new(&[]);
    let mut site = Site::new(&server.database("lab"));
    site.variables.push(("MFACTOR_ARTIFACTS", site.store()));
    site.run("cluster init", exit::DONE);
    site.place.prepare();
    site.run(&format!("{TRAIN} --name s --detach"), exit::DONE);
    site.run("worker s --data tiny --precision float32", exit::DONE);
    site.run("cluster extend s --trials 2", exit::DONE);
    let other = "worker s --data tiny --precision bfloat16 --quiet";
    site.refused(other, exit::MISSING, &["not of the kind", "float32", "bfloat16", "--mixed-hardware"]);
    assert_eq!(server.sql("lab", "SELECT count(*) FROM trials WHERE state <> 'RUNNING'"), "2");
    assert_eq!(
        server.sql("lab", "SELECT count(*) FROM mfactor_deaths"),
        "0",
        "what it had begun was handed back"
    );
    site.run(&format!("{other} --mixed-hardware"), exit::DONE);
    assert_eq!(site.json("cluster status s")["tracks"][1]["complete"], 2);
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_role_that_may_not_delete_is_told_by_the_doctor_and_takes_nothing_over() {
    let server = Postgres::new(&[]);
    let mut site = Site::new(&server.database("lab"));
    server.sql("lab", "CREATE ROLE hand LOGIN");
    site.run("cluster init --worker hand", exit::DONE);
    site.run(&format!("{DRY} --name s --detach"), exit::DONE);
    server.sql("lab", "REVOKE DELETE ON ALL TABLES IN SCHEMA public FROM hand");
    site.url = site.url.replace("mfactor@", "hand@");
    let doctor = site.output("cluster doctor --json");
    assert_eq!(doctor.status.code(), Some(i32::from(exit::INPUT)));
    assert!(String::from_utf8_lossy(&doctor.stderr).contains("lacks DELETE on trial_intermediate_values"));
    site.run("worker s", exit::DONE);
    // A trial whose holder is gone: what it said has to be cleared before it begins again.
    server.sql("lab", "UPDATE trials SET state = 'RUNNING' WHERE trial_id = 1");
    server.sql("lab", "UPDATE mfactor_leases SET done = false, expires = '-infinity' WHERE trial_id = 1");
    site.refused("worker s --quiet", exit::INPUT, &["hand", "may not", "trial_intermediate_values"]);
    let untouched =
        "SELECT worker LIKE '%-%' AND expires = '-infinity' FROM mfactor_leases WHERE trial_id = 1";
    assert_eq!(server.sql("lab", untouched), "t", "the trial is free as it was");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn tables_of_the_version_before_are_brought_up_to_this_one() {
    let server = Postgres::new(&[]);
    let site = Site::new(&server.database("lab"));
    site.run("cluster init", exit::DONE);
    site.run(&format!("{DRY} --name s --detach"), exit::DONE);
    server.sql("lab", "DROP TABLE mfactor_trainings; UPDATE mfactor_schema SET version = 1");
    site.refused("worker s", exit::INPUT, &["version 1", "mfactor cluster init"]);
    assert_eq!(site.json("cluster init")["made_mfactor"], false);
    assert_eq!(site.json("worker s")["trials"], 11);
}
