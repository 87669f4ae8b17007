//! MQTT over WebSocket (RFC 6455) on the HTTPS port.
//!
//! Device SDKs open `/$iothub/websocket`, the C# provisioning client `/`; both ask
//! for the subprotocol `mqtt`.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::mqtt_connection;
use crate::peer::Peer;
use crate::service::DeviceService;

mod upgrade;

pub use upgrade::{handshake, is_requested};

/// The time in which a client must answer a close frame.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// The size of the buffers between the frames and the MQTT connection.
const PIPE: usize = 16 * 1024;
/// The longest MQTT packet plus its header; a frame need not be longer.
const MAX_FRAME: usize = 320 * 1024;

/// Serves the MQTT connection of a client whose handshake was answered with 101, until
/// either side ends it.
pub async fn serve<A: DeviceService>(
    upgrading: OnUpgrade,
    peer: Peer,
    services: A,
    stopping: watch::Receiver<bool>,
) {
    let io = match upgrading.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            return tracing::debug!(error = %error, "a WebSocket upgrade did not complete");
        }
    };
    let limits = WebSocketConfig::default()
        .read_buffer_size(PIPE)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
    let (mqtt_end, socket_end) = tokio::io::duplex(PIPE);
    let connection = mqtt_connection::serve(mqtt_end, peer, services, stopping);
    // The side that ends first ends the other one by closing its end of the pipe.
    tokio::join!(connection, relay(socket, socket_end));
}

/// Moves bytes between the frames of `socket` and `pipe` until either side closes, then closes the
/// other side. A client gets the reason as a code.
///
/// Neither direction waits for the other one. Otherwise a server that writes a long message and a
/// client that sends a long message at the same time would wait for each other for ever.
async fn relay<S: AsyncRead + AsyncWrite + Unpin>(socket: WebSocketStream<S>, pipe: DuplexStream) {
    let (mut to_client, mut from_client) = socket.split();
    let (from_server, to_server) = tokio::io::split(pipe);
    let code = tokio::select! {
        code = relay_in(&mut from_client, to_server) => code,
        () = relay_out(from_server, &mut to_client) => Some(CloseCode::Normal),
    };
    if let Some(code) = code {
        let reason = Utf8Bytes::from_static("");
        let frame = Message::Close(Some(CloseFrame { code, reason }));
        let _ = to_client.send(frame).await;
    }
    let _ = to_client.close().await;
    // A connection that is closed before its client has sent a close frame is reset, and the client
    // loses the code.
    let farewell = async { while let Some(Ok(_)) = from_client.next().await {} };
    let _ = tokio::time::timeout(CLOSE_DEADLINE, farewell).await;
}

/// Returns when the client's side is over, with the code that it gets (RFC 6455, 7.4.1); `None`
/// when the client has closed.
async fn relay_in<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut SplitStream<WebSocketStream<S>>,
    mut server: WriteHalf<DuplexStream>,
) -> Option<CloseCode> {
    loop {
        match client.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                if server.write_all(&bytes).await.is_err() {
                    // The MQTT connection is over; its last bytes are still on the way to the
                    // client.
                    pending::<()>().await;
                }
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            // MQTT is in binary frames only (MQTT 3.1.1, 6.0).
            Some(Ok(Message::Text(_))) => return Some(CloseCode::Unsupported),
            Some(Ok(Message::Close(_))) | None => return None,
            Some(Err(error)) => return close_code(&error),
        }
    }
}

/// The close code for a fault of the client; `None` when a close frame would not reach it.
fn close_code(error: &WsError) -> Option<CloseCode> {
    match error {
        WsError::Capacity(_) => Some(CloseCode::Size),
        WsError::Utf8(_) => Some(CloseCode::Invalid),
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        WsError::Protocol(_) => Some(CloseCode::Protocol),
        _ => None,
    }
}

/// Returns when everything that the server wrote is sent, or the client is gone.
async fn relay_out<S: AsyncRead + AsyncWrite + Unpin>(
    mut server: ReadHalf<DuplexStream>,
    client: &mut SplitSink<WebSocketStream<S>, Message>,
) {
    let mut buffer = vec![0; PIPE];
    while let Ok(length @ 1..) = server.read(&mut buffer).await {
        let bytes = Bytes::copy_from_slice(&buffer[..length]);
        if client.send(Message::Binary(bytes)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
