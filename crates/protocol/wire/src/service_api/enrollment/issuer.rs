//! The issuer that an enrollment names, in the members of each api-version.
//!
//! | api-version | members |
//! |---|---|
//! | 2026-11-01 and later | `certificateAuthorityName`, `certificatePolicyName`, `namespaceName` |
//! | 2025-07-01-preview to 2026-10 | `credentialPolicyName` |
//! | 2021-11-01-preview to 2025-06 | `clientCertificateIssuancePolicy.certificateAuthorityName` |
//! | earlier | none; `credentialPolicyName`, so that a record that is written back keeps its issuer |
//!
//! Requests may use the members of any version.

use ids::{CertificatePolicyName, IssuerName, NamespaceName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::request::parsed;
use crate::lenient::{BodyError, Fields};

const CA: &str = "certificateAuthorityName";
const POLICY: &str = "certificatePolicyName";
const NAMESPACE: &str = "namespaceName";
const CREDENTIAL_POLICY: &str = "credentialPolicyName";
const ISSUANCE_POLICY: &str = "clientCertificateIssuancePolicy";

/// `clientCertificateIssuancePolicy`: an issuer in the members of 2021-11-01-preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuancePolicy {
    /// Name of the issuer.
    pub certificate_authority_name: IssuerName,
}

/// An issuer, with what Azure's clients name beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerReference {
    /// The CA that issues.
    pub issuer: IssuerName,
    /// The policy by which it issues.
    pub policy: Option<CertificatePolicyName>,
    /// The namespace in which both are.
    pub namespace: Option<NamespaceName>,
}

impl IssuerReference {
    /// Reads the members of all api-versions.
    ///
    /// # Errors
    /// When two members name different issuers, and when a policy or a namespace is named
    /// without an issuer.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Option<Self>, BodyError> {
        let policy = parsed(fields, POLICY, CertificatePolicyName::parse)?;
        let namespace = parsed(fields, NAMESPACE, NamespaceName::parse)?;
        let lone = match (&policy, &namespace) {
            (Some(_), _) => Some(POLICY),
            (None, Some(_)) => Some(NAMESPACE),
            (None, None) => None,
        };
        match (issuer(fields)?, lone) {
            (Some(issuer), _) => Ok(Some(Self {
                issuer,
                policy,
                namespace,
            })),
            (None, None) => Ok(None),
            (None, Some(lone)) => {
                Err(fields.error(CA, format!("is missing; {lone} alone names no issuer")))
            }
        }
    }
}

fn issuer(fields: &Fields<'_>) -> Result<Option<IssuerName>, BodyError> {
    let older = fields.object(ISSUANCE_POLICY)?;
    let older = older.map(|policy| parsed(&policy, CA, IssuerName::parse));
    let named = [
        (CA, parsed(fields, CA, IssuerName::parse)?),
        (
            CREDENTIAL_POLICY,
            parsed(fields, CREDENTIAL_POLICY, IssuerName::parse)?,
        ),
        (ISSUANCE_POLICY, older.transpose()?.flatten()),
    ];
    let mut named = named
        .into_iter()
        .filter_map(|(member, name)| Some((member, name?)));
    let Some((first, issuer)) = named.next() else {
        return Ok(None);
    };
    match named.find(|(_, name)| *name != issuer) {
        None => Ok(Some(issuer)),
        Some((member, other)) => {
            let problem = format!("{issuer} is not {other}, the issuer in {member}");
            Err(fields.error(first, problem))
        }
    }
}

/// The members in which an api-version names an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerMembers {
    /// `clientCertificateIssuancePolicy`.
    IssuancePolicy,
    /// `credentialPolicyName`.
    CredentialPolicy,
    /// `certificateAuthorityName`, `certificatePolicyName` and `namespaceName`, as stored.
    CertificateAuthority,
}

