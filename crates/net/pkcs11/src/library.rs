//! Libraries, each with a thread that owns its sessions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pki::{PublicKey, SignatureScheme};

use super::session::Sessions;
use super::{AllowedLibraries, TokenError, TokenKeyReference};

/// A token that is slower is taken for gone: RSA 4096 on a smart card takes about a second.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many calls may wait for the thread of a library.
const WAITING: usize = 64;

/// The libraries that are loaded, each once.
#[derive(Debug, Default)]
pub struct Libraries {
    allowed: AllowedLibraries,
    open: Mutex<HashMap<PathBuf, Arc<Library>>>,
}

impl Libraries {
    /// Libraries of which `allowed` may be loaded.
    #[must_use]
    pub fn new(allowed: AllowedLibraries) -> Self {
        Self {
            allowed,
            open: Mutex::default(),
        }
    }

    /// Nothing is loaded before the first call of a key in it.
    pub(super) fn open(&self, path: &Path) -> Result<Arc<Library>, TokenError> {
        let path = self.allowed.find(path)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = open.get(&path) {
            return Ok(library.clone());
        }
        let library = Arc::new(Library::start(path.clone())?);
        open.insert(path, library.clone());
        Ok(library)
    }
}

/// The thread of a library.
#[derive(Debug)]
pub(super) struct Library {
    path: PathBuf,
    calls: SyncSender<Call>,
    /// A call has taken longer than the patience and still runs. Others do not wait for it.
    hangs: Arc<AtomicBool>,
}

enum Call {
    Sign {
        key: Arc<TokenKeyReference>,
        scheme: SignatureScheme,
        message: Vec<u8>,
        answer: SyncSender<Result<Vec<u8>, TokenError>>,
    },
    PublicKey {
        key: Arc<TokenKeyReference>,
        answer: SyncSender<Result<PublicKey, TokenError>>,
    },
}

impl Library {
    fn start(path: PathBuf) -> Result<Self, TokenError> {
        let (calls, received) = sync_channel(WAITING);
        let sessions = Sessions::new(path.clone());
        let hangs = Arc::new(AtomicBool::new(false));
        std::thread::Builder::new()
            .name("pkcs11".to_owned())
            .spawn({
                let hangs = hangs.clone();
                move || run(sessions, &received, &hangs)
            })
            .map_err(|error| TokenError::Library {
                library: path.clone(),
                problem: error.to_string(),
            })?;
        Ok(Self { path, calls, hangs })
    }

    pub(super) fn sign(
        &self,
        key: &Arc<TokenKeyReference>,
        scheme: SignatureScheme,
        message: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let (answer, answered) = sync_channel(1);
        let (key, message) = (key.clone(), message.to_vec());
        let call = Call::Sign {
            key,
            scheme,
            message,
            answer,
        };
        self.call(call, &answered)
    }

    pub(super) fn public_key(&self, key: &Arc<TokenKeyReference>) -> Result<PublicKey, TokenError> {
        let (answer, answered) = sync_channel(1);
        let key = key.clone();
        self.call(Call::PublicKey { key, answer }, &answered)
    }

    fn call<T>(
        &self,
        call: Call,
        answered: &Receiver<Result<T, TokenError>>,
    ) -> Result<T, TokenError> {
        let no_answer = || TokenError::NoAnswer {
            library: self.path.clone(),
            seconds: PATIENCE.as_secs(),
        };
        if self.hangs.load(Ordering::SeqCst) {
            return Err(no_answer());
        }
        self.calls.try_send(call).map_err(|_| no_answer())?;
        let answer = answered.recv_timeout(PATIENCE);
        let answer = answer.ok().or_else(|| self.last_look(answered));
        answer.unwrap_or_else(|| Err(no_answer()))
    }

    /// Takes the library as hanging, unless the call has ended by now: then its thread may have
    /// said already that it does not hang, and would not say it again.
    fn last_look<T>(&self, answered: &Receiver<T>) -> Option<T> {
        self.hangs.store(true, Ordering::SeqCst);
        let answer = answered.try_recv().ok()?;
        self.hangs.store(false, Ordering::SeqCst);
        Some(answer)
    }
}

/// Answers calls until the last handle of the library is dropped. Nobody may wait for an answer any
/// more; that is not an error.
fn run(mut sessions: Sessions, calls: &Receiver<Call>, hangs: &AtomicBool) {
    while let Ok(call) = calls.recv() {
        match call {
            Call::Sign {
                key,
                scheme,
                message,
                answer,
            } => {
                let _ = answer.try_send(sessions.sign(&key, scheme, &message));
            }
            Call::PublicKey { key, answer } => {
                let _ = answer.try_send(sessions.public_key(&key));
            }
        }
        hangs.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_answered_at_the_last_moment_does_not_hang() {
        let (calls, _received) = sync_channel(WAITING);
        let library = Library {
            path: PathBuf::from("token.so"),
            calls,
            hangs: Arc::default(),
        };
        let (answer, answered) = sync_channel(1);
        assert_eq!(library.last_look(&answered), None);
        assert!(library.hangs.load(Ordering::SeqCst));

        // Its thread answers and clears the mark between the end of the wait and the last look.
        answer.send(7).unwrap();
        library.hangs.store(false, Ordering::SeqCst);
        assert_eq!(library.last_look(&answered), Some(7));
        assert!(!library.hangs.load(Ordering::SeqCst));
    }
}
