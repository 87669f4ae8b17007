//! Routes, enrichments and consumer groups of a hub, through its service API.

use serde_json::{Value, json};

use crate::events::events;
use crate::world::World;

const ROUTING: &str = "/muster/v1/hub/routing";
const GROUPS: &str = "/muster/v1/hub/consumerGroups";

fn route(name: &str, condition: &str, endpoint: &str) -> Value {
    json!({"name": name, "source": "DeviceMessages", "condition": condition,
        "endpointNames": [endpoint], "isEnabled": true})
}

fn bodies(events: &[Value]) -> Vec<&str> {
    let body = |event: &Value| event["body"].clone();
    let known = [("b25l", "one"), ("dHdv", "two"), ("dGhyZWU=", "three")];
    let plain = |body: Value| {
        let found = known.iter().find(|(text, _)| body == *text);
        found.map_or("?", |(_, plain)| plain)
    };
    events.iter().map(body).map(plain).collect()
}

#[tokio::test]
async fn routes_hold_from_their_writing_on() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    world
        .patch_twin("d1", &json!({"tags": {"site": "Busan"}}))
        .await;
    let mut device = world.device("d1", &key).await;
    device.send("kind=cold", b"one").await.unwrap();
    let fresh = world.ask("GET", ROUTING).send().await;
    let etag = fresh.header("etag").to_owned();
    assert_eq!(fresh.ok()["fallbackRoute"]["isEnabled"], true);
    let document = json!({
        "routes": [route("hot", "kind = 'hot'", "events")],
        "fallbackRoute": {"isEnabled": false},
        "enrichments": [{"key": "site", "value": "$twin.tags.site",
            "endpointNames": ["events"]}],
    });
    let put = || world.ask("PUT", ROUTING).if_match(&etag).json(&document);
    put().send().await.ok();
    put().send().await.refused(412, "PreconditionFailed");
    device.send("kind=cold", b"two").await.unwrap();
    device.send("kind=hot&site=forged", b"three").await.unwrap();
    let all = events(&world, "").await;
    // What came before is where it was; what no route matches is dropped.
    assert_eq!(bodies(&all), ["one", "three"]);
    assert_eq!(all[0]["properties"], json!({"kind": "cold"}));
    assert_eq!(
        all[1]["properties"],
        json!({"kind": "hot", "site": "Busan"})
    );
    assert_eq!(world.get(ROUTING).await["routes"], document["routes"]);
}

#[tokio::test]
async fn a_message_that_goes_to_another_endpoint_is_not_in_the_built_in_endpoint() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let document = json!({
        "endpoints": {"webhooks": [{"name": "hook", "url": "https://hook.example/in?code=1"}]},
        "routes": [route("all", "kind = 'hot'", "hook")],
    });
    world.put(ROUTING, &document).await;
    let mut device = world.device("d1", &key).await;
    device.send("kind=hot", b"one").await.unwrap();
    device.send("kind=cold", b"two").await.unwrap();
    let reply = world.ask("GET", "/muster/v1/events").send().await;
    assert_eq!(reply.header("x-muster-events-next"), "2");
    let all = reply.ok();
    assert_eq!(bodies(all.as_array().unwrap()), ["two"]);
}

#[tokio::test]
async fn keys_and_queries_of_endpoints_are_for_those_who_may_write() {
    let world = World::start().await;
    let url = "https://hook.example/in?code=secret";
    let document = json!({"endpoints": {"webhooks": [{"name": "hook", "url": url}]}});
    let written = world.put(ROUTING, &document).await;
    let key = written["endpoints"]["webhooks"][0]["key"].clone();
    assert_eq!(key.as_str().unwrap().len(), 44);
    let reader = world.policy("registryRead");
    let read = world.ask("GET", ROUTING).token(&reader).send().await.ok();
    let listed = &read["endpoints"]["webhooks"][0];
    assert_eq!(listed["url"], "https://hook.example/in?****");
    assert_eq!(listed.get("key"), None);
    // What was shown may be sent back.
    let again = world.put(ROUTING, &read).await;
    assert_eq!(again, written);
    let refused = world.ask("PUT", ROUTING).token(&reader).json(&document);
    refused
        .send()
        .await
        .refused(401, "IotHubUnauthorizedAccess");
    let masked = json!({"endpoints": {"webhooks": [{"name": "new",
        "url": "https://hook.example/in?****"}]}});
    let refused = world.ask("PUT", ROUTING).json(&masked).send().await;
    let text = refused.refused(400, "ArgumentInvalid");
    assert!(text.contains("masked"), "{text}");
}

