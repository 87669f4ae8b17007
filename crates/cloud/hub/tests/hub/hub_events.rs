//! Events of the hub itself, routed as telemetry is: twins, identities, connections.

use registry::Event;
use serde_json::{Value, json};
use wire::telemetry::EventSource;

use crate::world::{World, eventually};

/// Routes events of these sources to the built-in endpoint.
async fn route(world: &World, sources: &[&str]) {
    let route = |source: &&str| {
        json!({"name": source, "source": source,
        "endpointNames": ["events"]})
    };
    let routes: Vec<Value> = sources.iter().map(route).collect();
    let document = json!({"routes": routes});
    world.put("/muster/v1/hub/routing", &document).await;
}

/// What events are about and what they say, once there are so many.
async fn emitted(world: &World, count: usize) -> Vec<(String, Value)> {
    let all = eventually(async || {
        let hub = "hub".parse().unwrap();
        let page = world.registry.read_events(&hub, 0, 100).await.unwrap();
        (page.events.len() >= count).then_some(page.events)
    });
    let all = all.await;
    assert_eq!(all.len(), count);
    all.iter().map(|stored| read(&stored.event)).collect()
}

fn read(event: &Event) -> (String, Value) {
    let property = |name: &str| {
        let found = event.properties.iter().find(|(known, _)| known == name);
        found.map_or("-", |(_, value)| value.as_str())
    };
    assert_eq!((property("hubName"), property("$.uid")), ("hub", "hub"));
    assert_eq!(property("deviceId"), event.device.as_str());
    let kind = match event.source {
        EventSource::DigitalTwinChangeEvents => "application/json-patch+json",
        _ => "application/json",
    };
    assert_eq!((property("$.ct"), property("$.ce")), (kind, "utf-8"));
    assert_eq!(property("operationTimestamp"), event.enqueued.to_string());
    let text = format!(
        "{} {} {} {}",
        event.source.message_source(),
        property("iothub-message-schema"),
        property("opType"),
        property("moduleId")
    );
    (text, serde_json::from_slice(&event.body).unwrap())
}

#[tokio::test]
async fn devices_and_modules_come_and_go() {
    let world = World::start().await;
    world.sas_device("before").await;
    route(&world, &["DeviceLifecycleEvents"]).await;
    world.sas_device("d1").await;
    world
        .put(
            "/devices/d1/modules/m1",
            &json!({"moduleId": "m1", "deviceId": "d1"}),
        )
        .await;
    world.patch_twin("d1", &json!({"tags": {"a": 1}})).await;
    for path in ["/devices/d1/modules/m1", "/devices/d1"] {
        assert_eq!(world.ask("DELETE", path).send().await.status, 204);
    }
    let all = emitted(&world, 4).await;
    let schema = "deviceLifecycleEvents deviceLifecycleNotification";
    let texts: Vec<_> = all.iter().map(|(text, _)| text.clone()).collect();
    assert_eq!(
        texts,
        [
            format!("{schema} createDeviceIdentity -"),
            format!("{schema} createDeviceIdentity m1"),
            format!("{schema} deleteDeviceIdentity m1"),
            format!("{schema} deleteDeviceIdentity -"),
        ]
    );
    let (created, deleted) = (&all[0].1, &all[3].1);
    assert_eq!(
        (&created["deviceId"], &created["etag"]),
        (&json!("d1"), &json!("AAAAAAAAAAE="))
    );
    assert_eq!(created["properties"]["desired"]["$version"], 1);
    assert_eq!(deleted["tags"], json!({"a": 1}));
}

#[tokio::test]
async fn changes_of_twins_are_patches_and_replacements_whole() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let twin =
        |tags: Value, desired: Value| json!({"tags": tags, "properties": {"desired": desired}});
    world
        .patch_twin(
            "d1",
            &twin(json!({"a": 1, "b": 2}), json!({"x": {"y": 1, "z": 1}})),
        )
        .await;
    route(&world, &["TwinChangeEvents"]).await;
    world
        .patch_twin("d1", &twin(json!({"b": null}), json!({"x": {"y": 2}})))
        .await;
    let mut device = world.device("d1", &key).await;
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=1";
    device.publish(topic, b"{\"battery\": 55}").await.unwrap();
    let replaced = world.ask("PUT", "/twins/d1").if_match("\"*\"");
    replaced
        .json(&twin(json!({}), json!({"x": 3})))
        .send()
        .await
        .ok();
    let all = emitted(&world, 3).await;
    let schema = "twinChangeEvents twinChangeNotification";
    let texts: Vec<_> = all.iter().map(|(text, _)| text.as_str()).collect();
    let expected = ["updateTwin", "updateTwin", "replaceTwin"];
    assert_eq!(
        texts,
        expected.map(|operation| format!("{schema} {operation} -"))
    );
    let (service, report, whole) = (&all[0].1, &all[1].1, &all[2].1);
    assert_eq!(service["tags"], json!({"b": null}));
    let desired = &service["properties"]["desired"];
    assert_eq!(
        (&desired["x"], &desired["$version"]),
        (&json!({"y": 2}), &json!(3))
    );
    assert!(
        desired["$metadata"]["x"]["y"]["$lastUpdated"].is_string(),
        "{desired}"
    );
    assert_eq!(desired["$metadata"]["x"].get("z"), None);
    assert_eq!(service["properties"].get("reported"), None);
    assert_eq!(report["properties"]["reported"]["battery"], 55);
    assert_eq!(
        (&whole["deviceId"], &whole["properties"]["desired"]["x"]),
        (&json!("d1"), &json!(3))
    );
    assert_eq!(whole["properties"]["reported"]["battery"], 55);
}

