//! Before an agent can run on a board, its program has to be there and to be ours: a few lines of POSIX shell, which
//! compare SHA-256 sums with the board's own tool before anything is started.

use std::collections::BTreeSet;
use std::time::Instant;

use mfactor::{Result, text};
use release::{INCOMING, LockOwner, Manifest, RELEASES, RUNNER, id, is_id};

use crate::bundle::Bundle;
use crate::flash::agent::{SLOWEST_NETWORK, busy, owner, way, work};
use crate::flash::{FlashEvent, Sent};
use crate::host::Folder;
use crate::probe::Probe;
use crate::ssh::session::{Broken, Session, Wire};
use crate::ssh::{Connection, Limits};

const FIND: &str = concat!(include_str!("tools.sh"), include_str!("find.sh"));
const RECEIVE: &str = concat!(include_str!("tools.sh"), include_str!("receive.sh"));
/// How [`RECEIVE`] ends.
const TOO_SLOW: i32 = 74;
const BUSY: i32 = 75;
const BROKE_OFF: i32 = 76;
const DAMAGED: i32 = 77;
const NO_LOCKS: i32 = 78;

/// `$1` folder. Prints who has the lock, then the board's time.
const WHO: &str = r#"head -n 3 "$1/lock" | head -c 1000; date +%s"#;
/// `$1` folder, `$2` id. Prints a manifest.
const READ_MANIFEST: &str = r#"cat "$1/releases/$2/manifest.json""#;

const PIECE: usize = 64 << 10;
/// Releases whose manifests are read at most; a board that holds more is looked at in part.
const MOST_RELEASES: usize = 64;

/// A runner on the board, whose sum was right a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Runner {
    /// Where it lies there.
    pub(crate) path: String,
    /// Its SHA-256.
    pub(crate) sha256: String,
}

/// Makes sure that the release's runner is on the board. A runner of another release with the same bytes will do; an
/// upload that broke off goes on.
///
/// # Errors
/// [`mfactor::Error::Board`] if it cannot be stored, arrives damaged twice, or another flash is at work.
pub(crate) fn bring_runner(
    connection: &Connection,
    folder: &Folder,
    bundle: &Bundle,
    sent: &mut Sent,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<Runner> {
    let entry = bundle.runner()?;
    let runner = |path| Runner { path, sha256: entry.sha256.clone() };
    let mut problem = "the runner was changed on its way".to_owned();
    for _ in 0..2 {
        let offset = match find(connection, folder, &entry.sha256, entry.bytes)? {
            Found::At(path) => return Ok(runner(path)),
            Found::Begun(offset) if offset <= entry.bytes => offset,
            // Longer than the file: whatever it is, it is not the beginning of it.
            Found::Begun(_) => 0,
        };
        match receive(connection, folder, bundle, offset, sent, on_event)? {
            Ok(path) => {
                sent.names.push(RUNNER.to_owned());
                return Ok(runner(path));
            }
            Err(told) => problem = told,
        }
    }
    Err(connection.error(format!("cannot store the runner: {problem}")))
}

/// What the board has of a runner.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    At(String),
    Begun(u64),
}

impl Found {
    /// Reads an answer; a path is taken only where a runner of ours may lie.
    fn parse(answer: &str, folder: &Folder) -> Option<Self> {
        answer.lines().find_map(|line| match line.split_once('\t')? {
            ("found", path) if is_place_of_a_runner(path, folder) => Some(Self::At(path.to_owned())),
            ("begun", bytes) => Some(Self::Begun(bytes.trim().parse().ok()?)),
            _ => None,
        })
    }
}

fn is_place_of_a_runner(path: &str, folder: &Folder) -> bool {
    let Some(below) = path.strip_prefix(folder.as_str()).and_then(|rest| rest.strip_prefix('/')) else {
        return false;
    };
    match below.split('/').collect::<Vec<_>>()[..] {
        [RELEASES, id, RUNNER] => is_id(id),
        [INCOMING, name] => {
            name.strip_prefix(RUNNER).and_then(|rest| rest.strip_prefix('-')).is_some_and(is_id)
        }
        _ => false,
    }
}

fn find(connection: &Connection, folder: &Folder, sha256: &str, bytes: u64) -> Result<Found> {
    // Every release may hold a runner of this size, each of which is read.
    let limits = Limits { longest: work(bytes.saturating_mul(16)), ..Limits::SMALL };
    let answer = connection.run(FIND, &[folder.as_str(), sha256, &bytes.to_string()], limits)?;
    Found::parse(&answer, folder).ok_or_else(|| connection.error("does not say whether it has the runner"))
}

