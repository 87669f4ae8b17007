//! Deployments: their documents, and what they do to devices.

use serde_json::{Value, json};

use crate::world::{World, eventually};

fn content(image: &str) -> Value {
    json!({"modulesContent": {
        "$edgeAgent": {"properties.desired": {
            "schemaVersion": "1.1",
            "runtime": {"type": "docker", "settings": {}},
            "systemModules": {
                "edgeAgent": {"type": "docker", "settings": {"image": "agent",
                    "createOptions": "{}"}},
                "edgeHub": {"type": "docker", "status": "running", "restartPolicy": "always",
                    "settings": {"image": "hub", "createOptions": "{}"}}
            },
            "modules": {"sensor": {"type": "docker", "status": "running", "restartPolicy": "always",
                "version": "1.0", "settings": {"image": image, "createOptions": "{}"}}}
        }},
        "$edgeHub": {"properties.desired": {"schemaVersion": "1.1", "routes": {},
            "storeAndForwardConfiguration": {"timeToLiveSecs": 7200}}},
        "sensor": {"properties.desired": {"interval": 5}}
    }})
}

/// The body of a deployment, as `az iot edge` sends it.
fn deployment(id: &str, image: &str, condition: &str, priority: u32) -> Value {
    json!({"id": id, "schemaVersion": "2.0", "content": content(image),
        "targetCondition": condition,
        "priority": priority, "metrics": {}, "etag": "*"})
}

async fn agent_desired(world: &World, device: &str) -> Value {
    world
        .get(&format!("/twins/{device}/modules/$edgeAgent"))
        .await["properties"]["desired"]
        .clone()
}

/// Waits until the deployed module of a device has an image.
async fn await_image(world: &World, device: &str, wanted: &str) {
    eventually(async || (image(&agent_desired(world, device).await) == wanted).then_some(())).await;
}

fn image(desired: &Value) -> Value {
    desired["modules"]["sensor"]["settings"]["image"].clone()
}

#[tokio::test]
async fn a_deployment_reaches_the_devices_that_its_condition_names() {
    let world = World::start().await;
    world.edge_device("edge-1").await;
    world.edge_device("edge-2").await;
    world
        .patch_twin("edge-1", &json!({"tags": {"environment": "test"}}))
        .await;
    let created = world
        .put(
            "/configurations/dep1",
            &deployment("dep1", "one", "tags.environment='test'", 10),
        )
        .await;
    assert_eq!(
        (&created["labels"], &created["metrics"]),
        (&Value::Null, &json!({"results": {}, "queries": {}}))
    );

    await_image(&world, "edge-1", "one").await;
    let sensor = world.get("/twins/edge-1/modules/sensor").await;
    assert_eq!(sensor["properties"]["desired"]["interval"], 5);
    let twin = world.get("/twins/edge-1/modules/$edgeAgent").await;
    assert_eq!(twin["configurations"]["dep1"]["status"], "Applied");
    assert_eq!(image(&agent_desired(&world, "edge-2").await), Value::Null);
    let read = world.get("/configurations/dep1").await;
    assert_eq!(read["systemMetrics"]["results"]["targetedCount"], 1);
    assert_eq!(read["systemMetrics"]["results"]["appliedCount"], 1);
    assert_eq!(
        world.get("/configurations").await.as_array().unwrap().len(),
        1
    );

    // A tag given later counts as well.
    world
        .patch_twin("edge-2", &json!({"tags": {"environment": "test"}}))
        .await;
    await_image(&world, "edge-2", "one").await;

    // The larger priority wins; when it goes, the other one is back.
    world
        .put(
            "/configurations/dep2",
            &deployment("dep2", "two", "deviceId='edge-1'", 20),
        )
        .await;
    await_image(&world, "edge-1", "two").await;
    assert_eq!(
        world
            .ask("DELETE", "/configurations/dep2")
            .if_match("\"*\"")
            .send()
            .await
            .status,
        204
    );
    await_image(&world, "edge-1", "one").await;
}

#[tokio::test]
async fn everything_but_the_content_can_be_changed() {
    let world = World::start().await;
    let created = world
        .put("/configurations/dep1", &deployment("dep1", "one", "", 1))
        .await;
    let again = world
        .ask("PUT", "/configurations/dep1")
        .json(&created)
        .send()
        .await;
    again.refused(409, "ConfigurationAlreadyExists");
    let mut changed = created.clone();
    changed["priority"] = json!("7");
    changed["labels"] = json!({"owner": "me"});
    let changed = world
        .ask("PUT", "/configurations/dep1")
        .if_match("\"*\"")
        .json(&changed)
        .send()
        .await
        .ok();
    assert_eq!(
        (&changed["priority"], &changed["labels"]),
        (&json!(7), &json!({"owner": "me"}))
    );
    assert_eq!(changed["createdTimeUtc"], created["createdTimeUtc"]);
    let other = deployment("dep1", "other", "", 1);
    let refused = world
        .ask("PUT", "/configurations/dep1")
        .if_match("*")
        .json(&other)
        .send()
        .await;
    assert!(refused.refused(400, "ArgumentInvalid").contains("content"));
    let stale = created["etag"].as_str().unwrap();
    let refused = world
        .ask("PUT", "/configurations/dep1")
        .if_match(stale)
        .json(&created)
        .send()
        .await;
    refused.refused(412, "PreconditionFailed");
    world
        .ask("GET", "/configurations/none")
        .send()
        .await
        .refused(404, "ConfigurationNotFound");
}

