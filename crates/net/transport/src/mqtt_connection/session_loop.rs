//! An accepted session: the packets of the client, the messages of the service, and
//! the deadlines of both.

use std::pin::Pin;
use std::time::Duration;

use std::collections::HashMap;

use futures_util::FutureExt;
use mqtt::{Delivery, Millis, Overdue, Packet, PacketId, ServerEvent, ServerSession, SubAck};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::gathered::Gathered;
use super::packet_stream::{PacketStream, ReadError};
use crate::device_session::{Close, DeviceSession, Outgoing};
use crate::shutdown;

/// Replies are sent at the latest when so many bytes of them wait.
const MAX_WAITING: usize = 64 * 1024;
/// Reads of 8 KiB after one deadline: more than the longest packet of a proven client.
const MAX_LATE_READS: usize = 64;

/// How a session ended without a fault.
pub enum SessionEnd {
    /// The client sent DISCONNECT.
    Disconnect,
    /// The server is shutting down.
    ServerStops,
}

/// Messages whose service asks whether the client has them.
#[derive(Default)]
struct Receipts {
    /// Sent with QoS 1: the numbers of the service, by the packet id that PUBACK repeats.
    sent: HashMap<PacketId, i64>,
    /// Of QoS 0, in the output buffer.
    written: Vec<i64>,
}

impl Receipts {
    fn push<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        packets: &mut PacketStream<S>,
        session: &mut ServerSession,
        message: Outgoing,
    ) -> Result<(), Close> {
        let receipt = message.receipt;
        let delivery = packets.push(session, message)?;
        match (receipt, delivery) {
            (None, _) => {}
            (Some(receipt), Delivery::AtMostOnce) => self.written.push(receipt.number),
            (Some(receipt), Delivery::AtLeastOnce { id, .. }) => {
                self.sent.insert(id, receipt.number);
            }
        }
        Ok(())
    }

    /// What was in the output buffer is written.
    fn confirm_written(&mut self, device: &mut impl DeviceSession) {
        let written = self.written.drain(..);
        written.for_each(|number| device.delivered(number));
    }
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
    let mut receipts = Receipts::default();
    let mut closed = std::pin::pin!(device.closed());
    let mut late = LateReads::default();
    loop {
        if packets.has_input() {
            // Boxed: an idle session does not carry the state of a message that is handled.
            let queues = (&mut replies, &mut receipts);
            let arrived = handle_arrived(packets, session, device, closed.as_mut(), queues);
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
        receipts.confirm_written(device);
        let (due, omission) = session.deadline();
        let due = packets.started() + Duration::from_millis(due.0);
        let complete_by = packets.complete_by(device.is_proven());
        // One timer: each takes room in every idle session.
        let wake_at = complete_by.map_or(due, |complete_by| complete_by.min(due));
        // Cancel-safe: `fill` reads bytes only when it completes, `next` loses no message, the
        // others only wait.
        tokio::select! {
            close = closed.as_mut() => return Err(close),
            () = shutdown::requested(&mut stopping) => return Ok(SessionEnd::ServerStops),
            filled = packets.fill() => filled?,
            message = device.next(), if session.can_publish() => {
                receipts.push(packets, session, message)?;
            }
            () = tokio::time::sleep_until(wake_at) => {
                // What the client has sent meanwhile counts: the service may have waited for the
                // storage since the socket was last read.
                let filled = unconstrained(packets.fill()).now_or_never();
                match filled.filter(|_| late.one_more(wake_at)) {
                    Some(filled) => filled?,
                    None if complete_by == Some(wake_at) => return Err(unfinished()),
                    None => return Err(overdue(omission)),
                }
            }
        }
    }
}

/// Reads of the socket after a deadline has passed. They are bounded, because a client that does not
/// acknowledge a message may send others all the time.
#[derive(Default)]
struct LateReads {
    deadline: Option<Instant>,
    count: usize,
}

impl LateReads {
    /// Whether the socket may be read once more after this deadline.
    fn one_more(&mut self, deadline: Instant) -> bool {
        if self.deadline != Some(deadline) {
            *self = Self {
                deadline: Some(deadline),
                count: 0,
            };
        }
        self.count += 1;
        self.count <= MAX_LATE_READS
    }
}

