//! Queries of operators: `POST /devices/query`.

use serde_json::json;

use crate::world::{Reply, World};

async fn query(world: &World, text: &str) -> Reply {
    world
        .ask("POST", "/devices/query")
        .json(&json!({"query": text}))
        .send()
        .await
}

#[tokio::test]
async fn twins_are_found_page_by_page() {
    let world = World::start().await;
    for number in 0..7 {
        let id = format!("d{number}");
        world.sas_device(&id).await;
        world
            .patch_twin(&id, &json!({"tags": {"odd": number % 2 == 1}}))
            .await;
    }
    let mut found = Vec::new();
    let mut continuation = String::new();
    loop {
        let reply = world
            .ask("POST", "/devices/query")
            .header("x-ms-max-item-count", "2")
            .header("x-ms-continuation", &continuation)
            .json(&json!({"query": "select * from devices where tags.odd = true"}))
            .send()
            .await;
        assert_eq!(reply.header("x-ms-item-type"), "twin");
        continuation = reply.header("x-ms-continuation").to_owned();
        let twins = reply.ok();
        assert!(twins.as_array().unwrap().len() <= 2);
        found.extend(
            twins
                .as_array()
                .unwrap()
                .iter()
                .map(|twin| twin["deviceId"].as_str().unwrap().to_owned()),
        );
        if continuation.is_empty() {
            break;
        }
    }
    assert_eq!(found, ["d1", "d3", "d5"]);
    assert_eq!(
        query(&world, "SELECT * FROM devices")
            .await
            .ok()
            .as_array()
            .unwrap()
            .len(),
        7
    );
}

#[tokio::test]
async fn what_is_not_offered_is_said() {
    let world = World::start().await;
    for (text, named) in [
        ("select deviceId from devices", "projection"),
        ("select * from devices.modules", "collection"),
        ("select * from devices where tags.a = ", "position"),
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