#[tokio::test]
async fn a_bad_condition_is_told_with_its_position() {
    let world = World::start().await;
    let bad = deployment("dep1", "one", "tags.a = 'x' AND", 1);
    let message = world
        .ask("PUT", "/configurations/dep1")
        .json(&bad)
        .send()
        .await
        .refused(400, "ArgumentInvalid");
    assert!(message.contains("position 16"), "{message}");
    let tested = json!({"targetCondition": "tags.a == 1", "customMetricQueries": {
        "good": "select * from devices where tags.a = 1",
            "members": "select deviceId from devices",
            "bad": "select deviceId devices"}});
    let tested = world
        .ask("POST", "/configurations/testQueries")
        .json(&tested)
        .send()
        .await
        .ok();
    assert!(
        tested["targetConditionError"]
            .as_str()
            .unwrap()
            .contains("position")
    );
    let errors = tested["customMetricQueryErrors"].as_object().unwrap();
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["bad"]);
    let modules = json!({"targetCondition": "FROM devices.modules WHERE tags.a = 1"});
    let modules = world
        .ask("POST", "/configurations/testQueries")
        .json(&modules)
        .send()
        .await
        .ok();
    assert_eq!(modules["targetConditionError"], Value::Null);
}

#[tokio::test]
async fn content_is_applied_to_one_device() {
    let world = World::start().await;
    world.edge_device("edge-1").await;
    world.sas_device("leaf").await;
    let reply = world
        .ask("POST", "/devices/edge-1/applyConfigurationContent")
        .json(&content("set"))
        .send()
        .await;
    assert_eq!(reply.status, 204);
    assert_eq!(image(&agent_desired(&world, "edge-1").await), "set");
    let modules = world.get("/devices/edge-1/modules").await;
    assert!(
        modules
            .as_array()
            .unwrap()
            .iter()
            .any(|module| module["moduleId"] == "sensor")
    );
    let leaf = world
        .ask("POST", "/devices/leaf/applyConfigurationContent")
        .json(&content("set"))
        .send()
        .await;
    leaf.refused(400, "ArgumentInvalid");
}

