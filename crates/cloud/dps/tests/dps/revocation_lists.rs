//! Revocation lists of other CAs: settings, fetching, and what is refused.

use std::time::Duration;

use axum::http::Method;
use outbound::{OnBehalf, OutboundFault};
use rcgen::RevocationReason::KeyCompromise;
use serde_json::{Value, json};

use crate::harness::attempt::Attempt;
use crate::harness::hierarchy::Ca;
use crate::harness::{Answer, Service, group};
use crate::tenants::tenant;

const LIST: &str = "/muster/v1/dps/revocation-lists/factory";
const URL: &str = "http://pki.example/factory.crl";

async fn put(service: &Service, body: &Value) -> Answer {
    let any = [("if-match", "*")];
    service.operate(Method::PUT, LIST, &any, Some(body)).await
}

async fn get(service: &Service) -> Value {
    service.operate(Method::GET, LIST, &[], None).await.body
}

#[tokio::test]
async fn a_list_is_fetched_at_once_and_then_when_it_is_due() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let body = group("all", &root.certificate);
    service.create("/enrollmentGroups/all", &body).await;
    let leaf = root.leaf("d1");
    let crl = root.crl(1, &[(&leaf, KeyCompromise)]);
    service.webhook.will_send(crl, "\"v1\"");
    let body = json!({
        "certificate": root.certificate.to_pem(), "crlUrl": URL, "intervalSeconds": 600,
    });
    let created = service.create(LIST, &body).await;
    assert_eq!(created.body["crl"]["entries"], 1, "{}", created.body);
    assert_eq!(created.body["isStale"], false);
    let call = service.webhook.call_made();
    assert_eq!(
        (call.method, call.on_behalf),
        (Method::GET, OnBehalf::Owner)
    );
    assert_eq!(call.headers, []);
    let attempt = Attempt::by(&[&leaf, &root.certificate]);
    assert_eq!(service.attempt("d1", &attempt).await.error(), 401_002);

    // Due after its interval; what has not changed is not sent.
    service.advance(601);
    service.webhook.will_answer(304, &Value::Null);
    service.run();
    let looked = async || service.webhook.times() == 2;
    service.wait_until("the list is looked for", looked).await;
    service.stop().await;
    let call = service.webhook.call_made();
    assert_eq!(call.headers, [("if-none-match", "\"v1\"".to_owned())]);

    // A fault is said, and the list stays.
    service
        .webhook
        .will_fail(OutboundFault::Silent(Duration::from_secs(60)));
    let fetch = format!("{LIST}/fetch");
    let failed = service.operate(Method::POST, &fetch, &[], None).await;
    let problem = failed.body["problem"].as_str().unwrap();
    assert!(problem.contains("did not answer"), "{problem}");
    assert_eq!(failed.body["crl"]["entries"], 1);
    let impostor = Ca::root("root");
    service.webhook.will_send(impostor.crl(9, &[]), "\"v9\"");
    let failed = service.operate(Method::POST, &fetch, &[], None).await;
    let problem = failed.body["problem"].as_str().unwrap();
    assert!(problem.contains("signature"), "{problem}");
    service.webhook.will_send(root.crl(2, &[]), "\"v2\"");
    let fetched = service.operate(Method::POST, &fetch, &[], None).await;
    assert_eq!(fetched.body["crl"]["entries"], 0, "{}", fetched.body);
    assert_eq!(fetched.body.get("problem"), None);
    assert_eq!(service.attempt("d1", &attempt).await.status, 202);
}

#[tokio::test]
async fn a_list_that_has_ended_refuses_only_if_it_is_to() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let body = group("all", &root.certificate);
    service.create("/enrollmentGroups/all", &body).await;
    service.publish("factory", &root, root.crl(1, &[])).await;
    let leaf = root.leaf("d1");
    let attempt = Attempt::by(&[&leaf, &root.certificate]);
    service.advance(31 * 24 * 3600);
    assert_eq!(get(&service).await["isStale"], true);
    assert_eq!(service.attempt("d1", &attempt).await.status, 202);
    let refuse = json!({"certificate": root.certificate.to_pem(), "stale": "refuse"});
    assert_eq!(put(&service, &refuse).await.status, 200);
    assert_eq!(service.attempt("d1", &attempt).await.error(), 401_002);
    let explanation = service.explain("d1", &attempt).await;
    assert_eq!(
        explanation["reason"], "revocation_list_stale",
        "{explanation}"
    );
}

