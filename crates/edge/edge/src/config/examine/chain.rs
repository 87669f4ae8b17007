//! Chains of certificates: which comes first, whether each is followed by its issuer, and whether
//! they are valid now.

use ids::Timestamp;
use pki::Certificate;

use super::Examiner;
use crate::config::{Fault, FileReference};

const IDENTITY_FILE: &str = "iot-edge-device-identity-NAME-full-chain.cert.pem";

/// A chain in a file, not empty.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    pub(super) leaf: &'a Certificate,
    /// With the leaf.
    pub(super) all: &'a [Certificate],
    pub(super) file: &'a FileReference,
}

impl<'a> Chain<'a> {
    pub(super) fn new(all: &'a [Certificate], file: &'a FileReference) -> Option<Self> {
        let leaf = all.first()?;
        Some(Self { leaf, all, file })
    }

    pub(super) fn error(&self, problem: &str) -> Fault {
        let message = format!("{} {problem}", self.file.path.display());
        Fault::error(self.file.line, message)
    }
}

impl Examiner<'_> {
    /// The chain of an identity: a leaf, valid now, and its issuers in order. False when it begins
    /// with a CA certificate.
    pub(super) fn identity_chain(&mut self, chain: Chain<'_>) -> bool {
        self.validity(chain);
        if chain.leaf.is_ca() {
            // The subject and the key belong to a CA. Further checks would give misleading faults.
            self.faults.push(chain.error(&begins_with_a_ca(chain.all)));
            return false;
        }
        if let ([leaf], false) = (chain.all, chain.leaf.is_self_issued()) {
            let message = format!(
                "{} holds only the leaf and not its issuer {}; that is enough for an individual \
                 enrollment with this very certificate, an enrollment group will refuse it: use \
                 {IDENTITY_FILE}",
                chain.file.path.display(),
                leaf.issuer(),
            );
            self.faults.push(Fault::warning(chain.file.line, message));
        }
        self.order(chain);
        true
    }

    /// The chain of a CA on the device: a CA certificate, valid now, and its issuers in order.
    pub(super) fn ca_chain(&mut self, chain: Chain<'_>) {
        self.validity(chain);
        if !chain.leaf.is_ca() {
            let ca = chain.all.iter().position(Certificate::is_ca);
            let problem = match ca {
                Some(place) => format!(
                    "begins with the certificate of {}, which is no CA's; the first CA certificate \
                     stands at place {} of the file and has to be the first",
                    chain.leaf.subject(),
                    place + 1
                ),
                None => format!(
                    "holds the certificate of {}, which is no CA's and cannot issue any; is it the \
                     device's identity? Use an Edge CA's certificate (basicConstraints CA:TRUE)",
                    chain.leaf.subject()
                ),
            };
            self.faults.push(chain.error(&problem));
            return;
        }
        self.order(chain);
    }

    pub(super) fn validity(&mut self, chain: Chain<'_>) {
        let Some(now) = self.now else { return };
        for certificate in chain.all {
            if let Some(problem) = validity_problem(certificate, now) {
                let message = format!("{}: {problem}", chain.file.path.display());
                self.faults.push(Fault::error(chain.file.line, message));
            }
        }
    }

    /// TLS requires that every certificate is followed by its issuer.
    fn order(&mut self, chain: Chain<'_>) {
        let is_issuer = |certificate: &Certificate, issuer: &Certificate| {
            certificate.is_issued_by_name(issuer) && certificate.is_signed_by(issuer)
        };
        let pairs = chain.all.windows(2).filter_map(|pair| match pair {
            [certificate, next] => Some((certificate, next)),
            _ => None,
        });
        let wrong = pairs
            .into_iter()
            .find(|(certificate, next)| !is_issuer(certificate, next));
        let Some((certificate, next)) = wrong else {
            return;
        };
        let issuer = chain
            .all
            .iter()
            .position(|issuer| is_issuer(certificate, issuer));
        let problem = match issuer {
            Some(position) => format!(
                "the certificate of {} is issued by {}, which stands at place {} of the file; \
                 every certificate has to be followed by its issuer, the leaf first",
                certificate.subject(),
                certificate.issuer(),
                position + 1,
            ),
            None => format!(
                "the certificate of {} is followed by that of {}, which did not issue it; its \
                 issuer {} is not in the file",
                certificate.subject(),
                next.subject(),
                certificate.issuer(),
            ),
        };
        let message = format!("{}: {problem}", chain.file.path.display());
        self.faults.push(Fault::error(chain.file.line, message));
    }
}

/// Why a chain that begins with a CA certificate is not an identity, and what to do.
fn begins_with_a_ca(chain: &[Certificate]) -> String {
    let leaf = chain.iter().position(|certificate| !certificate.is_ca());
    match (chain, leaf) {
        (_, Some(position)) => format!(
            "begins with a CA certificate; the device's own ({}) stands at place {} and has to be \
             the first, followed by its issuers",
            chain[position].subject(),
            position + 1,
        ),
        ([only], None) if only.is_self_issued() => format!(
            "holds one certificate ({}) that issued itself and is a CA's, as plain \
             `openssl req -x509` makes it; a device identity is a leaf: make it with \
             `openssl req -x509 -extensions usr_cert -addext extendedKeyUsage=clientAuth …`, \
             or use {IDENTITY_FILE}",
            only.subject(),
        ),
        ([first, ..], None) => format!(
            "begins with a CA certificate ({}), perhaps the Edge CA's; a device identity is a \
             leaf: use {IDENTITY_FILE}",
            first.subject(),
        ),
        ([], None) => "holds no certificate".to_owned(),
    }
}

/// Why a certificate is not valid now.
fn validity_problem(certificate: &Certificate, now: Timestamp) -> Option<String> {
    let (subject, says) = (certificate.subject(), now.in_seconds());
    if now > certificate.not_after() {
        let ended = certificate.not_after().in_seconds();
        return Some(format!(
            "the certificate of {subject} expired at {ended}; issue a new one (the clock says \
             {says})"
        ));
    }
    if now < certificate.not_before() {
        let begins = certificate.not_before().in_seconds();
        return Some(format!(
            "the certificate of {subject} is not valid before {begins}, but the clock says {says}; \
             if the clock is wrong, set it"
        ));
    }
    None
}
