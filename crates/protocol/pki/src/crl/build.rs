use ids::Timestamp;

use super::{MAX_CRL_BYTES, RevocationReason, RevokedEntry, oid};
use crate::cert::encode_pem;
use crate::der::{Writer, tag};
use crate::{IssueError, Issuer};

/// Bytes of an entry with a serial of 16 bytes and a reason.
const ENTRY_BYTES: usize = 52;

/// What a list says beside its entries.
#[derive(Debug, Clone, Copy)]
pub struct CrlFields<'a> {
    /// cRLNumber: later lists of the same CA and distribution point have greater ones.
    pub number: u64,
    /// When the list was made.
    pub this_update: Timestamp,
    /// When the next one is there at the latest.
    pub next_update: Timestamp,
    /// The URL of the distribution point when the list covers only the certificates that name it.
    pub distribution_point: Option<&'a str>,
}

/// Builds and signs a list, DER. `entries` are written as they come.
///
/// # Errors
/// When the issuer may not sign lists, signing fails, or the list would be longer than
/// [`MAX_CRL_BYTES`].
pub fn build_crl<'e>(
    issuer: &Issuer,
    fields: &CrlFields<'_>,
    entries: impl IntoIterator<Item = RevokedEntry<'e>>,
) -> Result<Vec<u8>, IssueError> {
    let certificate = issuer.certificate();
    if !certificate.may_sign_crls() {
        let subject = certificate.subject();
        return Err(IssueError::NoCrlSign { subject });
    }
    let entries = entries.into_iter();
    let expected = entries.size_hint().0.saturating_mul(ENTRY_BYTES);
    let mut der = Writer::with_capacity(expected.min(MAX_CRL_BYTES) + 1024);
    issuer.write_signed(&mut der, |der, algorithm| {
        der.sequence(|der| {
            // Version 2.
            der.element(tag::INTEGER, &[1]);
            der.element(tag::SEQUENCE, algorithm);
            der.raw(certificate.subject_der());
            der.time(fields.this_update);
            der.time(fields.next_update);
            write_entries(der, entries);
            der.nest(tag::context_constructed(0), |der| {
                der.sequence(|der| write_extensions(der, fields, &certificate.key_identifier()));
            });
        });
    })?;
    if der.len() > MAX_CRL_BYTES {
        return Err(IssueError::CrlTooLong { bytes: der.len() });
    }
    Ok(der.finish())
}

/// The list as a PEM block with a final newline.
#[must_use]
pub fn crl_to_pem(der: &[u8]) -> String {
    encode_pem("X509 CRL", der)
}

/// revokedCertificates, which is left out when there is none (RFC 5280, 5.1.2.6).
fn write_entries<'e>(der: &mut Writer, entries: impl Iterator<Item = RevokedEntry<'e>>) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return;
    }
    der.sequence(|der| {
        for entry in entries {
            der.sequence(|der| write_entry(der, entry));
        }
    });
}

fn write_entry(der: &mut Writer, entry: RevokedEntry<'_>) {
    der.unsigned(entry.serial);
    der.time(entry.when);
    if entry.reason == RevocationReason::Unspecified {
        return;
    }
    der.sequence(|der| {
        der.extension(oid::REASON_CODE, false, |der| {
            der.element(tag::ENUMERATED, &[entry.reason.code()]);
        });
    });
}

fn write_extensions(der: &mut Writer, fields: &CrlFields<'_>, key_identifier: &[u8]) {
    der.extension(oid::AUTHORITY_KEY_IDENTIFIER, false, |der| {
        der.sequence(|der| der.element(tag::context(0), key_identifier));
    });
    der.extension(oid::CRL_NUMBER, false, |der| {
        der.unsigned(&fields.number.to_be_bytes());
    });
    let Some(url) = fields.distribution_point else {
        return;
    };
    der.extension(oid::ISSUING_DISTRIBUTION_POINT, true, |der| {
        der.sequence(|der| {
            // distributionPoint, fullName, uniformResourceIdentifier.
            der.nest(tag::context_constructed(0), |der| {
                der.nest(tag::context_constructed(0), |der| {
                    der.element(tag::context(6), url.as_bytes());
                });
            });
        });
    });
}
