//! Commands to the task that keeps the connection to the cloud.

use tokio::sync::oneshot;

/// A command to the task that keeps the connection to the cloud.
#[derive(Debug)]
pub enum Command {
    /// Register again, and answer with the outcome.
    Reprovision(oneshot::Sender<Result<(), String>>),
    /// Report the end to the hub, close the connection, and end the task.
    Stop(oneshot::Sender<()>),
}
