//! `muster ca issue edge-identity`: one identity or many.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ids::Timestamp;
use pki::{Certificate, KeyType, PrivateKey, Profile, Serial, Subject, Validity, prepare};
use zeroize::Zeroizing;

use super::{CaDirectory, days};
use crate::layout::{self, CaPaths};
use crate::{CaError, files};

const IDENTITY_DAYS: u32 = 365;

#[derive(Debug, Clone, Default)]
pub struct IdentityOptions {
    /// How many days they are valid; `None` is one year, or as long as the intermediate
    /// if that is shorter.
    pub days: Option<u32>,
    /// The type of their keys.
    pub key_type: KeyType,
    /// Encrypts their private keys. Azure's device daemons cannot read such keys.
    pub key_passphrase: Option<Zeroizing<String>>,
    pub existing: Existing,
}

/// What happens with an existing identity of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// It is an error, before anything is written.
    #[default]
    Refuse,
    /// It is kept if it is complete, valid and from this hierarchy, else it is an error. So a bulk
    /// run can be repeated after an interruption.
    Skip,
    Replace,
}

/// A new identity with its files.
#[derive(Debug, Clone)]
pub struct EdgeIdentity {
    /// The registration id, which is the certificate's common name.
    pub name: String,
    pub certificate: Certificate,
    /// Certificate, full chain (leaf, intermediate, root) and key.
    pub paths: CaPaths,
}

/// The outcome of a bulk run.
#[derive(Debug, Clone, Default)]
pub struct IssueOutcome {
    /// The new identities, in the order of the names.
    pub issued: Vec<EdgeIdentity>,
    /// The names with an existing identity, complete and from this hierarchy.
    pub skipped: Vec<String>,
}

enum Finished {
    Issued(Box<EdgeIdentity>),
    Skipped(String),
}

impl CaDirectory {
    /// Issues one identity: key, certificate, full chain. [`Existing::Skip`]
    /// acts as [`Existing::Refuse`] here.
    ///
    /// # Errors
    /// When the name is not a registration id, a file of it exists, or `days`
    /// would outlive the intermediate.
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

    /// Issues many identities on several threads. After an interruption it can
    /// be repeated with [`Existing::Skip`].
    ///
    /// `progress` is called once for every name, from any thread.
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
    ) -> Result<Finished, CaError> {
        if options.existing == Existing::Skip && self.is_whole(name, now)? {
            return Ok(Finished::Skipped(name.to_owned()));
        }
        let identity = self.make_identity(name, options, now)?;
        Ok(Finished::Issued(Box::new(identity)))
    }

    /// The certificate is written last. Without it the files are from an interrupted run,
    /// and are made again.
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

    /// Issues one identity without writing files, for devices in memory.
    ///
    /// # Errors
    /// When the name is not a registration id, or `days` would outlive the intermediate.
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
        // The key is made last, because an RSA key takes long and a refusal should not wait for it.
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
    fn from_finished(finished: Vec<(usize, Finished)>) -> Self {
        let mut outcome = Self::default();
        for (_, one) in finished {
            match one {
                Finished::Issued(identity) => outcome.issued.push(*identity),
                Finished::Skipped(name) => outcome.skipped.push(name),
            }
        }
        outcome
    }
}

/// The number of threads: more than cores, because they mostly wait for the disk, which flushes
/// many files at once.
const THREADS: usize = 16;

/// Runs `work` on all threads until all return. Returns the first error.
fn on_all_threads(work: &(dyn Fn() -> Result<(), CaError> + Sync)) -> Result<(), CaError> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let mut outcome = Ok(());
        for worker in workers {
            let result = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome = outcome.and(result);
        }
        outcome
    })
}
