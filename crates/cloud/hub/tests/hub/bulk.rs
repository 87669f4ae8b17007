//! Changes of many identities in one request.

use serde_json::{Value, json};

use crate::world::{Reply, World};

async fn bulk(world: &World, items: Value) -> Reply {
    world.ask("POST", "/devices").json(&items).send().await
}

/// H9: as the SDKs add devices.
#[tokio::test]
async fn devices_and_modules_are_created_in_bulk() {
    let world = World::start().await;
    let items = json!([
        {"id": "d1", "importMode": "create", "status": "enabled",
            "tags": {"site": "a"}, "properties": {"desired": {"rate": 1}}},
        {"id": "d1", "moduleId": "m1", "importMode": "create", "managedBy": "me",
            "properties": {"desired": {"level": 3}}},
        {"id": "e1", "capabilities": {"iotEdge": true}},
    ]);
    let created = bulk(&world, items).await.ok();
    assert_eq!(
        created,
        json!({"isSuccessful": true, "errors": [], "warnings": []})
    );
    let twin = world.get("/twins/d1").await;
    assert_eq!(twin["tags"], json!({"site": "a"}));
    assert_eq!(twin["properties"]["desired"]["rate"], 1);
    let module = world.get("/twins/d1/modules/m1").await;
    assert_eq!(module["properties"]["desired"]["level"], 3);
    let edge = world.get("/devices/e1/modules").await;
    assert_eq!(edge.as_array().unwrap().len(), 2);
}

/// H9: as the SDKs update and delete devices.
#[tokio::test]
async fn devices_are_changed_and_deleted_in_bulk() {
    let world = World::start().await;
    let items = json!([{"id": "d1", "tags": {"site": "a"}}, {"id": "e1"}]);
    bulk(&world, items).await.ok();
    let etag = world.get("/devices/d1").await["etag"].clone();
    let twin_etag = world.get("/twins/d1").await["etag"].clone();
    let items = json!([
        {"id": "d1", "importMode": "updateIfMatchETag", "eTag": etag, "status": "disabled",
            "statusReason": "lost"},
        {"id": "e1", "importMode": "updateTwin", "tags": {"floor": 2}},
    ]);
    bulk(&world, items).await.ok();
    assert_eq!(world.get("/devices/d1").await["status"], "disabled");
    assert_eq!(world.get("/twins/e1").await["tags"], json!({"floor": 2}));
    // What an item leaves out, stays.
    assert_eq!(world.get("/twins/d1").await["tags"], json!({"site": "a"}));

    let items = json!([
        {"id": "d1", "importMode": "deleteIfMatchETag", "eTag": etag},
        {"id": "d1", "importMode": "updateTwinIfMatchETag", "twinETag": twin_etag},
        {"id": "e1", "importMode": "delete"},
    ]);
    let ended = bulk(&world, items).await;
    assert_eq!(ended.status, 400);
    let errors = ended.body["errors"].as_array().unwrap();
    let codes: Vec<_> = errors
        .iter()
        .map(|error| (&error["errorCode"], &error["operation"]))
        .collect();
    let expected = [
        (&json!(412_001), &json!("deleteIfMatchETag")),
        (&json!(400_011), &json!("updateTwinIfMatchETag")),
    ];
    assert_eq!(codes, expected);
    let gone = world.ask("GET", "/devices/e1").send().await;
    gone.refused(404, "DeviceNotFound");
}

#[tokio::test]
async fn one_item_that_fails_stops_none_of_the_others() {
    let world = World::start().await;
    world.sas_device("d1").await;
    let reply = bulk(
        &world,
        json!([
            {"id": "d1", "importMode": "create"},
            {"id": "bad id", "importMode": "create"},
            {"id": "d2", "importMode": "create", "tags": {"a.b": 1}},
            {"id": "d3", "importMode": "update"},
            {"id": "none", "moduleId": "m", "importMode": "create"},
            {"id": "d4", "importMode": "create"},
        ]),
    );
    let reply = reply.await;
    assert_eq!(
        (reply.status, &reply.body["isSuccessful"]),
        (400, &json!(false))
    );
    let errors = reply.body["errors"].as_array().unwrap();
    let errors: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                error["deviceId"].as_str().unwrap(),
                error["errorCode"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("d1", 409_001),
        ("bad id", 400_004),
        ("d2", 400_004),
        ("d3", 404_001),
        ("none", 404_001),
    ];
    assert_eq!(errors, expected);
    world.get("/devices/d4").await;
    // A device whose twin is refused is not there either.
    let absent = world.ask("GET", "/devices/d2").send().await;
    absent.refused(404, "DeviceNotFound");
    for body in [json!({}), json!([]), json!(vec![json!({"id": "x"}); 101])] {
        bulk(&world, body).await.refused(400, "ArgumentInvalid");
    }
}

/// H9
#[tokio::test]
async fn keys_are_regenerated_for_many_identities() {
    let world = World::start().await;
    world.sas_device("d1").await;
    world.edge_device("e1").await;
    let keys = async || {
        let device = world.get("/devices/d1").await;
        device["authentication"]["symmetricKey"].clone()
    };
    let before = keys().await;
    let regenerate = async |which: &str, devices: Value| {
        let body = json!({"policyKey": which, "devices": devices});
        let ask = world.ask("POST", "/devices/keys/regenerate").json(&body);
        ask.send().await
    };
    let rotated = regenerate("primaryKey", json!([{"id": "d1"}])).await.ok();
    let after = keys().await;
    assert_ne!(before["primaryKey"], after["primaryKey"]);
    assert_eq!(before["secondaryKey"], after["secondaryKey"]);
    assert_eq!(rotated["policyKey"], "primaryKey");
    let answered = &rotated["rotatedKeys"][0];
    assert_eq!(answered["primaryKey"], after["primaryKey"]);
    assert_eq!(answered["secondaryKey"], after["secondaryKey"]);

    // System modules have no keys before the device uploads them.
    let some = json!([{"id": "d1"}, {"id": "e1", "moduleId": "$edgeAgent"}, {"id": "none"}]);
    let reply = regenerate("both", some).await;
    assert_eq!(reply.status, 207);
    assert_eq!(reply.body["rotatedKeys"].as_array().unwrap().len(), 1);
    assert_eq!(reply.body["errors"][0]["errorCode"], 400_004);
    assert_eq!(reply.body["errors"][1]["errorCode"], 404_001);
    let none = regenerate("secondaryKey", json!([{"id": "none"}])).await;
    assert_eq!(none.status, 400);
    // An identity that is named twice gets one pair of keys, the one that is stored.
    let twice = json!([{"id": "d1"}, {"id": "d1", "moduleId": ""}]);
    let reply = regenerate("both", twice).await;
    assert_eq!(reply.status, 207);
    let rotated = reply.body["rotatedKeys"].as_array().unwrap();
    assert_eq!(rotated.len(), 1);
    assert_eq!(rotated[0]["primaryKey"], keys().await["primaryKey"]);
    assert_eq!(reply.body["errors"][0]["errorCode"], 400_011);
    let unknown = regenerate("thirdKey", json!([{"id": "d1"}])).await;
    unknown.refused(400, "ArgumentInvalid");
}

/// A rotated key ends the session that was opened with it.
#[tokio::test]
async fn a_session_ends_with_its_key() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    let body = json!({"policyKey": "both", "devices": [{"id": "d1"}]});
    let ask = world.ask("POST", "/devices/keys/regenerate").json(&body);
    ask.send().await.ok();
    assert!(device.closed().await.contains("credentials"));
}
