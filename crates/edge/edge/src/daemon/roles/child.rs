//! One life of the role's process.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;

use super::Order;

/// How long the role may take to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How the role is started.
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) root: PathBuf,
    /// The socket of the Keys API.
    pub(super) listener: std::os::unix::net::UnixListener,
}

/// How a life of the role ended.
pub(super) enum ChildEnd {
    Stopped,
    Died(String),
}

/// A line to the role.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderLine {
    pub(crate) number: u64,
    pub(crate) settings: keys::Settings,
}

/// Starts the role, and passes it orders until it ends or nobody gives any.
pub(super) async fn run(
    launch: &Launch,
    orders: &mut watch::Receiver<Order>,
    obeys: &watch::Sender<u64>,
) -> ChildEnd {
    let (mut child, stream) = match start(launch) {
        Ok(started) => started,
        Err(error) => return ChildEnd::Died(format!("it cannot be started: {error}")),
    };
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(pass_on(stderr));
    }
    let (answers, requests) = stream.into_split();
    let ended = pass_orders(answers, requests, orders, obeys).await;
    match tokio::time::timeout(END_WITHIN, child.wait()).await {
        Ok(Ok(status)) if matches!(ended, ChildEnd::Died(_)) => {
            ChildEnd::Died(format!("it ended with {status}"))
        }
        Ok(_) => ended,
        Err(_) => {
            // It is killed when its handle is dropped.
            tracing::warn!("the process that holds the keys does not end; it is killed");
            ended
        }
    }
}

fn start(launch: &Launch) -> std::io::Result<(Child, UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let child = Command::new(&launch.program)
        .arg0("aziot-edged")
        .args(["keys", "--root"])
        .arg(&launch.root)
        .stdin(Stdio::from(OwnedFd::from(launch.listener.try_clone()?)))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, UnixStream::from_std(ours)?))
}

async fn pass_orders(
    answers: OwnedReadHalf,
    mut requests: OwnedWriteHalf,
    orders: &mut watch::Receiver<Order>,
    obeys: &watch::Sender<u64>,
) -> ChildEnd {
    let died = |error: std::io::Error| ChildEnd::Died(error.to_string());
    let mut answers = BufReader::new(answers).lines();
    orders.mark_changed();
    loop {
        // Cancel-safe: a watch, and lines that keep what they have read.
        tokio::select! {
            changed = orders.changed() => {
                if changed.is_err() {
                    return ChildEnd::Stopped;
                }
                let line = line(&orders.borrow_and_update());
                if let Err(error) = requests.write_all(&line).await {
                    return died(error);
                }
            }
            answer = answers.next_line() => match answer {
                Ok(Some(number)) => {
                    let number = number.parse().unwrap_or(0);
                    obeys.send_if_modified(|now| std::mem::replace(now, number) != number);
                }
                Ok(None) => return ChildEnd::Died("its connection ended".to_owned()),
                Err(error) => return died(error),
            },
        }
    }
}

fn line(order: &Order) -> Vec<u8> {
    let line = OrderLine {
        number: order.number,
        settings: order.settings.clone(),
    };
    let mut line = serde_json::to_vec(&line).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The role's log becomes part of the daemon's. A line begins with its level.
async fn pass_on(stderr: ChildStderr) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line = line.trim();
        match line.split_once(' ') {
            Some(("ERROR", text)) => tracing::error!(role = "keys", "{}", text.trim()),
            Some(("WARN", text)) => tracing::warn!(role = "keys", "{}", text.trim()),
            Some(("INFO", text)) => tracing::info!(role = "keys", "{}", text.trim()),
            _ => tracing::warn!(role = "keys", "{line}"),
        }
    }
}
