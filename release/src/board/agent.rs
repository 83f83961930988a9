//! The dialogue with the host: one process that holds the lock, reads requests from stdin, and answers on stdout.
//!
//! It ends with its input, so that a host that dies leaves no lock behind, and when nothing arrives for
//! [`LONGEST_SILENCE`]: a network that is gone closes nothing.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::manifest::LARGEST_MANIFEST;
use crate::{MeasureRequest, Reply, Request, dialogue};
use mfactor::lines::{self, Line};
use mfactor::{Error, Result, text};

use crate::board::layout::{Layout, tidy};
use crate::board::receive::Received;
use crate::board::staging::{Offer, Staging};
use crate::board::{
    Measurer, Measuring, Opened, beneath, board, collect, health, lock, status, switch, verify,
};

/// A host that says nothing for so long, or takes no answer, is gone.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// A request holds a manifest at most, in JSON, which escapes quotes and newlines.
const LONGEST_LINE: usize = 2 * LARGEST_MANIFEST + (64 << 10);
const LONGEST_COMPLAINT: usize = 200;
/// More threads than a board has.
const MOST_THREADS: usize = 1024;

/// Serves one host from `input` to `output` until the input ends.
///
/// # Errors
/// If the pipes fail, or an upload breaks off; what a request asked and could not be done is answered.
pub fn serve(
    root: &Path,
    owner: &str,
    measurer: &dyn Measurer,
    input: impl Read,
    output: &mut dyn Write,
) -> Result<()> {
    let layout = Layout::open(root)?;
    let _lock = match lock::take(&layout, owner)? {
        Ok(lock) => lock,
        Err(owner) => return send(output, &Reply::Busy(owner)),
    };
    tidy(&layout);
    // What cannot be put right now is no reason to say nothing of what is whole.
    let recovered = switch::recover(&layout).unwrap_or_else(|error| {
        Some(format!("an earlier flash ended in a switch, and it could not be put right: {error}"))
    });
    let mut agent = Agent { layout, measurer, staging: None };
    send(output, &Reply::Ready { version: dialogue::VERSION, recovered })?;
    let mut input = BufReader::with_capacity(256 << 10, input);
    loop {
        let request = match next(&mut input) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error @ Error::Io { .. }) => return Err(error),
            // Where it ends is not known, so nothing after it can be read.
            Err(error) => return send(output, &Reply::Failed { failure: error.into() }),
        };
        let is_upload = matches!(request, Request::File { .. } | Request::Records { .. });
        match agent.answer(request, &mut input, output) {
            Ok(reply) => send(output, &reply)?,
            Err(error) => {
                let failure = error.into();
                send(output, &Reply::Failed { failure })?;
                if is_upload {
                    // What is left of the upload would be read as requests.
                    return Ok(());
                }
            }
        }
    }
}

/// The next request; `None` at the end of the input.
fn next(input: &mut BufReader<impl Read>) -> Result<Option<Request>> {
    let pipe = Path::new("standard input");
    let line = match lines::next(input, LONGEST_LINE).map_err(Error::io("read", pipe))? {
        Line::End => return Ok(None),
        Line::TooLong(_) => {
            return Err(Error::input("request", format!("is longer than {LONGEST_LINE} bytes")));
        }
        Line::Whole(line) | Line::Torn(line) => line,
    };
    let malformed = |error: serde_json::Error| text::quoted(&error.to_string(), LONGEST_COMPLAINT);
    serde_json::from_slice(&line).map(Some).map_err(|error| Error::input("request", malformed(error)))
}

fn send(output: &mut dyn Write, reply: &Reply) -> Result<()> {
    let pipe = Path::new("standard output");
    output.write_all(&lines::json(reply)?).and_then(|()| output.flush()).map_err(Error::io("write", pipe))
}

struct Agent<'a> {
    layout: Layout,
    measurer: &'a dyn Measurer,
    staging: Option<Staging>,
}

impl Agent<'_> {
    fn answer(&mut self, request: Request, input: &mut impl Read, output: &mut dyn Write) -> Result<Reply> {
        let layout = &self.layout;
        Ok(match request {
            Request::Stage { manifest, signature, public_key, allow_downgrade, repin } => {
                let (manifest, signature, public_key) = (&manifest, &signature, &public_key);
                let offer = Offer { manifest, signature, public_key, allow_downgrade, repin };
                self.staging = None;
                let staging = Staging::begin(layout, offer)?;
                let (files, records) = (staging.files.clone(), staging.records.clone());
                let is_held = staging.is_held;
                self.staging = Some(staging);
                Reply::Wanted { files, records, is_held }
            }
            Request::File { name, offset } => {
                received(self.staged()?.receive_file(layout, &name, offset, input)?)
            }
            Request::Records { sha256, offset } => {
                received(self.staged()?.receive_records(layout, &sha256, offset, input)?)
            }
            Request::Seal => {
                self.staged()?.seal(layout)?;
                Reply::Sealed { id: self.staged()?.id().to_owned() }
            }
            Request::Check { id } => {
                let release = verify::release(layout, &id)?;
                Reply::Health { models: health::check_release(layout, &release)? }
            }
            Request::Activate { id } => switched(switch::activate(layout, &id)?),
            Request::Rollback => switched(switch::rollback(layout)?),
            Request::Measure(request) => {
                self.measure(request, output)?;
                Reply::Done
            }
            Request::Status => Reply::Status(status::status(layout)?),
            Request::Collect { keep } => Reply::Collected(collect::collect(layout, keep)?),
        })
    }

    fn staged(&self) -> Result<&Staging> {
        self.staging.as_ref().ok_or_else(|| board("the host", "sent a file before it sent a manifest"))
    }

    /// Has the models of the current release measured, with the release's runner.
    fn measure(&self, request: MeasureRequest, output: &mut dyn Write) -> Result<()> {
        let layout = &self.layout;
        if !(1..=MOST_THREADS).contains(&request.threads) {
            return Err(Error::Usage(format!(
                "threads: {}; it must be 1 to {MOST_THREADS}",
                request.threads
            )));
        }
        let Some(id) = layout.current() else {
            return Err(board(layout.root().display(), "holds no release to measure"));
        };
        let release = verify::release(layout, &id)?;
        let mut records = vec![];
        for listed in &release.manifest.records {
            let path = layout.records().join(&listed.sha256);
            records.push((path, verify::records(layout, &listed.sha256)?));
        }
        let folder = layout.release(&id);
        let models = release.manifest.models.iter().zip(&release.models);
        let library = release.manifest.library().zip(release.library.as_ref());
        let work = Measuring {
            program: beneath::descriptor(&release.runner),
            models: models.map(|(model, file)| opened(&folder.join(&model.file), file)).collect(),
            data: records.iter().map(|(path, file)| opened(path, file)).collect(),
            library: library.map(|(listed, file)| opened(&folder.join(&listed.name), file)),
            request,
        };
        self.measurer.measure(&work, &mut |reply| send(output, reply))
    }
}

fn opened(path: &Path, file: &File) -> Opened {
    Opened { path: path.to_owned(), contents: beneath::descriptor(file) }
}

fn received(received: Received) -> Reply {
    match received {
        Received::Stored => Reply::Stored,
        Received::Damaged(problem) => Reply::Damaged { problem },
    }
}

fn switched((current, previous): switch::Switched) -> Reply {
    Reply::Activated { current, previous }
}
