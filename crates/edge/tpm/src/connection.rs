//! A connection to a TPM, on which commands run one after the other.

use std::io;
use std::time::{Duration, Instant};

use crate::channel::{Channel, ExchangeFault};
use crate::code::rc;
use crate::command::{Answer, AnswerFault, Command, FLUSH_CONTEXT, Request, STARTUP};
use crate::{ResponseCode, Tcti, TpmError};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// `TPM_SU_CLEAR`
const CLEAR: [u8; 2] = [0, 0];

pub(crate) struct Connection {
    channel: Channel,
    tcti: Tcti,
    /// Objects and sessions that this connection loaded.
    loaded: Vec<u32>,
    /// Whether an answer is missing, so that the next one could be mistaken for it.
    is_broken: bool,
}

impl Connection {
    pub(crate) fn open(tcti: &Tcti) -> Result<Self, TpmError> {
        let channel = Channel::open(tcti).map_err(|error| unreachable(tcti, &error))?;
        Ok(Self {
            channel,
            tcti: tcti.clone(),
            loaded: Vec::new(),
            is_broken: false,
        })
    }

    /// Runs a command. A busy TPM is asked again within the time limit of the command, one
    /// that is not started is started, and one without room gets what others left flushed.
    pub(crate) fn run(
        &mut self,
        command: &'static Command,
        request: Request<'_>,
    ) -> Result<Answer, TpmError> {
        let end = Instant::now() + command.within;
        let bytes = command.encode(request);
        let (mut pause, mut has_started, mut has_flushed) = (FIRST_PAUSE, false, false);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let code = match self.exchange(command, &bytes, left)? {
                Ok(answer) => {
                    self.loaded.extend(answer.handle);
                    return Ok(answer);
                }
                Err(code) => code,
            };
            if code.base() == rc::INITIALIZE && !has_started {
                has_started = true;
                self.start(left)?;
            } else if code.is_out_of_room() && !has_flushed {
                has_flushed = true;
                self.flush_strangers()?;
            } else if code.is_transient() && Instant::now() + pause < end {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            } else {
                let command = command.name;
                return Err(TpmError::Refused { command, code });
            }
        }
    }

    fn exchange(
        &mut self,
        command: &'static Command,
        bytes: &[u8],
        within: Duration,
    ) -> Result<Result<Answer, ResponseCode>, TpmError> {
        if self.is_broken {
            let error = io::Error::other("an earlier command is still without an answer");
            return Err(unreachable(&self.tcti, &error));
        }
        let malformed = |tcti: &Tcti, problem| TpmError::Answer {
            tcti: tcti.clone(),
            command: command.name,
            problem,
        };
        let answer = self.channel.exchange(bytes, within).map_err(|fault| {
            self.is_broken = true;
            match fault {
                ExchangeFault::TimedOut => TpmError::TimedOut {
                    tcti: self.tcti.clone(),
                    command: command.name,
                    seconds: command.within.as_secs(),
                },
                ExchangeFault::Closed => {
                    let error = io::Error::other("it closed the connection");
                    unreachable(&self.tcti, &error)
                }
                ExchangeFault::Io(error) => unreachable(&self.tcti, &error),
                ExchangeFault::Answer(problem) => malformed(&self.tcti, problem),
            }
        })?;
        match command.decode(&answer) {
            Ok(answer) => Ok(Ok(answer)),
            Err(AnswerFault::Refused(code)) => Ok(Err(code)),
            Err(AnswerFault::Malformed(problem)) => Err(malformed(&self.tcti, problem)),
        }
    }

    /// Reads the parameters of an answer.
    pub(crate) fn read<T>(
        &self,
        command: &'static Command,
        answer: &Answer,
        read: impl FnOnce(&mut pki::tpm::Reader<'_>) -> Result<T, pki::tpm::TooShort>,
    ) -> Result<T, TpmError> {
        let mut reader = pki::tpm::Reader::new(&answer.parameters);
        read(&mut reader).map_err(|_| TpmError::Answer {
            tcti: self.tcti.clone(),
            command: command.name,
            problem: "it ends too early",
        })
    }

    /// The handle with which an answer begins.
    pub(crate) fn handle(
        &self,
        command: &'static Command,
        answer: &Answer,
    ) -> Result<u32, TpmError> {
        answer.handle.ok_or_else(|| TpmError::Answer {
            tcti: self.tcti.clone(),
            command: command.name,
            problem: "it has no handle",
        })
    }

    /// The kernel starts the TPM of a device; a software TPM may wait for it.
    fn start(&mut self, within: Duration) -> Result<(), TpmError> {
        let request = Request {
            parameters: &CLEAR,
            ..Request::default()
        };
        let answer = self.exchange(&STARTUP, &STARTUP.encode(request), within)?;
        match answer {
            Ok(_) => Ok(()),
            // Somebody else has started it meanwhile.
            Err(code) if code.base() == rc::INITIALIZE => Ok(()),
            Err(code) => Err(TpmError::Refused {
                command: STARTUP.name,
                code,
            }),
        }
    }

    /// Flushes what a program that was killed has left. Behind a resource manager nothing
    /// of others is to be seen; without one this connection has the TPM to itself.
    fn flush_strangers(&mut self) -> Result<(), TpmError> {
        for handle in self.loaded_objects()? {
            if !self.loaded.contains(&handle) {
                tracing::debug!(handle = %format_args!("{handle:#x}"), "flushing what is left");
                self.flush_handle(handle)?;
            }
        }
        Ok(())
    }

    /// Removes an object or a session from the TPM.
    pub(crate) fn flush(&mut self, handle: u32) -> Result<(), TpmError> {
        self.loaded.retain(|loaded| *loaded != handle);
        self.flush_handle(handle)
    }

    fn flush_handle(&mut self, handle: u32) -> Result<(), TpmError> {
        let request = Request {
            handles: &[handle],
            ..Request::default()
        };
        self.run(&FLUSH_CONTEXT, request).map(drop)
    }

    /// Notes that the TPM flushed an object by itself.
    pub(crate) fn forget(&mut self, handle: u32) {
        self.loaded.retain(|loaded| *loaded != handle);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for handle in std::mem::take(&mut self.loaded) {
            if let Err(error) = self.flush_handle(handle) {
                tracing::debug!(error = %error, "an object stays loaded in the TPM");
            }
        }
    }
}

fn unreachable(tcti: &Tcti, error: &io::Error) -> TpmError {
    let problem = match (tcti, error.kind()) {
        (Tcti::Device(_), io::ErrorKind::NotFound) => {
            "there is no such device; the firmware has no TPM 2.0, or it is switched off there"
                .to_owned()
        }
        (Tcti::Device(_), io::ErrorKind::PermissionDenied) => {
            "this user may not open it; add the user to the group of the device, usually tss: \
             usermod -aG tss USER"
                .to_owned()
        }
        (Tcti::Device(_), io::ErrorKind::ResourceBusy) => {
            "another program has it open; use the resource manager: device:/dev/tpmrm0".to_owned()
        }
        (_, io::ErrorKind::ConnectionRefused) => "nothing listens there; start swtpm".to_owned(),
        _ => error.to_string(),
    };
    TpmError::Unreachable {
        tcti: tcti.clone(),
        problem,
    }
}
