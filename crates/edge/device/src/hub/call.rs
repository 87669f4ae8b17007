//! What an application can do with a connection.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use wire::device_api::message::PropertyBag;
use wire::error::ServiceError;
use wire::lenient::BodyError;
use wire::service_api::device_view::DeviceTwin;

use super::MethodCall;
use crate::provision::excerpt;

/// The longest wait for the hub's answer to one call.
const WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// [`super::Event::Disconnected`] has the reason.
    #[error("the hub connection is over")]
    Disconnected,
    #[error("the hub did not answer within {} s", WITHIN.as_secs())]
    TimedOut,
    #[error("the hub refused with {status} (error {code}): {message}")]
    Refused {
        status: u16,
        /// Six digits; 0 when the hub gave none.
        code: u32,
        message: String,
    },
    #[error("the hub's answer cannot be read")]
    Answer(#[from] BodyError),
}

/// The hub's answer to a twin request.
#[derive(Debug)]
pub(super) struct TwinAnswer {
    pub(super) status: u16,
    pub(super) version: Option<u64>,
    pub(super) payload: Bytes,
}

/// A request of a handle to the task of the connection.
#[derive(Debug)]
pub(super) enum Call {
    TwinGet(oneshot::Sender<TwinAnswer>),
    Report {
        patch: Bytes,
        expected: Option<u64>,
        answer: oneshot::Sender<TwinAnswer>,
    },
    Telemetry {
        bag: String,
        payload: Bytes,
        done: oneshot::Sender<()>,
    },
    Respond {
        rid: String,
        status: i32,
        body: Bytes,
    },
    Close,
}

/// A connection to a hub. Clones share it.
#[derive(Debug, Clone)]
pub struct Hub {
    calls: mpsc::Sender<Call>,
}

impl Hub {
    pub(super) fn new(calls: mpsc::Sender<Call>) -> Self {
        Self { calls }
    }

    pub async fn get_twin(&self) -> Result<DeviceTwin, CallError> {
        let answer = self.ask(Call::TwinGet).await?;
        Ok(DeviceTwin::parse(&accepted(answer)?.payload)?)
    }

    /// Merges `patch`, a JSON object, into the reported properties, and returns their new version.
    /// With `expected`, only if they have that version.
    pub async fn report(&self, patch: &Value, expected: Option<u64>) -> Result<u64, CallError> {
        let patch = Bytes::from(patch.to_string());
        let answer = self
            .ask(|answer| Call::Report {
                patch,
                expected,
                answer,
            })
            .await?;
        let version = accepted(answer)?.version;
        version.ok_or_else(|| BodyError::new("", "the answer carries no version").into())
    }

    /// Sends a message, and returns when the hub has stored it. After an error the message
    /// may have arrived nevertheless.
    pub async fn send_telemetry(
        &self,
        payload: impl Into<Bytes>,
        properties: &PropertyBag,
    ) -> Result<(), CallError> {
        let (payload, bag) = (payload.into(), properties.encode());
        self.ask(|done| Call::Telemetry { bag, payload, done })
            .await
    }

    /// Answers a method call. `status` is 200 for success, by convention.
    pub async fn respond(
        &self,
        call: &MethodCall,
        status: i32,
        body: &Value,
    ) -> Result<(), CallError> {
        let (rid, body) = (call.rid.clone(), Bytes::from(body.to_string()));
        let call = Call::Respond { rid, status, body };
        self.calls
            .send(call)
            .await
            .map_err(|_| CallError::Disconnected)
    }

    pub async fn close(self) {
        // The connection may have ended already.
        let _ = self.calls.send(Call::Close).await;
    }

    async fn ask<T>(&self, call: impl FnOnce(oneshot::Sender<T>) -> Call) -> Result<T, CallError> {
        let (answer, answered) = oneshot::channel();
        let call = call(answer);
        let asking = async {
            self.calls
                .send(call)
                .await
                .map_err(|_| CallError::Disconnected)?;
            answered.await.map_err(|_| CallError::Disconnected)
        };
        tokio::time::timeout(WITHIN, asking)
            .await
            .unwrap_or(Err(CallError::TimedOut))
    }
}

fn accepted(answer: TwinAnswer) -> Result<TwinAnswer, CallError> {
    let status = answer.status;
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let (code, message) = serde_json::from_slice::<ServiceError>(&answer.payload).map_or_else(
        |_| (0, excerpt(&answer.payload)),
        |error| (error.error_code, error.message),
    );
    Err(CallError::Refused {
        status,
        code,
        message,
    })
}
