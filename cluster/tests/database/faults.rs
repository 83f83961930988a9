//! What goes wrong, a hundred times: workers killed and frozen, the database crashed. The trials are those of an undisturbed
//! search.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tests::postgres::Postgres;

use crate::worker::{Mode, alone, config, link, process, pulled, register, salt, salted, terms};

/// How long a worker holds a trial without a word, here.
const LEASE_MS: u64 = 700;

/// Numbers that are the same each time (Knuth's MMIX constants).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Workers that are started again when they are killed.
struct Crew {
    url: String,
    study: String,
    mode: Mode,
    workers: Vec<(Child, Option<Instant>)>,
    started: u64,
}

impl Crew {
    fn new(url: &str, study: &str, mode: Mode, size: usize) -> Self {
        let mut crew =
            Self { url: url.to_owned(), study: study.to_owned(), mode, workers: vec![], started: 0 };
        for _ in 0..size {
            crew.hire();
        }
        crew
    }

    fn hire(&mut self) {
        self.started += 1;
        let name = format!("w{}", self.started);
        self.workers.push((process(&self.url, &self.study, &name, self.mode), None));
    }

    fn signal(&self, worker: usize, signal: Signal) {
        let id = self.workers[worker].0.id();
        // It may have left meanwhile.
        let _ = kill_process(Pid::from_raw(id as i32).unwrap(), signal);
    }

    /// Kills a worker and hires another.
    fn kill(&mut self, worker: usize) {
        let (mut child, _) = self.workers.swap_remove(worker);
        child.kill().unwrap();
        child.wait().unwrap();
        self.hire();
    }

    /// Freezes a worker until some time, unless it is frozen.
    fn freeze(&mut self, worker: usize, time: Duration) -> bool {
        if self.workers[worker].1.is_some() {
            return false;
        }
        self.signal(worker, Signal::STOP);
        self.workers[worker].1 = Some(Instant::now() + time);
        true
    }

    fn thaw(&mut self, all: bool) {
        for worker in 0..self.workers.len() {
            if self.workers[worker].1.is_some_and(|until| all || until < Instant::now()) {
                self.signal(worker, Signal::CONT);
                self.workers[worker].1 = None;
            }
        }
    }

    /// Whether somebody has seen the study's end.
    fn is_done(&mut self) -> bool {
        self.workers.iter_mut().any(|(child, _)| child.try_wait().unwrap().is_some())
    }

