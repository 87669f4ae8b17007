//! Cloud-to-device messages that are damaged on the disk: the others go on, and they can be purged.

use std::time::Duration;

use ids::{Ack, Identity};
use registry::{IfMatch, MessageDraft, NotificationKind, Registry, Settlement};
use wire::cloud_message::SendRequest;
use wire::service_api::identity::DeviceRequest;

use crate::unreadable::corrupt;
use crate::{Bench, device, hub};

/// Device `d1` with the messages `m1` to `m4`, of which the second has no readable outcome for
/// feedback, and the third no readable properties.
async fn damaged(bench: Bench, ack: Ack) -> (Bench, Identity) {
    let (hub, name) = (hub(), device("d1"));
    let request = DeviceRequest::default();
    let put = bench
        .registry
        .put_device(&hub, &name, request, &IfMatch::Absent, bench.now());
    put.await.unwrap();
    let d1 = Identity::device(hub, name);
    for id in ["m1", "m2", "m3", "m4"] {
        let request = SendRequest {
            ack,
            message_id: Some(id.to_owned()),
            ..SendRequest::default()
        };
        let body = b"go".to_vec();
        let draft = MessageDraft { request, body };
        let sent = bench.registry.send_message(&d1, draft, bench.now());
        sent.await.unwrap();
    }
    let name = ack.name();
    let intact = format!("m2{name}");
    let bench = corrupt(bench, &intact, &intact.replace(['o', 'u'], "?")).await;
    let bench = corrupt(bench, &format!("m3{name}["), &format!("m3{name}{{")).await;
    (bench, d1)
}

async fn count(registry: &Registry, of: &Identity) -> u64 {
    let counts = registry.message_counts(std::slice::from_ref(of)).await;
    counts.unwrap()[0]
}

pub(crate) async fn a_damaged_message_does_not_stop_its_queue(bench: Bench) {
    let (bench, d1) = damaged(bench, Ack::None).await;
    let (registry, now) = (&bench.registry, bench.now());
    // Over HTTPS one after the other.
    let mut received = Vec::new();
    let lock = Duration::from_secs(60);
    while let Some(locked) = registry.receive_message(&d1, lock, now).await.unwrap() {
        received.push(locked.message.message_id);
        let complete = Settlement::Complete;
        let done = registry.settle_message(&d1, &locked.lock_token, complete, now);
        done.await.unwrap();
    }
    assert_eq!(received, ["m1", "m4"]);
    // A session gets what is sent later, and completes it.
    let request = SendRequest::default();
    let body = b"go".to_vec();
    let draft = MessageDraft { request, body };
    let sent = registry.send_message(&d1, draft, now).await.unwrap();
    let session = registry.fresh_etag();
    let claimed = registry
        .claim_messages(&d1, &session, 9, now)
        .await
        .unwrap();
    let [message] = claimed.messages.as_slice() else {
        panic!("{claimed:?}")
    };
    assert_eq!(message.message_id, sent);
    let number = message.sequence_number;
    let complete = registry.complete_message(&d1, &session, number, now);
    complete.await.unwrap();
    assert_eq!(count(registry, &d1).await, 2);
    assert_eq!(registry.purge_messages(&d1, now).await.unwrap(), 2);
    assert_eq!(count(registry, &d1).await, 0);
}

pub(crate) async fn a_damaged_message_does_not_stop_the_expiry_of_others(bench: Bench) {
    let (bench, d1) = damaged(bench, Ack::Full).await;
    let tomorrow = bench.now().plus(Duration::from_secs(24 * 3600));
    bench.registry.expire_messages(tomorrow).await.unwrap();
    assert_eq!(count(&bench.registry, &d1).await, 0);
    // Of the second one nobody can say what it was, the third one has only lost its content.
    let later = tomorrow.plus(Duration::from_secs(15));
    let kind = NotificationKind::Feedback;
    let batch = bench.registry.receive_notifications(&d1.hub, kind, later);
    let records = batch.await.unwrap().unwrap().records;
    assert_eq!(records.len(), 3, "{records:?}");
}

pub(crate) async fn a_damaged_device_does_not_stop_the_expiry_of_other_queues(bench: Bench) {
    let (bench, d1) = damaged(bench, Ack::None).await;
    let (hub, name) = (hub(), device("d2-to-be-damaged"));
    let request = DeviceRequest::default();
    let put = bench
        .registry
        .put_device(&hub, &name, request, &IfMatch::Absent, bench.now());
    put.await.unwrap();
    let d2 = Identity::device(hub, name);
    let draft = MessageDraft {
        request: SendRequest::default(),
        body: b"go".to_vec(),
    };
    // The longest expired of all.
    let earlier = bench.now().minus(Duration::from_secs(60));
    let sent = bench.registry.send_message(&d2, draft, earlier);
    sent.await.unwrap();
    let bench = corrupt(bench, "hubd2-to-be-damaged", "hubd2-to-be/damaged").await;
    let tomorrow = bench.now().plus(Duration::from_secs(24 * 3600));
    bench.registry.expire_messages(tomorrow).await.unwrap();
    assert_eq!(count(&bench.registry, &d1).await, 0);
    assert!(!bench.registry.expire_messages(tomorrow).await.unwrap());
}
