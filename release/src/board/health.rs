//! The health check: golden inputs through every model, with the release's own runner, in a process of its own.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::{Manifest, ModelHealth, RUNNER, manifest::golden_inputs};
use mfactor::{Error, Result};

use crate::board::board;
use crate::board::layout::Layout;

/// A runner that needs longer than this for one model hangs.
const LONGEST_CHECK: Duration = Duration::from_secs(180);

/// Checks a release: its golden inputs are the ones that this board makes, and its own runner gives the golden
/// answers with every model.
///
/// # Errors
/// [`Error::Board`] if a model is not healthy, or the runner does not start, fails, or hangs.
pub fn check_release(layout: &Layout, id: &str, manifest: &Manifest) -> Result<Vec<ModelHealth>> {
    if manifest.models.is_empty() {
        return Err(board(id, "has no models"));
    }
    for model in &manifest.models {
        if golden_inputs(&model.metadata) != model.golden_inputs {
            return Err(board(&model.file, "was exported with other golden inputs than this runner makes"));
        }
    }
    let folder = layout.release(id);
    let models: Vec<_> = manifest.models.iter().map(|model| folder.join(&model.file)).collect();
    let mut command = Command::new(folder.join(RUNNER));
    command.args(["check", "--json"]).args(&models);
    let text = said(command, LONGEST_CHECK * models.len() as u32)?;
    let health: Vec<ModelHealth> = serde_json::from_str(&text)
        .map_err(|error| board("the health check", format!("did not end well: {error}; it said {text:?}")))?;
    match health.iter().find(|health| !health.is_healthy) {
        None if health.len() == models.len() => Ok(health),
        None => Err(board("the health check", format!("has {} answers of {}", health.len(), models.len()))),
        Some(ill) => Err(board(
            &ill.model,
            match ill.golden_difference {
                Some(difference) => format!(
                    "its answers on the golden inputs differ by {difference:.2e}; at most {:.0e} is allowed",
                    ill.tolerance
                ),
                None => "its answers on the golden inputs are no numbers".to_owned(),
            },
        )),
    }
}

/// What a command prints on stdout, if it is done in time; else what it said on stderr is the error.
fn said(mut command: Command, longest: Duration) -> Result<String> {
    let program = command.get_program().to_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::io("start", program.as_ref()))?;
    let (sender, receiver) = mpsc::channel();
    let pipes: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ];
    for (number, pipe) in pipes.into_iter().enumerate() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut bytes = vec![];
            let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
            let _ = sender.send((number, String::from_utf8_lossy(&bytes).into_owned()));
        });
    }
    let mut texts = [String::new(), String::new()];
    for _ in 0..texts.len() {
        let Ok((number, text)) = receiver.recv_timeout(longest) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(board("the health check", format!("gave no answer in {} s", longest.as_secs())));
        };
        texts[number] = text;
    }
    let status = child.wait().map_err(Error::io("wait for", program.as_ref()))?;
    let [answer, complaint] = texts;
    if answer.trim().is_empty() {
        let complaint = complaint.lines().last().unwrap_or("it said nothing").to_owned();
        return Err(board("the health check", format!("ended with {status}: {complaint}")));
    }
    Ok(answer)
}
