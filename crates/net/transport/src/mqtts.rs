//! The MQTTS port: MQTT over TLS.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::accept::Metered;
use crate::mqtt_connection;
use crate::peer::Peer;
use crate::service::DeviceService;

/// Serves one connection until its client or `stopping` ends it.
pub async fn serve<S, A>(stream: S, peer: Peer, services: A, stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    A: DeviceService,
{
    let stream = Metered::new(stream, peer.connection.clone());
    mqtt_connection::serve(stream, peer, services, stopping).await;
}
