//! The inputs of `aziotctl`: the parts of the file that both tools have.

use super::*;

/// The inputs of `aziotctl`: those parts that both tools have.
pub(super) fn of_aziotctl() -> Vec<(&'static str, String)> {
    [registrations(), by_est(), manual()].concat()
}

const COMMON_NAME: &str = "common_name = \"d1\"\n";
const SUBJECT: &str = "subject = { L = \"AQ\", ST = \"Antarctica\", CN = \"d1\" }\n";
const RENEW: &str = "[provisioning.attestation.identity_cert.auto_renew]\nrotate_key = false\n\
    threshold = \"50%\"\nretry = \"10%\"\n";
const LOCAL_CA: &str = "[cert_issuance.local_ca]\ncert = \"file:///l.pem\"\n\
    pk = \"pkcs11:slot-id=0;object=local-ca?pin-value=1234\"\n";

fn file(parts: &[&str]) -> String {
    format!("[provisioning]\n{}\n", parts.join("\n"))
}

fn x509(identity: &str) -> String {
    dps(&format!(
        "method = \"x509\"\nregistration_id = \"d1\"\n{identity}"
    ))
}

fn registrations() -> Vec<(&'static str, String)> {
    let by_local_ca = x509("identity_cert = { method = \"local_ca\", common_name = \"d1\" }");
    let tpm = dps("method = \"tpm\"\nregistration_id = \"d1\"");
    vec![
        ("dps-symmetric-key-no-pad", file(&[&dps_key(NO_PAD)])),
        ("dps-symmetric-key", file(&[&dps_key(KEY)])),
        ("dps-tpm", file(&[&tpm])),
        (
            "dps-x509-pkcs11-localca",
            file(&[&by_local_ca, TOKEN, LOCAL_CA]),
        ),
        ("dps-x509-pkcs11", file(&[&x509(TOKEN_KEY), TOKEN])),
        ("dps-x509", file(&[&x509(FILES)])),
    ]
}

fn by_est() -> Vec<(&'static str, String)> {
    let issued = |parts: &[&str]| {
        let table = "[provisioning.attestation.identity_cert]\nmethod = \"est\"\n";
        x509(&format!("{table}{}", parts.concat()))
    };
    let identity = est_defaults("identity");
    let bootstrap = est_defaults("bootstrap_identity");
    let renewed = "[cert_issuance.est.identity_auto_renew]\nrotate_key = true\n\
        threshold = \"50%\"\nretry = \"10%\"\n";
    let trusted = "[cert_issuance.est]\ntrusted_certs = [\"file:///est-ca.pem\"]\n";
    let in_files = EST_BOOTSTRAP.replace("pkcs11:slot-id=0;object=b?pin-value=1234", "file:///b");
    let custom = issued(&[COMMON_NAME, EST_BOOTSTRAP]);
    let renewing = issued(&[COMMON_NAME, RENEW]);
    vec![
        (
            "dps-x509-est-bootstrap-auto-renew",
            file(&[&issued(&[&in_files, SUBJECT, RENEW]), trusted]),
        ),
        (
            "dps-x509-pkcs11-est-bootstrap",
            file(&[&renewing, TOKEN, &bootstrap, renewed]),
        ),
        (
            "dps-x509-pkcs11-est-custom-bootstrap",
            file(&[&custom, TOKEN, &bootstrap]),
        ),
        (
            "dps-x509-pkcs11-est-subject-dn-bootstrap",
            file(&[&issued(&[EST_BOOTSTRAP, SUBJECT]), TOKEN, &bootstrap]),
        ),
        (
            "dps-x509-pkcs11-est",
            file(&[&issued(&[COMMON_NAME]), TOKEN, &identity]),
        ),
    ]
}

fn manual() -> Vec<(&'static str, String)> {
    let by_est = |parts: &[&str]| {
        let table = "[provisioning.authentication.identity_cert]\nmethod = \"est\"\n";
        file(&[&manual_x509(&format!("{table}{}", parts.concat()))])
    };
    let string = file(&[&connection_string()]);
    let limits = "[aziot_max_requests]\nkeyd = 20\ncertd = 30\ntpmd = 40\nidentityd = 50";
    let plain_http = EST_OWN.replace("https:", "http:");
    vec![
        (
            "local-gateway",
            format!("local_gateway_hostname = \"up\"\n{string}"),
        ),
        (
            "manual-connection-string",
            format!("prefer_module_identity_cache = true\n{string}"),
        ),
        ("manual-symmetric-key-no-pad", file(&[&manual_key(NO_PAD)])),
        ("manual-symmetric-key", file(&[&manual_key(KEY)])),
        (
            "manual-x509-est-custom-http",
            by_est(&[COMMON_NAME, &plain_http]),
        ),
        ("manual-x509-est-custom", by_est(&[COMMON_NAME, EST_OWN])),
        ("manual-x509-est-subject-dn", by_est(&[EST_OWN, SUBJECT])),
        (
            "manual-x509-pkcs11",
            file(&[&manual_x509(TOKEN_KEY), TOKEN]),
        ),
        ("manual-x509", file(&[&manual_x509(FILES)])),
        ("throttle-limits", file(&[&connection_string(), limits])),
    ]
}
