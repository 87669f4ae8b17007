//! The unmodified device SDKs provision and work: each way in which they prove themselves, each
//! transport that they have.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sim::{Identity, Language, Script, Server, Workshop};
use wire::sas::SharedAccessKey;

/// A device that runs on an SDK, and what becomes of it.
struct Device {
    id: String,
    transport: &'static str,
    proof: Proof,
    /// The device id that it gets.
    device_id: String,
}

enum Proof {
    Certificate(Identity),
    Key(String),
}

impl Device {
    fn new(id: &str, transport: &'static str, proof: Proof) -> Self {
        Self {
            id: id.to_owned(),
            transport,
            proof,
            device_id: id.to_owned(),
        }
    }

    fn of(identity: Identity, transport: &'static str) -> Self {
        let id = identity.name.clone();
        Self::new(&id, transport, Proof::Certificate(identity))
    }

    fn settings(&self) -> Value {
        let mut settings = match &self.proof {
            Proof::Certificate(identity) => {
                json!({"certificate": identity.full_chain, "key": identity.key})
            }
            Proof::Key(key) => json!({"symmetricKey": key}),
        };
        settings["registrationId"] = json!(self.id);
        settings["transport"] = json!(self.transport);
        settings["payload"] = json!({"modelId": "dtmi:example:thing;1", "rack": 7});
        settings
    }
}

fn start(server: &Server, language: Language, devices: &[Device]) -> Result<Script> {
    let settings = json!({
        "host": server.host(),
        "idScope": server.id_scope()?,
        "serverCa": server.ca()?,
        "devices": devices.iter().map(Device::settings).collect::<Vec<_>>(),
    });
    Script::start(language, "journey", server, &settings)
}

/// No device gets in, and each SDK says so in its own words for it, whatever the reason.
fn refusals(server: &Server, language: Language, devices: &[Device]) -> Result<()> {
    let mut script = start(server, language, devices)?;
    for said in events(&mut script, "refused", devices.len())?.values() {
        match language {
            Language::Node => assert_eq!(said["error"], "UnauthorizedError", "{said}"),
            Language::Python => assert_eq!(
                said["message"],
                "register request returned a service error status code 401"
            ),
        }
    }
    Ok(())
}

/// Every device provisions, connects, and goes through everything that a device and its hub
/// say to each other.
async fn journeys(server: &Server, language: Language, devices: &[Device]) -> Result<()> {
    let mut script = start(server, language, devices)?;
    let ready = events(&mut script, "ready", devices.len())?;
    for device in devices {
        let said = ready.get(&device.id).context("not ready")?;
        look_and_act(server, device, &said["state"])
            .await
            .with_context(|| format!("{} over {}", device.id, device.transport))?;
    }
    let done = events(&mut script, "done", devices.len())?;
    for device in devices {
        let said = done.get(&device.id).context("not done")?;
        assert_eq!(said["patch"]["interval"], 7);
        assert_eq!(
            said["patch"]["$version"],
            said["after"]["desired"]["$version"]
        );
        assert_eq!(said["method"], "blink");
        assert_eq!(said["after"]["reported"]["firmware"], "1.2.3");
        look_at_telemetry(server, &device.device_id).await?;
    }
    Ok(())
}

/// As many events of that name as there are devices, in whatever order; anything else
/// is what went wrong.
fn events(script: &mut Script, name: &str, count: usize) -> Result<BTreeMap<String, Value>> {
    let mut events = BTreeMap::new();
    for _ in 0..count {
        let said = script.next_line()?;
        ensure!(said["event"] == name, "expected {name:?}, got {said}");
        let id = said["registrationId"].as_str().context("of nobody")?;
        events.insert(id.to_owned(), said.clone());
    }
    Ok(events)
}

/// What the device was told and the hub has, and what only the hub can begin.
async fn look_and_act(server: &Server, device: &Device, state: &Value) -> Result<()> {
    assert_eq!(state["status"], "assigned");
    assert_eq!(state["deviceId"], device.device_id);
    assert_eq!(state["assignedHub"], server.host());
    assert_eq!(state["substatus"], "initialAssignment");
    let name = device.device_id.as_str();
    let twin = server.twin(name).await?;
    assert_eq!(twin["properties"]["reported"]["firmware"], "1.2.3");
    assert_eq!(twin["tags"]["environment"], "test");
    assert_eq!(twin["connectionState"], "Connected");
    let desired = json!({"interval": 7});
    let update = format!("hub device-twin update -d {name} --desired '{desired}'");
    server.muster(&update).await?;
    let (invoke, payload) = (
        "hub invoke-device-method --method-name blink",
        json!({"n": 3}),
    );
    let invoke = format!("{invoke} -d {name} --method-payload '{payload}'");
    let answer = server.muster(&invoke).await?;
    let echoed = json!({"status": 200, "payload": {"echo": {"n": 3}}});
    assert_eq!(answer, echoed);
    Ok(())
}

