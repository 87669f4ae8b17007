//! Sessions end when a certificate that opened them is revoked.

use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use ids::{CertificateSerial, IssuerName, ProfileKind};
use pki::{PresentedChain, RevocationReason};
use provisioning::IssuerDraft;
use serde_json::json;
use tokio::runtime::Handle;
use transport::{Close, DeviceSession};
use wire::muster_api::issuer::{DeviceKeyType, IssuerProfile, IssuerSettings, Lifetime};

use crate::world::{Ca, Device, World, connect, interrupted};

/// A session ends within this time after the revocation.
const BOUND: Duration = Duration::from_secs(1);
/// Serial numbers from here on are of sessions that show how far the hub has looked.
const OTHERS: u8 = 80;

fn issuer() -> IssuerName {
    IssuerName::parse("fleet").unwrap()
}

fn serial(number: u8) -> CertificateSerial {
    CertificateSerial::from_bytes(&[1, number]).unwrap()
}

/// A hub whose service has the issuer `fleet`, and the CA of it.
async fn world() -> (World, Ca) {
    let (world, ca) = (World::start().await, Ca::root("factory"));
    let draft = IssuerDraft {
        name: issuer(),
        ca_certificate: ca.certificate.sha256(),
        chain: ca.certificate.to_pem(),
        profile: IssuerProfile {
            kind: ProfileKind::EdgeIdentity,
            lifetime: Lifetime::Days { days: 30 },
            key_types: vec![DeviceKeyType::P256],
        },
        settings: IssuerSettings::default(),
    };
    let created = world.provisioning.create_issuer(draft, world.now());
    created.await.unwrap();
    (world, ca)
}

async fn enroll(world: &World, id: &str, chain: &PresentedChain) {
    let thumbprint = chain.leaf().sha256().to_string();
    let x509 = json!({"primaryThumbprint": thumbprint, "secondaryThumbprint": thumbprint});
    let authentication = json!({"type": "selfSigned", "x509Thumbprint": x509});
    let device = json!({"deviceId": id, "authentication": authentication});
    world.put(&format!("/devices/{id}"), &device).await;
}

async fn connected(world: &World, id: &str, chain: &PresentedChain) -> Device {
    enroll(world, id, chain).await;
    world.open(&connect(id, None), Some(chain)).await.unwrap()
}

/// Revokes a certificate of `fleet`. It need not be listed.
async fn revoke(world: &World, number: u8, reason: RevocationReason) {
    let (service, fleet) = (&world.provisioning, issuer());
    let revoked = service.revoke_certificate(&fleet, serial(number), reason, world.now());
    revoked.await.unwrap();
}

/// Returns when all sessions have been compared with what was revoked before the call: the second
/// of two comparisons ends a session after the first is complete.
async fn compared(world: &World, ca: &Ca, numbers: [u8; 2]) {
    for number in numbers {
        let id = format!("seen-{number}");
        let device = connected(world, &id, &ca.leaf(&id, number)).await;
        revoke(world, number, RevocationReason::Superseded).await;
        ended(&device).await;
    }
}

fn goes_on(device: &Device) -> bool {
    device.session.closed().now_or_never().is_none()
}

/// Why the session ends now.
async fn ended(device: &Device) -> String {
    let closed = tokio::time::timeout(BOUND, device.session.closed()).await;
    let close = closed.expect("the session outlived its certificate");
    format!("{}: {}", close.code, close.reason)
}

async fn refused(world: &World, id: &str, chain: &PresentedChain) -> String {
    let opened = world.open(&connect(id, None), Some(chain)).await;
    let refused = opened.err().expect("the device was let in");
    assert_eq!(refused.code, mqtt::ConnectReturnCode::NotAuthorized);
    refused.reason
}

