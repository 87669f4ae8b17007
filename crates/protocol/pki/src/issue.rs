//! The one way to a signed certificate: prepare, lint, sign once.

mod for_request;
mod publication;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::rand;
use ids::{RegistrationId, Timestamp};
use rcgen::{CertificateParams, PublicKeyData, SerialNumber};

use crate::key::{KeyAlgorithm, RcgenKey, SignError, Signer};
use crate::lint::{self, LintError};
use crate::profile::{Profile, Validity};
use crate::subject::{MAX_COMMON_NAME, Subject};
use crate::{Certificate, CertificateError, KeyMismatch};

pub use for_request::{PreparedRequest, RequestToken};
pub use publication::Publication;

/// Certificates begin this long before they are made, because clocks differ.
const BACKDATED: Duration = Duration::from_secs(5 * 60);

/// Why a certificate was not issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The common name has no length that X.520 allows, or control characters.
    #[error(
        "the common name {name:?} has {length} characters; 1 to {MAX_COMMON_NAME} printable ones \
         are allowed"
    )]
    CommonName {
        /// The name that is refused, shortened.
        name: String,
        /// The length of the whole name, in characters.
        length: usize,
    },
    /// Another attribute of a subject than its common name.
    #[error(
        "{attribute} of the subject cannot be {value:?}; {least} to {most} characters are \
             allowed, for C and serialNumber of those that PrintableString has"
    )]
    NameAttribute {
        /// The short name, such as `OU`.
        attribute: &'static str,
        /// The value that is refused, shortened.
        value: String,
        /// The fewest characters.
        least: usize,
        /// The most characters.
        most: usize,
    },
    /// The identity's name is no registration id.
    #[error("the name of a device's identity must be a registration id")]
    RegistrationId(#[from] ids::IdError),
    /// A server name is neither DNS name nor IP address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    ServerName(String),
    /// The issuer's certificate and key do not belong together.
    #[error("the issuing certificate and key do not belong together")]
    IssuerKey(#[from] KeyMismatch),
    /// The would-be issuer may not issue.
    #[error("{subject} cannot issue certificates: it is no CA, or its keyUsage lacks keyCertSign")]
    NotAnIssuer {
        /// The subject of the issuing certificate.
        subject: String,
    },
    /// The issuer is not valid now.
    #[error(
        "{subject} cannot issue now: its certificate is valid from {} to {}; renew it first",
        not_before.in_seconds(),
        not_after.in_seconds()
    )]
    IssuerNotValid {
        /// The subject of the issuing certificate.
        subject: String,
        /// `notBefore`: the first second of its validity.
        not_before: Timestamp,
        /// `notAfter`: the last second of its validity.
        not_after: Timestamp,
    },
    /// A person asked for a longer life than the issuer has.
    #[error(
        "a certificate until {} would outlive its issuer {issuer}, which ends at {}; ask for \
         fewer days or renew the issuer",
        wanted.in_seconds(),
        issuer_ends.in_seconds()
    )]
    OutlivesIssuer {
        /// The end asked for.
        wanted: Timestamp,
        /// The subject of the issuing certificate.
        issuer: String,
        /// When the issuing certificate expires.
        issuer_ends: Timestamp,
    },
    /// The life asked for is nothing, or ends after the year 9999.
    #[error("a certificate cannot live {0:?}")]
    Lifetime(Duration),
    /// The prepared certificate breaks a rule.
    #[error("the prepared certificate breaks a rule")]
    Lint(#[from] LintError),
    /// The certificate could not be encoded.
    #[error("the certificate cannot be encoded: {0}")]
    Encoding(String),
    /// The key did not sign.
    #[error("signing failed")]
    Signing(#[source] SignError),
    /// What was signed cannot be read back, or does not verify as far as [`Issuer`] verifies it:
    /// nothing is handed out.
    #[error("the signed certificate does not hold")]
    ReadBack(#[source] Option<CertificateError>),
    /// A CA that may not sign revocation lists was asked for one.
    #[error("{subject} may not sign revocation lists: its keyUsage lacks cRLSign")]
    NoCrlSign {
        /// The subject of the issuing certificate.
        subject: String,
    },
    /// A revocation list would have more than [`MAX_CRL_BYTES`](crate::MAX_CRL_BYTES).
    #[error("the revocation list would have {bytes} bytes; publish it by distribution points")]
    CrlTooLong {
        /// Bytes of DER.
        bytes: usize,
    },
    /// No randomness for a serial number.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

/// A positive serial number of 128 bits with at least 72 random ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serial([u8; 16]);

impl Serial {
    /// From 16 random bytes; the two highest bits become 01, so that it is
    /// positive and never short.
    #[must_use]
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[0] = bytes[0] & 0x3f | 0x40;
        Self(bytes)
    }

    /// A serial that begins with the time, so that an index of serials grows at its end: 01, 48
    /// bits of milliseconds since 1970, 72 random bits.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn dated(now: Timestamp) -> Result<Self, IssueError> {
        let mut bytes = Self::random()?.0;
        // Of 100 ns.
        let milliseconds = (now.ticks() / 10_000).clamp(0, (1 << 48) - 1).to_be_bytes();
        bytes[0] = 1;
        bytes[1..7].copy_from_slice(&milliseconds[2..]);
        Ok(Self(bytes))
    }

    /// The 16 bytes, the highest first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A serial from the operating system's randomness.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> Result<Self, IssueError> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(|_| IssueError::NoRandomness)?;
        Ok(Self::from_random(bytes))
    }
}

