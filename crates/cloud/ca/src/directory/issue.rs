//! `muster ca issue`: keys and certificates for one name or many.

use std::collections::HashMap;

use ids::Timestamp;
use pki::{
    Certificate, KeyType, PrivateKey, Profile, Serial, Subject, Validity, export_pkcs12, prepare,
};
use zeroize::Zeroizing;

use super::journal::{IssuedIndex, IssuedLine, Journal, KeyId};
use super::kind::{IdentityKind, NamedIdentity};
use super::revocations::Revocations;
use super::{CaDirectory, days};
use crate::files::Flush;
use crate::layout::{self, CaPaths};
use crate::workers::{BATCH, in_parallel};
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
    /// Also writes PKCS#12 files, as Azure's scripts do, with this passphrase, which may be empty.
    pub pfx_passphrase: Option<Zeroizing<String>>,
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
pub struct IssuedIdentity {
    pub name: String,
    pub certificate: Certificate,
    /// Certificate, full chain (leaf, intermediate, root), key, and PKCS#12 if it was asked for.
    pub paths: CaPaths,
}

/// The outcome of a bulk run.
#[derive(Debug, Clone, Default)]
pub struct IssueOutcome {
    /// The new identities, in the order of the names.
    pub issued: Vec<IssuedIdentity>,
    /// The names with an existing identity, complete and from this hierarchy.
    pub skipped: Vec<String>,
}

/// What a name needs.
enum Step {
    /// Nothing: its files are complete.
    Nothing,
    /// Its certificate is in the records, and its files were not finished.
    Write(Box<(Certificate, PrivateKey)>),
    /// It was signed now and is not recorded yet.
    Record(Box<(Certificate, PrivateKey)>),
}

impl CaDirectory {
    /// Issues many identities on all cores. After an interruption, repeat it with
    /// [`Existing::Skip`]: what is there stays.
    ///
    /// `progress` is called once for every name, from any thread.
    ///
    /// # Errors
    /// The first error; identities made before it stay, except that unusable names and
    /// [`Existing::Refuse`] are decided before anything is written.
    pub fn issue(
        &self,
        kind: &IdentityKind,
        names: &[String],
        options: &IdentityOptions,
        now: Timestamp,
        progress: &(dyn Fn() + Sync),
    ) -> Result<IssueOutcome, CaError> {
        let named = self.named(kind, names)?;
        if options.existing == Existing::Refuse {
            named.iter().try_for_each(require_new)?;
        }
        let mut run = Run {
            ca: self,
            options,
            now,
            journal: Journal::open(&self.dir)?,
            index: None,
            revocations: Revocations::read(&self.dir)?,
            flush: if names.len() > BATCH {
                Flush::Later
            } else {
                Flush::Now
            },
        };
        let mut outcome = IssueOutcome::default();
        for batch in named.chunks(BATCH) {
            run.batch(batch, progress, &mut outcome)?;
        }
        if run.flush == Flush::Later {
            files::sync_filesystem(&self.dir)?;
        }
        Ok(outcome)
    }

    fn named(&self, kind: &IdentityKind, names: &[String]) -> Result<Vec<NamedIdentity>, CaError> {
        let mut seen = HashMap::with_capacity(names.len());
        let mut named = Vec::with_capacity(names.len());
        for name in names {
            if seen.insert(name.to_ascii_lowercase(), ()).is_some() {
                return Err(CaError::Name {
                    name: name.clone(),
                    problem: "it is there twice; names that differ in case only are the same",
                });
            }
            named.push(kind.named(&self.dir, name)?);
        }
        Ok(named)
    }

    /// Issues one identity without writing files or records, for devices in memory.
    ///
    /// # Errors
    /// When the name is not a registration id, or `days` would outlive the intermediate.
    pub fn sign_identity(
        &self,
        name: &str,
        options: &IdentityOptions,
        now: Timestamp,
    ) -> Result<(Certificate, PrivateKey), CaError> {
        let subject = Subject::common_name(name).map_err(|source| CaError::Issue {
            name: name.to_owned(),
            source,
        })?;
        self.sign(Profile::EdgeIdentity, &subject, options, now)
    }

