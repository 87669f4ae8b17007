//! What a program puts behind its ports.

use axum::body::Body;
use axum::http::{Request, Response};
use mqtt::Connect;

use crate::device_session::{ConnectRefused, DeviceSession};
use crate::peer::Peer;

/// Accepts the MQTT connections of devices.
pub trait DeviceService: Clone + Send + Sync + 'static {
    /// The service's side of one accepted connection.
    type Session: DeviceSession;

    /// Answers a CONNECT. A service whose CONNECT proves the client uses [`Peer::prove_with`];
    /// another one says later that the session [is proven](DeviceSession::is_proven).
    ///
    /// A refusal has the return code of CONNACK, and the reason for the log.
    fn connect(
        &self,
        connect: &Connect,
        peer: Peer,
    ) -> impl Future<Output = Result<Self::Session, ConnectRefused>> + Send;
}

/// Answers the HTTP requests of clients.
pub trait HttpService: Clone + Send + Sync + 'static {
    /// Answers one request. A service that proves the client before it reads the body marks the
    /// peer's connection as proven itself; without that a response of success does.
    fn answer(
        &self,
        request: Request<Body>,
        peer: Peer,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Whether a response of success to a request for `path` shows that the client has proved
    /// itself. Not so for paths that need no authorization.
    fn success_is_proof(&self, path: &str) -> bool;

    /// Whether requests for `path` bring files: their bodies may take as long as
    /// [`FILE_DEADLINE`](crate::https::FILE_DEADLINE) instead of under a minute.
    fn receives_files(&self, path: &str) -> bool {
        let _ = path;
        false
    }
}
