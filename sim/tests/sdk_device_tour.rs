//! The unmodified device SDKs at a hub, without a provisioning service: every call of a device's
//! and a module's client, over MQTT and WebSocket, with keys, tokens and certificates, and across a
//! restart of the server.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use sim::{ClientsPage, Language, Script, Server, Workshop, openssl};

const KEY: &str = "QUFBQUFBQUFBQUFBQUFBQQ==";
const MODULE: &str = "camera";
/// A device with a certificate, and the module of it that has the same.
const PINNED: &str = "pinned";

/// The flags of commands for a device or, as `device/module`, a module.
struct Name<'a> {
    device: &'a str,
    module: Option<&'a str>,
}

impl<'a> Name<'a> {
    fn new(text: &'a str) -> Self {
        match text.split_once('/') {
            Some((device, module)) => Self {
                device,
                module: Some(module),
            },
            None => Self {
                device: text,
                module: None,
            },
        }
    }

    fn flags(&self) -> String {
        let module = self.module.map(|module| format!(" -m {module}"));
        format!("-d {}{}", self.device, module.unwrap_or_default())
    }

    fn kind(&self) -> &'static str {
        match self.module {
            Some(_) => "module",
            None => "device",
        }
    }
}

async fn create_keyed(server: &Server, device: &str) -> Result<()> {
    for name in [device, &format!("{device}/{MODULE}")] {
        let name = Name::new(name);
        let (kind, flags) = (name.kind(), name.flags());
        let create = format!("hub {kind}-identity create {flags} --pk {KEY} --sk {KEY}");
        server.muster(&create).await?;
    }
    Ok(())
}

/// Creates a device and a module that a self-signed certificate proves. Returns the settings of
/// both for the script.
async fn create_pinned(server: &Server, workshop: &Workshop) -> Result<Value> {
    let folder = workshop.path();
    let request = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout pinned.key -out pinned.pem";
    openssl(folder, &format!("{request} -subj /CN={PINNED}"))?;
    let printed = openssl(folder, "x509 -in pinned.pem -noout -fingerprint -sha256")?;
    let (_, thumbprint) = printed.trim().split_once('=').context("no fingerprint")?;
    let thumbprint = thumbprint.replace(':', "");
    for name in [PINNED, &format!("{PINNED}/{MODULE}")] {
        let name = Name::new(name);
        let (kind, flags) = (name.kind(), name.flags());
        let create = format!("hub {kind}-identity create {flags} --am x509_thumbprint");
        let thumbprints = format!("--ptp {thumbprint} --stp {thumbprint}");
        server.muster(&format!("{create} {thumbprints}")).await?;
    }
    let files = json!({"certificate": folder.join("pinned.pem"), "key": folder.join("pinned.key")});
    let entry = |names: Value| {
        let mut entry = files.clone();
        for (name, value) in names.as_object().into_iter().flatten() {
            entry[name] = value.clone();
        }
        entry
    };
    Ok(json!([
        entry(json!({"deviceId": PINNED, "transport": "mqtt"})),
        entry(json!({"deviceId": PINNED, "moduleId": MODULE, "transport": "websocket"})),
    ]))
}

/// What only an operator can begin: a desired property, a direct method, a message.
async fn act(server: &Server, text: &str) -> Result<()> {
    let name = Name::new(text);
    let (kind, flags) = (name.kind(), name.flags());
    if name.module.is_none() {
        let send = format!("device c2d-message send {flags} --data hello --message-id m1");
        let properties = "--content-type text/plain --properties 'room=4;floor=2'";
        server.muster(&format!("{send} {properties}")).await?;
    }
    desire(server, text, 7).await?;
    invoke(server, &format!("hub invoke-{kind}-method {flags}")).await
}

async fn desire(server: &Server, text: &str, interval: u32) -> Result<()> {
    let name = Name::new(text);
    let (kind, flags) = (name.kind(), name.flags());
    let desired = json!({"interval": interval});
    let update = format!("hub {kind}-twin update {flags} --desired '{desired}'");
    server.muster(&update).await.map(drop)
}

/// Calls a method, which may have to wait until the SDK listens.
async fn invoke(server: &Server, command: &str) -> Result<()> {
    let flags = "--method-name blink --method-payload '{\"n\": 3}' --connect-timeout 60";
    let answer = server.muster(&format!("{command} {flags}")).await?;
    let echoed = json!({"status": 200, "payload": {"name": "blink", "echo": {"n": 3}}});
    assert_eq!(answer, echoed);
    Ok(())
}

