//! Muster's own API: hubs, links, settings, policies.

use axum::http::Method;
use serde_json::{Value, json};
use wire::connection_string::ConnectionString;

use crate::harness::hierarchy::{Ca, chain, self_signed};
use crate::harness::{Service, group, individual};

/// The connection string with another policy's name and key.
fn opened_by(connection: &Value, policy: &Value) -> Value {
    let mut whole = ConnectionString::parse(connection.as_str().unwrap()).unwrap();
    policy["keyName"]
        .as_str()
        .unwrap()
        .clone_into(&mut whole.policy);
    let key = policy["primaryKey"].as_str().unwrap();
    whole.key = wire::service_api::identity::KeyText::parse(key).unwrap();
    json!(whole.reveal().as_str())
}

pub const REMOTE: &str = "HostName=remote.example;SharedAccessKeyName=iothubowner;\
                   SharedAccessKey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[tokio::test]
async fn a_hub_is_made_linked_and_taken_away_again() {
    let service = Service::start().await;
    let host = json!({"hostName": "second.test"});
    let made = service.own(Method::PUT, "hubs/second", Some(&host)).await;
    let string = made["connectionString"].as_str().unwrap();
    assert!(string.starts_with("HostName=second.test;SharedAccessKeyName=iothubowner;"));
    let again = service.own(Method::PUT, "hubs/second", Some(&host)).await;
    assert_eq!(again, made, "a request may be sent again");
    let listed = service.own(Method::GET, "hubs", None).await;
    let expected = json!([
        {"name": "hub", "hostName": "hub.test", "linkedBy": ["dps"]},
        {"name": "second", "hostName": "second.test", "linkedBy": []},
    ]);
    assert_eq!(listed, expected);

    let link = json!({"allocationWeight": 3, "applyAllocationPolicy": false});
    let linked = service
        .own(Method::PUT, "dps/linkedHubs/second", Some(&link))
        .await;
    let mut expected = json!({
        "name": "second", "hostName": "second.test", "location": "here", "allocationWeight": 3,
        "applyAllocationPolicy": false, "health": {"state": "healthy", "remoteTasks": 0},
    });
    assert_eq!(linked, expected);
    let apply = json!({"applyAllocationPolicy": true});
    expected["applyAllocationPolicy"] = json!(true);
    let changed = service
        .own(Method::PUT, "dps/linkedHubs/second", Some(&apply))
        .await;
    assert_eq!(changed, expected);
    let read = service.own(Method::GET, "dps/linkedHubs/second", None);
    assert_eq!(read.await, expected);

    let (code, message) = service
        .refused(Method::DELETE, "hubs/second", &json!(null))
        .await;
    assert_eq!(code, 409_210);
    assert!(message.contains("unlink it first"), "{message}");
    service
        .own(Method::DELETE, "dps/linkedHubs/second", None)
        .await;
    service.own(Method::DELETE, "hubs/second", None).await;
    let gone = service.refused(Method::GET, "hubs/second", &json!(null));
    assert_eq!(gone.await.0, 404_210);
}

#[tokio::test]
async fn a_remote_hub_is_linked_by_its_connection_string_which_is_not_shown() {
    let service = Service::start().await;
    let link = json!({"connectionString": REMOTE, "allocationWeight": 1000});
    let linked = service
        .own(Method::PUT, "dps/linkedHubs/remote", Some(&link))
        .await;
    let expected = json!({
        "name": "remote", "hostName": "remote.example", "location": "remote",
        "allocationWeight": 1000, "applyAllocationPolicy": true,
        "health": {"state": "healthy", "remoteTasks": 0},
    });
    assert_eq!(linked, expected);
    let all = service.own(Method::GET, "dps/linkedHubs", None).await;
    assert_eq!(all[1], expected);
    assert!(!all.to_string().contains("AAECAwQ"));
}

