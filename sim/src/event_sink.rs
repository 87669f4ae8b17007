use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::Value;

use crate::http_listener::{Answer, HttpListener};

/// A webhook that keeps the bodies of the events that it is sent.
#[derive(Debug)]
pub struct EventSink {
    url: String,
    state: Arc<State>,
    _listener: HttpListener,
}

#[derive(Debug)]
struct State {
    status: AtomicU16,
    bodies: Mutex<Vec<String>>,
}

impl EventSink {
    /// Listens on a loopback port, and answers 200.
    pub async fn start() -> Result<Self> {
        let state = Arc::new(State {
            status: AtomicU16::new(200),
            bodies: Mutex::default(),
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = HttpListener::start(address, state.clone(), answer).await?;
        Ok(Self {
            url: format!("http://{}/events?code=secret", listener.address),
            state,
            _listener: listener,
        })
    }

    /// Its URL, for an endpoint.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers so from now on. Events are kept when it is 200.
    pub fn answer(&self, status: u16) {
        self.state.status.store(status, Ordering::SeqCst);
    }

    /// The bodies so far, as texts, in the order in which they came.
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        let bodies = self.state.bodies.lock();
        bodies.map(|bodies| bodies.clone()).unwrap_or_default()
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Answer {
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let events: Vec<Value> = serde_json::from_slice(&body).unwrap_or_default();
    let status = state.status.load(Ordering::SeqCst);
    if status == 200
        && let Ok(mut bodies) = state.bodies.lock()
    {
        let texts = events.iter().filter_map(|event| {
            let bytes = STANDARD.decode(event["body"].as_str()?).ok()?;
            String::from_utf8(bytes).ok()
        });
        bodies.extend(texts);
    }
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    Ok(answer)
}
