use ids::Timestamp;

use super::{CaHashes, NONCE};
use crate::der::{Writer, tag};
use crate::{IssueError, Issuer, RevocationReason};

/// 1.3.6.1.5.5.7.48.1.1.
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1];

/// What is known about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspStatus {
    /// Issued, and neither revoked nor held.
    Good,
    /// Revoked or held.
    Revoked {
        /// Since when.
        when: Timestamp,
        /// `Unspecified` is left out of the answer.
        reason: RevocationReason,
    },
    /// Not a certificate of this CA, as far as the responder knows.
    Unknown,
}

/// SingleResponse: the answer for one certificate.
#[derive(Debug, Clone, Copy)]
pub struct OcspAnswer<'a> {
    /// The CertID, DER.
    pub cert_id: &'a [u8],
    /// The certificate's status.
    pub status: OcspStatus,
    /// When the status was looked up.
    pub this_update: Timestamp,
    /// Until when the answer may be used; `None` says that there is always a newer one.
    pub next_update: Option<Timestamp>,
}

/// OCSPResponseStatus of answers without content, which nobody signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspFailure {
    /// 1: the request is not one.
    MalformedRequest,
    /// 2: the responder is broken.
    InternalError,
    /// 3: too much to do; again later.
    TryLater,
    /// 6: nothing in the request is about this CA.
    Unauthorized,
}

/// The DER of an answer that has no content, only a reason for that.
#[must_use]
pub fn ocsp_failure(failure: OcspFailure) -> [u8; 5] {
    let code = match failure {
        OcspFailure::MalformedRequest => 1,
        OcspFailure::InternalError => 2,
        OcspFailure::TryLater => 3,
        OcspFailure::Unauthorized => 6,
    };
    [tag::SEQUENCE, 3, tag::ENUMERATED, 1, code]
}

/// Builds and signs an OCSPResponse with these answers, DER. The CA's own key signs, so that no
/// responder certificate is needed (RFC 6960, 4.2.2.2).
pub fn build_ocsp_response(
    issuer: &Issuer,
    answers: &[OcspAnswer<'_>],
    nonce: Option<&[u8]>,
    produced_at: Timestamp,
) -> Result<Vec<u8>, IssueError> {
    let responder = CaHashes::responder(issuer.certificate());
    let mut der = Writer::default();
    der.sequence(|der| {
        // successful.
        der.element(tag::ENUMERATED, &[0]);
        der.nest(tag::context_constructed(0), |der| {
            der.sequence(|der| {
                der.element(tag::OID, BASIC);
                der.nest(tag::OCTET_STRING, |der| {
                    issuer.write_signed(der, |der, _| {
                        der.sequence(|der| {
                            // responderID, byKey.
                            der.nest(tag::context_constructed(2), |der| {
                                der.element(tag::OCTET_STRING, &responder);
                            });
                            der.generalized_time(produced_at);
                            der.sequence(|der| answers.iter().for_each(|one| write_one(der, one)));
                            if let Some(nonce) = nonce {
                                write_nonce(der, nonce);
                            }
                        });
                    })
                })
            })
        })
    })?;
    Ok(der.finish())
}

fn write_one(der: &mut Writer, answer: &OcspAnswer<'_>) {
    der.sequence(|der| {
        der.raw(answer.cert_id);
        match answer.status {
            OcspStatus::Good => der.element(tag::context(0), &[]),
            OcspStatus::Revoked { when, reason } => {
                der.nest(tag::context_constructed(1), |der| {
                    der.generalized_time(when);
                    if reason != RevocationReason::Unspecified {
                        der.nest(tag::context_constructed(0), |der| {
                            der.element(tag::ENUMERATED, &[reason.code()]);
                        });
                    }
                });
            }
            OcspStatus::Unknown => der.element(tag::context(2), &[]),
        }
        der.generalized_time(answer.this_update);
        if let Some(next_update) = answer.next_update {
            der.nest(tag::context_constructed(0), |der| {
                der.generalized_time(next_update)
            });
        }
    });
}

fn write_nonce(der: &mut Writer, nonce: &[u8]) {
    der.nest(tag::context_constructed(1), |der| {
        der.sequence(|der| {
            der.extension(NONCE, false, |der| der.element(tag::OCTET_STRING, nonce));
        });
    });
}
