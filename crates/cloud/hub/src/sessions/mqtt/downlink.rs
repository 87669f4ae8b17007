//! The cloud-to-device messages of one session: claimed from the queue, sent, and completed when
//! the client has them.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use ids::{Etag, Identity, Timestamp, error_chain};
use mqtt::QoS;
use registry::{ClaimedMessages, CloudMessage, MessageError};
use tokio::task::{JoinHandle, JoinSet};
use transport::{Outgoing, Receipt};
use wire::cloud_message::Delivery;
use wire::topic::HubTopic;

use crate::service::Hub;

/// Messages that a session has sent and not yet completed in the queue.
const WINDOW: usize = 16;
/// Messages of one claim; each may have 64 KB.
const CLAIM: usize = 4;
/// Time from a claim that failed to the next one.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Downlink {
    hub: Hub,
    /// The device or module that is connected.
    of: Identity,
    /// What the locks of this session's messages carry.
    session: Etag,
    /// `None` after UNSUBSCRIBE.
    qos: Option<QoS>,
    /// Claimed and not yet sent.
    ready: VecDeque<CloudMessage>,
    /// Sent and not yet acknowledged.
    unacknowledged: usize,
    /// A claim that is on its way; it goes on when nobody waits for it.
    claim: Option<JoinHandle<Result<ClaimedMessages, MessageError>>>,
    /// Whether the queue may hold messages that were not claimed.
    unread: bool,
    /// When to look again without being woken.
    look_at: Option<Timestamp>,
    /// Acknowledged messages that are being completed.
    completing: JoinSet<()>,
}

impl Downlink {
    pub(super) fn new(hub: Hub, of: Identity) -> Self {
        Self {
            session: hub.registry().fresh_etag(),
            hub,
            of,
            qos: None,
            ready: VecDeque::new(),
            unacknowledged: 0,
            claim: None,
            unread: false,
            look_at: None,
            completing: JoinSet::new(),
        }
    }

    pub(super) fn subscribe(&mut self, qos: QoS) {
        self.qos = Some(qos);
        self.unread = true;
    }

    pub(super) fn unsubscribe(&mut self) {
        self.qos = None;
    }

    /// Messages wait in the queue.
    pub(super) fn wake(&mut self) {
        self.unread = true;
    }

    /// The next message for the client. Cancel-safe: what it has claimed stays in `self`.
    pub(super) async fn next(&mut self) -> Outgoing {
        loop {
            let Some(qos) = self.qos else {
                return pending().await;
            };
            if let Some(message) = self.ready.pop_front() {
                if message.expires > self.hub.now() {
                    self.unacknowledged += 1;
                    return outgoing(&self.of, message, qos);
                }
                continue;
            }
            self.claim_if_possible();
            self.wait().await;
        }
    }

    fn claim_if_possible(&mut self) {
        while self.completing.try_join_next().is_some() {}
        let room = WINDOW.saturating_sub(self.unacknowledged + self.completing.len());
        if self.claim.is_some() || !self.unread || room == 0 {
            return;
        }
        self.unread = false;
        self.look_at = None;
        let (hub, of, session) = self.names();
        let claim = async move {
            let now = hub.now();
            let claim = hub
                .registry()
                .claim_messages(&of, &session, room.min(CLAIM), now);
            claim.await
        };
        self.claim = Some(tokio::spawn(claim));
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) {
        if let Some(claim) = &mut self.claim {
            let claimed = claim.await;
            self.claim = None;
            self.take_claimed(claimed.ok());
            return;
        }
        let window_is_full = self.unread;
        if window_is_full && !self.completing.is_empty() {
            self.completing.join_next().await;
            return;
        }
        match self.look_at {
            Some(at) => {
                tokio::time::sleep(at.since(self.hub.now())).await;
                self.look_at = None;
                self.unread = true;
            }
            // `wake` or `delivered` goes before the next call.
            None => pending().await,
        }
    }

    fn take_claimed(&mut self, claimed: Option<Result<ClaimedMessages, MessageError>>) {
        match claimed {
            Some(Ok(claimed)) => {
                // There may be more behind them.
                self.unread |= !claimed.messages.is_empty();
                self.look_at = claimed.next;
                self.ready.extend(claimed.messages);
            }
            Some(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the queue of cloud-to-device messages could not be read"
                );
                self.look_at = Some(self.hub.now().plus(RETRY_INTERVAL));
            }
            // Its task was stopped with the server.
            None => self.look_at = Some(self.hub.now().plus(RETRY_INTERVAL)),
        }
    }

    /// Completes a message that the client has.
    pub(super) fn delivered(&mut self, number: i64) {
        self.unacknowledged = self.unacknowledged.saturating_sub(1);
        let (hub, of, session) = self.names();
        self.completing.spawn(async move {
            let (registry, now) = (hub.registry(), hub.now());
            let completed = registry.complete_message(&of, &session, number, now).await;
            if let Err(error) = completed {
                tracing::error!(
                    hub.name = %of.hub,
                    device.id = %of.device,
                    error = error_chain(&error),
                    "a message that the device acknowledged was not completed; it will come again"
                );
            }
        });
    }

    /// What a task that outlives a call needs.
    fn names(&self) -> (Hub, Identity, Etag) {
        (self.hub.clone(), self.of.clone(), self.session.clone())
    }

    /// Waits until what the client acknowledged is completed.
    pub(super) async fn finish(&mut self) {
        while self.completing.join_next().await.is_some() {}
    }
}

impl Drop for Downlink {
    fn drop(&mut self) {
        self.completing.detach_all();
    }
}

fn outgoing(of: &Identity, message: CloudMessage, qos: QoS) -> Outgoing {
    let delivery = Delivery {
        to: of,
        sequence_number: message.sequence_number,
        message_id: &message.message_id,
        ack: message.ack,
        enqueued: message.enqueued,
        expires: message.expires,
        deliveries: message.deliveries,
        properties: &message.properties,
    };
    let topic = HubTopic::DeviceBound {
        device: of.device.clone(),
        module: of.module.clone(),
        bag: delivery.bag(),
    };
    Outgoing {
        topic: topic.to_string(),
        receipt: Some(Receipt {
            number: message.sequence_number,
            duplicate: message.redelivered,
        }),
        payload: message.body.into(),
        qos,
    }
}
