//! Certificates issued to devices as they register.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::{Certificate, PresentedChain};
use rcgen::{CertificateParams, DnType, KeyPair, SignatureAlgorithm};
use serde_json::{Value, json};
use wire::sas::SharedAccessKey;
use wire::service_api::identity::{Authentication, CertificateThumbprint};

use crate::harness::hierarchy::{chain, self_signed};
use crate::harness::keys::{key, symmetric};
use crate::harness::mqtt::{REGISTER, ask, session};
use crate::harness::{Answer, Service, individual};

/// A request for `name`, DER.
fn request_of(name: &str, algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serialize_request(&key).unwrap().der().to_vec()
}

pub fn request(name: &str) -> Vec<u8> {
    request_of(name, &rcgen::PKCS_ECDSA_P256_SHA256)
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
}

/// A device with a key, and what it asks with.
pub struct Device {
    id: &'static str,
    key: SharedAccessKey,
}

impl Device {
    /// Enrolls it, with more in its enrollment.
    pub async fn enrolled(service: &Service, id: &'static str, more: Value) -> Self {
        let mut body = symmetric("registrationId", id, &json!({}));
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        let created = service.create(&format!("/enrollments/{id}"), &body).await;
        let key = key(&created.body["attestation"]["symmetricKey"]["primaryKey"]);
        Self { id, key }
    }

    async fn send(&self, service: &Service, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!(
                "/{}/registrations/{}{path}?api-version=2025-07-01-preview",
                service.id_scope(),
                self.id
            ))
            .header(
                "authorization",
                service.token(self.id, &self.key, service.soon()),
            )
            .body(Body::from(body.to_string()))
            .unwrap();
        service.send(request).await
    }

    pub async fn register(&self, service: &Service, body: Value) -> Answer {
        self.send(service, Method::PUT, "/register", &body).await
    }

    pub async fn poll(&self, service: &Service, operation: &str) -> Answer {
        let path = format!("/operations/{operation}");
        self.send(service, Method::GET, &path, &json!({})).await
    }

    pub async fn provision(&self, service: &Service, body: Value) -> (String, Value) {
        let accepted = self.register(service, body).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
        let operation = accepted.body["operationId"].as_str().unwrap().to_owned();
        let polled = self.poll(service, &operation).await;
        assert_eq!(polled.status, StatusCode::OK, "{}", polled.body);
        (operation, polled.body["registrationState"].clone())
    }
}

pub async fn issuer(service: &Service, name: &str, body: Value) {
    let path = format!("/muster/v1/dps/issuers/{name}");
    service.create(&path, &body).await;
}

pub fn certificates(state: &Value) -> Vec<Certificate> {
    let chain = state["issuedCertificateChain"].as_array().unwrap();
    let one = |text: &Value| {
        let der = STANDARD.decode(text.as_str().unwrap()).unwrap();
        Certificate::from_der(&der).unwrap()
    };
    chain.iter().map(one).collect()
}

