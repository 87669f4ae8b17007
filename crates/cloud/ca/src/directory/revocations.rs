//! `W/index/revoked.jsonl`: what was revoked, held and restored, and the numbers of the lists that
//! were made. Lines are appended and never changed.

mod lists;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ids::{CertificateSerial, Thumbprint, Timestamp};
use pki::{Certificate, RevocationReason};
use serde::{Deserialize, Serialize};

use super::CaDirectory;
use super::journal::{Lock, append_line};
use crate::{CaError, files, layout};
pub use lists::{CrlOptions, WrittenCrl};

/// The most that the file of a CA with a few million revocations has.
const MAX_BYTES: u64 = 2 << 30;

/// What an operator does with an issued certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationChange {
    /// For ever, or until it is restored when the reason is `certificateHold`.
    Revoke(RevocationReason),
    /// Ends the revocation for `certificateHold`; any other stands.
    Restore,
}

/// The state of a certificate after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateState {
    pub serial: String,
    pub name: String,
    /// The subject of the CA that issued it.
    pub issuer: String,
    /// `None` when it is valid again.
    pub revoked: Option<RevokedSince>,
    /// Whether it was in this state before.
    pub was_before: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedSince {
    pub when: Timestamp,
    pub reason: RevocationReason,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "event")]
enum Event {
    #[serde(rename_all = "camelCase")]
    Revoked {
        serial: CertificateSerial,
        /// The SHA-256 of the certificate of the CA that issued it.
        ca: Thumbprint,
        name: String,
        reason: String,
        when: Timestamp,
    },
    #[serde(rename_all = "camelCase")]
    Restored {
        serial: CertificateSerial,
        ca: Thumbprint,
        when: Timestamp,
    },
    /// A list with this number may exist.
    #[serde(rename_all = "camelCase")]
    List {
        ca: Thumbprint,
        number: u64,
        when: Timestamp,
    },
}

/// What the lines amount to.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    revoked: HashMap<(Thumbprint, CertificateSerial), RevokedSince>,
    numbers: HashMap<Thumbprint, u64>,
}

fn path(dir: &Path) -> PathBuf {
    layout::index(dir).join("revoked.jsonl")
}

impl Revocations {
    pub(super) fn read(dir: &Path) -> Result<Self, CaError> {
        let path = path(dir);
        let text = match files::read_at_most(&path, MAX_BYTES) {
            Ok(text) => text,
            Err(CaError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(error),
        };
        let mut found = Self::default();
        for (number, line) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
            if !line.ends_with(b"\n") {
                // A killed process did not finish it, and the next writer cuts it.
                break;
            }
            let line = serde_json::from_slice(line).ok();
            let added = line.and_then(|line| found.add(line));
            added.ok_or_else(|| CaError::Record {
                path: path.clone(),
                line: number,
            })?;
        }
        Ok(found)
    }

    fn add(&mut self, line: Event) -> Option<()> {
        match line {
            Event::Revoked {
                serial,
                ca,
                reason,
                when,
                ..
            } => {
                let reason = RevocationReason::parse(&reason)?;
                self.revoked
                    .insert((ca, serial), RevokedSince { when, reason });
            }
            Event::Restored { serial, ca, .. } => {
                self.revoked.remove(&(ca, serial));
            }
            Event::List { ca, number, .. } => {
                self.numbers.insert(ca, number);
            }
        }
        Some(())
    }

    pub(super) fn find(&self, ca: Thumbprint, serial: CertificateSerial) -> Option<RevokedSince> {
        self.revoked.get(&(ca, serial)).copied()
    }
}

impl CaDirectory {
    /// Revokes, holds or restores a certificate that this folder issued. No key is needed; the
    /// change is in the next list ([`write_crl`](Self::write_crl)).
    ///
    /// # Errors
    /// When no CA of the folder signed the certificate, or it is revoked for another reason, or
    /// what is to be restored is not held.
    pub fn revoke(
        dir: &Path,
        certificate: &Certificate,
        change: RevocationChange,
        now: Timestamp,
    ) -> Result<CertificateState, CaError> {
        let _lock = Lock::acquire(dir)?;
        Self::revoke_locked(dir, certificate, change, now)
    }