/// A CA certificate together with its key: it may issue. Of an elliptic key in memory the first
/// signature is verified, of other keys each one.
pub struct Issuer {
    certificate: Certificate,
    rcgen: rcgen::Issuer<'static, RcgenKey>,
    /// Whether a signature of it was verified.
    has_signed: AtomicBool,
}

impl Issuer {
    /// Puts a CA's certificate and key together.
    ///
    /// # Errors
    /// When they do not belong together or the certificate is not a CA's.
    pub fn new(certificate: Certificate, key: impl Into<Signer>) -> Result<Self, IssueError> {
        let signer = key.into();
        signer.matches(&certificate)?;
        let usage = certificate.extensions();
        if !usage.is_ca || usage.key_usage.is_some_and(|key| !key.key_cert_sign) {
            return Err(IssueError::NotAnIssuer {
                subject: certificate.subject(),
            });
        }
        let key = RcgenKey::new(signer);
        let rcgen = rcgen::Issuer::from_ca_cert_der(certificate.certificate_der(), key)
            .map_err(|error| IssueError::Encoding(error.to_string()))?;
        Ok(Self {
            certificate,
            rcgen,
            has_signed: AtomicBool::new(false),
        })
    }

    pub(crate) fn signer(&self) -> &Signer {
        self.rcgen.key().signer()
    }

    /// Whether its key is in another place, such as a PKCS#11 token, which may take seconds to
    /// sign.
    #[must_use]
    pub fn is_in_token(&self) -> bool {
        !self.signer().is_in_memory()
    }

    /// The certificate that signs, which is a CA.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Signs what was linted.
    fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<Certificate, IssueError> {
        let signed = params.signed_by(key, &self.rcgen);
        let signed = signed.map_err(|error| failure(&error, self.rcgen.key()))?;
        read_back(signed, Some(self))
    }

    /// Whether its signature of a certificate holds. A verification costs more than the signature,
    /// so that of an elliptic key in memory only the first signature is verified: it shows a wrong
    /// key or a broken library. A token may do anything, and a faulty RSA signature would give the
    /// key away, so theirs are verified each time.
    fn has_signed(&self, certificate: &Certificate) -> bool {
        let signer = self.signer();
        let is_curve = !matches!(
            signer.public_key().kind(),
            KeyAlgorithm::Rsa | KeyAlgorithm::MlDsa(_)
        );
        let once = signer.is_in_memory() && is_curve;
        if once && self.has_signed.load(Ordering::Relaxed) {
            return true;
        }
        let holds = certificate.is_signed_by(&self.certificate);
        self.has_signed.fetch_or(holds, Ordering::Relaxed);
        holds
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// A certificate as it would be signed; nothing has linted it yet.
pub struct Prepared<'a> {
    profile: Profile,
    params: CertificateParams,
    issuer: Option<&'a Issuer>,
}

/// A certificate that passed the lint and may be signed, once.
#[must_use]
pub struct IssueToken<'a>(Prepared<'a>);

