//! The MQTT door: topics in, calls of the domain, topics out. Knows what a device may publish and subscribe to, nothing of sockets.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ids::{Identity, Timestamp, error_chain};
use mqtt::{Connect, ConnectReturnCode, Publish, QoS, SubscribeResult, Will};
use pki::PresentedChain;
use registry::TwinError;
use transport::sessions::{Mailbox, MethodAnswer, Push};
use transport::{Close, ConnectRefused, DeviceSession, Ending, Outgoing};
use uuid::Uuid;
use wire::error::{HubErrorCode, ServiceError};
use wire::lenient::BodyError;
use wire::sas::CLOCK_SKEW;
use wire::topic::{DeviceTopic, Filter, HubTopic};

use crate::connect::{self, Checked};
use crate::telemetry::{self, Message};
use crate::{Hub, error, twin_view};

/// A telemetry message of 256 KB, its topic and its property bag.
const MAX_PACKET: usize = 300 * 1024;
/// Longest sleep before the clock is looked at again.
const WATCH: Duration = Duration::from_secs(3600);

/// One accepted connection of a device or module.
pub struct HubSession {
    hub: Hub,
    mailbox: Mailbox,
    /// When the proof of identity ends, and the connection with it.
    until: Option<Timestamp>,
    /// The QoS that desired patches are pushed with: what the client subscribed with.
    desired_qos: QoS,
}

/// Proves the identity, then opens its session.
pub(crate) async fn accept(
    hub: &Hub,
    connect: &Connect,
    chain: Option<Arc<PresentedChain>>,
) -> Result<HubSession, ConnectRefused> {
    let Checked { proven, model_id } = connect::check(hub, connect, chain.as_deref()).await?;
    let identity = proven.identity().clone();
    if let Some(will) = &connect.will {
        require_own_events(&identity, &will.topic)?;
    }
    let mailbox = hub.sessions().open(identity.clone()).ok_or_else(|| {
        ConnectRefused::new(
            ConnectReturnCode::ServerUnavailable,
            "the server is shutting down",
        )
    })?;
    // What is changed from here on closes the session by its mailbox; what was changed since the proof is seen here.
    if !connect::still_stands(hub, &proven).await? {
        let reason = format!("{identity} was changed while it connected");
        return Err(ConnectRefused::new(
            ConnectReturnCode::ServerUnavailable,
            reason,
        ));
    }
    tracing::info!(hub.name = %identity.hub, device.id = %identity.device, module.id = identity.module.as_ref().map(tracing::field::display), "{identity} connected over MQTT");
    if let Some(model) = model_id {
        hub.announced(&identity, &model);
    }
    let until = proven.until().map(|until| ending(until, hub.now()));
    Ok(HubSession {
        hub: hub.clone(),
        mailbox,
        until,
        desired_qos: QoS::AtMostOnce,
    })
}

/// A token of a sender whose clock is behind may have expired by ours; it is honoured as long as the skew allows.
fn ending(until: Timestamp, now: Timestamp) -> Timestamp {
    if until > now {
        until
    } else {
        until.plus(CLOCK_SKEW)
    }
}

fn require_own_events(identity: &Identity, topic: &str) -> Result<(), ConnectRefused> {
    match DeviceTopic::parse(topic, &identity.device, identity.module.as_ref()) {
        Ok(DeviceTopic::Events { .. }) => Ok(()),
        _ => {
            let reason = format!("the will's topic is not the events topic of {identity}");
            Err(ConnectRefused::new(
                ConnectReturnCode::NotAuthorized,
                reason,
            ))
        }
    }
}

impl HubSession {
    fn identity(&self) -> &Identity {
        self.mailbox.identity()
    }

    fn filter(&self, filter: &str) -> Option<Filter> {
        let identity = self.identity();
        Filter::parse(filter, &identity.device, identity.module.as_ref()).ok()
    }

    async fn keep(&self, bag: &str, publish: &Publish) -> Result<(), Close> {
        let kept = async {
            let mut message = Message::from_bag(bag, publish.payload.to_vec())?;
            if publish.retain {
                message.mark_retained();
            }
            telemetry::accept_in_time(&self.hub, self.identity(), message).await
        };
        // Cancelled where the session ends: nobody waits for the acknowledgement any more.
        let kept = tokio::select! {
            biased;
            kept = kept => kept,
            close = self.closed() => return Err(close),
        };
        kept.map_err(|error| {
            let reason = format!("telemetry of {}: {}", self.identity(), error_chain(&error));
            Close::new(error.code(), reason)
        })
    }

    async fn twin(&self, rid: String) -> Outgoing {
        match self.hub.registry().twin(self.identity()).await {
            Ok(record) => {
                let payload = twin_view::device_twin(record).to_string();
                respond(
                    HubTopic::TwinResponse {
                        status: 200,
                        rid,
                        version: None,
                    },
                    payload,
                )
            }
            Err(error) => self.failed(rid, &TwinFault::Twin(error)),
        }
    }

    async fn patch_reported(&self, rid: String, expected: Option<u64>, payload: &[u8]) -> Outgoing {
        let patched = async {
            let patch = wire::twin::parse_reported(payload)?;
            let version = self
                .hub
                .registry()
                .patch_reported(self.identity(), patch, expected, self.hub.now())
                .await?;
            Ok::<_, TwinFault>(version)
        };
        match patched.await {
            Ok(version) => respond(
                HubTopic::TwinResponse {
                    status: 204,
                    rid,
                    version: Some(version),
                },
                String::new(),
            ),
            Err(fault) => self.failed(rid, &fault),
        }
    }

