use std::sync::LazyLock;
use std::time::Duration;

use ids::{Ack, DeviceId, Etag, HubName, Identity, ModuleId, Timestamp};
use registry::{
    Change, IfMatch, KeptSubscriptions, MessageDraft, MessageError, NotificationKind, Registry,
    Settlement,
};
use serde_json::{Value, json};
use wire::cloud_message::SendRequest;
use wire::service_api::identity::{DeviceRequest, ModuleRequest};

use crate::{Bench, device, hub, open};

pub(crate) fn message(ack: Ack) -> MessageDraft {
    MessageDraft {
        request: SendRequest {
            ack,
            ..SendRequest::default()
        },
        body: b"go".to_vec(),
    }
}

fn named(id: &str, ack: Ack) -> MessageDraft {
    let mut draft = message(ack);
    draft.request.message_id = Some(id.to_owned());
    draft
}

static HUB: LazyLock<HubName> = LazyLock::new(hub);
static DEVICE: LazyLock<DeviceId> = LazyLock::new(|| device("d1"));
static D1: LazyLock<Identity> = LazyLock::new(|| Identity::device(hub(), device("d1")));

fn session(name: &str) -> Etag {
    Etag::parse(name).unwrap()
}

impl Bench {
    async fn with_d1(&self) -> &Registry {
        let request = DeviceRequest::default();
        let put = self
            .registry
            .put_device(&HUB, &DEVICE, request, &IfMatch::Absent, self.now());
        put.await.unwrap();
        &self.registry
    }

    async fn send(&self, id: &str, ack: Ack) {
        let sent = self.registry.send_message(&D1, named(id, ack), self.now());
        assert_eq!(sent.await.unwrap(), id);
    }

    async fn claimed(&self, session: &Etag, limit: usize) -> Vec<(i64, String)> {
        let claimed = self
            .registry
            .claim_messages(&D1, session, limit, self.now());
        let messages = claimed.await.unwrap().messages.into_iter();
        messages
            .map(|message| (message.sequence_number, message.message_id))
            .collect()
    }

    /// The id and lock token of the next message for a receiver over HTTPS.
    async fn received(&self) -> (String, Etag) {
        let lock = Duration::from_secs(60);
        let received = self.registry.receive_message(&D1, lock, self.now());
        let locked = received.await.unwrap().unwrap();
        (locked.message.message_id, locked.lock_token)
    }

    /// All feedback that waits, as (message id, status).
    async fn feedback(&self) -> Vec<(String, String)> {
        let later = self.now().plus(Duration::from_secs(20));
        let kind = NotificationKind::Feedback;
        let batch = self.registry.receive_notifications(&HUB, kind, later);
        let Some(batch) = batch.await.unwrap() else {
            return Vec::new();
        };
        let done = self.registry.settle_notifications(
            (&HUB, kind),
            &batch.lock_token,
            Settlement::Complete,
            later,
        );
        done.await.unwrap();
        let record = |text: &String| {
            let record: Value = serde_json::from_str(text).unwrap();
            let member = |name: &str| record[name].as_str().unwrap().to_owned();
            (member("originalMessageId"), member("statusCode"))
        };
        batch.records.iter().map(record).collect()
    }
}

pub(crate) async fn a_queue_keeps_its_order_and_its_limit(bench: Bench) {
    let registry = bench.with_d1().await;
    bench.changes.take();
    for number in 0..50 {
        bench.send(&format!("m{number}"), Ack::None).await;
    }
    let queued = Change::MessageQueued {
        identity: D1.clone(),
    };
    assert_eq!(bench.changes.take(), vec![queued; 50]);
    let full = registry.send_message(&D1, message(Ack::None), bench.now());
    let full = full.await.unwrap_err();
    assert!(matches!(full, MessageError::QueueFull(_)), "{full}");
    // A module has a queue of its own, and somebody unknown has none.
    let module = ModuleId::parse("m1").unwrap();
    let of_module = Identity::module(hub(), device("d1"), module.clone());
    let unknown = registry.send_message(&of_module, message(Ack::None), bench.now());
    let unknown = unknown.await.unwrap_err();
    assert!(matches!(unknown, MessageError::NotFound(_)), "{unknown}");
    let request = ModuleRequest::default();
    let put = registry.put_module(
        &HUB,
        &DEVICE,
        &module,
        request,
        &IfMatch::Absent,
        bench.now(),
    );
    put.await.unwrap();
    let sent = registry.send_message(&of_module, message(Ack::None), bench.now());
    sent.await.unwrap();
    let counts = registry
        .message_counts(&[D1.clone(), of_module])
        .await
        .unwrap();
    assert_eq!(counts, [50, 1]);

    let me = session("s1");
    let first = bench.claimed(&me, 3).await;
    let names = |claimed: &[(i64, String)]| -> Vec<String> {
        claimed.iter().map(|(_, name)| name.clone()).collect()
    };
    assert_eq!(names(&first), ["m0", "m1", "m2"]);
    assert_eq!(names(&bench.claimed(&me, 2).await), ["m3", "m4"]);
    let complete = registry.complete_message(&D1, &me, first[0].0, bench.now());
    complete.await.unwrap();
    // One place is free.
    bench.send("m50", Ack::None).await;
    let full = registry.send_message(&D1, message(Ack::None), bench.now());
    assert!(full.await.is_err());
    let purged = registry.purge_messages(&D1, bench.now()).await.unwrap();
    assert_eq!(purged, 50);
}

