use serde_json::json;

use super::*;

fn manifest() -> Value {
    json!({
        "schemaVersion": "1.1",
        "runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25",
            "loggingOptions": "",
            "registryCredentials": {"a": {"address": "reg.example", "username": "u",
                "password": "hunter2"}}}},
        "systemModules": {"edgeAgent": {"type": "docker", "settings": {"image": "reg/agent:1.4"}}},
        "modules": {"m": {"version": "1.0", "type": "docker", "status": "running",
            "restartPolicy": "always",
            "startupOrder": 2, "env": {"K": {"value": "secret"}, "N": {"value": 5},
                "B": {"value": true}},
            "settings": {"image": "reg:5000/x", "createOptions": "{\"Env\":[\"A=topsecret\"],",
                "createOptions01": "\"User\":\"1\"}"}}},
        "$version": 7,
    })
}

#[test]
fn a_whole_manifest_is_read() {
    let desired = AgentDesired::parse(&manifest()).unwrap();
    let module = &desired.modules[&ModuleId::parse("m").unwrap()];
    assert_eq!(module.restart_policy, RestartPolicy::Always);
    assert_eq!(module.image_reference(), "reg:5000/x:latest");
    assert_eq!(module.create_options.as_ref().unwrap().body()["User"], "1");
    assert_eq!(module.env["N"], "5");
    assert_eq!(module.env["B"], "true");
    assert_eq!(module.startup_order, 2);
    assert_eq!(desired.registry_credentials["a"].address, "reg.example");
}

#[test]
fn defaults_are_azures() {
    let text = json!({"schemaVersion": "1.0", "modules": {"m": {"settings": {"image": "x:1"}}}});
    let desired = AgentDesired::parse(&text).unwrap();
    let module = desired.modules.values().next().unwrap();
    assert_eq!(module.status, DesiredStatus::Running);
    assert_eq!(module.restart_policy, RestartPolicy::OnUnhealthy);
    assert_eq!(module.pull_policy, PullPolicy::OnCreate);
    assert_eq!(module.startup_order, u32::MAX);
}

#[test]
fn a_digest_pins_the_image() {
    let text =
        json!({"modules": {"m": {"settings": {"image": "reg:5000/x:1", "digest": "sha256:ab"}}}});
    let desired = AgentDesired::parse(&text).unwrap();
    assert_eq!(
        desired.modules.values().next().unwrap().image_reference(),
        "reg:5000/x@sha256:ab"
    );
}

#[test]
fn codes_are_azures() {
    let code = |value: Value| AgentDesired::parse(&value).unwrap_err().code();
    assert_eq!(code(json!({})), 417);
    assert_eq!(code(json!({"$version": 3})), 417);
    assert_eq!(code(json!({"schemaVersion": "1.2"})), 412);
    assert_eq!(code(json!({"schemaVersion": "2.0"})), 412);
    assert_eq!(code(json!({"schemaVersion": "one"})), 412);
    assert_eq!(code(json!([])), 400);
    assert_eq!(code(json!({"modules": {"m": {"settings": {}}}})), 400);
    assert_eq!(
        code(json!({"modules": {"m": {"type": "vm", "settings": {"image": "x"}}}})),
        400
    );
}

#[test]
fn an_error_says_where() {
    let text = json!({"modules": {"m": {"settings": {"image": "x"}, "status": "paused"}}});
    let error = AgentDesired::parse(&text).unwrap_err().to_string();
    assert!(error.contains("modules.m.status"), "{error}");
}