#[tokio::test]
async fn lists_that_are_no_lists_of_the_ca_are_refused() {
    let service = Service::start().await;
    let (root, other) = (Ca::root("root"), Ca::root("other"));
    let content = format!("{LIST}/content");
    let absent = service.send_file(&content, root.crl(1, &[])).await;
    assert_eq!(absent.status, 404);
    let nameless = service
        .operate(Method::PUT, LIST, &[], Some(&json!({})))
        .await;
    assert_eq!(nameless.status, 404, "no CA certificate has the name");
    let body = json!({"certificate": root.certificate.to_pem()});
    service.create(LIST, &body).await;
    let again = service.operate(Method::PUT, LIST, &[], Some(&body)).await;
    assert_eq!(again.status, 409);
    for (bytes, word) in [
        (b"nothing".to_vec(), "PEM"),
        (other.crl(1, &[]), "not of"),
        (Ca::root("root").crl(1, &[]), "signature"),
        (root.certificate.der().to_vec(), "revocation list"),
    ] {
        let refused = service.send_file(&content, bytes).await;
        assert_eq!(refused.error(), 400_004, "{}", refused.body);
        assert!(
            refused.message().contains(word),
            "{word}: {}",
            refused.message()
        );
    }
    for (member, value) in [
        ("crlUrl", json!("ftp://pki.example/ca.crl")),
        ("crlUrl", json!("pki.example/ca.crl")),
        ("intervalSeconds", json!(600)),
        ("stale", json!("perhaps")),
    ] {
        let mut body = body.clone();
        body[member] = value;
        let refused = put(&service, &body).await;
        assert_eq!(refused.error(), 400_004, "{member}: {}", refused.body);
    }
    let any = [("if-match", "*")];
    let deleted = service.operate(Method::DELETE, LIST, &any, None).await;
    assert_eq!(deleted.status, 204);
    let path = "/muster/v1/dps/revocation-lists";
    let left = service.operate(Method::GET, path, &[], None).await;
    assert_eq!(left.body["value"], json!([]));
}

#[tokio::test]
async fn a_silent_server_of_one_tenant_delays_no_list_of_another() {
    let service = Service::start().await;
    let other = tenant(&service, "other").await;
    let root = Ca::root("root");
    let list = |url: &str| json!({"certificate": root.certificate.to_pem(), "crlUrl": url, "intervalSeconds": 600});
    let urls = ["http://a.silent.example/", "http://b.silent.example/", URL];
    for (name, url) in [("a", urls[0]), ("b", urls[1])] {
        service.webhook.will_send(root.crl(1, &[]), "\"v1\"");
        let path = format!("/muster/v1/dps/revocation-lists/{name}");
        service.create(&path, &list(url)).await;
    }
    service.webhook.will_send(root.crl(1, &[]), "\"v1\"");
    let (owner, body) = (&other.owner, list(URL));
    let put = service.by(owner, Method::PUT, LIST, Some(&body)).await;
    assert!(put.status.is_success(), "{}", put.body);
    service.webhook.is_silent_at("http://a.silent.example/");
    service.advance(601);
    service.webhook.will_send(root.crl(2, &[]), "\"v2\"");
    service.run();
    let fetched = async || {
        let list = service.by(owner, Method::GET, LIST, None).await;
        list.body["crl"]["number"] == "02"
    };
    let what = "another tenant's list is fetched";
    service.wait_until(what, fetched).await;
    service.stop().await;
    let times = urls.map(|url| service.webhook.times_at(url));
    assert_eq!(times, [2, 1, 2], "one list of a service at a time");
}

#[tokio::test]
async fn the_gauges_of_a_deleted_list_have_no_number_any_more() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let body = json!({"certificate": root.certificate.to_pem()});
    service.create(LIST, &body).await;
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let printed = |name: &str| {
        metrics::with_local_recorder(&recorder, || service.show_metrics());
        let text = recorder.handle().render();
        let line = text.lines().find(|line| line.starts_with(name));
        line.unwrap().rsplit_once(' ').unwrap().1.to_owned()
    };
    let stale = "muster_dps_revocation_list_stale{";
    assert_eq!(printed(stale), "1");
    assert_eq!(printed("muster_dps_revocation_list_entries{"), "NaN");
    service.publish("factory", &root, root.crl(1, &[])).await;
    assert_eq!(printed(stale), "0");
    assert_eq!(printed("muster_dps_revocation_list_entries{"), "0");
    let any = [("if-match", "*")];
    service.operate(Method::DELETE, LIST, &any, None).await;
    for gauge in ["age_seconds", "entries", "stale"] {
        let name = format!("muster_dps_revocation_list_{gauge}{{");
        assert_eq!(printed(&name), "NaN", "{gauge}");
    }
}