    /// Notes that another intermediate took the place of this one.
    pub(super) fn supersede(
        dir: &Path,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Result<(), CaError> {
        let superseded = RevocationChange::Revoke(RevocationReason::Superseded);
        Self::revoke_locked(dir, certificate, superseded, now)?;
        Ok(())
    }

    fn revoke_locked(
        dir: &Path,
        certificate: &Certificate,
        change: RevocationChange,
        now: Timestamp,
    ) -> Result<CertificateState, CaError> {
        let issuer = issuer_of(dir, certificate)?;
        let name = certificate
            .subject_common_name()
            .unwrap_or_default()
            .to_owned();
        let serial = certificate.serial().map_err(|error| CaError::Revocation {
            name: name.clone(),
            serial: certificate.serial_hex().to_owned(),
            problem: error.to_string(),
        })?;
        let ca = issuer.sha256();
        let before = Revocations::read(dir)?.find(ca, serial);
        let mut state = CertificateState {
            serial: certificate.serial_hex().to_owned(),
            name: name.clone(),
            issuer: issuer.subject(),
            revoked: before,
            was_before: true,
        };
        let line = match decide(before, change, now) {
            Ok(Decision::Nothing) => return Ok(state),
            Ok(Decision::Revoke(since)) => {
                state.revoked = Some(since);
                let (reason, when) = (since.reason.name().to_owned(), since.when);
                Event::Revoked {
                    serial,
                    ca,
                    name,
                    reason,
                    when,
                }
            }
            Ok(Decision::Restore) => {
                state.revoked = None;
                Event::Restored {
                    serial,
                    ca,
                    when: now,
                }
            }
            Err(problem) => {
                return Err(CaError::Revocation {
                    name,
                    serial: state.serial,
                    problem,
                });
            }
        };
        append_line(&path(dir), &line)?;
        files::sync_dir(&layout::index(dir))?;
        state.was_before = false;
        Ok(state)
    }
}

enum Decision {
    Nothing,
    Revoke(RevokedSince),
    Restore,
}

fn decide(
    before: Option<RevokedSince>,
    change: RevocationChange,
    now: Timestamp,
) -> Result<Decision, String> {
    let hold = RevocationReason::CertificateHold;
    match (before, change) {
        (None, RevocationChange::Revoke(reason)) => {
            Ok(Decision::Revoke(RevokedSince { when: now, reason }))
        }
        (Some(since), RevocationChange::Revoke(reason)) if since.reason == reason => {
            Ok(Decision::Nothing)
        }
        // The time of a revocation that follows a hold is that of the hold (RFC 5280, 5.3.1).
        (Some(since), RevocationChange::Revoke(reason)) if since.reason == hold => {
            Ok(Decision::Revoke(RevokedSince {
                when: since.when,
                reason,
            }))
        }
        (Some(since), RevocationChange::Revoke(_)) => Err(format!(
            "it is revoked already, since {}, for the reason {}",
            since.when.in_seconds(),
            since.reason.name()
        )),
        (Some(since), RevocationChange::Restore) if since.reason == hold => Ok(Decision::Restore),
        (Some(_), RevocationChange::Restore) => {
            Err("it is revoked for ever; only a hold can be ended".to_owned())
        }
        (None, RevocationChange::Restore) => Err("it is not on hold".to_owned()),
    }
}

/// The CA certificate of the folder that signed a certificate.
fn issuer_of(dir: &Path, certificate: &Certificate) -> Result<Certificate, CaError> {
    let candidates = [
        layout::intermediate(dir),
        layout::previous_intermediate(dir),
        layout::root(dir),
        layout::previous_root(dir),
    ];
    for paths in candidates {
        if !paths.certificate.exists() {
            continue;
        }
        let issuer = files::read_certificate(&paths.certificate)?;
        if certificate.is_issued_by_name(&issuer) && certificate.is_signed_by(&issuer) {
            return Ok(issuer);
        }
    }
    Err(CaError::NotIssuedHere {
        subject: certificate.subject(),
        dir: dir.to_owned(),
    })
}
