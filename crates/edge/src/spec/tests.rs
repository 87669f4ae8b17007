use std::path::Path;

use wire::manifest::AgentDesired;

use super::*;

fn place() -> Place {
    Place {
        root: PathBuf::from("/tmp/one"),
        name_prefix: "edge-12345678-".into(),
        network: "edge-12345678-azure-iot-edge".into(),
        device: DeviceId::parse("d1").unwrap(),
        hub: HubHost::parse("hub.example").unwrap(),
        elevated_permissions: true,
        agent_env: vec![
            ("RuntimeLogLevel".into(), "debug".into()),
            ("OWN".into(), "1".into()),
        ],
    }
}

fn settings(module: &Value) -> ModuleSettings {
    let mut desired =
        AgentDesired::parse(&json!({"schemaVersion": "1.1", "modules": {"m": module}})).unwrap();
    desired.modules.pop_first().unwrap().1
}

fn build(place: &Place, module: &Value) -> ContainerSpec {
    let generation = GenerationId::from_number(5);
    container(
        place,
        &ModuleId::parse("m").unwrap(),
        &settings(module),
        &generation,
        Path::new("/tmp/one/mnt/m"),
        None,
    )
}

fn env_of(spec: &ContainerSpec) -> Vec<&str> {
    spec.body["Env"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn a_module_gets_what_an_sdk_needs() {
    let spec = build(&place(), &json!({"settings": {"image": "img"}}));
    assert_eq!(spec.name, "edge-12345678-m");
    assert_eq!(spec.image, "img:latest");
    let env = env_of(&spec);
    for expected in [
        "IOTEDGE_WORKLOADURI=unix:///var/run/iotedge/workload.sock",
        "IOTEDGE_AUTHSCHEME=sasToken",
        "IOTEDGE_MODULEGENERATIONID=5",
        "IOTEDGE_IOTHUBHOSTNAME=hub.example",
        "IOTEDGE_GATEWAYHOSTNAME=hub.example",
        "IOTEDGE_DEVICEID=d1",
        "IOTEDGE_MODULEID=m",
        "IOTEDGE_APIVERSION=2022-08-03",
        "RuntimeLogLevel=debug",
    ] {
        assert!(env.contains(&expected), "{expected}: {env:?}");
    }
    assert!(!env.iter().any(|item| item.starts_with("OWN=")));
    assert_eq!(
        spec.body["HostConfig"]["Binds"],
        json!(["/tmp/one/mnt/m:/var/run/iotedge:ro"])
    );
    assert_eq!(spec.body["HostConfig"]["RestartPolicy"]["Name"], "no");
    assert_eq!(
        spec.body["HostConfig"]["LogConfig"]["Config"]["max-size"],
        "10m"
    );
    assert_eq!(
        spec.body["HostConfig"]["NetworkMode"],
        "edge-12345678-azure-iot-edge"
    );
    assert_eq!(spec.body["Labels"][OWNER_LABEL], OWNER);
    assert_eq!(spec.body["Labels"][ROOT_LABEL], "/tmp/one");
}

#[test]
fn create_options_win_in_any_letter_case() {
    let options = json!({"env": ["A=options", "B"], "hostConfig": {"networkMode": "host", "logConfig": {"Type": "none"},
        "binds": ["/x:/y"], "restartPolicy": {"Name": "always"}}});
    let module = json!({"env": {"A": {"value": "module"}, "B": {"value": "module"}, "C": {"value": "module"}},
        "settings": {"image": "img:1", "createOptions": options.to_string()}});
    let spec = build(&place(), &module);
    let env = env_of(&spec);
    assert!(
        env.contains(&"A=options") && env.contains(&"B") && env.contains(&"C=module"),
        "{env:?}"
    );
    assert!(!env.contains(&"B=module"));
    let host = &spec.body["HostConfig"];
    assert_eq!(host["NetworkMode"], "host");
    assert_eq!(host["LogConfig"]["Type"], "none");
    assert_eq!(
        host["Binds"],
        json!(["/x:/y", "/tmp/one/mnt/m:/var/run/iotedge:ro"])
    );
    assert_eq!(host["RestartPolicy"]["Name"], "no");
    assert!(spec.body.get("NetworkingConfig").is_none());
}

#[test]
fn the_digest_tells_changes_and_not_the_order_of_members() {
    let digest = |options: &str, env: &str| {
        build(&place(), &json!({"env": {"K": {"value": env}}, "settings": {"image": "img", "createOptions": options}})).digest
    };
    let one = digest(r#"{"User":"1","Cmd":["a"]}"#, "x");
    assert_eq!(one, digest(r#"{"Cmd":["a"],"User":"1"}"#, "x"));
    assert_ne!(one, digest(r#"{"Cmd":["b"],"User":"1"}"#, "x"));
    assert_ne!(one, digest(r#"{"User":"1","Cmd":["a"]}"#, "y"));
    let moved = Place {
        hub: HubHost::parse("other.example").unwrap(),
        ..place()
    };
    let module = json!({"settings": {"image": "img"}});
    assert_ne!(
        build(&place(), &module).digest,
        build(&moved, &module).digest
    );
}

#[test]
fn privileges_can_be_withheld() {
    let options = json!({"HostConfig": {"Privileged": true, "CapAdd": ["NET_ADMIN", "CHOWN"]}});
    let module = json!({"settings": {"image": "img", "createOptions": options.to_string()}});
    let host = |place: &Place| build(place, &module).body["HostConfig"].clone();
    assert_eq!(host(&place())["Privileged"], true);
    let withheld = host(&Place {
        elevated_permissions: false,
        ..place()
    });
    assert_eq!(withheld["Privileged"], false);
    assert!(withheld.get("CapAdd").is_none());
    assert_eq!(withheld["CapDrop"], json!(["SETUID"]));
}

#[test]
fn odd_names_stay_different() {
    let name = |text: &str| container_name(&place(), &ModuleId::parse(text).unwrap());
    assert_eq!(name("a.b_c"), "edge-12345678-a.b_c");
    assert_ne!(name("a+b"), name("a:b"));
    assert!(name("a+b").starts_with("edge-12345678-a_b-"));
}