#[tokio::test]
async fn connections_are_reported_once_each() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    route(&world, &["DeviceConnectionStateEvents"]).await;
    let device = world.device("d1", &key).await;
    device.end(None).await;
    let all = emitted(&world, 2).await;
    let schema = "deviceConnectionStateEvents deviceConnectionStateNotification";
    let texts: Vec<_> = all.iter().map(|(text, _)| text.as_str()).collect();
    let expected = ["deviceConnected", "deviceDisconnected"];
    assert_eq!(
        texts,
        expected.map(|operation| format!("{schema} {operation} -"))
    );
    assert_eq!(all[0].1["sequenceNumber"].as_str().unwrap().len(), 64);
}

/// What is committed before the process ends reaches the log of the next one.
#[tokio::test]
async fn an_event_that_waits_survives_the_process() {
    let mut world = World::start().await;
    route(&world, &["DeviceLifecycleEvents"]).await;
    world.stop();
    world.sas_device("d1").await;
    world.begin_again();
    world.run();
    let all = emitted(&world, 1).await;
    assert_eq!(all[0].1["deviceId"], "d1");
}

/// A twin with its metadata may be longer than an event of the log can be.
#[tokio::test]
async fn an_event_that_is_too_large_stops_none_behind_it() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let many = (0..4096).map(|number| (format!("{number:04}"), true.into()));
    let many: serde_json::Map<String, Value> = many.collect();
    world
        .patch_twin("d1", &json!({"properties": {"desired": many}}))
        .await;
    let mut device = world.device("d1", &key).await;
    device.subscribe("$iothub/twin/res/#").await;
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=1";
    let body = serde_json::to_vec(&many).unwrap();
    let (reply, _) = device.request(topic, &body).await;
    assert!(reply.starts_with("$iothub/twin/res/204/"), "{reply}");
    route(&world, &["DeviceLifecycleEvents"]).await;
    assert_eq!(world.ask("DELETE", "/devices/d1").send().await.status, 204);
    world.sas_device("d2").await;
    let all = emitted(&world, 1).await;
    assert_eq!(all[0].1["deviceId"], "d2");
}

#[tokio::test]
async fn changes_of_digital_twins_are_json_patches() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    route(&world, &["DigitalTwinChangeEvents"]).await;
    let mut device = world.device("d1", &key).await;
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=1";
    let body = json!({"temp": 20, "t1": {"__t": "c", "max": 1}});
    device
        .publish(topic, body.to_string().as_bytes())
        .await
        .unwrap();
    world.patch_twin("d1", &json!({"tags": {"a": 1}})).await;
    let change = json!([{"op": "add", "path": "/target", "value": 5}]);
    let change = world.ask("PATCH", "/digitaltwins/d1").json(&change).send();
    assert_eq!(change.await.status, 202);
    world.advance(std::time::Duration::from_secs(1));
    device.publish(topic, b"{\"temp\": 21}").await.unwrap();
    let all = emitted(&world, 3).await;
    let schema = "digitalTwinChangeEvents digitalTwinChangeNotification updateTwin -";
    assert!(all.iter().all(|(text, _)| text == schema));
    let paths = |body: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let operations = body.as_array().unwrap().iter();
        operations
            .map(|operation| (text(&operation["op"]), text(&operation["path"])))
            .collect()
    };
    let pair = |op: &str, path: &str| (op.to_owned(), path.to_owned());
    let reported = paths(&all[0].1);
    for (op, path) in [("add", "/temp"), ("add", "/t1"), ("add", "/$metadata/temp")] {
        assert!(reported.contains(&pair(op, path)), "{reported:?}");
    }
    assert_eq!(paths(&all[1].1), [pair("add", "/$metadata/target")]);
    assert_eq!(all[1].1[0]["value"]["desiredValue"], 5);
    let again = paths(&all[2].1);
    assert_eq!(
        again,
        [
            pair("replace", "/temp"),
            pair("replace", "/$metadata/temp/lastUpdateTime")
        ]
    );
    assert_eq!(all[2].1[0]["value"], 21);
}

#[tokio::test]
async fn what_a_job_comes_to_on_each_device_is_an_event() {
    let world = World::start().await;
    for id in ["d1", "d2"] {
        world.sas_device(id).await;
    }
    world.patch_twin("d2", &json!({"tags": {"a": 1}})).await;
    route(&world, &["DeviceJobLifecycleEvents"]).await;
    let job = json!({"type": "scheduleUpdateTwin", "updateTwin": {"tags": {"a": 2}, "etag": "*"},
        "queryCondition": "deviceId = 'd1'", "maxExecutionTimeInSeconds": 300});
    world.ask("PUT", "/jobs/v2/j1").json(&job).send().await.ok();
    let mut job = job;
    job["updateTwin"]["etag"] = json!("another");
    job["queryCondition"] = json!("deviceId = 'd2'");
    emitted(&world, 1).await;
    world.ask("PUT", "/jobs/v2/j2").json(&job).send().await.ok();
    let all = emitted(&world, 2).await;
    let schema = "deviceJobLifecycleEvents deviceJobLifecycleNotification";
    for ((text, body), (operation, device, job, status)) in all.iter().zip([
        ("completeDeviceJob", "d1", "j1", "completed"),
        ("failDeviceJob", "d2", "j2", "failed"),
    ]) {
        assert_eq!(*text, format!("{schema} {operation} -"));
        let said = ["deviceId", "jobId", "status"].map(|name| body[name].as_str().unwrap());
        assert_eq!(said, [device, job, status]);
        assert_eq!(body["jobType"], "scheduleUpdateTwin");
    }
    assert!(all[1].1["error"]["code"].is_string(), "{}", all[1].1);
}
