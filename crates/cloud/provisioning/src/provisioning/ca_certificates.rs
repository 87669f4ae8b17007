//! Uploaded CA certificates of a provisioning service, and the proof that somebody holds their keys.

use std::fmt::Write as _;
use std::time::Duration;

use ids::{CertificateName, Etag, Thumbprint, Timestamp};
use registry::{Entropy, IfMatch, Particulars, PutDecision, Rows, StorageError, random};
use serde_json::json;
use store::{CaCertificateRow, Tx, View};

use super::Provisioning;
use super::act::Act;
use super::enrollments::parse_key;
use crate::ca_certificate::{
    CaCertificate, CaCertificateDraft, CaCertificateError, CaCertificateState, PossessionShown,
    VerificationCode,
};
use crate::enrollment::EnrollmentKey;
use crate::limits::MAX_CA_CERTIFICATES;

/// How long a verification code counts: a CA that is kept offline needs a walk to its safe.
const CODE_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Entries named in errors and answers at most.
const NAMED: usize = 10;
/// What the audit calls the certificate that something is done to.
const THUMBPRINT: &str = "sha256Thumbprint";

pub(crate) fn standing(rows: Rows<'_>, text: &str) -> Result<CaCertificateState, StorageError> {
    let all = [
        CaCertificateState::Unverified,
        CaCertificateState::Verified,
        CaCertificateState::Withdrawn,
    ];
    let found = all.into_iter().find(|standing| standing.as_str() == text);
    found.ok_or_else(|| rows.damaged("standing", "is not one"))
}

fn record(rows: Rows<'_>, row: CaCertificateRow) -> Result<CaCertificate, StorageError> {
    let code = row.code.zip(row.code_expires).map(|(text, expires)| {
        let expires = Timestamp::from_ticks(expires);
        VerificationCode { text, expires }
    });
    Ok(CaCertificate {
        name: rows.id("authority", row.spelled.try_into())?,
        der: row.der,
        thumbprint: Thumbprint::from_bytes(row.thumbprint),
        standing: standing(rows, &row.standing)?,
        code,
        etag: rows.id("etag", row.etag.try_into())?,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    })
}

impl Provisioning {
    /// Uploads a CA certificate, or replaces one.
    ///
    /// # Errors
    /// See [`CaCertificateError`].
    pub async fn put_ca_certificate(
        &self,
        draft: CaCertificateDraft,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<CaCertificate, CaCertificateError> {
        let put = PutCaCertificate {
            change: self.change(&draft.name, if_match, now),
            draft,
        };
        let target = put.draft.name.to_string();
        let work = move |tx: &Tx<'_>, told: &mut Particulars| {
            let (thumbprint, before) = (put.draft.thumbprint, put.before(tx)?);
            let written = put.run(tx)?;
            told.insert(THUMBPRINT.to_owned(), json!(thumbprint.to_string()));
            told.insert("standing".to_owned(), json!(written.standing.as_str()));
            if let Some(before) = before.filter(|before| *before != thumbprint) {
                told.insert("replacedThumbprint".to_owned(), json!(before.to_string()));
            }
            Ok(written)
        };
        self.act_telling(Act::PutCaCertificate, target, work).await
    }

    /// Reads one.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn ca_certificate(
        &self,
        name: &CertificateName,
    ) -> Result<Option<CaCertificate>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let row = view.ca_certificate(&id_scope, &name.folded())?;
            row.filter(is_there)
                .map(|row| record(Rows { file: view.file() }, row))
                .transpose()
        })
    }

    /// All of them, by name: a service has few.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn ca_certificates(&self) -> Result<Vec<CaCertificate>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let rows = Rows { file: view.file() };
            let found = view.ca_certificates(&id_scope)?.into_iter();
            found.map(|row| record(rows, row)).collect()
        })
    }

    /// Deletes one; returns the enrollments that refer to it, some of them when there are many. They admit nobody by it from
    /// now on.
    ///
    /// # Errors
    /// See [`CaCertificateError`].
    pub async fn delete_ca_certificate(
        &self,
        name: &CertificateName,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<Vec<EnrollmentKey>, CaCertificateError> {
        let change = self.change(name, if_match, now);
        let work = move |tx: &Tx<'_>, told: &mut Particulars| {
            change.tell(tx, told)?;
            change.delete(tx)
        };
        self.act_telling(Act::DeleteCaCertificate, name, work).await
    }

    /// Hands out a fresh verification code, which replaces the one before.
    ///
    /// # Errors
    /// See [`CaCertificateError`].
    pub async fn new_verification_code(
        &self,
        name: &CertificateName,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<CaCertificate, CaCertificateError> {
        let change = self.change(name, if_match, now);
        let code = fresh_code(&**self.registry.entropy());
        let work = move |tx: &Tx<'_>, told: &mut Particulars| {
            change.tell(tx, told)?;
            let mut row = change.stored(tx)?;
            row.code = Some(code);
            row.code_expires = Some(change.now.plus(CODE_LIFE).ticks());
            change.write(tx, row)
        };
        self.act_telling(Act::NewVerificationCode, name, work).await
    }

    /// Takes the proof of possession: a certificate named like the code, signed with the authority's key.
    ///
    /// # Errors
    /// See [`CaCertificateError`].
    pub async fn verify_ca_certificate(
        &self,
        name: &CertificateName,
        if_match: &IfMatch,
        shown: PossessionShown,
        now: Timestamp,
    ) -> Result<CaCertificate, CaCertificateError> {
        let change = self.change(name, if_match, now);
        let work = move |tx: &Tx<'_>, told: &mut Particulars| {
            change.tell(tx, told)?;
            change.verify(tx, &shown)
        };
        self.act_telling(Act::VerifyCaCertificate, name, work).await
    }

    fn change(&self, name: &CertificateName, if_match: &IfMatch, now: Timestamp) -> Change {
        Change {
            id_scope: self.id_scope(),
            name: name.clone(),
            if_match: if_match.clone(),
            etag: self.registry.fresh_etag(),
            now,
        }
    }
}

