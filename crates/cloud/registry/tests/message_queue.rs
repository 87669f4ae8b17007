//! Random orders of sends, receivers, sessions, clocks and purges against a model of one queue.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

#[path = "message_queue/model.rs"]
mod model;

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ids::{Ack, DeviceId, Etag, HubName, Identity, Timestamp};
use proptest::prelude::*;
use registry::{
    IfMatch, Init, MessageDraft, MessageError, NotificationKind, Registry, Retention, Settlement,
    SystemEntropy,
};
use serde_json::Value;
use wire::cloud_message::SendRequest;
use wire::service_api::identity::DeviceRequest;

use model::{Message, Model};

#[derive(Debug, Clone)]
enum Step {
    Send {
        ack: Ack,
        seconds: u32,
    },
    /// A session asks for messages: one of three, of which only the latest counts.
    Claim {
        session: u8,
        limit: usize,
    },
    /// A session acknowledges one of all messages.
    Acknowledge {
        session: u8,
        of: prop::sample::Index,
    },
    Receive,
    /// A receiver settles by one of all lock tokens.
    Settle {
        by: prop::sample::Index,
        settlement: Settlement,
    },
    Pass {
        seconds: u32,
    },
    Sweep,
    Purge,
}

fn step() -> impl Strategy<Value = Step> {
    let acks = [Ack::None, Ack::Positive, Ack::Negative, Ack::Full];
    let ack = prop::sample::select(acks.to_vec());
    let settlements = [
        Settlement::Complete,
        Settlement::Reject,
        Settlement::Abandon,
    ];
    let settlement = prop::sample::select(settlements.to_vec());
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (ack, 1..400u32).prop_map(|(ack, seconds)| Step::Send { ack, seconds }),
        4 => (0..3u8, 1..5usize).prop_map(|(session, limit)| Step::Claim { session, limit }),
        4 => (0..3u8, index()).prop_map(|(session, of)| Step::Acknowledge { session, of }),
        3 => Just(Step::Receive),
        4 => (index(), settlement).prop_map(|(by, settlement)| Step::Settle { by, settlement }),
        3 => (1..90u32).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Sweep),
        1 => Just(Step::Purge),
    ]
}

static D1: LazyLock<Identity> = LazyLock::new(|| {
    let device = DeviceId::parse("d1").unwrap();
    Identity::device(HubName::parse("hub").unwrap(), device)
});

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000 + seconds)
}

async fn open(directory: &Path) -> Registry {
    let init = Init {
        rehearse: true,
        hub_name: HubName::parse("hub").unwrap(),
        hub_host: "localhost".parse().unwrap(),
        entropy: Arc::new(SystemEntropy),
    };
    let registry = Registry::open(directory, init, Retention::default(), at(0));
    let registry = registry.await.unwrap();
    let request = DeviceRequest::default();
    let identity = D1.clone();
    let put = registry.put_device(
        &identity.hub,
        &identity.device,
        request,
        &IfMatch::Absent,
        at(0),
    );
    put.await.unwrap();
    registry
}

/// The queue under test, with what the steps refer to.
struct Bench {
    registry: Registry,
    model: Model,
    /// The sequence number of each message that was claimed, by its id.
    numbers: std::collections::BTreeMap<String, i64>,
    tokens: Vec<Etag>,
}

fn session(name: u8) -> Etag {
    Etag::parse(&format!("session-{name}")).unwrap()
}