    /// Waits until all have left by themselves.
    fn leave(mut self) {
        self.thaw(true);
        for (child, _) in &mut self.workers {
            assert!(child.wait().unwrap().success(), "a worker leaves in order");
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (child, _) in &mut self.workers {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How often each kind struck.
#[derive(Debug, Default)]
struct Struck {
    kills: u64,
    freezes: u64,
    crashes: u64,
}

impl Struck {
    fn total(&self) -> u64 {
        self.kills + self.freezes + self.crashes
    }

    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.freezes += other.freezes;
        self.crashes += other.crashes;
    }

    /// Of a line of the log.
    fn parse(line: &str) -> Self {
        let mut counts = line.split(' ').map(|count| count.parse().unwrap());
        let mut next = || counts.next().unwrap();
        Self { kills: next(), freezes: next(), crashes: next() }
    }
}

/// One fault: mostly a kill, one in four a freeze beyond the lease, one in twenty the database.
fn strike(crew: &mut Crew, server: &mut Postgres, chance: &mut Chance, struck: &mut Struck) {
    let worker = chance.below(crew.workers.len() as u64) as usize;
    match chance.below(20) {
        0 => {
            server.crash();
            sleep(Duration::from_millis(chance.below(400)));
            server.start();
            struck.crashes += 1;
        }
        1..=5 => {
            let time = Duration::from_millis(LEASE_MS + chance.below(2 * LEASE_MS));
            struck.freezes += u64::from(crew.freeze(worker, time));
        }
        _ => {
            crew.kill(worker);
            struck.kills += 1;
        }
    }
}

/// Studies one after the other, until so many faults have struck, those that a log has from earlier runs among them.
fn survive(faults: u64, log: Option<&Path>) -> Struck {
    let mut server = Postgres::new(&["max_connections=60"]);
    let rounds = log.and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default();
    let mut struck = Struck::default();
    rounds.lines().for_each(|line| struck.add(&Struck::parse(line)));
    for round in rounds.lines().count() as u64.. {
        if struck.total() >= faults {
            break;
        }
        let found = survive_one(round, faults - struck.total(), &mut server);
        struck.add(&found);
        if let Some(log) = log {
            let mut log = fs::File::options().create(true).append(true).open(log).unwrap();
            writeln!(log, "{} {} {}", found.kills, found.freezes, found.crashes).unwrap();
        }
    }
    struck
}

/// One study, in which so many faults strike at the most.
fn survive_one(round: u64, most: u64, server: &mut Postgres) -> Struck {
    let (mut chance, mut struck) = (Chance(7 + round), Struck::default());
    let config = config(&format!("s{round}"), 30);
    let url = server.database(&config.name);
    register(&url, &config, terms(LEASE_MS));
    let mut crew = Crew::new(&url, &config.name, Mode::Plain, 6);
    while !crew.is_done() {
        sleep(Duration::from_millis(40 + chance.below(300)));
        crew.thaw(false);
        if !crew.is_done() && struck.total() < most {
            strike(&mut crew, server, &mut chance, &mut struck);
        }
    }
    crew.leave();
    assert_eq!(pulled(&url, &config.name), alone(&config));
    let odd = "SELECT count(*) FROM trials t LEFT JOIN mfactor_leases l USING (trial_id)
        WHERE t.state = 'RUNNING' OR l.done IS NOT TRUE";
    assert_eq!(server.sql(&config.name, odd), "0", "no lease is at odds with its trial");
    struck
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_hundred_faults_change_no_trial() {
    let struck = survive(100, None);
    assert!(struck.kills > 0 && struck.freezes > 0 && struck.crashes > 0, "{struck:?}");
    println!("{struck:?}");
}

#[test]
#[ignore = "needs PostgreSQL, and minutes: scripts/test-cluster"]
fn a_thousand_faults_change_no_trial() {
    let log = std::env::var_os("MFACTOR_FAULTS_LOG").map(PathBuf::from);
    println!("{:?}", survive(1000, log.as_deref()));
}

/// Trials that hold a word of somebody else than their last holder, and how many were taken over at all.
fn strange_trials(server: &Postgres, database: &str) -> (usize, u64) {
    let mut client = postgres::Client::connect(&server.url(database), postgres::NoTls).unwrap();
    let rows = client
        .query(
            "SELECT l.worker, (SELECT value_json FROM trial_user_attributes a WHERE a.trial_id = t.trial_id AND key = 'seed'),
               (SELECT value_json FROM trial_user_attributes a WHERE a.trial_id = t.trial_id AND key = 'accuracy'),
               ARRAY(SELECT step FROM trial_intermediate_values i WHERE i.trial_id = t.trial_id ORDER BY step),
               ARRAY(SELECT intermediate_value FROM trial_intermediate_values i WHERE i.trial_id = t.trial_id ORDER BY step)
             FROM trials t JOIN mfactor_leases l USING (trial_id)",
            &[],
        )
        .unwrap();
    let is_strange = |row: &&postgres::Row| {
        let (salt, seed) = (salt(row.get(0)), row.get::<_, &str>(1).parse().unwrap());
        let accuracy: Option<f64> = row.get::<_, Option<&str>>(2).map(|text| text.parse().unwrap());
        let (steps, values): (Vec<i32>, Vec<f64>) = (row.get(3), row.get(4));
        let is_own = |(step, value): (&i32, &f64)| *value == salted(seed, *step as u32, salt);
        let last = accuracy.is_none_or(|accuracy| accuracy == salted(seed, 4, salt));
        !last || !steps.iter().zip(&values).all(is_own)
    };
    let deaths = server.sql(database, "SELECT count(*) FROM mfactor_deaths").parse().unwrap();
    (rows.iter().filter(is_strange).count(), deaths)
}

/// Freezes workers again and again while they train, beyond their leases.
fn freeze_often(server: &Postgres, name: &str, mode: Mode) -> (usize, u64) {
    let mut config = config(name, 20);
    config.prune = None;
    let url = server.database(name);
    register(&url, &config, terms(300));
    let (mut crew, mut chance) = (Crew::new(&url, name, mode, 4), Chance(3));
    while !crew.is_done() {
        sleep(Duration::from_millis(60));
        crew.thaw(false);
        // Somebody has to be there to take over.
        if crew.workers.iter().filter(|(_, frozen)| frozen.is_some()).count() < 2 {
            let worker = chance.below(4) as usize;
            crew.freeze(worker, Duration::from_millis(500 + chance.below(300)));
        }
    }
    crew.leave();
    strange_trials(server, name)
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_frozen_worker_writes_nothing_into_what_it_lost_and_without_the_fence_it_would_show() {
    let server = Postgres::new(&[]);
    let (strange, lost) = freeze_often(&server, "fenced", Mode::Salted);
    assert!(lost > 5, "only {lost} trials were taken over");
    assert_eq!(strange, 0, "of {lost} that were taken over");
    let (strange, lost) = freeze_often(&server, "unfenced", Mode::Unfenced);
    assert!(strange > 0, "{lost} trials were taken over, and nobody noticed that the fence was off");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn a_trial_that_loses_every_worker_fails_and_the_study_goes_on() {
    let server = Postgres::new(&[]);
    let url = server.database("deadly");
    let config = config("deadly", 3);
    register(&url, &config, cluster::registry::Terms { most_attempts: 2, ..terms(300) });
    for _ in 0..2 {
        let mut worker = process(&url, "deadly", "victim", Mode::Plain);
        let began = Instant::now();
        while server.sql(
            "deadly",
            "SELECT count(*) FROM mfactor_leases WHERE worker = 'victim' AND NOT done AND expires > now()",
        ) == "0"
        {
            assert!(began.elapsed() < Duration::from_secs(60));
        }
        worker.kill().unwrap();
        worker.wait().unwrap();
        server.sql("deadly", "UPDATE mfactor_leases SET worker = 'lost' WHERE NOT done");
        sleep(Duration::from_millis(400));
    }
    assert!(process(&url, "deadly", "survivor", Mode::Plain).wait().unwrap().success());
    let trials = pulled(&url, "deadly");
    assert_eq!(trials.len(), 10);
    let reasons: Vec<&str> = trials.iter().filter_map(|trial| trial.failure.as_deref()).collect();
    assert!(reasons.contains(&"its worker was lost 2 times: lost, lost"), "{reasons:?}");
    drop(link(&url));
}
