//! `mfactor board`: what a board is and holds; going back; making room.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use mfactor::columns::facts;
use mfactor::cost_table::CostTable;
use mfactor::files;
use mfactor::numbers::bytes;
use release::{BoardStatus, Collected};
use serde::Serialize;
use targets::{Board as Place, Host, Probe, SshOptions, flash};

use super::flash::{Reach, short};
use crate::output::{Output, table};

/// Ask a board what it is and holds, go back to the release before, make room
#[derive(Args)]
pub struct Board {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// What the board is, what it holds, what slows it down or is worn, and which cost tables were measured on such a board
    #[command(after_help = "Example:\n  mfactor board info --host pi@raspberrypi.local")]
    Info {
        #[command(flatten)]
        asked: Asked,
        /// Folder of cost tables
        #[arg(long, value_name = "DIR", default_value = "tables")]
        tables: PathBuf,
    },
    /// Which releases it holds, each file of them read and compared there
    #[command(after_help = "Example:\n  mfactor board status --host pi@raspberrypi.local")]
    Status(Asked),
    /// Make the release before the current one active again, if it is whole and healthy
    #[command(after_help = "Example:\n  mfactor board rollback --host pi@raspberrypi.local")]
    Rollback(Asked),
    /// Remove old releases, broken-off uploads, and records that no release needs
    #[command(after_help = "Example:\n  mfactor board gc --host pi@raspberrypi.local --keep 3")]
    Gc {
        #[command(flatten)]
        asked: Asked,
        /// Releases that stay; the current one and the one before it count and stay in any case
        #[arg(long, value_name = "N", default_value_t = 2)]
        keep: usize,
    },
}

#[derive(Args)]
struct Asked {
    /// The board as ssh knows it: USER@HOST, an alias, or ssh://USER@HOST:PORT
    #[arg(long, value_name = "USER@HOST")]
    host: Host,
    #[command(flatten)]
    reach: Reach,
}

impl Asked {
    fn place(&self) -> anyhow::Result<(Place, SshOptions)> {
        // Nothing is filed under this name.
        let name = self.host.board_name().or_else(|_| "board".parse()).map_err(mfactor::Error::Defect)?;
        Ok((self.reach.board(&self.host, name), self.reach.ssh(1)?))
    }
}

/// What `info --json` prints.
#[derive(Serialize)]
struct Info {
    #[serde(flatten)]
    probe: Probe,
    /// Files of cost tables that were measured on a board of this name and processor.
    tables: Vec<PathBuf>,
}

/// What `rollback --json` prints.
#[derive(Serialize)]
struct RolledBack {
    current: String,
    previous: Option<String>,
}

impl Board {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        match self.action {
            Action::Info { asked, tables } => {
                let (board, ssh) = asked.place()?;
                let probe = flash::info(&board, &ssh)?;
                let tables = fitting(&tables, &probe)?;
                let info = Info { probe, tables };
                output.result(&info, || info_text(&info))
            }
            Action::Status(asked) => {
                let (board, ssh) = asked.place()?;
                let status = flash::status(&board, &ssh)?;
                output.result(&status, || status_text(&status))
            }
            Action::Rollback(asked) => {
                let (board, ssh) = asked.place()?;
                let (current, previous) = flash::rollback(&board, &ssh)?;
                let back = RolledBack { current, previous };
                output.result(&back, || format!("{} is active again\n", short(&back.current)))
            }
            Action::Gc { asked, keep } => {
                let (board, ssh) = asked.place()?;
                let collected = flash::collect(&board, &ssh, keep)?;
                output.result(&collected, || collected_text(&collected))
            }
        }
    }
}

/// The cost tables in a folder that were measured on such a board; none where there is no folder. Files that are no tables are
/// passed over.
fn fitting(folder: &Path, probe: &Probe) -> mfactor::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let mut tables = files::entries(folder)?;
    tables.retain(|path| {
        let is_of = |table: CostTable| {
            table.board.architecture == probe.architecture && Some(&table.board.name) == probe.model.as_ref()
        };
        path.extension().is_some_and(|extension| extension == "toml")
            && CostTable::read(path).is_ok_and(is_of)
    });
    Ok(tables)
}

