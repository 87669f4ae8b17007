mod call;
mod driver;
mod transport;
mod websocket;

pub use call::{CallError, Hub};
pub use driver::Lost;

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

use crate::{ConnectError, Credential, Trust};
use driver::Driver;

/// Longest wait for CONNACK and SUBACK together.
const GREETING: Duration = Duration::from_secs(30);
/// Events that may wait for the application; more end the connection rather than fill the memory.
const EVENTS: usize = 1024;
/// Calls that may wait for the connection's loop.
const CALLS: usize = 64;

/// How a device or module connects to its hub.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// The hub that owns the identity; goes into the user name as it is written here.
    pub hub: HubHost,
    /// Where to connect when that is not the hub itself.
    pub gateway: Option<HubHost>,
    pub device: DeviceId,
    /// As which of its modules.
    pub module: Option<ModuleId>,
    /// Client certificate, or a token for exactly this device or module.
    pub credential: Credential,
    /// Which servers to believe.
    pub trust: Trust,
    /// Longest silence towards the hub, seconds.
    pub keep_alive: u16,
    /// What this program calls itself.
    pub client_type: String,
}

impl HubOptions {
    /// Where the connection goes: plain MQTT on 8883, or WebSocket on the port that the host
    /// carries.
    fn target(&self) -> &HubHost {
        self.gateway.as_ref().unwrap_or(&self.hub)
    }

    fn packet(&self) -> Connect {
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
        let password = self.credential.token();
        Connect {
            client_id,
            clean_session: true,
            keep_alive: self.keep_alive,
            will: None,
            username: Some(username.to_string()),
            password: password.map(|token| Password::new(token.as_bytes().to_vec())),
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
    /// It is not reached or not trusted.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It does not speak MQTT over WebSocket there.
    #[error("{host} does not accept a WebSocket for MQTT")]
    WebSocket {
        host: HubHost,
        /// What the handshake said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It does not let this identity in.
    #[error("{host} refused the connection: {code}")]
    Refused {
        host: HubHost,
        /// The code of its CONNACK.
        code: ConnectReturnCode,
    },
    /// It does not grant a subscription that this device cannot do without.
    #[error("{host} refused the subscription to {filter}")]
    SubscriptionRefused { host: HubHost, filter: String },
    /// The connection ended before it stood.
    #[error("the connection to {host} ended before it was accepted")]
    Lost { host: HubHost, source: Lost },
    /// It did not accept in time.
    #[error("{host} did not accept the connection within {} s", GREETING.as_secs())]
    TimedOut { host: HubHost },
}

/// What a hub tells its device or module.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Desired properties changed. May be older than the twin that was read last; compare the
    /// versions.
    Desired(DesiredChange),
    /// A method is called; answer with [`Hub::respond`].
    Method(MethodCall),
    /// The connection is over, and why. Nothing comes after this.
    Disconnected(Lost),
}

/// A change of desired properties: members to merge in, `null` to remove.
pub type DesiredChange = VersionedProperties;

/// One call of a direct method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodCall {
    pub name: String,
    /// The call's id, which the answer repeats.
    pub rid: String,
    /// Its argument, as sent.
    pub payload: Bytes,
}

impl MethodCall {
    /// The argument; no payload is `null`.
    pub fn argument(&self) -> Result<Value, wire::lenient::BodyError> {
        match self.payload.iter().all(u8::is_ascii_whitespace) {
            true => Ok(Value::Null),
            false => wire::lenient::parse(&self.payload),
        }
    }
}

/// What a connection says, in order. Must be read: a connection whose events nobody takes is ended.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
    end: Option<oneshot::Receiver<Lost>>,
}

impl Events {
    /// The next event; after [`Event::Disconnected`] there is none. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.events.recv().await {
            return Some(event);
        }
        let end = self.end.as_mut()?;
        // A loop that is gone without a word was dropped together with its runtime.
        let lost = end.await.unwrap_or(Lost::Closed);
        self.end = None;
        Some(Event::Disconnected(lost))
    }
}

impl Hub {
    /// Connects, subscribes to everything that a device or module gets, and starts the connection's
    /// loop.
    ///
    /// The loop ends when the connection does, when [`Hub::close`] is called, or when all `Hub`s
    /// are dropped. Connecting again is the caller's decision.
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
            // Nobody may be left to hear it.
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
    let code = driver.connect(options.packet()).await.map_err(lost)?;
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
