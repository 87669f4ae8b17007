//! The process that alone holds the device's private keys: `aziot-edged keys`.
//!
//! The daemon starts it, with the listening socket of the Keys API as standard input and a
//! connection to itself as standard output. It ends when that connection does.

mod own_user;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use keys::{Api, Keys, Principals};
use nix::sys::resource::{Resource, setrlimit};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use wire::edge_api::keys::API_VERSIONS;

use crate::daemon::OrderLine;
use crate::files::paths::Paths;
use crate::local_api::http::{LocalRequest, Refusal, Reply, serve};

/// How many calls run at once. Others wait.
const MAX_THREADS: usize = 8;
/// A thread without a call ends after this time, and its memory is free.
const THREAD_IDLE: Duration = Duration::from_secs(2);

/// Why the role does not run.
#[derive(Debug, thiserror::Error)]
pub enum KeysRoleError {
    #[error("the role of the keys is started by `aziot-edged run`, which hands it its sockets")]
    NotSupervised(#[source] io::Error),
    #[error(transparent)]
    Keys(#[from] keys::KeyError),
    #[error("it cannot become the user of its own")]
    User(#[source] io::Error),
    #[error("an order of the daemon cannot be read")]
    Order(#[from] serde_json::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Holds the keys until the daemon has ended.
pub fn run(paths: &Paths) -> Result<(), KeysRoleError> {
    let listener = std::os::unix::net::UnixListener::from(inherited(io::stdin())?);
    let daemon = std::os::unix::net::UnixStream::from(inherited(io::stdout())?);
    // Its memory is never written to a disk.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(io::Error::from)?;
    own_user::take(paths).map_err(KeysRoleError::User)?;
    listener.set_nonblocking(true)?;
    daemon.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_THREADS)
        .thread_keep_alive(THREAD_IDLE)
        .build()?;
    runtime.block_on(hold(paths, listener, daemon))?;
    // A token that hangs must not keep the process.
    runtime.shutdown_background();
    Ok(())
}

fn inherited(stream: impl AsFd) -> Result<OwnedFd, KeysRoleError> {
    let fd = stream.as_fd();
    nix::sys::socket::getsockopt(&fd, nix::sys::socket::sockopt::SockType)
        .map_err(|error| KeysRoleError::NotSupervised(error.into()))?;
    fd.try_clone_to_owned()
        .map_err(KeysRoleError::NotSupervised)
}

async fn hold(
    paths: &Paths,
    listener: std::os::unix::net::UnixListener,
    daemon: std::os::unix::net::UnixStream,
) -> Result<(), KeysRoleError> {
    // Ctrl-C reaches all processes of a terminal. This one outlives the daemon, which may sign.
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move { while interrupt.recv().await.is_some() {} });
    let daemon = UnixStream::from_std(daemon)?;
    let trusted = [daemon.peer_cred()?.uid(), nix::unistd::geteuid().as_raw()];
    let (orders, mut answers) = daemon.into_split();
    let mut orders = BufReader::new(orders).lines();
    let Some(first) = orders.next_line().await? else {
        return Ok(());
    };
    let first: OrderLine = serde_json::from_str(&first)?;
    let keys = Keys::in_folder(&paths.keys_folder().join("keys"), first.settings)?;
    let keys = Arc::new(keys);
    let principals = Principals::new(&paths.key_principals(), &trusted);
    let api = Arc::new(Api::new(keys.clone(), principals));
    let listener = UnixListener::from_std(listener)?;
    let socket = tokio::spawn(serve(listener, &API_VERSIONS, move |request| {
        answer(api.clone(), request)
    }));
    answers
        .write_all(format!("{}\n", first.number).as_bytes())
        .await?;
    while let Some(line) = orders.next_line().await? {
        let order: OrderLine = serde_json::from_str(&line)?;
        keys.configure(order.settings);
        answers
            .write_all(format!("{}\n", order.number).as_bytes())
            .await?;
    }
    socket.abort();
    Ok(())
}

/// A call may wait for a token, and has a thread of its own.
async fn answer(api: Arc<Api>, request: LocalRequest) -> Result<Reply, Refusal> {
    let Some(caller) = request.caller else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "forbidden"));
    };
    let call = move || {
        let method = request.method.as_str();
        api.answer(method, &request.path.segments(), request.body(), caller)
    };
    match tokio::task::spawn_blocking(call).await {
        Ok(Ok(Some(answer))) => Ok(Reply::Json(answer)),
        Ok(Ok(None)) => Ok(Reply::Empty(StatusCode::NO_CONTENT)),
        Ok(Err(refused)) => {
            let status = StatusCode::from_u16(refused.status());
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let body = serde_json::to_value(refused.body()).unwrap_or_default();
            Ok(Reply::Refused(status, body))
        }
        Err(_) => Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal error",
        )),
    }
}
