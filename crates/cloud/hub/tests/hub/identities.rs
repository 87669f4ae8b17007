//! Devices and modules: by operators, and by a device's own daemon.

use serde_json::json;

use crate::world::{World, self_signed};

#[tokio::test]
async fn a_device_is_created_changed_and_deleted() {
    let world = World::start().await;
    let body = json!({"deviceId": "d1", "status": "enabled",
        "authentication": {"type": "sas", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}}});
    let reply = world.ask("PUT", "/devices/d1").json(&body).send().await;
    assert_eq!(reply.status, 200);
    let etag = reply.header("etag").to_owned();
    let created = reply.ok();
    assert_eq!(etag, format!("\"{}\"", created["etag"].as_str().unwrap()));
    let keys = &created["authentication"]["symmetricKey"];
    assert_eq!(keys["primaryKey"].as_str().unwrap().len(), 44);
    assert_ne!(keys["primaryKey"], keys["secondaryKey"]);
    assert_eq!(
        created["authentication"]["x509Thumbprint"],
        json!({"primaryThumbprint": null, "secondaryThumbprint": null})
    );

    let mut changed = created.clone();
    changed["status"] = json!("disabled");
    changed["statusReason"] = json!("lost");
    let again = world.ask("PUT", "/devices/d1").json(&changed).send().await;
    again.refused(409, "DeviceAlreadyExists");
    let wrong = world
        .ask("PUT", "/devices/d1")
        .if_match("\"bm90\"")
        .json(&changed)
        .send()
        .await;
    wrong.refused(412, "PreconditionFailed");
    let changed = world
        .ask("PUT", "/devices/d1")
        .if_match(&etag)
        .json(&changed)
        .send()
        .await
        .ok();
    assert_eq!(
        (&changed["status"], &changed["statusReason"]),
        (&json!("disabled"), &json!("lost"))
    );
    assert_eq!(changed["generationId"], created["generationId"]);
    assert_eq!(changed["authentication"], created["authentication"]);

    let delete = async |etag: &str| {
        let delete = world.ask("DELETE", "/devices/d1").if_match(etag);
        delete.send().await
    };
    delete(&etag).await.refused(412, "PreconditionFailed");
    assert_eq!(delete("\"*\"").await.status, 204);
    let gone = world.ask("GET", "/devices/d1").send().await;
    gone.refused(404, "DeviceNotFound");
}

#[tokio::test]
async fn an_edge_device_gets_its_system_modules_and_scope() {
    let world = World::start().await;
    world.edge_device("edge-1").await;
    let device = world.get("/devices/edge-1").await;
    assert!(
        device["deviceScope"]
            .as_str()
            .unwrap()
            .starts_with("ms-azure-iot-edge://edge-1-")
    );
    let modules = world.get("/devices/edge-1/modules").await;
    let ids: Vec<_> = modules
        .as_array()
        .unwrap()
        .iter()
        .map(|module| module["moduleId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["$edgeAgent", "$edgeHub"]);
    assert_eq!(modules[0]["authentication"]["type"], "none");
}

#[tokio::test]
async fn the_device_daemon_manages_its_modules_by_its_certificate() {
    let world = World::start().await;
    let chain = self_signed("edge-1", 2100);
    let thumbprint = chain.leaf().sha256().to_string().to_lowercase();
    let body = json!({"deviceId": "edge-1", "capabilities": {"iotEdge": true}, "authentication":
        {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint}}});
    world.put("/devices/edge-1", &body).await;
    let daemon = |method: &str, path: &str| {
        let path = format!("/devices/edge-1/modules{path}");
        world.ask(method, &path).certificate(&chain)
    };

    let listed = daemon("GET", "").send().await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 2);

    let create = json!({"moduleId": "m1", "deviceId": "edge-1"});
    let created = daemon("PUT", "/m1").json(&create).send().await;
    assert_eq!(created.status, 200);
    let generation = created.ok()["generationId"].clone();
    assert!(generation.is_string());

    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let update = json!({"moduleId": "m1", "deviceId": "edge-1", "authentication":
        {"symmetricKey": {"primaryKey": key, "secondaryKey": key}, "type": "sas"}});
    let updated = daemon("PUT", "/m1").if_match("*").json(&update);
    let updated = updated.send().await.ok();
    assert_eq!(updated["authentication"]["symmetricKey"]["primaryKey"], key);
    assert_eq!(updated["generationId"], generation);

    let mut body = update.clone();
    body["moduleId"] = json!("$edgeAgent");
    let agent = daemon("PUT", "/$edgeAgent").if_match("*").json(&body);
    assert_eq!(agent.send().await.ok()["authentication"]["type"], "sas");

    let deleted = daemon("DELETE", "/m1").if_match("*").send().await;
    assert_eq!(deleted.status, 204);
    let gone = daemon("GET", "/m1").send().await;
    gone.refused(404, "ModuleNotFound");
}

#[tokio::test]
async fn the_device_daemon_uses_a_token_with_a_lower_case_resource() {
    let world = World::start().await;
    let key = world.edge_device("Edge-1").await;
    let token = world.token("devices/edge-1", &key);
    let listed = world
        .ask("GET", "/devices/Edge-1/modules")
        .token(&token)
        .send()
        .await
        .ok();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    world.sas_device("other").await;
    world
        .ask("GET", "/devices/other/modules")
        .token(&token)
        .send()
        .await
        .refused(401, "IotHubUnauthorized");
    world
        .ask("GET", "/devices/Edge-1")
        .token(&token)
        .send()
        .await
        .refused(401, "IotHubUnauthorized");
}