#[tokio::test]
async fn a_session_ends_when_its_certificate_is_revoked_and_others_go_on() {
    let (world, ca) = world().await;
    let [first, held, good] = [(1, "d1"), (2, "d2"), (3, "d3")].map(|(n, id)| ca.leaf(id, n));
    let d1 = connected(&world, "d1", &first).await;
    let d2 = connected(&world, "d2", &held).await;
    let d3 = connected(&world, "d3", &good).await;

    revoke(&world, 1, RevocationReason::KeyCompromise).await;
    let why = ended(&d1).await;
    assert!(why.starts_with("certificate_revoked: "), "{why}");
    assert!(why.contains("keyCompromise"), "{why}");
    let why = refused(&world, "d1", &first).await;
    assert!(why.contains("device issuer fleet was revoked"), "{why}");

    revoke(&world, 2, RevocationReason::CertificateHold).await;
    let why = ended(&d2).await;
    assert!(why.starts_with("certificate_on_hold: "), "{why}");
    let why = refused(&world, "d2", &held).await;
    assert!(why.contains("is on hold since"), "{why}");

    let (service, fleet) = (&world.provisioning, issuer());
    let restored = service.restore_certificate(&fleet, serial(2), world.now());
    restored.await.unwrap();
    let again = world.open(&connect("d2", None), Some(&held)).await.unwrap();
    compared(&world, &ca, [4, 5]).await;
    assert!(goes_on(&d3) && goes_on(&again));
}

#[tokio::test]
async fn a_session_ends_when_a_ca_of_its_chain_is_revoked() {
    let (world, root) = world().await;
    let line = root.intermediate("line", 7);
    let other = root.intermediate("other", 8);
    let (below, beside) = (line.leaf("d1", 1), other.leaf("d2", 2));
    let d1 = connected(&world, "d1", &below).await;
    let d2 = connected(&world, "d2", &beside).await;

    revoke(&world, 7, RevocationReason::CaCompromise).await;
    let why = ended(&d1).await;
    assert!(why.starts_with("certificate_revoked: "), "{why}");
    let why = refused(&world, "d1", &below).await;
    assert!(why.contains("cACompromise"), "{why}");
    compared(&world, &root, [3, 4]).await;
    assert!(goes_on(&d2));
}

#[tokio::test]
async fn a_certificate_that_was_revoked_before_the_hub_runs_ends_its_session() {
    let (mut world, ca) = world().await;
    let chain = ca.leaf("d1", 1);
    enroll(&world, "d1", &chain).await;
    world.begin_again();
    let device = world.open(&connect("d1", None), Some(&chain)).await;
    revoke(&world, 1, RevocationReason::KeyCompromise).await;
    world.run();
    ended(&device.unwrap()).await;
}

/// Revokes on another thread, and returns when the hub has looked through its sessions since: the
/// second of two other sessions ends after the look that follows the first is complete.
async fn revoke_meanwhile(world: &World, ca: &Ca, number: u8) -> impl FnOnce() + Send + 'static {
    let mut seen = Vec::new();
    for other in [OTHERS + 2 * number, OTHERS + 2 * number + 1] {
        let id = format!("seen-{other}");
        let device = connected(world, &id, &ca.leaf(&id, other)).await;
        let closed: Pin<Box<dyn Future<Output = Close> + Send>> = Box::pin(device.session.closed());
        seen.push((other, closed, device));
    }
    let (service, now) = (world.provisioning.clone(), world.now());
    let runtime = Handle::current();
    move || {
        let revoking = async move {
            let (fleet, reason) = (issuer(), RevocationReason::KeyCompromise);
            let revoked = service.revoke_certificate(&fleet, serial(number), reason, now);
            revoked.await.unwrap();
            for (other, closed, _device) in seen {
                let revoked = service.revoke_certificate(&fleet, serial(other), reason, now);
                revoked.await.unwrap();
                tokio::time::timeout(BOUND, closed).await.unwrap();
            }
        };
        let thread = std::thread::spawn(move || runtime.block_on(revoking));
        thread.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_moment_of_a_connect_lets_a_revoked_certificate_slip_through() {
    let (world, ca) = world().await;
    let (mut refusals, mut ends, mut all_done) = (0, 0, false);
    for reading in 1..OTHERS / 2 {
        let id = format!("d{reading}");
        let chain = ca.leaf(&id, reading);
        enroll(&world, &id, &chain).await;
        let act = revoke_meanwhile(&world, &ca, reading).await;
        let connect = connect(&id, None);
        let opening = world.open(&connect, Some(&chain));
        let (opened, happened) = interrupted(reading.into(), act, opening).await;
        if !happened {
            assert!(opened.is_ok());
            all_done = true;
            break;
        }
        match opened {
            Err(_) => refusals += 1,
            Ok(device) => {
                ended(&device).await;
                ends += 1;
            }
        }
    }
    // Before the certificate is compared, and after the session is known.
    assert!(all_done && refusals > 0 && ends > 0, "{refusals} {ends}");
}
