use std::path::Path;

use wire::edge_api::manifest::AgentDesired;

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
        spec.body["HostConfig"]["Mounts"],
        json!([{"Type": "bind", "Source": "/tmp/one/mnt/m", "Target": "/var/run/iotedge", "ReadOnly": true}])
    );
    assert_eq!(spec.body["HostConfig"]["RestartPolicy"]["Name"], "no");
    // D11: the engine's own log driver and options, unless somebody chose.
    assert!(spec.body["HostConfig"].get("LogConfig").is_none());
    assert_eq!(spec.warnings, [] as [&str; 0]);
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
    assert_eq!(host["Binds"], json!(["/x:/y"]));
    assert_eq!(host["Mounts"][0]["Target"], "/var/run/iotedge");
    assert_eq!(host["RestartPolicy"]["Name"], "no");
    assert!(spec.warnings[0].contains("RestartPolicy has no effect"));
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

/// D2: the engine folds the case of members; what withholds privileges has to fold as it does.
#[test]
fn withheld_privileges_do_not_come_in_by_another_spelling() {
    let place = Place {
        elevated_permissions: false,
        ..place()
    };
    for options in [
        json!({"hostconfig": {"PRIVILEGED": true, "capadd": ["SYS_ADMIN"]}}),
        json!({"HostConfig": {}, "HOSTCONFIG": {"privileged": "true", "capAdd": "SYS_ADMIN"}}),
        json!({"Ho\u{17f}tConfig": {"Privileged": 1, "CapAdd": ["SYS_ADMIN"]}}),
    ] {
        let module = json!({"settings": {"image": "img", "createOptions": options.to_string()}});
        let spec = build(&place, &module);
        let mut body = spec.body.clone();
        body["Labels"] = Value::Null;
        let text = body.to_string();
        assert!(
            !text.contains("SYS_ADMIN") && !text.to_lowercase().contains("privileged\":true"),
            "{text}"
        );
        assert_eq!(
            text.to_lowercase().matches("hostconfig").count(),
            1,
            "{text}"
        );
        let said = spec.warnings.join("\n");
        assert!(
            said.contains("Privileged is withheld") && said.contains("CapAdd is withheld"),
            "{said}"
        );
    }
}

/// D2: what the table of the engine's members lacks goes out as it is, and is told.
#[test]
fn unknown_members_go_out_and_are_told() {
    let options = json!({"macAddress": "02:42:ac:11:00:02", "hostConfig": {"futureThing": {"A": [1]}}, "cmd": ["x"]});
    let module = json!({"settings": {"image": "img", "createOptions": options.to_string()}});
    let spec = build(&place(), &module);
    assert_eq!(spec.body["MacAddress"], "02:42:ac:11:00:02");
    assert_eq!(spec.body["Cmd"], json!(["x"]));
    assert_eq!(spec.body["HostConfig"]["futureThing"], json!({"A": [1]}));
    assert_eq!(spec.warnings.len(), 1);
    assert!(
        spec.warnings[0].contains("createOptions.HostConfig.futureThing"),
        "{:?}",
        spec.warnings
    );
}

/// Options that are not obeyed are told.
#[test]
fn what_has_no_effect_is_told() {
    let options = json!({"Image": "other", "HostConfig": {"AutoRemove": true, "RestartPolicy": {"Name": "always"}}});
    let module = json!({"settings": {"image": "img", "createOptions": options.to_string()}});
    let spec = build(&place(), &module);
    assert_eq!(spec.body["Image"], "img:latest");
    assert!(spec.body["HostConfig"].get("AutoRemove").is_none());
    let said = spec.warnings.join("\n");
    for member in ["Image", "HostConfig.RestartPolicy", "HostConfig.AutoRemove"] {
        assert!(
            said.contains(&format!("createOptions.{member} has no effect")),
            "{said}"
        );
    }
}

/// D15: mounts below the folder of the workload socket, which is mounted read-only.
#[test]
fn mounts_below_the_socket_folder_are_known_beforehand() {
    let options = json!({"HostConfig": {
        "Binds": ["/var/run/iotedge/mgmt.sock:/var/run/iotedge/mgmt.sock", "/a:/run/iotedge/x/y:ro", "/b:/data",
            "/c:/var/run/iotedge", "/d:/var/run/iotedge/../../etc"],
        "Mounts": [{"Type": "volume", "Source": "v", "Target": "/var/run/iotedge/z"}],
    }});
    let module = json!({"settings": {"image": "img", "createOptions": options.to_string()}});
    let spec = build(&place(), &module);
    let places: Vec<_> = spec
        .mountpoints
        .iter()
        .map(|m| (m.inside.to_str().unwrap(), m.source.to_str().unwrap()))
        .collect();
    assert_eq!(
        places,
        [
            ("mgmt.sock", "/var/run/iotedge/mgmt.sock"),
            ("x/y", "/a"),
            ("z", "v")
        ]
    );
    assert_eq!(
        spec.body["HostConfig"]["Mounts"].as_array().unwrap().len(),
        2
    );
}

/// D11: `loggingOptions` in any case, and `{}` of either says nothing.
#[test]
fn a_log_config_is_the_modules_own_or_the_deployments() {
    let log = |options: Value, logging: Option<Value>| {
        let manifest = json!({"schemaVersion": "1.1",
            "runtime": {"type": "docker", "settings": {"loggingOptions": logging.map(|l| l.to_string())}},
            "modules": {"m": {"settings": {"image": "img", "createOptions": options.to_string()}}}});
        let desired = AgentDesired::parse(&manifest).unwrap();
        let settings = &desired.modules[&ModuleId::parse("m").unwrap()];
        let (module, generation) = (ModuleId::parse("m").unwrap(), GenerationId::from_number(5));
        let folder = Path::new("/tmp/one/mnt/m");
        let logging = desired.logging_options.as_ref();
        let spec = container(&place(), &module, settings, &generation, folder, logging);
        spec.body["HostConfig"].get("LogConfig").cloned()
    };
    let options = json!({"type": "journald", "config": {"tag": 1}});
    let journald = json!({"Type": "journald", "Config": {"tag": "1"}});
    assert_eq!(
        log(json!({}), Some(options.clone())),
        Some(journald.clone())
    );
    assert_eq!(
        log(
            json!({"HostConfig": {"logConfig": options}}),
            Some(json!({"Type": "none"}))
        ),
        Some(journald.clone())
    );
    for empty in [json!({}), json!({"type": "", "config": {}})] {
        assert_eq!(
            log(
                json!({"HostConfig": {"LogConfig": empty.clone()}}),
                Some(empty.clone())
            ),
            None
        );
        assert_eq!(
            log(
                json!({"HostConfig": {"LogConfig": empty}}),
                Some(options.clone())
            ),
            Some(journald.clone())
        );
    }
}

/// D17: the version of a module is how one asks for a new container, and with it for a pull.
#[test]
fn another_version_is_another_container() {
    let digest = |version: &str| {
        build(
            &place(),
            &json!({"version": version, "settings": {"image": "img"}}),
        )
        .digest
    };
    assert_eq!(digest("1.0"), digest("1.0"));
    assert_ne!(digest("1.0"), digest("1.1"));
}

#[test]
fn odd_names_stay_different() {
    let name = |text: &str| container_name(&place(), &ModuleId::parse(text).unwrap());
    assert_eq!(name("a.b_c"), "edge-12345678-a.b_c");
    assert_ne!(name("a+b"), name("a:b"));
    assert!(name("a+b").starts_with("edge-12345678-a_b-"));
}
