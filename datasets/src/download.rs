//! Downloads, which are not believed before their sum was looked at.

use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use mfactor::{Error, Result, drafts, files};
use sha2::Digest;
use tempfile::NamedTempFile;

use crate::Progress;

/// How long a server may take to answer, and then to deliver everything.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(3 * 3600);
const REPORT_EVERY: u64 = 1 << 20;

/// What a download must be.
pub(crate) struct Expected<'a> {
    /// Most bytes that are taken from the server.
    pub largest: u64,
    /// What its sum is called.
    pub sum_name: &'a str,
    /// Its sum, in hexadecimal of either case.
    pub sum: &'a str,
}

/// Downloads what has the expected sum by `D` into a draft in `folder`, which is made if need be.
///
/// # Errors
/// [`Error::Board`] where the network or the server fails; [`Error::Input`] for anything else than what is expected;
/// [`Error::Io`] where it cannot be written.
pub(crate) fn download<D: Digest>(
    url: &str,
    expected: &Expected<'_>,
    folder: &Path,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<NamedTempFile> {
    files::make_folder(folder)?;
    drafts::collect(folder);
    let mut draft = drafts::file(folder).map_err(Error::io("write", folder))?;
    let mut hash = D::new();
    let bytes = receive(url, expected.largest, &mut draft, &mut |bytes| hash.update(bytes), on_progress)?;
    let (name, sum, found) = (expected.sum_name, expected.sum, files::hex(&hash.finalize()));
    if !found.eq_ignore_ascii_case(sum) {
        let problem = format!(
            "has {bytes} bytes with {name} {found}; it must have {name} {sum}, so it was thrown away"
        );
        return Err(Error::input(url, problem));
    }
    draft.rewind().map_err(Error::io("read", draft.path()))?;
    Ok(draft)
}

/// Writes all that comes into `file`, shows it to `hash`, and returns the number of bytes.
fn receive(
    url: &str,
    largest: u64,
    file: &mut NamedTempFile,
    hash: &mut dyn FnMut(&[u8]),
    on_progress: &mut dyn FnMut(Progress),
) -> Result<u64> {
    let failed = |problem: String| Error::Board { subject: url.to_owned(), problem };
    let agent = ureq::Agent::config_builder()
        .timeout_connect(Some(ANSWER_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_recv_body(Some(BODY_TIMEOUT))
        .build()
        .new_agent();
    let mut response = agent.get(url).call().map_err(|error| failed(error.to_string()))?;
    let total = response.body().content_length();
    let mut body = response.body_mut().as_reader();
    let (mut bytes, mut reported) = (0u64, 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = body.read(&mut buffer).map_err(|error| {
            let of = total.map_or_else(String::new, |total| format!(" of {total}"));
            failed(format!("stopped after {bytes}{of} bytes: {error}"))
        })?;
        if length == 0 {
            break;
        }
        if bytes + length as u64 > largest {
            return Err(Error::input(
                url,
                format!("sends more than {largest} bytes; it is not what was asked for"),
            ));
        }
        file.write_all(&buffer[..length]).map_err(Error::io("write", file.path()))?;
        hash(&buffer[..length]);
        bytes += length as u64;
        if bytes - reported >= REPORT_EVERY {
            reported = bytes;
            on_progress(Progress::Downloading { bytes, total });
        }
    }
    on_progress(Progress::Downloading { bytes, total });
    Ok(bytes)
}
