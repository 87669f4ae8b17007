//! Certificates that are issued: the table of a certificate, `[cert_issuance]`, `[edge_ca]`.

use super::est::{bootstrap, est_defaults, est_settings};
use super::location::{file, key};
use super::renewal::{days, lifetime, renewal};
use super::subject::subject;
use crate::config::fault::LineNumber;
use crate::config::issuance::{
    CertIssuance, DEVICE_ID, EDGE_CA, EdgeCa, Issuance, IssuanceMethod, LOCAL_CA, LocalCa,
    QUICK_START_LIFETIME,
};
use crate::config::offered::Form;
use crate::config::reader::{At, Section};

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Identity,
    EdgeCa,
    LocalCa,
}

impl Usage {
    fn certificate_id(self) -> &'static str {
        match self {
            Self::Identity => DEVICE_ID,
            Self::EdgeCa => EDGE_CA,
            Self::LocalCa => LOCAL_CA,
        }
    }

    /// The form of a `method`. Whatever uses the local CA has a form of its own.
    fn form(self, method: &str) -> Option<Form> {
        match (self, method) {
            (Self::Identity, "est") => Some(Form::IdentityByEst),
            (Self::Identity, "local_ca") => Some(Form::IdentityByLocalCa),
            (Self::Identity, "self_signed") => Some(Form::IdentitySelfSigned),
            (Self::Identity, "dps") => Some(Form::IdentityByDps),
            (Self::EdgeCa, "est") => Some(Form::EdgeCaByEst),
            (Self::EdgeCa, "local_ca") => Some(Form::EdgeCaByLocalCa),
            (Self::EdgeCa, "self_signed") => Some(Form::EdgeCaSelfSigned),
            _ => None,
        }
    }

    /// Whether a certificate is renewed where nothing is said. A hub knows a self-signed identity
    /// by its thumbprint, so that another certificate would be another device.
    fn is_renewed(self, method: &IssuanceMethod) -> bool {
        !(self == Self::Identity && *method == IssuanceMethod::SelfSigned)
    }
}

/// `[cert_issuance]`.
pub(super) fn cert_issuance(top: &Section<'_, '_>) -> CertIssuance {
    let Some(section) = top.section("cert_issuance") else {
        return CertIssuance::default();
    };
    let mut issuers = CertIssuance {
        est: section.asking_section("est").map(est_defaults),
        local_ca: None,
    };
    issuers.local_ca = section
        .asking_section("local_ca")
        .and_then(|section| local_ca(section, &issuers));
    section.finish();
    issuers
}

fn local_ca(section: Section<'_, '_>, issuers: &CertIssuance) -> Option<LocalCa> {
    let found = if section.is_table("cert") {
        section.misplaced(
            &["pk"],
            "the device makes the key of an issued certificate; remove it",
        );
        let issued = section.section("cert")?;
        let line = issued.line();
        match issuance(issued, Usage::LocalCa, issuers)? {
            Issuance {
                method: IssuanceMethod::LocalCa | IssuanceMethod::Dps(_),
                ..
            } => {
                section.fault(
                    line,
                    "cert_issuance.local_ca.cert.method: the local CA is issued by \"est\" or \
                     \"self_signed\"",
                );
                None
            }
            issued => Some(LocalCa::Issued(issued)),
        }
    } else {
        let certificate = file(&section, "cert", true);
        let key = key(&section, "pk");
        certificate
            .zip(key)
            .map(|(certificate, key)| LocalCa::Files { certificate, key })
    };
    section.finish();
    found
}

