//! Devices that move between the hub of this server and remote hubs.

use serde_json::{Value, json};

use crate::harness::Service;
use crate::harness::remote::NEAR;
use crate::harness::remote_hub_server::{HOST, Mood, OTHER};

#[tokio::test]
async fn t11_twins_move_between_servers_in_both_directions() {
    let service = Service::start().await;
    service.link_remote().await;
    let presented = service.enroll("d", NEAR, json!({})).await;
    service.run();
    assert_eq!(
        service.provision_pending("d", &presented).await["assignedHub"],
        NEAR
    );

    service.lead_to("d", HOST, &json!({})).await;
    let moved = service.provision_pending("d", &presented).await;
    assert_eq!(
        (&moved["assignedHub"], &moved["substatus"]),
        (&json!(HOST), &json!("deviceDataMigrated"))
    );
    assert_eq!(
        service.webhook.remote.twin("d")["properties"]["desired"]["v"],
        1
    );
    assert!(
        service.near_twin("d").await.is_none(),
        "the old one is gone"
    );

    let (tags, desired) = (json!({"site": "north"}), json!({"v": 2}));
    service
        .webhook
        .remote
        .set_twin("d", tags, desired, json!({"temperature": 20}));
    service.lead_to("d", NEAR, &json!({})).await;
    let back = service.provision_pending("d", &presented).await;
    assert_eq!(
        (&back["assignedHub"], &back["substatus"]),
        (&json!(NEAR), &json!("deviceDataMigrated"))
    );
    let twin = service.near_twin("d").await.unwrap();
    assert_eq!(Value::Object(twin.tags), json!({"site": "north"}));
    assert_eq!(Value::Object(twin.desired.document), json!({"v": 2}));
    assert_eq!(
        Value::Object(twin.reported.document),
        json!({"temperature": 20})
    );
    service
        .wait_until("removal", async || {
            service.webhook.remote.device("d").is_none()
        })
        .await;
}

#[tokio::test]
async fn t11_reset_starts_the_twin_again_and_never_stays() {
    let service = Service::start().await;
    service.link_remote().await;
    service.run();
    let reset =
        json!({"reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false}});
    let presented = service.enroll("r", HOST, reset).await;
    service.provision_pending("r", &presented).await;
    let changed = json!({"changed": true});
    service
        .webhook
        .remote
        .set_twin("r", changed.clone(), changed.clone(), json!({}));
    let same = service.provision_pending("r", &presented).await;
    assert_eq!(
        (&same["assignedHub"], &same["substatus"]),
        (&json!(HOST), &json!("deviceDataReset"))
    );
    assert_eq!(
        service.webhook.remote.twin("r")["tags"],
        json!({"by": "enrollment"})
    );
    service.lead_to("r", NEAR, &json!({})).await;
    let other = service.provision_pending("r", &presented).await;
    assert_eq!(
        (&other["assignedHub"], &other["substatus"]),
        (&json!(NEAR), &json!("deviceDataReset"))
    );
    let twin = service.near_twin("r").await.unwrap();
    assert_eq!(Value::Object(twin.tags), json!({"by": "enrollment"}));
    service
        .wait_until("removal", async || {
            service.webhook.remote.device("r").is_none()
        })
        .await;

    let never =
        json!({"reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": false}});
    let presented = service.enroll("n", HOST, never).await;
    service.provision_pending("n", &presented).await;
    service.lead_to("n", NEAR, &json!({})).await;
    let stays = service.provision_pending("n", &presented).await;
    assert_eq!(
        (&stays["assignedHub"], &stays["substatus"]),
        (&json!(HOST), &json!("reprovisionedToInitialAssignment"))
    );
}

#[tokio::test]
async fn the_device_of_before_is_removed_when_its_hub_answers_again() {
    let service = Service::start().await;
    service.link_remote().await;
    let reset =
        json!({"reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false}});
    let presented = service.enroll("d", HOST, reset).await;
    service.run();
    service.provision_pending("d", &presented).await;
    service.webhook.remote.set(Mood::Down);
    service.lead_to("d", NEAR, &json!({})).await;
    // Nothing is taken along, so that nobody has to wait for the hub of before.
    let state = service.provision_pending("d", &presented).await;
    assert_eq!(state["assignedHub"], NEAR, "{state}");
    assert_eq!(service.remote_link().await["health"]["remoteTasks"], 1);
    service.stop().await;
    let service = service.restarted().await;
    service.webhook.remote.set(Mood::Well);
    service.run();
    service
        .wait_until("removal", async || {
            service.webhook.remote.device("d").is_none()
                && service.remote_link().await["health"]["remoteTasks"] == 0
        })
        .await;
}

#[tokio::test]
async fn t11_hubs_of_one_name_are_told_apart_by_their_ports_and_twins_move_between_them() {
    let service = Service::start().await;
    service.link_remote().await;
    service.link_hub_at("other", OTHER).await;
    let (remote, other) = (&service.webhook.remote, &service.webhook.other);
    let presented = service.enroll("d", HOST, json!({})).await;
    service.run();
    assert_eq!(
        service.provision_pending("d", &presented).await["assignedHub"],
        HOST
    );
    assert!(remote.device("d").is_some() && other.device("d").is_none());
    let reported = json!({"temperature": 20});
    remote.set_twin("d", json!({"site": "a"}), json!({"v": 7}), reported);

    service.lead_to("d", OTHER, &json!({})).await;
    let moved = service.provision_pending("d", &presented).await;
    assert_eq!(
        (&moved["assignedHub"], &moved["substatus"]),
        (&json!(OTHER), &json!("deviceDataMigrated"))
    );
    let twin = other.twin("d");
    assert_eq!(twin["tags"], json!({"site": "a"}));
    assert_eq!(twin["properties"]["desired"], json!({"v": 7}));
    service
        .wait_until("removal", async || remote.device("d").is_none())
        .await;
    assert!(other.device("d").is_some());
}
