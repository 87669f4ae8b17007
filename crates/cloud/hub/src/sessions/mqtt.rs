//! A session over MQTT: topics in, calls of the registry, topics out. Knows what a device may
//! publish and subscribe to; the sockets are in `transport`.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use ids::{Identity, Timestamp};
use mqtt::{Connect, ConnectReturnCode, Publish, QoS, SubscribeResult, Will};
use pki::PresentedChain;
use registry::KeptSubscriptions;
use transport::sessions::{Mailbox, MethodAnswer, Push};
use transport::{Close, ConnectRefused, DeviceSession, Ending, NotKept, Outgoing};
use wire::sas::CLOCK_SKEW;
use wire::telemetry::SenderStamp;
use wire::topic::{DeviceTopic, Filter};

use crate::messages::telemetry::{self, Message, Sender};
use crate::quantities::Quantity;
use crate::service::Hub;
use crate::sessions::certificates::CertificateEntry;
use crate::sessions::connect::{self, Checked};
use downlink::Downlink;
use renewal::RenewalFeed;

mod connection;
mod downlink;
mod messages;
mod outgoing;
mod renewal;
mod subscriptions;
mod twin_request;

/// A telemetry message of 256 KB, its topic and its property bag.
const MAX_PACKET: usize = 300 * 1024;
/// Longest sleep until the clock is read again.
const MAX_SLEEP: Duration = Duration::from_secs(3600);

/// One accepted connection of a device or module.
pub struct HubSession {
    hub: Hub,
    mailbox: Mailbox,
    /// What is stamped on the messages of the session.
    stamp: Arc<SenderStamp>,
    /// When the proof of identity expires, and the session with it.
    expires: Option<Timestamp>,
    /// The QoS of desired patches: what the client subscribed with.
    desired_qos: QoS,
    /// Of a client that subscribed to cloud-to-device messages.
    downlink: Option<Box<Downlink>>,
    /// Of a client that subscribed to answers about certificates.
    renewal: Option<Box<RenewalFeed>>,
    /// The certificates that proved the identity, if some did. The session ends when one of them is
    /// revoked.
    certificates: Option<CertificateEntry>,
    /// Whether the session leaves nothing to the next one.
    clean: bool,
    /// Subscriptions that the next session finds, as they are stored.
    kept: KeptSubscriptions,
    session_present: bool,
}

/// Proves the identity, then opens its session.
pub(crate) async fn accept(
    hub: &Hub,
    connect: &Connect,
    chain: Option<Arc<PresentedChain>>,
) -> Result<HubSession, ConnectRefused> {
    let Checked { proven, model_id } = connect::check(hub, connect, chain.as_deref()).await?;
    let identity = proven.identity().clone();
    // Behind the proof: nobody uses up what another device may.
    hub.count((&identity.hub, Some(&identity)), (Quantity::Connects, 1))
        .map_err(|throttled| unavailable(throttled.to_string()))?;
    if let Some(will) = &connect.will {
        require_own_events(&identity, &will.topic)?;
    }
    let mailbox = hub
        .sessions()
        .open(identity.clone())
        .ok_or_else(|| unavailable("the server is shutting down".to_owned()))?;
    let certificates = hub.session_certificates();
    let session = (&identity, mailbox.number());
    let certificates = proven
        .path()
        .map(|path| certificates.enter(session, path.clone()));
    // From here on a change closes the session through its mailbox; a change since the proof is
    // found here.
    if !connect::is_still_registered(hub, &proven).await? {
        let reason = format!("{identity} was changed while it connected");
        return Err(unavailable(reason));
    }
    let model_id = model_id.filter(|model| hub.note_model_id(&identity, model));
    let mut session = HubSession {
        hub: hub.clone(),
        mailbox,
        stamp: connection::stamp(&proven, model_id),
        expires: proven.until().map(|until| expiry(until, hub.now())),
        desired_qos: QoS::AtMostOnce,
        downlink: None,
        renewal: None,
        certificates,
        clean: connect.clean_session,
        kept: KeptSubscriptions::default(),
        session_present: false,
    };
    session.resume().await?;
    tracing::info!(
        hub.name = %identity.hub,
        device.id = %identity.device,
        module.id = identity.module.as_ref().map(display),
        "{identity} connected over MQTT"
    );
    connection::append_state(hub, &identity, true).await;
    Ok(session)
}

