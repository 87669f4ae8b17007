//! `identity_cert` and `identity_pk`: files, or a certificate that is issued on the device.

use std::collections::BTreeMap;

use ids::RegistrationId;

use super::issuance::{Usage, issuance};
use super::location::{file, key};
use crate::config::issuance::{CertIssuance, Issuance, IssuanceMethod, Subject};
use crate::config::location::KeyLocation;
use crate::config::provisioning::{
    Attestation, IdentityCertificate, NamedRegistration, X509Identity,
};
use crate::config::reader::Section;

/// The longest common name of X.509, characters.
const MAX_COMMON_NAME: usize = 64;

/// What the common name of an issued identity has to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum IdentityName<'a> {
    Registration(&'a str),
    Device(&'a str),
    /// The id has a fault of its own.
    Unknown,
}

/// The identity of `[provisioning.attestation]`. An id that is not given follows from the subject
/// of an issued certificate.
pub(super) fn of_registration(
    section: &Section<'_, '_>,
    registration_id: Option<NamedRegistration>,
    issuers: &CertIssuance,
) -> Option<Attestation> {
    let name = match &registration_id {
        Some(named) => IdentityName::Registration(named.id.as_str()),
        None => IdentityName::Unknown,
    };
    let identity = x509(section, name, issuers)?;
    let IdentityCertificate::Issued(issued) = &identity.certificate else {
        return Some(Attestation::X509 {
            registration_id,
            identity,
        });
    };
    let registration_id = registration_id.or_else(|| registration_of(section, issued))?;
    Some(Attestation::X509 {
        registration_id: Some(registration_id),
        identity,
    })
}

fn registration_of(section: &Section<'_, '_>, issued: &Issuance) -> Option<NamedRegistration> {
    if section.has("registration_id") {
        return None;
    }
    let line = issued.line;
    let Some(name) = issued.subject.as_ref().and_then(common_name) else {
        section.fault(
            line.0,
            "registration_id is missing in [provisioning.attestation]; a certificate that is \
             issued on the device gets it as its common name",
        );
        return None;
    };
    match RegistrationId::parse(name) {
        Ok(id) => Some(NamedRegistration { id, line }),
        Err(error) => {
            let message = format!("the common name {name:?} cannot be a registration id: {error}");
            section.fault(line.0, message);
            None
        }
    }
}

fn common_name(subject: &Subject) -> Option<&str> {
    match subject {
        Subject::CommonName(name) => Some(name),
        Subject::Name(attributes) => attributes.get("CN").map(String::as_str),
    }
}

/// `identity_cert` and `identity_pk` of a section.
pub(super) fn x509(
    section: &Section<'_, '_>,
    name: IdentityName<'_>,
    issuers: &CertIssuance,
) -> Option<X509Identity> {
    if !section.is_table("identity_cert") {
        let certificate = file(section, "identity_cert", true);
        let key = key(section, "identity_pk");
        return Some(X509Identity {
            certificate: IdentityCertificate::File(certificate?),
            key: key?,
        });
    }
    // Azure's tools ignore the key. Here the device uses it, where one is named.
    let key = match section.text("identity_pk") {
        Some(at) => super::location::key_at(section, "identity_pk", at)?,
        None => KeyLocation::Held,
    };
    let Some(table) = section.asking_section("identity_cert") else {
        section.missing("identity_cert");
        return None;
    };
    let mut issued = issuance(table, Usage::Identity, issuers)?;
    let by_dps = matches!(issued.method, IssuanceMethod::Dps(_));
    if by_dps && matches!(name, IdentityName::Device(_)) {
        section.fault(
            issued.line.0,
            "identity_cert.method: \"dps\" needs source = \"dps\", whose service issues the \
             certificate; use \"est\", \"local_ca\" or \"self_signed\"",
        );
        return None;
    }
    set_common_name(section, &mut issued, name);
    Some(X509Identity {
        certificate: IdentityCertificate::Issued(issued),
        key,
    })
}

/// The common name of a device's identity is its id: hubs and provisioning services demand it.
fn set_common_name(section: &Section<'_, '_>, issued: &mut Issuance, name: IdentityName<'_>) {
    let (id, key) = match name {
        IdentityName::Registration(id) => (id, "registration_id"),
        IdentityName::Device(id) => (id, "device_id"),
        IdentityName::Unknown => return,
    };
    let line = issued.line.0;
    if id.chars().count() > MAX_COMMON_NAME {
        section.fault(
            line,
            format!(
                "{key} has more than {MAX_COMMON_NAME} characters, and the common name of a \
                 certificate cannot; choose a shorter one"
            ),
        );
    }
    let given = issued.subject.as_ref().and_then(common_name);
    if let Some(given) = given.filter(|given| !given.eq_ignore_ascii_case(id)) {
        section.warn(
            line,
            format!("the common name {given:?} is not used: the identity's has to be the {key}"),
        );
    }
    let mut attributes = match issued.subject.take() {
        Some(Subject::Name(attributes)) => attributes,
        Some(Subject::CommonName(_)) | None => BTreeMap::new(),
    };
    issued.subject = Some(if attributes.is_empty() {
        Subject::CommonName(id.to_owned())
    } else {
        attributes.insert("CN".to_owned(), id.to_owned());
        Subject::Name(attributes)
    });
}
