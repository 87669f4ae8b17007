//! The byte stream of a connection.

use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::websocket::ByteStream;
use super::{HubError, HubOptions, MAX_PACKET};
use crate::dial::{Endpoint, Stream, dial};

const MQTTS_PORT: u16 = 8883;
const PATH: &str = "/$iothub/websocket";
/// A frame holds at most one packet, with this device and with every known server.
const MAX_FRAME: usize = MAX_PACKET + 16;

/// Opens the byte stream to a hub: TLS on port 8883, or WebSocket over TLS if the host has a port.
pub(super) async fn open(options: &HubOptions) -> Result<Box<dyn Stream>, HubError> {
    let host = options.target();
    let config = options.trust.client_config(options.credential.identity());
    let stream = dial(&Endpoint::new(host, MQTTS_PORT), config, &options.trust).await?;
    if host.port().is_none() {
        return Ok(Box::new(stream));
    }
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| HubError::WebSocket {
        host: host.clone(),
        source,
    };
    let mut request = format!("wss://{host}{PATH}")
        .into_client_request()
        .map_err(|error| failed(Box::new(error)))?;
    let headers = request.headers_mut();
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mqtt"));
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    let handshake = client_async_with_config(request, stream, Some(limits));
    let (socket, _response) = tokio::time::timeout(super::GREETING, handshake)
        .await
        .map_err(|_| HubError::TimedOut { host: host.clone() })?
        .map_err(|error| failed(Box::new(error)))?;
    Ok(Box::new(ByteStream::new(socket)))
}
