//! `muster device c2d-message`: the verbs of `az iot device c2d-message`.

mod receive;
mod send;

use clap::Subcommand;
use reqwest::Method;

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service};

/// Verbs of `muster device c2d-message`.
#[derive(Debug, Subcommand)]
pub enum C2dMessageCommand {
    /// Send a message to a device or module; it waits in the queue until it is received or expires.
    #[command(after_help = "Example:\n  \
            muster device c2d-message send -d dev-1 --data '{\"fan\":\"on\"}' --content-type \
            application/json --ack full --data-dir ./data")]
    Send(send::SendFlags),
    /// Receive the next message of a device over HTTPS, in the place of the device.
    #[command(after_help = "Example:\n  \
            muster device c2d-message receive -d dev-1 --complete --data-dir ./data")]
    Receive(receive::ReceiveFlags),
    /// Complete a received message: it leaves the queue.
    #[command(after_help = "Example:\n  \
            muster device c2d-message complete -d dev-1 --etag \
            3a1f7d02-9c55-4b7e-8a50-5f5d1c0e9f11 --data-dir ./data")]
    Complete(Received),
    /// Reject a received message: it leaves the queue, and its sender gets feedback.
    #[command(after_help = "Example:\n  \
            muster device c2d-message reject -d dev-1 --etag \
            3a1f7d02-9c55-4b7e-8a50-5f5d1c0e9f11 --data-dir ./data")]
    Reject(Received),
    /// Abandon a received message: it goes back to its place in the queue.
    #[command(after_help = "Example:\n  \
            muster device c2d-message abandon -d dev-1 --etag \
            3a1f7d02-9c55-4b7e-8a50-5f5d1c0e9f11 --data-dir ./data")]
    Abandon(Received),
    /// Delete every message in the queue of a device or module.
    #[command(after_help = "Example:\n  \
            muster device c2d-message purge -d dev-1 --data-dir ./data")]
    Purge(QueueOwner),
}

/// Whose queue a command is about.
#[derive(Debug, clap::Args)]
pub struct QueueOwner {
    #[arg(long, short = 'd')]
    device_id: String,
    /// A module of the device instead of the device itself.
    #[arg(long, short = 'm')]
    module_id: Option<String>,
}

impl QueueOwner {
    /// The path of something of the device or module.
    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["devices", self.device_id.as_str()];
        if let Some(module) = &self.module_id {
            path.extend(["modules", module]);
        }
        path.extend(rest);
        path
    }
}

/// A message that was received and not settled.
#[derive(Debug, clap::Args)]
pub struct Received {
    #[command(flatten)]
    owner: QueueOwner,
    /// The lock token: `etag` of the received message.
    #[arg(long, short = 'e')]
    etag: String,
}

/// What a receiver does with a message that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settlement {
    Complete,
    Reject,
    Abandon,
}

const PURGED: &[Column] = &[
    ("DeviceId", "/deviceId"),
    ("Module", "/moduleId"),
    ("Purged", "/totalMessagesPurged"),
];

pub async fn run(command: C2dMessageCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let (received, settlement) = match command {
        C2dMessageCommand::Send(flags) => return send::run(flags, invocation).await,
        C2dMessageCommand::Receive(flags) => return receive::run(flags, invocation).await,
        C2dMessageCommand::Purge(owner) => return purge(owner, invocation).await,
        C2dMessageCommand::Complete(received) => (received, Settlement::Complete),
        C2dMessageCommand::Reject(received) => (received, Settlement::Reject),
        C2dMessageCommand::Abandon(received) => (received, Settlement::Abandon),
    };
    send_settlement(&received.owner, &received.etag, settlement, invocation).await
}

async fn send_settlement(
    owner: &QueueOwner,
    etag: &str,
    settlement: Settlement,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let mut path = owner.path(&["messages", "deviceBound", etag]);
    let reject = [("reject", String::new())];
    let call = match settlement {
        Settlement::Complete => Call::new(Method::DELETE, &path),
        Settlement::Reject => Call::new(Method::DELETE, &path).query(&reject),
        Settlement::Abandon => {
            path.push("abandon");
            Call::new(Method::POST, &path)
        }
    };
    client.call(call).await?;
    Ok(())
}

async fn purge(owner: QueueOwner, invocation: &Invocation) -> anyhow::Result<()> {
    let path = owner.path(&["commands"]);
    let call = Call::new(Method::DELETE, &path);
    let purged = invocation.target.connect(Service::Hub)?.call(call).await?;
    Ok(output::print(invocation.output, &purged, PURGED)?)
}
