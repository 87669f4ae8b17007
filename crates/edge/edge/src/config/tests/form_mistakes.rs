//! Mistakes in the less usual forms of `config.toml`, each with its line and what to do.

use super::*;

const MANUAL: &str = r#"[provisioning]
source = "manual"
iothub_hostname = "h.example"
device_id = "d1"
[provisioning.authentication]
method = "sas"
device_id_pk = { value = "bXVzdGVyLW9mLWRldmljZXMtYW5kLW9mLWh1YnMtMzI=" }
"#;

const ISSUED: &str = r#"[provisioning]
source = "dps"
global_endpoint = "https://dps.example"
id_scope = "0ne1"
[provisioning.attestation]
method = "x509"
registration_id = "d1"
[provisioning.attestation.identity_cert]
method = "est"
url = "https://est.example"
"#;

/// The faults of a text in which every form is offered.
fn faults_in(text: &str) -> Vec<String> {
    let faults = match Config::parse_all_forms(text) {
        Ok((_, faults)) | Err(faults) => faults,
    };
    faults
        .iter()
        .filter(|fault| fault.severity > Severity::Note)
        .map(ToString::to_string)
        .collect()
}

fn one_fault(base: &str, from: &str, to: &str, expected: &str) {
    assert!(base.contains(from), "{from}");
    let found = faults_in(&base.replacen(from, to, 1));
    assert!(
        found.len() == 1 && found[0].contains(expected),
        "{to}:\n{found:#?}"
    );
}

const KEY: &str = "{ value = \"bXVzdGVyLW9mLWRldmljZXMtYW5kLW9mLWh1YnMtMzI=\" }";

#[test]
fn mistakes_with_manual_provisioning_are_explained() {
    for (from, to, expected) in [
        (
            KEY,
            "\"bXVz\"",
            "line 7: provisioning.authentication.device_id_pk: write device_id_pk =",
        ),
        (
            KEY,
            "{ value = \"käse\" }",
            "device_id_pk.value: the key is not base64",
        ),
        (
            KEY,
            "{ value = \"a2V5\", uri = \"file:///k\" }",
            "value and uri are two keys",
        ),
        (
            KEY,
            "{ uri = \"tpm:0x81010001\" }",
            "a TPM holds no symmetric key for tokens",
        ),
        (KEY, "{ uri = \"pkcs11:token=t\" }", "names no key"),
        (
            "\"sas\"",
            "\"symmetric_key\"",
            "line 6: provisioning.authentication.method: \"symmetric_key\" is not a \
             method; write \"sas\"",
        ),
        (
            "h.example",
            "h example",
            "line 3: provisioning.iothub_hostname",
        ),
        (
            "source = \"manual\"",
            "source = \"manual\"\nid_scope = \"0ne1\"",
            "provisioning.id_scope: it belongs to source = \"dps\"",
        ),
        (
            "source = \"manual\"\niothub_hostname = \"h.example\"\ndevice_id = \"d1\"\n",
            "source = \"manual\"\nconnection_string = \
             \"HostName=h;DeviceId=d;SharedAccessKey=a2V5\"\n",
            "it is part of connection_string already",
        ),
    ] {
        one_fault(MANUAL, from, to, expected);
    }
}

const URL: &str = "url = \"https://est.example\"\n";

/// What stands in [`ISSUED`], what is written in its place, and the fault.
const ISSUED_MISTAKES: &[(&str, &str, &str)] = &[
    (
        URL,
        "",
        "line 8: provisioning.attestation.identity_cert.url is missing, and \
             cert_issuance.est.urls.default too",
    ),
    (
        URL,
        "url = \"est.example\"\n",
        "it has to begin with https://",
    ),
    (
        URL,
        "url = \"http://est.example\"\n",
        "without https everybody on the way reads",
    ),
    (
        URL,
        "url = \"https://e\"\nusername = \"u\"\n",
        "password is missing",
    ),
    (
        URL,
        "url = \"https://e\"\nidentity_cert = \"file:///i\"\nidentity_pk = \"file:///i\"\n\
             bootstrap_identity_cert = \"file:///b\"\nbootstrap_identity_pk = \"file:///b\"\n",
        "either identity_cert or bootstrap_identity_cert",
    ),
    (
        URL,
        "url = \"https://e\"\nauto_renew = { threshold = \"100%\" }\n",
        "auto_renew.threshold: \"100%\" is neither",
    ),
    (
        URL,
        "url = \"https://e\"\ncommon_name = \"other\"\n",
        "the common name \"other\" is not used",
    ),
    (
        URL,
        "url = \"https://e\"\nsubject = { X = \"y\" }\n",
        "subject.X: it is not an attribute",
    ),
    (
        URL,
        "url = \"https://e\"\nsubject = { C = \"germany\" }\n",
        "write two capital letters",
    ),
    (
        URL,
        "url = \"https://e\"\nexpiry_days = 0\n",
        "0 is not 1 to 36500 days",
    ),
    (
        "method = \"est\"\nurl",
        "method = \"self_signed\"\nurl",
        "it belongs to method = \"est\"; remove it",
    ),
    (
        "method = \"est\"\nurl = \"https://est.example\"",
        "method = \"local_ca\"",
        "needs a CA; add [cert_issuance.local_ca]",
    ),
    (
        "registration_id = \"d1\"\n",
        "",
        "registration_id is missing in [provisioning.attestation]",
    ),
];

