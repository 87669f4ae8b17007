//! Configurations that Azure IoT Edge accepts.

use super::*;

/// D13: a file as `iotedge config import` writes it, with every table that Azure's type has,
/// most of them empty.
const IMPORTED: &str = r#"auto_reprovisioning_mode = "Dynamic"
hostname = "d1"
prefer_module_identity_cache = false

[provisioning]
source = "dps"
global_endpoint = "https://dps.example/"
id_scope = "0ne1"

[provisioning.attestation]
method = "x509"
identity_cert = "file:///c.pem"
identity_pk = "file:///k.pem"

[aziot_keys]

[preloaded_keys]

[cert_issuance]

[preloaded_certs]

[tpm]

[agent]
name = "edgeAgent"
type = "docker"
imagePullPolicy = "on-create"

[agent.config]
image = "registry.example/agent:1.4"

[agent.config.createOptions]

[agent.config.auth]

[agent.env]

[connect]
workload_uri = "unix:///var/run/iotedge/workload.sock"
management_uri = "unix:///var/run/iotedge/mgmt.sock"

[listen]
workload_uri = "fd://aziot-edged.workload.socket"
management_uri = "fd://aziot-edged.mgmt.socket"
min_tls_version = "tls1.2"

[watchdog]
max_retries = "infinite"

[edge_ca]
auto_generated_edge_ca_expiry_days = 90

[image_garbage_collection]
enabled = false
cleanup_time = "00:00"

[moby_runtime]
uri = "unix:///var/run/docker.sock"

[moby_runtime.network]
name = "azure-iot-edge"
ipv6 = false

[moby_runtime.network.ipam]

[moby_runtime.content_trust.ca_certs]
"#;

#[test]
fn sections_that_ask_for_nothing_are_accepted() {
    let (config, warnings) = Config::parse(IMPORTED).unwrap();
    assert_eq!(config.runtime, MobyRuntime::default());
    assert_eq!(config.agent_env, []);
    let notes: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert!(
        warnings
            .iter()
            .all(|warning| warning.severity == Severity::Note),
        "{notes:?}"
    );
    let keys: Vec<&str> = notes
        .iter()
        .filter_map(|note| note.split_whitespace().nth(2))
        .collect();
    assert_eq!(
        keys,
        [
            "hostname",
            "prefer_module_identity_cache",
            "agent.config",
            "listen.min_tls_version",
        ]
    );
    for (from, to) in [
        ("max_retries = \"infinite\"", "max_retries = 10"),
        ("max_retries = \"infinite\"", "max_retries = \"Infinite\""),
        (
            "name = \"azure-iot-edge\"\nipv6 = false",
            "name = \"other\"",
        ),
    ] {
        let text = IMPORTED.replace(from, to);
        assert_ne!(text, IMPORTED, "{from}");
        assert!(Config::parse(&text).is_ok(), "{to}");
    }
}

const IDENTITY: &str = "identity_cert = \"file:///c.pem\"\nidentity_pk = \"file:///k.pem\"\n";
const ATTESTATION: &str = "[provisioning.attestation]\nmethod = \"x509\"\n\
    identity_cert = \"file:///c.pem\"\nidentity_pk = \"file:///k.pem\"\n";
const QUICKSTART: &str = "auto_generated_edge_ca_expiry_days = 90";

