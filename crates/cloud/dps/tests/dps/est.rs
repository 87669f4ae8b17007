//! EST: what clients are given, and how often.

use std::time::Duration;

use axum::http::StatusCode;
use issuing::password::StoredPassword;
use pki::{PrivateKey, RequestKey};
use serde_json::json;

use crate::harness::Service;
use crate::harness::est::{EstRequest, csr};

#[tokio::test]
async fn anybody_reads_the_issuers_certificates_and_what_to_ask_for() {
    let service = Service::start().await;
    service
        .issuer(
            "fleet",
            json!({"keyTypes": ["P-384", "RSA"], "commonName": "Fleet CA"}),
        )
        .await;
    let user = service.issuer_user("fleet", "line-1", Some(0), None).await;
    for path in ["/cacerts", "/fleet/cacerts", "/Fleet/CaCerts"] {
        for request in [
            EstRequest::get(path),
            EstRequest::get(path).by("line-1", &user),
            EstRequest::get(path).by("nobody", "wrong"),
        ] {
            let certificates = service.est(request).await.certificates();
            assert_eq!(certificates.len(), 1, "{path}");
            assert_eq!(certificates[0].subject(), "CN=Fleet CA");
        }
    }
    let attributes = service.est(EstRequest::get("/csrattrs")).await;
    assert_eq!(attributes.header("content-type"), "application/csrattrs");
    let der = wire::est::decode(attributes.body.as_bytes()).unwrap();
    assert_eq!(*der, pki::csr_attributes(RequestKey::P384));
}

#[tokio::test]
async fn a_user_has_as_many_certificates_issued_as_it_has_uses() {
    let service = Service::start().await;
    service.issuer("fleet", json!({"validityDays": 30})).await;
    let password = service.issuer_user("fleet", "line-1", Some(2), None).await;
    let enroll = |name: &str| EstRequest::post("/simpleenroll", &csr(name)).by("Line-1", &password);
    let ca = service
        .est(EstRequest::get("/cacerts"))
        .await
        .certificates();
    for name in ["press-1", "press-2"] {
        let issued = service.est(enroll(name)).await.certificate();
        assert_eq!(issued.subject(), format!("CN={name}"));
        assert!(issued.is_signed_by(&ca[0]));
        let life = issued.not_after().since(service.now());
        assert_eq!(life, Duration::from_secs(30 * 24 * 3600));
        let listed = service
            .provisioning
            .issued_certificate(&issued.serial().unwrap(), &issued.sha256());
        let listed = listed.unwrap().unwrap();
        assert_eq!(listed.username.unwrap().as_str(), "line-1");
    }
    let spent = service.est(enroll("press-3")).await;
    assert_eq!(spent.status, StatusCode::FORBIDDEN);
    assert_eq!(spent.body, "this user has no certificates left\n");
    let (reason, code, message) = service.last_refusal("press-3").await;
    assert_eq!((reason.as_str(), code), ("est_user_spent", 403_000));
    assert!(
        message.contains("issuer fleet, user \"Line-1\""),
        "{message}"
    );
    // A request that is not good spends nothing.
    let other = service.issuer_user("fleet", "line-2", Some(1), None).await;
    let broken = EstRequest::post("/simpleenroll", b"nonsense").by("line-2", &other);
    assert_eq!(service.est(broken).await.status, StatusCode::BAD_REQUEST);
    let good = EstRequest::post("/simpleenroll", &csr("press-4")).by("line-2", &other);
    service.est(good).await.certificate();
}

#[tokio::test]
async fn clients_at_once_share_the_uses_of_a_user() {
    const USES: u32 = 6;
    let service = std::sync::Arc::new(Service::start().await);
    service.issuer("fleet", json!({})).await;
    let chosen = StoredPassword::choose("a chosen password", &[1; 16]).unwrap();
    let made_up = service
        .issuer_user("fleet", "made-up", Some(USES), None)
        .await;
    service
        .issuer_user_with("fleet", "chosen", &chosen, Some(USES), None)
        .await;
    for (user, password) in [
        ("made-up", made_up.as_str()),
        ("chosen", "a chosen password"),
    ] {
        let clients = (0..4 * USES).map(|n| {
            let (service, password) = (service.clone(), password.to_owned());
            let request = EstRequest::post("/simpleenroll", &csr(&format!("{user}-{n}")));
            tokio::spawn(async move { service.est(request.by(user, &password)).await.status })
        });
        let mut answered = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            answered.push(client.await.unwrap());
        }
        let count = |status| answered.iter().filter(|one| **one == status).count();
        let (issued, refused) = (count(StatusCode::OK), count(StatusCode::FORBIDDEN));
        assert_eq!(
            (issued, refused),
            (USES as usize, 3 * USES as usize),
            "{answered:?}"
        );
    }
    let query = provisioning::IssuedQuery {
        limit: 100,
        ..Default::default()
    };
    let listed = service
        .provisioning
        .list_issued(&"fleet".parse().unwrap(), query)
        .await;
    assert_eq!(listed.unwrap().items.len(), 2 * USES as usize);
}