impl Bench {
    async fn step(&mut self, step: Step) {
        let (registry, now) = (self.registry.clone(), at(self.model.now));
        match step {
            Step::Send { ack, seconds } => self.send(ack, seconds).await,
            Step::Claim { session, limit } => self.claim(session, limit).await,
            Step::Acknowledge { session: name, of } => {
                if self.numbers.is_empty() {
                    return;
                }
                let chosen = of.index(self.numbers.len());
                let (id, number) = self.numbers.iter().nth(chosen).unwrap();
                let session = session(name);
                let done = registry.complete_message(&D1, &session, *number, now);
                done.await.unwrap();
                self.model.acknowledge(name, id);
            }
            Step::Receive => {
                let lock = Duration::from_secs(60);
                let received = registry.receive_message(&D1, lock, now).await.unwrap();
                let expected = self.model.receive(self.tokens.len());
                let found = received
                    .as_ref()
                    .map(|found| found.message.message_id.clone());
                assert_eq!(found, expected);
                self.tokens.extend(received.map(|found| found.lock_token));
            }
            Step::Settle { by, settlement } => self.settle_by(by, settlement).await,
            Step::Pass { seconds } => self.model.now += i64::from(seconds),
            Step::Sweep => {
                while registry.expire_messages(now).await.unwrap() {}
                self.model.sweep();
            }
            Step::Purge => {
                let purged = registry.purge_messages(&D1, now).await.unwrap();
                assert_eq!(purged, self.model.queue.len() as u64);
                for message in self.model.queue.clone() {
                    self.model.end(&message.id, "Purged");
                }
            }
        }
        let count = registry
            .message_counts(std::slice::from_ref(&*D1))
            .await
            .unwrap();
        assert_eq!(count, [self.model.queue.len() as u64]);
    }

    async fn claim(&mut self, name: u8, limit: usize) {
        let (session, now) = (session(name), at(self.model.now));
        let claimed = self.registry.claim_messages(&D1, &session, limit, now);
        let messages = claimed.await.unwrap().messages;
        let ids: Vec<_> = messages.iter().map(|m| m.message_id.clone()).collect();
        assert_eq!(ids, self.model.claim(name, limit));
        let numbers = messages.into_iter();
        self.numbers
            .extend(numbers.map(|m| (m.message_id, m.sequence_number)));
    }

    async fn settle_by(&mut self, by: prop::sample::Index, settlement: Settlement) {
        if self.tokens.is_empty() {
            return;
        }
        let (by, now) = (by.index(self.tokens.len()), at(self.model.now));
        let token = &self.tokens[by];
        let applied = self.registry.settle_message(&D1, token, settlement, now);
        let applied = applied.await;
        match self.model.apply(by, settlement) {
            true => applied.unwrap(),
            false => assert!(matches!(applied, Err(MessageError::LockLost))),
        }
    }

    async fn send(&mut self, ack: Ack, seconds: u32) {
        let model = &mut self.model;
        let (id, expires) = (
            format!("m{:04}", model.sent),
            model.now + i64::from(seconds),
        );
        model.sent += 1;
        let draft = MessageDraft {
            request: SendRequest {
                message_id: Some(id.clone()),
                ack,
                expires: Some(at(expires)),
                ..SendRequest::default()
            },
            body: Vec::new(),
        };
        self.registry
            .send_message(&D1, draft, at(model.now))
            .await
            .unwrap();
        model.queue.push(Message {
            id,
            ack,
            expires,
            deliveries: 0,
            lock: None,
        });
    }

    /// The feedback that was written, sorted: each message has one outcome at most.
    async fn feedback(&self) -> Vec<(String, String)> {
        let kind = NotificationKind::Feedback;
        let (hub, mut found) = (D1.clone().hub, Vec::new());
        // No record is older than an hour in these few steps, or the sweep would delete it.
        let now = at(self.model.now + 20);
        while let Some(batch) = self
            .registry
            .receive_notifications(&hub, kind, now)
            .await
            .unwrap()
        {
            for record in batch.records {
                let record: Value = serde_json::from_str(&record).unwrap();
                let member = |name: &str| record[name].as_str().unwrap().to_owned();
                found.push((member("originalMessageId"), member("statusCode")));
            }
        }
        found.sort();
        found
    }
}

async fn run(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench {
        registry: open(directory.path()).await,
        model: Model::default(),
        numbers: Default::default(),
        tokens: Vec::new(),
    };
    for step in steps {
        bench.step(step).await;
    }
    let mut expected: Vec<_> = std::mem::take(&mut bench.model.feedback)
        .into_iter()
        .map(|(id, status)| (id, status.to_owned()))
        .collect();
    expected.sort();
    assert_eq!(bench.feedback().await, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_queue_behaves_as_its_model(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