/// Parts of [`IMPORTED`], each with the text that a valid configuration of Azure IoT Edge may have
/// in its place: forms with a row in `offered.rs`, now or earlier.
const FORMS: &[(&str, &str)] = &[
    (
        IDENTITY,
        r#"identity_cert = { method = "est", url = "https://e.example/est", common_name = "d1" }"#,
    ),
    (
        IDENTITY,
        concat!(
            r#"identity_cert = { method = "est", url = "https://est.example/.well-known/est", "#,
            r#"username = "u", password = "p", bootstrap_identity_cert = "file:///b.pem", "#,
            r#"bootstrap_identity_pk = "file:///b.key.pem", auto_renew = { rotate_key = true, "#,
            r#"threshold = "80%", retry = "4%" }, expiry_days = 30, subject = { L = "AQ", "#,
            r#"CN = "d1" } }"#,
        ),
    ),
    (
        IDENTITY,
        "registration_id = \"d1\"\nidentity_cert = { method = \"self_signed\" }",
    ),
    (
        IDENTITY,
        "registration_id = \"d1\"\nidentity_cert = { method = \"dps\", auto_renew = false, \
         bootstrap_identity_cert = \"file:///b.pem\", bootstrap_identity_pk = \"file:///b.key\" }",
    ),
    ("file:///k.pem", "tpm:0x81010001"),
    ("file:///k.pem", "pkcs11:slot-id=0;object=id?pin-value=1"),
    (
        "[aziot_keys]\n",
        "[aziot_keys]\npkcs11_lib_path = \"/p.so\"\npkcs11_base_slot = \"pkcs11:slot-id=0\"\n",
    ),
    (
        "[preloaded_keys]\n",
        "[preloaded_keys]\nk = \"file:///k\"\n",
    ),
    (
        "[preloaded_certs]\n",
        "[preloaded_certs]\nc = [\"a\", \"b\"]\n",
    ),
    (
        "[cert_issuance]\n",
        r#"[cert_issuance.est]
trusted_certs = ["file:///t.pem"]
[cert_issuance.est.auth]
identity_cert = "file:///i.pem"
identity_pk = "file:///i.key.pem"
[cert_issuance.est.identity_auto_renew]
rotate_key = true
[cert_issuance.est.urls]
default = "https://est.example"
"#,
    ),
    (
        "[cert_issuance]\n",
        "[cert_issuance.local_ca]\ncert = \"file:///l.pem\"\npk = \"pkcs11:token=t;object=l\"\n",
    ),
    (
        "[tpm]\n",
        "[tpm]\ntcti = \"swtpm:port=2321\"\nauth_key_index = \"0x00_01_00\"\n\
         [tpm.hierarchy_authorization]\nowner = \"o\"\n",
    ),
    ("[tpm]\n", "[localid]\ndomain = \"example\"\n"),
    (
        "[tpm]\n",
        "[iotedge_max_requests]\nmanagement = 20\nworkload = 30\n",
    ),
    (
        QUICKSTART,
        r#"method = "est"
url = "https://est.example/.well-known/est"
username = "u"
password = "p"
bootstrap_identity_cert = "file:///b.pem"
bootstrap_identity_pk = "file:///b.key.pem"
subject = { L = "AQ", CN = "ca" }
auto_renew = { rotate_key = true, threshold = "90%", retry = "1%" }"#,
    ),
    (
        QUICKSTART,
        "method = \"est\"\nurl = \"https://e.example\"\nidentity_cert = \"file:///b.pem\"\n\
         identity_pk = \"file:///b.key.pem\"",
    ),
    (
        QUICKSTART,
        "cert = \"file:///ca.pem\"\npk = \"file:///ca.key.pem\"",
    ),
    (
        QUICKSTART,
        "method = \"self_signed\"\ncommon_name = \"ca\"\nexpiry_days = 30",
    ),
    (
        "hostname = \"d1\"",
        "imported_master_encryption_key = \"/m\"",
    ),
    ("hostname = \"d1\"", "additional_info = \"file:///i.toml\""),
    ("ipv6 = false", "ipv6 = true"),
    (
        "[moby_runtime.network.ipam]",
        "[[moby_runtime.network.ipam.config]]\ngateway = \"172.18.0.1\"",
    ),
    (
        "[moby_runtime.content_trust.ca_certs]",
        "[moby_runtime.content_trust.ca_certs]\n\"registry.example\" = \"file:///r.pem\"",
    ),
    ("enabled = false", "enabled = true"),
    (
        "fd://aziot-edged.workload.socket",
        "unix:///var/lib/iotedge/workload.sock",
    ),
    (
        "[moby_runtime.network]\nname = \"azure-iot-edge\"\nipv6 = false\n\n\
         [moby_runtime.network.ipam]\n",
        "network = \"\"\n",
    ),
    (
        ATTESTATION,
        "[provisioning.attestation]\nmethod = \"tpm\"\nregistration_id = \"d1\"\n",
    ),
    (
        ATTESTATION,
        "[provisioning.attestation]\nmethod = \"symmetric_key\"\nregistration_id = \"d1\"\n\
         symmetric_key = { value = \"a2V5\" }\n",
    ),
    (
        ATTESTATION,
        "[provisioning.attestation]\nmethod = \"symmetric_key\"\nregistration_id = \"d1\"\n\
         symmetric_key = { uri = \"pkcs11:token=t;object=k\" }\n",
    ),
    ("source = \"dps\"", "source = \"none\""),
];

/// A form that Azure's tools accept is read. If it has no behaviour yet, that is said on its line:
/// not that it is unknown, missing, of another type or in the wrong table.
#[test]
fn keys_that_are_valid_for_azure_are_never_called_unknown() {
    for (from, to) in FORMS {
        assert!(IMPORTED.contains(from), "{from}");
        let text = IMPORTED.replacen(from, to, 1);
        if let Err(faults) = Config::parse_all_forms(&text)
            && !to.contains("source = \"none\"")
        {
            panic!("{to}: {faults:#?}");
        }
        let faults = Config::parse(&text).err().unwrap_or_default();
        for fault in faults
            .iter()
            .filter(|fault| fault.severity == Severity::Error)
        {
            let honest = fault
                .message
                .contains("known from Azure IoT Edge but not offered yet");
            assert!(honest && fault.line.is_some(), "{to}: {fault}");
        }
    }
}

#[test]
fn values_that_azure_accepts_are_accepted() {
    for (from, to) in [
        ("https://dps.example:8443/", "HTTPS://dps.example:8443"),
        ("hostname = \"d1\"", "cloud_timeout_sec = 86400"),
        ("hostname = \"d1\"", "cloud_timeout_sec = 18446744073709"),
        ("file:///k.pem", "file:///my%20keys/k.pem"),
    ] {
        let (_, faults) = Config::parse(&GOOD.replace(from, to)).expect(to);
        let silent = faults.iter().all(|fault| fault.severity == Severity::Note);
        assert!(silent, "{to}: {faults:?}");
    }
    let (config, warnings) = Config::parse(&GOOD.replace("\"d1\"", "\"d_1\"")).unwrap();
    assert_eq!(config.hostname.as_deref(), Some("d_1"));
    let warned = |fault: &Fault| fault.severity == Severity::Warning && fault.line == Some(1);
    assert!(warnings.iter().any(warned), "{warnings:?}");
    assert!(
        faults(&GOOD.replace("hostname = \"d1\"", "cloud_timeout_sec = 4")).contains("less than 5")
    );
}

/// Sections about services that the daemon has no sockets for.
#[test]
fn limits_of_services_that_are_parts_of_the_daemon_have_no_effect() {
    let text = format!(
        "{IMPORTED}\n[aziot_max_requests]\nkeyd = 20\ncertd = 30\nidentityd = 40\ntpmd = 50\n"
    );
    let (_, warnings) = Config::parse(&text).unwrap();
    assert!(
        warnings
            .iter()
            .any(|note| note.message.starts_with("aziot_max_requests has no effect"))
    );
}
