//! Queries of operators: `POST /devices/query`.

use serde_json::{Value, json};

use crate::world::{Reply, World};

async fn query(world: &World, text: &str) -> Reply {
    world
        .ask("POST", "/devices/query")
        .json(&json!({"query": text}))
        .send()
        .await
}

async fn rows(world: &World, text: &str) -> Value {
    query(world, text).await.ok()
}

async fn devices(world: &World, count: usize) {
    for number in 0..count {
        let id = format!("d{number}");
        world.sas_device(&id).await;
        world
            .patch_twin(&id, &json!({"tags": {"odd": number % 2 == 1, "n": number}}))
            .await;
    }
}

/// Every row of a query in pages of `limit`, and how many pages there were.
async fn pages(world: &World, text: &str, limit: usize) -> (Vec<Value>, usize) {
    let (mut found, mut count) = (Vec::new(), 0);
    let mut continuation = String::new();
    loop {
        let reply = world
            .ask("POST", "/devices/query")
            .header("x-ms-max-item-count", &limit.to_string())
            .header("x-ms-continuation", &continuation)
            .json(&json!({"query": text}))
            .send()
            .await;
        continuation = reply.header("x-ms-continuation").to_owned();
        let page = reply.ok();
        let page = page.as_array().unwrap();
        assert!(page.len() <= limit);
        found.extend(page.iter().cloned());
        count += 1;
        if continuation.is_empty() {
            return (found, count);
        }
    }
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["deviceId"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn twins_are_found_page_by_page() {
    let world = World::start().await;
    devices(&world, 7).await;
    let odd = "select * from devices where tags.odd = true";
    let (found, count) = pages(&world, odd, 2).await;
    assert_eq!((ids(&found), count), (vec!["d1", "d3", "d5"], 2));
    let (found, count) = pages(&world, "SELECT * FROM devices", 7).await;
    assert_eq!((found.len(), count), (7, 1));
    let (found, _) = pages(&world, "SELECT TOP 5 * FROM devices", 2).await;
    assert_eq!(ids(&found), ["d0", "d1", "d2", "d3", "d4"]);
    let scanned = "SELECT TOP 2 * FROM devices WHERE NOT tags.odd = true";
    let (found, count) = pages(&world, scanned, 1).await;
    assert_eq!((ids(&found), count), (vec!["d0", "d2"], 2));
}

#[tokio::test]
async fn an_answer_says_what_it_holds_and_how_it_was_found() {
    let world = World::start().await;
    devices(&world, 3).await;
    for (text, kind, plan) in [
        (
            "SELECT * FROM devices WHERE tags.odd = true",
            "twin",
            "index(tags.odd), 1 range(s)",
        ),
        (
            "SELECT * FROM devices WHERE deviceId = 'd1'",
            "twin",
            "index(deviceId), 1 range(s)",
        ),
        ("SELECT deviceId FROM devices", "raw", "scan"),
        (
            "SELECT COUNT() AS n FROM devices WHERE status = 'enabled'",
            "raw",
            "scan, filter",
        ),
        ("SELECT * FROM devices.modules", "twin", "scan"),
        ("SELECT * FROM devices.jobs", "deviceJob", "scan of jobs"),
    ] {
        let reply = query(&world, text).await;
        assert_eq!(reply.header("x-ms-item-type"), kind, "{text}");
        assert_eq!(reply.header("x-muster-query-plan"), plan, "{text}");
        reply.ok();
    }
}

#[tokio::test]
async fn members_and_totals_are_answered() {
    let world = World::start().await;
    devices(&world, 5).await;
    for (text, expected) in [
        (
            "SELECT deviceId, tags.n AS number FROM devices WHERE tags.n > 3",
            json!([{"deviceId": "d4", "number": 4}]),
        ),
        ("SELECT COUNT() AS all FROM devices", json!([{"all": 5}])),
        (
            "SELECT COUNT() FROM devices WHERE tags.odd",
            json!([{"$1": 2}]),
        ),
        (
            "SELECT COUNT() AS n, tags.odd FROM devices GROUP BY tags.odd",
            json!([{"n": 3, "odd": false}, {"n": 2, "odd": true}]),
        ),
        (
            "SELECT TOP 1 tags.odd FROM devices GROUP BY tags.odd",
            json!([{"odd": false}]),
        ),
        (
            "SELECT AVG(tags.n) AS avg, SUM(tags.n) AS sum, MIN(tags.n) AS min, MAX(tags.n) AS max
          FROM devices",
            json!([{"avg": 2, "sum": 10, "min": 0, "max": 4}]),
        ),
        (
            "SELECT COUNT() AS n, AVG(tags.n) AS avg FROM devices WHERE tags.n > 9",
            json!([{"n": 0}]),
        ),
        (
            "SELECT tags.none FROM devices WHERE deviceId = 'd1'",
            json!([{}]),
        ),
        (
            "SELECT capabilities, connectionState, modelId FROM devices WHERE deviceId = 'd1'",
            json!([{"capabilities": {"iotEdge": false}, "connectionState": "Disconnected",
                    "modelId": ""}]),
        ),
    ] {
        assert_eq!(rows(&world, text).await, expected, "{text}");
    }
}

/// Every member that a twin shows is an attribute, with the same value.
#[tokio::test]
async fn every_member_of_a_twin_can_be_asked_for() {
    let world = World::start().await;
    world.sas_device("d").await;
    world
        .patch_twin(
            "d",
            &json!({"tags": {"a": {"b": [1, "x"]}}, "properties": {"desired": {"c": 2}}}),
        )
        .await;
    let twin = rows(&world, "SELECT * FROM devices").await[0].clone();
    for (name, value) in twin.as_object().unwrap() {
        let text = format!("SELECT {name} FROM devices");
        assert_eq!(rows(&world, &text).await, json!([{name: value}]));
    }
    for (path, value) in [
        ("tags.a.b[1]", json!("x")),
        ("properties.desired.$version", json!(2)),
        ("properties.desired.c", json!(2)),
        ("x509Thumbprint.primaryThumbprint", Value::Null),
        ("capabilities.iotEdge", json!(false)),
        (
            "properties.desired.$metadata.c.$lastUpdated",
            twin["properties"]["desired"]["$metadata"]["c"]["$lastUpdated"].clone(),
        ),
    ] {
        let text = format!("SELECT {path} AS found FROM devices");
        assert_eq!(
            rows(&world, &text).await,
            json!([{"found": value}]),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_continuation_goes_with_its_query() {
    let world = World::start().await;
    devices(&world, 3).await;
    let ask = |text: &str, continuation: &str| {
        world
            .ask("POST", "/devices/query")
            .header("x-ms-max-item-count", "1")
            .header("x-ms-continuation", continuation)
            .json(&json!({"query": text}))
            .send()
    };
    let first = ask("SELECT * FROM devices", "").await;
    let continuation = first.header("x-ms-continuation").to_owned();
    let other = ask("SELECT * FROM devices WHERE tags.n = 1", &continuation).await;
    let message = other.refused(400, "ArgumentInvalid");
    assert!(message.contains("another query"), "{message}");
}

#[tokio::test]
async fn a_fault_is_said_with_its_position() {
    let world = World::start().await;
    for (text, named) in [
        ("select deviceId count() from devices", "position 16"),
        ("select * from devices where tags.a = ", "position 37"),
        (
            "select * from devices where tagged(a)",
            "no function 'tagged'",
        ),
        ("drop table", "SELECT"),
    ] {
        let message = query(&world, text).await.refused(400, "ArgumentInvalid");
        assert!(message.contains(named), "{message}");
    }
    world
        .ask("POST", "/devices/query")
        .json(&json!({}))
        .send()
        .await
        .refused(400, "ArgumentInvalid");
}
