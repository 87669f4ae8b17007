//! What is done with a library on its own thread.

mod find;
mod sign;

use std::path::PathBuf;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use pki::{PublicKey, SignatureScheme};

use super::{KeyLocation, TokenError, TokenKeyReference};

/// How many refused PINs are remembered.
const MAX_REFUSED: usize = 64;

/// The sessions of a library, one for each key that was used.
pub(super) struct Sessions {
    path: PathBuf,
    library: Option<Pkcs11>,
    open: Vec<OpenKey>,
    refused: Vec<RefusedPin>,
}

/// A key with a session that is logged in.
struct OpenKey {
    reference: TokenKeyReference,
    session: Session,
    key: ObjectHandle,
    at: KeyLocation,
}

struct RefusedPin {
    reference: TokenKeyReference,
    error: TokenError,
}

impl TokenKeyReference {
    fn is(&self, other: &Self) -> bool {
        self.uri == other.uri && self.pin == other.pin
    }
}

impl Sessions {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            library: None,
            open: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Signs. A token that was lost since the last call is looked for once more.
    pub(super) fn sign(
        &mut self,
        reference: &TokenKeyReference,
        scheme: SignatureScheme,
        message: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        self.with_key(reference, |open| sign::sign(open, scheme, message))
    }

    /// The public half of a key.
    pub(super) fn public_key(
        &mut self,
        reference: &TokenKeyReference,
    ) -> Result<PublicKey, TokenError> {
        self.with_key(reference, find::public_key)
    }

    fn with_key<T>(
        &mut self,
        reference: &TokenKeyReference,
        act: impl Fn(&OpenKey) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let was_open = self
            .open
            .iter()
            .position(|open| open.reference.is(reference));
        if let Some(index) = was_open {
            match act(&self.open[index]) {
                Err(TokenError::Call { problem, .. }) => {
                    tracing::warn!(
                        library = %self.path.display(),
                        token = %reference.uri,
                        error = problem,
                        "a token failed; it is looked for again"
                    );
                    self.open.swap_remove(index);
                }
                answer => return answer,
            }
        }
        let open = match self.connect(reference) {
            Ok(open) => open,
            Err(error @ (TokenError::Pin { .. } | TokenError::NotAllowed { .. })) => {
                return Err(error);
            }
            // Many libraries look for tokens only when they are initialised.
            Err(_) => {
                self.finalize();
                self.connect(reference)?
            }
        };
        let answer = act(&open);
        self.open.push(open);
        answer
    }

    fn finalize(&mut self) {
        self.open.clear();
        if let Some(library) = self.library.take()
            && let Err(error) = library.finalize()
        {
            tracing::debug!(
                library = %self.path.display(),
                error = %error,
                "the PKCS#11 library does not end"
            );
        }
    }

    fn library(&mut self) -> Result<&Pkcs11, TokenError> {
        let failed = |error: Error| TokenError::Library {
            library: self.path.clone(),
            problem: in_words(&error),
        };
        let library = match self.library.take() {
            Some(library) => library,
            None => {
                let library = Pkcs11::new(&self.path).map_err(failed)?;
                let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
                match library.initialize(arguments) {
                    Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => library,
                    Err(error) => return Err(failed(error)),
                }
            }
        };
        Ok(self.library.insert(library))
    }

    fn connect(&mut self, reference: &TokenKeyReference) -> Result<OpenKey, TokenError> {
        let known = self.refused.iter().find(|one| one.reference.is(reference));
        if let Some(refused) = known {
            return Err(refused.error.clone());
        }
        let path = self.path.clone();
        let library = self.library()?;
        let (slot, at) = find::slot(&path, library, &reference.uri)?;
        let session = library.open_ro_session(slot);
        let session = session.map_err(|error| at.failed("open a session", &error))?;
        if let Err(refused) = self.log_in(&session, &at, reference) {
            if matches!(refused, TokenError::Pin { .. }) {
                if self.refused.len() == MAX_REFUSED {
                    self.refused.remove(0);
                }
                self.refused.push(RefusedPin {
                    reference: reference.clone(),
                    error: refused.clone(),
                });
            }
            return Err(refused);
        }
        let key = find::private_key(&at, &session)?;
        Ok(OpenKey {
            reference: reference.clone(),
            session,
            key,
            at,
        })
    }

    fn log_in(
        &self,
        session: &Session,
        at: &KeyLocation,
        reference: &TokenKeyReference,
    ) -> Result<(), TokenError> {
        let pin = AuthPin::from(reference.pin.as_str());
        match session.login(UserType::User, Some(&pin)) {
            // By another session: a login is the whole program's, and the token compares no PIN.
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                let open = self.open.iter().find(|open| open.at.slot == at.slot);
                match open.is_none_or(|open| open.reference.pin == reference.pin) {
                    true => Ok(()),
                    false => Err(TokenError::Pin {
                        at: Box::new(at.clone()),
                        problem: "the token is open with another PIN".to_owned(),
                    }),
                }
            }
            answer => answer.map_err(|error| at.login(&error)),
        }
    }
}

impl KeyLocation {
    fn failed(&self, action: &str, error: &Error) -> TokenError {
        TokenError::Call {
            at: Box::new(self.clone()),
            action: action.to_owned(),
            problem: in_words(error),
        }
    }

    fn login(&self, error: &Error) -> TokenError {
        let is_pin = matches!(
            error,
            Error::Pkcs11(
                RvError::PinIncorrect
                    | RvError::PinInvalid
                    | RvError::PinLenRange
                    | RvError::PinExpired
                    | RvError::PinLocked
                    | RvError::UserPinNotInitialized,
                _,
            )
        );
        if !is_pin {
            return self.failed("log in", error);
        }
        TokenError::Pin {
            at: Box::new(self.clone()),
            problem: in_words(error),
        }
    }
}

/// The function with the name of its return code.
fn in_words(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("C_{function} answered {code:?}"),
        other => other.to_string(),
    }
}
