//! The unmodified service SDKs of the hub: every call of theirs, against one server, beside a
//! device on the device SDK.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sim::{ClientsPage, Language, Script, Server};

const DEVICE: &str = "press-1";
const KEYS: [&str; 2] = ["QUFBQUFBQUFBQUFBQUFBQQ==", "QkJCQkJCQkJCQkJCQkJCQg=="];
/// What the SDK's script saw, on a server of its own.
async fn report(language: Language) -> Result<Value> {
    let server = Server::start().await?;
    write_slow_import(&server)?;
    let settings = json!({
        "connectionString": server.show("/hubs/0/connectionString")?,
        "host": server.host(),
        "serverCa": server.ca()?,
    });
    Script::start(language, "hub_service", &server, &settings)?.next_line()
}

/// A file of devices that is not at its end before its import is cancelled.
fn write_slow_import(server: &Server) -> Result<()> {
    let folder = server.data_dir().join("transfers/hub/slow");
    std::fs::create_dir_all(&folder)?;
    let line = json!({"id": "nobody", "importMode": "delete"});
    let lines = format!("{line}\n").repeat(100_000);
    Ok(std::fs::write(folder.join("devices.txt"), lines)?)
}

/// The members of `wanted`, and theirs, are in `seen` with these values.
fn assert_has(seen: &Value, wanted: &Value) {
    fn has(seen: &Value, wanted: &Value) -> bool {
        match (seen, wanted) {
            (Value::Object(seen), Value::Object(wanted)) => wanted
                .iter()
                .all(|(name, value)| seen.get(name).is_some_and(|seen| has(seen, value))),
            (Value::Array(seen), Value::Array(wanted)) => {
                seen.len() == wanted.len() && seen.iter().zip(wanted).all(|(a, b)| has(a, b))
            }
            _ => seen == wanted,
        }
    }
    assert!(has(seen, wanted), "{seen:#} lacks something of {wanted:#}");
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no text at {pointer} of {value}"))
}

fn sas(keys: [&str; 2]) -> Value {
    json!({"type": "sas", "symmetricKey": {"primaryKey": keys[0], "secondaryKey": keys[1]}})
}

fn pinned(digits: [&str; 2]) -> Value {
    let [primary, secondary] = digits.map(|digit| digit.repeat(40));
    let pair = json!({"primaryThumbprint": primary, "secondaryThumbprint": secondary});
    json!({"type": "selfSigned", "x509Thumbprint": pair})
}

fn authority() -> Value {
    json!({"type": "certificateAuthority"})
}

fn assert_devices(seen: &Value) {
    let scope = text(seen, "/created/2/deviceScope");
    assert!(scope.starts_with("ms-azure-iot-edge://edge-"), "{scope}");
    let created = json!([
        {"deviceId": "sas", "status": "enabled", "authentication": sas(KEYS)},
        {"deviceId": "generated", "status": "disabled", "statusReason": "spare",
            "authentication": {"type": "sas"}},
        {"deviceId": "edge", "authentication": pinned(["0", "1"]),
            "capabilities": {"iotEdge": true}},
        {"deviceId": "leaf", "authentication": authority(), "deviceScope": scope,
            "parentScopes": [scope]},
    ]);
    assert_has(&seen["created"], &created);
    assert_eq!(
        text(seen, "/created/1/authentication/symmetricKey/primaryKey").len(),
        44
    );
    let sas_now = json!({"deviceId": "sas", "status": "disabled", "statusReason": "in repair",
        "authentication": sas([KEYS[1], KEYS[0]])});
    let updated = json!([
        sas_now,
        {"deviceId": "edge", "authentication": pinned(["1", "0"]), "deviceScope": scope},
        {"deviceId": "leaf", "status": "disabled", "authentication": authority()},
    ]);
    assert_has(&seen["updated"], &updated);
    let rest = json!({
        "read": sas_now,
        "twice": [409, "DeviceAlreadyExists"],
        "listed": ["edge", "generated", "leaf", DEVICE, "sas"],
        "gone": [404, "DeviceNotFound"],
        "statistics": {"totalDeviceCount": 4, "enabledDeviceCount": 2, "disabledDeviceCount": 2},
    });
    assert_has(seen, &rest);
}

