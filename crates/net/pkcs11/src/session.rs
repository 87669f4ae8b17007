//! What is done with a library on its own thread.

mod find;
pub(super) mod make;
pub(super) mod report;
mod sign;

use std::path::PathBuf;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use pki::{KeyType, PublicKey, SignatureScheme};
use zeroize::Zeroizing;

use super::{
    KeyLocation, SlotReference, SlotUri, TokenError, TokenKeyReference, TokenReport, TokenUri,
};

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

/// A PIN that a token refused. It is not tried again with any key of that token.
struct RefusedPin {
    slot: SlotUri,
    pin: Option<Zeroizing<String>>,
    error: TokenError,
}

/// What a session is opened for.
struct Access<'a> {
    slot: &'a SlotUri,
    pin: &'a Option<Zeroizing<String>>,
    /// What errors name.
    wanted: String,
    writes: bool,
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

    /// Signs a digest. A token that was lost since the last call is looked for once more.
    pub(super) fn sign(
        &mut self,
        reference: &TokenKeyReference,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        self.with_key(reference, |open| sign::sign(open, scheme, digest))
    }

    /// HMAC-SHA256 with a secret key.
    pub(super) fn hmac(
        &mut self,
        reference: &TokenKeyReference,
        message: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        self.with_key(reference, |open| sign::hmac(open, message))
    }

    /// Where a key is.
    pub(super) fn locate(
        &mut self,
        reference: &TokenKeyReference,
    ) -> Result<KeyLocation, TokenError> {
        self.with_key(reference, |open| Ok(open.at.clone()))
    }

    /// The public half of a key.
    pub(super) fn public_key(
        &mut self,
        reference: &TokenKeyReference,
    ) -> Result<PublicKey, TokenError> {
        self.with_key(reference, find::public_key)
    }

    /// Makes a key pair that cannot leave the token.
    pub(super) fn make_pair(
        &mut self,
        slot: &SlotReference,
        name: &make::KeyName<'_>,
        kind: KeyType,
    ) -> Result<TokenUri, TokenError> {
        self.writing(slot, |at, session| {
            make::pair(session, at, &slot.uri, name, kind)
        })
    }

    /// Makes a secret key for HMAC-SHA256 that cannot leave the token.
    pub(super) fn make_secret(
        &mut self,
        slot: &SlotReference,
        name: &make::KeyName<'_>,
    ) -> Result<TokenUri, TokenError> {
        self.writing(slot, |at, session| {
            make::secret(session, at, &slot.uri, name)
        })
    }

    /// Destroys a key, with the public half beside it. A key that is not there is destroyed.
    pub(super) fn destroy(&mut self, key: &TokenKeyReference) -> Result<(), TokenError> {
        self.open.retain(|open| !open.reference.is(key));
        let slot = SlotReference {
            library: key.library.clone(),
            uri: key.uri.slot.clone(),
            pin: key.pin.clone(),
        };
        self.writing(&slot, |at, session| make::destroy(session, at, &key.uri))
    }

    /// What the token of a slot can do.
    pub(super) fn report(&mut self, slot: &SlotReference) -> Result<TokenReport, TokenError> {
        let path = self.path.clone();
        self.finalize_if_lost(&slot.uri);
        let library = self.library()?;
        report::read(&path, library, &slot.uri)
    }

    fn writing<T>(
        &mut self,
        slot: &SlotReference,
        act: impl FnOnce(&KeyLocation, &Session) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        self.finalize_if_lost(&slot.uri);
        let (session, at) = self.session(&Access {
            slot: &slot.uri,
            pin: &slot.pin,
            wanted: slot.uri.to_string(),
            writes: true,
        })?;
        act(&at, &session)
    }

    /// Many libraries look for tokens only when they are initialised.
    fn finalize_if_lost(&mut self, slot: &SlotUri) {
        let path = self.path.clone();
        let found = self
            .library()
            .and_then(|library| find::slot(&path, library, slot, slot.to_string()));
        if found.is_err() {
            self.finalize();
        }
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
        let (session, at) = self.session(&Access {
            slot: &reference.uri.slot,
            pin: &reference.pin,
            wanted: reference.uri.to_string(),
            writes: false,
        })?;
        let key = find::key(&reference.uri, &at, &session)?;
        Ok(OpenKey {
            reference: reference.clone(),
            session,
            key,
            at,
        })
    }

    /// A session that is logged in, unless there is no PIN.
    fn session(&mut self, access: &Access<'_>) -> Result<(Session, KeyLocation), TokenError> {
        let is_refused = |one: &&RefusedPin| one.slot == *access.slot && one.pin == *access.pin;
        if let Some(refused) = self.refused.iter().find(is_refused) {
            return Err(refused.error.clone());
        }
        let path = self.path.clone();
        let library = self.library()?;
        let (slot, at) = find::slot(&path, library, access.slot, access.wanted.clone())?;
        let session = match access.writes {
            true => library.open_rw_session(slot),
            false => library.open_ro_session(slot),
        };
        let session = session.map_err(|error| at.failed("open a session", &error))?;
        let Some(pin) = access.pin else {
            return Ok((session, at));
        };
        if let Err(refused) = self.log_in(&session, &at, pin) {
            if matches!(refused, TokenError::Pin { .. }) {
                if self.refused.len() == MAX_REFUSED {
                    self.refused.remove(0);
                }
                self.refused.push(RefusedPin {
                    slot: access.slot.clone(),
                    pin: access.pin.clone(),
                    error: refused.clone(),
                });
            }
            return Err(refused);
        }
        Ok((session, at))
    }

    fn log_in(
        &self,
        session: &Session,
        at: &KeyLocation,
        pin: &Zeroizing<String>,
    ) -> Result<(), TokenError> {
        match session.login(UserType::User, Some(&AuthPin::from(pin.as_str()))) {
            // By another session: a login is the whole program's, and the token compares no PIN.
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                let open = self.open.iter().find(|open| open.at.slot == at.slot);
                match open.is_none_or(|open| open.reference.pin.as_ref() == Some(pin)) {
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
