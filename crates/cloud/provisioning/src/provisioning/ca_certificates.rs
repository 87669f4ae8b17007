//! Uploaded CA certificates of a provisioning service, and the proof that an
//! operator holds their keys.

use std::fmt::Write as _;
use std::time::Duration;

use ids::{CertificateName, Timestamp};
use registry::{Entropy, IfMatch, Particulars, StorageError, random};
use serde_json::json;
use store::{
    CaCertificateRow, CaCertificateState, EnrollmentKey, Lock, StoreError, Tx, Unit,
    VerificationCode, View, unit,
};

use super::Provisioning;
use super::act::Act;
use super::issuers::NAMED;
use crate::ca_certificate::{
    CaCertificate, CaCertificateDraft, CaCertificateError, PossessionProof,
};

mod put;
mod stored;

use put::PutCaCertificate;
use stored::Change;

/// How long a verification code counts: the key of an offline CA has to be fetched from a safe.
const CODE_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// What the audit calls the certificate that an act is about.
const THUMBPRINT: &str = "sha256Thumbprint";

fn record(row: CaCertificateRow) -> CaCertificate {
    CaCertificate {
        name: row.name,
        der: row.der,
        thumbprint: row.thumbprint,
        state: row.state,
        code: row.code,
        etag: row.etag,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    }
}

/// Names are given to other certificates later: the audit says which certificate an act was about.
fn particulars(row: &CaCertificateRow) -> Particulars {
    let mut particulars = Particulars::new();
    particulars.insert(THUMBPRINT.to_owned(), json!(row.thumbprint.to_string()));
    particulars
}

impl Provisioning {
    /// Uploads a CA certificate, or replaces one.
    pub async fn put_ca_certificate(
        &self,
        draft: CaCertificateDraft,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<CaCertificate, CaCertificateError> {
        let change = self.change(&draft.name, if_match, now);
        let target = draft.name.to_string();
        let put = PutCaCertificate { change, draft };
        let act = Act::PutCaCertificate;
        self.act_with_particulars(act, target, put).await
    }

    pub fn ca_certificate(
        &self,
        name: &CertificateName,
    ) -> Result<Option<CaCertificate>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let row = view.ca_certificate(&id_scope, name)?;
            Ok(row.filter(is_there).map(record))
        })
    }

    /// All of them, by name: a service has few.
    pub fn ca_certificates(&self) -> Result<Vec<CaCertificate>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let found = view.ca_certificates(&id_scope)?.into_iter();
            Ok(found.map(record).collect())
        })
    }

    /// Deletes a CA certificate. Returns the enrollments that refer to it, some of them when there
    /// are many; no device is admitted by it from now on.
    pub async fn delete_ca_certificate(
        &self,
        name: &CertificateName,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<Vec<EnrollmentKey>, CaCertificateError> {
        let delete = DeleteCaCertificate(self.change(name, if_match, now));
        let act = Act::DeleteCaCertificate;
        self.act_with_particulars(act, name, delete).await
    }

    /// Creates a fresh verification code, which replaces the one before.
    pub async fn new_verification_code(
        &self,
        name: &CertificateName,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<CaCertificate, CaCertificateError> {
        let code = fresh_code(&**self.registry.entropy());
        let renew = unit(
            self.change(name, if_match, now),
            Change::locks,
            Change::stored,
            move |change, tx, mut row| {
                let particulars = particulars(&row);
                row.code = Some(VerificationCode {
                    text: code.clone(),
                    expires: change.now.plus(CODE_LIFE),
                });
                Ok((change.write(tx, row)?, particulars))
            },
        );
        let act = Act::NewVerificationCode;
        self.act_with_particulars(act, name, renew).await
    }

    /// Takes the proof of possession: a certificate named like the code, signed with the CA's key.
    pub async fn verify_ca_certificate(
        &self,
        name: &CertificateName,
        if_match: &IfMatch,
        proof: PossessionProof,
        now: Timestamp,
    ) -> Result<CaCertificate, CaCertificateError> {
        let verify = unit(
            self.change(name, if_match, now),
            Change::locks,
            move |change, view| change.verified(view, &proof),
            |change, tx, mut row| {
                let particulars = particulars(&row);
                (row.state, row.code) = (CaCertificateState::Verified, None);
                change.touch_enrollments(tx, &row)?;
                Ok((change.write(tx, row)?, particulars))
            },
        );
        let act = Act::VerifyCaCertificate;
        self.act_with_particulars(act, name, verify).await
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

/// 24 random bytes in upper-case hexadecimal: Azure's codes look like that, and a
/// common name holds it.
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
    row.state != CaCertificateState::Withdrawn
}

struct DeleteCaCertificate(Change);

impl Unit for DeleteCaCertificate {
    /// The CA certificate, and enrollments that refer to it.
    type Plan = (CaCertificateRow, Vec<EnrollmentKey>);
    type Output = (Vec<EnrollmentKey>, Particulars);
    type Error = CaCertificateError;

    fn locks(&self) -> Vec<Lock<'_>> {
        self.0.locks()
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, CaCertificateError> {
        let row = self.0.stored(view)?;
        let enrollments = enrollments(view, row.id)?;
        Ok((row, enrollments))
    }

    fn apply(&self, tx: &Tx<'_>, (mut row, using): Self::Plan) -> Result<Self::Output, StoreError> {
        let particulars = particulars(&row);
        if using.is_empty() {
            tx.delete_ca_certificate(&self.0.id_scope, &row)?;
            return Ok((using, particulars));
        }
        (row.state, row.code) = (CaCertificateState::Withdrawn, None);
        self.0.touch_enrollments(tx, &row)?;
        self.0.write(tx, row)?;
        Ok((using, particulars))
    }
}

/// Enrollments that refer to a CA certificate.
fn enrollments(view: &View<'_>, ca_certificate: i64) -> Result<Vec<EnrollmentKey>, StoreError> {
    view.enrollments_of_ca_certificate(ca_certificate, NAMED)
}
