//! Connections to a hub over MQTT.

mod call;
mod driver;
mod renewal;
mod transport;
mod websocket;

pub use call::{CallError, Hub};
pub use driver::Lost;
pub use renewal::{RenewalError, renew_at_hub};

use std::time::Duration;

use bytes::Bytes;
use ids::{DeviceId, HubHost, ModuleId};
use mqtt::{Connect, ConnectReturnCode, Password};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use wire::device_api::username::HubUsername;
use wire::service_api::device_view::HUB_API_VERSION;
use wire::service_api::device_view::VersionedProperties;
use wire::topic::Filter;

use crate::{ConnectError, Credential, SignError, Trust};
use driver::Driver;

/// The largest packet that is read, bytes. A twin is the largest packet of a hub.
const MAX_PACKET: usize = 1024 * 1024;
/// The longest wait for CONNACK and SUBACK together.
const GREETING: Duration = Duration::from_secs(30);
/// Events that may wait for the application. With more, the connection ends before memory is full.
const EVENTS: usize = 1024;
/// Calls that may wait for the task of the connection.
const CALLS: usize = 64;

/// How a device or module connects to its hub.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// The hub that owns the identity. It is written into the user name as it is here.
    pub hub: HubHost,
    /// The host to connect to, if not the hub itself.
    pub gateway: Option<HubHost>,
    pub device: DeviceId,
    /// `None` for the device itself.
    pub module: Option<ModuleId>,
    /// A client certificate, or a token for exactly this device or module.
    pub credential: Credential,
    pub trust: Trust,
    /// The longest silence towards the hub, seconds.
    pub keep_alive: u16,
    /// The name and version of this program, for the user name.
    pub client_type: String,
}

impl HubOptions {
    /// The host of the connection: MQTT on port 8883, or WebSocket on the port that the host has.
    fn target(&self) -> &HubHost {
        self.gateway.as_ref().unwrap_or(&self.hub)
    }

    fn packet(&self, token: Option<String>) -> Connect {
        let client_id = match &self.module {
            Some(module) => format!("{}/{module}", self.device),
            None => self.device.to_string(),
        };
        let username = HubUsername {
            host: self.hub.clone(),
            device: self.device.clone(),
            module: self.module.clone(),
            api_version: Some(HUB_API_VERSION.to_owned()),
            client_type: Some(self.client_type.clone()),
            model_id: None,
            auth_chain: None,
        };
        Connect {
            client_id,
            clean_session: true,
            keep_alive: self.keep_alive,
            will: None,
            username: Some(username.to_string()),
            password: token.map(|token| Password::new(token.into_bytes())),
        }
    }

    fn filters(&self) -> Vec<String> {
        [
            Filter::TwinResponses,
            Filter::DesiredPatches,
            Filter::MethodRequests,
        ]
        .into_iter()
        .map(|filter| filter.format(&self.device, self.module.as_ref()))
        .collect()
    }
}

/// Why there is no connection to a hub.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The hub is not reached or not trusted.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("there is no token for the connection")]
    Token(#[from] SignError),
    /// The hub does not accept MQTT over WebSocket.
    #[error("{host} does not accept a WebSocket for MQTT")]
    WebSocket {
        host: HubHost,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The hub refuses this identity.
    #[error("{host} refused the connection: {code}")]
    Refused {
        host: HubHost,
        /// The code of CONNACK.
        code: ConnectReturnCode,
    },
    /// The hub refuses a subscription that a device needs.
    #[error("{host} refused the subscription to {filter}")]
    SubscriptionRefused { host: HubHost, filter: String },
    /// The connection ended before it was accepted.
    #[error("the connection to {host} ended before it was accepted")]
    Lost { host: HubHost, source: Lost },
    #[error("{host} did not accept the connection within {} s", GREETING.as_secs())]
    TimedOut { host: HubHost },
}

/// An event of a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Desired properties changed. The change may be older than the twin that was read
    /// last; compare the versions.
    Desired(DesiredChange),
    /// A direct method is called. Answer with [`Hub::respond`].
    Method(MethodCall),
    /// The connection ended. This is the last event.
    Disconnected(Lost),
}

/// A change of desired properties: members to merge in, `null` to remove.
pub type DesiredChange = VersionedProperties;

/// A call of a direct method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodCall {
    pub name: String,
    /// The id of the call, which the answer repeats.
    pub rid: String,
    /// The argument, as the hub sent it.
    pub payload: Bytes,
}

impl MethodCall {
    /// The argument as JSON; without a payload it is `null`.
    pub fn argument(&self) -> Result<Value, wire::lenient::BodyError> {
        match self.payload.iter().all(u8::is_ascii_whitespace) {
            true => Ok(Value::Null),
            false => wire::lenient::parse(&self.payload),
        }
    }
}

/// The events of a connection, in order. They must be read: a connection with too
/// many unread events ends.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
    end: Option<oneshot::Receiver<Lost>>,
}

impl Events {
    /// The next event, `None` after [`Event::Disconnected`]. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.events.recv().await {
            return Some(event);
        }
        let end = self.end.as_mut()?;
        // A task that ended without a reason was dropped together with its runtime.
        let lost = end.await.unwrap_or(Lost::Closed);
        self.end = None;
        Some(Event::Disconnected(lost))
    }
}

impl Hub {
    /// Connects, subscribes to all topics of a device or module, and starts the
    /// task of the connection.
    ///
    /// The task ends when the connection does, when [`Hub::close`] is called, or when all `Hub`s
    /// are dropped. It does not connect again; that is up to the caller.
    pub async fn connect(options: &HubOptions) -> Result<(Self, Events), HubError> {
        let stream = transport::open(options).await?;
        let host = || options.target().clone();
        let (events_in, events) = mpsc::channel(EVENTS);
        let (calls, calls_out) = mpsc::channel(CALLS);
        let (end_in, end) = oneshot::channel();
        let identity = (options.device.clone(), options.module.clone());
        let mut driver = Driver::new(stream, options.keep_alive, identity, events_in);
        tokio::time::timeout(GREETING, greet(&mut driver, options))
            .await
            .unwrap_or_else(|_| Err(HubError::TimedOut { host: host() }))?;
        tokio::spawn(async move {
            let lost = driver.run(calls_out).await;
            tracing::debug!(reason = %lost, "the hub connection ended");
            // The receiver may be gone.
            let _ = end_in.send(lost);
        });
        let end = Some(end);
        Ok((Self::new(calls), Events { events, end }))
    }
}

async fn greet(driver: &mut Driver, options: &HubOptions) -> Result<(), HubError> {
    let host = || options.target().clone();
    let lost = |source| HubError::Lost {
        host: host(),
        source,
    };
    let token = options.credential.token().await?;
    let code = driver.connect(options.packet(token)).await.map_err(lost)?;
    if code != ConnectReturnCode::Accepted {
        return Err(HubError::Refused { host: host(), code });
    }
    let refused = driver.subscribe(options.filters()).await.map_err(lost)?;
    match refused {
        None => Ok(()),
        Some(filter) => Err(HubError::SubscriptionRefused {
            host: host(),
            filter,
        }),
    }
}