/// 24 random bytes in upper-case hexadecimal: Azure's codes look like that, and a common name holds it.
fn fresh_code(entropy: &dyn Entropy) -> String {
    random::<24>(entropy)
        .iter()
        .fold(String::with_capacity(48), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02X}");
            text
        })
}

fn is_there(row: &CaCertificateRow) -> bool {
    row.standing != CaCertificateState::Withdrawn.as_str()
}

/// One change of an authority on the writer's thread.
struct Change {
    id_scope: String,
    name: CertificateName,
    if_match: IfMatch,
    etag: Etag,
    now: Timestamp,
}

impl Change {
    /// The row to be changed, if it is there and of the version wanted.
    fn stored(&self, tx: &Tx<'_>) -> Result<CaCertificateRow, CaCertificateError> {
        let row = tx.ca_certificate(&self.id_scope, &self.name.folded())?;
        let row = row
            .filter(is_there)
            .ok_or_else(|| CaCertificateError::NotFound(self.name.clone()))?;
        let etag = Rows { file: tx.file() }.id("etag", Etag::parse(&row.etag))?;
        if !self.if_match.allows(&etag) {
            return Err(CaCertificateError::PreconditionFailed(self.name.clone()));
        }
        Ok(row)
    }

    /// Which certificate it was that something was done to: names are given to others later.
    fn tell(&self, tx: &Tx<'_>, told: &mut Particulars) -> Result<(), CaCertificateError> {
        let thumbprint = Thumbprint::from_bytes(self.stored(tx)?.thumbprint);
        told.insert(THUMBPRINT.to_owned(), json!(thumbprint.to_string()));
        Ok(())
    }

    fn write(
        &self,
        tx: &Tx<'_>,
        mut row: CaCertificateRow,
    ) -> Result<CaCertificate, CaCertificateError> {
        row.etag = self.etag.to_string();
        row.updated = self.now.ticks();
        match row.id {
            0 => row.id = tx.insert_ca_certificate(&self.id_scope, &row)?,
            _ => tx.update_ca_certificate(&row)?,
        }
        Ok(record(Rows { file: tx.file() }, row)?)
    }

    fn delete(self, tx: &Tx<'_>) -> Result<Vec<EnrollmentKey>, CaCertificateError> {
        let mut row = self.stored(tx)?;
        let entries = entries(tx, row.id)?;
        if entries.is_empty() {
            tx.delete_ca_certificate(row.id)?;
            return Ok(entries);
        }
        CaCertificateState::Withdrawn
            .as_str()
            .clone_into(&mut row.standing);
        (row.code, row.code_expires) = (None, None);
        tx.touch_entries_of_ca_certificate(row.id, self.etag.as_str())?;
        self.write(tx, row)?;
        Ok(entries)
    }

    fn verify(
        self,
        tx: &Tx<'_>,
        shown: &PossessionShown,
    ) -> Result<CaCertificate, CaCertificateError> {
        let mut row = self.stored(tx)?;
        let is_code = row
            .code
            .as_deref()
            .is_some_and(|code| code.eq_ignore_ascii_case(&shown.code));
        // Another certificate may have taken the name since the proof was looked at.
        if !is_code || row.thumbprint != *shown.ca_certificate.as_bytes() {
            return Err(CaCertificateError::OtherCode {
                name: self.name,
                shown: shown.code.chars().take(128).collect(),
            });
        }
        let expires = Timestamp::from_ticks(row.code_expires.unwrap_or_default());
        if expires < self.now {
            return Err(CaCertificateError::CodeExpired {
                name: self.name,
                expired: expires,
            });
        }
        CaCertificateState::Verified
            .as_str()
            .clone_into(&mut row.standing);
        (row.code, row.code_expires) = (None, None);
        tx.touch_entries_of_ca_certificate(row.id, self.etag.as_str())?;
        self.write(tx, row)
    }
}

/// One upload on the writer's thread.
struct PutCaCertificate {
    change: Change,
    draft: CaCertificateDraft,
}

