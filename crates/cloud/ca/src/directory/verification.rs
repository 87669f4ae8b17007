//! `muster ca issue verification`: proves possession of a CA's key to a provisioning service.

use ids::ProfileKind;
use std::path::{Path, PathBuf};

use ids::Timestamp;
use pki::{
    Certificate, IssueError, Issuer, KeyType, PrivateKey, Profile, Serial, Subject, Validity,
    prepare,
};

use super::journal::{IssuedLine, Journal};
use super::{CaDirectory, days, open_issuer};
use crate::{CaError, files, layout};

/// It is used once, right after it is issued.
const DAYS: u32 = 1;

/// The CA whose key is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signer {
    #[default]
    Root,
    Intermediate,
}

impl CaDirectory {
    /// Issues a certificate with a verification code as its common name, signed by the root or the
    /// intermediate, and writes it where Azure's scripts do. An earlier one is replaced. Its own
    /// key is not kept, because it is not needed.
    ///
    /// # Errors
    /// When the code is not a common name, or a file cannot be read or written.
    pub fn issue_verification(
        dir: &Path,
        code: &str,
        signer: Signer,
        passphrase: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(Certificate, PathBuf), CaError> {
        let by = match signer {
            Signer::Root => layout::root(dir),
            Signer::Intermediate => layout::intermediate(dir),
        };
        for wanted in [&by.certificate, &by.key] {
            if !wanted.exists() {
                return Err(CaError::NotInitialized {
                    dir: dir.to_owned(),
                    missing: wanted.clone(),
                });
            }
        }
        let issuer = open_issuer(&by.certificate, &by.key, passphrase)?;
        let certificate = sign(code, &issuer, now)?;
        let kind = ProfileKind::Verification.name();
        let line = IssuedLine::new(&certificate, kind, issuer.certificate(), now);
        Journal::open(dir)?.append(&[line])?;
        let path = layout::verification(dir);
        files::write_public(&path, &certificate.to_pem())?;
        files::sync_dir(&layout::certs(dir))?;
        Ok((certificate, path))
    }
}

fn sign(code: &str, issuer: &Issuer, now: Timestamp) -> Result<Certificate, CaError> {
    let name = || code.chars().take(64).collect();
    let key = PrivateKey::generate(KeyType::Ec).map_err(|source| CaError::NewKey {
        name: name(),
        source,
    })?;
    let signed = || -> Result<Certificate, IssueError> {
        let subject = Subject::common_name(code)?;
        let (profile, validity) = (Profile::Verification, Validity::UpTo(days(DAYS)));
        let serial = Serial::random()?;
        prepare(profile, &subject, Some(issuer), validity, serial, now)?
            .lint()?
            .sign(&key)
    };
    signed().map_err(|source| CaError::Issue {
        name: name(),
        source,
    })
}
