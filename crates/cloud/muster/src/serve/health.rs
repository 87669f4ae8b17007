//! `/healthz`, `/readyz` and `/metrics`: no authorization, nothing secret.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use dps::Dps;
use hub::Hub;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use registry::Registry;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clock;

/// How long an answer of `/readyz` is reused. Every client may ask, and each check is a commit.
const READY_FOR: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Health {
    registry: Registry,
    dps: Dps,
    hub: Hub,
    metrics: PrometheusHandle,
    /// When the storage was checked last, and whether it could be written. Locked during a check,
    /// so that other requests wait for its result.
    checked: Arc<Mutex<Option<(Instant, bool)>>>,
}

/// Installs the metrics recorder. Once per process.
pub fn record_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .install_recorder()
        .context("the metrics recorder")
}

/// The routes of this module, with `/metrics` or without.
pub fn router(
    registry: Registry,
    (dps, hub): (Dps, Hub),
    metrics: PrometheusHandle,
    metrics_route: Metrics,
) -> Router {
    let router = Router::new()
        .route("/healthz", get(|| async { "up\n" }))
        .route("/readyz", get(ready));
    let router = match metrics_route {
        Metrics::Exposed => router.route("/metrics", get(exposition)),
        Metrics::Hidden => router,
    };
    router.with_state(Health {
        registry,
        dps,
        hub,
        metrics,
        checked: Arc::default(),
    })
}

/// Whether a port has `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metrics {
    Exposed,
    Hidden,
}

/// Whether a path is one of this module's.
pub fn serves(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// Ready when storage can be written. The listeners are bound, or this would not be answered.
async fn ready(State(health): State<Health>) -> impl IntoResponse {
    match health.is_writable().await {
        true => (StatusCode::OK, "ready\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "storage cannot be written; see the server's log\n",
        ),
    }
}

impl Health {
    async fn is_writable(&self) -> bool {
        let mut last = self.checked.lock().await;
        if let Some((at, writable)) = *last
            && at.elapsed() < READY_FOR
        {
            return writable;
        }
        let checked = self.registry.require_writable().await;
        if let Err(error) = &checked {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "storage cannot be written");
        }
        *last = Some((Instant::now(), checked.is_ok()));
        checked.is_ok()
    }
}

async fn exposition(State(health): State<Health>) -> impl IntoResponse {
    health.dps.show_metrics();
    health.hub.show_metrics();
    measure_telemetry(&health.registry).await;
    health.metrics.run_upkeep();
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        health.metrics.render(),
    )
}

/// Sets the gauges of the hubs' event logs. An age that suddenly falls says that events are deleted
/// before they are read.
async fn measure_telemetry(registry: &Registry) {
    let now = clock::now();
    for state in registry.telemetry_state().await {
        let hub = state.hub.to_string();
        let age = state.oldest.map_or(0.0, |at| now.since(at).as_secs_f64());
        metrics::gauge!("muster_hub_telemetry_oldest_seconds", "hub" => hub.clone()).set(age);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; a terabyte is exact in it"
        )]
        let bytes = state.bytes as f64;
        metrics::gauge!("muster_hub_telemetry_bytes", "hub" => hub.clone()).set(bytes);
        let failing = if state.failing { 1.0 } else { 0.0 };
        metrics::gauge!("muster_hub_telemetry_failing", "hub" => hub).set(failing);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::serve::router::tests::services;

    async fn status(router: &Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    }

    async fn routers(directory: &std::path::Path) -> (Router, Router) {
        let (provisioning, dps, hub) = services(directory).await;
        let registry = provisioning.registry().clone();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let of = |route| {
            router(
                registry.clone(),
                (dps.clone(), hub.clone()),
                metrics.clone(),
                route,
            )
        };
        (of(Metrics::Exposed), of(Metrics::Hidden))
    }

    /// A9: what needs no authorization can be left out of the port of devices.
    #[tokio::test]
    async fn metrics_are_only_where_they_are_configured() {
        let directory = tempfile::tempdir().unwrap();
        let (exposed, hidden) = routers(directory.path()).await;
        for router in [&exposed, &hidden] {
            assert_eq!(status(router, "/healthz").await, StatusCode::OK);
            assert_eq!(status(router, "/readyz").await, StatusCode::OK);
        }
        assert_eq!(status(&exposed, "/metrics").await, StatusCode::OK);
        assert_eq!(status(&hidden, "/metrics").await, StatusCode::NOT_FOUND);
    }

    /// C10: every client may ask, and each check is a commit.
    #[tokio::test(start_paused = true)]
    async fn an_answer_about_storage_is_reused_for_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let (provisioning, dps, hub) = services(directory.path()).await;
        let registry = provisioning.registry().clone();
        let before = Some((Instant::now(), false));
        let health = Health {
            registry,
            dps,
            hub,
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            checked: Arc::new(Mutex::new(before)),
        };
        assert!(!health.is_writable().await, "as it was a moment ago");
        tokio::time::advance(READY_FOR).await;
        assert!(health.is_writable().await);
        let checked = *health.checked.lock().await;
        assert!(checked.is_some_and(|(at, writable)| writable && at.elapsed() < READY_FOR));
    }
}
