//! Files of iotedge 1.1 become files that are accepted and say the same.

use super::*;
use crate::config::{
    Attestation, Config, Dps, EdgeCa, KeyLocation, Manual, ManualCredential, ReprovisioningMode,
    Severity, Source,
};

const KEY: &str = "bXVzdGVyLW9mLWRldmljZXMtYW5kLW9mLWh1YnMtMzI=";

/// A whole file as the package of 1.1 ships it, with comments and what an owner changes.
const MANUAL: &str = "
# DPS and manual provisioning
provisioning:
  source: \"manual\"
  device_connection_string: \"HostName=h.example;DeviceId=d1;SharedAccessKey=KEY\"
  dynamic_reprovisioning: false
certificates:
  device_ca_cert: '/var/secrets/my ca.pem'
  device_ca_pk: 'file:///var/secrets/ca.key.pem'
  trusted_ca_certs: '/var/secrets/trusted.pem'
agent:
  name: \"edgeAgent\"
  type: \"docker\"
  env:
    UpstreamProtocol: MqttWs
    MaxRestartCount: 5
  config:
    image: \"registry.example/agent:1.1\"
    auth: {}
    createOptions:
      HostConfig:
        Binds:
          - '/a:/b'
hostname: \"D1\"
connect:
  management_uri: \"unix:///var/run/iotedge/mgmt.sock\"
  workload_uri: \"unix:///var/run/iotedge/workload.sock\"
listen:
  management_uri: \"fd://iotedge.mgmt.socket\"
  workload_uri: \"fd://iotedge.socket\"
homedir: \"/var/lib/iotedge\"
watchdog:
  max_retries: 3
moby_runtime:
  uri: \"unix:///var/run/docker.sock\"
  network: \"azure-iot-edge\"
";

fn read(yaml: &str) -> (Config, Vec<String>) {
    let yaml = yaml.replace("KEY", KEY);
    let imported = import(&yaml, None).unwrap();
    let (config, _) = Config::parse_all_forms(&imported.text)
        .unwrap_or_else(|faults| panic!("{faults:#?}\n{}", imported.text));
    let faults = imported.faults.iter().map(ToString::to_string).collect();
    (config, faults)
}

#[test]
fn a_file_of_1_1_becomes_a_configuration_that_says_the_same() {
    let (config, faults) = read(MANUAL);
    assert_eq!(faults, [""; 0]);
    let Source::Manual(Manual {
        hub,
        device_id,
        credential: ManualCredential::SharedKey(_),
    }) = &config.source
    else {
        panic!("{config:?}")
    };
    assert_eq!((hub.as_str(), device_id.as_str()), ("h.example", "d1"));
    assert_eq!(config.reprovisioning, ReprovisioningMode::OnErrorOnly);
    let EdgeCa::Files { certificate, .. } = &config.edge_ca else {
        panic!("{config:?}")
    };
    assert_eq!(certificate.path, Path::new("/var/secrets/my ca.pem"));
    let env = |name: &str| {
        config
            .agent_env
            .iter()
            .find(|(key, _)| key == name)
            .cloned()
    };
    assert_eq!(env("MaxRestartCount").unwrap().1, "5");
    assert_eq!(config.watchdog.max_retries, Some(3));
    assert_eq!(config.hostname.as_deref(), Some("D1"));
    assert_eq!(config.sockets, crate::config::Sockets::default());
}

const DPS: &str = "provisioning:
  source: dps
  global_endpoint: https://dps.example
  scope_id: '0ne1'
  attestation:
    method: METHOD
";

#[test]
fn every_way_of_provisioning_is_imported() {
    let x509 = "x509\n    identity_cert: '/c.pem'\n    identity_pk: 'file:///k.pem'";
    let (config, _) = read(&DPS.replace("METHOD", x509));
    assert!(matches!(
        config.source.x509().unwrap().key,
        KeyLocation::File(_)
    ));
    let key = "symmetric_key\n    registration_id: d1\n    symmetric_key: 'KEY'";
    let (config, _) = read(&DPS.replace("METHOD", key));
    assert!(config.source.symmetric_key().is_some());
    let tpm = "tpm\n    registration_id: d1\n  dynamic_reprovisioning: true\n  \
               always_reprovision_on_startup: true";
    let (config, _) = read(&DPS.replace("METHOD", tpm));
    assert_eq!(config.reprovisioning, ReprovisioningMode::Dynamic);
    let (before_attestation, _) = DPS.split_once("  attestation").unwrap();
    let old = format!(
        "{before_attestation}  registration_id: d1\n  always_reprovision_on_startup: yes\n"
    );
    let (config, _) = read(&old);
    assert!(matches!(
        config.source,
        Source::Dps(Dps {
            attestation: Attestation::Tpm { .. },
            ..
        })
    ));
    assert_eq!(config.reprovisioning, ReprovisioningMode::AlwaysOnStartup);
    let manual = "provisioning:\n  source: manual\n  authentication:\n    method: x509\n    \
                  iothub_hostname: h\n    device_id: d\n    identity_cert: /c\n    \
                  identity_pk: /k\n";
    assert!(matches!(read(manual).0.source, Source::Manual(_)));
}

#[test]
fn what_is_not_imported_is_said() {
    let (_, faults) = read(&MANUAL.replace("homedir:", "homdir:"));
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].contains("homdir is not known and was not imported"),
        "{faults:?}"
    );
    for (text, expected) in [
        ("", "the file holds nothing"),
        ("a: b", "provisioning is missing"),
        ("provisioning:\n  source: external\n", "has no successor"),
        (
            "provisioning:\n  source: manual\n",
            "device_connection_string is missing",
        ),
        (
            "provisioning:\n  device_connection_string: HostName=h;DeviceId=d\n",
            "SharedAccessKey is missing",
        ),
        ("- a\n", "a table was expected"),
    ] {
        let fault = import(text, None).unwrap_err().to_string();
        assert!(fault.contains(expected), "{text}: {fault}");
    }
}

/// A file of 1.2 and later is a `config.toml` already.
#[test]
fn a_config_toml_is_kept_as_it_is() {
    let text = "# mine\n[provisioning]\nsource = \"dps\"\n";
    assert_eq!(import(text, None).unwrap().text, text);
}

#[test]
fn the_master_key_of_the_old_release_is_named() {
    let yaml = MANUAL.replace("KEY", KEY);
    let imported = import(&yaml, Some(Path::new("/var/lib/iotedge/k"))).unwrap();
    let (config, _) = Config::parse_all_forms(&imported.text).unwrap();
    assert_eq!(
        config.imported_master_key.unwrap().path,
        Path::new("/var/lib/iotedge/k")
    );
}

#[test]
fn a_connection_string_becomes_a_configuration() {
    let string = format!("HostName=h.example;DeviceId=d1;SharedAccessKey={KEY}");
    let text = with_connection_string(&string).unwrap();
    let (config, faults) = Config::parse_all_forms(&text).unwrap();
    assert!(faults.iter().all(|fault| fault.severity == Severity::Note));
    assert!(matches!(config.source, Source::Manual(_)));
    assert!(with_connection_string("HostName=h").is_err());
}