pub(crate) async fn a_message_is_settled_by_the_receiver_that_has_it(bench: Bench) {
    let registry = bench.with_d1().await;
    bench.send("a", Ack::None).await;
    bench.send("b", Ack::None).await;
    let (first, lost) = bench.received().await;
    assert_eq!(first, "a");
    let apply = |token: Etag, settlement, at| async move {
        let applied = registry.settle_message(&D1, &token, settlement, at);
        applied.await
    };
    let later = bench.now().plus(Duration::from_secs(70));
    let late = apply(lost.clone(), Settlement::Complete, later).await;
    assert!(matches!(late, Err(MessageError::LockLost)));
    // The lock has expired, which is not counted as a delivery; the message keeps its place.
    let again = registry.receive_message(&D1, Duration::from_secs(60), later);
    let again = again.await.unwrap().unwrap();
    assert_eq!(again.message.message_id, "a");
    assert_eq!(again.message.deliveries, 0);
    let late = apply(lost, Settlement::Complete, later).await;
    assert!(matches!(late, Err(MessageError::LockLost)));
    let abandoned = apply(again.lock_token, Settlement::Abandon, later).await;
    abandoned.unwrap();
    let third = registry.receive_message(&D1, Duration::from_secs(60), later);
    let third = third.await.unwrap().unwrap();
    assert_eq!(third.message.message_id, "a");
    assert_eq!(third.message.deliveries, 1);
    apply(third.lock_token.clone(), Settlement::Reject, later)
        .await
        .unwrap();
    let twice = apply(third.lock_token, Settlement::Complete, later).await;
    assert!(matches!(twice, Err(MessageError::LockLost)));
    // A session leaves what a receiver has, and says when that is free.
    let (second, _) = bench.received().await;
    assert_eq!(second, "b");
    let me = session("s1");
    let claimed = registry.claim_messages(&D1, &me, 9, bench.now());
    let claimed = claimed.await.unwrap();
    assert!(claimed.messages.is_empty());
    let free = claimed.next.unwrap();
    assert!(free > bench.now() && free < bench.now().plus(Duration::from_secs(61)));
}

pub(crate) async fn a_later_session_gets_what_an_earlier_one_did_not_settle(bench: Bench) {
    let registry = bench.with_d1().await;
    bench.send("a", Ack::None).await;
    bench.send("b", Ack::None).await;
    let (old, new) = (session("old"), session("new"));
    let first = bench.claimed(&old, 1).await;
    let claimed = registry.claim_messages(&D1, &new, 9, bench.now());
    let messages = claimed.await.unwrap().messages;
    let found: Vec<_> = messages
        .iter()
        .map(|message| (message.message_id.as_str(), message.redelivered))
        .collect();
    assert_eq!(found, [("a", true), ("b", false)]);
    // What the old one says comes too late, and harms nothing.
    let (number, _) = first[0];
    for _ in 0..2 {
        let late = registry.complete_message(&D1, &old, number, bench.now());
        late.await.unwrap();
    }
    assert_eq!(
        registry
            .message_counts(std::slice::from_ref(&*D1))
            .await
            .unwrap(),
        [2]
    );
    // PUBACK may take longer than a lock lasts.
    let later = bench.now().plus(Duration::from_secs(100));
    let complete = registry.complete_message(&D1, &new, number, later);
    complete.await.unwrap();
    assert_eq!(
        registry
            .message_counts(std::slice::from_ref(&*D1))
            .await
            .unwrap(),
        [1]
    );
    assert!(bench.claimed(&new, 9).await.is_empty(), "b is with it");
}

pub(crate) async fn senders_get_the_feedback_that_they_want(bench: Bench) {
    let registry = bench.with_d1().await;
    let me = session("s1");
    let all = [Ack::None, Ack::Positive, Ack::Negative, Ack::Full];
    let pair = |name: &str, status: &str| (name.to_owned(), status.to_owned());
    for ack in all {
        bench.send(ack.name(), ack).await;
    }
    for (number, _) in bench.claimed(&me, 9).await {
        let complete = registry.complete_message(&D1, &me, number, bench.now());
        complete.await.unwrap();
    }
    let success = [pair("positive", "Success"), pair("full", "Success")];
    assert_eq!(bench.feedback().await, success);
    for ack in all {
        bench.send(ack.name(), ack).await;
    }
    registry.purge_messages(&D1, bench.now()).await.unwrap();
    let purged = [pair("negative", "Purged"), pair("full", "Purged")];
    assert_eq!(bench.feedback().await, purged);
    for ack in all {
        bench.send(ack.name(), ack).await;
    }
    for _ in all {
        let (_, token) = bench.received().await;
        let reject = registry.settle_message(&D1, &token, Settlement::Reject, bench.now());
        reject.await.unwrap();
    }
    let rejected = [pair("negative", "Rejected"), pair("full", "Rejected")];
    assert_eq!(bench.feedback().await, rejected);
    bench.send("abandoned", Ack::Full).await;
    for _ in 0..10 {
        let (_, token) = bench.received().await;
        let abandon = registry.settle_message(&D1, &token, Settlement::Abandon, bench.now());
        abandon.await.unwrap();
    }
    let exceeded = [pair("abandoned", "DeliveryCountExceeded")];
    assert_eq!(bench.feedback().await, exceeded);
}