/// Prepares a certificate of `profile` for `subject`; without `issuer` it will sign itself.
///
/// # Errors
/// When the name does not suit the profile, the issuer is not valid at `now`, or the life asked for
/// does not fit in the issuer's.
pub fn prepare<'a>(
    profile: Profile,
    subject: &Subject,
    issuer: Option<&'a Issuer>,
    validity: Validity,
    serial: Serial,
    now: Timestamp,
) -> Result<Prepared<'a>, IssueError> {
    if profile.is_identity() {
        RegistrationId::parse(subject.as_str())?;
    }
    let (not_before, not_after) = lifetime(issuer, validity, now)?;
    let mut params = profile.params(subject)?;
    params.not_before = not_before.to_offset_date_time();
    params.not_after = not_after.to_offset_date_time();
    params.serial_number = Some(SerialNumber::from_slice(&serial.0));
    Ok(Prepared {
        profile,
        params,
        issuer,
    })
}

impl<'a> Prepared<'a> {
    /// Holds it against the rules; only what passes can be signed.
    pub fn lint(self) -> Result<IssueToken<'a>, LintError> {
        let issuer = self.issuer.map(Issuer::certificate);
        lint::lint(&self.params, &self.profile, issuer)?;
        Ok(IssueToken(self))
    }
}

impl IssueToken<'_> {
    /// Signs the certificate for `key`'s public half, with the issuer's key, or with `key`
    /// itself for a root.
    ///
    /// # Errors
    /// When signing fails, or what was signed cannot be read back, or its signature was verified
    /// and does not hold. A signature of an elliptic key in memory is verified the first time only.
    pub fn sign(self, key: &impl AsRef<Signer>) -> Result<Certificate, IssueError> {
        let Prepared { params, issuer, .. } = self.0;
        let key = key.as_ref();
        match issuer {
            Some(issuer) => issuer.sign(&params, key.public_key()),
            None => {
                let key = RcgenKey::new(key.clone());
                let signed = params.self_signed(&key);
                read_back(signed.map_err(|error| failure(&error, &key))?, None)
            }
        }
    }
}

fn failure(error: &rcgen::Error, key: &RcgenKey) -> IssueError {
    match key.last_fault() {
        Some(fault) if *error == rcgen::Error::RemoteKeyError => IssueError::Signing(fault),
        _ => IssueError::Encoding(error.to_string()),
    }
}

fn read_back(
    signed: rcgen::Certificate,
    issuer: Option<&Issuer>,
) -> Result<Certificate, IssueError> {
    let certificate =
        Certificate::from_der(signed.der()).map_err(|e| IssueError::ReadBack(Some(e)))?;
    let by = issuer.map_or(&certificate, Issuer::certificate);
    // Of an elliptic key in memory only the first signature is verified, see `has_signed`.
    let is_signed = match issuer {
        Some(issuer) => issuer.has_signed(&certificate),
        None => certificate.is_signed_by(by),
    };
    let holds = certificate.is_issued_by_name(by) && is_signed;
    if !holds {
        return Err(IssueError::ReadBack(None));
    }
    Ok(certificate)
}

fn lifetime(
    issuer: Option<&Issuer>,
    validity: Validity,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), IssueError> {
    let (Validity::UpTo(length) | Validity::Exactly(length)) = validity;
    let now = Timestamp::from_unix_seconds(now.unix_seconds());
    let mut not_before = now.minus(BACKDATED);
    let mut not_after = now.plus(length);
    if length.as_secs() == 0 || not_after > last_moment() {
        return Err(IssueError::Lifetime(length));
    }
    let Some(issuer) = issuer else {
        return Ok((not_before, not_after));
    };
    let by = &issuer.certificate;
    if now < by.not_before() || now >= by.not_after() {
        return Err(IssueError::IssuerNotValid {
            subject: by.subject(),
            not_before: by.not_before(),
            not_after: by.not_after(),
        });
    }
    not_before = not_before.max(by.not_before());
    if not_after > by.not_after() {
        if matches!(validity, Validity::Exactly(_)) {
            return Err(IssueError::OutlivesIssuer {
                wanted: not_after,
                issuer: by.subject(),
                issuer_ends: by.not_after(),
            });
        }
        not_after = by.not_after();
    }
    Ok((not_before, not_after))
}

/// 9999-12-31T23:59:59Z, the last moment that X.509 can write.
fn last_moment() -> Timestamp {
    Timestamp::from_unix_seconds(253_402_300_799)
}
