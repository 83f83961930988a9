//! A part of a measurement in a process of its own: nothing of an earlier model is in its memory, its caches or its
//! allocator, and an engine that crashes takes nothing with it.
//!
//! The child is this very program with the hidden command [`COMMAND`]. It reads one [`Request`] as JSON from its
//! standard input and answers [`Reply`] lines, the last of which is the answer or the failure.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use mfactor::error::Failure;
use mfactor::{Error, Result, exit};
use serde::{Deserialize, Serialize};

use crate::measure::{Answer, Progress, Request, measure};
use crate::system::SystemTree;

/// Name of the hidden command.
pub const COMMAND: &str = "measure-alone";

/// One line of a child's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is on its way.
    Progress(Progress),
    /// It is done.
    Done(Answer),
    /// It could not measure.
    Failed(Failure),
}

/// Measures in a fresh process of `program`, which is this program or another that answers to [`COMMAND`].
///
/// # Errors
/// What [`measure`] can say, and [`Error::Board`] if the child was ended by a signal.
pub fn measure_in_child(
    program: &Path,
    request: &Request,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Answer> {
    let mut child = Command::new(program)
        .arg(COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::io("start", program))?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::Defect("a child has no pipes".to_owned()));
    };
    let line = to_line(request)?;
    // A child that is already gone cannot read this; what it said, or how it ended, tells more.
    let _ = input.write_all(&line);
    drop(input);
    let mut last = None;
    for line in BufReader::new(output).lines() {
        let line = line.map_err(Error::io("read from", program))?;
        match serde_json::from_str(&line) {
            Ok(Reply::Progress(progress)) => on_progress(progress),
            Ok(Reply::Done(answer)) => last = Some(Ok(answer)),
            Ok(Reply::Failed(failure)) => last = Some(Err(failure.into())),
            Err(error) => {
                last = Some(Err(Error::Defect(format!(
                    "the measuring child said {}: {error}",
                    mfactor::text::name(&line)
                ))))
            }
        }
    }
    let status = child.wait().map_err(Error::io("wait for", program))?;
    last.unwrap_or_else(|| Err(ended(&request.model, status)))
}

fn ended(model: &Path, status: ExitStatus) -> Error {
    if status.code() == Some(i32::from(exit::INPUT)) {
        return Error::file(model, "an engine broke on it in the process that measured it; see above");
    }
    Error::Board {
        subject: model.display().to_string(),
        problem: format!(
            "the process that measured it ended early ({status}); it may have run out of memory"
        ),
    }
}

/// What the hidden command does: reads a request, measures, answers. The exit code is that of the error.
///
/// # Errors
/// If the pipes fail; failures of the measurement are answered.
pub fn serve(input: impl BufRead, output: &mut dyn Write) -> Result<()> {
    let pipe = Path::new("standard output");
    let mut send = |reply: &Reply| -> Result<()> {
        output.write_all(&to_line(reply)?).and_then(|()| output.flush()).map_err(Error::io("write", pipe))
    };
    let request: Request = serde_json::from_reader(input).map_err(|error| Error::input("request", error))?;
    // A parent that no longer listens is noticed at the last line.
    let mut on_progress = |progress| drop(send(&Reply::Progress(progress)));
    let reply = match measure(&request, &SystemTree::live(), &mut on_progress) {
        Ok(answer) => Reply::Done(answer),
        Err(error) => Reply::Failed(error.into()),
    };
    send(&reply)
}

fn to_line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)
        .map_err(|error| Error::Defect(format!("a message to or from a child has no JSON form: {error}")))?;
    line.push(b'\n');
    Ok(line)
}