impl IssuerMembers {
    /// Those of an api-version; of one that is not a date, the newest.
    #[must_use]
    pub fn of_version(version: &str) -> Self {
        let is_date = |date: &&str| {
            let mut pattern = "dddd-dd-dd".bytes().zip(date.bytes());
            pattern.all(|(kind, byte)| match kind {
                b'-' => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
        };
        match version.get(..10).filter(is_date) {
            Some(date) if date < "2021-11-01" => Self::CredentialPolicy,
            Some(date) if date < "2025-07-01" => Self::IssuancePolicy,
            Some(date) if date < "2026-11-01" => Self::CredentialPolicy,
            Some(_) | None => Self::CertificateAuthority,
        }
    }

    /// Rewrites a document that has its issuer in the newest members.
    pub fn write(self, document: &mut Map<String, Value>) {
        if self == Self::CertificateAuthority {
            return;
        }
        document.remove(POLICY);
        document.remove(NAMESPACE);
        let Some(issuer) = document.remove(CA) else {
            return;
        };
        let (member, value) = match self {
            Self::IssuancePolicy => (ISSUANCE_POLICY, json!({ CA: issuer })),
            Self::CredentialPolicy | Self::CertificateAuthority => (CREDENTIAL_POLICY, issuer),
        };
        document.insert(member.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value) -> Result<Option<IssuerReference>, String> {
        let fields = Fields::of_body(body).unwrap();
        IssuerReference::read(&fields).map_err(|error| error.to_string())
    }

    #[test]
    fn every_version_has_its_members() {
        use IssuerMembers as Members;
        for (version, wanted) in [
            ("2017-11-15", Members::CredentialPolicy),
            ("2021-10-01", Members::CredentialPolicy),
            ("2021-11-01-preview", Members::IssuancePolicy),
            ("2023-02-01-preview", Members::IssuancePolicy),
            ("2025-07-01-preview", Members::CredentialPolicy),
            ("2026-10-31", Members::CredentialPolicy),
            ("2026-11-01", Members::CertificateAuthority),
            ("2026-11-02-preview", Members::CertificateAuthority),
            ("2031-05-01", Members::CertificateAuthority),
            ("latest", Members::CertificateAuthority),
            ("2021-1o-01", Members::CertificateAuthority),
        ] {
            assert_eq!(Members::of_version(version), wanted, "{version}");
        }
    }

    #[test]
    fn what_is_written_in_any_members_is_read_back() {
        let stored = json!({"certificateAuthorityName": "fleet",
            "certificatePolicyName": "days-90", "namespaceName": "plant"});
        let full = read(&stored).unwrap().unwrap();
        assert_eq!(full.policy.as_ref().unwrap().as_str(), "days-90");
        assert_eq!(full.namespace.as_ref().unwrap().as_str(), "plant");
        for (members, wanted) in [
            (IssuerMembers::CertificateAuthority, stored.clone()),
            (
                IssuerMembers::CredentialPolicy,
                json!({"credentialPolicyName": "fleet"}),
            ),
            (
                IssuerMembers::IssuancePolicy,
                json!({"clientCertificateIssuancePolicy": {"certificateAuthorityName": "fleet"}}),
            ),
        ] {
            let mut written = stored.clone();
            members.write(written.as_object_mut().unwrap());
            assert_eq!(written, wanted);
            assert_eq!(read(&written).unwrap().unwrap().issuer, full.issuer);
        }
        assert_eq!(read(&json!({})).unwrap(), None);
        assert_eq!(
            read(&json!({"certificateAuthorityName": ""})).unwrap(),
            None
        );
    }

    #[test]
    fn members_that_contradict_each_other_are_named() {
        let older = json!({"certificateAuthorityName": "b"});
        for (body, wanted) in [
            (
                json!({"certificateAuthorityName": "a", "credentialPolicyName": "b"}),
                "'certificateAuthorityName': a is not b, the issuer in credentialPolicyName",
            ),
            (
                json!({"credentialPolicyName": "a", "clientCertificateIssuancePolicy": older}),
                "'credentialPolicyName': a is not b, the issuer in clientCertificateIssuancePolicy",
            ),
            (
                json!({"certificatePolicyName": "p", "namespaceName": "n"}),
                "'certificateAuthorityName': is missing; certificatePolicyName alone names no issuer",
            ),
            (
                json!({"namespaceName": "n"}),
                "'certificateAuthorityName': is missing; namespaceName alone names no issuer",
            ),
        ] {
            let found = read(&body).unwrap_err();
            assert!(found.starts_with(wanted), "{found}");
        }
        let same = json!({"certificateAuthorityName": "Fleet", "credentialPolicyName": "fleet"});
        assert_eq!(read(&same).unwrap().unwrap().issuer.as_str(), "Fleet");
    }
}
