//! createOptions of a deployment, and the container that the agent makes of them on a device whose
//! owner withholds privileges.
#![no_main]

use std::path::Path;

use edge::desired::container::{DeviceContext, ModuleInstance, container};
use ids::{DeviceId, GenerationId, HubHost, ModuleId};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use wire::edge_api::manifest::{AgentDesired, CreateOptions};

fuzz_target!(|data: &[u8]| {
    let Ok(options) = wire::lenient::parse(data) else {
        return;
    };
    let module = json!({"settings": {"image": "x", "createOptions": options}});
    let Ok(mut desired) = AgentDesired::parse(&json!({"modules": {"m": module}})) else {
        return;
    };
    let Some((module, settings)) = desired.modules.pop_first() else {
        return;
    };
    let Ok(options) = &settings.create_options else {
        return;
    };
    // What the engine gets is read as the same.
    let again = CreateOptions::read(options.body().clone()).expect("its own output is refused");
    assert_eq!(again.body(), options.body());

    let context = DeviceContext {
        root: "/r".into(),
        name_prefix: String::new(),
        network: "n".to_owned(),
        device: DeviceId::parse("d").expect("a device id"),
        hub: HubHost::parse("hub.example").expect("a host"),
        elevated_permissions: false,
        agent_env: Vec::new(),
        logging: None,
    };
    let instance = ModuleInstance {
        module: &module,
        settings: &settings,
        options,
        generation: &GenerationId::from_number(1),
        folder: Path::new("/r/m"),
    };
    let spec = container(&context, &instance);
    let host = &spec.body["HostConfig"];
    assert_eq!(host["Privileged"], false);
    assert_eq!(host["CapAdd"], Value::Null);
    let members = spec.body.as_object().expect("an object").keys();
    let hosts = members.filter(|name| name.eq_ignore_ascii_case("HostConfig"));
    assert_eq!(hosts.count(), 1);
    assert_eq!(spec.body["Labels"]["muster.module"], json!(ModuleId::parse("m").ok()));
});
