//! A service whose background work runs: pending registrations, remote tasks, probes.

use std::time::Duration;

use axum::http::StatusCode;
use pki::PresentedChain;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Service;

/// The background work; it ends when this is dropped.
pub struct Running(watch::Sender<bool>, Option<JoinHandle<()>>);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.send(true);
    }
}

impl Service {
    /// Starts the background work.
    pub fn run(&self) {
        let (stop, stopping) = watch::channel(false);
        let dps = self.dps.clone();
        let task = tokio::spawn(async move { dps.run(stopping).await });
        *self.running.lock().unwrap() = Some(Running(stop, Some(task)));
    }

    /// Returns when nothing runs any more.
    pub async fn stop(&self) {
        let mut running = self.running.lock().unwrap().take().unwrap();
        let _ = running.0.send(true);
        running.1.take().unwrap().await.unwrap();
    }

    /// Waits until something holds; the service's clock advances meanwhile.
    pub async fn wait_until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        for round in 1..600 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            if round % 10 == 0 {
                self.advance(1);
            }
        }
        panic!("in vain: {what}");
    }

    /// Registers and polls until the registration is no longer pending; its state.
    pub async fn provision_pending(&self, id: &str, chain: &PresentedChain) -> Value {
        let accepted = self.register(id, chain).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
        let operation = accepted.body["operationId"].as_str().unwrap().to_owned();
        for round in 1..1500 {
            let polled = self.poll(id, chain, &operation).await;
            if polled.status == StatusCode::OK {
                return polled.body["registrationState"].clone();
            }
            assert_eq!(polled.status, StatusCode::ACCEPTED, "{}", polled.body);
            assert_eq!(polled.header("retry-after"), "2");
            let state = &polled.body["registrationState"];
            assert_eq!(
                (&state["status"], &state["registrationId"]),
                (&json!("assigning"), &json!(id))
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            // The service's clock advances too: a second try is due by it.
            if round % 25 == 0 {
                self.advance(1);
            }
        }
        panic!("registration {id} was not over in time");
    }
}
