//! `muster ca issue edge-identity`: one, some, or very many.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ids::Timestamp;
use pki::{Certificate, KeyType, PrivateKey, Profile, Serial, Subject, Validity, prepare};
use zeroize::Zeroizing;

use super::{CaDirectory, days};
use crate::layout::{self, CaPaths};
use crate::{CaError, files};

const IDENTITY_DAYS: u32 = 365;

/// How identities are made.
#[derive(Debug, Clone, Default)]
pub struct IdentityOptions {
    /// How many days they live; `None` is one year, or the intermediate's end where that is nearer.
    pub days: Option<u32>,
    /// The kind of their keys.
    pub key_type: KeyType,
    /// Encrypts their private keys; the device daemons of Azure cannot read such keys.
    pub key_passphrase: Option<Zeroizing<String>>,
    /// What happens with identities that are there already.
    pub existing: Existing,
}

/// What happens with an identity that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// An error, before anything is written.
    #[default]
    Refuse,
    /// Left as it is if it is whole, valid and from this hierarchy; an error if not. What an
    /// interrupted bulk run needs.
    Skip,
    Replace,
}

/// A device's new identity and where it was written.
#[derive(Debug, Clone)]
pub struct EdgeIdentity {
    /// The registration id: the certificate's common name.
    pub name: String,
    pub certificate: Certificate,
    /// Certificate, full chain (leaf, intermediate, root) and key.
    pub paths: CaPaths,
}

/// What a bulk issue did.
#[derive(Debug, Clone, Default)]
pub struct IssueOutcome {
    /// Identities made now, in the order of the names.
    pub issued: Vec<EdgeIdentity>,
    /// Names whose identity was there already, whole and from this hierarchy.
    pub skipped: Vec<String>,
}

enum One {
    Issued(Box<EdgeIdentity>),
    Skipped(String),
}

impl CaDirectory {
    /// Issues one identity: key, certificate, full chain. [`Existing::Skip`] is as
    /// [`Existing::Refuse`] here.
    ///
    /// # Errors
    /// When the name is no registration id, a file of it exists, or `days` would outlive the
    /// intermediate.
    pub fn issue_edge_identity(
        &self,
        name: &str,
        options: &IdentityOptions,
        now: Timestamp,
    ) -> Result<EdgeIdentity, CaError> {
        if options.existing != Existing::Replace {
            self.require_new(name)?;
        }
        let identity = self.make_identity(name, options, now)?;
        self.sync()?;
        Ok(identity)
    }

