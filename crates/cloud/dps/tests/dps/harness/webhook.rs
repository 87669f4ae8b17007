//! A webhook without a socket: answers as it is told, and remembers what it was asked.
//! Beside it a remote hub.

use std::collections::VecDeque;
use std::sync::Mutex;

use outbound::{Answering, Outbound, OutboundAnswer, OutboundCall, OutboundFault};
use serde_json::Value;

use crate::harness::remote_hub_server::{self, RemoteHubServer};

#[derive(Default)]
pub struct Webhook {
    answers: Mutex<VecDeque<Result<OutboundAnswer, OutboundFault>>>,
    asked: Mutex<Vec<OutboundCall>>,
    silent: Mutex<Option<String>>,
    pub remote: RemoteHubServer,
    pub other: RemoteHubServer,
}

impl Webhook {
    /// What it answers next, after what it was told before.
    pub fn will_answer(&self, status: u16, body: &Value) {
        let body = body.to_string().into_bytes();
        let answer = Ok(OutboundAnswer {
            status,
            body,
            ..OutboundAnswer::default()
        });
        self.answers.lock().unwrap().push_back(answer);
    }

    /// A file that it sends next, with the version that it calls it.
    pub fn will_send(&self, body: Vec<u8>, etag: &str) {
        let answer = Ok(OutboundAnswer {
            status: 200,
            body,
            etag: Some(etag.to_owned()),
            last_modified: None,
        });
        self.answers.lock().unwrap().push_back(answer);
    }

    /// How it fails next.
    pub fn will_fail(&self, fault: OutboundFault) {
        self.answers.lock().unwrap().push_back(Err(fault));
    }

    /// From now on it never answers at URLs that begin so.
    pub fn is_silent_at(&self, url: &str) {
        *self.silent.lock().unwrap() = Some(url.to_owned());
    }

    /// How often it was asked.
    pub fn times(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The latest call.
    pub fn call_made(&self) -> OutboundCall {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    /// How often it was asked at a URL.
    pub fn times_at(&self, url: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|call| *call.url == url).count()
    }

    /// The latest question.
    pub fn question(&self) -> (OutboundCall, Value) {
        let call = self.asked.lock().unwrap().last().unwrap().clone();
        let body = serde_json::from_slice(call.body.as_deref().unwrap()).unwrap();
        (call, body)
    }
}

impl Outbound for Webhook {
    fn call(&self, call: OutboundCall) -> Answering<'_> {
        match remote_hub_server::meant(&call) {
            Some(host @ remote_hub_server::HOST) => return self.remote.answer(host, call),
            Some(host) => return self.other.answer(host, call),
            None => {}
        }
        let silent = self.silent.lock().unwrap().clone();
        let is_silent = silent.is_some_and(|url| call.url.starts_with(&url));
        self.asked.lock().unwrap().push(call);
        if is_silent {
            return Box::pin(std::future::pending());
        }
        let next = self.answers.lock().unwrap().pop_front();
        let nobody = || Err(OutboundFault::Unreachable("connection refused".to_owned()));
        Box::pin(async move { next.unwrap_or_else(nobody) })
    }
}
