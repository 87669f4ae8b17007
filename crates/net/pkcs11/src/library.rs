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
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// A TPM looks for the primes of an RSA key for a minute.
pub(super) const PATIENCE_TO_MAKE: Duration = Duration::from_secs(120);
/// How many calls may wait for the thread of a library.
const WAITING: usize = 64;

/// The libraries that are loaded, each once.
#[derive(Default)]
pub struct Libraries {
    allowed: AllowedLibraries,
    open: Mutex<HashMap<PathBuf, Arc<Library>>>,
}

impl std::fmt::Debug for Libraries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Libraries({:?})", self.allowed)
    }
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
pub(super) struct Library {
    path: PathBuf,
    calls: SyncSender<Call>,
    /// A call has taken longer than the patience and still runs. Others do not wait for it.
    hangs: Arc<AtomicBool>,
}

/// What the thread does next. It sends its own answer.
type Call = Box<dyn FnOnce(&mut Sessions) + Send>;

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

    /// Signs a digest.
    pub(super) fn sign(
        &self,
        key: &Arc<TokenKeyReference>,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let (key, digest) = (key.clone(), digest.to_vec());
        self.call(PATIENCE, move |sessions| {
            sessions.sign(&key, scheme, &digest)
        })
    }

    pub(super) fn public_key(&self, key: &Arc<TokenKeyReference>) -> Result<PublicKey, TokenError> {
        let key = key.clone();
        self.call(PATIENCE, move |sessions| sessions.public_key(&key))
    }

    /// Has the thread of the library do something, and waits for its answer.
    pub(super) fn call<T: Send + 'static>(
        &self,
        patience: Duration,
        act: impl FnOnce(&mut Sessions) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, TokenError> {
        let no_answer = || TokenError::NoAnswer {
            library: self.path.clone(),
            seconds: patience.as_secs(),
        };
        if self.hangs.load(Ordering::SeqCst) {
            return Err(no_answer());
        }
        let (answer, answered) = sync_channel(1);
        let call: Call = Box::new(move |sessions| {
            // Nobody may wait for an answer any more; that is not an error.
            let _ = answer.try_send(act(sessions));
        });
        self.calls.try_send(call).map_err(|_| no_answer())?;
        let answer = answered.recv_timeout(patience);
        let answer = answer.ok().or_else(|| self.last_look(&answered));
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

/// Answers calls until the last handle of the library is dropped.
fn run(mut sessions: Sessions, calls: &Receiver<Call>, hangs: &AtomicBool) {
    while let Ok(call) = calls.recv() {
        call(&mut sessions);
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
