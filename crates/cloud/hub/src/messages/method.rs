//! Direct methods: finds the session of the device, sends it the call, and waits for the answer.

use std::time::Duration;

use bytes::Bytes;
use ids::Identity;
use registry::StorageError;
use tokio::time::{Instant, timeout, timeout_at};
use transport::sessions::{MethodAnswer, NotDelivered, PendingCall};
use wire::service_api::method::{MAX_PAYLOAD, MethodRequest, MethodResponse};

use crate::service::Hub;

/// Why a method was not answered.
#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    #[error("{0} does not exist")]
    NotFound(Identity),
    /// No session subscribed to methods within the connect timeout.
    #[error("{0} is not connected, or did not subscribe to direct methods")]
    NotOnline(Identity),
    #[error("{0} has too many unanswered calls")]
    Busy(Identity),
    #[error("the connection of {0} ended before it answered")]
    Closed(Identity),
    #[error("{identity} did not answer within {seconds} s")]
    Timeout {
        identity: Identity,
        /// The response timeout of the call.
        seconds: u16,
    },
    #[error("the payload has {size} bytes; {MAX_PAYLOAD} are allowed")]
    PayloadTooLarge { size: usize },
    /// The answer is too large, or not JSON.
    #[error("{identity} answered {problem}")]
    BadAnswer {
        identity: Identity,
        /// Completes the sentence "the device answered …".
        problem: &'static str,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl MethodError {
    /// The label of the metric.
    fn result(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::NotOnline(_) => "not_online",
            Self::Busy(_) => "busy",
            Self::Closed(_) => "closed",
            Self::Timeout { .. } => "timeout",
            Self::PayloadTooLarge { .. } | Self::BadAnswer { .. } => "invalid",
            Self::Storage(_) => "failed",
        }
    }
}

/// Calls a method and returns the answer of the device, whatever its status.
pub(crate) async fn invoke(
    hub: &Hub,
    identity: &Identity,
    request: &MethodRequest,
) -> Result<MethodResponse, MethodError> {
    let answer = call(hub, identity, request).await;
    let result = answer
        .as_ref()
        .err()
        .map_or("answered", MethodError::result);
    metrics::counter!("muster_hub_methods_total", "result" => result).increment(1);
    answer
}

async fn call(
    hub: &Hub,
    identity: &Identity,
    request: &MethodRequest,
) -> Result<MethodResponse, MethodError> {
    require_sendable(request)?;
    if hub.registry().credentials(identity).await?.is_none() {
        return Err(MethodError::NotFound(identity.clone()));
    }
    let mut call = deliver(hub, identity, request).await?;
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

/// Refuses a payload that is larger than devices are sent.
pub(crate) fn require_sendable(request: &MethodRequest) -> Result<(), MethodError> {
    match request.payload.as_ref().map_or(0, Bytes::len) {
        size if size > MAX_PAYLOAD => Err(MethodError::PayloadTooLarge { size }),
        _ => Ok(()),
    }
}

/// Sends the call to a session; waits for one until the connect timeout.
async fn deliver(
    hub: &Hub,
    identity: &Identity,
    request: &MethodRequest,
) -> Result<PendingCall, MethodError> {
    let deadline = Instant::now() + Duration::from_secs(request.connect_timeout.into());
    let payload = request.payload.clone().unwrap_or_default();
    let mut listeners = hub.sessions().method_listeners();
    loop {
        // Before the attempt: a session that opens after it must end the wait.
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
    let text = wire::lenient::without_bom(&answer.payload);
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
