//! Serves the metrics over HTTP, where the agent's variables ask for it.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use ids::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::host;
use super::text::Exposition;
use crate::clock;
use crate::runtime::{ContainerState, ModuleFigures, ModuleRuntime};
use crate::state::SharedState;

const PATH: &str = "/metrics";
/// Open connections. Others wait.
const MAX_CONNECTIONS: usize = 8;
/// How long a request may take to arrive.
const ARRIVE_WITHIN: Duration = Duration::from_secs(5);

/// What metrics are made from.
#[derive(Debug)]
pub(crate) struct MetricSources<R> {
    runtime: Arc<R>,
    shared: SharedState,
    /// The folder whose disk is measured.
    state: PathBuf,
    started: Timestamp,
    /// Differs between two starts of the listener.
    instance: String,
}

/// The listener for metrics, if there is one. It ends with this value.
#[derive(Debug, Default)]
pub(crate) struct Exporter {
    open: Option<(String, u16)>,
    task: Option<JoinHandle<()>>,
    /// The last address that could not be listened on, as logged.
    failed: Option<(String, u16)>,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.close();
    }
}

impl Exporter {
    /// Listens on `address`, and on no other.
    pub(crate) async fn follow<R: ModuleRuntime>(
        &mut self,
        address: Option<&(String, u16)>,
        sources: impl FnOnce() -> MetricSources<R>,
    ) {
        if self.open.as_ref() == address {
            return;
        }
        self.close();
        let Some((host, port)) = address else {
            return;
        };
        match TcpListener::bind((host.as_str(), *port)).await {
            Ok(listener) => {
                tracing::info!(%host, port, "metrics are served");
                self.task = Some(tokio::spawn(serve(listener, Arc::new(sources()))));
                self.open = address.cloned();
                self.failed = None;
            }
            Err(error) if self.failed.as_ref() != address => {
                tracing::warn!(%host, port, %error, "metrics cannot be served; trying again");
                self.failed = address.cloned();
            }
            Err(_) => {}
        }
    }

    fn close(&mut self) {
        self.open = None;
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn serve<R: ModuleRuntime>(listener: TcpListener, sources: Arc<MetricSources<R>>) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // There may be no file descriptors left until other connections end.
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let sources = sources.clone();
        tokio::spawn(async move {
            answer(stream, sources).await;
            drop(permit);
        });
    }
}

async fn answer<R: ModuleRuntime>(stream: TcpStream, sources: Arc<MetricSources<R>>) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let sources = sources.clone();
        async move {
            let known = request.method() == Method::GET && request.uri().path() == PATH;
            let mut response = Response::new(Full::new(Bytes::new()));
            if known {
                let text = sources.text().await;
                *response.body_mut() = Full::new(Bytes::from(text));
                let kind = HeaderValue::from_static("text/plain; version=0.0.4");
                response.headers_mut().insert(CONTENT_TYPE, kind);
            } else {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(ARRIVE_WITHIN);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection for metrics broke");
    }
}

impl<R: ModuleRuntime> MetricSources<R> {
    pub(crate) fn new(
        runtime: Arc<R>,
        shared: SharedState,
        state: PathBuf,
        started: Timestamp,
    ) -> Self {
        Self {
            runtime,
            shared,
            state,
            started,
            instance: uuid::Uuid::new_v4().to_string(),
        }
    }

    async fn text(&self) -> String {
        let location = self.shared.cloud_state.borrow().location.clone();
        let (hub, device) = location.map_or_else(Default::default, |location| {
            (location.hub.to_string(), location.device_id.to_string())
        });
        let mut out = Exposition::new(vec![
            ("iothub", hub),
            ("edge_device", device),
            ("instance_number", self.instance.clone()),
        ]);
        self.shared.metrics.write(&mut out);
        out.gauge("iotedged_uptime_seconds");
        let uptime = clock::now().since(self.started).as_secs_f64();
        out.sample("iotedged_uptime_seconds", &[], uptime);
        out.gauge("metadata");
        let version = [("edge_agent_version", env!("CARGO_PKG_VERSION"))];
        out.sample("metadata", &version, 1.0);
        let figures = self.figures().await;
        let proc = Path::new("/proc");
        let machine = host::memory(proc);
        for (name, value) in GAUGES {
            out.gauge(name);
            for (module, figures) in &figures {
                out.sample(name, &[("module_name", module)], value(figures));
            }
            if let Some(bytes) = machine.as_ref().and_then(|machine| machine.get(name)) {
                out.sample(name, &[("module_name", host::NAME)], *bytes);
            }
        }
        host::write(&mut out, proc, &self.state);
        out.into_text()
    }

    /// Of all modules that run, side by side: the engine takes a second to measure one.
    async fn figures(&self) -> Vec<(String, ModuleFigures)> {
        // Without an engine there are no figures.
        let found = self.runtime.list().await.unwrap_or_default();
        let running = found
            .into_iter()
            .filter(|container| container.state == ContainerState::Running);
        let runtime = &self.runtime;
        let measuring = running.map(|container| async move {
            let figures = runtime.figures(&container.module).await.ok()?;
            Some((container.module.to_string(), figures))
        });
        let measured = futures_util::future::join_all(measuring).await;
        measured.into_iter().flatten().collect()
    }
}

type Gauge = (&'static str, fn(&ModuleFigures) -> f64);

const GAUGES: [Gauge; 8] = [
    ("used_cpu_percent", |figures| figures.cpu_percent),
    ("used_memory_bytes", |figures| figures.memory as f64),
    ("total_memory_bytes", |figures| figures.memory_limit as f64),
    ("created_pids_total", |figures| figures.processes as f64),
    ("total_network_in_bytes", |figures| figures.received as f64),
    ("total_network_out_bytes", |figures| figures.sent as f64),
    ("total_disk_read_bytes", |figures| figures.read as f64),
    ("total_disk_write_bytes", |figures| figures.written as f64),
];
