//! Asks a webhook once, and reads its answer.

use std::time::Duration;

use axum::http::Method;
use ids::Timestamp;
use outbound::{OnBehalf, Outbound, OutboundAnswer, OutboundCall, OutboundFault};
use provisioning::{AllocationNote, Choice, WebhookQuestion};
use registry::InitialTwin;
use serde_json::Value;
use wire::lenient::without_bom;
use wire::service_api::allocation::{AllocationAnswer, MAX_ANSWER, SIGNATURE, SIGNED_AT};
use zeroize::Zeroizing;

use super::signature::WebhookKey;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that cannot be read which are kept for the operator.
const MAX_EXCERPT: usize = 1024;

/// Why a webhook chose no hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookFault {
    #[error(
        "Custom allocation failed with status code: {status}: the webhook gave no answer, {fault}",
        status = status_of(fault)
    )]
    NoAnswer { fault: OutboundFault },
    #[error("Custom allocation failed with status code: {0}")]
    Status(u16),
    #[error("Custom allocation failed with status code: 200: the webhook's answer {0}")]
    Answer(String),
}

fn status_of(fault: &OutboundFault) -> u16 {
    match fault {
        OutboundFault::Unreachable(_) => 503,
        OutboundFault::NotAllowed | OutboundFault::NotListed => 403,
        OutboundFault::Silent(_) => 504,
        OutboundFault::TooLong { .. } => 413,
    }
}

impl WebhookFault {
    /// Whether asking again may help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { fault } => !matches!(
                fault,
                OutboundFault::TooLong { .. }
                    | OutboundFault::NotAllowed
                    | OutboundFault::NotListed
            ),
            Self::Status(status) => matches!(status, 408 | 429 | 500..=599),
            Self::Answer(_) => false,
        }
    }
}

/// What a webhook answered: for the device, and for the operator.
pub struct Answered {
    pub choice: Result<Choice, WebhookFault>,
    pub note: AllocationNote,
}

pub async fn ask(
    (outbound, on_behalf): (&dyn Outbound, OnBehalf),
    question: &WebhookQuestion,
    key: &WebhookKey,
    now: Timestamp,
) -> Answered {
    let body = question.input.clone().into_bytes();
    let call = OutboundCall {
        on_behalf,
        method: Method::POST,
        url: Zeroizing::new(question.definition.webhook_url.reveal().to_owned()),
        headers: vec![
            (SIGNED_AT, now.unix_seconds().to_string()),
            (SIGNATURE, key.sign(now, &body)),
        ],
        body: Some(body),
        limit: MAX_ANSWER,
        timeout: TIMEOUT,
    };
    let answer = outbound.call(call).await;
    let choice = match &answer {
        Ok(answer) => read(answer, question),
        Err(fault) => Err(WebhookFault::NoAnswer {
            fault: fault.clone(),
        }),
    };
    Answered {
        note: note(question, answer.as_ref().ok(), &choice),
        choice,
    }
}

/// The note of a webhook that was not asked.
pub fn unasked(question: &WebhookQuestion, why: &str) -> AllocationNote {
    AllocationNote {
        failure: Some(why.to_owned()),
        ..note(question, None, &Err(WebhookFault::Status(503)))
    }
}

fn read(answer: &OutboundAnswer, question: &WebhookQuestion) -> Result<Choice, WebhookFault> {
    if !matches!(answer.status, 200..=299) {
        return Err(WebhookFault::Status(answer.status));
    }
    let unusable = |problem: String| WebhookFault::Answer(problem);
    let answer = AllocationAnswer::parse(&answer.body)
        .map_err(|error| unusable(format!("cannot be used: {error}")))?;
    let host = &answer.iot_hub_host_name;
    let mut hubs = question.hubs.iter();
    let exactly = hubs.find(|(_, offered)| offered.is_exactly(host));
    let by_name = || {
        let mut hubs = question.hubs.iter();
        hubs.find(|(_, offered)| offered.may_be(host))
    };
    let (hub, _) = exactly
        .or_else(by_name)
        .ok_or_else(|| unusable(format!("names {host}, which is not one of linkedHubs")))?;
    let twin = answer.initial_twin.map(|twin| {
        InitialTwin::new(&twin.tags, &twin.properties.desired).map_err(|error| {
            unusable(format!(
                "has an initialTwin that no device may have: {error}"
            ))
        })
    });
    Ok(Choice {
        hub: hub.clone(),
        twin: twin.transpose()?,
        payload: answer.payload,
        skipped: question.skipped.clone(),
    })
}

fn note(
    question: &WebhookQuestion,
    answer: Option<&OutboundAnswer>,
    choice: &Result<Choice, WebhookFault>,
) -> AllocationNote {
    let output = answer
        .filter(|answer| !answer.body.is_empty())
        .map(|answer| {
            serde_json::from_slice(without_bom(&answer.body)).unwrap_or_else(|_| {
                let excerpt = &answer.body[..answer.body.len().min(MAX_EXCERPT)];
                Value::from(String::from_utf8_lossy(excerpt))
            })
        });
    AllocationNote {
        webhook: Some(question.definition.clone().masked()),
        input: serde_json::from_str(&question.input).ok(),
        status: answer.map(|answer| answer.status),
        output,
        failure: choice.as_ref().err().map(ToString::to_string),
        hub: None,
        skipped: question.skipped.clone(),
    }
}

#[cfg(test)]
mod tests;
