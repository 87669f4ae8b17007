//! Direct methods: finds the device's session, hands the call over, waits for the answer.

use std::time::Duration;

use bytes::Bytes;
use ids::Identity;
use registry::StorageError;
use tokio::time::{Instant, timeout, timeout_at};
use transport::sessions::{MethodAnswer, NotDelivered, PendingCall};
use wire::service_api::method::{MAX_PAYLOAD, MethodRequest, MethodResponse};

use crate::Hub;

/// Why a method was not answered.
#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    /// No such device or module.
    #[error("{0} does not exist")]
    NotFound(Identity),
    /// No session that subscribed to methods, for as long as the caller would wait.
    #[error("{0} is not connected, or did not subscribe to direct methods")]
    NotOnline(Identity),
    /// Too many calls wait for this session's answers.
    #[error("{0} has too many unanswered calls")]
    Busy(Identity),
    /// The session ended before it answered.
    #[error("the connection of {0} ended before it answered")]
    Closed(Identity),
    /// It did not answer in time.
    #[error("{identity} did not answer within {seconds} s")]
    Timeout {
        /// Who was asked.
        identity: Identity,
        /// How long the caller would wait.
        seconds: u16,
    },
    /// The payload is larger than a method may carry.
    #[error("the payload has {size} bytes; {MAX_PAYLOAD} are allowed")]
    PayloadTooLarge {
        /// What it has.
        size: usize,
    },
    /// What the device answered cannot be handed on.
    #[error("{identity} answered {problem}")]
    BadAnswer {
        /// Who answered.
        identity: Identity,
        /// In words.
        problem: &'static str,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Calls a method and returns what the device answered, whatever its status.
pub(crate) async fn invoke(
    hub: &Hub,
    identity: &Identity,
    request: MethodRequest,
) -> Result<MethodResponse, MethodError> {
    let payload = request.payload.clone().unwrap_or_default();
    if payload.len() > MAX_PAYLOAD {
        return Err(MethodError::PayloadTooLarge {
            size: payload.len(),
        });
    }
    if hub.registry().credentials(identity).await?.is_none() {
        return Err(MethodError::NotFound(identity.clone()));
    }
    let mut call = deliver(hub, identity, &request, payload.into()).await?;
    let seconds = request.response_timeout;
    match timeout(Duration::from_secs(seconds.into()), call.answer()).await {
        Ok(Some(answer)) => read_answer(identity, &answer),
        Ok(None) => Err(MethodError::Closed(identity.clone())),
        Err(_) => Err(MethodError::Timeout {
            identity: identity.clone(),
            seconds,
        }),
    }
}

/// Hands the call to a session, waiting for one as long as the caller allows.
async fn deliver(
    hub: &Hub,
    identity: &Identity,
    request: &MethodRequest,
    payload: Bytes,
) -> Result<PendingCall, MethodError> {
    let deadline = Instant::now() + Duration::from_secs(request.connect_timeout.into());
    let mut listeners = hub.sessions().method_listeners();
    loop {
        // Before the look: a session that comes after it must end the wait.
        listeners.mark_unchanged();
        match hub
            .sessions()
            .call(identity, &request.name, payload.clone())
        {
            Ok(call) => return Ok(call),
            Err(NotDelivered::Busy) => return Err(MethodError::Busy(identity.clone())),
            Err(NotDelivered::Offline) => match timeout_at(deadline, listeners.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(MethodError::NotOnline(identity.clone())),
            },
        }
    }
}

fn read_answer(identity: &Identity, answer: &MethodAnswer) -> Result<MethodResponse, MethodError> {
    let bad = |problem| MethodError::BadAnswer {
        identity: identity.clone(),
        problem,
    };
    if answer.payload.len() > MAX_PAYLOAD {
        return Err(bad("more than 128 KB"));
    }
    let text = wire::lenient::without_mark(&answer.payload);
    let payload = if text.iter().all(u8::is_ascii_whitespace) {
        None
    } else {
        Some(serde_json::from_slice(text).map_err(|_| bad("something that is not JSON"))?)
    };
    Ok(MethodResponse {
        status: answer.status,
        payload,
    })
}
