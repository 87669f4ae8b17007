//! One open way to a TPM: a command goes out, its answer comes back within a time limit.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zeroize::Zeroizing;

use crate::Tcti;
use crate::command::{MAX_ANSWER, announced_size};

/// How long a software TPM may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Why a command has no answer.
#[derive(Debug)]
pub(crate) enum ExchangeFault {
    Io(io::Error),
    TimedOut,
    /// The other side closed the connection.
    Closed,
    /// The bytes are not the answer of a TPM.
    Answer(&'static str),
}

impl From<io::Error> for ExchangeFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

trait Stream: Read + Write + AsFd + Send {}

impl<T: Read + Write + AsFd + Send> Stream for T {}

pub(crate) struct Channel(Box<dyn Stream>);

impl Channel {
    pub(crate) fn open(tcti: &Tcti) -> io::Result<Self> {
        Ok(Self(match tcti {
            // Without O_NONBLOCK a read would wait for as long as the TPM works.
            Tcti::Device(path) => Box::new(
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .custom_flags(OFlag::O_NONBLOCK.bits())
                    .open(path)?,
            ),
            Tcti::SwtpmUnix(path) => Box::new(UnixStream::connect(path)?),
            Tcti::SwtpmTcp { host, port } => Box::new(connect(host, *port)?),
        }))
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn exchange(
        &mut self,
        command: &[u8],
        within: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, ExchangeFault> {
        let end = Instant::now() + within;
        self.0.write_all(command)?;
        // With its full capacity from the start: growing would leave copies of secrets in memory.
        let mut answer = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
        loop {
            if let Some(size) = announced_size(&answer).map_err(ExchangeFault::Answer)? {
                match answer.len() {
                    length if length == size => return Ok(answer),
                    length if length > size => {
                        return Err(ExchangeFault::Answer("bytes follow it"));
                    }
                    _ => {}
                }
            }
            self.wait(end)?;
            self.read_into(&mut answer)?;
        }
    }

    fn read_into(&mut self, answer: &mut Vec<u8>) -> Result<(), ExchangeFault> {
        let mut chunk = Zeroizing::new([0; MAX_ANSWER]);
        let room = MAX_ANSWER - answer.len();
        match self.0.read(&mut chunk[..room]) {
            Ok(0) => Err(ExchangeFault::Closed),
            Ok(count) => {
                answer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => Ok(()),
                _ => Err(error.into()),
            },
        }
    }

    fn wait(&self, end: Instant) -> Result<(), ExchangeFault> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut watched = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            match poll(&mut watched, timeout) {
                Ok(0) if Instant::now() >= end => return Err(ExchangeFault::TimedOut),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = None;
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("the host has no address")))
}
