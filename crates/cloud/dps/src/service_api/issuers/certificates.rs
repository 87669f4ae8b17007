//! `/muster/v1/dps/issuers/{name}/certificates`: what an issuer has issued.

use ids::{CertificateSerial, IssuerName, Thumbprint};
use pki::Certificate;
use provisioning::{IssuedQuery, IssuedRecord, IssuedState};
use registry::{Page, Right};
use rest::{Reply, get};
use wire::error::DpsErrorCode;
use wire::lenient::BodyError;
use wire::muster_api::issued_certificate::{ISSUED_ITEM, IssuedDocument, length_of_time};

use super::existing;
use crate::error::{NounError, ServiceFault};
use crate::service_api::access::Access;
use crate::service_api::{Call, Route, now, provisioning, queries, query_moment, query_text};

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    vec![
        get("/muster/v1/dps/issuers/{name}/certificates", reads, list),
        get(
            "/muster/v1/dps/issuers/{name}/certificates/{serial}",
            reads,
            read,
        ),
    ]
}

/// Query: `?serialNumber=&subject=&state=&expiresBefore=&expiresWithin=`.
async fn list(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    existing(&call, &name)?;
    let query = query(&call)?;
    let serial = query_text(&call, "serialNumber").map(|text| CertificateSerial::parse(&text));
    let found = match serial.transpose()? {
        Some(serial) => Page {
            items: of_serial(&call, &name, &serial)?
                .into_iter()
                .filter(|record| is_wanted(record, &query))
                .collect(),
            continuation: None,
        },
        None => provisioning(&call).list_issued(&name, query).await?,
    };
    let rows: Vec<IssuedDocument> = found.items.into_iter().map(describe).collect();
    Ok(Reply::page(&rows, ISSUED_ITEM, found.continuation.as_ref()))
}

async fn read(
    call: Call,
    name: IssuerName,
    serial: CertificateSerial,
) -> Result<Reply, ServiceFault> {
    existing(&call, &name)?;
    let record = first_of_serial(&call, &name, &serial)?;
    let der = provisioning(&call).issued_der(&record.serial, &record.thumbprint)?;
    let pem = der.map(|der| Certificate::from_der(&der).map(|one| one.to_pem()));
    Ok(Reply::json(&IssuedDocument {
        certificate: pem.transpose().map_err(IssuedFault::Damaged)?,
        ..describe(record)
    }))
}

/// A CA that was imported with what it had issued before may have given a number twice; the list
/// of that number shows both.
pub(super) fn first_of_serial(
    call: &Call,
    name: &IssuerName,
    serial: &CertificateSerial,
) -> Result<IssuedRecord, ServiceFault> {
    let absent = || IssuedFault::NotFound {
        name: name.clone(),
        serial: *serial,
    };
    let found = of_serial(call, name, serial)?.into_iter().next();
    Ok(found.ok_or_else(absent)?)
}

fn of_serial(
    call: &Call,
    name: &IssuerName,
    serial: &CertificateSerial,
) -> Result<Vec<IssuedRecord>, ServiceFault> {
    let mut found = provisioning(call).issued_certificates(serial)?;
    found.retain(|record| record.issuer == *name);
    Ok(found)
}

fn query(call: &Call) -> Result<IssuedQuery, ServiceFault> {
    let page = queries::page(call)?;
    let before = query_moment(call, "expiresBefore")?;
    let within = query_text(call, "expiresWithin")
        .map(|text| length_of_time("expiresWithin", &text))
        .transpose()?;
    let (expires_from, expires_before) = match (before, within) {
        (Some(_), Some(_)) => {
            let problem = "is given together with 'expiresBefore'; one of them is enough";
            return Err(BodyError::new("expiresWithin", problem).into());
        }
        (before, None) => (None, before),
        // What has expired is not about to expire.
        (None, Some(within)) => (Some(now(call)), Some(now(call).plus(within))),
    };
    Ok(IssuedQuery {
        subject: query_text(call, "subject"),
        state: query_text(call, "state")
            .map(|text| state(&text))
            .transpose()?,
        expires_from,
        expires_before,
        after: page.after,
        limit: page.limit,
    })
}

fn state(text: &str) -> Result<IssuedState, BodyError> {
    let mut all = [IssuedState::Valid, IssuedState::Held, IssuedState::Revoked].into_iter();
    let found = all.find(|state| state.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let start: String = text.chars().take(64).collect();
        BodyError::new(
            "state",
            format!("{start:?} is not one of valid, held, revoked"),
        )
    })
}

/// The conditions of a list, for certificates that their serial number found.
fn is_wanted(record: &IssuedRecord, query: &IssuedQuery) -> bool {
    let IssuedQuery {
        subject,
        state,
        expires_from,
        expires_before,
        ..
    } = query;
    subject
        .as_ref()
        .is_none_or(|name| name.to_lowercase() == record.common_name.to_lowercase())
        && state.is_none_or(|state| state == record.state)
        && expires_from.is_none_or(|from| record.not_after >= from)
        && expires_before.is_none_or(|before| record.not_after < before)
}

pub(super) fn describe(record: IssuedRecord) -> IssuedDocument {
    let is_known = record.authority != Thumbprint::from_bytes([0; 32]);
    IssuedDocument {
        serial_number: record.serial,
        issuer_name: record.issuer,
        common_name: record.common_name,
        sha256_thumbprint: record.thumbprint,
        authority_sha256_thumbprint: is_known.then_some(record.authority),
        not_before_utc: record.not_before,
        not_after_utc: record.not_after,
        key_type: record.key_type,
        origin: record.origin.name(),
        username: record.username,
        issued_date_time_utc: record.issued,
        state: record.state.name(),
        reason: record.reason,
        changed_date_time_utc: record.changed,
        certificate: None,
    }
}

/// Why a certificate is not shown.
#[derive(Debug, thiserror::Error)]
enum IssuedFault {
    #[error("device issuer {name} has issued no certificate with the serial number {serial}")]
    NotFound {
        name: IssuerName,
        serial: CertificateSerial,
    },
    #[error("a stored certificate cannot be read")]
    Damaged(#[source] pki::CertificateError),
}

impl NounError for IssuedFault {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::NotFound { .. } => DpsErrorCode::NotFound,
            Self::Damaged(_) => DpsErrorCode::InternalServerError,
        }
    }
}
