//! The dialogue with the host: one process that holds the lock, reads requests from stdin, and answers on stdout.
//!
//! It ends with its input, so that a host that dies leaves no lock behind, and when nothing arrives for
//! [`LONGEST_SILENCE`]: a network that is gone closes nothing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::{MeasureRequest, RUNNER, Reply, Request, dialogue};
use mfactor::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;

use crate::board::layout::Layout;
use crate::board::staging::{Received, Staging};
use crate::board::{Measurer, Measuring, board, collect, health, lock, status, switch, verify};

/// A host that says nothing for so long is gone.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// A request holds a manifest at most.
const LONGEST_LINE: u64 = 64 << 20;

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
    let recovered = switch::recover(&layout)?;
    let mut agent = Agent { layout, measurer, staging: None };
    send(output, &Reply::Ready { version: dialogue::VERSION, recovered })?;
    let mut input = BufReader::with_capacity(256 << 10, input);
    while let Some(request) = next(&mut input)? {
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
    Ok(())
}

/// The next request; `None` at the end of the input.
fn next(input: &mut impl BufRead) -> Result<Option<Request>> {
    let mut line = vec![];
    let pipe = Path::new("standard input");
    input.take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(Error::io("read", pipe))?;
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&line).map(Some).map_err(|error| Error::input("request", error))
}

fn send(output: &mut dyn Write, reply: &Reply) -> Result<()> {
    let mut line = serde_json::to_vec(reply)
        .map_err(|error| Error::Defect(format!("a reply has no JSON form: {error}")))?;
    line.push(b'\n');
    let pipe = Path::new("standard output");
    output.write_all(&line).and_then(|()| output.flush()).map_err(Error::io("write", pipe))
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
            Request::Stage { manifest, signature, public_key } => {
                let staging = Staging::begin(layout, &manifest, &signature, &public_key)?;
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
                let manifest = verify::release(layout, &id)?;
                Reply::Health { models: health::check_release(layout, &id, &manifest)? }
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
        let Some(id) = layout.current() else {
            return Err(board(layout.root().display(), "holds no release to measure"));
        };
        let manifest = verify::release(layout, &id)?;
        let mut data = vec![];
        for records in &manifest.records {
            let path = layout.records().join(&records.sha256);
            verify::contents(&path, &records.sha256)?;
            data.push(path);
        }
        let folder = layout.release(&id);
        let models = manifest.models.iter().map(|model| folder.join(&model.file)).collect();
        let work = Measuring { program: folder.join(RUNNER), models, data, request };
        self.measurer.measure(&work, &mut |reply| send(output, reply))
    }
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

/// An input that fails when nothing arrives for [`LONGEST_SILENCE`].
#[derive(Debug)]
pub struct Leased<R> {
    inner: R,
}

impl<R: Read + AsFd> Leased<R> {
    /// `inner`, which must not buffer: what it held back could not be waited for.
    pub fn new(inner: R) -> Self {
        Self { inner }
    }
}

impl<R: Read + AsFd> Read for Leased<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let patience = Timespec { tv_sec: LONGEST_SILENCE.as_secs() as i64, tv_nsec: 0 };
        let mut waited = [PollFd::new(&self.inner, PollFlags::IN)];
        if poll(&mut waited, Some(&patience))? == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the host said nothing for a minute"));
        }
        self.inner.read(buffer)
    }
}
