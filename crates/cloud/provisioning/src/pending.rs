//! Registrations that wait for somebody outside this process: the webhook of a custom allocation,
//! or a remote hub. Pure.
//!
//! One is durable from the moment that its device is told to poll, until one transaction writes
//! down what became of it. What is asked outside in between can be asked twice: a server that
//! was killed asks again.

use std::time::Duration;

use ids::{HubHost, HubName, RegistrationId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::service_api::allocation::CustomAllocation;

use crate::placement::Plan;
use crate::registration::{Choice, Registrant, SkippedHub};

/// A webhook is asked that often.
const QUESTIONS: u32 = 2;
/// A webhook that has not been asked by then will not be: device and operator shall hear of
/// it within a minute.
const UNTIL_ASKED: Duration = Duration::from_secs(30);
/// The pause between two questions, at most; half of it at least.
const PAUSE: Duration = Duration::from_secs(1);

/// A remote hub is asked that often, with pauses that double from the first one.
const PLACINGS: u32 = 5;
/// A registration that has not had its turn at a remote hub by then ends.
const UNTIL_ON_REMOTE_HUB: Duration = Duration::from_secs(600);

/// A registration that waits for a webhook or a remote hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingRegistration {
    pub registrant: Registrant,
    #[serde(alias = "question")]
    pub step: PendingStep,
    /// What is being done at remote hubs; written down before anything is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    pub tries: u32,
    pub began: Timestamp,
    /// When to go on.
    pub due: Timestamp,
}

/// What somebody outside is asked. Told apart by their members: the first kind was
/// once the only one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PendingStep {
    /// Which hub a device gets.
    AskWebhook(WebhookQuestion),
    /// To take a device, or to give one away.
    PlaceOnRemoteHub(Box<Placement>),
}

/// What a webhook is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookQuestion {
    pub definition: CustomAllocation,
    /// The body of the request.
    pub input: String,
    /// The hubs that it may answer with.
    pub hubs: Vec<(HubName, HubHost)>,
    /// Those that it may not answer with for now.
    #[serde(default, alias = "passed_over")]
    pub skipped: Vec<SkippedHub>,
}

/// A device on its way between hubs of which one is remote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    pub choice: Choice,
    /// What a webhook was asked before.
    #[serde(default)]
    pub note: Option<AllocationNote>,
}

/// How an allocation came about, for the operator: what a webhook was asked, which hubs were
/// skipped, what failed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationNote {
    /// Who was asked, without the key that its URL may hold; absent when no webhook chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<CustomAllocation>,
    /// The body of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Status of the answer; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer: JSON as it was understood, or text as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why the allocation failed; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The hub that was chosen; absent where a webhook's answer names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<HubName>,
    /// Hubs that were skipped.
    #[serde(
        default,
        rename = "skippedHubs",
        alias = "passedOver",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub skipped: Vec<SkippedHub>,
}

impl AllocationNote {
    /// What is to be told of a choice that no webhook made.
    #[must_use]
    pub fn from_choice(choice: &Choice) -> Self {
        Self {
            hub: Some(choice.hub.clone()),
            skipped: choice.skipped.clone(),
            ..Self::default()
        }
    }
}

impl Placement {
    /// What to tell the operator of how the hub was chosen, when there is anything.
    #[must_use]
    pub fn note_for_operator(&self) -> Option<AllocationNote> {
        let own = || {
            let note = AllocationNote::from_choice(&self.choice);
            (!note.skipped.is_empty()).then_some(note)
        };
        self.note.clone().or_else(own)
    }
}

impl PendingStep {
    /// The host or hub that is asked: only so many requests are sent to one at once.
    #[must_use]
    pub fn destination(&self) -> String {
        match self {
            Self::AskWebhook(question) => question.definition.webhook_url.host().to_string(),
            Self::PlaceOnRemoteHub(placement) => format!("hub {}", placement.choice.hub),
        }
    }

    fn is_same_as(&self, newer: &Self) -> bool {
        match (self, newer) {
            (Self::AskWebhook(one), Self::AskWebhook(other)) => one == other,
            (Self::PlaceOnRemoteHub(one), Self::PlaceOnRemoteHub(other)) => {
                let asked = |of: &Placement| (of.choice.hub.clone(), of.choice.twin.clone());
                asked(one) == asked(other)
            }
            _ => false,
        }
    }
}

/// A note as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AllocationRecord {
    pub id: i64,
    /// Whose, in lower case.
    pub registration_id: RegistrationId,
    pub at: Timestamp,
    pub note: AllocationNote,
}

impl PendingRegistration {
    /// An attempt that begins now.
    #[must_use]
    pub fn new(registrant: Registrant, step: PendingStep, now: Timestamp) -> Self {
        Self {
            registrant,
            step,
            plan: None,
            tries: 0,
            began: now,
            due: now,
        }
    }

    /// Whether a device that registers now asks for what is pending already.
    #[must_use]
    pub fn is_same_as(&self, newer: &Self) -> bool {
        self.registrant == newer.registrant && self.step.is_same_as(&newer.step)
    }

    /// After a webhook chose a hub that has to be asked in turn.
    #[must_use]
    pub fn placed_next(self, choice: Choice, note: AllocationNote, now: Timestamp) -> Self {
        let note = Some(note);
        Self {
            step: PendingStep::PlaceOnRemoteHub(Box::new(Placement { choice, note })),
            tries: 0,
            began: now,
            due: now,
            ..self
        }
    }

    /// After a try that failed: when to go on, `None` when that was enough. `chance`, between 0 and
    /// 1, spreads the tries of many.
    #[must_use]
    pub fn postponed(self, now: Timestamp, chance: f64) -> Option<Self> {
        let tries = self.tries + 1;
        let pause = match self.step {
            PendingStep::AskWebhook(_) => PAUSE,
            PendingStep::PlaceOnRemoteHub(_) => PAUSE * (1 << (tries - 1).min(PLACINGS)),
        };
        let due = now.plus(pause.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0)));
        let goes_on = match self.step {
            PendingStep::AskWebhook(_) => tries < QUESTIONS && due.since(self.began) <= UNTIL_ASKED,
            PendingStep::PlaceOnRemoteHub(_) => tries < PLACINGS,
        };
        goes_on.then_some(Self { tries, due, ..self })
    }

    /// As a process sees it that started later than it began: time in which there was no
    /// server does not count.
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
        let waited = now.since(self.began);
        match self.step {
            PendingStep::AskWebhook(_) => waited > UNTIL_ASKED,
            // Once it has had a turn, its tries are counted.
            PendingStep::PlaceOnRemoteHub(_) => self.tries == 0 && waited > UNTIL_ON_REMOTE_HUB,
        }
    }
}

#[cfg(test)]
mod tests;
