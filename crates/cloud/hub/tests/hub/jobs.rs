//! Jobs: twin updates and direct methods on many devices.

use std::time::Duration;

use serde_json::{Value, json};

use crate::methods::answer;
use crate::world::{Reply, World, eventually};

const METHODS: &str = "$iothub/methods/POST/#";

async fn create(world: &World, id: &str, body: &Value) -> Reply {
    let path = format!("/jobs/v2/{id}");
    world.ask("PUT", &path).json(body).send().await
}

/// A twin update of tags, as `az` sends it.
fn update(condition: &str) -> Value {
    json!({"type": "scheduleUpdateTwin", "updateTwin": {"tags": {"class": "A"}, "etag": "*"},
        "queryCondition": condition, "maxExecutionTimeInSeconds": 300})
}

fn method(condition: &str) -> Value {
    json!({"type": "scheduleDeviceMethod", "cloudToDeviceMethod": {"methodName": "reboot",
        "payload": {"in": 5}, "responseTimeoutInSeconds": 10}, "queryCondition": condition})
}

/// The job when it has the status.
async fn ended(world: &World, id: &str, status: &str) -> Value {
    eventually(async || {
        let job = world.get(&format!("/jobs/v2/{id}")).await;
        (job["status"] == status).then_some(job)
    })
    .await
}

#[tokio::test]
async fn a_job_updates_the_twins_that_match() {
    let world = World::start().await;
    for id in ["d1", "d2", "d3"] {
        world.sas_device(id).await;
    }
    let body = update("deviceId in ['d1','d3']");
    let created = create(&world, "j1", &body).await.ok();
    assert_eq!(created["jobId"], "j1");
    assert_eq!(created["updateTwin"], body["updateTwin"]);
    let job = ended(&world, "j1", "completed").await;
    assert_eq!(job["queryCondition"], body["queryCondition"]);
    let expected = json!({"deviceCount": 2, "failedCount": 0, "succeededCount": 2,
        "runningCount": 0, "pendingCount": 0});
    assert_eq!(job["deviceJobStatistics"], expected);
    assert!(job["endTime"].is_string());
    for (id, class) in [("d1", json!("A")), ("d2", Value::Null), ("d3", json!("A"))] {
        let twin = world.get(&format!("/twins/{id}")).await;
        assert_eq!(twin["tags"]["class"], class, "{id}");
    }
    create(&world, "j1", &body)
        .await
        .refused(409, "InvalidOperation");
}

/// What of a twin depends on its identity and its connection is known to conditions, too.
#[tokio::test]
async fn conditions_look_at_whole_twins_of_devices_or_modules() {
    let world = World::start().await;
    world.edge_device("e1").await;
    world.sas_device("d1").await;
    world.put("/devices/d1/modules/m1", &json!({})).await;
    for (id, condition, count) in [
        ("j1", "capabilities.iotEdge = true", 1),
        ("j2", "FROM devices.modules WHERE moduleId = 'm1'", 1),
        ("j3", "FROM devices.modules", 3),
        ("j4", "*", 2),
        ("j5", "properties.desired.none = 1", 0),
    ] {
        create(&world, id, &update(condition)).await.ok();
        let job = ended(&world, id, "completed").await;
        let statistics = &job["deviceJobStatistics"];
        assert_eq!(statistics["succeededCount"], count, "{condition}");
    }
    let twin = world.get("/twins/d1/modules/m1").await;
    assert_eq!(twin["tags"]["class"], "A");
}

#[tokio::test]
async fn a_twin_that_refuses_fails_alone() {
    let world = World::start().await;
    world.sas_device("d1").await;
    world.sas_device("d2").await;
    let twin = world.patch_twin("d1", &json!({"tags": {"a": 1}})).await;
    let mut body = update("*");
    body["updateTwin"]["etag"] = twin["etag"].clone();
    create(&world, "j1", &body).await.ok();
    let job = ended(&world, "j1", "completed").await;
    assert_eq!(job["deviceJobStatistics"]["succeededCount"], 1);
    assert_eq!(job["deviceJobStatistics"]["failedCount"], 1);
}

#[tokio::test]
async fn a_job_calls_a_method_on_each_device() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    world.sas_device("d2").await;
    let mut device = world.device("d1", &key).await;
    device.subscribe(METHODS).await;
    create(&world, "j1", &method("*")).await.ok();
    let (name, payload) = answer(&mut device, 201, b"{\"n\": 18446744073709551616}").await;
    assert_eq!((name.as_str(), payload), ("reboot", json!({"in": 5})));
    // The other one is not online.
    let job = ended(&world, "j1", "completed").await;
    assert_eq!(job["deviceJobStatistics"]["succeededCount"], 1);
    assert_eq!(job["deviceJobStatistics"]["failedCount"], 1);
    assert_eq!(job["cloudToDeviceMethod"]["methodName"], "reboot");

    let rows = async |condition: &str| {
        let text = format!("SELECT * FROM devices.jobs WHERE {condition}");
        let ask = world
            .ask("POST", "/devices/query")
            .json(&json!({"query": text}));
        let reply = ask.send().await;
        assert_eq!(reply.header("x-ms-item-type"), "deviceJob");
        reply.ok()
    };
    let called = rows("devices.jobs.deviceId = 'd1' AND jobType = 'scheduleDeviceMethod'").await;
    assert_eq!(called[0]["outcome"]["deviceMethodResponse"]["status"], 201);
    assert_eq!(called[0]["jobId"], "j1");
    let failed = rows("status = 'failed' AND createdTimeUtc > '2016-09-01'").await;
    assert_eq!(
        (
            failed[0]["deviceId"].as_str(),
            failed.as_array().unwrap().len()
        ),
        (Some("d2"), 1)
    );
    assert_eq!(failed[0]["error"]["code"], "404103");
    let both = rows("devices.jobs.jobId = 'j1'").await;
    assert_eq!(both.as_array().unwrap().len(), 2);
    assert_eq!(
        (&both[0]["deviceId"], &both[0]["status"], &both[1]["status"]),
        (&json!("d1"), &json!("completed"), &json!("failed"))
    );
    assert_eq!(rows("jobId = 'j2'").await, json!([]));
}

