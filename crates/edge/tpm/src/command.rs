//! Commands as a table, how they are written, and how their answers are read (part 1, 18).

use std::time::Duration;

use aws_lc_rs::rand;
use pki::tpm::{Reader, TooShort, push_sized};
use zeroize::Zeroizing;

use crate::ResponseCode;

/// The longest answer that is read, bytes. TPMs limit theirs to less.
pub(crate) const MAX_ANSWER: usize = 4096;
const HEADER: usize = 10;
const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
/// The session that stands for a password in the clear.
const PASSWORD: u32 = 0x4000_0009;
const CONTINUE_SESSION: u8 = 1;
/// Bytes of the caller's nonce in a session.
pub(crate) const NONCE: usize = 16;

/// A command of part 3.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    code: u32,
    /// Whether its answer begins with a handle.
    answers_handle: bool,
    pub(crate) within: Duration,
}

/// What most commands may take, together with attempts after `TPM_RC_RETRY`.
const USUAL: Duration = Duration::from_secs(30);
/// Making an RSA key: the search for primes takes a minute on slow chips.
const KEY_MAKING: Duration = Duration::from_secs(300);

const fn command(name: &'static str, code: u32) -> Command {
    Command {
        name,
        code,
        answers_handle: false,
        within: USUAL,
    }
}

impl Command {
    const fn with_handle(mut self) -> Self {
        self.answers_handle = true;
        self
    }

    const fn slow(mut self) -> Self {
        self.within = KEY_MAKING;
        self
    }
}

pub(crate) const EVICT_CONTROL: Command = command("TPM2_EvictControl", 0x120);
pub(crate) const CREATE_PRIMARY: Command =
    command("TPM2_CreatePrimary", 0x131).with_handle().slow();
pub(crate) const SEQUENCE_COMPLETE: Command = command("TPM2_SequenceComplete", 0x13e);
pub(crate) const STARTUP: Command = command("TPM2_Startup", 0x144);
pub(crate) const ACTIVATE_CREDENTIAL: Command = command("TPM2_ActivateCredential", 0x147);
pub(crate) const NV_READ: Command = command("TPM2_NV_Read", 0x14e);
pub(crate) const POLICY_SECRET: Command = command("TPM2_PolicySecret", 0x151);
pub(crate) const CREATE: Command = command("TPM2_Create", 0x153).slow();
pub(crate) const HMAC: Command = command("TPM2_HMAC", 0x155);
pub(crate) const IMPORT: Command = command("TPM2_Import", 0x156);
pub(crate) const LOAD: Command = command("TPM2_Load", 0x157).with_handle();
pub(crate) const RSA_DECRYPT: Command = command("TPM2_RSA_Decrypt", 0x159);
pub(crate) const HMAC_START: Command = command("TPM2_HMAC_Start", 0x15b).with_handle();
pub(crate) const SEQUENCE_UPDATE: Command = command("TPM2_SequenceUpdate", 0x15c);
pub(crate) const SIGN: Command = command("TPM2_Sign", 0x15d);
pub(crate) const FLUSH_CONTEXT: Command = command("TPM2_FlushContext", 0x165);
pub(crate) const NV_READ_PUBLIC: Command = command("TPM2_NV_ReadPublic", 0x169);
pub(crate) const READ_PUBLIC: Command = command("TPM2_ReadPublic", 0x173);
pub(crate) const START_AUTH_SESSION: Command =
    command("TPM2_StartAuthSession", 0x176).with_handle();
pub(crate) const GET_CAPABILITY: Command = command("TPM2_GetCapability", 0x17a);

/// What authorizes the use of a handle.
#[derive(Clone, Copy)]
pub(crate) enum Authorized<'a> {
    By(&'a [u8]),
    /// A policy session whose policy is satisfied.
    Policy {
        session: u32,
        nonce: [u8; NONCE],
    },
}

impl Authorized<'_> {
    /// The empty value, which keys of templates have.
    pub(crate) const EMPTY: Self = Self::By(b"");

    pub(crate) fn policy(session: u32) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce)?;
        Ok(Self::Policy { session, nonce })
    }

    fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::By(value) => {
                into.extend_from_slice(&PASSWORD.to_be_bytes());
                push_sized(into, b"");
                into.push(CONTINUE_SESSION);
                push_sized(into, value);
            }
            Self::Policy { session, nonce } => {
                into.extend_from_slice(&session.to_be_bytes());
                push_sized(into, nonce);
                into.push(CONTINUE_SESSION);
                push_sized(into, b"");
            }
        }
    }
}

/// What goes with a command: handles, the authorizations of the first of them, parameters.
#[derive(Clone, Copy, Default)]
pub(crate) struct Request<'a> {
    pub(crate) handles: &'a [u32],
    pub(crate) authorized: &'a [Authorized<'a>],
    pub(crate) parameters: &'a [u8],
}

impl Command {
    /// The bytes of the command. They may hold an authorization value.
    pub(crate) fn encode(&self, request: Request<'_>) -> Zeroizing<Vec<u8>> {
        let mut area = Zeroizing::new(Vec::with_capacity(256));
        for authorized in request.authorized {
            authorized.write(&mut area);
        }
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
        for handle in request.handles {
            body.extend_from_slice(&handle.to_be_bytes());
        }
        let tag = if request.authorized.is_empty() {
            NO_SESSIONS
        } else {
            body.extend_from_slice(&length(area.len()).to_be_bytes());
            body.extend_from_slice(&area);
            SESSIONS
        };
        body.extend_from_slice(request.parameters);
        let mut out = Zeroizing::new(Vec::with_capacity(HEADER + body.len()));
        out.extend_from_slice(&tag.to_be_bytes());
        out.extend_from_slice(&length(HEADER + body.len()).to_be_bytes());
        out.extend_from_slice(&self.code.to_be_bytes());
        out.extend_from_slice(&body);
        out
    }

