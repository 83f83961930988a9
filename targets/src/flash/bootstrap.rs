//! Before an agent can run on a board, its program has to be there and to be ours: a few lines of POSIX shell, which
//! compare SHA-256 sums with the board's own tool before anything is started.

use std::collections::BTreeSet;
use std::io::Write;

use mfactor::Result;
use release::{LockOwner, MANIFEST, Manifest, RELEASES, RUNNER, id};

use crate::bundle::Bundle;
use crate::flash::agent::{busy, owner};
use crate::flash::{FlashEvent, Sent};
use crate::host::Folder;
use crate::probe::Probe;
use crate::ssh::{Connection, spawn};

/// `$1` folder, `$2` SHA-256, `$3` size. Prints the path of a whole runner, or how much of one was left.
const FIND: &str = r#"
for file in "$1"/releases/*/edge-runner "$1/incoming/edge-runner-$2"; do
    [ -f "$file" ] && [ -x "$file" ] && [ "$(wc -c <"$file")" -eq "$3" ] || continue
    sum=$(sha256sum <"$file")
    if [ "${sum%% *}" = "$2" ]; then printf 'found\t%s\n' "$file"; exit 0; fi
done
part="$1/incoming/edge-runner-$2.part"
if [ -f "$part" ]; then printf 'begun\t%s\n' "$(wc -c <"$part")"; else printf 'begun\t0\n'; fi
"#;

/// `$1` folder, `$2` SHA-256, `$3` size, `$4` size of what is there, `$5` seconds that it may take, `$6` owner.
/// Receives the rest on stdin, compares, syncs, and only then gives it its name. The lock is that of the agent.
const RECEIVE: &str = r#"
set -eu
umask 022
mkdir -p "$1/incoming"
exec 9<>"$1/lock"
flock -n 9 || exit 75
printf '%s\n%s\n%s\n' "$6" "$$" "$(date +%s)" >"$1/lock"
part="$1/incoming/edge-runner-$2.part"
[ -f "$part" ] || : >"$part"
[ "$(wc -c <"$part")" -eq "$4" ] || exit 76
timeout "$5" cat >>"$part"
[ "$(wc -c <"$part")" -eq "$3" ] || exit 76
sum=$(sha256sum <"$part")
if [ "${sum%% *}" != "$2" ]; then rm -f "$part"; exit 77; fi
chmod 755 "$part"
sync "$part" 2>/dev/null || sync
mv "$part" "$1/incoming/edge-runner-$2"
sync "$1/incoming" 2>/dev/null || sync
printf 'found\t%s\n' "$1/incoming/edge-runner-$2"
"#;
const BUSY: i32 = 75;
const BROKE_OFF: i32 = 76;
const DAMAGED: i32 = 77;
/// What `timeout` ends with.
const TOO_SLOW: i32 = 124;

/// `$1` folder. Prints who has the lock, then the board's time.
const WHO: &str = r#"head -n 3 "$1/lock"; date +%s"#;
/// `$1` folder, `$2` id. Prints a manifest.
const READ_MANIFEST: &str = r#"cat "$1/releases/$2/manifest.json""#;

/// Slowest upload that is waited for, bytes a second: slower than any wireless network that ssh works over.
const SLOWEST: u64 = 10_000;
/// Seconds that are waited in any case.
const PATIENCE_SECONDS: u64 = 60;
const PIECE: usize = 64 << 10;

/// Makes sure that the release's runner is on the board, and returns its path there. A runner of another release
/// with the same bytes will do; an upload that broke off goes on.
///
/// # Errors
/// [`mfactor::Error::Board`] if it cannot be stored, arrives damaged twice, or another flash is at work.
pub(crate) fn bring_runner(
    connection: &Connection,
    folder: &Folder,
    bundle: &Bundle,
    sent: &mut Sent,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<String> {
    let runner = bundle.runner()?;
    let size = runner.bytes.to_string();
    let asked = [folder.as_str(), &runner.sha256, &size];
    let mut problem = "the runner was changed on its way".to_owned();
    for _ in 0..2 {
        let offset = match Found::parse(&connection.run(FIND, &asked)?) {
            Some(Found::At(path)) => return Ok(path),
            Some(Found::Begun(offset)) if offset <= runner.bytes => offset,
            Some(Found::Begun(_)) => 0,
            None => return Err(connection.error("does not say whether it has the runner")),
        };
        match receive(connection, folder, bundle, offset, sent, on_event)? {
            Ok(path) => {
                sent.names.push(RUNNER.to_owned());
                return Ok(path);
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
    /// A login may have greeted before.
    fn parse(answer: &str) -> Option<Self> {
        answer.lines().find_map(|line| match line.split_once('\t')? {
            ("found", path) => Some(Self::At(path.to_owned())),
            ("begun", bytes) => Some(Self::Begun(bytes.trim().parse().ok()?)),
            _ => None,
        })
    }
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
    let seconds = (PATIENCE_SECONDS + rest.len() as u64 / SLOWEST).to_string();
    let (size, offset) = (runner.bytes.to_string(), offset.to_string());
    let owner = owner();
    let arguments = [folder.as_str(), runner.sha256.as_str(), &size, &offset, &seconds, &owner];
    let mut child = spawn(&mut connection.command(RECEIVE, &arguments))?;
    if let Some(mut input) = child.stdin.take() {
        for piece in rest.chunks(PIECE) {
            if input.write_all(piece).is_err() {
                break; // It ended; how, it says itself.
            }
            sent.done += piece.len() as u64;
            on_event(FlashEvent::Sent {
                name: RUNNER.to_owned(),
                done: sent.done,
                of: sent.of.max(sent.done),
            });
        }
    }
    let outcome = connection.finish(child)?;
    match (outcome.code, Found::parse(&outcome.stdout)) {
        (Some(0), Some(Found::At(path))) => Ok(Ok(path)),
        (Some(BUSY), _) => Err(busy(connection, &who(connection, folder))),
        (Some(BROKE_OFF), _) => Ok(Err("the upload broke off".to_owned())),
        (Some(TOO_SLOW), _) => Ok(Err(format!("the upload took longer than {seconds} s"))),
        (Some(DAMAGED), _) => Ok(Err("it arrived damaged".to_owned())),
        _ if outcome.complaint.is_empty() => {
            Err(connection.error("did not store the runner and does not say why"))
        }
        _ => Err(connection.error(format!("did not store the runner: {}", outcome.complaint))),
    }
}

fn who(connection: &Connection, folder: &Folder) -> LockOwner {
    let answer = connection.run(WHO, &[folder.as_str()]).unwrap_or_default();
    let now = answer.lines().last().and_then(|line| line.trim().parse().ok()).unwrap_or(0);
    LockOwner::parse(&answer, now)
}

/// The runner of one of the board's own releases whose manifest is what its name says: of the current one, else of
/// the previous one, else of any.
///
/// # Errors
/// [`mfactor::Error::Board`] if there is none.
pub(crate) fn find_runner(connection: &Connection, folder: &Folder, probed: &Probe) -> Result<String> {
    let first = probed.current.iter().chain(&probed.previous);
    for release in first.chain(&probed.releases) {
        let Some(manifest) = read_manifest(connection, folder, release)? else { continue };
        let Some(runner) = manifest.runner() else { continue };
        let asked = [folder.as_str(), &runner.sha256, &runner.bytes.to_string()];
        if let Some(Found::At(path)) = Found::parse(&connection.run(FIND, &asked)?) {
            return Ok(path);
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
    for release in &probed.releases {
        if let Some(manifest) = read_manifest(connection, folder, release)? {
            held.extend(manifest.files.into_iter().map(|file| file.sha256));
            held.extend(manifest.records.into_iter().map(|records| records.sha256));
        }
    }
    Ok(held)
}

/// The manifest of a release; `None` if it is not what the release's name says.
fn read_manifest(connection: &Connection, folder: &Folder, release: &str) -> Result<Option<Manifest>> {
    let text = connection.run(READ_MANIFEST, &[folder.as_str(), release])?;
    let subject = format!("{}:{}/{RELEASES}/{release}/{MANIFEST}", connection.host(), folder.as_str());
    if id(text.as_bytes()) != release {
        return Ok(None);
    }
    Manifest::parse(text.as_bytes(), subject).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_words_agree() {
        use release::INCOMING;
        assert!(RECEIVE.contains(INCOMING) && FIND.contains(INCOMING) && FIND.contains(RUNNER));
        assert!(READ_MANIFEST.contains(RELEASES) && READ_MANIFEST.contains(MANIFEST));
        assert!(RECEIVE.contains(release::LOCK) && WHO.contains(release::LOCK));
        for code in [BUSY, BROKE_OFF, DAMAGED] {
            assert!(RECEIVE.contains(&format!("exit {code}")));
        }
        assert_eq!(Found::parse("Hello\nbegun\t12\n"), Some(Found::Begun(12)));
        assert_eq!(Found::parse("Hello\n"), None);
    }
}
