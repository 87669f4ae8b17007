use std::collections::VecDeque;
use std::sync::Mutex;

use outbound::{Answering, Outbound, OutboundAnswer, OutboundCall, OutboundFault};
use serde_json::Value;

/// A webhook that answers as it is told, 200 when it is not.
#[derive(Default)]
pub struct Webhook(Mutex<State>);

#[derive(Default)]
struct State {
    answers: VecDeque<u16>,
    /// Bodies of events that are refused.
    refused: Vec<&'static str>,
    /// Whether its answers are longer than what is read of them.
    talks: bool,
    calls: Vec<OutboundCall>,
}

impl Webhook {
    /// Answers the next calls so.
    pub fn answer(&self, statuses: &[u16]) {
        self.0.lock().unwrap().answers.extend(statuses);
    }

    /// Answers 400 whenever an event has this body (base64).
    pub fn refuse(&self, body: &'static str) {
        self.0.lock().unwrap().refused.push(body);
    }

    /// Answers with more than is read from now on.
    pub fn answer_at_length(&self) {
        self.0.lock().unwrap().talks = true;
    }

    pub fn calls(&self) -> Vec<OutboundCall> {
        self.0.lock().unwrap().calls.clone()
    }

    /// The events of each call.
    pub fn events(&self) -> Vec<Vec<Value>> {
        let calls = self.calls();
        calls.iter().map(events).collect()
    }
}

fn events(call: &OutboundCall) -> Vec<Value> {
    serde_json::from_slice(call.body.as_deref().unwrap()).unwrap()
}

impl Outbound for Webhook {
    fn call(&self, call: OutboundCall) -> Answering<'_> {
        let mut state = self.0.lock().unwrap();
        let is_refused = |event: &Value| state.refused.iter().any(|body| event["body"] == *body);
        let refused = events(&call).iter().any(is_refused);
        let planned = state.answers.pop_front();
        let status = planned.unwrap_or(if refused { 400 } else { 200 });
        let limit = call.limit;
        state.calls.push(call);
        let answer = match state.talks {
            true => Err(OutboundFault::TooLong { status, limit }),
            false => Ok(OutboundAnswer {
                status,
                ..OutboundAnswer::default()
            }),
        };
        Box::pin(async move { answer })
    }
}
