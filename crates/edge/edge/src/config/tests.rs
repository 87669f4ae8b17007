mod applied;
mod azure;
mod form_mistakes;
mod golden;
mod mistakes;

use std::path::Path;

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
    let (config, notes) = Config::parse(GOOD).unwrap();
    assert!(notes.iter().all(|note| note.severity == Severity::Note));
    let Source::Dps(dps) = &config.source else {
        panic!("{:?}", config.source)
    };
    assert_eq!(dps.endpoint.as_str(), "dps.example:8443");
    let KeyLocation::File(key) = &config.source.x509().unwrap().key else {
        panic!("{dps:?}")
    };
    assert_eq!(key.path, Path::new("/k.pem"));
    assert_eq!(config.reprovisioning, ReprovisioningMode::OnErrorOnly);
    assert_eq!(config.runtime.uri(), "unix:///tmp/docker.sock");
    assert_eq!(config.cloud_timeout, Duration::from_secs(70));
}
