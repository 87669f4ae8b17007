//! Commands to the task that keeps the connection to the cloud.

use tokio::sync::oneshot;

/// A command to the task that keeps the connection to the cloud.
#[derive(Debug)]
pub enum Command {
    /// Register again, and answer with the outcome.
    Reprovision(oneshot::Sender<Result<(), String>>),
    /// Something that the device proves itself with has changed, such as its certificate.
    CredentialsChanged,
    /// Report the end to the hub, close the connection, and end the task.
    Stop(oneshot::Sender<()>),
}

/// A command to one session.
#[derive(Debug)]
pub(crate) enum SessionCommand {
    /// Close the connection: another one takes its place.
    Close,
    /// Report the end of the runtime to the hub, and close the connection.
    Stop,
}
