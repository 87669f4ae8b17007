//! A webhook chooses hubs: silent, while the server is killed, and in good health.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sim::{Server, Workshop, until};
use tokio::net::TcpListener;

const DEVICES: usize = 20;

/// A webhook on a loopback port.
struct Webhook {
    url: String,
    mood: Arc<Mood>,
}

#[derive(Default)]
struct Mood {
    /// Whether it answers; otherwise it keeps every caller waiting.
    answers: AtomicBool,
    /// Whether it puts up with a request whose signature is not the service's.
    key: Mutex<Vec<u8>>,
    /// How often it was asked about whom.
    asked: Mutex<BTreeMap<String, usize>>,
}

impl Webhook {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/allocate?code=secret", listener.local_addr()?);
        let mood = Arc::new(Mood::default());
        let shared = mood.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mood = shared.clone();
                let answer = service_fn(move |request| answer(mood.clone(), request));
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Ok(Self { url, mood })
    }

    fn asked(&self) -> BTreeMap<String, usize> {
        self.mood
            .asked
            .lock()
            .map(|asked| asked.clone())
            .unwrap_or_default()
    }
}

async fn answer(
    mood: Arc<Mood>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        let value = parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let id = asked["deviceRuntimeContext"]["registrationId"].as_str();
    if let (Some(id), Ok(mut count)) = (id, mood.asked.lock()) {
        *count.entry(id.to_owned()).or_default() += 1;
    }
    if !mood.answers.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let text = [header("x-muster-timestamp").as_bytes(), b".", &body].concat();
    let key = mood.key.lock().map(|key| key.clone()).unwrap_or_default();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &text);
    let digits: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let genuine = header("x-muster-signature") == format!("sha256={digits}");
    let (status, answer) = match genuine {
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

/// A server with a group whose devices a webhook allocates.
async fn plant(workshop: &Workshop, webhook: &Webhook) -> Result<Server> {
    let server = Server::start().await?;
    let root = workshop.root();
    #[rustfmt::skip]
    let create = [
        "dps", "enrollment-group", "create", "--enrollment-id", "factory", "--certificate-path", &root.to_string_lossy(),
        "--allocation-policy", "custom", "--webhook-url", &webhook.url, "--api-version", "2021-10-01",
    ];
    server.run_muster(&create)?.ok()?;
    let key = server.run_muster(&["dps", "allocation", "key"])?.json()?;
    let key = STANDARD.decode(key["key"].as_str().context("a key")?)?;
    if let Ok(mut known) = webhook.mood.key.lock() {
        *known = key;
    }
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_wait_for_a_webhook_survive_kill_nine() -> Result<()> {
    let (workshop, webhook) = (Workshop::with_muster_ca()?, Webhook::start().await?);
    let mut server = plant(&workshop, &webhook).await?;
    let ids: Vec<String> = (0..DEVICES)
        .map(|number| format!("wait-{number:02}"))
        .collect();
    for id in &ids {
        let (status, answer) = server.register(id, &workshop.issue(id)?.pem()?).await?;
        ensure!(status == 202 && answer["status"] == "assigning", "{answer}");
    }
    until(
        "the webhook to be asked",
        Duration::from_secs(20),
        || async {
            ensure!(!webhook.asked().is_empty(), "nobody was asked about");
            Ok(())
        },
    )
    .await?;
    server.kill()?;

    webhook.mood.answers.store(true, Ordering::SeqCst);
    server.start_again().await?;
    for id in &ids {
        let state = server.wait_for_registration(id, "assigned").await?;
        assert_eq!(state["payload"]["for"], *id);
        assert_eq!(state["substatus"], "initialAssignment", "assigned once");
    }
    let twins = server.run_muster(&["hub", "device-twin", "list"])?.json()?;
    let mut there: Vec<&str> = twins
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|twin| twin["deviceId"].as_str())
        .collect();
    there.sort_unstable();
    assert_eq!(there, ids, "each device exists once");
    let list = ["dps", "allocation", "list", "--registration-id", &ids[0]];
    let notes = server.run_muster(&list)?.json()?;
    assert_eq!(notes.as_array().map(Vec::len), Some(1), "{notes}");
    let id = notes[0]["id"].to_string();
    let replay = server
        .run_muster(&["dps", "allocation", "replay", "--id", &id])?
        .json()?;
    assert_eq!(replay["same"], true, "{replay}");
    assert!(
        !server.log().contains("secret"),
        "the URL's key is not logged"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_webhook_fails_the_registration_within_a_minute() -> Result<()> {
    let (workshop, webhook) = (Workshop::with_muster_ca()?, Webhook::start().await?);
    let server = plant(&workshop, &webhook).await?;
    let began = std::time::Instant::now();
    server
        .register("silent", &workshop.issue("silent")?.pem()?)
        .await?;
    let show = [
        "dps",
        "enrollment-group",
        "registration",
        "show",
        "--registration-id",
        "silent",
    ];
    let state = until("the failure", Duration::from_secs(60), || async {
        let shown = server.run_muster(&show)?.json()?;
        ensure!(shown["status"] == "failed", "it is {shown}");
        Ok(shown)
    })
    .await?;
    assert_eq!(state["errorCode"], 400_207);
    assert_eq!(webhook.asked()["silent"], 2);
    assert!(began.elapsed() < Duration::from_secs(60));
    Ok(())
}
