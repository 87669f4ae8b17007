//! A hub with its registry, and the two kinds of callers: operators over HTTP
//! and devices over MQTT.

mod certificates;
mod device;
mod http;
mod interruption;
mod issuer;
mod stream;
mod webhook;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hub::{DeviceLimits, Hub, HubLimits, HubOptions, UploadOptions};
use ids::{HubHost, HubName, Timestamp};
use mqtt::{Connect, Password};
use pki::{PeerChain, PresentedChain};
use provisioning::Provisioning;
use registry::{Init, Registry, SystemEntropy};
use serde_json::{Value, json};
use tokio::sync::watch;
use transport::ConnectRefused;
use wire::sas::SharedAccessKey;

pub use certificates::{Ca, self_signed, self_signed_ca};
pub use device::Device;
pub use http::{Ask, Reply};
pub use interruption::interrupted;
pub use issuer::Issuer;
pub use stream::Stream;
pub use webhook::Webhook;

pub const HOST: &str = "hub.example";
const START: i64 = 1_800_000_000;

pub struct World {
    pub hub: Hub,
    pub registry: Registry,
    /// The service that the hub is linked to.
    pub provisioning: Provisioning,
    /// What every endpoint of the hubs reaches.
    pub webhook: Arc<Webhook>,
    pub stream: Stream,
    /// Issues certificates to connected devices.
    pub issuer: Arc<Issuer>,
    clock: Arc<AtomicI64>,
    stop: watch::Sender<bool>,
    pub directory: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
        Self::with_limits(HubLimits::default(), DeviceLimits::default()).await
    }

    pub async fn with_limits(limits: HubLimits, device_limits: DeviceLimits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(START));
        let hub_name = HubName::parse("hub").unwrap();
        let init = Init {
            rehearse: false,
            hub_name,
            hub_host: HubHost::parse(HOST).unwrap(),
            entropy: Arc::new(SystemEntropy),
        };
        let provisioning = Provisioning::open(
            directory.path(),
            init,
            Default::default(),
            Timestamp::from_unix_seconds(START),
        )
        .await
        .unwrap();
        let registry = provisioning.registry().clone();
        let (webhook, stream) = (Arc::new(Webhook::default()), Stream::default());
        let issuer = Arc::new(Issuer::default());
        let called = (&webhook, &stream, &issuer);
        let options = HubOptions {
            limits,
            device_limits,
            ..options(&clock, called, directory.path())
        };
        let hub = Hub::new(registry.clone(), options);
        let world = Self {
            hub,
            registry,
            provisioning,
            webhook,
            stream,
            issuer,
            clock,
            stop: watch::Sender::new(false),
            directory,
        };
        world.run();
        world
    }

    /// Runs the background work of the hubs as they are now.
    pub fn run(&self) {
        let (engine, stopping) = (self.hub.clone(), self.stop.subscribe());
        tokio::spawn(async move { engine.run(stopping).await });
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        self.stop = watch::Sender::new(false);
    }

    /// The hubs as a process that begins now finds them: what is not stored is gone.
    pub fn begin_again(&mut self) {
        self.stop();
        let called = (&self.webhook, &self.stream, &self.issuer);
        let options = options(&self.clock, called, self.directory.path());
        self.hub = Hub::new(self.registry.clone(), options);
    }

    /// Begins again with so many bytes that uploads leave free.
    pub fn keep_free(&mut self, min_free: u64) {
        self.stop();
        let called = (&self.webhook, &self.stream, &self.issuer);
        let mut options = options(&self.clock, called, self.directory.path());
        options.uploads.min_free = min_free;
        self.hub = Hub::new(self.registry.clone(), options);
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.clock.load(Ordering::Relaxed))
    }

    pub fn advance(&self, by: Duration) {
        self.clock
            .fetch_add(by.as_secs().cast_signed(), Ordering::Relaxed);
    }

    /// A token of a shared access policy.
    pub fn policy(&self, name: &str) -> String {
        let local = self.registry.hubs();
        let policy = local.hubs[0]
            .policies
            .iter()
            .find(|policy| policy.name == name)
            .unwrap();
        let key = SharedAccessKey::try_from(&policy.primary).unwrap();
        wire::sas::build(
            HOST,
            Some(name),
            self.now().plus(Duration::from_secs(3600)),
            &key,
        )
    }

    /// A request of the owner.
    pub fn ask(&self, method: &str, path: &str) -> Ask<'_> {
        let headers = vec![("authorization", self.policy("iothubowner"))];
        let method = method.parse().unwrap();
        Ask {
            world: self,
            method,
            path: path.to_owned(),
            body: Vec::new(),
            headers,
            chain: PeerChain::default(),
        }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ask("GET", path).send().await.ok()
    }

    pub async fn put(&self, path: &str, body: &Value) -> Value {
        self.ask("PUT", path).json(body).send().await.ok()
    }

    pub async fn patch_twin(&self, id: &str, body: &Value) -> Value {
        self.ask("PATCH", &format!("/twins/{id}"))
            .if_match("\"*\"")
            .json(body)
            .send()
            .await
            .ok()
    }

    /// Creates a device with keys; returns its primary key.
    pub async fn sas_device(&self, id: &str) -> SharedAccessKey {
        let device = self
            .put(&format!("/devices/{id}"), &json!({"deviceId": id}))
            .await;
        primary_key(&device)
    }

    /// Creates an IoT Edge device with keys.
    pub async fn edge_device(&self, id: &str) -> SharedAccessKey {
        let body = json!({"deviceId": id, "capabilities": {"iotEdge": true}});
        primary_key(&self.put(&format!("/devices/{id}"), &body).await)
    }

    /// A token for `devices/…` that lives an hour.
    pub fn token(&self, resource: &str, key: &SharedAccessKey) -> String {
        let resource = format!("{HOST}/{resource}");
        wire::sas::build(
            &resource,
            None,
            self.now().plus(Duration::from_secs(3600)),
            key,
        )
    }

    pub async fn open(
        &self,
        connect: &Connect,
        chain: Option<&PresentedChain>,
    ) -> Result<Device, ConnectRefused> {
        let session = self
            .hub
            .mqtt(connect, chain.map(|chain| Arc::new(chain.clone())))
            .await?;
        Ok(Device::new(session, &connect.client_id))
    }

    /// Connects a device with its key.
    pub async fn device(&self, id: &str, key: &SharedAccessKey) -> Device {
        let connect = connect(id, Some(&self.token(&format!("devices/{id}"), key)));
        self.open(&connect, None).await.unwrap()
    }
}

