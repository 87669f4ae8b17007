//! A provisioning service over a store in a temporary directory, and its callers over HTTPS.

pub mod attempt;
pub mod ca_certificates;
pub mod est;
pub mod hierarchy;
pub mod keys;
pub mod mqtt;
pub mod operators;
pub mod remote;
pub mod remote_hub_server;
pub mod running;
pub mod tpm;
pub mod webhook;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use dps::{AdmissionLimits, Dps, DpsOptions};
use ids::{HubHost, HubName, Timestamp};
use pki::{Certificate, PeerChain, PresentedChain};
use provisioning::Provisioning;
use registry::{Init, Registry, Right, SystemEntropy};
use serde_json::{Value, json};
use wire::sas::SharedAccessKey;

use running::Running;
use webhook::Webhook;

pub const HOST: &str = "dps.test";
/// 2026-06-01.
const START: i64 = 1_780_272_000;

pub struct Service {
    pub dps: Dps,
    pub provisioning: Provisioning,
    pub webhook: Arc<Webhook>,
    clock: Arc<AtomicI64>,
    limits: AdmissionLimits,
    directory: tempfile::TempDir,
    running: Mutex<Option<Running>>,
}

/// An answer with its body read.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The six-digit code of an error, which header and body must agree on
    /// and which implies the status.
    pub fn error(&self) -> u64 {
        let code = self.body["errorCode"].as_u64().unwrap();
        assert_eq!(self.header("x-ms-error-code"), code.to_string());
        assert_eq!(code / 1000, u64::from(self.status.as_u16()));
        assert_eq!(self.body["trackingId"], self.header("x-ms-request-id"));
        code
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap()
    }
}

impl Service {
    /// Without limits per device: the clock of these tests stands still, and with it what
    /// a device may ask again.
    pub async fn start() -> Self {
        let limits = AdmissionLimits {
            device_registrations_per_minute: u32::MAX,
            device_polls_per_10_seconds: u32::MAX,
            ..AdmissionLimits::default()
        };
        Self::start_with(limits).await
    }