#[test]
fn mistakes_with_issued_certificates_are_explained() {
    for (from, to, expected) in ISSUED_MISTAKES {
        one_fault(ISSUED, from, to, expected);
    }
}

/// Pain 20: Azure's tools cut a common name off after 64 characters, and the device has another.
#[test]
fn names_that_no_certificate_can_have_are_refused() {
    let long = "d".repeat(65);
    let named = format!("registration_id = \"{long}\"");
    one_fault(
        ISSUED,
        "registration_id = \"d1\"",
        &named,
        "registration_id has more than 64",
    );
    let edge_ca =
        format!("{MANUAL}[edge_ca]\nmethod = \"self_signed\"\ncommon_name = \"{long}\"\n");
    let found = faults_in(&edge_ca);
    assert!(
        found.len() == 1 && found[0].contains("X.509 allows 64"),
        "{found:?}"
    );
}

/// Sections behind [`MANUAL`], and their faults.
const SECTION_MISTAKES: &[(&str, &str)] = &[
    (
        "[edge_ca]\nmethod = \"est\"\nurl = \"https://e\"\ncert = \"file:///c\"\n",
        "method and files exclude each other",
    ),
    (
        "[edge_ca]\nmethod = \"dps\"\n",
        "edge_ca.method: \"dps\" is not a method",
    ),
    (
        "[edge_ca]\ncert = \"file:///c\"\n",
        "pk is missing in [edge_ca]",
    ),
    (
        "[edge_ca]\ncert = \"pkcs11:token=t;object=c\"\npk = \"file:///k\"\n",
        "only keys are in PKCS#11 tokens",
    ),
    (
        "[connect]\nworkload_uri = \"unix:///x.sock\"\n",
        "nothing listens at \"unix:///x.sock\"",
    ),
    (
        "[listen]\nmanagement_uri = \"http://0.0.0.0:15580\"\n",
        "sockets of the network are not served",
    ),
    (
        "[image_garbage_collection]\ncleanup_recurrence = \"36h\"\n",
        "is not a number of whole days",
    ),
    (
        "[image_garbage_collection]\ncleanup_time = \"24:00\"\n",
        "is not a time of day",
    ),
    (
        "[[moby_runtime.network.ipam.config]]\nsubnet = \"10.0.0.0\"\n\
             [moby_runtime.network]\nname = \"n\"\n",
        "is not a network, such as",
    ),
    (
        "[aziot_keys]\npkcs11_base_slot = \"pkcs11:token=t\"\n",
        "pkcs11_lib_path is missing",
    ),
    (
        "[aziot_keys]\npkcs11_lib_path = \"libp11.so\"\n",
        "is not the absolute path of a library",
    ),
    (
        "[cert_issuance.local_ca]\ncert = { method = \"local_ca\" }\n",
        "the local CA is issued by \"est\" or \"self_signed\"",
    ),
    (
        "[preloaded_certs]\na = 1\n",
        "preloaded_certs.a: a text, or an array of texts",
    ),
    (
        "[agent]\nimagePullPolicy = \"always\"\n",
        "agent.imagePullPolicy: \"always\" is neither",
    ),
];

#[test]
fn mistakes_in_other_sections_are_explained() {
    for (section, expected) in SECTION_MISTAKES {
        let found = faults_in(&format!("{MANUAL}{section}"));
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{section}:\n{found:#?}"
        );
    }
    let nested = faults_in(&format!("parent_hostname = \"up\"\n{ISSUED}"));
    assert!(
        nested[0].contains("a nested device is provisioned manually"),
        "{nested:?}"
    );
}
