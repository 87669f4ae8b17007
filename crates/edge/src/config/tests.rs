use super::*;

const GOOD: &str = r#"hostname = "d1"
auto_reprovisioning_mode = "OnErrorOnly"

[provisioning]
source = "dps"
global_endpoint = "https://dps.example:8443/"
id_scope = "0ne1"
payload = { uri = "file:///p.json" }

[provisioning.attestation]
method = "x509"
registration_id = "d1"
identity_cert = "file:///c.pem"
identity_pk = "file:///k.pem"

[moby_runtime]
uri = "unix:///tmp/docker.sock"
network = "net"
"#;

fn faults(text: &str) -> String {
    let faults = Config::parse(text).unwrap_err();
    faults
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_articles_section_is_read() {
    let (config, remarks) = Config::parse(GOOD).unwrap();
    assert_eq!(remarks, []);
    assert_eq!(config.provisioning.endpoint.as_str(), "dps.example:8443");
    assert_eq!(config.provisioning.identity_pk.path, Path::new("/k.pem"));
    assert_eq!(config.reprovisioning, ReprovisioningMode::OnErrorOnly);
    assert_eq!(config.runtime.uri(), "unix:///tmp/docker.sock");
    assert_eq!(config.cloud_timeout, Duration::from_secs(70));
}

#[test]
fn every_line_of_the_template_can_be_uncommented() {
    let uncommented: String = TEMPLATE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[') => {
                format!("{setting}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(uncommented.contains("\nidentity_cert = "), "{uncommented}");
    assert!(uncommented.contains("\n[moby_runtime]"));
    let (config, remarks) = Config::parse(&uncommented).unwrap();
    assert_eq!(remarks, []);
    assert_eq!(
        config.agent_env,
        [("RuntimeLogLevel".to_owned(), "info".to_owned())]
    );
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_likely_one() {
    let text = GOOD.replace("id_scope", "id_scop");
    let told = faults(&text);
    assert!(
        told.contains("line 7: provisioning.id_scop is not a known key; did you mean id_scope?"),
        "{told}"
    );
    assert!(
        told.contains("id_scope is missing in [provisioning]"),
        "{told}"
    );
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
    let text = GOOD.replace(
        "identity_pk",
        "auto_reprovisioning_mode = \"Dynamic\"\nidentity_pk",
    );
    let told = faults(&text);
    assert!(told.contains("top of the file"), "{told}");
}

#[test]
fn two_provisioning_blocks_are_told_with_both_lines() {
    let told = faults(&format!("{GOOD}\n[provisioning]\nsource = \"manual\"\n"));
    assert_eq!(
        told,
        "line 20: [provisioning] appears twice, on line 4 and on line 20; a device has one way of provisioning: \
         keep the block you want and comment the other one out"
    );
}

#[test]
fn a_text_without_quotes_is_explained() {
    let told = faults(&GOOD.replace("\"OnErrorOnly\"", "Dynamic"));
    assert!(
        told.contains("line 2: texts need quotes in TOML, for example \"Dynamic\""),
        "{told}"
    );
}

#[test]
fn what_is_not_offered_says_so() {
    for (from, to, expected) in [
        (
            "method = \"x509\"",
            "method = \"tpm\"",
            "line 11: provisioning.attestation.method: \"tpm\" is known from Azure IoT Edge but not offered yet",
        ),
        (
            "method = \"x509\"",
            "method = \"symmetric_key\"",
            "not offered yet",
        ),
        (
            "source = \"dps\"",
            "source = \"manual\"",
            "line 5: provisioning.source: \"manual\" is known",
        ),
        (
            "\"file:///k.pem\"",
            "\"pkcs11:token=x;object=y\"",
            "line 14: provisioning.attestation.identity_pk: keys in PKCS#11",
        ),
        (
            "\"file:///c.pem\"",
            "{ method = \"est\" }",
            "line 13: provisioning.attestation.identity_cert is known",
        ),
        (
            "hostname = \"d1\"",
            "parent_hostname = \"up\"",
            "line 1: parent_hostname is known",
        ),
        (
            "[moby_runtime]",
            "[tpm]\ntcti = \"device\"\n[moby_runtime]",
            "line 16: tpm is known",
        ),
        (
            "\"https://dps.example:8443/\"",
            "\"http://dps.example\"",
            "has to begin with https://",
        ),
        ("\"file:///c.pem\"", "\"/c.pem\"", "is not a file URI"),
        ("\"file:///c.pem\"", "\"file://c.pem\"", "three slashes"),
        (
            "hostname = \"d1\"",
            "hostname = \"d 1\"",
            "line 1: hostname: \"d 1\" is not a host name",
        ),
        (
            "hostname = \"d1\"",
            "hostname = 1",
            "line 1: hostname: a text in quotes was expected, found integer",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let told = faults(&GOOD.replace(from, to));
        assert!(told.contains(expected), "{to}:\n{told}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let text = GOOD
        .replace("id_scope = \"0ne1\"\n", "")
        .replace("unix://", "tcp://")
        .replace("hostname", "hostnam");
    assert_eq!(Config::parse(&text).unwrap_err().len(), 3);
}

#[test]
fn no_provisioning_at_all_is_told() {
    assert!(faults("").contains("[provisioning] is missing"));
    assert!(
        faults("[provisioning]\nsource = \"dps\"\n")
            .contains("attestation is missing in [provisioning]")
    );
}

#[test]
fn secrets_do_not_show_in_the_differences() {
    let new = GOOD
        .replace("0ne1", "0ne2")
        .replace("hostname = \"d1\"\n", "")
        + "[agent.env]\nTOKEN = \"hunter2\"\n";
    let shown: Vec<String> = changes(GOOD, &new)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        shown,
        [
            "+ agent.env.TOKEN = (hidden)",
            "~ provisioning.id_scope = \"0ne2\" (was \"0ne1\")",
            "- hostname = \"d1\"",
        ]
    );
}

#[test]
fn the_applied_copy_is_private_and_its_changes_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00-super.toml");
    assert!(read_applied(&path).unwrap().is_none());
    write_applied(&path, Path::new("/etc/aziot/config.toml"), GOOD).unwrap();
    assert_eq!(read_applied(&path).unwrap().as_deref(), Some(GOOD));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("0ne1", "0ne9")).unwrap();
    assert!(matches!(read_applied(&path), Err(ApplyError::Altered(_))));
}