    pub async fn start_with(limits: AdmissionLimits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(START));
        Self::over(directory, clock, limits).await
    }

    /// The same data directory after the process is gone.
    pub async fn restarted(self) -> Self {
        let Self {
            dps,
            provisioning,
            clock,
            limits,
            directory,
            webhook,
            running,
        } = self;
        drop(running);
        drop(dps);
        drop(provisioning);
        let again = Self::over(directory, clock, limits).await;
        // The world outside goes on.
        again.webhook.remote.become_like(&webhook.remote);
        again
    }

    async fn over(
        directory: tempfile::TempDir,
        clock: Arc<AtomicI64>,
        limits: AdmissionLimits,
    ) -> Self {
        let init = Init {
            rehearse: false,
            hub_name: HubName::parse("hub").unwrap(),
            hub_host: HubHost::parse("hub.test").unwrap(),
            entropy: Arc::new(SystemEntropy),
        };
        let now = Timestamp::from_unix_seconds(clock.load(Ordering::Relaxed));
        let mut tries = 0;
        let provisioning = loop {
            match Provisioning::open(directory.path(), init.clone(), Default::default(), now).await
            {
                Ok(provisioning) => break provisioning,
                // What was going on in the process before is let go of in its own time.
                Err(error) if tries == 100 => panic!("{error}"),
                Err(_) => tries += 1,
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        let reading = Arc::clone(&clock);
        let webhook = Arc::new(Webhook::default());
        let options = DpsOptions {
            host: HubHost::parse(HOST).unwrap(),
            await_certificate_for_hosts: None,
            outbound: webhook.clone(),
            device_issuers: Arc::new(ca::DeviceIssuers::at(directory.path())),
            publishes_logs: true,
            clock: Arc::new(move || Timestamp::from_unix_seconds(reading.load(Ordering::Relaxed))),
            limits: limits.clone(),
        };
        Self {
            dps: Dps::new(provisioning.clone(), options),
            webhook,
            provisioning,
            clock,
            limits,
            directory,
            running: Mutex::default(),
        }
    }

    /// Where everything is stored.
    pub fn data_dir(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The kinds of everything in the audit, oldest first, with what each
    /// is about; its chain holds.
    pub fn audited(&self) -> Vec<String> {
        Registry::verify_audit(self.directory.path(), &[]).unwrap();
        let query = registry::AuditQuery {
            limit: 1000,
            ..Default::default()
        };
        let mut records = Registry::audit(self.directory.path(), &query).unwrap();
        records.sort_by_key(|record| (record.stream, record.number));
        let text = |body: &Value, name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let line = |record: &registry::AuditRecord| {
            let about = text(&record.body, "target") + &text(&record.body, "registrationId");
            format!("{} {about}", text(&record.body, "kind"))
        };
        records.iter().map(line).collect()
    }

    /// Everything that the audit says.
    pub fn audit_text(&self) -> String {
        let query = registry::AuditQuery {
            limit: 1000,
            ..Default::default()
        };
        let records = Registry::audit(self.directory.path(), &query).unwrap();
        records
            .iter()
            .map(|record| record.body.to_string())
            .collect()
    }

    /// Everything in the data directory but what readers share while they read.
    pub fn files(&self) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
        let (mut files, mut folders) = (Default::default(), vec![self.directory.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.to_string_lossy().ends_with("-shm") {
                    let bytes = std::fs::read(&path).unwrap();
                    std::collections::BTreeMap::insert(&mut files, path, bytes);
                }
            }
        }
        files
    }

    /// Sets the gauges of the recorder of this thread.
    pub fn show_metrics(&self) {
        self.dps.show_metrics();
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.clock.load(Ordering::Relaxed))
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn id_scope(&self) -> String {
        self.provisioning.service().id_scope.to_string()
    }

    /// A token of the policy that has every right.
    pub fn owner(&self) -> String {
        self.owner_of(HOST)
    }

    /// The same for a host as a client names it.
    pub fn owner_of(&self, host: &str) -> String {
        let service = self.provisioning.service();
        let policy = &service.policies[0];
        assert!(policy.grants(Right::EnrollmentWrite));
        let key = SharedAccessKey::try_from(&policy.primary).unwrap();
        let expiry = self.now().plus(std::time::Duration::from_secs(3600));
        wire::sas::build(host, Some(&policy.name), expiry, &key)
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.dps.answer(request).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        assert!(parts.headers.contains_key("x-ms-request-id"));
        if !bytes.is_empty() {
            assert_eq!(
                parts.headers["content-type"],
                "application/json; charset=utf-8"
            );
        }
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    /// An operator's request with every right.
    pub async fn operate(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let sign = if path.contains('?') { '&' } else { '?' };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://{HOST}{path}{sign}api-version=2021-10-01"))
            .header("authorization", self.owner());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    /// Creates an enrollment (`enrollments/…`) or group (`enrollmentGroups/…`).
    pub async fn create(&self, path: &str, body: &Value) -> Answer {
        let answer = self.operate(Method::PUT, path, &[], Some(body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer
    }

    pub async fn device(
        &self,
        method: Method,
        path: &str,
        chain: Option<PresentedChain>,
        body: Body,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{path}?api-version=2021-06-01"))
            .body(body)
            .unwrap();
        request
            .extensions_mut()
            .insert(chain.map(PeerChain::of).unwrap_or_default());
        self.send(request).await
    }

    pub async fn register(&self, id: &str, chain: &PresentedChain) -> Answer {
        let path = format!("/{}/registrations/{id}/register", self.id_scope());
        let body = json!({"registrationId": id}).to_string();
        self.device(Method::PUT, &path, Some(chain.clone()), Body::from(body))
            .await
    }

    /// Registers and polls; the registration state of the poll.
    pub async fn provision(&self, id: &str, chain: &PresentedChain) -> Value {
        let accepted = self.register(id, chain).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
        let operation = accepted.body["operationId"].as_str().unwrap();
        let polled = self.poll(id, chain, operation).await;
        assert_eq!(polled.status, StatusCode::OK, "{}", polled.body);
        assert_eq!(polled.body["operationId"], operation);
        assert_eq!(
            polled.body["status"],
            polled.body["registrationState"]["status"]
        );
        polled.body["registrationState"].clone()
    }

    pub async fn poll(&self, id: &str, chain: &PresentedChain, operation: &str) -> Answer {
        let path = format!(
            "/{}/registrations/{id}/operations/{operation}",
            self.id_scope()
        );
        self.device(Method::GET, &path, Some(chain.clone()), Body::from("{}"))
            .await
    }
}

/// What `az` sends to enroll one device.
pub fn individual(id: &str, primary: &Certificate) -> Value {
    json!({
        "registrationId": id,
        "attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": primary.to_pem()}}}},
        "capabilities": {"iotEdge": true},
        "initialTwin": {"tags": {"environment": "test"}, "properties": {"desired": {"rate": 5}}},
    })
}

/// What `az` sends to enroll a group.
pub fn group(id: &str, primary: &Certificate) -> Value {
    json!({
        "enrollmentGroupId": id,
        "attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": primary.to_pem()}}}},
        "capabilities": {"iotEdge": false},
        "initialTwin": {"tags": {"site": "a"}, "properties": {"desired": {}}},
    })
}
