//! Each act and each decision leaves its record, and no secret in it.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::{Method, Request};
use rest::ClientAddress;
use serde_json::{Value, json};

use crate::harness::hierarchy::{Ca, chain, self_signed};
use crate::harness::keys::symmetric;
use crate::harness::{Answer, HOST, Service, group};

#[tokio::test]
async fn acts_and_decisions_are_on_record_in_their_order() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let keys = symmetric("registrationId", "sym-1", &json!({}));
    let created = service.create("/enrollments/sym-1", &keys).await;
    let presented = chain(&[&root.leaf("device-1"), &root.certificate]);
    service.provision("device-1", &presented).await;
    service
        .register("device-2", &chain(&[&self_signed("device-2")]))
        .await;
    for path in ["/registrations/device-1", "/enrollments/sym-1"] {
        service.operate(Method::DELETE, path, &[], None).await;
    }
    // What is refused is no act.
    let missing = "/enrollments/sym-1";
    service.operate(Method::DELETE, missing, &[], None).await;
    assert_eq!(
        service.audited(),
        [
            "enrollment.put enrollment group all",
            "enrollment.put individual enrollment sym-1",
            "registration.delete device-1",
            "enrollment.delete individual enrollment sym-1",
            "registration.assigned device-1",
            "registration.refused device-2",
        ]
    );
    let key = &created.body["attestation"]["symmetricKey"]["primaryKey"];
    let text = service.audit_text();
    assert!(text.contains("provisioningserviceowner"));
    assert!(!text.contains(key.as_str().unwrap()));
}

impl Service {
    /// A page of the audit, as `owner` reads it; a continuation goes on behind it.
    async fn audit_page(&self, query: &str, size: usize, after: Option<&str>) -> Answer {
        let mut request = Request::builder()
            .uri(format!(
                "https://{HOST}/muster/v1/audit?api-version=2021-10-01{query}"
            ))
            .header("authorization", self.owner())
            .header("x-ms-max-item-count", size);
        if let Some(after) = after {
            request = request.header("x-ms-continuation", after);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ClientAddress(ADDRESS));
        self.send(request).await
    }
}

/// Where an operator sits.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn numbers(page: &Value) -> Vec<(String, u64)> {
    let rows = page.as_array().unwrap().iter();
    rows.map(|row| {
        (
            row["stream"].as_str().unwrap().to_owned(),
            row["number"].as_u64().unwrap(),
        )
    })
    .collect()
}

#[tokio::test]
async fn the_owner_reads_the_audit_in_pages_newest_first_and_by_what_is_looked_for() {
    let service = Service::start().await;
    for id in ["one", "two", "three"] {
        let body = symmetric("registrationId", id, &json!({}));
        service.create(&format!("/enrollments/{id}"), &body).await;
        service.advance(1);
        service.register(id, &chain(&[&self_signed(id)])).await;
        service.advance(1);
    }
    let whole = service.audit_page("", 100, None).await;
    assert_eq!(whole.status, 200, "{}", whole.body);
    assert!(!whole.headers.contains_key("x-ms-continuation"));
    let expected = [3, 2, 1].map(|n| [("refusals".to_owned(), n), ("acts".to_owned(), n)]);
    assert_eq!(numbers(&whole.body), expected.concat());

    let (mut paged, mut after): (Vec<(String, u64)>, Option<String>) = (Vec::new(), None);
    loop {
        let page = service.audit_page("", 1, after.as_deref()).await;
        assert_eq!(page.status, 200, "{}", page.body);
        paged.extend(numbers(&page.body));
        match page.headers.get("x-ms-continuation") {
            Some(next) => after = Some(next.to_str().unwrap().to_owned()),
            None => break,
        }
    }
    assert_eq!(paged, expected.concat());

    let two = service.audit_page("&about=TWO", 100, None).await;
    assert_eq!(numbers(&two.body), expected[1]);
    let puts = service.audit_page("&kind=enrollment.put", 100, None).await;
    assert_eq!(numbers(&puts.body).len(), 3);
    let from = whole.body[2]["time"].as_str().unwrap();
    let late = service
        .audit_page(&format!("&from={from}"), 100, None)
        .await;
    assert_eq!(numbers(&late.body).len(), 3);
    let early = service.audit_page(&format!("&to={from}"), 100, None).await;
    assert_eq!(numbers(&early.body).len(), 3);
    let bad = service.audit_page("", 1, Some("bm9uc2Vuc2U")).await;
    assert_eq!(bad.status, 400, "{}", bad.body);
}

