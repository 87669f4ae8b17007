use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use dps::Dps;
use hub::Hub;
use ids::Timestamp;
use issuing::password::StoredPassword;
use mqtt::Connect;
use pki::{Certificate, PeerChain, PresentedChain};
use provisioning::{IssuerUserDraft, Provisioning, Secret};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use transport::{Close, DeviceSession};
use wire::sas::SharedAccessKey;

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
}

/// The service did not answer.
#[derive(Debug)]
pub struct Unavailable;

impl World {
    /// With an issuer, its user, and an enrollment group of the devices below it.
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
            self.services = None;
            self.open().await;
            self.restarts += 1;
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.clock.load(Ordering::Relaxed))
    }

    pub fn outages(&self) -> usize {
        self.outages.count()
    }

    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    fn is_down(&self) -> bool {
        self.outages.at(self.now()) == Some(Outage::Server)
    }

    fn require(&self, also: Outage) -> Result<(), Unavailable> {
        match self.outages.at(self.now()) {
            Some(Outage::Server) => Err(Unavailable),
            Some(Outage::EstAndDps) if also != Outage::Server => Err(Unavailable),
            Some(outage) if outage == also => Err(Unavailable),
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

    /// Opens a session of the hub, and says whether it was accepted.
    pub async fn connect(&self, id: &str, chain: &PresentedChain) -> Result<bool, Unavailable> {
        self.require(Outage::Server)?;
        Ok(self.accepts(id, chain).await)
    }

    /// Whether the hub accepts a certificate, by what it has written; outages aside.
    pub async fn accepts(&self, id: &str, chain: &PresentedChain) -> bool {
        let connect = Connect {
            client_id: id.to_owned(),
            clean_session: false,
            keep_alive: 60,
            will: None,
            username: Some(format!("{HUB}/{id}/?api-version=2021-04-12")),
            password: None,
        };
        let hub = &self.services.as_ref().unwrap().2;
        match hub.mqtt(&connect, Some(Arc::new(chain.clone()))).await {
            Ok(session) => {
                let gone = Close::new("connection_lost", "the client is gone");
                session.ended(gone.into(), None).await;
                true
            }
            Err(_) => false,
        }
    }
}

/// What a client of EST proves itself with.
pub enum Proof<'a> {
    /// An `Authorization` header.
    Password(&'a str),
    Certificate(&'a PresentedChain),
}
