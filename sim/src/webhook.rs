use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::{Value, json};

use crate::http_listener::{Answer, HttpListener};

/// A webhook of custom allocation. It keeps every caller waiting until it is
/// [`answering`](Self::answer_now), and then chooses the first linked hub.
#[derive(Debug)]
pub struct Webhook {
    url: String,
    state: Arc<State>,
    _listener: HttpListener,
}

#[derive(Debug, Default)]
struct State {
    answers: AtomicBool,
    /// The key by which a request shows that it is the service's.
    key: Mutex<Vec<u8>>,
    /// How often it was asked, by registration id.
    asked: Mutex<BTreeMap<String, usize>>,
}

impl Webhook {
    /// Listens on a loopback port.
    pub async fn start() -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens on this address.
    pub async fn start_at(address: SocketAddr) -> Result<Self> {
        let state = Arc::new(State::default());
        let listener = HttpListener::start(address, state.clone(), answer).await?;
        Ok(Self {
            url: format!("http://{}/allocate?code=secret", listener.address),
            state,
            _listener: listener,
        })
    }

    /// Its URL, for an enrollment.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Learns the key, in base64, by which a service signs its requests.
    pub fn trust(&self, key: &str) -> Result<()> {
        let key = STANDARD.decode(key)?;
        if let Ok(mut known) = self.state.key.lock() {
            *known = key;
        }
        Ok(())
    }

    /// Answers everybody who asks from now on.
    pub fn answer_now(&self) {
        self.state.answers.store(true, Ordering::SeqCst);
    }

    /// How often it was asked, by registration id.
    #[must_use]
    pub fn asked(&self) -> BTreeMap<String, usize> {
        let asked = self.state.asked.lock();
        asked.map(|asked| asked.clone()).unwrap_or_default()
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        let value = parts.headers.get(name);
        let text = value.and_then(|value| value.to_str().ok());
        text.unwrap_or_default().to_owned()
    };
    let body = body.collect().await.map(|body| body.to_bytes());
    let body = body.unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let id = asked["deviceRuntimeContext"]["registrationId"].as_str();
    if let (Some(id), Ok(mut count)) = (id, state.asked.lock()) {
        *count.entry(id.to_owned()).or_default() += 1;
    }
    if !state.answers.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let signed = [header("x-muster-timestamp").as_bytes(), b".", &body].concat();
    let key = state.key.lock().map(|key| key.clone()).unwrap_or_default();
    let (status, answer) = match header("x-muster-signature") == signature(&key, &signed) {
        true => (
            200,
            json!({"iotHubHostName": asked["linkedHubs"][0], "payload": {"for": id}}),
        ),
        false => (401, json!({})),
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

fn signature(key: &[u8], signed: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed);
    let digits = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("sha256={}", digits.collect::<String>())
}