#[tokio::test]
async fn a_scheduled_job_waits_and_can_be_cancelled() {
    let world = World::start().await;
    world.sas_device("d1").await;
    let start = world.now().plus(Duration::from_secs(3600)).in_seconds();
    let mut body = update("*");
    body["startTime"] = json!(start);
    for id in ["j1", "j2"] {
        let created = create(&world, id, &body).await.ok();
        assert_eq!(created["status"], "scheduled");
    }
    // az lists imports and exports beside them.
    assert_eq!(world.get("/jobs").await, json!([]));
    let cancel = world.ask("POST", "/jobs/v2/j1/cancel").send().await.ok();
    assert_eq!(cancel["status"], "cancelled");
    let status = async |status: &str| {
        let path = format!("/jobs/v2/query?jobStatus={status}&jobType=scheduleUpdateTwin");
        let found = world.get(&path).await;
        let jobs = found.as_array().unwrap().iter();
        jobs.map(|job| job["jobId"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(status("scheduled").await, [json!("j2")]);
    assert_eq!(status("cancelled").await, [json!("j1")]);
    world.advance(Duration::from_secs(3601));
    ended(&world, "j2", "completed").await;
    let late = world.ask("POST", "/jobs/v2/j2/cancel").send().await;
    late.refused(400, "InvalidOperation");
    let none = world.ask("POST", "/jobs/v2/none/cancel").send().await;
    none.refused(404, "JobNotFound");
}

/// A job that waits for devices ends when it is cancelled, and when its time is over.
#[tokio::test]
async fn jobs_end_before_their_devices_answer() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.subscribe(METHODS).await;
    let mut body = method("*");
    body["cloudToDeviceMethod"]["responseTimeoutInSeconds"] = json!(300);
    body["maxExecutionTimeInSeconds"] = json!(60);
    create(&world, "j1", &body).await.ok();
    device.pushed().await.unwrap();
    let cancelled = world.ask("POST", "/jobs/v2/j1/cancel").send().await.ok();
    assert_eq!(cancelled["status"], "cancelled");
    let counts = async |id: &str| {
        eventually(async || {
            let job = world.get(&format!("/jobs/v2/{id}")).await;
            job["endTime"].is_string().then_some(job)
        })
        .await
    };
    let job = counts("j1").await;
    assert_eq!(job["deviceJobStatistics"]["failedCount"], 1);

    create(&world, "j2", &body).await.ok();
    device.pushed().await.unwrap();
    world.advance(Duration::from_secs(61));
    let job = counts("j2").await;
    assert_eq!(job["status"], "failed");
    let reason = job["failureReason"].as_str().unwrap();
    assert!(reason.contains("maxExecutionTimeInSeconds"), "{reason}");
}

/// The process ends while devices are called and others wait: what is stored goes on.
#[tokio::test]
async fn a_job_goes_on_after_a_restart() {
    let mut world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.subscribe(METHODS).await;
    create(&world, "j1", &method("*")).await.ok();
    device.pushed().await.unwrap();
    world.begin_again();
    world.run();
    let job = ended(&world, "j1", "completed").await;
    assert_eq!(job["deviceJobStatistics"]["failedCount"], 1);
}

#[tokio::test]
async fn jobs_that_cannot_be_are_refused() {
    let world = World::start().await;
    for (body, said) in [
        (update(""), "queryCondition"),
        (update("tags.a ="), "queryCondition"),
        (update("FROM devices.jobs"), "devices.jobs"),
        (
            json!({"type": "scheduleUpdateTwin", "queryCondition": "*"}),
            "updateTwin",
        ),
        (
            json!({"type": "scheduleUpdateTwin", "queryCondition": "*",
            "updateTwin": {"tags": {"a.b": 1}}}),
            "tags.a.b",
        ),
        (json!({"jobId": "other"}), "type"),
    ] {
        let message = create(&world, "j1", &body)
            .await
            .refused(400, "ArgumentInvalid");
        assert!(message.contains(said), "{message}");
    }
    let mut body = method("*");
    body["cloudToDeviceMethod"]["payload"] = json!("x".repeat(128 * 1024));
    create(&world, "j1", &body)
        .await
        .refused(413, "MessageTooLarge");
    let none = world.ask("GET", "/jobs/v2/none").send().await;
    none.refused(404, "JobNotFound");
}
