//! Several provisioning services in one server: none sees or opens another.

use axum::http::{Method, StatusCode};
use outbound::OnBehalf;
use serde_json::{Value, json};

use crate::harness::hierarchy::{chain, self_signed};
use crate::harness::{Service, individual};

/// A second service; its ID scope and its owner's connection string.
pub(crate) struct Tenant {
    pub(crate) id_scope: String,
    pub(crate) owner: Value,
}

pub(crate) async fn tenant(service: &Service, name: &str) -> Tenant {
    let host = json!({"hostName": format!("{name}.test")});
    let made = service
        .own(Method::PUT, &format!("services/{name}"), Some(&host))
        .await;
    Tenant {
        id_scope: made["idScope"].as_str().unwrap().to_owned(),
        owner: made["connectionString"].clone(),
    }
}

/// The connection string with another host.
fn at(connection: &Value, host: &str) -> Value {
    let text = connection.as_str().unwrap();
    let rest = text.split_once(';').unwrap().1;
    json!(format!("HostName={host};{rest}"))
}

#[tokio::test]
async fn the_same_certificate_registers_where_it_is_enrolled_and_nowhere_else() {
    let service = Service::start().await;
    let other = tenant(&service, "other").await;
    let hub = service.own(Method::GET, "hubs/hub", None).await;
    let link = json!({"connectionString": hub["connectionString"]});
    let linked = service
        .by(
            &other.owner,
            Method::PUT,
            "/muster/v1/dps/linkedHubs/hub",
            Some(&link),
        )
        .await;
    assert_eq!(linked.status, StatusCode::OK, "{}", linked.body);
    let leaf = self_signed("edge-001");
    let enrolled = service
        .by(
            &other.owner,
            Method::PUT,
            "/enrollments/edge-001",
            Some(&individual("edge-001", &leaf)),
        )
        .await;
    assert_eq!(enrolled.status, StatusCode::OK, "{}", enrolled.body);

    let register = async |scope: &str| {
        let path = format!("/{scope}/registrations/edge-001/register");
        let presented = Some(chain(&[&leaf]));
        service
            .device(Method::PUT, &path, presented, axum::body::Body::from("{}"))
            .await
    };
    let accepted = register(&other.id_scope.to_lowercase()).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    assert_eq!(register(&service.id_scope()).await.error(), 401_002);
    assert_eq!(register("0neFFFFFFFF").await.error(), 401_002);

    // The operation is the other service's too.
    let operation = accepted.body["operationId"].as_str().unwrap();
    let poll = async |scope: &str| {
        let path = format!("/{scope}/registrations/edge-001/operations/{operation}");
        let presented = Some(chain(&[&leaf]));
        service
            .device(Method::GET, &path, presented, axum::body::Body::empty())
            .await
    };
    let polled = poll(&other.id_scope).await;
    assert_eq!(polled.body["status"], "assigned", "{}", polled.body);
    assert!(poll(&service.id_scope()).await.status.is_client_error());
    let path = "/registrations/edge-001";
    let theirs = service.by(&other.owner, Method::GET, path, None).await;
    assert_eq!(theirs.body["assignedHub"], "hub.test");
    let ours = service.operate(Method::GET, path, &[], None).await;
    assert_eq!(ours.error(), 404_202);
}

#[tokio::test]
async fn a_token_of_one_service_never_opens_another() {
    let service = Service::start().await;
    let (one, two) = (tenant(&service, "one").await, tenant(&service, "two").await);
    let owner = service.own(Method::GET, "services/dps", None).await["connectionString"].clone();
    for (holder, own_host) in [
        (&owner, "dps.test"),
        (&one.owner, "one.test"),
        (&two.owner, "two.test"),
    ] {
        for host in ["dps.test", "one.test", "two.test", "absent.test"] {
            for path in ["/enrollments/e", "/muster/v1/dps/policies"] {
                let answer = service.by(&at(holder, host), Method::GET, path, None).await;
                // A host that is nobody's leads to the first service, whose tokens
                // are for its own host.
                let opens = host == own_host;
                assert_eq!(
                    answer.status != StatusCode::UNAUTHORIZED,
                    opens,
                    "{own_host} at {host}"
                );
            }
        }
    }
}