#[test]
fn no_secret_is_reported() {
    let desired = AgentDesired::parse(&manifest()).unwrap();
    let module = |settings: &ModuleSettings| ReportedModule {
        settings: settings.clone(),
        image_hash: Some("sha256:1".into()),
        runtime_status: RuntimeStatus::Running,
        status_description: "running".into(),
        exit_code: None,
        restart_count: 0,
        last_start: Some(ids::Timestamp::from_unix_seconds(0)),
        last_exit: None,
        last_restart: None,
    };
    let reported = AgentReported {
        version: "1.0".into(),
        last_desired_version: 7,
        last_desired_status: LastDesired {
            code: 200,
            description: String::new(),
        },
        min_docker_version: desired.min_docker_version.clone(),
        registry_credentials: desired.registry_credentials.keys().cloned().collect(),
        architecture: "x86_64".into(),
        system_modules: BTreeMap::new(),
        modules: desired
            .modules
            .iter()
            .map(|(id, s)| (id.clone(), module(s)))
            .collect(),
    };
    let json = reported.to_json();
    let text = json.to_string();
    assert!(
        !text.contains("secret") && !text.contains("hunter2"),
        "{text}"
    );
    assert_eq!(json["modules"]["m"]["env"]["K"], json!({}));
    assert_eq!(
        json["runtime"]["settings"],
        json!({"minDockerVersion": "v1.25", "registryCredentials": {"a": {}}})
    );
    assert_eq!(
        json["modules"]["m"]["settings"]["createOptions"],
        json!("{\"Env\":[\"A\"],\"User\":\"1\"}")
    );
    assert_eq!(
        json["modules"]["m"]["lastStartTimeUtc"],
        "1970-01-01T00:00:00.0000000Z"
    );
    assert_eq!(json["modules"]["m"]["restartPolicy"], "always");
}

/// D3: the module whose createOptions cannot be used fails, and the others do not.
#[test]
fn a_fault_of_create_options_names_its_path_and_concerns_one_module() {
    let fault = |options: Value| {
        let settings = json!({"image": "x", "createOptions": options});
        let text = json!({"modules": {
            "m": {"settings": settings},
            "n": {"settings": {"image": "y", "createOptions": "{\"User\":\"1\"}"}},
        }});
        let mut modules = AgentDesired::parse(&text).unwrap().modules.into_values();
        let faulty = modules.next().unwrap().create_options.unwrap_err();
        let other = modules.next().unwrap().create_options.unwrap();
        assert_eq!(other.body()["User"], "1");
        faulty.to_string()
    };
    assert_eq!(
        fault(json!(json!({"hostConfig": {"binds": "/a:/b"}}).to_string())),
        "'modules.m.settings.createOptions.HostConfig.Binds': an array was expected, found the \
         string \"/a:/b\""
    );
    for (options, path) in [
        (json!({"Env": {"A": "b"}}), "createOptions.Env'"),
        (json!("{"), "createOptions'"),
        (json!("[]"), "createOptions'"),
        (json!(5), "createOptions'"),
        (json!("x".repeat(MAX_CREATE_OPTIONS + 1)), "createOptions'"),
    ] {
        let text = fault(options);
        assert!(text.contains(path), "{text}");
    }
}

/// D3: text that is not a LogConfig is an error, and not the default.
#[test]
fn logging_options_are_read_or_refused() {
    let read = |options: Value| {
        let text = json!({"runtime": {"type": "docker", "settings": {"loggingOptions": options}}});
        AgentDesired::parse(&text).map(|desired| desired.logging_options)
    };
    assert_eq!(read(json!("")).unwrap(), None);
    assert_eq!(read(json!("{}")).unwrap(), None);
    let config = json!({"Type": "json-file", "Config": {"max-file": "3"}});
    for given in [
        json!("{\"type\":\"json-file\",\"config\":{\"max-file\":3}}"),
        config.clone(),
    ] {
        assert_eq!(
            read(given).unwrap().map(Value::Object),
            Some(config.clone())
        );
    }
    for wrong in [
        json!("json-file"),
        json!("[]"),
        json!("{\"Config\":[]}"),
        json!(3),
    ] {
        let error = read(wrong.clone()).unwrap_err().to_string();
        assert!(
            error.contains("runtime.settings.loggingOptions"),
            "{wrong}: {error}"
        );
    }
}
