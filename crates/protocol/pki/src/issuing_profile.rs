//! What an issuer makes of requests: configuration in, a validated profile out, which admits
//! requests.

use std::time::Duration;

use ids::{ProfileKind, RegistrationId};
use rcgen::PublicKeyData as _;

use crate::Subject;
use crate::profile::{Profile, ServerName, Validity};
use crate::request::{ProvenRequest, RequestError, RequestKey, shortened};

/// The shortest life that a profile may give, which is for tests of renewal.
const MIN_VALIDITY: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_VALIDITY_DAYS: u32 = 36_500;

/// A profile as an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileConfig {
    /// What is issued.
    pub kind: ProfileKind,
    /// How long a certificate is valid; shorter where its issuer ends before.
    pub validity: Duration,
    /// Which keys are certified.
    pub key_types: Vec<RequestKey>,
}

/// Everything that is wrong with a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ProfileError {
    faults: Vec<ProfileFault>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum ProfileFault {
    #[error("a validity of {0:?} is not from 1 minute to {MAX_VALIDITY_DAYS} days")]
    Validity(Duration),
    #[error("no type of key is named; use P-256, P-384 or RSA")]
    NoKeyTypes,
}

/// A validated profile. It decides what a certificate says; of a request it takes the key, the
/// common name and, for `edge-server`, the DNS names and IP addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuingProfile(ProfileConfig);

impl IssuingProfile {
    /// Validates a profile. The error names every fault.
    pub fn new(config: ProfileConfig) -> Result<Self, ProfileError> {
        let mut faults = Vec::new();
        if !(MIN_VALIDITY..=MAX_VALIDITY_DAYS * DAY).contains(&config.validity) {
            faults.push(ProfileFault::Validity(config.validity));
        }
        if config.key_types.is_empty() {
            faults.push(ProfileFault::NoKeyTypes);
        }
        match faults.is_empty() {
            true => Ok(Self(config)),
            false => Err(ProfileError { faults }),
        }
    }

    /// What is issued.
    #[must_use]
    pub fn kind(&self) -> ProfileKind {
        self.0.kind
    }

    /// How long a certificate is valid, at most.
    #[must_use]
    pub fn validity(&self) -> Duration {
        self.0.validity
    }

    /// Which keys are certified.
    #[must_use]
    pub fn key_types(&self) -> &[RequestKey] {
        &self.0.key_types
    }

    /// Holds a request against the profile. With `expected`, its common name must be that id, in
    /// any letter case; the certificate gets the spelling of `expected`.
    pub fn admit(
        &self,
        request: ProvenRequest,
        expected: Option<&RegistrationId>,
    ) -> Result<AdmittedRequest, RequestError> {
        let common_name = request.common_name().ok_or(RequestError::NoCommonName)?;
        let common_name = spelled(common_name, expected)?;
        if !self.0.key_types.contains(&request.kind()) {
            return Err(RequestError::KeyType {
                requested: request.kind(),
                accepted: self.0.key_types.clone(),
            });
        }
        let problem = |problem: String| RequestError::CommonName {
            common_name: shortened(common_name),
            problem,
        };
        let subject = Subject::common_name(common_name).map_err(|e| problem(e.to_string()))?;
        if self.0.kind.is_identity() && expected.is_none() {
            RegistrationId::parse(common_name).map_err(|e| problem(e.to_string()))?;
        }
        let profile = match self.0.kind {
            ProfileKind::EdgeIdentity => Profile::EdgeIdentity,
            ProfileKind::EdgeCa => Profile::EdgeCa,
            ProfileKind::Device => Profile::Device,
            ProfileKind::Verification => Profile::Verification,
            ProfileKind::EdgeServer => Profile::Server {
                names: server_names(&request, common_name)?,
            },
        };
        Ok(AdmittedRequest {
            request,
            profile,
            subject,
            validity: Validity::UpTo(self.0.validity),
        })
    }
}

/// The common name that is issued.
fn spelled<'a>(
    common_name: &'a str,
    expected: Option<&'a RegistrationId>,
) -> Result<&'a str, RequestError> {
    match expected {
        None => Ok(common_name),
        Some(id) if id.as_str().eq_ignore_ascii_case(common_name) => Ok(id.as_str()),
        Some(_) => Err(RequestError::CommonNameMismatch {
            common_name: shortened(common_name),
        }),
    }
}

/// The names of a server: those of the request, else its common name as a DNS name.
fn server_names(
    request: &ProvenRequest,
    common_name: &str,
) -> Result<Vec<ServerName>, RequestError> {
    let names = request.server_names()?;
    if !names.is_empty() {
        return Ok(names.to_vec());
    }
    let name = ServerName::parse(common_name).map_err(|_| {
        let problem = "it asks for no DNS name or IP address, and its common name is neither";
        RequestError::Names(problem.to_owned())
    })?;
    Ok(vec![name])
}

/// A request that a profile admits, with what its certificate will say. Only
/// [`IssuingProfile::admit`] makes one.
#[derive(Debug, Clone)]
pub struct AdmittedRequest {
    pub(crate) request: ProvenRequest,
    pub(crate) profile: Profile,
    pub(crate) subject: Subject,
    pub(crate) validity: Validity,
}

impl AdmittedRequest {
    /// The common name that the certificate will have.
    #[must_use]
    pub fn common_name(&self) -> &str {
        self.subject.as_str()
    }

    /// The key that will be certified, as DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> Vec<u8> {
        self.request.subject_public_key_info()
    }

    /// The kind of the key that will be certified.
    #[must_use]
    pub fn key(&self) -> RequestKey {
        self.request.kind()
    }
}
