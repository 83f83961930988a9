//! The ways to build a runner for a target, and which of them work on a machine with given facts.

use std::path::Path;

use serde::Serialize;

use crate::glibc::Glibc;
use crate::machine::{Machine, debian_name};
use crate::target::Target;

/// One runner serves all boards from this C library on: that of Debian 10. An older board gets its own.
const SHARED_GLIBC: Glibc = Glibc { major: 2, minor: 28 };

/// A way to build, in the order in which they are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WayName {
    /// Plain cargo, for the machine itself.
    Host,
    /// rustup's standard library, linked by cargo-zigbuild.
    StdZigbuild,
    /// rustup's standard library, linked by a cross gcc.
    StdGcc,
    /// The container of `cross`.
    Cross,
    /// The distribution's compiler and library sources, linked by cargo-zigbuild.
    DistributionZigbuild,
    /// The distribution's compiler and library sources, linked by a cross gcc.
    DistributionGcc,
}

impl WayName {
    /// The ways for a machine other than this one.
    pub const CROSS: [Self; 5] =
        [Self::StdZigbuild, Self::StdGcc, Self::Cross, Self::DistributionZigbuild, Self::DistributionGcc];

    /// What it does, as a phrase.
    pub fn description(self) -> &'static str {
        match self {
            Self::Host => "cargo for this machine",
            Self::StdZigbuild => "the installed std of the triple and cargo-zigbuild",
            Self::StdGcc => "the installed std of the triple and a cross gcc",
            Self::Cross => "cross in a container",
            Self::DistributionZigbuild => {
                "the distribution's Rust with its library sources and cargo-zigbuild"
            }
            Self::DistributionGcc => "the distribution's Rust with its library sources and a cross gcc",
        }
    }
}

/// A way, and what keeps it from working here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// Which way.
    pub name: WayName,
    /// What is missing; the way is possible if there is nothing.
    pub obstacles: Vec<Obstacle>,
}

/// Something that a way needs and this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// What is missing.
    pub problem: String,
    /// The command that mends it.
    pub install: String,
}

impl Way {
    /// Whether it works here.
    pub fn is_possible(&self) -> bool {
        self.obstacles.is_empty()
    }
}

/// The ways to build the runner for `target` on this machine, the preferred one first. `workspace` is this
/// project's folder.
pub fn ways(target: &Target, workspace: &Path) -> Vec<Way> {
    judge(target, &Machine::probe(target, workspace))
}

/// The ways on a machine of these facts.
pub fn judge(target: &Target, machine: &Machine) -> Vec<Way> {
    let names: &[WayName] = if target.is_host() { &[WayName::Host] } else { &WayName::CROSS };
    names.iter().map(|name| Way { name: *name, obstacles: obstacles(*name, target, machine) }).collect()
}

/// The C library that cargo-zigbuild links against for this board.
pub fn linked_glibc(target: &Target) -> Option<Glibc> {
    target.glibc.map(|glibc| glibc.min(SHARED_GLIBC))
}

fn obstacles(way: WayName, target: &Target, machine: &Machine) -> Vec<Obstacle> {
    let needs: &[fn(&Target, &Machine) -> Option<Obstacle>] = match way {
        WayName::Host => &[cargo],
        WayName::StdZigbuild => &[cargo, std, zigbuild],
        WayName::StdGcc => &[cargo, std, gcc],
        WayName::Cross => &[cargo, cross, containers],
        WayName::DistributionZigbuild => &[cargo, distribution, zigbuild],
        WayName::DistributionGcc => &[cargo, distribution, gcc],
    };
    needs.iter().filter_map(|need| need(target, machine)).collect()
}

fn unless(is_there: bool, problem: impl Into<String>, install: impl Into<String>) -> Option<Obstacle> {
    (!is_there).then(|| Obstacle { problem: problem.into(), install: install.into() })
}

fn cargo(_: &Target, machine: &Machine) -> Option<Obstacle> {
    let install = "curl --proto '=https' -sSf https://sh.rustup.rs | sh";
    unless(machine.has_cargo, "cargo is not on PATH", install)
}

fn std(target: &Target, machine: &Machine) -> Option<Obstacle> {
    let triple = &target.triple;
    unless(
        machine.has_std,
        format!("the std of {triple} is not installed"),
        format!("rustup target add {triple}"),
    )
}

fn zigbuild(_: &Target, machine: &Machine) -> Option<Obstacle> {
    let problem = "cargo-zigbuild with Zig is neither in .venv nor on PATH";
    unless(machine.zigbuild.is_some(), problem, "scripts/setup-cross")
}