fn unavailable(reason: String) -> ConnectRefused {
    ConnectRefused::new(ConnectReturnCode::ServerUnavailable, reason)
}

/// The token of a device whose clock is behind may have expired by the hub's clock. It is accepted
/// for as long as the clock skew allows.
fn expiry(until: Timestamp, now: Timestamp) -> Timestamp {
    if until > now {
        until
    } else {
        until.plus(CLOCK_SKEW)
    }
}

fn require_own_events(identity: &Identity, topic: &str) -> Result<(), ConnectRefused> {
    match parse_topic(identity, topic) {
        Ok(DeviceTopic::Events { .. }) => Ok(()),
        _ => {
            let reason = format!("the will's topic is not the events topic of {identity}");
            let code = ConnectReturnCode::NotAuthorized;
            Err(ConnectRefused::new(code, reason))
        }
    }
}

fn parse_topic(identity: &Identity, topic: &str) -> Result<DeviceTopic, wire::topic::TopicError> {
    DeviceTopic::parse(topic, &identity.device, identity.module.as_ref())
}

impl HubSession {
    fn identity(&self) -> &Identity {
        self.mailbox.identity()
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            identity: self.identity(),
            stamp: &self.stamp,
        }
    }

    fn filter(&self, filter: &str) -> Option<Filter> {
        let identity = self.identity();
        Filter::parse(filter, &identity.device, identity.module.as_ref()).ok()
    }

    fn topic(&self, publish: &Publish) -> Result<DeviceTopic, Close> {
        let identity = self.identity();
        parse_topic(identity, &publish.topic).map_err(|error| {
            let topic = &publish.topic;
            let reason = format!("{identity} published to {topic:?}: {error}");
            Close::new("topic", reason)
        })
    }
}

/// The next message of what the client subscribed to.
async fn next_of<T>(
    source: &mut Option<Box<T>>,
    next: impl AsyncFnOnce(&mut T) -> Outgoing,
) -> Outgoing {
    match source {
        Some(source) => next(source).await,
        None => pending().await,
    }
}

/// Resolves at the time `until`.
async fn expired(hub: &Hub, until: Option<Timestamp>) {
    let Some(until) = until else {
        return pending().await;
    };
    loop {
        let remaining = until.since(hub.now());
        if remaining.is_zero() {
            return;
        }
        tokio::time::sleep(remaining.min(MAX_SLEEP)).await;
    }
}

impl HubSession {
    async fn append_will(&self, identity: &Identity, will: Option<Will>) {
        let Some(will) = will else { return };
        let Ok(DeviceTopic::Events { bag }) = parse_topic(identity, &will.topic) else {
            return;
        };
        let appended = async {
            let mut message = Message::from_bag(&bag, will.payload.to_vec())?;
            message.mark_will();
            telemetry::append(&self.hub, self.sender(), message).await
        };
        if let Err(error) = appended.await {
            tracing::warn!(
                hub.name = %identity.hub,
                device.id = %identity.device,
                error = &error as &dyn std::error::Error,
                "a will was not kept"
            );
        }
    }
}

impl DeviceSession for HubSession {
    fn max_packet(&self) -> usize {
        MAX_PACKET
    }

    fn is_proven(&self) -> bool {
        true
    }