async fn look_at_telemetry(server: &Server, device_id: &str) -> Result<()> {
    let event = server.first_event(device_id, 10).await?;
    assert_eq!(event["deviceId"], device_id);
    assert_eq!(event["properties"]["room"], "a b&c=d/é");
    Ok(())
}

/// Enrolls a device or a group with its first twin.
async fn enroll(server: &Server, path: &str, attestation: Value) -> Result<Value> {
    enroll_as(server, path, json!({"attestation": attestation})).await
}

async fn enroll_as(server: &Server, path: &str, mut enrollment: Value) -> Result<Value> {
    enrollment["initialTwin"] =
        json!({"tags": {"environment": "test"}, "properties": {"desired": {}}});
    server.operate(Method::PUT, path, Some(&enrollment)).await
}

/// An X.509 attestation by the certificates in these files; `member` says whose they are.
fn x509(member: &str, primary: Option<&Path>, secondary: Option<&Path>) -> Result<Value> {
    let mut pair = json!({});
    for (name, file) in [("primary", primary), ("secondary", secondary)] {
        if let Some(file) = file {
            pair[name] = json!({"certificate": std::fs::read_to_string(file)?});
        }
    }
    Ok(json!({"type": "x509", "x509": {member: pair}}))
}

async fn enroll_leaf(server: &Server, identity: &Identity) -> Result<()> {
    let attestation = x509("clientCertificates", Some(&identity.certificate), None)?;
    let path = format!("/enrollments/{}", identity.name);
    enroll(server, &path, attestation).await.map(drop)
}

async fn enroll_root(server: &Server, group: &str, workshop: &Workshop) -> Result<()> {
    let attestation = x509("signingCertificates", Some(&workshop.root()), None)?;
    let path = format!("/enrollmentGroups/{group}");
    enroll(server, &path, attestation).await.map(drop)
}

/// Enrolls by keys that the service makes, and asks for the primary one.
async fn enroll_with_keys(server: &Server, path: &str) -> Result<String> {
    enroll(server, path, json!({"type": "symmetricKey"})).await?;
    let mechanism = format!("{path}/attestationmechanism");
    let mechanism = server.operate(Method::POST, &mechanism, None).await?;
    let key = mechanism["symmetricKey"]["primaryKey"].as_str();
    Ok(key.context("no primary key")?.to_owned())
}

/// The key of a device of a group: the group's key signs the registration id.
fn derived(group_key: &str, registration_id: &str) -> Result<String> {
    let digest = SharedAccessKey::from_base64(group_key)?.sign(registration_id.as_bytes());
    let key = SharedAccessKey::from_bytes(digest.to_vec())?;
    Ok(key.to_base64().to_string())
}

