//! The health check: golden inputs through every model, with the release's own runner, in a process of its own.

use std::process::Command;
use std::time::Duration;

use crate::{ModelHealth, manifest::golden_inputs};
use mfactor::process::{self, Trouble};
use mfactor::{Result, text};
use rustix::fs::StatVfsMountFlags;

use crate::board::layout::Layout;
use crate::board::verify::Verified;
use crate::board::{beneath, board};

/// A runner that needs longer than this for one model hangs.
const LONGEST_CHECK: Duration = Duration::from_secs(180);
/// More than it says of all models of a release.
const LONGEST_ANSWER: usize = 1 << 20;
const LONGEST_COMPLAINT: usize = 400;
const SUBJECT: &str = "the health check";

/// Checks a release that was verified just now: its golden inputs are the ones that this board makes, and its own runner
/// gives the golden answers with every model.
///
/// # Errors
/// [`mfactor::Error::Board`] if a model is not healthy, or the runner does not start, fails, or hangs.
pub fn check_release(layout: &Layout, release: &Verified) -> Result<Vec<ModelHealth>> {
    let models = &release.manifest.models;
    if models.is_empty() {
        return Err(board(text::quoted(&release.manifest.study, 80), "has no models"));
    }
    for model in models {
        if golden_inputs(&model.metadata) != model.golden_inputs {
            return Err(board(&model.file, "was exported with other golden inputs than this runner makes"));
        }
    }
    let answer = asked(layout, release)?;
    let mut health: Vec<ModelHealth> = serde_json::from_str(&answer).map_err(|error| {
        board(
            SUBJECT,
            format!("did not end well: {error}; it said {}", text::quoted(&answer, LONGEST_COMPLAINT)),
        )
    })?;
    if health.len() != models.len() {
        return Err(board(SUBJECT, format!("has {} answers of {}", health.len(), models.len())));
    }
    // The runner knows the models by their descriptors.
    for (health, model) in health.iter_mut().zip(models) {
        health.model = model.file.rsplit('/').next().unwrap_or_default().to_owned();
    }
    match health.iter().find(|health| !health.is_healthy) {
        None => Ok(health),
        Some(ill) => Err(board(&ill.model, illness(ill))),
    }
}

fn illness(ill: &ModelHealth) -> String {
    match ill.golden_difference {
        Some(difference) => format!(
            "its answers on the golden inputs differ by {difference:.2e}; at most {:.0e} is allowed",
            ill.tolerance
        ),
        None => "its answers on the golden inputs are no numbers".to_owned(),
    }
}

/// What the release's runner prints about its models.
fn asked(layout: &Layout, release: &Verified) -> Result<String> {
    let mut command = Command::new(beneath::descriptor(&release.runner));
    command.args(["check", "--json"]).args(release.models.iter().map(beneath::descriptor));
    let longest = LONGEST_CHECK * u32::try_from(release.models.len()).unwrap_or(u32::MAX);
    let ended = process::run(&mut command, longest, LONGEST_ANSWER)
        .map_err(|trouble| board(SUBJECT, not_run(layout, &trouble)))?;
    let answer = String::from_utf8_lossy(&ended.stdout).into_owned();
    if !answer.trim().is_empty() {
        return Ok(answer);
    }
    let mut complaint = String::from_utf8_lossy(&ended.stderr).into_owned();
    for (file, model) in release.models.iter().zip(&release.manifest.models) {
        complaint = complaint.replace(&beneath::descriptor(file).display().to_string(), &model.file);
    }
    let complaint = complaint.lines().last().unwrap_or("it said nothing");
    let complaint = text::quoted(complaint, LONGEST_COMPLAINT);
    Err(board(SUBJECT, format!("ended with {}: {complaint}", ended.status)))
}

/// Why there is no answer, and what to do where the folder lies on a file system that runs nothing.
fn not_run(layout: &Layout, trouble: &Trouble) -> String {
    let is_noexec = rustix::fs::statvfs(layout.root())
        .is_ok_and(|facts| facts.f_flag.contains(StatVfsMountFlags::NOEXEC));
    match trouble {
        Trouble::Refused(_) if is_noexec => format!(
            "cannot start the runner: {} lies on a file system that is mounted noexec; choose a folder on another one \
             with --folder",
            layout.root().display()
        ),
        trouble => format!("of the release's runner {trouble}"),
    }
}