// H3
#[tokio::test]
async fn settings_of_devices_and_modules_are_applied_and_counted() {
    let world = World::start().await;
    world.sas_device("d1").await;
    world
        .put(
            "/devices/d1/modules/m1",
            &json!({"moduleId": "m1", "deviceId": "d1"}),
        )
        .await;
    let of_devices = json!({"id": "adm", "priority": 1, "targetCondition": "deviceId = 'd1'",
        "content": {"deviceContent": {"properties.desired.chiller": {"level": 2}}}});
    world.put("/configurations/adm", &of_devices).await;
    let of_modules = json!({"id": "mod", "priority": 1,
        "targetCondition": "FROM devices.modules WHERE moduleId = 'm1'",
        "content": {"moduleContent": {"properties.desired.log.level": "info"}}});
    world.put("/configurations/mod", &of_modules).await;

    let applied = |path: &'static str, id: &'static str| {
        let world = &world;
        eventually(async move || {
            let twin = world.get(path).await;
            (twin["configurations"][id]["status"] == "Applied").then_some(twin)
        })
    };
    let device = applied("/twins/d1", "adm").await;
    assert_eq!(device["properties"]["desired"]["chiller"]["level"], 2);
    let module = applied("/twins/d1/modules/m1", "mod").await;
    assert_eq!(module["properties"]["desired"]["log"]["level"], "info");
    for id in ["adm", "mod"] {
        let read = world.get(&format!("/configurations/{id}")).await;
        assert_eq!(
            read["systemMetrics"]["results"],
            json!({"targetedCount": 1, "appliedCount": 1}),
            "{id}"
        );
    }
    let deleted = world.ask("DELETE", "/configurations/adm").if_match("*");
    assert_eq!(deleted.send().await.status, 204);
    eventually(async || {
        let twin = world.get("/twins/d1").await;
        twin["properties"]["desired"]["chiller"]
            .is_null()
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn content_is_checked_when_a_deployment_is_created() {
    let world = World::start().await;
    let module = "/content/modulesContent/$edgeAgent/properties.desired/modules/sensor";
    let mut bad = deployment("dep1", "one", "*", 1);
    *bad.pointer_mut(module).unwrap() = json!({"restartPolicy": "often",
        "settings": {"image": "one"}});
    let refused = world
        .ask("PUT", "/configurations/dep1")
        .json(&bad)
        .send()
        .await;
    let message = refused.refused(400, "ArgumentInvalid");
    assert!(
        message.contains("modules.sensor.restartPolicy") && message.contains("on-unhealthy"),
        "{message}"
    );
    let mut useless = deployment("dep1", "one", "*", 1);
    *useless.pointer_mut(module).unwrap() = json!({"restartPolicy": "always"});
    let created = world
        .ask("PUT", "/configurations/dep1")
        .json(&useless)
        .send()
        .await;
    let warning = created.header("x-muster-warning").to_owned();
    assert!(
        warning.contains("modules.sensor.settings.image is missing"),
        "{warning}"
    );
    assert_eq!(created.ok()["id"], "dep1");
}

#[tokio::test]
async fn a_rollout_opens_its_first_ring_and_is_aborted() {
    const ROLLOUTS: &str = "/muster/v1/hub/rollouts";
    let world = World::start().await;
    world.edge_device("edge-1").await;
    world.edge_device("edge-2").await;
    world
        .put("/configurations/old", &deployment("old", "one", "*", 1))
        .await;
    await_image(&world, "edge-1", "one").await;
    world
        .put("/configurations/new", &deployment("new", "two", "", 2))
        .await;
    let start = json!({"configurationId": "new", "targetCondition": "*",
        "rings": [{"targetCondition": "deviceId = 'edge-2'"}, {"percent": 100}]});
    let started = world.ask("POST", ROLLOUTS).json(&start).send().await.ok();
    assert_eq!(started["state"], "running");
    await_image(&world, "edge-2", "two").await;
    assert_eq!(image(&agent_desired(&world, "edge-1").await), "one");
    let twin = world.get("/twins/edge-1").await;
    assert_eq!(twin["configurations"]["new"]["status"], "Targeted");
    let again = world.ask("POST", ROLLOUTS).json(&start).send().await;
    assert!(
        again
            .refused(409, "InvalidOperation")
            .contains("active rollout")
    );
    let unknown = json!({"configurationId": "none", "rings": [{"percent": 100}]});
    let unknown = world.ask("POST", ROLLOUTS).json(&unknown).send().await;
    unknown.refused(404, "ConfigurationNotFound");
    let bad = json!({"configurationId": "new", "rings": [{"percent": 99}]});
    let bad = world.ask("POST", ROLLOUTS).json(&bad).send().await;
    assert!(bad.refused(400, "ArgumentInvalid").contains("100 percent"));

    let aborted = world
        .ask("POST", "/muster/v1/hub/rollouts/new/abort")
        .send()
        .await
        .ok();
    assert_eq!(aborted["state"], "aborted");
    await_image(&world, "edge-2", "one").await;
    let all = world.get(ROLLOUTS).await;
    assert_eq!(all[0]["history"].as_array().unwrap().len(), 2, "{all}");
}

// H10
#[tokio::test]
async fn metrics_are_checked_evaluated_and_shown_and_their_queries_run() {
    let world = World::start().await;
    world.edge_device("edge-1").await;
    world.edge_device("edge-2").await;
    let mut body = deployment("dep1", "one", "deviceId = 'edge-1'", 1);
    body["metrics"] = json!({"queries": {"edge": "SELECT deviceId FROM devices WHERE"}});
    let bad = world
        .ask("PUT", "/configurations/dep1")
        .json(&body)
        .send()
        .await;
    let message = bad.refused(400, "ArgumentInvalid");
    assert!(message.contains("metric \"edge\""), "{message}");
    let query = "SELECT deviceId FROM devices WHERE capabilities.iotEdge = true";
    body["metrics"] = json!({"queries": {"edge": query}});
    world.put("/configurations/dep1", &body).await;
    await_image(&world, "edge-1", "one").await;
    let read = eventually(async || {
        let read = world.get("/configurations/dep1").await;
        (read["metrics"]["results"]["edge"] == 2).then_some(read)
    })
    .await;
    for (name, rows) in [
        ("targetedCount", 1),
        ("appliedCount", 1),
        ("reportedFailedCount", 0),
    ] {
        let query = &read["systemMetrics"]["queries"][name];
        let found = world
            .ask("POST", "/devices/query")
            .json(&json!({"query": query}));
        let found = found.send().await.ok();
        assert_eq!(found.as_array().unwrap().len(), rows, "{query}: {found}");
        assert_eq!(read["systemMetrics"]["results"][name], rows, "{name}");
    }
}
