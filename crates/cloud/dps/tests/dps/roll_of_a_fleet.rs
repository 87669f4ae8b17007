//! A thousand devices go over to another CA while the server is interrupted again and again.

use std::collections::BTreeSet;

use pki::Certificate;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};

use crate::harness::Service;
use crate::harness::est::EstRequest;
use crate::harness::hierarchy::chain;

const DEVICES: usize = 1000;
/// Devices that do something at once: their writes share commits.
const AT_ONCE: usize = 50;

/// SplitMix64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut next = self.0;
        next = (next ^ (next >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        next = (next ^ (next >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((next ^ (next >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }
}

struct Device {
    id: String,
    csr: Vec<u8>,
    leaf: Certificate,
    /// Whether it has registered with `leaf`.
    registered: bool,
}

fn request(id: &str) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, id);
    let key = KeyPair::generate().unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

impl Device {
    async fn first(service: &Service, number: usize, password: &str) -> Self {
        let id = format!("dev-{number:04}");
        let csr = request(&id);
        let asked = EstRequest::post("/simpleenroll", &csr).by("line-1", password);
        let leaf = service.est(asked).await.certificate();
        service.provision(&id, &chain(&[&leaf])).await;
        Self {
            id,
            csr,
            leaf,
            registered: true,
        }
    }

    /// One of the things that devices do. Each must succeed, whatever the roll has come to.
    async fn step(&mut self, service: &Service, renews: bool) {
        if renews {
            let asked = EstRequest::post("/simplereenroll", &self.csr);
            let asked = asked.with(chain(&[&self.leaf]));
            self.leaf = service.est(asked).await.certificate();
            self.registered = false;
        } else {
            let state = service.provision(&self.id, &chain(&[&self.leaf])).await;
            assert_eq!(state["status"], "assigned", "{state}");
            self.registered = true;
        }
    }
}

/// Polls a request some times and then lets go of it, as a client that is killed does.
async fn interrupted<T>(request: impl Future<Output = T>, polls: usize) {
    let mut request = std::pin::pin!(request);
    for _ in 0..polls {
        let once = std::future::poll_fn(|context| {
            std::task::Poll::Ready(request.as_mut().poll(context).is_ready())
        });
        if once.await {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn all<F: Future>(futures: Vec<F>) {
    let mut futures: Vec<_> = futures.into_iter().map(|one| Some(Box::pin(one))).collect();
    std::future::poll_fn(|context| {
        for slot in &mut futures {
            if slot
                .as_mut()
                .is_some_and(|one| one.as_mut().poll(context).is_ready())
            {
                *slot = None;
            }
        }
        match futures.iter().all(Option::is_none) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

async fn fleet(service: &Service) -> Vec<Device> {
    let password = service.issuer_user("fleet", "line-1", None, None).await;
    let mut devices = Vec::with_capacity(DEVICES);
    for first in (0..DEVICES).step_by(AT_ONCE) {
        let made = std::sync::Mutex::new(Vec::new());
        let batch = (first..first + AT_ONCE).map(|number| {
            let (made, password) = (&made, &password);
            async move {
                let device = Device::first(service, number, password).await;
                made.lock().unwrap().push(device);
            }
        });
        all(batch.collect()).await;
        devices.extend(made.into_inner().unwrap());
        service.advance(1);
    }
    devices
}

/// The request to start is let go of at any point; the server is gone after each time.
async fn interrupted_start(mut service: Service) -> Service {
    for polls in 0..4 {
        interrupted(service.roll("start", &json!({})), polls).await;
        service = service.restarted().await;
    }
    service
}

async fn interrupted_finish(mut service: Service) -> Service {
    interrupted(service.roll("finish", &json!({})), 2).await;
    service = service.restarted().await;
    let status = service.roll_status().await;
    if status["rolling"] == true {
        let finished = service.roll("finish", &json!({})).await;
        assert_eq!(finished.body["rolling"], false, "{}", finished.body);
    }
    service
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_of_a_thousand_devices_that_is_interrupted_refuses_none() {
    let mut service = Service::start().await;
    let mut random = Random(11);
    let old = service.fleet().await;
    service.group("factory", &old, None).await;
    let mut devices = fleet(&service).await;

    service = interrupted_start(service).await;
    let started = service.roll("start", &json!({})).await;
    assert_eq!(started.body["rolling"], true, "{}", started.body);
    let new = service.fleet_ca().await;
    assert_ne!(new, old);

    let is_done = |device: &Device| device.registered && device.leaf.is_signed_by(&new);
    let mut refusals = 0;
    while devices.iter().any(|device| !is_done(device)) {
        let mut chosen = BTreeSet::new();
        let open: Vec<usize> = (0..DEVICES).filter(|n| !is_done(&devices[*n])).collect();
        for _ in 0..AT_ONCE {
            chosen.insert(open[random.below(open.len())]);
        }
        let mut steps = Vec::new();
        for (number, device) in devices.iter_mut().enumerate() {
            if chosen.contains(&number) {
                // Some go on with their old certificate for a while.
                let renews = device.registered && random.below(4) > 0;
                steps.push(device.step(&service, renews));
            }
        }
        all(steps).await;
        service.advance(1);
        match random.below(12) {
            0 => service = service.restarted().await,
            1 => interrupted(service.roll("start", &json!({})), random.below(5)).await,
            2 => {
                let left = devices.iter().filter(|device| !is_done(device)).count();
                let finish = service.roll("finish", &json!({})).await;
                if left > 0 {
                    refusals += 1;
                    assert_eq!(finish.error(), 409_211);
                    let words = format!("{} registered devices", uses(&service, &old).await);
                    assert!(finish.message().contains(&words), "{}", finish.message());
                }
            }
            _ => {}
        }
    }
    assert!(refusals > 0, "nobody tried to finish too early");
    service = interrupted_finish(service).await;
    let registered = &service.roll_status().await["authorities"][0]["registeredDevices"];
    assert_eq!(*registered, json!(DEVICES));
    for device in devices.iter_mut().step_by(97) {
        device.step(&service, false).await;
        device.step(&service, true).await;
    }
}

/// How many devices still use a CA.
async fn uses(service: &Service, ca: &Certificate) -> Value {
    let status = service.roll_status().await;
    let authorities = status["authorities"].as_array().unwrap();
    let print = ca.sha256().to_string();
    let of_ca = authorities
        .iter()
        .find(|one| one["certificateInfo"]["sha256Thumbprint"] == *print);
    of_ca.unwrap()["registeredDevices"].clone()
}
