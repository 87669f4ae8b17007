//! Delivery of events to webhooks: at least once, in order, and what becomes of what is refused.

use serde_json::{Value, json};
use wire::sas::SharedAccessKey;

use crate::world::{World, eventually};

const ROUTING: &str = "/muster/v1/hub/routing";
const HEALTH: &str = "/muster/v1/hub/routingEndpointsHealth";

/// All telemetry goes to a webhook, with an enrichment; returns the key of the endpoint.
async fn routed(world: &World) -> SharedAccessKey {
    let document = json!({
        "endpoints": {"webhooks": [{"name": "hook", "url": "https://hook.example/in"}]},
        "routes": [{"name": "all", "source": "DeviceMessages", "endpointNames": ["hook"]}],
        "enrichments": [{"key": "hub", "value": "$iothubname", "endpointNames": ["hook"]}],
    });
    let written = world.put(ROUTING, &document).await;
    let key = written["endpoints"]["webhooks"][0]["key"].as_str().unwrap();
    SharedAccessKey::from_base64(key).unwrap()
}

async fn health(world: &World) -> Value {
    world.get(HEALTH).await["value"][0].clone()
}

async fn delivered(world: &World, count: u64) -> Value {
    eventually(async || {
        let health = health(world).await;
        (health["delivered"] == count).then_some(health)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn events_are_signed_enriched_and_delivered_in_order() {
    let world = World::start().await;
    let device_key = world.sas_device("d1").await;
    let mut device = world.device("d1", &device_key).await;
    device.send("", b"before").await.unwrap();
    let key = routed(&world).await;
    for body in ["one", "two", "three"] {
        device.send("k=v", body.as_bytes()).await.unwrap();
    }
    let health = delivered(&world, 3).await;
    assert_eq!(health["endpointId"], "hook");
    assert_eq!(
        (&health["healthStatus"], &health["behind"]),
        (&json!("healthy"), &json!(0))
    );
    let events: Vec<Value> = world.webhook.events().concat();
    let bodies: Vec<_> = events.iter().map(|event| event["body"].clone()).collect();
    assert_eq!(bodies, ["b25l", "dHdv", "dGhyZWU="]);
    assert_eq!(events[0]["properties"], json!({"k": "v", "hub": "hub"}));
    let call = world.webhook.calls().remove(0);
    let header = |name: &str| {
        let found = call.headers.iter().find(|(header, _)| *header == name);
        found.unwrap().1.clone()
    };
    assert_eq!(
        (header("x-muster-hub"), header("x-muster-endpoint")),
        ("hub".into(), "hook".into())
    );
    let body = call.body.as_deref().unwrap();
    let signed = [
        header("x-muster-timestamp").into_bytes(),
        b".".to_vec(),
        body.to_vec(),
    ];
    let tag: String = key
        .sign(&signed.concat())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(header("x-muster-signature"), format!("sha256={tag}"));
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_sent_again_until_it_is_taken() {
    let world = World::start().await;
    let device_key = world.sas_device("d1").await;
    routed(&world).await;
    world.webhook.answer(&[503, 404, 429]);
    let mut device = world.device("d1", &device_key).await;
    device.send("", b"one").await.unwrap();
    let unhealthy = eventually(async || {
        let health = health(&world).await;
        (health["healthStatus"] == "unhealthy").then_some(health)
    });
    let unhealthy = unhealthy.await;
    assert_eq!(unhealthy["lastKnownError"], "it answered 503");
    let health = delivered(&world, 1).await;
    assert_eq!(health["healthStatus"], "healthy");
    let calls = world.webhook.events();
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(|events| events[0]["body"] == "b25l"));
}

#[tokio::test(start_paused = true)]
async fn only_the_status_of_a_long_answer_counts() {
    let world = World::start().await;
    let device_key = world.sas_device("d1").await;
    routed(&world).await;
    world.webhook.answer_at_length();
    world.webhook.answer(&[503]);
    let mut device = world.device("d1", &device_key).await;
    device.send("", b"one").await.unwrap();
    delivered(&world, 1).await;
    assert_eq!(world.webhook.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_event_that_is_refused_for_good_stops_nobody() {
    let world = World::start().await;
    let device_key = world.sas_device("d1").await;
    world.webhook.refuse("dHdv");
    world.webhook.answer(&[503]);
    routed(&world).await;
    let mut device = world.device("d1", &device_key).await;
    for body in ["one", "two", "three"] {
        device.send("", body.as_bytes()).await.unwrap();
    }
    let health = delivered(&world, 2).await;
    assert_eq!(health["deadLettered"], 1);
    let last = world.webhook.events().pop().unwrap();
    assert_eq!(last.last().unwrap()["body"], "dGhyZWU=");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_goes_on_where_it_was_and_a_deleted_one_ends() {
    let mut world = World::start().await;
    let device_key = world.sas_device("d1").await;
    routed(&world).await;
    let mut device = world.device("d1", &device_key).await;
    device.send("", b"one").await.unwrap();
    delivered(&world, 1).await;
    world.stop();
    device.send("", b"two").await.unwrap();
    world.begin_again();
    world.run();
    delivered(&world, 2).await;
    let bodies: Vec<Value> = world.webhook.events().concat();
    let bodies = bodies.iter().map(|event| event["body"].clone());
    let mut bodies: Vec<_> = bodies.collect();
    // What was in progress when it stopped may come twice.
    bodies.dedup();
    assert_eq!(bodies, ["b25l", "dHdv"]);
    world.put(ROUTING, &json!({})).await;
    assert_eq!(world.get(HEALTH).await["value"], json!([]));
}