    /// A session ends with its proof: when the token or certificate expires, and when
    /// the registered identity changes.
    fn closed(&self) -> impl Future<Output = Close> + Send + 'static {
        let (hub, expires) = (self.hub.clone(), self.expires);
        let notice = self.mailbox.close_notice();
        async move {
            // Cancel-safe: both arms only wait, and neither is polled again.
            tokio::select! {
                close = notice.closed() => close,
                () = expired(&hub, expires) => {
                    Close::new("expired", "its token or certificate expired")
                }
            }
        }
    }

    async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubscribeResult {
        match self.filter(filter) {
            None => SubscribeResult::Refused,
            Some(known) => self.add_subscription(known, qos).await,
        }
    }

    async fn unsubscribe(&mut self, filter: &str) {
        if let Some(known) = self.filter(filter) {
            self.end_subscription(known).await;
        }
    }

    /// Messages; what is wrong with the topic of one is found when it is read.
    fn keeps(&self, message: &Publish) -> bool {
        DeviceTopic::may_be_events(&message.topic)
    }

    async fn keep(&mut self, messages: Vec<Publish>) -> Result<(), NotKept> {
        let mut events = Vec::with_capacity(messages.len());
        let read = messages.iter().try_for_each(|message| {
            events.push(self.read_telemetry(message)?);
            Ok(())
        });
        let appended = self.append_telemetry(&events).await;
        appended.map_err(|close| NotKept { before: 0, close })?;
        let before = events.len();
        read.map_err(|close| NotKept { before, close })
    }

    async fn publish(
        &mut self,
        publish: Publish,
        replies: &mut Vec<Outgoing>,
    ) -> Result<(), Close> {
        match self.topic(&publish)? {
            DeviceTopic::Events { .. } => {
                let event = self.read_telemetry(&publish)?;
                self.append_telemetry(&[event]).await?;
            }
            DeviceTopic::TwinGet { rid } => {
                replies.push(twin_request::get(&self.hub, self.identity(), rid).await);
            }
            DeviceTopic::ReportedPatch { rid, expected } => {
                let patch = twin_request::ReportedPatch {
                    rid,
                    expected,
                    body: &publish.payload,
                };
                replies.push(twin_request::patch(&self.hub, self.identity(), patch).await);
            }
            DeviceTopic::MethodResponse { status, rid } => {
                let payload = publish.payload;
                self.mailbox
                    .answer_call(&rid, MethodAnswer { status, payload });
            }
            DeviceTopic::IssueCertificate { rid } => {
                replies.extend(self.request_certificate(&rid, &publish.payload));
            }
        }
        Ok(())
    }

    fn session_present(&self) -> bool {
        self.session_present
    }

    fn delivered(&mut self, number: i64) {
        if let Some(downlink) = &mut self.downlink {
            downlink.delivered(number);
        }
    }

    async fn next(&mut self) -> Outgoing {
        loop {
            let push = match (&mut self.downlink, &mut self.renewal) {
                (None, None) => self.mailbox.next().await,
                // Cancel-safe: none loses a message. Boxed: an idle session of a client that does
                // not subscribe does not carry this state.
                (downlink, renewal) => tokio::select! {
                    push = self.mailbox.next() => push,
                    message = Box::pin(next_of(downlink, Downlink::next)) => return message,
                    answer = Box::pin(next_of(renewal, RenewalFeed::next)) => return answer,
                },
            };
            if let (Push::MessagesWaiting, Some(downlink)) = (&push, &mut self.downlink) {
                downlink.wake();
            }
            if let Some(outgoing) = outgoing::encode(push, self.desired_qos) {
                return outgoing;
            }
        }
    }

    async fn ended(mut self, how: Ending, will: Option<Will>) {
        if let Some(downlink) = &mut self.downlink {
            downlink.finish().await;
        }
        let identity = self.identity().clone();
        tracing::info!(
            hub.name = %identity.hub,
            device.id = %identity.device,
            module.id = identity.module.as_ref().map(display),
            reason.code = how.code(),
            "{identity} disconnected: {how}"
        );
        self.append_will(&identity, will).await;
        let Self { hub, mailbox, .. } = self;
        drop(mailbox);
        // Another session of the identity may have taken its place.
        if !hub.sessions().presence(&identity).connected {
            connection::append_state(&hub, &identity, false).await;
        }
    }
}
