//! `/healthz`, `/readyz` and `/metrics`: no authorization, nothing secret.

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use dps::Dps;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use registry::Registry;

#[derive(Clone)]
struct Health {
    registry: Registry,
    dps: Dps,
    metrics: PrometheusHandle,
}

/// Starts counting. Once per process.
pub fn record_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .install_recorder()
        .context("the metrics recorder")
}

/// The paths of this module.
pub fn router(registry: Registry, dps: Dps, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "up\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(exposition))
        .with_state(Health {
            registry,
            dps,
            metrics,
        })
}

/// Whether a path is one of this module's.
pub fn serves(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// Ready when storage can be written. The listeners are bound, or this would not be answered.
async fn ready(State(health): State<Health>) -> impl IntoResponse {
    match health.registry.require_writable().await {
        Ok(_) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => {
            tracing::error!(error = %error, "storage cannot be written");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "storage cannot be written; see the server's log\n".to_owned(),
            )
        }
    }
}

async fn exposition(State(health): State<Health>) -> impl IntoResponse {
    health.dps.show_metrics();
    health.metrics.run_upkeep();
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        health.metrics.render(),
    )
}
