//! The loop that owns an MQTT connection: bytes in, packets to a service's session, packets out.
//!
//! Which service that is, and what topics mean, is not known here.

use std::time::Duration;

use mqtt::{ConnAck, Connect, ConnectReturnCode, Packet, ServerSession, Will};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::device_session::{Close, DeviceSession, Ending};
use crate::peer::Peer;
use crate::service::DeviceService;
use crate::shutdown;

mod gathered;
mod packet_stream;
mod session_loop;

use packet_stream::{PacketStream, ReadError};
use session_loop::SessionEnd;

/// A client that has not sent CONNECT by then is disconnected.
const CONNECT_DEADLINE: Duration = Duration::from_secs(30);

/// Serves one connection until either side ends it. The future of an `async fn` has room for its
/// arguments twice; that of a block has not.
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
    let mut packets = PacketStream::new(stream, peer.connection.clone());
    async move {
        let _counted = OpenConnection::count();
        let address = peer.address;
        // Boxed, because it happens once: a session that lives for months does not carry its state.
        match Box::pin(open(&mut packets, peer, services, stopping.clone())).await {
            Ok(Some(accepted)) => run(&mut packets, accepted, stopping).await,
            Ok(None) => {}
            // A client that has sent nothing only looked whether the port is open.
            Err(close) if packets.is_silent() => tracing::debug!(
                client.address = %address,
                reason.code = close.code,
                "an MQTT connection ended: {close}"
            ),
            Err(close) => tracing::info!(
                client.address = %address,
                reason.code = close.code,
                "an MQTT connection ended before it was accepted: {close}"
            ),
        }
        packets.close().await;
    }
}

/// Counts an open connection until it is dropped, also when the connection is evicted.
struct OpenConnection;

impl OpenConnection {
    fn count() -> Self {
        metrics::gauge!("muster_mqtt_connections").increment(1);
        Self
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        metrics::gauge!("muster_mqtt_connections").decrement(1);
    }
}

/// A session that the service has accepted. Boxed: every future that takes it by value would have
/// room for it twice.
struct Accepted<D> {
    device: D,
    session: ServerSession,
    will: Option<Will>,
}

/// Reads CONNECT and asks the service; `None` when the service refused the client. An error is the
/// reason why the connection ended before a session began.
async fn open<S, A>(
    packets: &mut PacketStream<S>,
    peer: Peer,
    services: A,
    mut stopping: watch::Receiver<bool>,
) -> Result<Option<Box<Accepted<A::Session>>>, Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    A: DeviceService,
{
    let first = tokio::select! {
        first = tokio::time::timeout(CONNECT_DEADLINE, packets.read_packet()) => first,
        () = shutdown::requested(&mut stopping) => return Err(server_stops()),
    };
    let connect = match first {
        Err(_) => return Err(Close::new("connect_absent", "no CONNECT arrived in time")),
        Ok(Err(ReadError::ProtocolLevel)) => {
            refuse(packets, ConnectReturnCode::UnacceptableProtocolVersion).await?;
            return Ok(None);
        }
        Ok(Err(ReadError::Closed(close))) => return Err(close),
        Ok(Ok(Packet::Connect(connect))) => connect,
        Ok(Ok(other)) => {
            let reason = format!("{} came before CONNECT", other.name());
            return Err(Close::new("protocol", reason));
        }
    };
    let address = peer.address;
    let refused = match services.connect(&connect, peer).await {
        Ok(device) => return accept(packets, connect, device).map(Some),
        Err(refused) => refused,
    };
    tracing::info!(
        client.id = %connect.client_id,
        client.address = %address,
        reason.code = refused.code.code(),
        "the MQTT connection of {:?} was refused: {}",
        connect.client_id,
        refused.reason,
    );
    refuse(packets, refused.code).await?;
    Ok(None)
}

fn server_stops() -> Close {
    Close::new("server_stopping", "the server is stopping")
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    packets: &mut PacketStream<S>,
    code: ConnectReturnCode,
) -> Result<(), Close> {
    packets.queue(&Packet::ConnAck(ConnAck {
        session_present: false,
        code,
    }))?;
    packets.flush().await
}

/// Queues the CONNACK of a session that begins.
fn accept<S, D>(
    packets: &mut PacketStream<S>,
    connect: Connect,
    device: D,
) -> Result<Box<Accepted<D>>, Close>
where
    S: AsyncRead + AsyncWrite + Unpin,
    D: DeviceSession,
{
    packets.queue(&Packet::ConnAck(ConnAck {
        session_present: device.session_present(),
        code: ConnectReturnCode::Accepted,
    }))?;
    packets.limit_packets(device.max_packet());
    Ok(Box::new(Accepted {
        device,
        session: ServerSession::new(&connect, packets.now()),
        will: connect.will,
    }))
}

/// Runs an accepted session to its end.
async fn run<S, D>(
    packets: &mut PacketStream<S>,
    mut accepted: Box<Accepted<D>>,
    stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    D: DeviceSession,
{
    let (session, device) = (&mut accepted.session, &mut accepted.device);
    let how = match session_loop::run(packets, session, device, stopping).await {
        Ok(SessionEnd::Disconnect) => Ending::Disconnect,
        Ok(SessionEnd::ServerStops) => Ending::Closed(server_stops()),
        Err(close) => Ending::Closed(close),
    };
    metrics::counter!("muster_mqtt_sessions_ended_total", "reason" => how.code()).increment(1);
    let Accepted { device, will, .. } = *accepted;
    let will = will.filter(|_| how != Ending::Disconnect);
    Box::pin(device.ended(how, will)).await;
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