    fn sign(
        &self,
        profile: Profile,
        subject: &Subject,
        options: &IdentityOptions,
        now: Timestamp,
    ) -> Result<(Certificate, PrivateKey), CaError> {
        let refused = |source| CaError::Issue {
            name: subject.as_str().to_owned(),
            source,
        };
        let validity = validity(options.days);
        let serial = Serial::random().map_err(refused)?;
        let token = prepare(profile, subject, Some(&self.issuer), validity, serial, now)
            .and_then(|prepared| Ok(prepared.lint()?))
            .map_err(refused)?;
        // The key is made last, because an RSA key takes long and a refusal should not wait for it.
        let key = PrivateKey::generate(options.key_type).map_err(|source| CaError::NewKey {
            name: subject.as_str().to_owned(),
            source,
        })?;
        let certificate = token.sign(&key).map_err(refused)?;
        Ok((certificate, key))
    }
}

pub(super) fn validity(asked: Option<u32>) -> Validity {
    asked.map_or(Validity::UpTo(days(IDENTITY_DAYS)), |asked| {
        Validity::Exactly(days(asked))
    })
}

fn require_new(named: &NamedIdentity) -> Result<(), CaError> {
    let paths = &named.paths;
    [&paths.certificate, &paths.key, &paths.chain, &paths.pfx]
        .into_iter()
        .try_for_each(|path| files::require_absent(path))
}

/// One call of [`CaDirectory::issue`].
struct Run<'a> {
    ca: &'a CaDirectory,
    options: &'a IdentityOptions,
    now: Timestamp,
    journal: Journal,
    /// Read when the files of an interrupted run are found.
    index: Option<IssuedIndex>,
    revocations: Revocations,
    flush: Flush,
}

