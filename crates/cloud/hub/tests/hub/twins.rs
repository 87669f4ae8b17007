//! Twins, from both sides.

use serde_json::json;

use crate::world::{World, connect, primary_key};

const TWIN_GET: &str = "$iothub/twin/GET/?$rid=1";
const REPORTED: &str = "$iothub/twin/PATCH/properties/reported/?$rid=7";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";

#[tokio::test]
async fn an_operator_merges_and_replaces() {
    let world = World::start().await;
    world.sas_device("d1").await;
    let fresh = world.get("/twins/d1").await;
    assert_eq!(fresh["properties"]["desired"]["$version"], 1);
    assert_eq!(fresh["etag"], "AAAAAAAAAAE=");
    // R5, R7
    assert_eq!(fresh["modelId"], "");
    for absent in ["tags", "statusReason", "parentScopes"] {
        assert_eq!(fresh.get(absent), None, "{absent}");
    }
    let patch =
        json!({"tags": {"site": "a", "floor": 2}, "properties": {"desired": {"interval": 5}}});
    let patched = world.patch_twin("d1", &patch).await;
    assert_eq!(patched["tags"], json!({"site": "a", "floor": 2}));
    assert_eq!(patched["properties"]["desired"]["$version"], 2);
    assert!(patched["properties"]["desired"]["$metadata"]["interval"]["$lastUpdated"].is_string());
    let merged = world
        .patch_twin("d1", &json!({"tags": {"floor": null}}))
        .await;
    assert_eq!(merged["tags"], json!({"site": "a"}));
    // R5
    let bare = world
        .patch_twin("d1", &json!({"tags": {"site": null}}))
        .await;
    assert_eq!(bare.get("tags"), None);

    let stale = world
        .ask("PATCH", "/twins/d1")
        .if_match("\"AAAAAAAAAAE=\"")
        .json(&json!({"tags": {}}))
        .send()
        .await;
    stale.refused(412, "PreconditionFailed");

    let body = json!({"tags": {"new": true}, "properties": {"desired": {"x": 1}}});
    let replaced = world
        .ask("PUT", "/twins/d1")
        .if_match("*")
        .json(&body)
        .send()
        .await
        .ok();
    assert_eq!(replaced["tags"], json!({"new": true}));
    assert_eq!(replaced["properties"]["desired"].get("interval"), None);
    world
        .ask("GET", "/twins/none")
        .send()
        .await
        .refused(404, "DeviceNotFound");
    world
        .ask("GET", "/twins/d1/modules/none")
        .send()
        .await
        .refused(404, "ModuleNotFound");
}