#[tokio::test]
async fn nobody_but_the_servers_owner_reads_the_audit() {
    let service = Service::start().await;
    let host = json!({"hostName": "other.test"});
    let other = service
        .own(Method::PUT, "services/other", Some(&host))
        .await;
    let path = "/muster/v1/audit";
    let refused = service
        .by(&other["connectionString"], Method::GET, path, None)
        .await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    let rights = json!({"rights": ["EnrollmentWrite", "RegistrationStatusRead"]});
    let policy = service
        .own(Method::PUT, "dps/policies/clerk", Some(&rights))
        .await;
    let key = policy["primaryKey"].as_str().unwrap();
    let clerk = format!("HostName={HOST};SharedAccessKeyName=clerk;SharedAccessKey={key}");
    let refused = service.by(&json!(clerk), Method::GET, path, None).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
}

#[tokio::test]
async fn reading_keys_is_an_act_and_it_is_known_from_where() {
    let service = Service::start().await;
    let body = symmetric("registrationId", "sym-1", &json!({}));
    service.create("/enrollments/sym-1", &body).await;
    let token = service.owner();
    let name = service.provisioning.service().name.to_string();
    for (method, path) in [
        (Method::POST, "/enrollments/sym-1/attestationmechanism"),
        (
            Method::GET,
            "/muster/v1/dps/policies/provisioningserviceowner",
        ),
        (Method::GET, "/muster/v1/hubs/hub"),
        (Method::GET, &format!("/muster/v1/services/{name}")),
    ] {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://{HOST}{path}?api-version=2021-10-01"))
            .header("authorization", &token)
            .body(Body::empty())
            .unwrap();
        request.extensions_mut().insert(ClientAddress(ADDRESS));
        let answer = service.send(request).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    let listed = service.audit_page("", 100, None).await.body;
    let acts: Vec<(&str, &str)> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["body"]["address"] == ADDRESS.to_string())
        .map(|row| {
            let text = |name: &str| row["body"][name].as_str().unwrap();
            (text("kind"), text("target"))
        })
        .collect();
    assert_eq!(
        acts,
        [
            ("service.keys.read", name.as_str()),
            ("hub.keys.read", "hub"),
            ("policy.keys.read", "provisioningserviceowner"),
            ("enrollment.keys.read", "individual enrollment sym-1"),
        ]
    );
    let key = service.audit_text();
    assert!(!key.contains("primaryKey"), "{key}");
}

#[tokio::test]
async fn a_refusal_tells_where_the_device_was_and_is_forgotten_after_its_time() {
    let service = Service::start().await;
    let path = format!(
        "/{}/registrations/stray/register?api-version=2021-06-01",
        service.id_scope()
    );
    let mut request = Request::builder()
        .method(Method::PUT)
        .uri(path)
        .body(Body::from(json!({"registrationId": "stray"}).to_string()))
        .unwrap();
    request.extensions_mut().insert(ClientAddress(ADDRESS));
    assert_eq!(service.send(request).await.error(), 401_002);
    let listed = service.audit_page("&about=stray", 10, None).await.body;
    assert_eq!(listed[0]["stream"], "refusals");
    assert_eq!(listed[0]["body"]["address"], ADDRESS.to_string());

    const DAY: i64 = 24 * 3600;
    let provisioning = &service.provisioning;
    service.advance(29 * DAY);
    service
        .register("late", &chain(&[&self_signed("late")]))
        .await;
    assert_eq!(
        provisioning.expire_refusals(service.now()).await.unwrap(),
        0
    );
    service.advance(2 * DAY);
    assert_eq!(
        provisioning.expire_refusals(service.now()).await.unwrap(),
        1
    );
    let path = "/muster/v1/dps/refusals";
    let left = service.operate(Method::GET, path, &[], None).await.body;
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left[0]["registrationId"], "late");
}
