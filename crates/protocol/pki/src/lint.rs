//! What every certificate that we sign must satisfy, whatever prepared it.

use ids::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};

use crate::Certificate;
use crate::profile::Profile;

/// Shortest serial number: 128 random bits, so that nobody guesses one.
const MIN_SERIAL_BYTES: usize = 16;

/// One rule that a prepared certificate breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintFinding(pub(crate) String);

impl std::fmt::Display for LintFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rules that a prepared certificate breaks, all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused to sign a certificate that breaks {} rule(s): {}",
    .findings.len(),
    list(.findings)
)]
pub struct LintError {
    findings: Vec<LintFinding>,
}

impl LintError {
    /// What is wrong; at least one.
    #[must_use]
    pub fn findings(&self) -> &[LintFinding] {
        &self.findings
    }
}

fn list(findings: &[LintFinding]) -> String {
    let texts: Vec<&str> = findings.iter().map(|f| f.0.as_str()).collect();
    texts.join("; ")
}

/// Holds `params` against the rules; `issuer` is `None` for a self-signed root.
pub(crate) fn lint(
    params: &CertificateParams,
    profile: &Profile,
    issuer: Option<&Certificate>,
) -> Result<(), LintError> {
    let mut findings = Findings(Vec::new());
    lint_serial(params, &mut findings);
    lint_dates(params, issuer, &mut findings);
    if profile.is_ca() {
        lint_ca(params, profile, issuer, &mut findings);
    } else {
        lint_leaf(params, profile, &mut findings);
    }
    findings.require(
        params.use_authority_key_identifier_extension,
        "authorityKeyIdentifier is missing",
    );
    findings.require(
        issuer.is_some() || profile.may_sign_itself(),
        "only a root, and what a device makes for itself, signs itself",
    );
    if findings.0.is_empty() {
        return Ok(());
    }
    Err(LintError {
        findings: findings.0,
    })
}

struct Findings(Vec<LintFinding>);

impl Findings {
    fn require(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.0.push(LintFinding(otherwise.to_owned()));
        }
    }
}

fn lint_serial(params: &CertificateParams, findings: &mut Findings) {
    let serial = params
        .serial_number
        .as_ref()
        .map(rcgen::SerialNumber::to_bytes);
    let good = serial.is_some_and(|bytes| {
        (MIN_SERIAL_BYTES..=20).contains(&bytes.len()) && (1..0x80).contains(&bytes[0])
    });
    findings.require(
        good,
        "the serial is not a positive number of 128 to 160 bits",
    );
}

fn lint_dates(params: &CertificateParams, issuer: Option<&Certificate>, findings: &mut Findings) {
    findings.require(
        params.not_before < params.not_after,
        "it ends before it begins",
    );
    let Some(issuer) = issuer else { return };
    let not_before = Timestamp::from_offset_date_time(params.not_before);
    let not_after = Timestamp::from_offset_date_time(params.not_after);
    findings.require(not_after <= issuer.not_after(), "it outlives its issuer");
    findings.require(
        not_before >= issuer.not_before(),
        "it begins before its issuer",
    );
}

fn lint_ca(
    params: &CertificateParams,
    profile: &Profile,
    issuer: Option<&Certificate>,
    findings: &mut Findings,
) {
    let IsCa::Ca(constraint) = params.is_ca else {
        findings.require(false, "a CA's basicConstraints are not CA:TRUE");
        return;
    };
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        findings.require(
            params.key_usages.contains(&usage),
            "a CA's keyUsage lacks keyCertSign or cRLSign",
        );
    }
    let is_cross = matches!(profile, Profile::CrossCertificate { .. });
    if let Some(issuer) = issuer.filter(|_| is_cross) {
        let name = params.distinguished_name.get(&DnType::CommonName);
        let name = name.and_then(common_name);
        findings.require(
            name.is_some() && name == issuer.subject_common_name(),
            "a cross-certificate has not the name of its issuer",
        );
    }
    let Some(allowed) = issuer.and_then(|i| i.extensions().path_length) else {
        return;
    };
    let fits = match constraint {
        // It is self-issued, and no path length counts it.
        BasicConstraints::Constrained(length) if is_cross => u32::from(length) <= allowed,
        BasicConstraints::Constrained(length) => u32::from(length) < allowed,
        BasicConstraints::Unconstrained => false,
    };
    findings.require(
        fits,
        "the issuer's pathlen does not allow a CA of this path length below it",
    );
}

fn common_name(value: &DnValue) -> Option<&str> {
    match value {
        DnValue::Utf8String(text) => Some(text),
        _ => None,
    }
}

fn lint_leaf(params: &CertificateParams, profile: &Profile, findings: &mut Findings) {
    findings.require(
        params.is_ca == IsCa::ExplicitNoCa,
        "a leaf's basicConstraints are not CA:FALSE",
    );
    findings.require(
        params.key_usages == [KeyUsagePurpose::DigitalSignature],
        "a leaf's keyUsage is not digitalSignature alone",
    );
    let purpose = match profile {
        Profile::Server { .. } => ExtendedKeyUsagePurpose::ServerAuth,
        _ => ExtendedKeyUsagePurpose::ClientAuth,
    };
    findings.require(
        params.extended_key_usages == [purpose],
        "a leaf's extendedKeyUsage is not the one purpose of its kind",
    );
    if let Profile::Server { names } = profile {
        findings.require(
            !names.is_empty() && names.len() == params.subject_alt_names.len(),
            "a server's certificate names no host",
        );
    }
}