#[tokio::test]
async fn a_user_expires() {
    let service = Service::start().await;
    service.issuer("fleet", json!({})).await;
    let end = service.now().plus(Duration::from_secs(60));
    let password = service
        .issuer_user("fleet", "line-1", None, Some(end))
        .await;
    let enroll = || EstRequest::post("/simpleenroll", &csr("press-1")).by("line-1", &password);
    service.advance(59);
    service.est(enroll()).await.certificate();
    service.advance(1);
    let expired = service.est(enroll()).await;
    assert_eq!(expired.status, StatusCode::FORBIDDEN);
    assert_eq!(expired.body, "this user has expired\n");
    assert_eq!(service.last_refusal("press-1").await.0, "est_user_expired");
}

#[tokio::test]
async fn a_path_without_a_name_means_the_default_issuer() {
    let service = Service::start().await;
    let none = service.est(EstRequest::get("/cacerts")).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert!(none.body.contains("has no issuer"), "{}", none.body);
    service.issuer("one", json!({"commonName": "One"})).await;
    service.issuer("two", json!({"commonName": "Two"})).await;
    let ambiguous = service.est(EstRequest::get("/cacerts")).await;
    assert_eq!(ambiguous.status, StatusCode::NOT_FOUND);
    assert!(ambiguous.body.contains("2 issuers"), "{}", ambiguous.body);
    let named = service.est(EstRequest::get("/two/cacerts")).await;
    assert_eq!(named.certificates()[0].subject(), "CN=Two");
    service
        .issuer("three", json!({"commonName": "Three", "default": true}))
        .await;
    let default = service.est(EstRequest::get("/cacerts")).await;
    assert_eq!(default.certificates()[0].subject(), "CN=Three");
    let unknown = service.est(EstRequest::get("/four/cacerts")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(
        unknown.body.contains("no issuer \"four\""),
        "{}",
        unknown.body
    );
}

#[tokio::test]
async fn a_server_makes_keys_only_when_its_issuer_says_so() {
    let service = Service::start().await;
    service.issuer("off", json!({})).await;
    service
        .issuer(
            "on",
            json!({"serverKeyGeneration": true, "keyTypes": ["P-384", "P-256"]}),
        )
        .await;
    let password = service.issuer_user("on", "line-1", Some(2), None).await;
    let mut request = csr("press-1");
    // The signature counts for nothing: the key of the request is not used.
    *request.last_mut().unwrap() ^= 1;
    let off = EstRequest::post("/off/serverkeygen", &request).by("line-1", &password);
    assert_eq!(service.est(off).await.status, StatusCode::NOT_FOUND);
    let on = EstRequest::post("/on/serverkeygen", &request).by("line-1", &password);
    let answer = service.est(on).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let boundary = answer
        .header("content-type")
        .split("boundary=")
        .nth(1)
        .unwrap();
    let parts: Vec<&str> = answer.body.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[3]), (4, "--\r\n"));
    let part = |text: &str, kind: &str| {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(kind), "{head}");
        wire::est::decode(body.as_bytes()).unwrap().into_owned()
    };
    let key = PrivateKey::from_der(&part(parts[1], "application/pkcs8")).unwrap();
    let issued = pki::read_certs_only(&part(parts[2], "smime-type=certs-only")).unwrap();
    assert_eq!(issued[0].subject(), "CN=press-1");
    key.matches(&issued[0]).unwrap();
    // It is nowhere: neither in the store nor among the files.
    let der = key.pkcs8_der().secret_pkcs8_der().to_vec();
    // The private scalar of a P-256 key in PKCS#8.
    let secret = &der[36..68];
    for (path, bytes) in service.files() {
        let found = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "{}", path.display());
    }
}