#[tokio::test]
async fn only_the_servers_owner_makes_hubs_and_services() {
    let service = Service::start().await;
    let other = tenant(&service, "other").await;
    let host = json!({"hostName": "x.test"});
    for (method, path, body) in [
        (Method::GET, "/muster/v1/hubs", None),
        (Method::PUT, "/muster/v1/hubs/x", Some(&host)),
        (Method::DELETE, "/muster/v1/hubs/hub", None),
        (Method::GET, "/muster/v1/services", None),
        (Method::GET, "/muster/v1/services/dps", None),
        (Method::PUT, "/muster/v1/services/x", Some(&host)),
    ] {
        let answer = service.by(&other.owner, method, path, body).await;
        assert_eq!(answer.error(), 403_000, "{path}");
    }
    let settings = service
        .by(&other.owner, Method::GET, "/muster/v1/dps/settings", None)
        .await;
    assert_eq!(settings.body["name"], "other");
    assert_eq!(settings.body["idScope"], other.id_scope);
}

#[tokio::test]
async fn a_tenant_links_a_hub_of_the_server_only_with_a_key_of_it() {
    let service = Service::start().await;
    let other = tenant(&service, "other").await;
    let hub = service.own(Method::GET, "hubs/hub", None).await;
    let right = hub["connectionString"].as_str().unwrap();
    let wrong = "HostName=hub.test;SharedAccessKeyName=iothubowner;\
                 SharedAccessKey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let local = service.provisioning.registry().hubs();
    let weak = &local.hubs[0].policies[3];
    let weak = format!(
        "HostName=hub.test;SharedAccessKeyName={};SharedAccessKey={}",
        weak.name,
        weak.primary.reveal()
    );
    for (name, body, code, wanted) in [
        ("hub", json!({}), 403_000, "needs its connection string"),
        (
            "hub",
            json!({"connectionString": wrong}),
            400_004,
            "does not open hub hub",
        ),
        (
            "hub",
            json!({"connectionString": weak}),
            400_004,
            "lacks RegistryWrite",
        ),
        (
            "mine",
            json!({"connectionString": right}),
            400_004,
            "link it by that name",
        ),
    ] {
        let path = format!("/muster/v1/dps/linkedHubs/{name}");
        let answer = service
            .by(&other.owner, Method::PUT, &path, Some(&body))
            .await;
        assert_eq!(answer.error(), code, "{}", answer.message());
        assert!(answer.message().contains(wanted), "{}", answer.message());
    }
    let path = "/muster/v1/dps/linkedHubs/hub";
    let body = json!({"connectionString": right});
    let linked = service
        .by(&other.owner, Method::PUT, path, Some(&body))
        .await;
    assert_eq!(linked.body["location"], "here", "{}", linked.body);
    // What is linked may be changed without showing the key again.
    let body = json!({"allocationWeight": 2});
    let changed = service
        .by(&other.owner, Method::PUT, path, Some(&body))
        .await;
    assert_eq!(changed.body["allocationWeight"], 2, "{}", changed.body);
}

/// A5: the program may let services of strangers reach less than the server's own.
#[tokio::test]
async fn calls_are_made_for_the_service_that_asks() {
    let service = Service::start().await;
    let other = tenant(&service, "other").await;
    let hub = service.own(Method::GET, "hubs/hub", None).await;
    let link = json!({"connectionString": hub["connectionString"]});
    let path = "/muster/v1/dps/linkedHubs/hub";
    let linked = service.by(&other.owner, Method::PUT, path, Some(&link));
    assert_eq!(linked.await.status, StatusCode::OK);
    let leaf = self_signed("edge-001");
    let mut enrollment = individual("edge-001", &leaf);
    enrollment["allocationPolicy"] = json!("custom");
    enrollment["customAllocationDefinition"] =
        json!({"webhookUrl": "https://functions.example/", "apiVersion": "2021-10-01"});
    let path = "/enrollments/edge-001";
    let enrolled = service.by(&other.owner, Method::PUT, path, Some(&enrollment));
    assert_eq!(enrolled.await.status, StatusCode::OK);
    service.create(path, &enrollment).await;
    service.run();
    let callers = [
        (other.id_scope.clone(), OnBehalf::Tenant),
        (service.id_scope(), OnBehalf::Owner),
    ];
    for (before, (scope, on_behalf)) in callers.into_iter().enumerate() {
        let choice = json!({"iotHubHostName": "hub.test"});
        service.webhook.will_answer(200, &choice);
        let path = format!("/{scope}/registrations/edge-001/register");
        let (presented, body) = (Some(chain(&[&leaf])), axum::body::Body::from("{}"));
        let accepted = service.device(Method::PUT, &path, presented, body).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
        let asked = async {
            while service.webhook.times() == before {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), asked);
        waited.await.unwrap();
        assert_eq!(service.webhook.question().0.on_behalf, on_behalf);
    }
}