    fn failed(&self, rid: String, fault: &TwinFault) -> Outgoing {
        let (code, message) = fault.outside();
        let tracking = Uuid::new_v4().to_string();
        let identity = self.identity();
        tracing::info!(hub.name = %identity.hub, device.id = %identity.device, tracking.id = %tracking, error = fault as &dyn std::error::Error, "a twin request failed");
        let body = ServiceError::hub(code, message, tracking, self.hub.now());
        let payload = serde_json::to_string(&body).unwrap_or_default();
        respond(
            HubTopic::TwinResponse {
                status: code.http_status(),
                rid,
                version: None,
            },
            payload,
        )
    }

    fn outgoing(&self, push: Push) -> Outgoing {
        match push {
            Push::Desired { patch, version } => Outgoing {
                topic: HubTopic::DesiredPatch {
                    version: Some(version),
                }
                .to_string(),
                payload: wire::twin::with_version(&patch, version).to_string().into(),
                qos: self.desired_qos,
            },
            Push::Method { rid, name, payload } => Outgoing {
                topic: HubTopic::MethodRequest {
                    name,
                    rid: rid.to_string(),
                }
                .to_string(),
                payload,
                qos: QoS::AtMostOnce,
            },
        }
    }
}

fn respond(topic: HubTopic, payload: String) -> Outgoing {
    Outgoing {
        topic: topic.to_string(),
        payload: payload.into(),
        qos: QoS::AtMostOnce,
    }
}

/// Why a twin request of a device failed.
#[derive(Debug, thiserror::Error)]
enum TwinFault {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Twin(#[from] TwinError),
}

impl TwinFault {
    fn outside(&self) -> (HubErrorCode, String) {
        match self {
            Self::Body(error) => (HubErrorCode::ArgumentInvalid, error.to_string()),
            Self::Twin(error) => match error::twin(error) {
                HubErrorCode::ServerError => {
                    (HubErrorCode::ServerError, "the server failed".to_owned())
                }
                code => (code, error.to_string()),
            },
        }
    }
}

/// Resolves once `until` has come.
async fn expired(hub: &Hub, until: Option<Timestamp>) {
    let Some(until) = until else {
        return pending().await;
    };
    loop {
        let remaining = until.since(hub.now());
        if remaining.is_zero() {
            return;
        }
        tokio::time::sleep(remaining.min(WATCH)).await;
    }
}

impl DeviceSession for HubSession {
    fn max_packet(&self) -> usize {
        MAX_PACKET
    }

    fn is_proven(&self) -> bool {
        true
    }

    /// Ends with what was proved: when the token or certificate expires, and when the identity changes.
    fn closed(&self) -> impl Future<Output = Close> + Send + 'static {
        let (hub, until, asked) = (self.hub.clone(), self.until, self.mailbox.closed());
        async move {
            // Cancel-safe: both only wait, and neither is waited for again.
            tokio::select! {
                close = asked => close,
                () = expired(&hub, until) => {
                    Close::new("expired", "its token or certificate expired")
                }
            }
        }
    }

    async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubscribeResult {
        let Some(known) = self.filter(filter) else {
            return SubscribeResult::Refused;
        };
        match known {
            Filter::DesiredPatches => {
                self.desired_qos = qos;
                self.mailbox.want_desired(true);
            }
            Filter::MethodRequests => self.mailbox.want_methods(true),
            // Twin responses come without being asked for. Nothing is sent to the other two yet.
            Filter::TwinResponses | Filter::DeviceBound | Filter::ModuleInputs => {}
        }
        SubscribeResult::Granted(qos)
    }

    async fn unsubscribe(&mut self, filter: &str) {
        match self.filter(filter) {
            Some(Filter::DesiredPatches) => self.mailbox.want_desired(false),
            Some(Filter::MethodRequests) => self.mailbox.want_methods(false),
            _ => {}
        }
    }

    async fn publish(
        &mut self,
        publish: Publish,
        replies: &mut Vec<Outgoing>,
    ) -> Result<(), Close> {
        let identity = self.identity();
        let topic = DeviceTopic::parse(&publish.topic, &identity.device, identity.module.as_ref())
            .map_err(|error| {
                let topic = &publish.topic;
                Close::new(
                    "topic",
                    format!("{identity} published to {topic:?}: {error}"),
                )
            })?;
        match topic {
            DeviceTopic::Events { bag } => self.keep(&bag, &publish).await?,
            DeviceTopic::TwinGet { rid } => replies.push(self.twin(rid).await),
            DeviceTopic::ReportedPatch { rid, expected } => {
                replies.push(self.patch_reported(rid, expected, &publish.payload).await);
            }
            DeviceTopic::MethodResponse { status, rid } => {
                let payload: Bytes = publish.payload;
                self.mailbox
                    .answer_call(&rid, MethodAnswer { status, payload });
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Outgoing {
        let push = self.mailbox.next().await;
        self.outgoing(push)
    }

    async fn ended(self, how: Ending, will: Option<Will>) {
        let identity = self.identity().clone();
        tracing::info!(
            hub.name = %identity.hub,
            device.id = %identity.device,
            module.id = identity.module.as_ref().map(tracing::field::display),
            reason.code = how.code(),
            "{identity} disconnected: {how}"
        );
        let Some(will) = will else { return };
        let Ok(DeviceTopic::Events { bag }) =
            DeviceTopic::parse(&will.topic, &identity.device, identity.module.as_ref())
        else {
            return;
        };
        let kept = async {
            let mut message = Message::from_bag(&bag, will.payload.to_vec())?;
            message.mark_will();
            telemetry::accept(&self.hub, &identity, message).await
        };
        if let Err(error) = kept.await {
            tracing::warn!(hub.name = %identity.hub, device.id = %identity.device, error = &error as &dyn std::error::Error, "a will was not kept");
        }
    }
}
