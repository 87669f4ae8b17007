//! The MQTTS port: MQTT over TLS.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::accept::Metered;
use crate::mqtt_connection;
use crate::peer::Peer;
use crate::service::DeviceService;

/// Serves one connection until its client or `stopping` ends it.
pub fn serve<S, A>(
    stream: S,
    peer: Peer,
    services: A,
    stopping: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    A: DeviceService,
{
    // No `async fn`, whose future would have room for the arguments beside that of the other.
    let stream = Metered::new(stream, peer.connection.clone());
    mqtt_connection::serve(stream, peer, services, stopping)
}
