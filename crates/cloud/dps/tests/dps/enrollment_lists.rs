//! Lists of enrollments in pages, bulk operations, and queries.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::hierarchy::{Ca, self_signed};
use crate::harness::{Service, group, individual};

#[tokio::test]
async fn lists_come_in_pages_whatever_the_query_says() {
    let service = Service::start().await;
    for id in ["c", "A", "b"] {
        let path = format!("/enrollments/{id}");
        service
            .create(&path, &individual(id, &self_signed(id)))
            .await;
    }
    let az = json!({"query": "{'additional_properties': {}, 'query': 'SELECT *'}"});
    let first = service
        .operate(
            Method::POST,
            "/enrollments/query",
            &[("x-ms-max-item-count", "2")],
            Some(&az),
        )
        .await;
    let ids: Vec<&str> = first
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["registrationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["A", "b"]);
    assert_eq!(first.header("x-ms-item-type"), "enrollment");
    let token = first.header("x-ms-continuation");
    let node = json!({"query": "*"});
    let rest = service
        .operate(
            Method::POST,
            "/enrollments/query",
            &[("x-ms-continuation", token)],
            Some(&node),
        )
        .await;
    assert_eq!(rest.body[0]["registrationId"], "c");
    assert!(!rest.headers.contains_key("x-ms-continuation"));
    let bad = service
        .operate(
            Method::POST,
            "/enrollments/query",
            &[("x-ms-continuation", "%")],
            None,
        )
        .await;
    assert_eq!(bad.error(), 400_004);
    let groups = service
        .operate(Method::POST, "/enrollmentGroups/query", &[], Some(&node))
        .await;
    assert_eq!(groups.body, json!([]));
}

#[tokio::test]
async fn bulk_operations_do_each_item_on_its_own() {
    let service = Service::start().await;
    let (one, two) = (
        individual("one", &self_signed("one")),
        individual("two", &self_signed("two")),
    );
    let run = |body: Value| {
        let service = &service;
        async move {
            service
                .operate(Method::POST, "/enrollments/", &[], Some(&body))
                .await
                .body
        }
    };
    let created = run(json!({"mode": "create", "enrollments": [one, two]})).await;
    assert_eq!(created, json!({"isSuccessful": true, "errors": []}));
    let again = run(json!({"mode": "create", "enrollments": [one]})).await;
    assert_eq!(again["errors"][0]["registrationId"], "one");
    assert_eq!(again["errors"][0]["errorCode"], 409_201);
    let updated = run(json!({"mode": "update", "enrollments": [one]})).await;
    assert_eq!(updated["isSuccessful"], true, "{updated}");
    let mut stale = two.clone();
    stale["etag"] = json!("\"stale\"");
    let refused = run(json!({"mode": "updateIfMatchETag", "enrollments": [stale]})).await;
    assert_eq!(refused["errors"][0]["errorCode"], 412_000);
    let deleted = run(json!({"mode": "delete", "enrollments": [{"registrationId": "one"}, {"registrationId": "none"}]})).await;
    assert_eq!(deleted["isSuccessful"], false);
    assert_eq!(deleted["errors"][0]["registrationId"], "none");
    assert_eq!(deleted["errors"].as_array().unwrap().len(), 1);
}

/// P11: a condition is not silently left out, on any way that has queries.
#[tokio::test]
async fn a_query_that_is_not_supported_is_refused_and_names_what_is() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let paths = [
        "/enrollments/query",
        "/enrollmentGroups/query",
        "/registrations/all/query",
    ];
    for path in paths {
        let ask = async |query: Value| {
            let body = json!({"query": query});
            service.operate(Method::POST, path, &[], Some(&body)).await
        };
        for text in [
            "SELECT * FROM enrollments WHERE provisioningStatus = 'disabled'",
            "SELECT COUNT() FROM enrollments",
            "DROP TABLE enrollments",
        ] {
            let refused = ask(json!(text)).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path} {text}");
            assert!(
                refused.message().contains("SELECT *"),
                "{}",
                refused.message()
            );
        }
        assert_eq!(ask(json!(5)).await.status, StatusCode::BAD_REQUEST);
        for text in ["SELECT *", "*", "select * from enrollments", ""] {
            assert_eq!(
                ask(json!(text)).await.status,
                StatusCode::OK,
                "{path} {text}"
            );
        }
    }
}
