//! What a program puts behind its ports.

use crate::device_session::{ConnectRefused, DeviceSession};
use axum::body::Body;
use axum::http::{Request, Response};
use mqtt::Connect;

use crate::accept::Peer;

/// Accepts MQTT connections and gives each a session.
pub trait DeviceService: Clone + Send + Sync + 'static {
    /// What stands behind one accepted connection.
    type Session: DeviceSession;

    /// Answers a CONNECT. A service whose CONNECT proves the client does so with [`Peer::prove_with`].
    ///
    /// # Errors
    /// What CONNACK says, and the reason for the log.
    fn connect(
        &self,
        connect: &Connect,
        peer: Peer,
    ) -> impl Future<Output = Result<Self::Session, ConnectRefused>> + Send;
}

/// Answers HTTP requests.
pub trait HttpService: Clone + Send + Sync + 'static {
    /// Answers one request. The service may call [`Visit::prove_if_there_is_room`](crate::accept::Visit) of the peer
    /// before it reads the body; without that a response of success proves the client.
    fn answer(
        &self,
        request: Request<Body>,
        peer: Peer,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Whether a response of success to a request for `path` shows that the client has proved itself. Not so for paths
    /// without authorization.
    fn needs_proof(&self, path: &str) -> bool;
}
