//! The role that holds the device's keys: a process of its own, which the daemon starts and keeps
//! running.
//!
//! The daemon binds the socket of the Keys API and hands it over as standard input, so that clients
//! find it while the role starts anew. Over standard output, a pair of sockets, it sends what the
//! configuration says about keys, and the role answers when it obeys. When the daemon ends, in
//! whatever way, that connection ends, and the role with it.

mod child;

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keys::{Client, Settings};
use nix::unistd::User;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::files::durable::DurableError;
use crate::files::paths::Paths;
use crate::local_api::unix_socket::listen;
pub(crate) use child::OrderLine;
use child::{ChildEnd, Launch};

/// The mode of the socket: the role's user and its group may connect.
const SOCKET_MODE: u32 = 0o660;
/// The pause after the first failure. It doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A role that ran so long has not failed at its start.
const STABLE: Duration = Duration::from_secs(30);
/// How long a new configuration waits for the role to obey it.
const OBEY_WITHIN: Duration = Duration::from_secs(20);

/// The user of the role on a device that runs as root. The package makes it.
const OWN_USER: &str = "aziotks";

/// The user that the role runs as, when it is not the daemon's: only on the machine's own device,
/// as root, and when that user exists.
#[must_use]
pub fn own_user(paths: &Paths) -> Option<User> {
    let is_machine = paths.root() == std::path::Path::new("/");
    if !is_machine || !nix::unistd::geteuid().is_root() {
        return None;
    }
    User::from_name(OWN_USER).ok().flatten()
}

/// What the role has to obey. Each has a number of its own.
#[derive(Debug, Clone, Default)]
struct Order {
    number: u64,
    settings: Settings,
}

/// The role has not answered to a configuration in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process that holds the keys does not take the configuration; the log says why")]
pub(crate) struct NotObeyed;

/// The running role.
pub(crate) struct KeysRole {
    client: Client,
    orders: watch::Sender<Order>,
    /// The number of the order that the role obeys.
    obeyed: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl KeysRole {
    /// Starts the role.
    pub(crate) fn start(paths: &Paths) -> Result<Self, DurableError> {
        let socket = paths.keys_socket();
        let listener = listen(&socket, SOCKET_MODE)?;
        let failed = |source| DurableError::Io {
            what: "hand over",
            path: socket.clone(),
            source,
        };
        if let Some(user) = own_user(paths) {
            let (owner, group) = (user.uid.as_raw(), user.gid.as_raw());
            chown(&socket, Some(owner), Some(group)).map_err(failed)?;
        }
        let launch = Launch {
            // The program that runs, even after a package has replaced its file.
            program: PathBuf::from("/proc/self/exe"),
            root: paths.root().to_owned(),
            listener: listener.into_std().map_err(failed)?,
        };
        let (orders, received) = watch::channel(Order::default());
        let (obeys, obeyed) = watch::channel(0);
        let task = tokio::spawn(supervise(launch, received, obeys));
        Ok(Self {
            client: Client::at(&socket),
            orders,
            obeyed,
            task,
        })
    }

    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::new(self.client.clone())
    }

    /// Has the role obey other settings. Returns when it does, or does not answer in time; then it
    /// obeys them once it answers.
    pub(crate) async fn configure(&self, settings: Settings) -> Result<(), NotObeyed> {
        let mut number = 0;
        self.orders.send_modify(|order| {
            order.number += 1;
            order.settings = settings;
            number = order.number;
        });
        let mut obeyed = self.obeyed.clone();
        let obeys = obeyed.wait_for(|now| *now >= number);
        match tokio::time::timeout(OBEY_WITHIN, obeys).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotObeyed),
        }
    }

    /// Ends the role.
    pub(crate) async fn stop(self) {
        drop(self.orders);
        // Its task ends when the role has ended, or is killed.
        let _ = self.task.await;
    }
}

/// Starts the role, again and again, until nobody gives orders any more.
async fn supervise(launch: Launch, mut orders: watch::Receiver<Order>, obeys: watch::Sender<u64>) {
    let mut failures = 0;
    loop {
        let begun = Instant::now();
        let why = match child::run(&launch, &mut orders, &obeys).await {
            ChildEnd::Stopped => return,
            ChildEnd::Died(why) => why,
        };
        obeys.send_replace(0);
        failures = match begun.elapsed() >= STABLE {
            true => 1,
            false => failures + 1,
        };
        let pause = pause_after(failures, rand::random());
        tracing::error!(
            reason = why,
            pause_ms = pause.as_millis(),
            "the process that holds the keys ended; it is started again"
        );
        let until = Instant::now() + pause;
        // Cancel-safe: a timer, and a watch.
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => break,
                changed = orders.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// The pause after so many failures in a row, from half of its length to all of it by chance.
fn pause_after(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled
        .min(LONGEST_PAUSE)
        .mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pauses_grow_and_are_never_longer_than_a_minute(failures in 1_u32..5000, chance in 0.0..1.0_f64) {
            let pause = pause_after(failures, chance);
            prop_assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE);
            prop_assert!(pause_after(failures + 1, chance) >= pause);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_does_not_obey_is_an_error() {
        let (orders, mut received) = watch::channel(Order::default());
        let (obeys, obeyed) = watch::channel(0);
        let role = KeysRole {
            client: Client::at(std::path::Path::new("/nonexistent")),
            orders,
            obeyed,
            task: tokio::spawn(async {}),
        };
        assert_eq!(role.configure(Settings::default()).await, Err(NotObeyed));
        tokio::spawn(async move {
            while received.changed().await.is_ok() {
                obeys.send_replace(received.borrow_and_update().number);
            }
        });
        assert_eq!(role.configure(Settings::default()).await, Ok(()));
    }

    #[test]
    fn on_a_folder_the_role_runs_as_the_daemons_user() {
        let dir = tempfile::tempdir().unwrap();
        assert!(own_user(&Paths::under(dir.path()).unwrap()).is_none());
    }
}