pub(crate) async fn messages_expire_and_so_does_feedback_that_nobody_reads(bench: Bench) {
    let registry = bench.with_d1().await;
    bench.send("late", Ack::Full).await;
    bench.send("silent", Ack::None).await;
    assert!(!registry.expire_messages(bench.now()).await.unwrap());
    let tomorrow = bench.now().plus(Duration::from_secs(24 * 3600));
    let none = registry.receive_message(&D1, Duration::from_secs(60), tomorrow);
    assert_eq!(
        none.await.unwrap(),
        None,
        "an expired message is given to nobody"
    );
    registry.expire_messages(tomorrow).await.unwrap();
    assert_eq!(
        registry
            .message_counts(std::slice::from_ref(&*D1))
            .await
            .unwrap(),
        [0]
    );
    let kind = NotificationKind::Feedback;
    let later = tomorrow.plus(Duration::from_secs(15));
    let batch = registry.receive_notifications(&HUB, kind, later);
    let batch = batch.await.unwrap().unwrap();
    let record: Value = serde_json::from_str(&batch.records[0]).unwrap();
    assert_eq!(
        (batch.records.len(), &record["statusCode"]),
        (1, &json!("Expired"))
    );
    // Nobody else gets the batch until it is abandoned; unread, it goes after an hour.
    let other = registry.receive_notifications(&HUB, kind, later);
    assert_eq!(other.await.unwrap(), None);
    let of = (&*HUB, kind);
    let abandon = registry.settle_notifications(of, &batch.lock_token, Settlement::Abandon, later);
    abandon.await.unwrap();
    let again = registry.receive_notifications(&HUB, kind, later);
    assert_eq!(again.await.unwrap().unwrap().deliveries, 1);
    let hour = later.plus(Duration::from_secs(3600));
    registry.expire_notifications(hour).await.unwrap();
    let gone = registry.receive_notifications(&HUB, kind, hour);
    assert_eq!(gone.await.unwrap(), None);
}

pub(crate) async fn a_device_that_is_created_again_has_an_empty_queue(bench: Bench) {
    let registry = bench.with_d1().await;
    bench.send("a", Ack::Full).await;
    let kept = KeptSubscriptions {
        messages: Some(1),
        ..KeptSubscriptions::default()
    };
    registry.put_kept_subscriptions(&D1, kept).await.unwrap();
    let deleted = registry.delete_device(&HUB, &DEVICE, &IfMatch::Any);
    deleted.await.unwrap();
    bench.with_d1().await;
    assert_eq!(
        registry
            .message_counts(std::slice::from_ref(&*D1))
            .await
            .unwrap(),
        [0]
    );
    let kept = registry.kept_subscriptions(&D1).unwrap();
    assert_eq!(kept, KeptSubscriptions::default());
    assert!(bench.claimed(&session("s1"), 9).await.is_empty());
}

pub(crate) async fn messages_and_subscriptions_outlive_the_process(bench: Bench) {
    let registry = bench.with_d1().await;
    bench.send("a", Ack::None).await;
    let kept = |messages, desired, methods| KeptSubscriptions {
        messages,
        desired,
        methods,
        credentials: messages,
    };
    let last = kept(Some(0), Some(1), Some(0));
    for kept in [
        kept(Some(0), None, None),
        kept(Some(1), None, Some(1)),
        kept(None, Some(1), Some(1)),
        kept(None, None, None),
        last,
    ] {
        registry.put_kept_subscriptions(&D1, kept).await.unwrap();
        assert_eq!(registry.kept_subscriptions(&D1).unwrap(), kept);
    }
    bench.claimed(&session("before"), 9).await;
    let directory = bench.directory;
    drop(bench.registry);
    let registry = open(directory.path(), "localhost").await;
    assert_eq!(registry.kept_subscriptions(&D1).unwrap(), last);
    let now = Timestamp::from_unix_seconds(1_700_000_100);
    let me = session("after");
    let claimed = registry.claim_messages(&D1, &me, 9, now);
    let messages = claimed.await.unwrap().messages;
    assert_eq!(messages.len(), 1);
    assert_eq!(
        (messages[0].body.as_slice(), messages[0].redelivered),
        (&b"go"[..], true)
    );
}
