//! The pieces of work for the next session. Each ends with one event of the machine.

use std::future::Future;
use std::sync::Arc;

use ids::{HubHost, error_chain};
use tokio::task::spawn_blocking;

use super::CloudParts;
use super::attempt::AttemptError;
use crate::clock;
use crate::config::examine_access;
use crate::provision::assignment::{DeviceLocation, KeptAssignment};
use crate::provision::basis::Origin;
use crate::provision::clock_guard::{Reading, TOLERANCE};
use crate::provision::machine::{Failed, FailureKind, Target};
use crate::provision::{CloudAccess, RegisterError, register as register_once};
use crate::runtime::ModuleRuntime;
use crate::session::Session;

/// How a piece of work ended.
pub(super) enum Done<R> {
    Read(Result<Arc<CloudAccess>, String>),
    Registered(Result<KeptAssignment, Failed>),
    Opened(Result<Box<Session<R>>, Failed>),
}

pub(super) async fn read<R: ModuleRuntime>(
    parts: Arc<CloudParts<R>>,
    obeys_deployment: bool,
) -> Done<R> {
    let (config, clock, keys) = (
        parts.config.clone(),
        parts.clock.clone(),
        parts.keys.clone(),
    );
    let identity = parts.identity.clone();
    let read = move || {
        let reading = clock.read();
        let verified_at = reading.is_certain().then_some(reading.time);
        let examined = examine_access(&config, &*keys, verified_at);
        let access = CloudAccess::new(&config, examined, identity.as_deref(), &clock);
        access.map_err(|error| error_chain(&error))
    };
    // A TPM takes its time, and so does a token.
    let access = spawn_blocking(read).await;
    let access = access.unwrap_or_else(|error| Err(error_chain(&error)));
    let options = parts.agent_options(obeys_deployment);
    Done::Read(access.map(|access| Arc::new(access.with_options(options))))
}

pub(super) async fn register<R>(
    parts: Arc<CloudParts<R>>,
    access: Option<Arc<CloudAccess>>,
    offer: usize,
    reason: String,
) -> Done<R> {
    let Some(access) = access else {
        return Done::Registered(Err(nothing_read()));
    };
    let Origin::Dps {
        endpoint,
        registration_id,
        ..
    } = &access.origin
    else {
        return Done::Registered(Err(nothing_read()));
    };
    tracing::info!(registration.id = %registration_id, %endpoint, reason, "registering");
    let attempt = || async {
        let registered = register_once(&access, offer, parts.identity.as_deref()).await;
        registered.map_err(|source: RegisterError| AttemptError::Register {
            reason: reason.clone(),
            source: Box::new(source),
        })
    };
    let outcome = by_the_right_time(&access, endpoint, attempt).await;
    if let Ok(KeptAssignment {
        location: DeviceLocation { hub, device_id },
        ..
    }) = &outcome
    {
        tracing::info!(hub = %hub, device.id = %device_id, "registered");
    }
    Done::Registered(outcome.map_err(|error| failed(&error, parts.clock.read())))
}

pub(super) async fn open<R: ModuleRuntime>(
    parts: Arc<CloudParts<R>>,
    access: Option<Arc<CloudAccess>>,
    target: Target,
    renew_keys: bool,
) -> Done<R> {
    let Some(access) = access else {
        return Done::Opened(Err(nothing_read()));
    };
    let assignment = &target.assignment;
    let location = &assignment.location;
    let attempt = || parts.open_session(assignment, &access, target.offer, renew_keys);
    let outcome = by_the_right_time(&access, &location.hub, attempt).await;
    Done::Opened(match outcome {
        Ok(session) => {
            parts.accepted(&access, target.offer);
            Ok(Box::new(session))
        }
        Err(error) => Err(failed(&error, parts.clock.read())),
    })
}

/// An attempt, and another one if the first taught the device that its clock is wrong.
async fn by_the_right_time<T, F: Future<Output = Result<T, AttemptError>>>(
    access: &CloudAccess,
    host: &HubHost,
    attempt: impl Fn() -> F,
) -> Result<T, AttemptError> {
    let (before, began) = (access.clock.read().time, clock::uptime());
    let error = match attempt().await {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if error.is_about_time() {
        match device::server_time(host, &access.trust).await {
            Ok(time) => device::Clock::hear(&*access.clock, time),
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "the server's time is not known");
            }
        }
    }
    let expected = before.plus(clock::uptime().saturating_sub(began));
    let now = access.clock.read().time;
    let corrected = now > expected.plus(TOLERANCE) || expected > now.plus(TOLERANCE);
    match corrected {
        true => attempt().await,
        false => Err(error),
    }
}

fn failed(error: &AttemptError, clock: Reading) -> Failed {
    let mut kind = error.kind();
    // Who does not know the time is refused for that, and not for what it is.
    if clock.is_wrong() && !clock.is_certain() && kind != FailureKind::OtherName {
        kind = FailureKind::Unavailable;
    }
    Failed {
        kind,
        problem: error_chain(error),
        retry_after: error.retry_after(),
    }
}

fn nothing_read() -> Failed {
    Failed::unavailable("the configuration has just changed".to_owned())
}