/// `[edge_ca]`.
pub(super) fn edge_ca(top: &Section<'_, '_>, issuers: &CertIssuance) -> Option<EdgeCa> {
    let Some(section) = top.asking_section("edge_ca") else {
        return Some(EdgeCa::default());
    };
    if section.has("method") {
        let why = "it is for a section without method; use expiry_days";
        section.misplaced(&["auto_generated_edge_ca_expiry_days"], why);
        let why = "method and files exclude each other; remove one of them";
        section.misplaced(&["cert", "pk"], why);
        return issuance(section, Usage::EdgeCa, issuers).map(EdgeCa::Issued);
    }
    if section.has("cert") || section.has("pk") {
        let certificate = file(&section, "cert", true);
        if let Some(certificate) = &certificate {
            section.form(Form::EdgeCaFiles, "cert", certificate.line.0);
        }
        let key = key(&section, "pk");
        let why = "a certificate in a file is not renewed or changed by the device; replace the \
                   file";
        section.without_effect(
            &["auto_renew", "common_name", "subject", "expiry_days"],
            why,
        );
        section.finish();
        return certificate
            .zip(key)
            .map(|(certificate, key)| EdgeCa::Files { certificate, key });
    }
    Some(EdgeCa::Issued(quick_start(section)))
}

/// The device makes its own CA.
fn quick_start(section: Section<'_, '_>) -> Issuance {
    let days = section
        .unsigned("auto_generated_edge_ca_expiry_days")
        .and_then(|at| days(&section, "auto_generated_edge_ca_expiry_days", at));
    let own = lifetime(&section);
    let issued = Issuance {
        method: IssuanceMethod::SelfSigned,
        subject: subject(&section),
        lifetime: days.or(own).or(Some(QUICK_START_LIFETIME)),
        auto_renew: renewal(&section, "auto_renew", true),
        line: LineNumber(section.line()),
    };
    section.finish();
    issued
}

/// A table with `method`.
pub(super) fn issuance(
    section: Section<'_, '_>,
    usage: Usage,
    issuers: &CertIssuance,
) -> Option<Issuance> {
    let line = section.line();
    let method = method(&section, usage, issuers);
    let subject = subject(&section);
    let lifetime = lifetime(&section);
    let is_renewed = method
        .as_ref()
        .is_none_or(|method| usage.is_renewed(method));
    let auto_renew = renewal(&section, "auto_renew", is_renewed);
    if let Some(method) = &method
        && lifetime.is_some()
        && matches!(method, IssuanceMethod::Est(_) | IssuanceMethod::Dps(_))
    {
        let why = "the server that issues the certificate decides how long it is valid";
        section.without_effect(&["expiry_days", "lifetime"], why);
    }
    section.finish();
    Some(Issuance {
        method: method?,
        subject,
        lifetime,
        auto_renew,
        line: LineNumber(line),
    })
}

const EST_KEYS: [&str; 7] = [
    "url",
    "username",
    "password",
    "identity_cert",
    "identity_pk",
    "bootstrap_identity_cert",
    "bootstrap_identity_pk",
];

fn method(
    section: &Section<'_, '_>,
    usage: Usage,
    issuers: &CertIssuance,
) -> Option<IssuanceMethod> {
    let At { value, line } = section.required_text("method")?;
    let what = format!("{} = {value:?}", section.name("method"));
    if let Some(form) = usage.form(&value) {
        section.form_of_value(form, &what, line);
    }
    if value == "est" {
        let settings = est_settings(section, usage.certificate_id(), issuers)?;
        return Some(IssuanceMethod::Est(Box::new(settings)));
    }
    if value == "dps" && usage == Usage::Identity {
        let why = "it belongs to method = \"est\"; remove it";
        section.misplaced(&EST_KEYS[..5], why);
        let client = bootstrap(section, usage.certificate_id())?;
        return Some(IssuanceMethod::Dps(Box::new(client)));
    }
    section.misplaced(&EST_KEYS, "it belongs to method = \"est\"; remove it");
    match value.as_str() {
        "local_ca" => {
            if issuers.local_ca.is_none() && usage != Usage::LocalCa {
                let message = format!("{what} needs a CA; add [cert_issuance.local_ca]");
                section.fault(line, message);
            }
            Some(IssuanceMethod::LocalCa)
        }
        "self_signed" => Some(IssuanceMethod::SelfSigned),
        _ => {
            let name = section.name("method");
            let also = match usage {
                Usage::Identity => ", \"self_signed\" or \"dps\"",
                Usage::EdgeCa | Usage::LocalCa => " or \"self_signed\"",
            };
            let message =
                format!("{name}: {value:?} is not a method; write \"est\", \"local_ca\"{also}");
            section.fault(line, message);
            None
        }
    }
}
