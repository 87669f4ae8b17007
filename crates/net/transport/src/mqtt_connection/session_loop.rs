//! An accepted session: the packets of the client, the messages of the service, and
//! the deadlines of both.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use mqtt::{Delivery, Overdue, Packet, ServerEvent, ServerSession, SubAck};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use super::packet_stream::PacketStream;
use crate::device_session::{Close, DeviceSession, Outgoing};
use crate::shutdown;

/// Replies are sent at the latest when so many bytes of them wait.
const MAX_WAITING: usize = 64 * 1024;

/// How a session ended without a fault.
pub enum SessionEnd {
    /// The client sent DISCONNECT.
    Disconnect,
    /// The server is shutting down.
    ServerStops,
}

/// Runs a session until its client, its service or `stopping` ends it.
pub async fn run<S, D>(
    packets: &mut PacketStream<S>,
    session: &mut ServerSession,
    device: &mut D,
    mut stopping: watch::Receiver<bool>,
) -> Result<SessionEnd, Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    D: DeviceSession,
{
    let mut replies = Vec::new();
    let mut closed = std::pin::pin!(device.closed());
    // The deadline after which the socket was read once more.
    let mut read_late = None;
    loop {
        if packets.has_input() {
            // Boxed: an idle session does not carry the state of a message that is handled.
            let arrived = handle_arrived(packets, session, device, closed.as_mut(), &mut replies);
            if let Some(end) = Box::pin(arrived).await? {
                return Ok(end);
            }
        }
        // A flush that is cancelled is not resumed: the connection ends.
        tokio::select! {
            biased;
            close = closed.as_mut() => return Err(close),
            flushed = packets.flush() => flushed?,
        }
        let (due, omission) = session.deadline();
        let due = packets.started() + Duration::from_millis(due.0);
        let complete_by = packets.complete_by(device.is_proven());
        // Cancel-safe: `fill` reads bytes only when it completes, `next` loses no message, the
        // others only wait.
        tokio::select! {
            close = closed.as_mut() => return Err(close),
            () = shutdown::requested(&mut stopping) => return Ok(SessionEnd::ServerStops),
            filled = packets.fill() => filled?,
            message = device.next(), if session.can_publish() => packets.push(session, message)?,
            () = tokio::time::sleep_until(due) => {
                // What the client has sent meanwhile counts, once: the service may have waited for
                // the storage since the socket was last read.
                match packets.fill().now_or_never().filter(|_| read_late != Some(due)) {
                    Some(filled) => filled?,
                    None => return Err(overdue(omission)),
                }
                read_late = Some(due);
            }
            () = reached(complete_by) => return Err(unfinished()),
        }
    }
}

/// Handles every packet that has arrived; `Some` when one of them was DISCONNECT. All are answered
/// with one write, unless the replies are long.
async fn handle_arrived<S, D>(
    packets: &mut PacketStream<S>,
    session: &mut ServerSession,
    device: &mut D,
    mut closed: Pin<&mut impl Future<Output = Close>>,
    replies: &mut Vec<Outgoing>,
) -> Result<Option<SessionEnd>, Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    D: DeviceSession,
{
    while let Some(packet) = packets.buffered()? {
        // A session that has to end handles no further packet, even one that is here already.
        if let Some(close) = closed.as_mut().now_or_never() {
            return Err(close);
        }
        if handle(packets, session, device, packet, replies).await? {
            return Ok(Some(SessionEnd::Disconnect));
        }
        if device.is_proven() {
            packets.connection().mark_proven_if_possible();
        }
        if packets.waiting() >= MAX_WAITING {
            packets.flush().await?;
        }
    }
    Ok(None)
}

/// Waits until a moment, if there is one.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => pending().await,
    }
}

fn unfinished() -> Close {
    let reason = "a packet was begun and not finished in time";
    Close::new("packet_unfinished", reason)
}

fn overdue(omission: Overdue) -> Close {
    match omission {
        Overdue::KeepAlive => Close::new("keep_alive", "the client's keep-alive ran out"),
        Overdue::Acknowledgement => Close::new(
            "unacknowledged",
            "the client did not acknowledge a message in time",
        ),
    }
}

/// Handles one packet; true when it was DISCONNECT.
async fn handle<S, D>(
    packets: &mut PacketStream<S>,
    session: &mut ServerSession,
    device: &mut D,
    packet: Packet,
    replies: &mut Vec<Outgoing>,
) -> Result<bool, Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    D: DeviceSession,
{
    let event = session.receive(packet, packets.now());
    match event.map_err(|error| Close::new("protocol", error.to_string()))? {
        ServerEvent::Publish(publish) => {
            let delivery = publish.delivery;
            device.publish(publish, replies).await?;
            if let Delivery::AtLeastOnce { id, .. } = delivery {
                packets.queue(&session.acknowledge(id))?;
            }
            for reply in replies.drain(..) {
                packets.push(session, reply)?;
            }
        }
        ServerEvent::Subscribe(subscribe) => {
            let mut results = Vec::with_capacity(subscribe.filters.len());
            for filter in &subscribe.filters {
                results.push(device.subscribe(&filter.filter, filter.qos).await);
            }
            packets.queue(&Packet::SubAck(SubAck {
                id: subscribe.id,
                results,
            }))?;
        }
        ServerEvent::Unsubscribe(unsubscribe) => {
            for filter in &unsubscribe.filters {
                device.unsubscribe(filter).await;
            }
            packets.queue(&Packet::UnsubAck(unsubscribe.id))?;
        }
        ServerEvent::Reply(packet) => packets.queue(&packet)?,
        ServerEvent::Delivered(_) | ServerEvent::Ignored => {}
        ServerEvent::Disconnect => return Ok(true),
    }
    Ok(false)
}
