//! Downloads, into a file that is not believed before its sum was looked at.

use std::io::{Read, Write};
use std::time::Duration;

use mfactor::{Error, Result};
use tempfile::NamedTempFile;

use crate::Progress;

/// How long a server may take to answer, and then to deliver everything.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(3 * 3600);
const REPORT_EVERY: u64 = 1 << 20;

/// Downloads at most `largest` bytes into `file`, and shows all that come to `hash` too.
///
/// # Errors
/// [`Error::Board`] where the network or the server fails; [`Error::Input`] for more bytes; [`Error::Io`] where they cannot be
/// written.
pub(crate) fn download(
    url: &str,
    largest: u64,
    file: &mut NamedTempFile,
    hash: &mut dyn FnMut(&[u8]),
    on_progress: &mut dyn FnMut(Progress),
) -> Result<()> {
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
    Ok(())
}