fn assert_modules(seen: &Value) {
    let m_sas = json!({"deviceId": "sas", "moduleId": "m-sas", "managedBy": "another",
        "authentication": sas([KEYS[1], KEYS[0]])});
    let wanted = json!({
        "created": [
            {"moduleId": "m-sas", "managedBy": "somebody", "authentication": sas(KEYS)},
            {"moduleId": "m-x509", "authentication": pinned(["0", "1"])},
            {"moduleId": "m-ca", "authentication": authority()},
        ],
        "updated": [
            m_sas,
            {"moduleId": "m-x509", "authentication": pinned(["1", "0"])},
            {"moduleId": "m-ca", "managedBy": "me"},
        ],
        "read": m_sas,
        "stale": [412, "PreconditionFailed"],
        "listed": ["m-ca", "m-sas", "m-x509"],
        "gone": [404, "ModuleNotFound"],
    });
    assert_has(seen, &wanted);
}

/// `number` makes an error's code what the SDK makes of it.
fn assert_bulk(seen: &Value, number: fn(u32) -> Value) {
    let done = json!({"isSuccessful": true, "errors": []});
    let refused = |code| {
        let error = json!({"deviceId": "bulk-1", "errorCode": number(code)});
        json!({"isSuccessful": false, "errors": [error]})
    };
    let wanted = json!({
        "created": done,
        "updated": done,
        "read": {"deviceId": "bulk-1", "status": "disabled", "statusReason": "in bulk"},
        "again": refused(409_001),
        "deleted": done,
    });
    assert_has(seen, &wanted);
    if let Some(stale) = seen.get("stale") {
        assert_has(stale, &refused(412_001));
    }
}

/// A twin before and after a patch and one more write, which is called `last`.
fn assert_changes(seen: &Value, last: &str) {
    let mut wanted = json!({
        "read": {"status": "enabled", "connectionState": "Connected", "authenticationType": "sas"},
        "patched": {"tags": {"site": "seoul"},
            "properties": {"desired": {"rate": 5, "unit": "s", "$version": 2}}},
    });
    wanted[last] = json!({"tags": {"site": "busan"},
        "properties": {"desired": {"rate": 7, "$version": 3}}});
    assert_has(seen, &wanted);
    assert_eq!(seen[last].pointer("/properties/desired/unit"), None);
    assert_ne!(seen["read"]["etag"], seen["patched"]["etag"]);
}

fn assert_twins(seen: &Value, last: &str) {
    assert_changes(seen, last);
    assert_changes(&seen["module"], last);
    assert_has(seen, &json!({"stale": [412, "PreconditionFailed"]}));
    assert_eq!(seen["read"]["deviceId"], DEVICE);
    assert_eq!(seen["module"]["read"]["moduleId"], "camera");
}

fn assert_queries_and_methods(report: &Value) {
    let queries = json!({
        "sizes": [2, 2], "ids": ["edge", "leaf", DEVICE, "sas"], "type": "twin",
        "found": [DEVICE], "bad": [400, "ArgumentInvalid"],
    });
    assert_has(&report["queries"], &queries);
    let echo = json!({"status": 200, "payload": {"name": "blink", "echo": {"n": 3}}});
    let methods = json!({"device": echo, "module": echo, "offline": [404, "DeviceNotOnline"]});
    assert_has(&report["methods"], &methods);
}

fn assert_configurations(seen: &Value) {
    let wanted = json!({
        "created": {"id": "rate", "schemaVersion": "1.0", "priority": 3, "labels": {"team": "a"},
            "content": {"deviceContent": {"properties.desired.interval": 9}},
            "systemMetrics": {"results": {"targetedCount": 0, "appliedCount": 0}}},
        "updated": {"id": "rate", "priority": 7, "labels": {"team": "b"}},
        "stale": [412, "PreconditionFailed"],
        "applied": [9, 1, 1],
        "listed": ["rate"],
        "agent": "agent:1",
        "gone": [404, "ConfigurationNotFound"],
    });
    assert_has(seen, &wanted);
}

fn assert_digital_twins(seen: &Value) {
    let wanted = json!({
        "read": {"$dtId": DEVICE, "$metadata": {"$model": "", "rate": {"desiredValue": 7}}},
        "patched": {"$metadata": {"targetTemperature": {"desiredValue": 21}}},
        "command": {"name": "blink", "echo": {"n": 4}},
        "component": {"name": "thermostat1*reset", "echo": {"n": 5}},
        "gone": [404, "DeviceNotFound"],
    });
    assert_has(seen, &wanted);
}