fn gcc(target: &Target, machine: &Machine) -> Option<Obstacle> {
    let Some(name) = debian_name(&target.triple) else {
        let problem = format!("no gcc for {} is known here", target.triple);
        return unless(false, problem, "scripts/setup-cross");
    };
    let Some(compiler) = &machine.compiler else {
        let problem = format!("there is no C compiler for {}", target.triple);
        return unless(false, problem, format!("sudo apt-get install gcc-{name}"));
    };
    match (compiler.glibc, target.glibc) {
        (Some(linked), Some(there)) if linked > there => {
            let command = &compiler.command;
            let problem = format!("{command} links against glibc {linked}, and {} has {there}", target.name);
            unless(false, problem, "scripts/setup-cross")
        }
        _ => None,
    }
}

fn cross(_: &Target, machine: &Machine) -> Option<Obstacle> {
    unless(machine.has_cross, "cross is not on PATH", "cargo install cross --locked")
}

fn containers(_: &Target, machine: &Machine) -> Option<Obstacle> {
    unless(machine.has_containers, "neither Docker nor podman answers", "sudo apt-get install podman")
}

fn distribution(_: &Target, machine: &Machine) -> Option<Obstacle> {
    let problem = format!(
        "the distribution has no Rust {} or newer with library sources",
        env!("CARGO_PKG_RUST_VERSION")
    );
    unless(machine.distribution.is_some(), problem, "scripts/setup-cross")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boards;
    use crate::machine::CrossCompiler;

    fn first(target: &str, machine: &Machine) -> Option<WayName> {
        let ways = judge(&boards::load(target).unwrap(), machine);
        ways.iter().find(|way| way.is_possible()).map(|way| way.name)
    }

    fn gcc(minor: u32) -> Option<CrossCompiler> {
        let glibc = Some(Glibc { major: 2, minor });
        Some(CrossCompiler { command: "aarch64-linux-gnu-gcc".to_owned(), glibc })
    }

    #[test]
    fn the_first_way_that_works_is_taken() {
        let bare = Machine { has_cargo: true, ..Machine::default() };
        let zig = Machine { zigbuild: Some("cargo-zigbuild".into()), ..bare.clone() };
        let distribution = Machine { distribution: Some("rustc".into()), ..zig.clone() };
        let containers = Machine { has_cross: true, has_containers: true, ..distribution.clone() };
        let std = Machine { has_std: true, ..containers.clone() };
        assert_eq!(first("rpi4", &bare), None);
        assert_eq!(first("rpi4", &zig), None);
        assert_eq!(first("rpi4", &distribution), Some(WayName::DistributionZigbuild));
        assert_eq!(first("rpi4", &containers), Some(WayName::Cross));
        assert_eq!(first("rpi4", &std), Some(WayName::StdZigbuild));
        assert_eq!(first("host", &bare), Some(WayName::Host));
        assert_eq!(first("host", &Machine::default()), None);
    }

    #[test]
    fn a_gcc_whose_c_library_is_too_new_for_the_board_is_passed_over() {
        let machine =
            |minor| Machine { has_cargo: true, has_std: true, compiler: gcc(minor), ..Machine::default() };
        assert_eq!(first("rpi4", &machine(28)), Some(WayName::StdGcc));
        assert_eq!(first("rpi5", &machine(36)), Some(WayName::StdGcc));
        assert_eq!(first("rpi4", &machine(36)), None);
        let ways = judge(&boards::load("rpi4").unwrap(), &machine(36));
        let obstacle = &ways[1].obstacles[0];
        assert!(obstacle.problem.contains("2.36") && obstacle.problem.contains("2.28"), "{obstacle:?}");
    }

    #[test]
    fn what_keeps_a_way_from_working_comes_with_a_command() {
        for target in boards::list() {
            let ways = judge(&target, &Machine::default());
            let all: Vec<&Obstacle> = ways.iter().flat_map(|way| &way.obstacles).collect();
            assert!(ways.iter().all(|way| !way.is_possible()), "{}", target.name);
            assert!(all.iter().all(|obstacle| !obstacle.problem.is_empty() && !obstacle.install.is_empty()));
        }
    }

    #[test]
    fn boards_share_a_runner_unless_one_is_older() {
        let linked = |name| linked_glibc(&boards::load(name).unwrap()).map(|glibc| glibc.to_string());
        assert_eq!(linked("rpi5").as_deref(), Some("2.28"));
        assert_eq!(linked("jetson-nano").as_deref(), Some("2.27"));
        assert_eq!(linked("host"), None);
    }
}
