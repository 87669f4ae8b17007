mod hub_client;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps::Dps;
use hub::Hub;
use ids::Timestamp;
use issuing::password::StoredPassword;
use pki::{Certificate, PeerChain, PresentedChain};
use provisioning::{IssuerUserDraft, Provisioning, Secret};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use wire::sas::SharedAccessKey;

pub use hub_client::{FirstAnswer, HubClient};

use super::outages::{Outage, Outages};
use super::{CERTIFICATE_DAYS, DAYS};
use crate::serve::router::tests::services_at;

/// 2026-06-01.
const START: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);
const HUB: &str = "hub.example";

/// The services of a data directory, and what fails when.
pub struct World {
    directory: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    services: Option<(Provisioning, Dps, Hub)>,
    outages: Outages,
    restarts: u32,
    /// The password of the user that sets devices up.
    pub password: String,
    /// The key of the group whose devices register with a token.
    group_key: Option<SharedAccessKey>,
}

/// The service did not answer.
#[derive(Debug)]
pub struct Unavailable;

impl World {
    /// With an issuer, its user, an enrollment group of the devices below it, and one of devices
    /// that have a key and are given a certificate as they register.
    pub async fn start(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let end = START.plus(Duration::from_secs(24 * 3600) * DAYS);
        let (password, stored) = StoredPassword::make_up(&[7; 32]);
        let mut world = Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Arc::new(AtomicI64::new(START.unix_seconds())),
            services: None,
            outages: Outages::schedule(&mut random, START, end),
            restarts: 0,
            password: password.to_string(),
            group_key: None,
        };
        world.open().await;
        let issuer = json!({"validityDays": CERTIFICATE_DAYS, "commonName": "Fleet CA"});
        let made = world.operate("/muster/v1/dps/issuers/fleet", &issuer).await;
        let signing = json!({"primary": {"certificate": made["certificate"]}});
        let group = json!({
            "enrollmentGroupId": "presses",
            "attestation": {"type": "x509", "x509": {"signingCertificates": signing}},
            "credentialPolicyName": "fleet",
        });
        world.operate("/enrollmentGroups/presses", &group).await;
        let group = json!({
            "enrollmentGroupId": "gauges",
            "attestation": {"type": "symmetricKey", "symmetricKey": {}},
            "credentialPolicyName": "fleet",
        });
        let made = world.operate("/enrollmentGroups/gauges", &group).await;
        let key = &made["attestation"]["symmetricKey"]["primaryKey"];
        world.group_key = SharedAccessKey::from_base64(key.as_str().unwrap()).ok();
        let user = IssuerUserDraft {
            name: "line-1".parse().unwrap(),
            password: Secret::new(stored.as_text().to_owned()),
            uses: None,
            expires: None,
        };
        let fleet = "fleet".parse().unwrap();
        let created = world.provisioning().create_issuer_user(&fleet, user, START);
        created.await.unwrap();
        world
    }

    async fn open(&mut self) {
        let clock = self.clock.clone();
        let now = Arc::new(move || Timestamp::from_unix_seconds(clock.load(Ordering::Relaxed)));
        self.services = Some(services_at(self.directory.path(), now).await);
    }

    /// Time passes. A server that was down comes back with what it had written.
    pub async fn advance(&mut self, time: Duration) {
        let was_down = self.is_down();
        let seconds = i64::try_from(time.as_secs()).unwrap();
        self.clock.fetch_add(seconds, Ordering::Relaxed);
        if was_down && !self.is_down() {
            // What it had begun ends.
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.services = None;
            self.open().await;
            self.restarts += 1;
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.clock.load(Ordering::Relaxed))
    }

    pub fn outages(&self) -> &Outages {
        &self.outages
    }

    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    fn is_down(&self) -> bool {
        self.outages.at(self.now()) == Some(Outage::Server)
    }

    fn require(&self, service: Outage) -> Result<(), Unavailable> {
        match self.outages.at(self.now()) {
            Some(outage) if outage.includes(service) => Err(Unavailable),
            _ => Ok(()),
        }
    }

    fn provisioning(&self) -> &Provisioning {
        &self.services.as_ref().unwrap().0
    }

    fn dps(&self) -> &Dps {
        &self.services.as_ref().unwrap().1
    }

    async fn operate(&self, path: &str, body: &Value) -> Value {
        let service = self.provisioning().service();
        let policy = &service.policies[0];
        let key = SharedAccessKey::try_from(&policy.primary).unwrap();
        let expiry = self.now().plus(Duration::from_secs(3600));
        let token = wire::sas::build(HUB, Some(&policy.name), expiry, &key);
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("https://{HUB}{path}?api-version=2021-10-01"))
            .header("host", HUB)
            .header("authorization", token);
        let (status, text) = self
            .send(request.body(Body::from(body.to_string())).unwrap())
            .await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn send(&self, request: Request<Body>) -> (u16, String) {
        let (parts, body) = self.dps().answer(request).await.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (
            parts.status.as_u16(),
            String::from_utf8(bytes.to_vec()).unwrap(),
        )
    }

    /// Requests a certificate over EST.
    pub async fn enroll(
        &self,
        operation: &str,
        csr: &[u8],
        proof: Proof<'_>,
    ) -> Result<Certificate, Unavailable> {
        self.require(Outage::Est)?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("/.well-known/est/{operation}"))
            .header("content-type", "application/pkcs10");
        let chain = match proof {
            Proof::Password(header) => {
                request = request.header("authorization", header);
                PeerChain::default()
            }
            Proof::Certificate(chain) => PeerChain::of(chain.clone()),
        };
        let mut request = request.body(Body::from(wire::est::encode(csr))).unwrap();
        request.extensions_mut().insert(chain);
        let (status, text) = self.send(request).await;
        assert_eq!(status, 200, "{operation}: {text}");
        let der = wire::est::decode(text.as_bytes()).unwrap();
        Ok(pki::read_certs_only(&der).unwrap().remove(0))
    }

    /// Registers with a token and a certificate request.
    pub async fn register_with_request(&self, id: &str, csr: &[u8]) -> Certificate {
        let scope = self.provisioning().service().id_scope.to_string();
        let digest = self.group_key.as_ref().unwrap().sign(id.as_bytes());
        let key = SharedAccessKey::from_bytes(digest.to_vec()).unwrap();
        let expiry = self.now().plus(Duration::from_secs(60));
        let resource = format!("{scope}/registrations/{id}");
        let token = wire::sas::build(&resource, Some("registration"), expiry, &key);
        let send = async |method: Method, path: &str, body: Value| {
            let uri = format!("/{resource}/{path}?api-version=2025-07-01-preview");
            let request = Request::builder().method(method).uri(uri);
            let request = request.header("authorization", &token);
            self.send(request.body(Body::from(body.to_string())).unwrap())
                .await
        };
        let body = json!({"registrationId": id, "csr": STANDARD.encode(csr)});
        let (status, text) = send(Method::PUT, "register", body).await;
        assert_eq!(status, 202, "{text}");
        let accepted: Value = serde_json::from_str(&text).unwrap();
        let operation = accepted["operationId"].as_str().unwrap();
        let path = format!("operations/{operation}");
        let (status, text) = send(Method::GET, &path, json!({})).await;
        assert_eq!(status, 200, "{text}");
        let assigned: Value = serde_json::from_str(&text).unwrap();
        let leaf = &assigned["registrationState"]["issuedCertificateChain"][0];
        Certificate::from_der(&STANDARD.decode(leaf.as_str().unwrap()).unwrap()).unwrap()
    }

    /// Registers, and says whether the device was let in.
    pub async fn register(&self, id: &str, chain: &PresentedChain) -> Result<bool, Unavailable> {
        self.require(Outage::Dps)?;
        let scope = self.provisioning().service().id_scope.to_string();
        let path = format!("/{scope}/registrations/{id}/register?api-version=2021-06-01");
        let body = Body::from(json!({"registrationId": id}).to_string());
        let request = Request::builder().method(Method::PUT).uri(path);
        let mut request = request.body(body).unwrap();
        request
            .extensions_mut()
            .insert(PeerChain::of(chain.clone()));
        let (status, text) = self.send(request).await;
        assert!(status == 202 || status == 401, "{status} {text}");
        Ok(status == 202)
    }
}

/// What a client of EST proves itself with.
pub enum Proof<'a> {
    /// An `Authorization` header.
    Password(&'a str),
    Certificate(&'a PresentedChain),
}