fn assert_jobs(seen: &Value) {
    let one = json!({"deviceCount": 1, "failedCount": 0, "succeededCount": 1,
        "runningCount": 0, "pendingCount": 0});
    let wanted = json!({
        "created": {"jobId": "update", "type": "scheduleUpdateTwin",
            "queryCondition": format!("deviceId = '{DEVICE}'"), "maxExecutionTimeInSeconds": 60},
        "ended": ["completed", "completed"],
        "statistics": one,
        "tags": {"site": "busan", "job": "done"},
        "cancelled": {"jobId": "later", "status": "cancelled"},
        "gone": [404, "JobNotFound"],
    });
    assert_has(seen, &wanted);
}

fn assert_transfers(seen: &Value) {
    let completed = json!({"status": "completed", "progress": 100});
    let wanted = json!({
        "exported": completed,
        "imported": completed,
        "kept": true,
        "cancelled": {"type": "import", "status": "cancelled"},
        "listed": [true, true, true],
        "byIdentity": [400, "ArgumentInvalid"],
        "gone": [404, "JobNotFound"],
    });
    assert_has(seen, &wanted);
}

/// What both SDKs do in the same words. The last write of a twin is called differently.
fn assert_common(report: &Value, last: &str, number: fn(u32) -> Value) {
    assert_devices(&report["devices"]);
    assert_modules(&report["modules"]);
    assert_bulk(&report["bulk"], number);
    assert_twins(&report["twins"], last);
    assert_queries_and_methods(report);
    assert_configurations(&report["configurations"]);
    assert_digital_twins(&report["digitalTwins"]);
    assert_jobs(&report["jobs"]);
    assert_transfers(&report["transfers"]);
}

#[tokio::test]
async fn python_hub_service_sdk() -> Result<()> {
    let report = report(Language::Python).await?;
    // The SDK's model says that the code is a text.
    assert_common(&report, "replaced", |code| json!(code.to_string()));
    let stale = json!([412, "PreconditionFailed"]);
    assert_eq!(report["devices"]["stale"], stale);
    assert_eq!(report["devices"]["some"], 2);
    assert_eq!(report["devices"]["connected"]["connectedDeviceCount"], 2);
    let configurations = json!({
        "staleDelete": stale, "tested": {"customMetricQueryErrors": {}},
        "wrong": {"targetConditionError": "at position 11: a property, a value or a function was \
            expected, found the end"},
    });
    assert_has(&report["configurations"], &configurations);
    let message = json!({"data": "hello", "id": "order-63", "properties": {"room": "4"}});
    let feedback = json!({"message": message, "empty": null, "same": true,
        "lost": [412, "DeviceMessageLockLost"]});
    assert_has(&report["feedback"], &feedback);
    let records = report["feedback"]["records"].as_array().context("none")?;
    assert_eq!(records.len(), 64);
    let first = json!({"originalMessageId": "order-0", "deviceId": DEVICE, "statusCode": "Success",
        "description": "Success"});
    assert_has(&records[0], &first);
    for refused in report["credentials"].as_object().context("none")?.values() {
        assert_eq!(*refused, json!([401, "IotHubUnauthorized"]));
    }
    ClientsPage::read()?.require_methods("Python: `azure-iot-hub`", &report["calls"])
}

#[tokio::test]
async fn node_hub_service_sdk() -> Result<()> {
    let report = report(Language::Node).await?;
    assert_common(&report, "merged", |code| json!(code));
    assert_eq!(
        report["modules"]["staleDelete"],
        json!([412, "PreconditionFailed"])
    );
    assert_eq!(report["jobs"]["found"], json!(["update"]));
    let refused = &report["transfers"]["importByIdentity"];
    assert_eq!(*refused, json!([400, "ArgumentInvalid"]));
    let again = &report["twins"]["again"];
    assert_eq!(
        again["properties"],
        report["twins"]["patched"]["properties"]
    );
    assert_eq!(again["tags"], json!({"site": "seoul"}));
    // A payload of null is one.
    let nothing = json!({"name": "blink", "echo": null});
    for (client, answer) in [
        ("Registry", json!(DEVICE)),
        ("JobClient", json!("update")),
        ("Client", nothing),
    ] {
        let wanted = json!({"token": [401, "IotHubUnauthorized"], "signature": answer});
        assert_has(&report["credentials"][client], &wanted);
    }
    ClientsPage::read()?.require_methods("Node: `azure-iothub`", &report["calls"])
}