#[tokio::test]
async fn routes_are_tried_without_sending() {
    let world = World::start().await;
    let try_route = async |condition: &str| {
        let body = json!({
            "route": route("r", condition, "events"),
            "message": {
                "body": "{\"t\": 5}",
                "appProperties": {"kind": "hot"},
                "systemProperties": {"contentType": "application/json",
                    "contentEncoding": "utf-8"},
            },
            "twin": {"tags": {"site": "Busan"}},
        });
        let path = format!("{ROUTING}/testRoute");
        world.ask("POST", &path).json(&body).send().await.ok()
    };
    for (condition, result) in [
        ("kind = 'hot' AND $body.t > 4", "true"),
        ("kind = 'cold'", "false"),
        ("missing = 1", "undefined"),
        ("$twin.tags.site = 'Busan'", "true"),
    ] {
        let answer = try_route(condition).await;
        assert_eq!(answer["result"], result, "{condition}");
        assert_eq!(answer["details"]["compilationErrors"], json!([]));
    }
    let answer = try_route("kind = 'hot'\n  AND = 3").await;
    let error = &answer["details"]["compilationErrors"][0];
    assert_eq!(error["location"]["start"], json!({"line": 2, "column": 7}));
    let document = json!({"routes": [route("a", "kind = 'hot'", "events"),
        route("b", "kind = 'cold'", "events")]});
    world.put(ROUTING, &document).await;
    let body = json!({"message": {"appProperties": {"kind": "hot"}}});
    let path = format!("{ROUTING}/testRoutes");
    let answer = world.ask("POST", &path).json(&body).send().await.ok();
    let names = answer["routes"].as_array().unwrap().iter();
    let names: Vec<_> = names
        .map(|route| route["properties"]["name"].clone())
        .collect();
    assert_eq!(names, [json!("a")]);
}

/// The longest message with the longest enrichments, for all endpoints that a hub may have.
#[tokio::test]
async fn enrichments_for_many_endpoints_stop_no_message() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let names: Vec<String> = (0..10).map(|number| format!("hook{number}")).collect();
    let webhook = |name: &String| json!({"name": name, "url": "https://hook.example/in"});
    let mut all = names.clone();
    all.push("events".to_owned());
    let routes: Vec<Value> = all.iter().map(|name| route(name, "true", name)).collect();
    let enrichment = |number: usize| json!({"key": format!("k{number}"), "value": "v".repeat(4096), "endpointNames": all});
    let document = json!({
        "endpoints": {"webhooks": names.iter().map(webhook).collect::<Vec<_>>()},
        "routes": routes,
        "enrichments": (0..10).map(enrichment).collect::<Vec<_>>(),
    });
    world.put(ROUTING, &document).await;
    let mut device = world.device("d1", &key).await;
    device.send("", &vec![0; 200 * 1024]).await.unwrap();
    let kept = events(&world, "").await;
    assert_eq!(kept.len(), 1);
    let properties = kept[0]["properties"].as_object().unwrap();
    assert_eq!(properties.len(), 10);
    assert_eq!(properties["k9"], "v".repeat(4096));
}

#[tokio::test]
async fn consumer_groups_keep_their_place() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    for body in [&b"one"[..], b"two", b"three"] {
        device.send("", body).await.unwrap();
    }
    let group = format!("{GROUPS}/readers");
    let service = world.policy("service");
    let missing = world.ask("GET", &group).send().await;
    assert_eq!(missing.status, 404);
    let created = world.put(&group, &json!({})).await;
    assert_eq!(created["name"], "readers");
    assert_eq!(
        bodies(&events(&world, "consumerGroup=readers").await).len(),
        3
    );
    let path = format!("{group}/checkpoint");
    let keep = |offset: u64| {
        let body = json!({"offset": offset});
        world.ask("PUT", &path).token(&service).json(&body).send()
    };
    keep(2).await.ok();
    let rest = events(&world, "consumerGroup=readers").await;
    assert_eq!(bodies(&rest), ["three"]);
    keep(9).await.refused(400, "ArgumentInvalid");
    let all = world.get(GROUPS).await;
    let names: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|group| &group["name"])
        .collect();
    assert_eq!(names, ["$Default", "readers"]);
    assert_eq!(all[1]["properties"]["checkpoint"]["offset"], 2);
    assert_eq!(world.ask("DELETE", &group).send().await.status, 204);
    let default = format!("{GROUPS}/$Default");
    let refused = world.ask("DELETE", &default).send().await;
    refused.refused(400, "ArgumentInvalid");
    // The group that was never created keeps a checkpoint, too.
    let path = format!("{default}/checkpoint");
    world.put(&path, &json!({"offset": 1})).await;
    let rest = events(&world, "consumerGroup=$default").await;
    assert_eq!(bodies(&rest), ["two", "three"]);
}
