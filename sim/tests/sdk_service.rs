//! The unmodified provisioning service SDKs do everything that an operator does with enrollments,
//! and see the same.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sim::{Language, Script, Server, Workshop};

const GROUP: &str = "factory";
const REGISTERED: [&str; 2] = ["registered-1", "registered-2"];
const NAME: &str = "made-1";

/// What an SDK's script saw, on a server with a group of which two devices have registered.
async fn report(language: Language, script: &str) -> Result<(Server, Value)> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    server.enroll_group(GROUP, &workshop.root(), "").await?;
    for name in REGISTERED {
        let identity = workshop.issue(name)?;
        let device = sim::Device::with_certificate(&server, &identity)?;
        let (status, answer) = device.register().await?;
        assert_eq!(status, 202, "{answer}");
        server.wait_for_registration(name, "assigned").await?;
    }
    let settings = json!({
        "connectionString": server.dps_connection_string()?,
        "name": NAME,
        "leaf": std::fs::read_to_string(workshop.issue(NAME)?.certificate)?,
        "intermediate": std::fs::read_to_string(workshop.intermediate())?,
        "group": GROUP,
        "registered": REGISTERED,
    });
    let report = Script::start(language, script, &server, &settings)?.next_line()?;
    Ok((server, report))
}

/// The members of `wanted` are in `seen`, with these values.
fn assert_has(seen: &Value, wanted: Value) {
    let Value::Object(wanted) = wanted else {
        panic!("{wanted} is not an object");
    };
    for (name, value) in wanted {
        assert_eq!(seen[&name], value, "{name} of {seen}");
    }
}

fn assert_everything(server: &Server, report: &Value) -> Result<()> {
    assert_individual(&report["individual"])?;
    assert_group(&report["group"])?;
    assert_keys(&report["keys"])?;
    assert_bulk(&report["bulk"]);
    assert_registrations(server, &report["registrations"]);
    Ok(())
}

fn assert_individual(seen: &Value) -> Result<()> {
    let x509 = json!({"type": "x509", "subject": format!("CN={NAME}")});
    let created = json!({
        "id": NAME, "deviceId": "device-1", "status": "enabled", "iotEdge": true,
        "attestation": x509,
        "tags": {"site": "a"}, "desired": {"rate": 5},
    });
    assert_has(&seen["created"], created);
    let changed = json!({
        "deviceId": "device-2", "iotEdge": true, "attestation": x509,
        "tags": {"site": "a", "floor": 2}, "desired": {"rate": 5},
    });
    assert_has(&seen["updated"], changed);
    assert_etags_differ(seen)?;
    assert_has(seen, json!({"mechanism": x509}));
    let refused =
        json!({"twice": 409_201, "stale": 412_000, "staleDelete": 412_000, "gone": 404_201});
    assert_has(seen, refused);
    Ok(())
}

fn assert_group(seen: &Value) -> Result<()> {
    let subject = "CN=Azure_IoT_Hub_Intermediate_Cert_Test_Only";
    let x509 = json!({"type": "x509", "subject": subject});
    let created = json!({
        "id": "made-group", "status": "enabled", "attestation": x509,
        "tags": {"site": "a"}, "desired": {"rate": 5},
    });
    assert_has(&seen["created"], created);
    let changed = json!({"status": "disabled", "attestation": x509, "tags": {"site": "a"}});
    assert_has(&seen["updated"], changed);
    assert_etags_differ(seen)?;
    assert_has(seen, json!({"mechanism": x509}));
    let refused =
        json!({"twice": 409_202, "stale": 412_000, "staleDelete": 412_000, "gone": 404_204});
    assert_has(seen, refused);
    Ok(())
}

/// Azure's ETags have their quotes inside.
fn assert_etags_differ(seen: &Value) -> Result<()> {
    let etag = |step: &str| seen[step]["etag"].as_str().context("no etag");
    let (created, updated) = (etag("created")?, etag("updated")?);
    assert_ne!(created, updated);
    for etag in [created, updated] {
        assert!(
            etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'),
            "{etag}"
        );
    }
    Ok(())
}

fn assert_keys(seen: &Value) -> Result<()> {
    let mut keys = Vec::new();
    for mechanism in seen["generated"].as_array().context("none")? {
        assert_eq!(mechanism["type"], "symmetricKey");
        for key in mechanism["keys"].as_array().context("no keys")? {
            let key = key.as_str().context("not text")?;
            // 64 random bytes.
            assert_eq!(key.len(), 88, "{key}");
            keys.push(key);
        }
    }
    assert_eq!(keys.len(), 4);
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4, "generated keys repeat");
    let chosen = json!(["QUFBQUFBQUFBQUFBQUFBQQ==", "QkJCQkJCQkJCQkJCQkJCQg=="]);
    assert_has(
        &seen["ofGroup"],
        json!({"type": "symmetricKey", "keys": chosen}),
    );
    // Secrets are given to those who ask for them, not to all who read.
    assert_has(&seen["read"], json!({"type": "symmetricKey", "keys": null}));
    Ok(())
}

fn assert_bulk(seen: &Value) {
    let done = json!({"isSuccessful": true, "errors": []});
    let refused = |id: &str, code: u32| json!({"isSuccessful": false, "errors": [[id, code]]});
    let wanted = json!({
        "created": done,
        "again": refused("bulk-1", 409_201),
        "updated": done,
        "conflict": refused("bulk-2", 412_000),
        "deviceId": "other",
        "sizes": [3, 3],
        "ids": ["bulk-1", "bulk-2", "bulk-3", "bulk-4", "key-absent", "key-empty"],
        "deleted": done,
    });
    assert_has(seen, wanted);
}

fn assert_registrations(server: &Server, seen: &Value) {
    let read =
        json!({"status": "assigned", "deviceId": REGISTERED[0], "assignedHub": server.host()});
    let wanted = json!({
        "read": read,
        "sizes": [1, 1],
        "ids": REGISTERED,
        "staleDelete": 412_000,
        "gone": 404_202,
        "groups": [GROUP, "key-group"],
    });
    assert_has(seen, wanted);
}

#[tokio::test]
async fn node_service_sdk() -> Result<()> {
    let (server, report) = report(Language::Node, "service").await?;
    assert_everything(&server, &report)
}

#[tokio::test]
async fn python_service_sdk_of_2018() -> Result<()> {
    let (server, report) = report(Language::Python, "service_2018").await?;
    assert_everything(&server, &report)
}

#[tokio::test]
async fn python_service_sdk_of_2023() -> Result<()> {
    let (server, report) = report(Language::Python, "service_2023").await?;
    assert_everything(&server, &report)?;
    let done = json!({"isSuccessful": true, "errors": []});
    let groups = &report["bulkGroups"];
    assert_has(groups, json!({"created": done, "deleted": done}));
    let refused = &groups["again"]["errors"][0];
    assert_has(
        refused,
        json!({"enrollmentGroupId": "bulk-group", "errorCode": 409_202}),
    );
    Ok(())
}
