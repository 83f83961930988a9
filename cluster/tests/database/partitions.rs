//! Workers that are cut off by the network, one way or both, and workers whose clocks are wrong.

use std::io::Result;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tests::as_root;
use tests::postgres::Postgres;

use crate::worker::{Mode, alone, command, config, pulled, register, terms};

/// A network of its own for one worker, whose only way out is a cable to this machine.
struct Island {
    number: u16,
}

/// How a cable is cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// Nothing comes or goes.
    Both,
    /// What the worker sends is lost.
    There,
    /// What it is answered is lost.
    Back,
}

impl Island {
    fn new(number: u16) -> Self {
        let island = Self { number: std::process::id() as u16 % 200 * 8 + number };
        let (name, here) = (island.name(), island.cable());
        ip(&["netns", "add", &name]);
        ip(&["link", "add", &here, "type", "veth", "peer", "name", "out", "netns", &name]);
        ip(&["addr", "add", &format!("{}/30", island.address(1)), "dev", &here]);
        ip(&["link", "set", &here, "up"]);
        ip(&["-n", &name, "addr", "add", &format!("{}/30", island.address(2)), "dev", "out"]);
        ip(&["-n", &name, "link", "set", "out", "up"]);
        island
    }

    fn name(&self) -> String {
        format!("mfactor-{}", self.number)
    }

    fn cable(&self) -> String {
        format!("mfc{}", self.number)
    }

    /// Of a network that nobody routes (RFC 2544).
    fn address(&self, host: u16) -> String {
        format!("198.18.{}.{}", self.number / 64, self.number % 64 * 4 + host)
    }

    /// Lets the island reach a port of the loopback here, by the same number.
    fn serve(&self, port: u16) -> Result<()> {
        let listener = TcpListener::bind((self.address(1), port))?;
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                for (mut from, mut to) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        Ok(())
    }

    /// Runs a worker here.
    fn worker(&self, url: &str, study: &str) -> Child {
        let name = self.name();
        let url = url.replace("127.0.0.1", &self.address(1));
        let inner = command(&url, study, &name, Mode::Plain);
        let variables = inner
            .get_envs()
            .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value?.to_str()?)));
        let mut outer = as_root("ip");
        outer.args(["netns", "exec", &name, "env"]).args(variables);
        outer.arg(inner.get_program()).args(inner.get_args());
        outer.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn cut(&self, cut: Cut) {
        let name = self.name();
        match cut {
            Cut::Both => ip(&["-n", &name, "link", "set", "out", "down"]),
            Cut::There => ip(&["-n", &name, "route", "add", "blackhole", &self.address(1)]),
            Cut::Back => ip(&["route", "add", "blackhole", &self.address(2)]),
        }
    }

    fn mend(&self, cut: Cut) {
        let name = self.name();
        match cut {
            Cut::Both => ip(&["-n", &name, "link", "set", "out", "up"]),
            Cut::There => ip(&["-n", &name, "route", "del", "blackhole", &self.address(1)]),
            Cut::Back => ip(&["route", "del", "blackhole", &self.address(2)]),
        }
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        let _ = as_root("ip").args(["link", "del", &self.cable()]).status();
        let _ = as_root("ip").args(["netns", "del", &self.name()]).status();
    }
}

fn ip(arguments: &[&str]) {
    let output = as_root("ip").args(arguments).output().expect("ip runs");
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs PostgreSQL, root and iproute2: scripts/test-cluster"]
fn workers_that_the_network_cuts_off_write_nothing_into_what_they_lost() {
    let server = Postgres::new(&[]);
    let url = server.database("islands");
    let config = config("s", 100);
    register(&url, &config, terms(700));
    let islands: Vec<Island> = (0..3).map(Island::new).collect();
    islands.iter().for_each(|island| island.serve(server.port()).unwrap());
    let mut workers: Vec<Child> = islands.iter().map(|island| island.worker(&url, "s")).collect();
    workers.push(command(&url, "s", "mainland", Mode::Plain).spawn().unwrap());
    // Whoever comes to a database that is not there is not waited for.
    while server.sql("islands", "SELECT count(DISTINCT worker) FROM mfactor_leases") != "4" {
        sleep(Duration::from_millis(20));
    }
    let cuts = [Cut::Both, Cut::There, Cut::Back];
    for round in 0..12 {
        let (island, cut) = (&islands[round % 3], cuts[(round + round / 3) % 3]);
        if workers[3].try_wait().unwrap().is_some() {
            break;
        }
        island.cut(cut);
        sleep(Duration::from_millis(1500));
        island.mend(cut);
        sleep(Duration::from_millis(200));
    }
    for worker in &mut workers {
        assert!(worker.wait().unwrap().success());
    }
    assert_ne!(
        server.sql("islands", "SELECT count(*) FROM mfactor_deaths"),
        "0",
        "somebody was cut off for too long"
    );
    assert_eq!(pulled(&url, "s"), alone(&config));
    assert_eq!(server.sql("islands", "SELECT count(*) FROM mfactor_leases WHERE NOT done"), "0");
}

#[test]
#[ignore = "needs PostgreSQL and faketime: scripts/test"]
fn clocks_and_time_zones_of_workers_change_nothing() {
    let server = Postgres::new(&[]);
    let url = server.database("clocks");
    let config = config("s", 25);
    register(&url, &config, terms(5_000));
    let shifted = |name: &str, shift: &str, zone: &str| {
        let inner = command(&url, "s", name, Mode::Plain);
        let mut outer = Command::new("faketime");
        outer.args(["-f", shift]).arg(inner.get_program()).args(inner.get_args()).env("TZ", zone);
        outer.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        outer.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut workers =
        vec![shifted("early", "-1h", "America/New_York"), shifted("late", "+1h", "Asia/Kathmandu")];
    // All have a part in it, however long each takes to start.
    while server.sql("clocks", "SELECT count(DISTINCT worker) FROM mfactor_leases") != "2" {
        sleep(Duration::from_millis(20));
    }
    workers.push(command(&url, "s", "right", Mode::Plain).spawn().unwrap());
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    assert_eq!(
        server.sql("clocks", "SELECT count(*) FROM mfactor_deaths"),
        "0",
        "no lease is judged by a worker's clock"
    );
    let off = "SELECT count(*) FROM trials WHERE abs(extract(epoch FROM datetime_complete - (now() AT TIME ZONE 'UTC'))) > 600";
    assert_eq!(server.sql("clocks", off), "0");
    assert_eq!(pulled(&url, "s"), alone(&config));
}