fn options(
    clock: &Arc<AtomicI64>,
    (webhook, stream, issuer): (&Arc<Webhook>, &Stream, &Arc<Issuer>),
    directory: &Path,
) -> HubOptions {
    let ticking = clock.clone();
    let clock: ids::Clock = Arc::new(move || {
        interruption::read_clock();
        Timestamp::from_unix_seconds(ticking.load(Ordering::Relaxed))
    });
    HubOptions {
        clock,
        pace: transport::pace::Pace::default(),
        outbound: webhook.clone(),
        streams: Arc::new(stream.clone()),
        certificate_issuer: issuer.clone(),
        limits: HubLimits::default(),
        device_limits: DeviceLimits::default(),
        uploads: UploadOptions {
            directory: directory.join("uploads"),
            max_bytes: 1024,
            min_free: 0,
        },
        transfers: directory.join("transfers"),
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

pub fn primary_key(identity: &Value) -> SharedAccessKey {
    let text = identity["authentication"]["symmetricKey"]["primaryKey"]
        .as_str()
        .unwrap();
    SharedAccessKey::from_base64(text).unwrap()
}

/// The CONNECT of an SDK; `id` is `device` or `device/module`.
pub fn connect(id: &str, password: Option<&str>) -> Connect {
    Connect {
        client_id: id.to_owned(),
        clean_session: false,
        keep_alive: 60,
        will: None,
        username: Some(format!(
            "{HOST}/{id}/?api-version=2019-10-01&DeviceClientType=test"
        )),
        password: password.map(|text| Password::new(text.as_bytes().to_vec())),
    }
}

/// Asks again and again until `found` is satisfied, at most 10 s of real time. Where a test pauses
/// its clock, that runs ahead of the threads that write and read, which need some real time too.
pub async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let real = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1)));
        real.await.unwrap();
    }
    panic!("it did not come true in time")
}