impl PutCaCertificate {
    /// The certificate that had the name before, also one that was deleted while enrollments referred to it.
    fn before(&self, tx: &Tx<'_>) -> Result<Option<Thumbprint>, CaCertificateError> {
        let row = tx.ca_certificate(&self.change.id_scope, &self.draft.name.folded())?;
        Ok(row.map(|row| Thumbprint::from_bytes(row.thumbprint)))
    }

    fn run(self, tx: &Tx<'_>) -> Result<CaCertificate, CaCertificateError> {
        let Change { id_scope, name, .. } = &self.change;
        let row = tx.ca_certificate(id_scope, &name.folded())?;
        let rows = Rows { file: tx.file() };
        let etag = row
            .as_ref()
            .filter(|row| is_there(row))
            .map(|row| rows.id("etag", Etag::parse(&row.etag)))
            .transpose()?;
        match self.change.if_match.decide_put(etag.as_ref()) {
            PutDecision::Create => self.create(tx, row),
            PutDecision::Replace => match row {
                Some(row) => self.replace(tx, row),
                None => Err(CaCertificateError::NotFound(self.draft.name)),
            },
            PutDecision::Conflict => Err(CaCertificateError::Exists(self.draft.name)),
            PutDecision::Mismatch if etag.is_none() => {
                Err(CaCertificateError::NotFound(self.draft.name))
            }
            PutDecision::Mismatch => Err(CaCertificateError::PreconditionFailed(self.draft.name)),
        }
    }

    /// `withdrawn` is what is left of a deleted one of this name: the enrollments that refer to it follow the name.
    fn create(
        self,
        tx: &Tx<'_>,
        withdrawn: Option<CaCertificateRow>,
    ) -> Result<CaCertificate, CaCertificateError> {
        let there = tx.ca_certificates(&self.change.id_scope)?.len();
        if there >= MAX_CA_CERTIFICATES {
            return Err(CaCertificateError::TooMany(MAX_CA_CERTIFICATES));
        }
        let id = withdrawn.map_or(0, |row| row.id);
        let now = self.change.now.ticks();
        let row = CaCertificateRow {
            id,
            folded: self.draft.name.folded(),
            spelled: self.draft.name.to_string(),
            thumbprint: *self.draft.thumbprint.as_bytes(),
            subject: Vec::new(),
            der: Vec::new(),
            standing: CaCertificateState::Unverified.as_str().to_owned(),
            code: None,
            code_expires: None,
            etag: String::new(),
            created: now,
            updated: now,
        };
        self.write(tx, row)
    }

    fn replace(
        self,
        tx: &Tx<'_>,
        row: CaCertificateRow,
    ) -> Result<CaCertificate, CaCertificateError> {
        let is_same = row.thumbprint == *self.draft.thumbprint.as_bytes();
        let is_relied_on = row.standing == CaCertificateState::Verified.as_str();
        if is_relied_on && !(is_same && self.draft.verified != Some(false)) {
            let entries = entries(tx, row.id)?;
            if !entries.is_empty() {
                let name = self.draft.name;
                return Err(CaCertificateError::InUse { name, entries });
            }
        }
        let mut row = row;
        if !is_same {
            CaCertificateState::Unverified
                .as_str()
                .clone_into(&mut row.standing);
            (row.code, row.code_expires) = (None, None);
        }
        self.write(tx, row)
    }

    fn write(
        self,
        tx: &Tx<'_>,
        mut row: CaCertificateRow,
    ) -> Result<CaCertificate, CaCertificateError> {
        let Self { change, draft } = self;
        require_free(tx, &change.id_scope, &row, draft.thumbprint)?;
        let standing = match draft.verified {
            Some(true) => Some(CaCertificateState::Verified),
            Some(false) => Some(CaCertificateState::Unverified),
            None => None,
        };
        if let Some(standing) = standing {
            standing.as_str().clone_into(&mut row.standing);
        }
        row.thumbprint = *draft.thumbprint.as_bytes();
        row.subject = draft.subject;
        row.der = draft.der;
        if row.id != 0 {
            tx.touch_entries_of_ca_certificate(row.id, change.etag.as_str())?;
        }
        change.write(tx, row)
    }
}

/// One certificate has one name.
fn require_free(
    tx: &Tx<'_>,
    id_scope: &str,
    row: &CaCertificateRow,
    thumbprint: Thumbprint,
) -> Result<(), CaCertificateError> {
    let other = tx.ca_certificate_of_certificate(id_scope, thumbprint.as_bytes())?;
    match other.filter(|other| other.id != row.id) {
        Some(other) => Err(CaCertificateError::CertificateTaken {
            thumbprint,
            other: Rows { file: tx.file() }.id("authority", other.spelled.try_into())?,
        }),
        None => Ok(()),
    }
}

fn entries(view: &View<'_>, ca_certificate: i64) -> Result<Vec<EnrollmentKey>, StorageError> {
    let rows = Rows { file: view.file() };
    let found = view
        .entries_of_ca_certificate(ca_certificate, NAMED)?
        .into_iter();
    found
        .map(|(kind, spelled)| parse_key(rows, &kind, &spelled))
        .collect()
}
