//! The inputs of `iotedge`: files as its `config import` writes them.

use super::*;

/// A file of `iotedge config import`: the sections that are always there.
fn edge(top: &str, provisioning: &str, changed: &[(&str, &str)]) -> String {
    let mut text = format!(
        r#"auto_reprovisioning_mode = "OnErrorOnly"
hostname = "d1"
{top}
[provisioning]
{provisioning}
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
image = "registry.example/agent:1.0"

[agent.config.createOptions]

[agent.config.auth]

[agent.env]

[connect]
workload_uri = "unix:///var/run/iotedge/workload.sock"
management_uri = "unix:///var/run/iotedge/mgmt.sock"

[listen]
workload_uri = "fd://aziot-edged.workload.socket"
management_uri = "fd://aziot-edged.mgmt.socket"

[watchdog]
max_retries = "infinite"

[edge_ca]
auto_generated_edge_ca_expiry_days = 90

[moby_runtime]
uri = "unix:///var/run/docker.sock"
network = "azure-iot-edge"
"#
    );
    for (from, to) in changed {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text
}

/// The inputs of `iotedge`.
pub(super) fn of_iotedge() -> Vec<(&'static str, String)> {
    [edge_cas(), provisioning(), runtime()].concat()
}

const QUICK: &str = "auto_generated_edge_ca_expiry_days = 90";
const RENEW: &str =
    "[edge_ca.auto_renew]\nrotate_key = true\nthreshold = \"90%\"\nretry = \"1%\"\n";
const OWN_CA: &str = "cert = \"file:///ca.pem\"\npk = \"file:///ca.key.pem\"";
const FD_WORKLOAD: &str = "fd://aziot-edged.workload.socket";
const FD_MANAGEMENT: &str = "fd://aziot-edged.mgmt.socket";
const WORKLOAD: &str = "unix:///var/run/iotedge/workload.sock";
const MANAGEMENT: &str = "unix:///var/run/iotedge/mgmt.sock";

fn manual(changed: &[(&str, &str)]) -> String {
    edge("", &manual_key(KEY), changed)
}

fn with_ca(ca: &str) -> String {
    let trust = "trust_bundle_cert = \"file:///t.pem\"";
    edge(trust, &manual_key(KEY), &[(QUICK, ca)])
}

fn edge_cas() -> Vec<(&'static str, String)> {
    let local_ca =
        format!("method = \"local_ca\"\ncommon_name = \"d1 ca\"\nexpiry_days = 365\n{RENEW}");
    let est = format!(
        "method = \"est\"\nusername = \"u\"\npassword = \"p\"\n{EST_BOOTSTRAP}\
         [edge_ca.subject]\nL = \"AQ\"\nST = \"A\"\nCN = \"test CA\"\n{RENEW}"
    );
    let self_signed = format!("method = \"self_signed\"\ncommon_name = \"c\"\n{RENEW}");
    let issuer = "[cert_issuance.local_ca]\ncert = \"file:///l.pem\"\npk = \"file:///l.key\"\n";
    let by_local_ca = with_ca(&local_ca).replace("[cert_issuance]\n", issuer);
    vec![
        ("ca-certs-est", with_ca(&est)),
        ("ca-certs-local-ca", by_local_ca),
        ("ca-certs", with_ca(OWN_CA)),
        ("ca-quickstart-custom", with_ca(&self_signed)),
        ("ca-quickstart", manual(&[("= 90", "= 30")])),
    ]
}

fn provisioning() -> Vec<(&'static str, String)> {
    let tpm = dps("method = \"tpm\"\nregistration_id = \"abcdefgh234567\"");
    let x509 = dps(&format!("method = \"x509\"\n{FILES}"));
    let dynamic = [("OnErrorOnly", "Dynamic")];
    let master = "imported_master_encryption_key = \"/tmp/m\"";
    let cache = "prefer_module_identity_cache = false";
    let unpadded = edge("", &dps_key(NO_PAD), &dynamic);
    vec![
        ("dps-no-reprovisioning-flags", edge("", &dps_key(KEY), &[])),
        ("dps-symmetric-key-no-pad", unpadded),
        ("dps-symmetric-key", edge("", &dps_key(KEY), &dynamic)),
        ("dps-tpm", edge("", &tpm, &dynamic)),
        ("dps-x509", edge("", &x509, &dynamic)),
        (
            "imported-master-encryption-key",
            edge(master, &manual_key(KEY), &[]),
        ),
        ("manual-connection-string-2", manual(&[])),
        (
            "manual-connection-string-no-pad",
            edge("", &manual_key(NO_PAD), &[]),
        ),
        (
            "manual-connection-string",
            edge(cache, &manual_key(KEY), &[]),
        ),
        ("manual-x509", edge("", &manual_x509(FILES), &[])),
    ]
}

const CREATE_OPTIONS: &str = "[agent.config.createOptions]\nEnv = [\"a=b\"]\n\
    [agent.config.createOptions.HostConfig]\nBinds = [\"/a:/b\"]\n";
const AUTH: &str =
    "[agent.config.auth]\nusername = \"u\"\npassword = \"p\"\nserveraddress = \"r\"\n";
const ENV: &str =
    "[agent.env]\nUpstreamProtocol = \"MqttWs\"\nhttps_proxy = \"http://127.0.0.1:8\"\n";
const NETWORK: &str = "[moby_runtime.network]\nname = \"n\"\nipv6 = true\n\
    [[moby_runtime.network.ipam.config]]\ngateway = \"172.18.0.1\"\n\
    subnet = \"172.18.0.0/16\"\nip_range = \"172.18.0.0/16\"\n\
    [[moby_runtime.network.ipam.config]]\ngateway = \"2021:ffff::1\"\n\
    subnet = \"2021:ffff::/80\"\nip_range = \"2021:ffff::/80\"\n";
const LIMITS: &str = "[iotedge_max_requests]\nmanagement = 20\nworkload = 30\n\
    [aziot_max_requests]\nkeyd = 20\ncertd = 30\nidentityd = 40\ntpmd = 50\n[tpm]\n";

fn runtime() -> Vec<(&'static str, String)> {
    let agent = [
        ("[agent.config.createOptions]\n", CREATE_OPTIONS),
        ("[agent.config.auth]\n", AUTH),
        ("[agent.env]\n", ENV),
    ];
    let nested = edge(
        "parent_hostname = \"up\"",
        &manual_key(KEY),
        &[("[tpm]\n", LIMITS)],
    );
    let files = [(FD_WORKLOAD, WORKLOAD), (FD_MANAGEMENT, MANAGEMENT)];
    let one = manual(&[(FD_WORKLOAD, WORKLOAD)]).replace(WORKLOAD, "unix:///my/own/workload.sock");
    let in_folder = |folder: &str| {
        let folder = format!("unix:///{folder}");
        manual(&files).replace("unix:///var/run/iotedge", &folder)
    };
    let network = manual(&[("network = \"azure-iot-edge\"\n", NETWORK)]);
    vec![
        ("complex-agent-spec", manual(&agent)),
        ("moby-runtime-network-2", network),
        ("moby-runtime-network", with_ca(OWN_CA)),
        ("nested-edge", nested),
        ("not-socket-activated-both-custom", in_folder("my/own")),
        ("not-socket-activated-varlib", in_folder("var/lib/iotedge")),
        ("not-socket-activated-varrun", manual(&files)),
        ("socket-activated-one-custom", one),
    ]
}
