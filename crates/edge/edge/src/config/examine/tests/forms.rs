//! Files of all forms of a configuration: keys, CAs, client certificates.

use super::*;

impl TestIdentity {
    /// What is wrong with the files of a configuration. `DIR` is the folder.
    fn faults_of(&self, text: &str) -> (Examined, Vec<String>) {
        let text = text.replace("DIR", &self.path().display().to_string());
        let (config, _) = Config::parse_all_forms(&text).unwrap();
        let examined = examine(&config, Some(NOW));
        let faults = examined.faults.iter().map(ToString::to_string).collect();
        (examined, faults)
    }
}

const MANUAL: &str = "[provisioning]\nsource = \"manual\"\niothub_hostname = \"h.example\"\n\
    device_id = \"edge-001\"\n[provisioning.authentication]\n";
const KEY: &[u8; 32] = b"muster-of-devices-and-of-hubs-32";

#[test]
fn a_manual_identity_is_a_credential_without_a_registration_id() {
    let identity = TestIdentity::new();
    let text = format!(
        "{MANUAL}method = \"x509\"\nidentity_cert = \"file://DIR/chain.pem\"\n\
         identity_pk = \"file://DIR/key.pem\"\n"
    );
    let (examined, faults) = identity.faults_of(&text);
    assert_eq!(faults, [""; 0]);
    assert_eq!(examined.credential.unwrap().registration_id, None);
    let (examined, faults) = identity.faults_of(&text.replace("edge-001", "edge-002"));
    assert!(examined.credential.is_some());
    assert!(
        faults.len() == 1 && faults[0].contains("by the certificate's thumbprint"),
        "{faults:?}"
    );
}

/// 2.2: a key in a file is its bytes. People write the base64 text that the registry shows.
#[test]
fn a_symmetric_key_in_a_file_is_its_bytes() {
    let identity = TestIdentity::new();
    let text = format!("{MANUAL}method = \"sas\"\ndevice_id_pk = {{ uri = \"file://DIR/k\" }}\n");
    identity.file("k", KEY, 0o600);
    let (examined, faults) = identity.faults_of(&text);
    assert_eq!(faults, [""; 0]);
    let key = examined.symmetric_key.unwrap();
    let same = SharedAccessKey::from_bytes(KEY.to_vec()).unwrap();
    assert_eq!(key.mark(), same.sign(b"which key this is"));
    for (content, mode, expected) in [
        (STANDARD.encode(KEY) + "\n", 0o600, "the file holds base64"),
        (identity.text("key.pem"), 0o600, "the file holds PEM"),
        (String::new(), 0o600, "has 0 bytes; 1 to 256 are possible"),
        ("muster".repeat(4), 0o644, "run: chmod 600"),
    ] {
        identity.file("k", content.as_bytes(), mode);
        let (_, faults) = identity.faults_of(&text);
        assert!(
            faults.len() == 1 && faults[0].starts_with("line 7: ") && faults[0].contains(expected),
            "{content}: {faults:?}"
        );
    }
}

#[test]
fn a_short_key_is_warned_about_and_never_shown() {
    let identity = TestIdentity::new();
    let text = format!("{MANUAL}method = \"sas\"\ndevice_id_pk = {{ value = \"c2hvcnQ=\" }}\n");
    let (examined, faults) = identity.faults_of(&text);
    assert!(examined.symmetric_key.is_some());
    assert!(
        faults.len() == 1
            && faults[0].contains("was it copied whole")
            && !faults[0].contains("c2h"),
        "{faults:?}"
    );
}

const SAS: &str = "method = \"sas\"\n\
    device_id_pk = { value = \"bXVzdGVyLW9mLWRldmljZXMtYW5kLW9mLWh1YnMtMzI=\" }\n";

/// Pain 1: the device's identity and the Edge CA's certificate are put in each other's place.
#[test]
fn an_identity_as_edge_ca_is_explained() {
    let identity = TestIdentity::new();
    let text = format!(
        "{MANUAL}{SAS}[edge_ca]\ncert = \"file://DIR/chain.pem\"\npk = \"file://DIR/key.pem\"\n"
    );
    let (_, faults) = identity.faults_of(&text);
    assert!(
        faults.len() == 1 && faults[0].contains("begins with the certificate of CN=edge-001"),
        "{faults:?}"
    );
    identity.chain(&[&identity.leaf]);
    let (_, faults) = identity.faults_of(&text);
    assert!(
        faults.len() == 1 && faults[0].contains("is it the device's identity?"),
        "{faults:?}"
    );
    identity.chain(&[&identity.intermediate, &identity.root]);
    let (_, faults) = identity.faults_of(&text);
    assert!(
        faults.len() == 1
            && faults[0].starts_with("line 10: pk ")
            && faults[0].contains("does not belong to the certificate of CN=Intermediate"),
        "{faults:?}"
    );
}

/// Every file is looked at once, with the line that names it.
#[test]
fn files_of_est_local_ca_and_preloaded_keys_are_looked_at() {
    let identity = TestIdentity::new();
    let text = format!(
        "{MANUAL}{SAS}[cert_issuance.est]\ntrusted_certs = [\n  \"file://DIR/none-1\",\n]\n\
         [cert_issuance.est.auth]\nidentity_cert = \"file://DIR/chain.pem\"\n\
         identity_pk = \"file://DIR/other.pem\"\n\
         [cert_issuance.est.urls]\ndefault = \"https://est.example\"\n\
         [cert_issuance.local_ca]\ncert = \"file://DIR/none-2\"\npk = \"file://DIR/none-3\"\n\
         [edge_ca]\nmethod = \"est\"\n\
         [preloaded_keys]\na = \"file://DIR/none-4\"\n\
         [preloaded_certs]\nb = \"file://DIR/none-5\"\n"
    );
    let other = PrivateKey::generate(KeyType::Ec).unwrap();
    identity.file("other.pem", other.to_pem().as_bytes(), 0o600);
    let (_, faults) = identity.faults_of(&text);
    let starts: Vec<String> = faults
        .iter()
        .map(|fault| fault.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "line 18: cert:",
        "line 19: pk:",
        "line 10: trusted_certs:",
        "line 14: identity_pk",
        "line 23: a:",
        "line 25: b:",
    ];
    assert_eq!(starts, expected, "{faults:#?}");
}