/// Sends the rest of the runner. What may succeed at a second try is the inner error.
fn receive(
    connection: &Connection,
    folder: &Folder,
    bundle: &Bundle,
    offset: u64,
    sent: &mut Sent,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<Result<String, String>> {
    let runner = bundle.runner()?;
    let bytes = bundle.bytes(RUNNER).unwrap_or_default();
    let rest = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
    let longest = way(rest.len() as u64);
    let seconds = longest.as_secs().to_string();
    let (size, offset) = (runner.bytes.to_string(), offset.to_string());
    let owner = owner();
    let arguments = [folder.as_str(), runner.sha256.as_str(), &size, &offset, &seconds, &owner];
    let limits = Limits { longest: work(runner.bytes), ..Limits::SMALL };
    let mut feed = |session: &mut Session| -> Result<(), Broken> {
        let end = Instant::now() + longest;
        for piece in rest.chunks(PIECE) {
            match session.say(piece, end.saturating_duration_since(Instant::now())) {
                Err(Broken::Ended) => break, // How it ended, it says itself.
                said => said?,
            }
            sent.done += piece.len() as u64;
            on_event(FlashEvent::Sent {
                name: RUNNER.to_owned(),
                done: sent.done,
                of: sent.of.max(sent.done),
            });
        }
        Ok(())
    };
    let outcome = connection.converse(RECEIVE, &arguments, limits, &mut feed)?;
    match (outcome.code, Found::parse(&outcome.stdout, folder)) {
        (0, Some(Found::At(path))) => Ok(Ok(path)),
        (0, _) => Err(connection.error("does not say where it put the runner")),
        (BUSY, _) => Err(busy(connection.host(), &who(connection, folder))),
        (BROKE_OFF, _) => Ok(Err("the upload broke off".to_owned())),
        (TOO_SLOW, _) => {
            Ok(Err(format!("the upload took longer than {seconds} s, {SLOWEST_NETWORK} bytes a second")))
        }
        (DAMAGED, _) => Ok(Err("it arrived damaged".to_owned())),
        (NO_LOCKS, _) => Err(connection.error(no_locks(&outcome.complaint))),
        (code, _) if outcome.complaint.is_empty() => Err(connection
            .error(format!("did not store the runner and does not say why (a command ended with {code})"))),
        _ => Err(connection.error(format!("did not store the runner: {}", outcome.complaint))),
    }
}

/// What flock says of a lock that cannot be had, and nobody has.
fn no_locks(complaint: &str) -> String {
    format!(
        "cannot lock its folder: {complaint}; where the file system has no locks (some network shares), choose a \
         folder on a disk of the board's own with --folder"
    )
}

fn who(connection: &Connection, folder: &Folder) -> LockOwner {
    let answer = connection.run(WHO, &[folder.as_str()], Limits::SMALL).unwrap_or_default();
    let now = answer.lines().last().and_then(|line| line.trim().parse().ok()).unwrap_or(0);
    LockOwner::parse(&answer, now)
}

/// A runner of one of the board's own releases whose manifest is what its name says: the newest version of it, since
/// that one reads what all others wrote. Of the same version the current release's comes first.
///
/// # Errors
/// [`mfactor::Error::Board`] if there is none.
pub(crate) fn find_runner(connection: &Connection, folder: &Folder, probed: &Probe) -> Result<Runner> {
    probed.check_tools().map_err(|problem| connection.error(problem))?;
    let mut manifests = manifests(connection, folder, probed)?;
    manifests.sort_by_key(|manifest| std::cmp::Reverse(manifest.schema));
    for manifest in manifests {
        let Some(runner) = manifest.runner() else { continue };
        if let Found::At(path) = find(connection, folder, &runner.sha256, runner.bytes)? {
            return Ok(Runner { path, sha256: runner.sha256.clone() });
        }
    }
    Err(connection.error(match probed.releases.is_empty() {
        true => "holds nothing of mfactor yet; `mfactor flash` brings it there",
        false => "holds no release whose runner is whole; `mfactor flash` mends it",
    }))
}

/// SHA-256 of everything that the manifests on the board list.
pub(crate) fn listed(connection: &Connection, folder: &Folder, probed: &Probe) -> Result<BTreeSet<String>> {
    let mut held = BTreeSet::new();
    for manifest in manifests(connection, folder, probed)? {
        held.extend(manifest.files.into_iter().map(|file| file.sha256));
        held.extend(manifest.records.into_iter().map(|records| records.sha256));
    }
    Ok(held)
}

/// The manifests on the board that are what their releases' names say, that of the current release first, then that of
/// the previous one.
fn manifests(connection: &Connection, folder: &Folder, probed: &Probe) -> Result<Vec<Manifest>> {
    let first: Vec<&String> = probed.current.iter().chain(&probed.previous).collect();
    let rest = probed.releases.iter().filter(|release| !first.contains(release));
    let releases: Vec<&String> = first.iter().copied().chain(rest).take(MOST_RELEASES).collect();
    let mut manifests = vec![];
    for release in releases {
        manifests.extend(read_manifest(connection, folder, release)?);
    }
    Ok(manifests)
}

/// The manifest of a release; `None` if it is lost, or is not what the release's name says.
fn read_manifest(connection: &Connection, folder: &Folder, release: &str) -> Result<Option<Manifest>> {
    let limits = Limits { most: release::manifest::LARGEST_MANIFEST, ..Limits::SMALL };
    let outcome = connection.converse(READ_MANIFEST, &[folder.as_str(), release], limits, &mut |_| Ok(()))?;
    let text = outcome.stdout;
    if outcome.code != 0 || id(text.as_bytes()) != release {
        return Ok(None);
    }
    Ok(Manifest::parse(text.as_bytes(), text::visible(release)).ok())
}

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;