impl Run<'_> {
    /// Keys are durable before certificates are recorded, and certificates are recorded before
    /// their files are written.
    fn batch(
        &mut self,
        batch: &[NamedIdentity],
        progress: &(dyn Fn() + Sync),
        outcome: &mut IssueOutcome,
    ) -> Result<(), CaError> {
        let interrupted =
            |one: &NamedIdentity| one.paths.key.exists() && !one.paths.certificate.exists();
        let may_resume = self.options.existing == Existing::Skip;
        if may_resume && self.index.is_none() && batch.iter().any(interrupted) {
            self.index = Some(self.journal.index()?);
        }
        let steps = in_parallel(batch, |one| self.step(one));
        let steps = steps.into_iter().collect::<Result<Vec<_>, _>>()?;
        files::sync_dir(&layout::private(&self.ca.dir))?;
        let ca = self.ca.intermediate();
        let lines: Vec<_> = batch
            .iter()
            .zip(&steps)
            .filter_map(|(one, step)| match step {
                Step::Record(made) => Some(IssuedLine::new(&made.0, one.kind.name(), ca, self.now)),
                Step::Nothing | Step::Write(_) => None,
            })
            .collect();
        self.journal.append(&lines)?;
        let work: Vec<_> = batch.iter().zip(&steps).collect();
        let written = in_parallel(&work, |(one, step)| {
            let written = self.write(one, step);
            progress();
            written
        });
        written.into_iter().collect::<Result<(), _>>()?;
        files::sync_dir(&layout::certs(&self.ca.dir))?;
        for (one, step) in batch.iter().zip(steps) {
            match step {
                Step::Nothing => outcome.skipped.push(one.name.clone()),
                Step::Write(made) | Step::Record(made) => outcome.issued.push(IssuedIdentity {
                    name: one.name.clone(),
                    certificate: made.0,
                    paths: one.paths.clone(),
                }),
            }
        }
        Ok(())
    }

    fn step(&self, one: &NamedIdentity) -> Result<Step, CaError> {
        if self.options.existing == Existing::Skip {
            if self.is_whole(one)? {
                return Ok(Step::Nothing);
            }
            if let Some(recorded) = self.recorded(one)? {
                return Ok(Step::Write(Box::new(recorded)));
            }
        }
        let made = self
            .ca
            .sign(one.profile.clone(), &one.subject, self.options, self.now)?;
        files::write_private(&one.paths.key, &self.key_text(one, &made.1)?)?;
        Ok(Step::Record(Box::new(made)))
    }

    /// The certificate is written last. Without it the files are from an interrupted run.
    fn is_whole(&self, one: &NamedIdentity) -> Result<bool, CaError> {
        let paths = &one.paths;
        if !paths.certificate.exists() {
            return Ok(false);
        }
        let certificate = files::read_certificate(&paths.certificate)?;
        let problem = if !certificate.is_signed_by(self.ca.intermediate()) {
            "another certificate authority issued it"
        } else if certificate.not_after() < self.now {
            "it has expired"
        } else if self.is_revoked(&certificate) {
            "it is revoked"
        } else if !paths.key.exists() || !paths.chain.exists() {
            "its private key or its chain file is missing"
        } else if self.options.pfx_passphrase.is_some() && !paths.pfx.exists() {
            "its PKCS#12 file is missing"
        } else {
            return Ok(true);
        };
        Err(CaError::Unusable {
            path: paths.certificate.clone(),
            problem,
        })
    }

    fn is_revoked(&self, certificate: &Certificate) -> bool {
        let ca = self.ca.intermediate().sha256();
        let serial = certificate.serial();
        serial.is_ok_and(|serial| self.revocations.find(ca, serial).is_some())
    }

    fn recorded(&self, one: &NamedIdentity) -> Result<Option<(Certificate, PrivateKey)>, CaError> {
        let Some(index) = &self.index else {
            return Ok(None);
        };
        if !one.paths.key.exists() {
            return Ok(None);
        }
        let passphrase = self.options.key_passphrase.as_ref();
        let key = files::read_key(&one.paths.key, passphrase.map(|text| text.as_bytes()))?;
        let ca = self.ca.intermediate().sha256();
        let key_id = KeyId::of_spki(&key.spki_der());
        let found = index.find(ca, one.kind.name(), &one.common_name, key_id);
        let Some(found) = found.filter(|found| found.not_after > self.now) else {
            return Ok(None);
        };
        let certificate = self.journal.certificate(found.offset, found.length)?;
        Ok(Some((certificate, key)))
    }

    fn key_text(
        &self,
        one: &NamedIdentity,
        key: &PrivateKey,
    ) -> Result<Zeroizing<String>, CaError> {
        let Some(passphrase) = &self.options.key_passphrase else {
            return Ok(key.to_pem());
        };
        key.to_encrypted_pem(passphrase.as_bytes())
            .map_err(|source| CaError::NewKey {
                name: one.name.clone(),
                source,
            })
    }

    fn write(&self, one: &NamedIdentity, step: &Step) -> Result<(), CaError> {
        let (Step::Write(made) | Step::Record(made)) = step else {
            return Ok(());
        };
        let (certificate, key) = made.as_ref();
        if let Some(passphrase) = &self.options.pfx_passphrase {
            let issuers = [self.ca.intermediate(), &self.ca.root];
            let pfx = export_pkcs12(&one.common_name, certificate, &issuers, key, passphrase);
            let pfx = pfx.map_err(|source| CaError::NewKey {
                name: one.name.clone(),
                source,
            })?;
            files::write_private_bytes(&one.paths.pfx, &pfx, self.flush)?;
        }
        let (pem, chain) = (certificate.to_pem(), self.ca.chain_of(certificate));
        files::write_one_of_many(&one.paths.chain, &chain, self.flush)?;
        files::write_one_of_many(&one.paths.certificate, &pem, self.flush)
    }
}