    /// Reads the answer to this command.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<Answer, AnswerFault> {
        read_answer(bytes, self.answers_handle)
            .map(|(handle, parameters)| Answer { handle, parameters })
    }
}

/// What is sent here is far shorter than 4 GiB.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The answer of a TPM that did what it was asked for.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) handle: Option<u32>,
    pub(crate) parameters: Zeroizing<Vec<u8>>,
}

/// Why an answer holds no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    #[error("{0}")]
    Refused(ResponseCode),
    /// The bytes are not the answer of a TPM.
    #[error("{0}")]
    Malformed(&'static str),
}

impl From<TooShort> for AnswerFault {
    fn from(_: TooShort) -> Self {
        Self::Malformed("it ends too early")
    }
}

/// The size that the start of an answer announces; `None` before the header is complete.
pub(crate) fn announced_size(start: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(header) = start.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let [_, _, a, b, c, d, ..] = *header;
    let size = u32::from_be_bytes([a, b, c, d]);
    match usize::try_from(size) {
        Ok(size) if (HEADER..=MAX_ANSWER).contains(&size) => Ok(Some(size)),
        _ => Err("its announced size is not that of an answer"),
    }
}

/// Reads the bytes of an answer: the handle, if it begins with one, and the parameters.
pub fn read_answer(
    bytes: &[u8],
    begins_with_handle: bool,
) -> Result<(Option<u32>, Zeroizing<Vec<u8>>), AnswerFault> {
    let announced = announced_size(bytes).map_err(AnswerFault::Malformed)?;
    if announced != Some(bytes.len()) {
        return Err(AnswerFault::Malformed("its size is not the announced one"));
    }
    let mut reader = Reader::new(bytes);
    let tag = reader.u16()?;
    reader.u32()?;
    if let Some(code) = ResponseCode::new(reader.u32()?) {
        return Err(AnswerFault::Refused(code));
    }
    let handle = begins_with_handle.then(|| reader.u32()).transpose()?;
    let parameters = match tag {
        NO_SESSIONS => reader.rest(),
        SESSIONS => {
            let size = usize::try_from(reader.u32()?);
            // What follows belongs to the sessions. No session here has a key that could prove it.
            reader.take(size.unwrap_or(usize::MAX))?
        }
        _ => return Err(AnswerFault::Malformed("its tag is not that of an answer")),
    };
    Ok((handle, Zeroizing::new(parameters.to_vec())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_command_is_written_as_part_1_draws_it() {
        let request = Request {
            handles: &[0x4000_0001],
            authorized: &[Authorized::By(b"pw")],
            parameters: &[1, 2, 3],
        };
        let wanted = [
            &[0x80, 2, 0, 0, 0, 32, 0, 0, 1, 0x31][..],
            &[0x40, 0, 0, 1],
            &[0, 0, 0, 11, 0x40, 0, 0, 9, 0, 0, 1, 0, 2, b'p', b'w'],
            &[1, 2, 3],
        ];
        assert_eq!(*CREATE_PRIMARY.encode(request), wanted.concat());
        let bare = Request {
            parameters: &[0, 0],
            ..Request::default()
        };
        let wanted = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0];
        assert_eq!(*STARTUP.encode(bare), wanted);
    }

    #[test]
    fn answers_with_and_without_sessions_are_read() {
        let plain = [0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 7, 8];
        let (handle, parameters) = read_answer(&plain, false).unwrap();
        assert_eq!((handle, parameters.as_slice()), (None, &[7, 8][..]));
        let with = [
            &[0x80, 2, 0, 0, 0, 25, 0, 0, 0, 0][..],
            &[0x80, 0, 0, 0],
            &[0, 0, 0, 2, 7, 8],
            &[0, 0, 1, 0, 0],
        ]
        .concat();
        let (handle, parameters) = read_answer(&with, true).unwrap();
        let wanted = (Some(0x8000_0000), &[7, 8][..]);
        assert_eq!((handle, parameters.as_slice()), wanted);
        let refused = [0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x21];
        let code = ResponseCode::new(0x921).unwrap();
        assert_eq!(
            read_answer(&refused, true).unwrap_err(),
            AnswerFault::Refused(code)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, begins_with_handle: bool) {
            if let Ok((handle, parameters)) = read_answer(&bytes, begins_with_handle) {
                prop_assert_eq!(handle.is_some(), begins_with_handle);
                prop_assert!(parameters.len() < bytes.len());
            }
        }

        #[test]
        fn answers_without_sessions_are_read_whole(content in prop::collection::vec(any::<u8>(), 0..300)) {
            let size = u32::try_from(10 + content.len()).unwrap();
            let bytes = [&[0x80, 1][..], &size.to_be_bytes(), &[0; 4], &content].concat();
            let (_, parameters) = read_answer(&bytes, false).unwrap();
            prop_assert_eq!(&*parameters, &content);
        }
    }
}