    /// Issues many identities on several threads, and can be repeated after an interruption with
    /// [`Existing::Skip`].
    ///
    /// `progress` is called once for every finished name, from any thread.
    ///
    /// # Errors
    /// The first error; identities made before it stay, except that [`Existing::Refuse`] is decided
    /// before anything is written.
    pub fn issue_edge_identities(
        &self,
        names: &[String],
        options: &IdentityOptions,
        now: Timestamp,
        progress: &(dyn Fn() + Sync),
    ) -> Result<IssueOutcome, CaError> {
        if options.existing == Existing::Refuse {
            names.iter().try_for_each(|name| self.require_new(name))?;
        }
        let finished = Mutex::new(Vec::with_capacity(names.len()));
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let work = || -> Result<(), CaError> {
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(name) = names.get(index) else { break };
                let one = self
                    .make_or_skip(name, options, now)
                    .inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
                finished
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((index, one));
                progress();
            }
            Ok(())
        };
        on_all_threads(&work)?;
        self.sync()?;
        let mut finished = finished
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        finished.sort_by_key(|(index, _)| *index);
        Ok(IssueOutcome::from_finished(finished))
    }

    fn require_new(&self, name: &str) -> Result<(), CaError> {
        let paths = self.identity_paths(name);
        [&paths.certificate, &paths.key, &paths.chain]
            .into_iter()
            .try_for_each(|path| files::require_absent(path))
    }

    fn make_or_skip(
        &self,
        name: &str,
        options: &IdentityOptions,
        now: Timestamp,
    ) -> Result<One, CaError> {
        if options.existing == Existing::Skip && self.is_whole(name, now)? {
            return Ok(One::Skipped(name.to_owned()));
        }
        let identity = self.make_identity(name, options, now)?;
        Ok(One::Issued(Box::new(identity)))
    }

    /// The certificate is written last: without it the rest is from an interrupted run and is made
    /// again.
    fn is_whole(&self, name: &str, now: Timestamp) -> Result<bool, CaError> {
        let paths = self.identity_paths(name);
        if !paths.certificate.exists() {
            return Ok(false);
        }
        let certificate = files::read_certificate(&paths.certificate)?;
        let problem = if !certificate.is_signed_by(self.intermediate()) {
            "another certificate authority issued it"
        } else if certificate.not_after() < now {
            "it has expired"
        } else if !paths.key.exists() || !paths.chain.exists() {
            "its private key or its chain file is missing"
        } else {
            return Ok(true);
        };
        Err(CaError::Unusable {
            path: paths.certificate,
            problem,
        })
    }

    fn make_identity(
        &self,
        name: &str,
        options: &IdentityOptions,
        now: Timestamp,
    ) -> Result<EdgeIdentity, CaError> {
        let (certificate, key) = self.sign_identity(name, options, now)?;
        let key_text = match &options.key_passphrase {
            None => key.to_pem(),
            Some(passphrase) => key
                .to_encrypted_pem(passphrase.as_bytes())
                .map_err(|source| CaError::NewKey {
                    name: name.to_owned(),
                    source,
                })?,
        };
        let paths = self.identity_paths(name);
        let pem = certificate.to_pem();
        let (by, root) = (self.intermediate().to_pem(), self.root.to_pem());
        files::write_private(&paths.key, &key_text)?;
        files::write_public(&paths.chain, &format!("{pem}{by}{root}"))?;
        files::write_public(&paths.certificate, &pem)?;
        Ok(EdgeIdentity {
            name: name.to_owned(),
            certificate,
            paths,
        })
    }

    /// Issues one identity and writes nothing: for devices that live in memory only.
    ///
    /// # Errors
    /// When the name is no registration id, or `days` would outlive the intermediate.
    pub fn sign_identity(
        &self,
        name: &str,
        options: &IdentityOptions,
        now: Timestamp,
    ) -> Result<(Certificate, PrivateKey), CaError> {
        let refused = |source| CaError::Issue {
            name: name.to_owned(),
            source,
        };
        let validity = options
            .days
            .map_or(Validity::UpTo(days(IDENTITY_DAYS)), |asked| {
                Validity::Exactly(days(asked))
            });
        let (profile, issuer) = (Profile::EdgeIdentity, Some(&self.issuer));
        let subject = Subject::common_name(name).map_err(refused)?;
        let serial = Serial::random().map_err(refused)?;
        let token = prepare(profile, &subject, issuer, validity, serial, now)
            .and_then(|prepared| Ok(prepared.lint()?))
            .map_err(refused)?;
        // The key is made last: it is the slow part with RSA, and a refusal should not wait for it.
        let key = PrivateKey::generate(options.key_type).map_err(|source| CaError::NewKey {
            name: name.to_owned(),
            source,
        })?;
        let certificate = token.sign(&key).map_err(refused)?;
        Ok((certificate, key))
    }

    fn sync(&self) -> Result<(), CaError> {
        files::sync_dir(&layout::private(&self.dir))?;
        files::sync_dir(&layout::certs(&self.dir))
    }
}

impl IssueOutcome {
    fn from_finished(finished: Vec<(usize, One)>) -> Self {
        let mut outcome = Self::default();
        for (_, one) in finished {
            match one {
                One::Issued(identity) => outcome.issued.push(*identity),
                One::Skipped(name) => outcome.skipped.push(name),
            }
        }
        outcome
    }
}

/// Threads that issue at once: more than cores, because most of their time they wait for the disk,
/// which syncs many files in one go.
const THREADS: usize = 16;

/// Runs `work` on every thread until all return; the first error wins.
fn on_all_threads(work: &(dyn Fn() -> Result<(), CaError> + Sync)) -> Result<(), CaError> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let mut verdict = Ok(());
        for worker in workers {
            let result = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            verdict = verdict.and(result);
        }
        verdict
    })
}
