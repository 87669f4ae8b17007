//! The cloud-to-device messages of one session: claimed from the queue, sent, and completed when
//! the client has them.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::time::Duration;

use ids::{Etag, Identity, Timestamp, error_chain};
use mqtt::QoS;
use registry::{ClaimedMessages, CloudMessage, MESSAGE_LOCK, MessageError};
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

/// A claim that is on its way; it goes on when nobody waits for it.
struct Claim {
    task: JoinHandle<Result<ClaimedMessages, MessageError>>,
    /// The token of its locks.
    token: Etag,
    /// When its locks expire.
    until: Timestamp,
}

/// A message that is claimed and not yet sent.
struct Ready {
    message: CloudMessage,
    /// When its lock expires.
    until: Timestamp,
}

pub(super) struct Downlink {
    hub: Hub,
    /// The device or module that is connected.
    of: Identity,
    /// What the locks of the next claim carry: one token for all messages of a session, until it
    /// has to claim again what it did not send.
    token: Etag,
    /// `None` after UNSUBSCRIBE.
    qos: Option<QoS>,
    ready: VecDeque<Ready>,
    /// Sent and not yet acknowledged: the tokens of their locks, by sequence number.
    unacknowledged: HashMap<i64, Etag>,
    claim: Option<Claim>,
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
            token: hub.registry().fresh_etag(),
            hub,
            of,
            qos: None,
            ready: VecDeque::new(),
            unacknowledged: HashMap::new(),
            claim: None,
            unread: false,
            look_at: None,
            completing: JoinSet::new(),
        }
    }

    pub(super) fn subscribe(&mut self, qos: QoS) {
        if self.qos.is_none() {
            self.claim_again();
        }
        self.qos = Some(qos);
    }

    /// Forgets what is claimed and not sent: others may have received or purged it since. What
    /// still waits is claimed again, with another token than that of its lock.
    fn claim_again(&mut self) {
        self.ready.clear();
        self.token = self.hub.registry().fresh_etag();
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
            if let Some(Ready { message, until }) = self.ready.pop_front() {
                let now = self.hub.now();
                if until <= now {
                    self.claim_again();
                } else if message.expires > now {
                    let number = message.sequence_number;
                    self.unacknowledged.insert(number, self.token.clone());
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
        let room = WINDOW.saturating_sub(self.unacknowledged.len() + self.completing.len());
        if self.claim.is_some() || !self.unread || room == 0 {
            return;
        }
        self.unread = false;
        self.look_at = None;
        let (hub, of, token) = (self.hub.clone(), self.of.clone(), self.token.clone());
        let now = hub.now();
        let claim = async move {
            let (registry, most) = (hub.registry(), room.min(CLAIM));
            registry.claim_messages(&of, &token, most, now).await
        };
        self.claim = Some(Claim {
            task: tokio::spawn(claim),
            token: self.token.clone(),
            until: now.plus(MESSAGE_LOCK),
        });
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) {
        if let Some(claim) = &mut self.claim {
            let claimed = (&mut claim.task).await.ok();
            let of_now = claim.token == self.token;
            let until = claim.until;
            self.claim = None;
            match of_now {
                true => self.take_claimed(claimed, until),
                // Its messages are claimed again.
                false => self.unread = true,
            }
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

    fn take_claimed(
        &mut self,
        claimed: Option<Result<ClaimedMessages, MessageError>>,
        until: Timestamp,
    ) {
        match claimed {
            Some(Ok(claimed)) => {
                // There may be more behind them.
                self.unread |= !claimed.messages.is_empty();
                self.look_at = claimed.next;
                for message in claimed.messages {
                    match self.unacknowledged.get_mut(&message.sequence_number) {
                        // The client has it, and may still acknowledge it.
                        Some(token) => token.clone_from(&self.token),
                        None => self.ready.push_back(Ready { message, until }),
                    }
                }
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
        let Some(token) = self.unacknowledged.remove(&number) else {
            return;
        };
        let (hub, of) = (self.hub.clone(), self.of.clone());
        self.completing.spawn(async move {
            let (registry, now) = (hub.registry(), hub.now());
            let completed = registry.complete_message(&of, &token, number, now).await;
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
