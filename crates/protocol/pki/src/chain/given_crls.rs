use ids::Timestamp;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{RevocationStatus, Revocations};
use crate::cert::canonical_name;
use crate::{Certificate, CrlError, CrlRefused, RevocationReason, UnverifiedCrl, VerifiedCrl};

/// Revocation lists that somebody gave, to be used at one moment. Whose they are is known only
/// when a path names the issuer.
#[derive(Debug)]
pub struct GivenCrls {
    lists: Vec<Given>,
    now: Timestamp,
}

#[derive(Debug)]
struct Given {
    /// The issuer's name in the form in which names are compared.
    issuer: Box<[u8]>,
    spelled: String,
    bytes: Vec<u8>,
}

/// What one list says about one certificate.
enum Says {
    Revoked(RevocationStatus),
    NotRevoked,
    /// It covers other certificates of this issuer.
    NotCovered,
}

/// Why a list of the issuer's name proves nothing, in words.
enum Unusable {
    /// It was altered, so that nothing that was given can be relied on.
    Forged(String),
    /// Another list of that name may be the one: this one is old, or of the key before the last
    /// roll.
    Another(String),
}

impl GivenCrls {
    /// None yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let lists = Vec::new();
        Self { lists, now }
    }

    /// Adds a list, DER or PEM.
    ///
    /// # Errors
    /// When it is no full list, or has something critical that is not understood. Its signature is
    /// verified when a path has its issuer.
    pub fn add(&mut self, bytes: Vec<u8>) -> Result<(), CrlError> {
        let list = UnverifiedCrl::read(bytes.clone())?;
        let issuer = canonical_name(list.issuer_der());
        let spelled = list.issuer();
        self.lists.push(Given {
            issuer,
            spelled,
            bytes,
        });
        Ok(())
    }

    /// The issuer of a list that is of none of these CAs, so that its signature was not verified.
    #[must_use]
    pub fn issuer_beside(&self, cas: &[&Certificate]) -> Option<&str> {
        let is_beside = |list: &&Given| !cas.iter().any(|ca| *list.issuer == *ca.subject_key());
        let list = self.lists.iter().find(is_beside)?;
        Some(&list.spelled)
    }

    fn ask(
        &self,
        list: &Given,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<Says, Unusable> {
        let list = UnverifiedCrl::read(list.bytes.clone())
            .map_err(|error| Unusable::Forged(error.to_string()))?;
        let is_of_another_key = list.authority_key_id().is_some_and(|signed_by| {
            let own = issuer.extensions().subject_key_id.as_deref();
            own.is_some_and(|own| own != signed_by)
        });
        let list = list
            .verify(issuer, self.now)
            .map_err(|refused| match refused {
                CrlRefused::Signature { .. } if !is_of_another_key => {
                    Unusable::Forged(refused.to_string())
                }
                _ => Unusable::Another(refused.to_string()),
            })?;
        if list.number().is_none() {
            let problem = "it has no cRLNumber, by which a list is known to be the last one";
            return Err(Unusable::Another(problem.to_owned()));
        }
        Ok(says(&list, certificate))
    }
}

fn says(list: &VerifiedCrl, certificate: &Certificate) -> Says {
    let serial = serial_number(certificate);
    let entry = list.entries().find(|entry| entry.serial == serial);
    match (entry, list.distribution_point()) {
        (Some(entry), _) => Says::Revoked(RevocationStatus::Revoked {
            since: entry.when,
            reason: match entry.reason {
                RevocationReason::Unspecified => None,
                reason => Some(reason.name()),
            },
        }),
        (None, None) => Says::NotRevoked,
        (None, Some(url)) if has_distribution_point(certificate, url) => Says::NotRevoked,
        (None, Some(_)) => Says::NotCovered,
    }
}

/// The serial number as lists have it: without a sign byte.
fn serial_number(certificate: &Certificate) -> Vec<u8> {
    let digits = certificate.serial_hex().as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default();
    let byte = |pair: &[u8; 2]| value(pair[0]) << 4 | value(pair[1]);
    let (pairs, _) = digits.as_chunks::<2>();
    pairs
        .iter()
        .filter_map(|pair| u8::try_from(byte(pair)).ok())
        .collect()
}

fn has_distribution_point(certificate: &Certificate, url: &str) -> bool {
    let Ok((_, x509)) = X509Certificate::from_der(certificate.der()) else {
        return false;
    };
    let points =
        x509.extensions()
            .iter()
            .filter_map(|extension| match extension.parsed_extension() {
                ParsedExtension::CRLDistributionPoints(points) => Some(points.points.iter()),
                _ => None,
            });
    points
        .flatten()
        .any(|point| match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => names
                .iter()
                .any(|name| matches!(name, GeneralName::URI(uri) if *uri == url)),
            _ => false,
        })
}

impl Revocations for GivenCrls {
    fn status(&self, certificate: &Certificate, issuer: &Certificate) -> RevocationStatus {
        let of_issuer = |list: &&Given| *list.issuer == *issuer.subject_key();
        let mut unusable = None;
        let mut status = RevocationStatus::Unknown;
        for list in self.lists.iter().filter(of_issuer) {
            match self.ask(list, certificate, issuer) {
                Ok(Says::Revoked(revoked)) => return revoked,
                Ok(Says::NotRevoked) => status = RevocationStatus::Good,
                Ok(Says::NotCovered) => {}
                Err(Unusable::Forged(problem)) => return RevocationStatus::Unusable(problem),
                Err(Unusable::Another(problem)) => unusable = unusable.or(Some(problem)),
            }
        }
        match unusable {
            Some(problem) if status == RevocationStatus::Unknown => {
                RevocationStatus::Unusable(problem)
            }
            _ => status,
        }
    }
}
