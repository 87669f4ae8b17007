//! Users of issuers, as operators create, read, reset and delete them.

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Service};
use crate::issuing::issuer;

const USERS: &str = "/muster/v1/dps/issuers/fleet/users";

async fn ask(service: &Service, method: Method, path: &str, body: Value) -> Answer {
    let path = format!("{USERS}{path}");
    let body = Some(&body).filter(|body| !body.is_null());
    service.operate(method, &path, &[], body).await
}

/// Whether a file of the data directory has a text.
fn stores(service: &Service, text: &str) -> bool {
    let has = |bytes: &Vec<u8>| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(!text.is_empty());
    service.files().values().any(has)
}

#[tokio::test]
async fn a_made_up_password_is_answered_once() {
    let service = Service::start().await;
    issuer(&service, "fleet", json!({})).await;
    let limits = json!({"uses": 500, "expires": "2036-01-01T00:00:00Z"});
    let made = ask(&service, Method::PUT, "/Line-1", limits).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let password = made.body["password"].as_str().unwrap().to_owned();
    assert!(password.len() >= 32, "{password}");
    assert_eq!(made.body["usesLeft"], 500);

    let read = ask(&service, Method::GET, "/line-1", Value::Null).await;
    let mut wanted = made.body.clone();
    wanted.as_object_mut().unwrap().remove("password");
    assert_eq!(read.body, wanted);
    let listed = ask(&service, Method::GET, "", Value::Null).await;
    assert_eq!(listed.body, json!([wanted]));
    let again = ask(&service, Method::PUT, "/LINE-1", json!({})).await;
    assert_eq!(again.error(), 409_000, "{}", again.body);

    let reset = ask(&service, Method::POST, "/line-1/reset", json!({"uses": 9})).await;
    assert_ne!(reset.body["password"].as_str().unwrap(), password);
    assert_ne!(reset.body["etag"], made.body["etag"]);
    assert_eq!(reset.body["usesLeft"], 9);
    assert_eq!(reset.body["expires"], made.body["expires"]);
    let gone = ask(&service, Method::DELETE, "/line-1", Value::Null).await;
    assert_eq!(gone.status, 204);
    let gone = ask(&service, Method::GET, "/line-1", Value::Null).await;
    assert_eq!(gone.error(), 404_000);
    assert!(!stores(&service, &password));
    let acts = service.audited();
    let of_user = acts.iter().filter(|act| act.contains("Line-1")).count();
    assert!(of_user > 0, "{acts:?}");
}

#[tokio::test]
async fn a_chosen_password_is_neither_answered_nor_stored() {
    let service = Service::start().await;
    issuer(&service, "fleet", json!({})).await;
    let chosen = "correct horse battery staple";
    let made = ask(
        &service,
        Method::PUT,
        "/line-1",
        json!({"password": chosen}),
    )
    .await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(made.body.get("password"), None);
    assert!(!stores(&service, chosen));
    for (body, wanted) in [
        (json!({"password": "short"}), "fewer than"),
        (json!({"uses": 0}), "'uses'"),
        (
            json!({"expires": "2020-01-01T00:00:00Z"}),
            "is not in the future",
        ),
    ] {
        let refused = ask(&service, Method::PUT, "/line-2", body).await;
        assert_eq!(refused.error(), 400_004, "{}", refused.body);
        assert!(refused.message().contains(wanted), "{}", refused.message());
    }
    let other = "/muster/v1/dps/issuers/other/users/line-1";
    let absent = service
        .operate(Method::PUT, other, &[], Some(&json!({})))
        .await;
    assert_eq!(absent.error(), 404_211, "{}", absent.body);
}