#[tokio::test]
async fn a_device_sees_only_types_that_its_daemon_knows() {
    let world = World::start().await;
    let key = world.edge_device("edge-1").await;
    let body = json!({"moduleId": "m", "authentication":
        {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": "ab".repeat(20)}}});
    world.put("/devices/edge-1/modules/m", &body).await;
    let token = world.token("devices/edge-1", &key);
    let found = world
        .ask("GET", "/devices/edge-1/modules/m")
        .token(&token)
        .send()
        .await
        .ok();
    assert_eq!(found["authentication"]["type"], "none");
    assert_eq!(
        world.get("/devices/edge-1/modules/m").await["authentication"]["type"],
        "selfSigned"
    );
}

#[tokio::test]
async fn paths_are_read_as_clients_write_them() {
    let world = World::start().await;
    world.edge_device("d1").await;
    for path in [
        "/DEVICES/d1/",
        "/devices/d1/Modules/",
        "/devices/d1/modules/%24edgeAgent",
        "/devices/?top=5",
    ] {
        world.get(path).await;
    }
    let with_body = world.ask("GET", "/devices/d1").bytes(b"{}").send().await;
    assert_eq!(with_body.status, 200);
    let message = world
        .ask("GET", "/devices/a%20b")
        .send()
        .await
        .refused(400, "ArgumentInvalid");
    assert!(message.contains("device id"), "{message}");
    world
        .ask("GET", "/devices/d1/nothing")
        .send()
        .await
        .refused(404, "InvalidOperation");
    world
        .ask("POST", "/devices/d1")
        .send()
        .await
        .refused(405, "InvalidOperation");
    world
        .ask("GET", "/devices/d1")
        .send_to("/devices/d1")
        .await
        .refused(400, "InvalidProtocolVersion");
}

#[tokio::test]
async fn bad_bodies_say_what_and_where() {
    let world = World::start().await;
    for (body, named) in [
        (&b""[..], "empty"),
        (b"{\"deviceId\":", "not JSON"),
        (b"[]", "object"),
        (br#"{"deviceId":"other"}"#, "deviceId"),
        (
            br#"{"authentication":{"type":"tpm"}}"#,
            "authentication.type",
        ),
        (
            br#"{"authentication":{"symmetricKey":{"primaryKey":"x"}}}"#,
            "authentication.symmetricKey.primaryKey",
        ),
    ] {
        let reply = world.ask("PUT", "/devices/d1").bytes(body).send().await;
        let message = reply.refused(400, "ArgumentInvalid");
        assert!(message.contains(named), "{message}");
        assert!(!message.contains('\n'));
    }
    let huge = vec![b' '; 2 * 1024 * 1024];
    world
        .ask("PUT", "/devices/d1")
        .bytes(&huge)
        .send()
        .await
        .refused(413, "MessageTooLarge");
}

#[tokio::test]
async fn statistics_count() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    world
        .put("/devices/d2", &json!({"status": "disabled"}))
        .await;
    let devices = world.get("/statistics/devices").await;
    assert_eq!(
        devices,
        json!({"totalDeviceCount": 2, "enabledDeviceCount": 1, "disabledDeviceCount": 1})
    );
    assert_eq!(
        world.get("/statistics/service").await["connectedDeviceCount"],
        0
    );
    let device = world.device("d1", &key).await;
    assert_eq!(
        world.get("/statistics/service").await["connectedDeviceCount"],
        1
    );
    assert_eq!(
        world.get("/devices/d1").await["connectionState"],
        "Connected"
    );
    device.end(None).await;
    assert_eq!(
        world.get("/devices/d1").await["connectionState"],
        "Disconnected"
    );
}

/// R11: the answer says what does not exist, and what is not offered yet.
#[tokio::test]
async fn paths_of_the_original_have_answers() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let token = world.token("devices/d1", &key);
    let messages = "/devices/d1/messages/deviceBound";
    let as_device = |method, path: &str| world.ask(method, path).token(&token);
    assert_eq!(as_device("GET", messages).send().await.status, 204);
    for (method, rest) in [("DELETE", "lock"), ("POST", "lock/abandon")] {
        let reply = as_device(method, &format!("{messages}/{rest}"))
            .send()
            .await;
        reply.refused(412, "DeviceMessageLockLost");
    }
    let anonymous = world.ask("GET", messages).anonymous().send().await;
    anonymous.refused(401, "IotHubUnauthorized");

    let purged = world
        .ask("DELETE", "/devices/d1/commands")
        .send()
        .await
        .ok();
    assert_eq!(purged["totalMessagesPurged"], 0);
    assert_eq!(purged["deviceId"], "d1");
    let nobody = world.ask("DELETE", "/devices/d2/commands").send().await;
    nobody.refused(404, "DeviceNotFound");
    // P13: PowerShell puts a byte order mark before it.
    let body = [b"\xEF\xBB\xBF", &br#"{"deviceId": "d3"}"#[..]].concat();
    let made = world.ask("PUT", "/devices/d3").bytes(&body).send().await;
    assert_eq!(made.ok()["deviceId"], "d3");
}

// R12
#[tokio::test]
async fn a_daemon_on_a_plain_device_is_told_what_helps() {
    let world = World::start().await;
    world.sas_device("d1").await;
    let path = "/devices/d1/modules/$edgeAgent";
    let reply = world.ask("GET", path).send().await;
    let message = reply.refused(404, "ModuleNotFound");
    assert!(message.contains("--edge-enabled true"), "{message}");
    let mut device = world.get("/devices/d1").await;
    device["capabilities"] = json!({"iotEdge": true});
    let put = world.ask("PUT", "/devices/d1").if_match("*").json(&device);
    put.send().await.ok();
    world.get(path).await;
    let other = world.ask("GET", "/devices/d1/modules/m").send().await;
    let message = other.refused(404, "ModuleNotFound");
    assert!(!message.contains("--edge-enabled"), "{message}");
}
