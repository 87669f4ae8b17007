//! Registrations that wait for somebody outside this process: the webhook of a custom allocation. Pure.
//!
//! One is durable from the moment that its device is told to poll, until one transaction writes down what became of it. What is
//! asked outside in between can be asked twice: a server that was killed asks again.

use std::time::Duration;

use ids::{HubHost, HubName, RegistrationId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::allocation::CustomAllocation;

use crate::registration::Registrant;

/// A webhook is asked that often.
const QUESTIONS: u32 = 2;
/// A webhook that has not been asked by then will not be: device and operator shall hear of it within a minute.
const UNTIL_ASKED: Duration = Duration::from_secs(30);
/// The pause between two questions, at most; half of it at least.
const PAUSE: Duration = Duration::from_secs(1);

/// A registration under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Underway {
    /// Whose.
    pub registrant: Registrant,
    /// What is asked.
    pub question: Question,
    /// Tries that failed.
    pub tries: u32,
    /// When it began.
    pub began: Timestamp,
    /// When to go on.
    pub due: Timestamp,
}

/// What a webhook is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Whom.
    pub definition: CustomAllocation,
    /// The body of the request.
    pub input: String,
    /// The hubs that it may answer with.
    pub hubs: Vec<(HubName, HubHost)>,
}

/// What a custom allocation was asked and what came of it, for the operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationNote {
    /// Who was asked, without the key that its URL may hold.
    pub webhook: CustomAllocation,
    /// The body of the request.
    pub input: Value,
    /// Status of the answer; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer: JSON as it was understood, or text as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why the allocation failed; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A note as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AllocationRecord {
    /// Names it.
    pub id: i64,
    /// Whose, in lower case.
    pub registration_id: RegistrationId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub note: AllocationNote,
}

impl Underway {
    /// An attempt that begins now.
    #[must_use]
    pub fn new(registrant: Registrant, question: Question, now: Timestamp) -> Self {
        Self {
            registrant,
            question,
            tries: 0,
            began: now,
            due: now,
        }
    }

    /// Whether a device that registers now asks for what is under way already.
    #[must_use]
    pub fn is_same_as(&self, newer: &Self) -> bool {
        (&self.registrant, &self.question) == (&newer.registrant, &newer.question)
    }

    /// After a try that failed: when to go on, `None` when that was enough. `chance`, between 0 and 1, spreads the tries of many.
    #[must_use]
    pub fn postponed(self, now: Timestamp, chance: f64) -> Option<Self> {
        let tries = self.tries + 1;
        let due = now.plus(PAUSE.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0)));
        let goes_on = tries < QUESTIONS && due.since(self.began) <= UNTIL_ASKED;
        goes_on.then_some(Self { tries, due, ..self })
    }

    /// As a process sees it that started later than it began: time in which there was no server does not count.
    #[must_use]
    pub fn resumed(self, started: Timestamp) -> Self {
        Self {
            began: self.began.max(started),
            ..self
        }
    }

    /// Whether it has waited for its turn so long that it is not worth beginning.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now.since(self.began) > UNTIL_ASKED
    }
}

#[cfg(test)]
mod tests;
