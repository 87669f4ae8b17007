//! EST servers: `[cert_issuance.est]`, and what a certificate's own section says.

use std::collections::BTreeMap;

use super::location::{file, file_at, key};
use super::renewal::renewal;
use crate::config::issuance::{
    CertIssuance, EstAuth, EstClient, EstClientKind, EstDefaults, EstSettings, EstUrl, EstUser,
};
use crate::config::reader::{At, Section};
use crate::config::secret::Secret;
use crate::config::values;

/// `[cert_issuance.est]`.
pub(super) fn est_defaults(section: Section<'_, '_>) -> EstDefaults {
    let trusted = section.text_list("trusted_certs");
    let trusted = trusted
        .into_iter()
        .filter_map(|at| file_at(&section, "trusted_certs", at))
        .collect();
    // Read for its mistakes.
    let _ = renewal(&section, "identity_auto_renew", true);
    let why = "the certificate of each section is renewed with itself, as its own auto_renew says";
    section.without_effect(&["identity_auto_renew"], why);
    let mut defaults = EstDefaults {
        trusted,
        ..EstDefaults::default()
    };
    if let Some(auth) = section.section("auth") {
        defaults.auth = est_auth(&auth, None);
        auth.finish();
    }
    if let Some(urls) = section.section("urls") {
        let read = urls.texts();
        let read = read.into_iter().filter_map(|(id, at)| {
            let url = est_url(&urls, &id, &at)?;
            Some((id, url))
        });
        defaults.urls = read.collect::<BTreeMap<_, _>>();
    }
    section.finish();
    defaults
}

/// The server of one certificate: its own keys, else the defaults. Credentials of one's own
/// replace all of the defaults, which another server may have to get.
pub(super) fn est_settings(
    section: &Section<'_, '_>,
    certificate_id: &str,
    issuers: &CertIssuance,
) -> Option<EstSettings> {
    let empty = EstDefaults::default();
    let defaults = issuers.est.as_ref().unwrap_or(&empty);
    let own_url = section.text("url");
    let url = match &own_url {
        Some(at) => est_url(section, "url", at),
        None if section.has("url") => None,
        None => {
            let by_id = defaults.urls.get(certificate_id);
            let url = by_id.or_else(|| defaults.urls.get("default")).cloned();
            if url.is_none() {
                let message = format!(
                    "{} is missing, and cert_issuance.est.urls.default too; one of them has to \
                     name the EST server",
                    section.name("url")
                );
                section.fault(section.line(), message);
            }
            url
        }
    };
    let own = est_auth(section, Some(certificate_id));
    let auth = if own == EstAuth::default() {
        defaults.auth.clone()
    } else {
        own
    };
    Some(EstSettings {
        url: url?,
        auth,
        trusted: defaults.trusted.clone(),
    })
}

fn est_url(section: &Section<'_, '_>, key: &str, at: &At<String>) -> Option<EstUrl> {
    let name = section.name(key);
    match values::est_url(&at.value, at.line) {
        Ok(url) => {
            if !url.is_https {
                let message = format!(
                    "{name}: without https everybody on the way reads the password and can issue \
                     another certificate; use https://"
                );
                section.warn(at.line, message);
            }
            Some(url)
        }
        Err(problem) => {
            section.fault(at.line, format!("{name}: {problem}"));
            None
        }
    }
}

/// `username` and `password`, and one of the client certificates. `certificate_id` is that of the
/// certificate whose section this is.
fn est_auth(section: &Section<'_, '_>, certificate_id: Option<&str>) -> EstAuth {
    let (username, password) = (section.text("username"), section.text("password"));
    let basic = match (username, password) {
        (Some(username), Some(password)) => Some(EstUser {
            username: username.value,
            password: Secret::new(password.value),
        }),
        (Some(_), None) if !section.has("password") => {
            section.missing("password");
            None
        }
        (None, Some(_)) if !section.has("username") => {
            section.missing("username");
            None
        }
        _ => None,
    };
    EstAuth {
        basic,
        client: client(section, certificate_id),
    }
}

const IDENTITY: [&str; 2] = ["identity_cert", "identity_pk"];
const BOOTSTRAP: [&str; 2] = ["bootstrap_identity_cert", "bootstrap_identity_pk"];

/// The certificate with which the device registers, to be issued another one.
pub(super) fn bootstrap(section: &Section<'_, '_>, certificate_id: &str) -> Option<EstClient> {
    if !section.has(BOOTSTRAP[0]) {
        let message = format!(
            "{} is missing: the device registers with it, and is issued its certificate then",
            section.name(BOOTSTRAP[0])
        );
        section.fault(section.line(), message);
    }
    client(section, Some(certificate_id))
}

fn client(section: &Section<'_, '_>, certificate_id: Option<&str>) -> Option<EstClient> {
    let has = |keys: [&str; 2]| keys.iter().any(|key| section.has(key));
    let (kind, [certificate, key_name], prefix) = match (has(IDENTITY), has(BOOTSTRAP)) {
        (false, false) => return None,
        (true, true) => {
            let why = "an EST server gets either identity_cert or bootstrap_identity_cert; remove \
                       one of them with its key";
            section.misplaced(&BOOTSTRAP, why);
            section.know(&IDENTITY);
            return None;
        }
        (true, false) => (EstClientKind::Identity, IDENTITY, "est-id"),
        (false, true) => (EstClientKind::Bootstrap, BOOTSTRAP, "est-bootstrap-id"),
    };
    let certificate = file(section, certificate, true);
    let key = key(section, key_name);
    let id = match certificate_id {
        Some(certificate_id) => format!("{prefix}-{certificate_id}"),
        None => prefix.to_owned(),
    };
    Some(EstClient {
        kind,
        certificate: certificate?,
        key: key?,
        id,
    })
}