/// Runs the script of a language to its end, and does what it asks for. Returns what it saw.
async fn tour(server: &mut Server, language: Language) -> Result<Value> {
    let workshop = Workshop::with_muster_ca()?;
    for device in ["tour-mqtt", "tour-websocket", "spare"] {
        create_keyed(server, device).await?;
    }
    let keyed = |transport| {
        json!({"deviceId": format!("tour-{transport}"), "moduleId": MODULE, "key": KEY,
            "transport": transport})
    };
    let settings = json!({
        "host": server.host(), "serverCa": server.ca()?,
        "devices": [keyed("mqtt"), keyed("websocket")],
        "pinned": create_pinned(server, &workshop).await?,
        "spare": {"deviceId": "spare", "moduleId": MODULE, "key": KEY},
    });
    let mut script = Script::start(language, "device_tour", server, &settings)?;
    loop {
        let said = script.next_line()?;
        let name = said["name"].as_str().unwrap_or_default();
        match said["event"].as_str().context("no event")? {
            "ready" => act(server, name).await,
            "again" => desire(server, name, 8).await,
            "restart" => {
                server.terminate()?;
                server.start_again().await
            }
            "back" => {
                let name = Name::new(name);
                let command = format!("hub invoke-{}-method {}", name.kind(), name.flags());
                invoke(server, &command).await
            }
            "done" => return Ok(said),
            other => bail!("{other}: {said}"),
        }
        .with_context(|| said.to_string())?;
    }
}

/// What each client saw, and what the hub has of it. `properties` are those of the message.
async fn assert_seen(server: &Server, seen: &Value, properties: Value) -> Result<()> {
    let message = json!({"data": "hello", "id": "m1", "contentType": "text/plain",
        "properties": properties});
    for device in ["tour-mqtt", "tour-websocket", PINNED] {
        for text in [device.to_owned(), format!("{device}/{MODULE}")] {
            let saw = &seen[&text];
            let wanted = json!({"interval": 7, "method": "blink", "again": 8, "back": "blink"});
            for (member, value) in wanted.as_object().into_iter().flatten() {
                assert_eq!(&saw[member], value, "{text}: {saw}");
            }
            let name = Name::new(&text);
            let show = format!("hub {}-twin show {}", name.kind(), name.flags());
            let twin = server.muster(&show).await?;
            assert_eq!(twin["properties"]["reported"]["firmware"], "1.2.3");
            assert_telemetry(server, &name).await?;
        }
        assert_eq!(seen[device]["message"], message);
        let blob = format!("{device}/notes/a.txt");
        assert_eq!(seen[device]["blob"], json!([blob, 201]));
        let file = server.data_dir().join("uploads/hub").join(blob);
        let written = std::fs::read_to_string(&file);
        assert_eq!(
            written.with_context(|| file.display().to_string())?,
            "hello"
        );
    }
    for name in ["spare", "spare/camera"] {
        let saw = &seen[format!("{name} with a token")];
        let (interval, method) = (&saw["interval"], &saw["method"]);
        assert_eq!((interval, method), (&json!(7), &json!("blink")), "{saw}");
    }
    Ok(())
}

async fn assert_telemetry(server: &Server, name: &Name<'_>) -> Result<()> {
    let monitor = format!("hub monitor-events {} --count 1 --timeout 10", name.flags());
    let first = server.muster(&monitor).await?;
    ensure!(first["properties"]["room"] == "a b&c=d/é", "{first}");
    Ok(())
}

#[tokio::test]
async fn python_devices_and_modules() -> Result<()> {
    let mut server = Server::start().await?;
    let done = tour(&mut server, Language::Python).await?;
    let seen = &done["seen"];
    assert_seen(&server, seen, json!({"room": "4", "floor": "2"})).await?;
    assert_eq!(seen["spare with a token"]["message"], "hello");
    let invoke = seen["invoke"].as_str().context("a module has called")?;
    ensure!(invoke.contains("401"), "{invoke}");
    ClientsPage::read()?.require_methods("Python: `azure-iot-device`", &done["calls"])
}

#[tokio::test]
async fn node_devices_and_modules() -> Result<()> {
    let mut server = Server::start().await?;
    let done = tour(&mut server, Language::Node).await?;
    let seen = &done["seen"];
    // The SDK does not know this property as one of the system.
    let properties = json!({"room": "4", "floor": "2", "iothub-ack": "none"});
    assert_seen(&server, seen, properties).await?;
    for device in ["tour-mqtt", "tour-websocket", PINNED] {
        let file = server.data_dir().join("uploads/hub").join(device);
        let written = std::fs::read_to_string(file.join("notes/stream.txt"))?;
        assert_eq!(written, "by stream");
    }
    // The request names no version of the API, which edge hubs do not need.
    assert_eq!(seen["invoke"], "ArgumentError");
    for kind in ["Client", "ModuleClient"] {
        for method in ["sendEventBatch", "reject", "abandon"] {
            assert_eq!(seen[format!("{kind}.{method}")], "NotImplementedError");
        }
    }
    assert_eq!(
        seen["ModuleClient.sendOutputEventBatch"],
        "NotImplementedError"
    );
    ClientsPage::read()?.require_methods("Node: `azure-iot-device`", &done["calls"])
}