/// The thumbprints by which the hub knows a device.
pub async fn thumbprints(service: &Service, id: &str) -> [String; 2] {
    let device = id.parse().unwrap();
    let hub = "hub".parse().unwrap();
    let record = service
        .provisioning
        .registry()
        .device(&hub, &device)
        .await
        .unwrap();
    let Authentication::SelfSigned { primary, secondary } = record.authentication else {
        panic!("thumbprints were expected")
    };
    [primary, secondary].map(|one| match one {
        Some(CertificateThumbprint::Sha256(hash)) => hash.to_string(),
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn a_device_with_a_key_gets_a_chain_that_survives_a_restart() {
    let service = Service::start().await;
    issuer(
        &service,
        "fleet",
        json!({"validityDays": 30, "commonName": "Fleet CA"}),
    )
    .await;
    let device =
        Device::enrolled(&service, "dev-1", json!({"credentialPolicyName": "Fleet"})).await;
    // The common name may be spelled otherwise; the profile decides what the certificate says.
    let csr = STANDARD.encode(request("DEV-1"));
    let (operation, state) = device.provision(&service, json!({"csr": csr})).await;
    let issued = certificates(&state);
    let [leaf, ca] = issued.as_slice() else {
        panic!("{state}")
    };
    assert_eq!(leaf.subject(), "CN=dev-1");
    assert_eq!(ca.subject(), "CN=Fleet CA");
    assert!(leaf.is_signed_by(ca) && !leaf.is_ca());
    assert_eq!(leaf.serial_hex().len(), 32);
    let life = leaf.not_after().since(service.now());
    assert_eq!(life.as_secs(), 30 * 24 * 3600);
    let hash = leaf.sha256().to_string();
    assert_eq!(
        thumbprints(&service, "dev-1").await,
        [hash.clone(), hash.clone()]
    );
    assert!(state.get("issuedClientCertificate").is_none());
    let audit = service.audit_text();
    assert!(
        audit.contains(leaf.serial_hex()) && audit.contains(&hash),
        "{audit}"
    );

    let service = service.restarted().await;
    let polled = device.poll(&service, &operation).await;
    assert_eq!(polled.body["registrationState"], state);
    // Without a request the key is what counts again, and the old certificate is not handed out.
    let (_, state) = device.provision(&service, json!({})).await;
    assert!(state.get("issuedCertificateChain").is_none(), "{state}");
    // The key of the issuer is still there.
    let (_, state) = device.provision(&service, json!({"csr": csr})).await;
    assert_eq!(certificates(&state)[1], *ca);
    assert_ne!(certificates(&state)[0], *leaf);
}

#[tokio::test]
async fn the_older_api_version_gets_pem() {
    let service = Service::start().await;
    issuer(&service, "fleet", json!({})).await;
    let policy = json!({"clientCertificateIssuancePolicy": {"certificateAuthorityName": "fleet"}});
    let device = Device::enrolled(&service, "dev-1", policy).await;
    let body = json!({"clientCertificateCsr": pem(&request("dev-1"))});
    let (_, state) = device.provision(&service, body).await;
    let text = state["issuedClientCertificate"].as_str().unwrap();
    let issued = Certificate::parse_pem_bundle(text).unwrap();
    assert_eq!(issued.len(), 2);
    assert_eq!(issued[0].subject(), "CN=dev-1");
    assert!(issued[0].is_signed_by(&issued[1]));
    assert!(state.get("issuedCertificateChain").is_none());
}

#[tokio::test]
async fn over_mqtt_a_device_with_a_certificate_keeps_it_as_its_second() {
    let service = Service::start().await;
    issuer(&service, "fleet", json!({})).await;
    let bootstrap = self_signed("edge-001");
    let mut body = individual("edge-001", &bootstrap);
    body["credentialPolicyName"] = json!("fleet");
    service.create("/enrollments/edge-001", &body).await;
    let der = request_of("edge-001", &rcgen::PKCS_ECDSA_P384_SHA384);
    for (member, csr) in [
        ("csr", STANDARD.encode(&der)),
        ("clientCertificateCsr", pem(&der)),
    ] {
        let mut session = session(&service, "edge-001", Some(chain(&[&bootstrap])));
        let body = json!({"registrationId": "edge-001", member: csr}).to_string();
        let (topic, body) = ask(&mut session, REGISTER, &body).await;
        assert_eq!(topic.status, 202, "{body}");
        let operation = body["operationId"].as_str().unwrap();
        let poll = format!(
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}"
        );
        let (topic, body) = ask(&mut session, &poll, " ").await;
        assert_eq!(topic.status, 200, "{body}");
        let state = &body["registrationState"];
        let leaf = match member {
            "csr" => certificates(state)[0].clone(),
            _ => {
                let text = state["issuedClientCertificate"].as_str().unwrap();
                Certificate::parse_pem_bundle(text).unwrap()[0].clone()
            }
        };
        let wanted = [leaf.sha256(), bootstrap.sha256()].map(|hash| hash.to_string());
        assert_eq!(thumbprints(&service, "edge-001").await, wanted);
    }
    let bad = json!({"csr": STANDARD.encode(request("other"))}).to_string();
    let mut session = session(&service, "edge-001", Some(chain(&[&bootstrap])));
    let (topic, body) = ask(&mut session, REGISTER, &bad).await;
    assert_eq!((topic.status, &body["errorCode"]), (400, &json!(400_004)));
}

impl Service {
    pub async fn newest_refusal(&self, id: &str) -> Value {
        let request = Request::builder()
            .uri(format!(
                "https://{}/muster/v1/dps/refusals?api-version=2021-10-01&registrationId={id}",
                crate::harness::HOST
            ))
            .header("authorization", self.owner())
            .body(Body::empty())
            .unwrap();
        self.send(request).await.body[0].clone()
    }
}

/// Faulty requests: reason code, registration ID, request, and more of the enrollment.
fn faulty_requests() -> Vec<(&'static str, &'static str, Vec<u8>, Value)> {
    let named = json!({"credentialPolicyName": "fleet"});
    let mut forged = request("dev-forged");
    *forged.last_mut().unwrap() ^= 1;
    let p384 = request_of("dev-384", &rcgen::PKCS_ECDSA_P384_SHA384);
    let ed25519 = request_of("dev-ed", &rcgen::PKCS_ED25519);
    let key = KeyPair::generate().unwrap();
    let mut nameless = CertificateParams::default();
    nameless.distinguished_name = rcgen::DistinguishedName::new();
    let nameless = nameless.serialize_request(&key).unwrap().der().to_vec();
    let mut trailing = request("dev-more");
    trailing.push(0);
    vec![
        (
            "csr_issuer_absent",
            "dev-none",
            request("dev-none"),
            json!({}),
        ),
        (
            "csr_unparsable",
            "dev-junk",
            vec![0x30, 3, 2, 1, 1],
            named.clone(),
        ),
        ("csr_unparsable", "dev-more", trailing, named.clone()),
        (
            "csr_common_name_mismatch",
            "dev-name",
            request("other"),
            named.clone(),
        ),
        (
            "csr_common_name_absent",
            "dev-nobody",
            nameless,
            named.clone(),
        ),
        ("csr_signature_bad", "dev-forged", forged, named.clone()),
        ("csr_key_type_forbidden", "dev-384", p384, named.clone()),
        ("csr_key_unsupported", "dev-ed", ed25519, named),
    ]
}

#[tokio::test]
async fn each_fault_of_a_request_has_its_reason_and_registers_nobody() {
    let service = Service::start().await;
    issuer(&service, "fleet", json!({"keyTypes": ["P-256"]})).await;
    for (reason, id, csr, enrollment) in faulty_requests() {
        let device = Device::enrolled(&service, id, enrollment).await;
        let answer = device
            .register(&service, json!({"csr": STANDARD.encode(csr)}))
            .await;
        assert_eq!(answer.error(), 400_004, "{reason}");
        assert_ne!(answer.message(), "Unauthorized");
        let kept = service.newest_refusal(id).await;
        assert_eq!(kept["reason"], reason, "{kept}");
        assert_eq!(kept["errorCode"], 400_004);
        let found = service
            .operate(Method::GET, &format!("/registrations/{id}"), &[], None)
            .await;
        assert_eq!(found.error(), 404_202, "{reason}");
        let listed = include_str!("../../../../../docs/reason-codes.md");
        assert!(listed.contains(&format!("| `{reason}` |")), "{reason}");
    }
    assert!(!service.audit_text().contains("certificate.issued"));
}

#[tokio::test]
async fn nothing_is_issued_to_strangers_nor_by_a_look_up() {
    let service = Service::start().await;
    issuer(&service, "fleet", json!({})).await;
    let named = json!({"credentialPolicyName": "fleet"});
    let device = Device::enrolled(&service, "dev-1", named).await;
    let body = json!({"csr": STANDARD.encode(request("dev-1"))});
    let stranger = Device {
        id: "dev-1",
        key: SharedAccessKey::from_bytes(vec![7; 32]).unwrap(),
    };
    let answer = stranger.register(&service, body.clone()).await;
    assert_eq!(answer.error(), 401_002);
    assert_eq!(answer.message(), "Unauthorized");
    device.provision(&service, json!({})).await;
    let looked = device.send(&service, Method::POST, "", &body).await;
    assert_eq!(looked.error(), 400_004);
    assert!(looked.message().contains("csr"), "{}", looked.message());
    assert!(!service.audit_text().contains("certificate.issued"));
}

#[tokio::test]
async fn a_device_whose_hub_a_webhook_chooses_gets_its_certificate_with_its_hub() {
    let service = Service::start().await;
    issuer(&service, "fleet", json!({})).await;
    let custom = json!({
        "credentialPolicyName": "fleet", "allocationPolicy": "custom",
        "customAllocationDefinition": {"webhookUrl": "https://f.example/a", "apiVersion": "2021-10-01"},
    });
    let device = Device::enrolled(&service, "dev-1", custom).await;
    let body = json!({"csr": STANDARD.encode(request("dev-1"))});
    let accepted = device.register(&service, body).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    let operation = accepted.body["operationId"].as_str().unwrap();
    let waiting = device.poll(&service, operation).await;
    assert_eq!(waiting.body["status"], "assigning");
    assert!(!waiting.body.to_string().contains("issuedCertificateChain"));

    let service = service.restarted().await;
    service
        .webhook
        .will_answer(200, &json!({"iotHubHostName": "hub.test"}));
    service.run();
    let mut polled = device.poll(&service, operation).await;
    for _ in 0..400 {
        if polled.status == StatusCode::OK {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        polled = device.poll(&service, operation).await;
    }
    let state = &polled.body["registrationState"];
    assert_eq!(state["status"], "assigned", "{state}");
    let hash = certificates(state)[0].sha256().to_string();
    assert_eq!(thumbprints(&service, "dev-1").await, [hash.clone(), hash]);
    let entered = service.audit_text().matches("certificate.issued").count();
    assert_eq!(entered, 1);
}

#[tokio::test]
async fn an_imported_intermediate_issues_with_its_chain() {
    let service = Service::start().await;
    let dir = tempfile::tempdir().unwrap();
    let now = service.now();
    ca::CaDirectory::init(dir.path(), &ca::InitOptions::default(), now).unwrap();
    let portable = ca::PortableIssuer::from_directory(dir.path(), None).unwrap();
    let body = json!({"certificate": portable.chain, "privateKey": portable.key.as_str()});
    issuer(&service, "factory", body).await;
    let named = json!({"credentialPolicyName": "factory"});
    let device = Device::enrolled(&service, "dev-1", named).await;
    let body = json!({"csr": STANDARD.encode(request("dev-1"))});
    let (_, state) = device.provision(&service, body).await;
    let issued = certificates(&state);
    assert_eq!(issued.len(), 3);
    let presented: Vec<&Certificate> = issued[..2].iter().collect();
    let presented: PresentedChain = chain(&presented);
    let cache = pki::IssuerCache::default();
    pki::verify_chain(&presented, &issued[2], now, &cache).unwrap();
}
