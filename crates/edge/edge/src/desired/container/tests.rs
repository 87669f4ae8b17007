use wire::edge_api::manifest::AgentDesired;

use super::*;

fn context() -> DeviceContext {
    DeviceContext {
        root: PathBuf::from("/tmp/one"),
        name_prefix: "edge-12345678-".into(),
        network: "edge-12345678-azure-iot-edge".into(),
        device: DeviceId::parse("d1").unwrap(),
        hub: HubHost::parse("hub.example").unwrap(),
        elevated_permissions: true,
        agent_env: ["https_proxy", "HTTPS_PROXY", "RuntimeLogLevel"]
            .map(|name| (name.to_owned(), "agent".to_owned()))
            .into(),
        logging: None,
    }
}

fn settings(module: &Value) -> ModuleSettings {
    let mut desired =
        AgentDesired::parse(&json!({"schemaVersion": "1.1", "modules": {"m": module}})).unwrap();
    desired.modules.pop_first().unwrap().1
}

fn build(context: &DeviceContext, module: &Value) -> ContainerSpec {
    build_with(context, &settings(module))
}

fn build_with(context: &DeviceContext, settings: &ModuleSettings) -> ContainerSpec {
    let instance = ModuleInstance {
        module: &ModuleId::parse("m").unwrap(),
        settings,
        options: settings.create_options.as_ref().unwrap(),
        generation: &GenerationId::from_number(5),
        folder: Path::new("/tmp/one/mnt/m"),
    };
    container(context, &instance)
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
fn a_module_gets_the_variables_that_an_sdk_needs() {
    let spec = build(&context(), &json!({"settings": {"image": "img"}}));
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
        "RuntimeLogLevel=agent",
        "https_proxy=agent",
        "HTTPS_PROXY=agent",
    ] {
        assert!(env.contains(&expected), "{expected}: {env:?}");
    }
    assert_eq!(
        spec.body["HostConfig"]["Mounts"],
        json!([{
            "Type": "bind",
            "Source": "/tmp/one/mnt/m",
            "Target": "/var/run/iotedge",
            "ReadOnly": true,
        }])
    );
    assert_eq!(spec.body["HostConfig"]["RestartPolicy"]["Name"], "no");
    // The engine's own log driver and options, unless somebody chose.
    assert!(spec.body["HostConfig"].get("LogConfig").is_none());
    assert_eq!(spec.warnings, [] as [&str; 0]);
    assert_eq!(
        spec.body["HostConfig"]["NetworkMode"],
        "edge-12345678-azure-iot-edge"
    );
    assert_eq!(spec.body["Labels"][OWNER_LABEL], OWNER);
    assert_eq!(spec.body["Labels"][ROOT_LABEL], "/tmp/one");
}

/// A module may go without the device's proxy, or have another one.
#[test]
fn a_modules_own_proxy_replaces_that_of_the_agent_in_both_letter_cases() {
    let options = json!({"Env": ["HTTPS_PROXY"]}).to_string();
    for module in [
        json!({"env": {"Https_Proxy": {"value": "own"}}, "settings": {"image": "img"}}),
        json!({"settings": {"image": "img", "createOptions": options}}),
    ] {
        let spec = build(&context(), &module);
        let env = env_of(&spec);
        let proxies = env
            .iter()
            .filter(|item| item.to_lowercase().starts_with("https_proxy="));
        assert!(
            proxies.into_iter().all(|item| *item == "Https_Proxy=own"),
            "{env:?}"
        );
        assert!(env.contains(&"RuntimeLogLevel=agent"), "{env:?}");
    }
}