/// Sends what is to be refused: method, path, body, the code that is wanted and
/// a part of the message.
async fn each_is_refused(table: Vec<(Method, &str, Value, u64, &str)>) {
    let service = Service::start().await;
    for (method, path, body, code, wanted) in table {
        let (found, message) = service.refused(method.clone(), path, &body).await;
        assert_eq!(found, code, "{method} {path}: {message}");
        assert!(message.contains(wanted), "{method} {path}: {message}");
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn hubs_and_services_that_cannot_be_are_refused_with_the_reason() {
    each_is_refused(vec![
        (Method::PUT, "hubs/x", json!({"hostName": "a..b"}), 400_004, "DNS name"),
        (Method::PUT, "hubs/x", json!({"host": "a"}), 400_004, "unknown field `host`"),
        (Method::PUT, "hubs/a_b", json!({"hostName": "a"}), 400_004, "hub name"),
        (Method::PUT, "hubs/x", json!({"hostName": "HUB.test"}), 409_210, "hub hub has"),
        (Method::PUT, "hubs/HUB", json!({"hostName": "x.test"}), 409_210, "already"),
        (Method::DELETE, "hubs/hub", json!(null), 409_210, "own host name"),
        (Method::POST, "hubs", json!(null), 405_000, "POST"),
        (Method::PUT, "services/DPS", json!({"hostName": "x.test"}), 409_208, "already"),
        (Method::PUT, "services/x", json!({"hostName": "dps.test"}), 409_208, "dps has"),
        (Method::GET, "services/x", json!(null), 404_208, "x"),
    ])
    .await;
}

#[tokio::test]
#[rustfmt::skip]
async fn links_settings_and_policies_that_cannot_be_are_refused_with_the_reason() {
    let remote_as_hub = json!({"connectionString": REMOTE});
    each_is_refused(vec![
        (Method::PUT, "dps/linkedHubs/none", json!({}), 404_210, "none"),
        (Method::PUT, "dps/linkedHubs/hub", json!({"allocationWeight": 0}), 400_004, "1 to 1000"),
        (Method::PUT, "dps/linkedHubs/hub", json!({"allocationWeight": 1001}), 400_004, "1001"),
        (Method::PUT, "dps/linkedHubs/hub", remote_as_hub, 409_210, "already"),
        (Method::DELETE, "dps/linkedHubs/none", json!(null), 404_210, "not linked"),
        (Method::PATCH, "dps/settings", json!({"allocationPolicy": "custom"}), 400_004, "webhook"),
        (Method::PUT, "dps/policies/p", json!({"rights": []}), 400_004, "at least one"),
        (Method::PUT, "dps/policies/p", json!({"rights": ["RegistryRead"]}), 400_004, "RegistryRead"),
        (Method::PUT, "dps/policies/a=b", json!({"rights": ["ServiceConfig"]}), 400_004, "a=b"),
        (Method::DELETE, "dps/policies/provisioningserviceowner", json!(null), 409_208, "owner"),
        (Method::GET, "dps/policies/none", json!(null), 404_208, "none"),
    ])
    .await;
}

#[tokio::test]
async fn policies_open_what_their_rights_say_until_their_keys_are_rolled() {
    let service = Service::start().await;
    let owner = service.own(Method::GET, "services/dps", None).await["connectionString"].clone();
    let rights = json!({"rights": ["EnrollmentRead"]});
    let made = service
        .own(Method::PUT, "dps/policies/reader", Some(&rights))
        .await;
    let reader = opened_by(&owner, &made);
    let query = async |by: &Value| {
        let answer = service
            .by(by, Method::POST, "/enrollments/query", None)
            .await;
        answer.status.as_u16()
    };
    assert_eq!(query(&reader).await, 200);
    let write = service
        .by(
            &reader,
            Method::PUT,
            "/enrollments/e",
            Some(&individual("e", &self_signed("e"))),
        )
        .await;
    assert_eq!(write.error(), 403_000);
    let configure = service
        .by(&reader, Method::GET, "/muster/v1/dps/policies", None)
        .await;
    assert_eq!(configure.error(), 403_000);

    let listed = service.own(Method::GET, "dps/policies", None).await;
    assert_eq!(
        listed[1],
        json!({"keyName": "reader", "rights": ["EnrollmentRead"]})
    );
    let which = json!({"key": "primary"});
    let path = "dps/policies/reader/regenerateKey";
    let rolled = service.own(Method::POST, path, Some(&which)).await;
    assert_eq!(rolled["secondaryKey"], made["secondaryKey"]);
    assert_eq!(query(&reader).await, 401);
    assert_eq!(query(&opened_by(&owner, &rolled)).await, 200);
    service
        .own(Method::DELETE, "dps/policies/reader", None)
        .await;
    assert_eq!(query(&opened_by(&owner, &rolled)).await, 401);
}

#[tokio::test]
async fn devices_of_a_group_follow_the_weights_of_hubs_that_join() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/g", &group("g", &root.certificate))
        .await;
    service.linked_hub("heavy", 1000).await;
    let mut hubs = std::collections::BTreeMap::new();
    for number in 0..20 {
        let id = format!("device-{number}");
        let leaf = root.leaf(&id);
        let state = service
            .provision(&id, &chain(&[&leaf, &root.certificate]))
            .await;
        let hub = state["assignedHub"].as_str().unwrap().to_owned();
        *hubs.entry(hub).or_insert(0) += 1;
    }
    assert!(hubs["heavy.test"] >= 19, "{hubs:?}");

    // A hub that is taken out of allocation keeps nobody who comes again.
    let out = json!({"applyAllocationPolicy": false});
    service
        .own(Method::PUT, "dps/linkedHubs/heavy", Some(&out))
        .await;
    let leaf = root.leaf("device-0");
    let state = service
        .provision("device-0", &chain(&[&leaf, &root.certificate]))
        .await;
    assert_eq!(state["assignedHub"], "hub.test");
    assert_eq!(state["substatus"], "deviceDataMigrated");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let service = Service::start().await;
    service.linked_hub("second", 7).await;
    let policy = json!({"allocationPolicy": "static"});
    service
        .own(Method::PATCH, "dps/settings", Some(&policy))
        .await;
    let before = service.own(Method::GET, "dps/linkedHubs", None).await;
    let id_scope = service.id_scope();
    let service = service.restarted().await;
    assert_eq!(service.id_scope(), id_scope);
    let after = service.own(Method::GET, "dps/linkedHubs", None).await;
    assert_eq!(after, before);
    let settings = service.own(Method::GET, "dps/settings", None).await;
    assert_eq!(settings["allocationPolicy"], "static");
    assert_eq!(settings["linkedHubs"], json!(["hub", "second"]));
}