/// Handles every packet that has arrived; `Some` when one of them was DISCONNECT. All are answered
/// with one write, unless the replies are long.
async fn handle_arrived<S, D>(
    packets: &mut PacketStream<S>,
    session: &mut ServerSession,
    device: &mut D,
    mut closed: Pin<&mut impl Future<Output = Close>>,
    (replies, receipts): (&mut Vec<Outgoing>, &mut Receipts),
) -> Result<Option<SessionEnd>, Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    D: DeviceSession,
{
    let mut gathered = Gathered::default();
    // After a full batch no more is read: a client that goes on sending must not keep its session
    // from everything else.
    let mut reads_on = true;
    loop {
        let packet = next_packet(packets, gathered.is_begun() && reads_on);
        // The id of a message is free again after its acknowledgement, and not before.
        if let Ok(Some(Packet::Publish(next))) = &packet
            && gathered.has_id_of(next)
        {
            gathered.keep(packets, session, device).await?;
        }
        let event = event_of(packet, session, packets.now());
        // A session that has to end handles no further packet, even one that is here already.
        if let Some(close) = closed.as_mut().now_or_never() {
            return Err(close);
        }
        match event {
            Ok(Some(ServerEvent::Publish(message))) if device.keeps(&message) => {
                gathered.push(message);
                if gathered.is_full() {
                    gathered.keep(packets, session, device).await?;
                    packets.flush().await?;
                    reads_on = false;
                }
            }
            // Whatever follows, what came before is kept and acknowledged.
            other => {
                gathered.keep(packets, session, device).await?;
                let Some(event) = other? else {
                    return Ok(None);
                };
                if handle(packets, session, device, event, (replies, receipts)).await? {
                    return Ok(Some(SessionEnd::Disconnect));
                }
            }
        }
        if device.is_proven() {
            packets.connection().mark_proven_if_possible();
        }
        if packets.waiting() >= MAX_WAITING {
            packets.flush().await?;
        }
    }
}

/// The next packet that is here; `None` after the last one. With `reads` the socket is looked at, too:
/// a read brings 8 KiB, less than what the client may have sent already.
fn next_packet<S>(packets: &mut PacketStream<S>, reads: bool) -> Result<Option<Packet>, ReadError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    loop {
        let packet = packets.buffered();
        if !reads || !matches!(packet, Ok(None)) {
            return packet;
        }
        match unconstrained(packets.fill()).now_or_never() {
            Some(Ok(())) => {}
            Some(Err(close)) => return Err(close.into()),
            None => return packet,
        }
    }
}

/// What a packet means to the session.
fn event_of(
    packet: Result<Option<Packet>, ReadError>,
    session: &mut ServerSession,
    now: Millis,
) -> Result<Option<ServerEvent>, Close> {
    let Some(packet) = packet? else {
        return Ok(None);
    };
    let event = session.receive(packet, now);
    event
        .map(Some)
        .map_err(|error| Close::new("protocol", error.to_string()))
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

/// Handles one packet that is not gathered; true when it was DISCONNECT.
async fn handle<S, D>(
    packets: &mut PacketStream<S>,
    session: &mut ServerSession,
    device: &mut D,
    event: ServerEvent,
    (replies, receipts): (&mut Vec<Outgoing>, &mut Receipts),
) -> Result<bool, Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    D: DeviceSession,
{
    match event {
        ServerEvent::Publish(publish) => {
            let delivery = publish.delivery;
            device.publish(publish, replies).await?;
            if let Delivery::AtLeastOnce { id, .. } = delivery {
                packets.queue(&session.acknowledge(id))?;
            }
            for reply in replies.drain(..) {
                receipts.push(packets, session, reply)?;
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
        ServerEvent::Delivered(id) => {
            if let Some(number) = receipts.sent.remove(&id) {
                device.delivered(number);
            }
        }
        ServerEvent::Ignored => {}
        ServerEvent::Disconnect => return Ok(true),
    }
    Ok(false)
}