#[test]
fn create_options_win_in_any_letter_case() {
    let options = json!({
        "env": ["A=options", "B"],
        "hostConfig": {
            "networkMode": "host",
            "logConfig": {"Type": "none"},
            "binds": ["/x:/y"],
            "restartPolicy": {"Name": "always"},
        },
    });
    let value = json!({"value": "module"});
    let module = json!({
        "env": {"A": value, "B": value, "C": value},
        "settings": {"image": "img:1", "createOptions": options.to_string()},
    });
    let spec = build(&context(), &module);
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
fn the_digest_depends_on_values_and_not_on_the_order_of_members() {
    let digest = |options: &str, env: &str| {
        let settings = json!({"image": "img", "createOptions": options});
        let module = json!({"env": {"K": {"value": env}}, "settings": settings});
        build(&context(), &module).digest
    };
    let one = digest(r#"{"User":"1","Cmd":["a"]}"#, "x");
    assert_eq!(one, digest(r#"{"Cmd":["a"],"User":"1"}"#, "x"));
    assert_ne!(one, digest(r#"{"Cmd":["b"],"User":"1"}"#, "x"));
    assert_ne!(one, digest(r#"{"User":"1","Cmd":["a"]}"#, "y"));
    let moved = DeviceContext {
        hub: HubHost::parse("other.example").unwrap(),
        ..context()
    };
    let module = json!({"settings": {"image": "img"}});
    assert_ne!(
        build(&context(), &module).digest,
        build(&moved, &module).digest
    );
}

#[test]
fn privileges_are_withheld_when_the_owner_says_so() {
    let options = json!({"HostConfig": {"Privileged": true, "CapAdd": ["NET_ADMIN", "CHOWN"]}});
    let module = json!({"settings": {"image": "img", "createOptions": options.to_string()}});
    let host = |context: &DeviceContext| build(context, &module).body["HostConfig"].clone();
    assert_eq!(host(&context())["Privileged"], true);
    let withheld = host(&DeviceContext {
        elevated_permissions: false,
        ..context()
    });
    assert_eq!(withheld["Privileged"], false);
    assert!(withheld.get("CapAdd").is_none());
    assert_eq!(withheld["CapDrop"], json!(["SETUID"]));
}

/// The engine ignores the case of member names, so the check has to ignore it too.
#[test]
fn privileges_are_withheld_in_every_spelling() {
    let context = DeviceContext {
        elevated_permissions: false,
        ..context()
    };
    for options in [
        json!({"hostconfig": {"PRIVILEGED": true, "capadd": ["SYS_ADMIN"]}}),
        json!({"HostConfig": {}, "HOSTCONFIG": {"privileged": "true", "capAdd": "SYS_ADMIN"}}),
        json!({"Ho\u{17f}tConfig": {"Privileged": 1, "CapAdd": ["SYS_ADMIN"]}}),
    ] {
        let module = json!({"settings": {"image": "img", "createOptions": options.to_string()}});
        let spec = build(&context, &module);
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
        let warnings = spec.warnings.join("\n");
        assert!(
            warnings.contains("Privileged is withheld") && warnings.contains("CapAdd is withheld"),
            "{warnings}"
        );
    }
}

#[test]
fn unknown_members_are_passed_on_with_a_warning() {
    let options = json!({
        "macAddress": "02:42:ac:11:00:02",
        "hostConfig": {"futureThing": {"A": [1]}},
        "cmd": ["x"],
    });
    let module = json!({"settings": {"image": "img", "createOptions": options.to_string()}});
    let spec = build(&context(), &module);
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

#[test]
fn options_without_effect_get_a_warning() {
    let options = json!({
        "Image": "other",
        "HostConfig": {"AutoRemove": true, "RestartPolicy": {"Name": "always"}},
    });
    let module = json!({"settings": {"image": "img", "createOptions": options.to_string()}});
    let spec = build(&context(), &module);
    assert_eq!(spec.body["Image"], "img:latest");
    assert!(spec.body["HostConfig"].get("AutoRemove").is_none());
    let warnings = spec.warnings.join("\n");
    for member in ["Image", "HostConfig.RestartPolicy", "HostConfig.AutoRemove"] {
        assert!(
            warnings.contains(&format!("createOptions.{member} has no effect")),
            "{warnings}"
        );
    }
}

/// Mounts below the folder of the workload socket, which is mounted read-only.
#[test]
fn mounts_below_the_socket_folder_get_mountpoints() {
    let options = json!({"HostConfig": {
        "Binds": [
            "/var/run/iotedge/mgmt.sock:/var/run/iotedge/mgmt.sock",
            "/a:/run/iotedge/x/y:ro",
            "/b:/data",
            "/c:/var/run/iotedge",
            "/d:/var/run/iotedge/../../etc",
        ],
        "Mounts": [{"Type": "volume", "Source": "v", "Target": "/var/run/iotedge/z"}],
    }});
    let module = json!({"settings": {"image": "img", "createOptions": options.to_string()}});
    let spec = build(&context(), &module);
    let mountpoints: Vec<_> = spec
        .mountpoints
        .iter()
        .map(|m| (m.inside.to_str().unwrap(), m.source.to_str().unwrap()))
        .collect();
    assert_eq!(
        mountpoints,
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

/// An empty LogConfig, of the module or of the deployment, counts as none.
#[test]
fn a_log_config_is_the_modules_own_or_the_deployments() {
    let log = |options: Value, logging: Option<Value>| {
        let manifest = json!({"schemaVersion": "1.1",
            "runtime": {
                "type": "docker",
                "settings": {"loggingOptions": logging.map(|l| l.to_string())},
            },
            "modules": {
                "m": {"settings": {"image": "img", "createOptions": options.to_string()}},
            },
        });
        let desired = AgentDesired::parse(&manifest).unwrap();
        let settings = &desired.modules[&ModuleId::parse("m").unwrap()];
        let context = DeviceContext {
            logging: desired.logging_options.clone(),
            ..context()
        };
        let spec = build_with(&context, settings);
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

#[test]
fn another_version_is_another_container() {
    let digest = |version: &str| {
        build(
            &context(),
            &json!({"version": version, "settings": {"image": "img"}}),
        )
        .digest
    };
    assert_eq!(digest("1.0"), digest("1.0"));
    assert_ne!(digest("1.0"), digest("1.1"));
}

#[test]
fn odd_names_stay_different() {
    let name = |text: &str| container_name(&context(), &ModuleId::parse(text).unwrap());
    assert_eq!(name("a.b_c"), "edge-12345678-a.b_c");
    assert_ne!(name("a+b"), name("a:b"));
    assert!(name("a+b").starts_with("edge-12345678-a_b-"));
}