#[tokio::test]
async fn limits_are_told_with_their_place() {
    let world = World::start().await;
    world.sas_device("d1").await;
    let body = json!({"properties": {"desired": {"a.b": 1}}});
    let message = world
        .ask("PATCH", "/twins/d1")
        .json(&body)
        .send()
        .await
        .refused(400, "ArgumentInvalid");
    assert!(message.contains("properties.desired"), "{message}");
    for body in [
        // H14
        r#"{"properties":{"desired":{"a":[{"b":null}]}}}"#.to_owned(),
        r#"{"tags":{"a":[null]}}"#.to_owned(),
        // H22
        r#"{"tags":{"a":18446744073709551616}}"#.to_owned(),
        // C1
        format!(r#"{{"tags":{{"a":[{}{{}}]}}}}"#, "{},".repeat(50_000)),
    ] {
        for method in ["PATCH", "PUT"] {
            let ask = world.ask(method, "/twins/d1").if_match("*");
            let reply = ask.bytes(body.as_bytes()).send().await;
            reply.refused(400, "ArgumentInvalid");
        }
    }
}

#[tokio::test]
async fn a_device_reads_and_reports_without_subscribing_first() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    world
        .patch_twin(
            "d1",
            &json!({"tags": {"hidden": 1}, "properties": {"desired": {"interval": 5}}}),
        )
        .await;
    let mut device = world.device("d1", &key).await;
    // One space is what the Python SDK sends.
    let (topic, twin) = device.request(TWIN_GET, b" ").await;
    assert_eq!(topic, "$iothub/twin/res/200/?$rid=1");
    assert_eq!(
        twin,
        json!({"desired": {"interval": 5, "$version": 2}, "reported": {"$version": 1}})
    );

    let (topic, body) = device
        .request(REPORTED, br#"{"temperature": 21, "gone": null}"#)
        .await;
    assert_eq!(
        (topic.as_str(), body),
        ("$iothub/twin/res/204/?$rid=7&$version=2", json!(null))
    );
    let twin = world.get("/twins/d1").await;
    assert_eq!(twin["properties"]["reported"]["temperature"], 21);
    assert_eq!(twin["properties"]["reported"]["$version"], 2);
}

#[tokio::test]
async fn a_bad_report_is_answered_and_the_session_goes_on() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    for payload in [
        &b"not json"[..],
        b"[1]",
        br#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":{"j":{"k":1}}}}}}}}}}}"#,
        // H14
        br#"{"a":[{"b":null}]}"#,
        // H22
        b"{\"a\":18446744073709551616}",
        b"{\"a\":123456789012345678901234567890}",
        // C1
        format!("{{\"a\":[{}[]]}}", "[],".repeat(20_000)).as_bytes(),
        format!("{{\"a\":[{}[]]}}", "[],".repeat(80_000)).as_bytes(),
    ] {
        let (topic, body) = device.request(REPORTED, payload).await;
        assert_eq!(topic, "$iothub/twin/res/400/?$rid=7");
        assert_eq!(body["errorCode"], 400_004);
        assert!(body["message"].is_string() && body["trackingId"].is_string());
    }
    let (topic, _) = device
        .request(
            "$iothub/twin/PATCH/properties/reported/?$rid=8&$version=9",
            b"{\"a\":1}",
        )
        .await;
    assert_eq!(topic, "$iothub/twin/res/412/?$rid=8");
    let (topic, _) = device.request(REPORTED, b"{\"a\":1}").await;
    assert!(topic.starts_with("$iothub/twin/res/204/"));
}

#[tokio::test]
async fn desired_patches_are_pushed_with_their_version() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    world
        .patch_twin("d1", &json!({"properties": {"desired": {"before": 1}}}))
        .await;
    device.subscribe(DESIRED).await;
    world
        .patch_twin("d1", &json!({"tags": {"only": "tags"}}))
        .await;
    world
        .patch_twin(
            "d1",
            &json!({"properties": {"desired": {"before": null, "interval": 9}}}),
        )
        .await;
    let (topic, patch) = device.pushed().await.unwrap();
    assert_eq!(topic, "$iothub/twin/PATCH/properties/desired/?$version=3");
    assert_eq!(patch, json!({"before": null, "interval": 9, "$version": 3}));
    device.unsubscribe(DESIRED).await;
    world
        .patch_twin("d1", &json!({"properties": {"desired": {"unheard": 1}}}))
        .await;
    device.subscribe(DESIRED).await;
    world
        .patch_twin("d1", &json!({"properties": {"desired": {"heard": 1}}}))
        .await;
    assert_eq!(device.pushed().await.unwrap().1["$version"], 5);
}

#[tokio::test]
async fn a_module_has_its_own_twin() {
    let world = World::start().await;
    world.edge_device("edge-1").await;
    let module = world.put("/devices/edge-1/modules/m", &json!({})).await;
    let key = primary_key(&module);
    let token = world.token("devices/edge-1/modules/m", &key);
    let mut session = world
        .open(&connect("edge-1/m", Some(&token)), None)
        .await
        .unwrap();
    session.subscribe(DESIRED).await;
    let patch = json!({"properties": {"desired": {"interval": 3}}});
    world
        .patch_twin(
            "edge-1",
            &json!({"properties": {"desired": {"of": "the device"}}}),
        )
        .await;
    world.patch_twin("edge-1/modules/m", &patch).await;
    assert_eq!(
        session.pushed().await.unwrap().1,
        json!({"interval": 3, "$version": 2})
    );
    session.request(REPORTED, b"{\"ok\":true}").await;
    let twin = world.get("/twins/edge-1/modules/m").await;
    assert_eq!(
        (&twin["moduleId"], &twin["properties"]["reported"]["ok"]),
        (&json!("m"), &json!(true))
    );
}