fn slowed_down(probe: &Probe) -> String {
    match &probe.throttled {
        None => "unknown".to_owned(),
        Some(reasons) if reasons.is_empty() => "not since it started".to_owned(),
        Some(reasons) => reasons.join(", "),
    }
}

fn named(tables: &[PathBuf]) -> String {
    match tables {
        [] => "none of such a board; `mfactor table build --target` makes one".to_owned(),
        tables => tables.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
    }
}

fn info_text(Info { probe, tables }: &Info) -> String {
    let unknown = || "unknown".to_owned();
    let size = |size: Option<u64>| size.map_or_else(unknown, bytes);
    let rows = [
        ("board", probe.model.clone().unwrap_or_else(unknown)),
        ("machine", format!("{}, programs for {}", probe.machine, probe.architecture)),
        ("cores", probe.cores.map_or_else(unknown, |cores| cores.to_string())),
        ("glibc", probe.glibc.map_or_else(unknown, |glibc| glibc.to_string())),
        ("memory", format!("{}, {} to be had", size(probe.memory_bytes), size(probe.available_bytes))),
        ("space", format!("{} free", size(probe.free_bytes))),
        ("temperature", probe.temperature_celsius.map_or_else(unknown, |celsius| format!("{celsius:.0} °C"))),
        ("governor", probe.governor.clone().unwrap_or_else(unknown)),
        ("slowed down", slowed_down(probe)),
        (
            "flash memory",
            probe
                .worn
                .map_or_else(String::new, |worn| format!("up to {:.0} % of its life is over", 100.0 * worn)),
        ),
        ("lacks", probe.missing_tools.join(", ")),
        (
            "noexec",
            probe
                .noexec
                .clone()
                .map_or_else(String::new, |place| format!("{place}: choose another --folder")),
        ),
        ("releases", probe.releases.len().to_string()),
        ("current", probe.current.as_deref().map_or_else(|| "none".to_owned(), short)),
        ("cost tables", named(tables)),
    ];
    facts(rows.into_iter().filter(|(_, value)| !value.is_empty()))
}

fn status_text(status: &BoardStatus) -> String {
    let is = |id: &str, other: &Option<String>| other.as_deref() == Some(id);
    let rows = status.releases.iter().map(|release| {
        let role = match &release.id {
            id if is(id, &status.current) => "current",
            id if is(id, &status.previous) => "previous",
            _ => "",
        };
        [
            short(&release.id),
            role.to_owned(),
            release.study.clone().unwrap_or_default(),
            if release.sequence == 0 { String::new() } else { release.sequence.to_string() },
            release.models.len().to_string(),
            bytes(release.bytes),
            release.damage.clone().unwrap_or_else(|| "whole".to_owned()),
        ]
    });
    let mut text = match status.releases.is_empty() {
        true => "The board holds no release.\n".to_owned(),
        false => table(&["release", "", "study", ">sequence", ">models", ">size", "state"], rows),
    };
    let uploads = match status.unfinished {
        0 => String::new(),
        1 => ", one upload that is not whole".to_owned(),
        count => format!(", {count} uploads that are not whole"),
    };
    text.push_str(&format!("\n{} free{uploads}\n", bytes(status.free_bytes)));
    for problem in &status.problems {
        text.push_str(&format!("{problem}\n"));
    }
    if let Some(key) = &status.trusted_key {
        text.push_str(&format!("trusts {key}\n"));
    }
    if let Some(target) = &status.target {
        let above = status.sequence;
        text.push_str(&format!("takes releases for {target}, from sequence {above} on\n"));
    }
    text
}

fn collected_text(collected: &Collected) -> String {
    let (removed, kept) = (collected.removed.len(), collected.kept.len());
    let freed = bytes(collected.freed_bytes);
    let releases = |count| if count == 1 { "release" } else { "releases" };
    let problems: String = collected.problems.iter().map(|problem| format!("{problem}\n")).collect();
    format!("{removed} {} removed, {kept} kept, {freed} freed\n{problems}", releases(removed))
}
