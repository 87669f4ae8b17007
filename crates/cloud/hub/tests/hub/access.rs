//! Who may do what over HTTP.

use std::time::Duration;

use serde_json::json;
use wire::sas::SharedAccessKey;

use crate::world::{HOST, World, self_signed};

#[tokio::test]
async fn a_policy_may_do_what_its_rights_say() {
    let world = World::start().await;
    world.sas_device("d1").await;
    for (policy, method, path, allowed) in [
        ("registryRead", "GET", "/devices/d1", true),
        ("registryRead", "DELETE", "/devices/d1", false),
        ("registryRead", "GET", "/twins/d1", false),
        ("registryReadWrite", "GET", "/devices/d1/modules", true),
        ("service", "GET", "/twins/d1", true),
        ("service", "GET", "/devices/d1", false),
        ("service", "GET", "/configurations", true),
        ("service", "GET", "/muster/v1/events", true),
        ("device", "GET", "/devices/d1", false),
        ("device", "GET", "/muster/v1/events", false),
    ] {
        let reply = world
            .ask(method, path)
            .token(&world.policy(policy))
            .send()
            .await;
        if allowed {
            assert_eq!(
                reply.status, 200,
                "{policy} {method} {path}: {}",
                reply.body
            );
        } else {
            reply.refused(401, "IotHubUnauthorizedAccess");
        }
    }
}

#[tokio::test]
async fn keys_are_not_shown_to_readers() {
    let world = World::start().await;
    world.sas_device("d1").await;
    let reply = world
        .ask("GET", "/devices/d1")
        .token(&world.policy("registryRead"))
        .send()
        .await
        .ok();
    assert_eq!(
        reply["authentication"]["symmetricKey"],
        json!({"primaryKey": null, "secondaryKey": null})
    );
}

#[tokio::test]
async fn what_proves_nothing_is_refused() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let in_an_hour = world.now().plus(Duration::from_secs(3600));
    let long_ago = world.now().minus(Duration::from_secs(3600));
    let stranger = SharedAccessKey::from_bytes(vec![7; 32]).unwrap();
    let owner =
        |expiry, key: &SharedAccessKey| wire::sas::build(HOST, Some("iothubowner"), expiry, key);
    let local = world.registry.hubs();
    let policy = local.hubs[0]
        .policies
        .iter()
        .find(|policy| policy.name == "iothubowner")
        .unwrap();
    let owner_key = SharedAccessKey::try_from(&policy.primary).unwrap();
    for token in [
        owner(in_an_hour, &stranger),
        owner(long_ago, &owner_key),
        wire::sas::build(HOST, Some("nobody"), in_an_hour, &owner_key),
        wire::sas::build("other.example", Some("iothubowner"), in_an_hour, &owner_key),
        wire::sas::build(
            "hub.example/devices/d2",
            Some("iothubowner"),
            in_an_hour,
            &owner_key,
        ),
        wire::sas::build("hub.example/devices/d1", None, in_an_hour, &key),
        "Bearer abc".to_owned(),
    ] {
        let reply = world.ask("GET", "/devices/d1").token(&token).send().await;
        assert!(
            reply
                .refused(401, "IotHubUnauthorized")
                .ends_with("Unauthorized"),
            "{token}"
        );
    }
    world
        .ask("GET", "/devices/d1")
        .anonymous()
        .send()
        .await
        .refused(401, "IotHubUnauthorized");
    let chain = self_signed("d1", 2100);
    world
        .ask("GET", "/devices/d1")
        .certificate(&chain)
        .send()
        .await
        .refused(401, "IotHubUnauthorized");
    world
        .ask("GET", "/devices/d1/modules")
        .certificate(&chain)
        .send()
        .await
        .refused(401, "IotHubUnauthorized");
}

#[tokio::test]
async fn the_secondary_key_and_a_port_in_the_host_are_fine() {
    let world = World::start().await;
    let local = world.registry.hubs();
    let policy = local.hubs[0]
        .policies
        .iter()
        .find(|policy| policy.name == "iothubowner")
        .unwrap();
    let key = SharedAccessKey::try_from(&policy.secondary).unwrap();
    let expiry = world.now().plus(Duration::from_secs(60));
    let token = wire::sas::build("HUB.example:8443", Some("iothubowner"), expiry, &key);
    world
        .ask("GET", "/devices")
        .token(&token)
        .header("host", "hub.example:8443")
        .send()
        .await
        .ok();
}