/// Devices with keys, one alone and one of a group for each transport.
async fn devices_with_keys(server: &Server, transports: &[&'static str]) -> Result<Vec<Device>> {
    let group = enroll_with_keys(server, "/enrollmentGroups/keyed").await?;
    let mut devices = Vec::new();
    for transport in transports {
        let id = format!("key-group-{transport}");
        let key = derived(&group, &id)?;
        devices.push(Device::new(&id, transport, Proof::Key(key)));
        let id = format!("Key-Single-{transport}");
        let key = enroll_with_keys(server, &format!("/enrollments/{id}")).await?;
        devices.push(Device::new(&id, transport, Proof::Key(key)));
    }
    Ok(devices)
}

#[tokio::test]
async fn python_devices_with_certificates_and_keys_over_mqtt_and_websocket() -> Result<()> {
    const TRANSPORTS: [&str; 2] = ["mqtt", "websocket"];
    let server = Server::start().await?;
    let (ours, openssl) = (Workshop::with_muster_ca()?, Workshop::with_openssl_ca()?);
    enroll_root(&server, "ours", &ours).await?;
    enroll_root(&server, "openssl", &openssl).await?;
    let mut devices = devices_with_keys(&server, &TRANSPORTS).await?;
    for transport in TRANSPORTS {
        devices.push(Device::of(
            ours.issue(&format!("ours-group-{transport}"))?,
            transport,
        ));
        let identity = openssl.issue_with_openssl(&format!("openssl-group-{transport}"))?;
        devices.push(Device::of(identity, transport));
        for identity in [
            ours.issue(&format!("Ours-Single-{transport}"))?,
            openssl.issue_with_openssl(&format!("openssl-single-{transport}"))?,
        ] {
            enroll_leaf(&server, &identity).await?;
            devices.push(Device::of(identity, transport));
        }
    }
    journeys(&server, Language::Python, &devices).await
}

#[tokio::test]
async fn node_devices_with_certificates_and_keys_over_mqtt_websocket_and_https() -> Result<()> {
    const TRANSPORTS: [&str; 3] = ["mqtt", "websocket", "http"];
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    enroll_root(&server, "factory", &workshop).await?;
    let mut devices = devices_with_keys(&server, &TRANSPORTS).await?;
    for transport in TRANSPORTS {
        devices.push(Device::of(
            workshop.issue(&format!("group-{transport}"))?,
            transport,
        ));
        let identity = workshop.issue(&format!("Single-{transport}"))?;
        enroll_leaf(&server, &identity).await?;
        devices.push(Device::of(identity, transport));
    }
    journeys(&server, Language::Node, &devices).await
}

#[tokio::test]
async fn devices_that_prove_nothing_are_refused_in_words_that_the_sdks_understand() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let group = enroll_with_keys(&server, "/enrollmentGroups/keyed").await?;
    let of_another = derived(&group, "another")?;
    for (language, transports) in [
        (Language::Node, &["mqtt", "websocket", "http"][..]),
        (Language::Python, &["mqtt", "websocket"]),
    ] {
        let mut devices = Vec::new();
        for transport in transports {
            let id = format!("wrong-key-{transport}");
            devices.push(Device::new(&id, transport, Proof::Key(of_another.clone())));
            let identity = workshop.issue(&format!("not-enrolled-{language:?}-{transport}"))?;
            devices.push(Device::of(identity, transport));
        }
        refusals(&server, language, &devices)?;
    }
    Ok(())
}

#[tokio::test]
async fn t1_an_individual_enrollment_without_device_id_assigns_the_common_name() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let identity = workshop.issue("demo-leaf")?;
    enroll_leaf(&server, &identity).await?;
    let show = "dps enrollment show --enrollment-id demo-leaf";
    let before = server.muster(show).await?;
    assert_eq!(before["registrationState"]["status"], "unassigned");
    journeys(&server, Language::Node, &[Device::of(identity, "mqtt")]).await?;
    let after = server.muster(show).await?;
    assert_eq!(after["registrationState"]["status"], "assigned");
    assert_eq!(after["registrationState"]["deviceId"], "demo-leaf");
    Ok(())
}

#[tokio::test]
async fn t2_an_individual_enrollment_with_device_id_assigns_that() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let identity = workshop.issue("demo-leaf")?;
    let attestation = x509("clientCertificates", Some(&identity.certificate), None)?;
    let enrollment = json!({"deviceId": "press-7", "attestation": attestation});
    enroll_as(&server, "/enrollments/demo-leaf", enrollment).await?;
    let mut device = Device::of(identity, "http");
    device.device_id = "press-7".to_owned();
    journeys(&server, Language::Node, &[device]).await
}

#[tokio::test]
async fn t7_a_device_that_has_the_secondary_certificate_only_is_accepted() -> Result<()> {
    let server = Server::start().await?;
    let (old, new) = (Workshop::with_muster_ca()?, Workshop::with_muster_ca()?);
    let rolled = new.issue("rolled")?;
    let primary = old.issue("rolled")?.certificate;
    let attestation = x509(
        "clientCertificates",
        Some(&primary),
        Some(&rolled.certificate),
    )?;
    enroll(&server, "/enrollments/rolled", attestation).await?;
    let lonely = new.issue("lonely")?;
    let attestation = x509("clientCertificates", None, Some(&lonely.certificate))?;
    enroll(&server, "/enrollments/lonely", attestation).await?;
    let of_group = new.issue("of-group")?;
    let attestation = x509("signingCertificates", Some(&old.root()), Some(&new.root()))?;
    enroll(&server, "/enrollmentGroups/rolled", attestation).await?;
    let devices = [rolled, lonely, of_group].map(|identity| Device::of(identity, "mqtt"));
    journeys(&server, Language::Node, &devices).await
}
