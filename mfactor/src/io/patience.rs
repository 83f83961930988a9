//! Pipes whose other end may fall silent: nothing is waited for without an end.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;

/// How often a wait looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A pipe that can be written to takes so much without a wait (pipe(7)).
const PIPE_BUF: usize = 4096;

/// A pipe that is waited for until a moment, or until it is told to stop. It must not buffer: what it held back could
/// not be waited for.
pub struct Patient<'a, P> {
    pipe: P,
    /// When the wait for the next bytes is over.
    until: Instant,
    /// For how long every wait is anew, if it is.
    silence: Option<Duration>,
    is_stopped: &'a dyn Fn() -> bool,
}

impl<P> Patient<'static, P> {
    /// The other end may be silent for this long, each time.
    pub fn each(pipe: P, silence: Duration) -> Self {
        Self { pipe, until: Instant::now(), silence: Some(silence), is_stopped: &|| false }
    }
}

impl<'a, P> Patient<'a, P> {
    /// Waits for `longest` from now on, until [`Patient::extend`] says otherwise. While it waits it asks `is_stopped`.
    pub fn until(pipe: P, longest: Duration, is_stopped: &'a dyn Fn() -> bool) -> Self {
        Self { pipe, until: Instant::now() + longest, silence: None, is_stopped }
    }

    /// Waits for `longest` from now on.
    pub fn extend(&mut self, longest: Duration) {
        self.until = Instant::now() + longest;
    }
}

impl<P: AsFd> Patient<'_, P> {
    /// Waits until the pipe is ready.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when the time is over, [`io::ErrorKind::Interrupted`] never: a stop is
    /// [`io::ErrorKind::ConnectionAborted`], lest a reader tries again.
    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        let until = self.silence.map_or(self.until, |silence| Instant::now() + silence);
        loop {
            if (self.is_stopped)() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let left = until.saturating_duration_since(Instant::now()).min(LOOK_EVERY);
            let patience = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.pipe, flags)], Some(&patience)) {
                Ok(0) if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<P: Read + AsFd> Read for Patient<'_, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::IN)?;
        self.pipe.read(buffer)
    }
}

impl<P: Write + AsFd> Write for Patient<'_, P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(PollFlags::OUT)?;
        self.pipe.write(&bytes[..bytes.len().min(PIPE_BUF)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::pipe;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    #[test]
    fn what_arrives_is_read_and_what_does_not_is_not_waited_for() {
        let (reader, mut writer) = pipe().unwrap();
        let mut patient = Patient::each(reader, MOMENT);
        writer.write_all(b"here").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(patient.read(&mut buffer).unwrap(), 4);
        assert_eq!(patient.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(writer);
        assert_eq!(patient.read(&mut buffer).unwrap(), 0, "a pipe that is closed has an end");
    }

    #[test]
    fn a_reader_that_takes_nothing_is_not_waited_for() {
        let (reader, writer) = pipe().unwrap();
        let mut patient = Patient::each(writer, MOMENT);
        let error = patient.write_all(&vec![0; 16 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(reader);
        assert_eq!(patient.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_wait_can_be_lengthened_and_stopped() {
        let (reader, _writer) = pipe().unwrap();
        let asked = Cell::new(0);
        let is_stopped = || {
            asked.set(asked.get() + 1);
            asked.get() > 2
        };
        let mut patient = Patient::until(reader, Duration::ZERO, &is_stopped);
        assert_eq!(patient.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        patient.extend(Duration::from_secs(3600));
        assert_eq!(patient.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
