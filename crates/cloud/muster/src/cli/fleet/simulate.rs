//! `muster fleet simulate`: devices that live in this process and register as real ones do.
//!
//! They use the device code of the edge runtime: a TLS handshake each, the provisioning protocol,
//! retries with backoff. But their keys are never written to disk.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ca::{CaDirectory, IdentityOptions};
use device::{Backoff, Credential, Identity, ProvisionError, Provisioning, Trust};
use ids::{HubHost, IdScope, RegistrationId};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::task::JoinSet;

use crate::cli::{Column, Invocation, output};
use crate::{clock, data_dir};

/// `muster fleet simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
        muster fleet simulate --devices 1000 --ca-dir ./workshop --data-dir ./data")]
pub struct Simulate {
    /// The number of devices.
    #[arg(long, default_value_t = 100)]
    devices: usize,
    /// The start of their registration ids: PREFIX-000001 and so on.
    #[arg(long, default_value = "sim")]
    prefix: String,
    /// The folder of `muster ca init`; its intermediate issues their certificates.
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// How many devices register at the same time.
    #[arg(long, default_value_t = 128)]
    concurrency: usize,
    /// The provisioning service, HOST or HOST:PORT [default: that of --data-dir].
    #[arg(long, requires = "id_scope")]
    endpoint: Option<HubHost>,
    /// Its ID scope [default: that of --data-dir].
    #[arg(long)]
    id_scope: Option<IdScope>,
    /// How many seconds a device without an answer tries again.
    #[arg(long, default_value_t = 30)]
    retry_for: u64,
    /// A file to which the id of every assigned device is appended, one a line.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

const COLUMNS: &[Column] = &[
    ("Assigned", "/assigned"),
    ("Failed", "/failed"),
    ("Seconds", "/seconds"),
    ("PerSecond", "/perSecond"),
    ("MedianMs", "/medianMilliseconds"),
    ("P99Ms", "/p99Milliseconds"),
];

/// What all devices share.
struct Factory {
    ca: CaDirectory,
    endpoint: HubHost,
    id_scope: IdScope,
    trust: Trust,
    retry_for: Duration,
    record: Option<Mutex<std::fs::File>>,
}

/// The number of devices in each state.
#[derive(Default)]
struct Outcome {
    latencies: Vec<Duration>,
    failures: Vec<String>,
}

/// Registers the devices; fails when one of them is not assigned.
pub async fn run(flags: Simulate, invocation: &Invocation) -> anyhow::Result<()> {
    let factory = Arc::new(factory(&flags, invocation)?);
    let names: Vec<String> = (1..=flags.devices)
        .map(|n| format!("{}-{n:06}", flags.prefix))
        .collect();
    let bar = progress(flags.devices)?;
    let started = Instant::now();
    let outcome = register_all(&factory, Arc::new(names), flags.concurrency.max(1), &bar).await?;
    bar.finish_and_clear();
    let (summary, failed) = summarize(outcome, started.elapsed());
    output::print(invocation.output, &summary, COLUMNS)?;
    ensure!(
        failed.is_empty(),
        "{} of {} devices were not assigned; the first: {}",
        failed.len(),
        flags.devices,
        failed[0]
    );
    Ok(())
}

fn factory(flags: &Simulate, invocation: &Invocation) -> anyhow::Result<Factory> {
    let ca = CaDirectory::open(&flags.ca_dir, None).context("--ca-dir")?;
    let local = invocation
        .target
        .data_dir
        .as_deref()
        .map(data_dir::describe)
        .transpose()?;
    let server_ca = invocation
        .target
        .server_ca
        .clone()
        .or(local.as_ref().map(|local| local.server_ca.clone()));
    let trust = match server_ca {
        Some(path) => {
            let pem = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Trust::only(&pki::Certificate::parse_pem_bundle(&pem)?)?
        }
        None => Trust::native_and(&[])?,
    };
    let (endpoint, id_scope) = match (&flags.endpoint, local) {
        (Some(endpoint), _) => (
            endpoint.clone(),
            flags.id_scope.clone().context("--id-scope")?,
        ),
        (None, Some(local)) => (
            HubHost::parse(&local.dps.hostname)?,
            IdScope::parse(&local.id_scope)?,
        ),
        (None, None) => anyhow::bail!(
            "which provisioning service? Give --data-dir, or --endpoint and --id-scope"
        ),
    };
    let record = flags.record.as_ref().map(|path| {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        file.with_context(|| format!("cannot write {}", path.display()))
    });
    Ok(Factory {
        ca,
        endpoint,
        id_scope,
        trust,
        retry_for: Duration::from_secs(flags.retry_for),
        record: record.transpose()?.map(Mutex::new),
    })
}

fn progress(devices: usize) -> anyhow::Result<ProgressBar> {
    let template = "{bar:40} {pos}/{len} devices registered, {per_sec}, {eta} left";
    let bar = ProgressBar::new(devices as u64);
    bar.set_style(ProgressStyle::with_template(template).context("the progress bar")?);
    Ok(bar)
}

async fn register_all(
    factory: &Arc<Factory>,
    names: Arc<Vec<String>>,
    concurrency: usize,
    bar: &ProgressBar,
) -> anyhow::Result<Outcome> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..concurrency {
        let (factory, names, next, bar) =
            (factory.clone(), names.clone(), next.clone(), bar.clone());
        workers.spawn(async move {
            let mut outcome = Outcome::default();
            while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                let began = Instant::now();
                match factory.device(name).await {
                    Ok(()) => outcome.latencies.push(began.elapsed()),
                    Err(error) => outcome.failures.push(format!("{name}: {error:#}")),
                }
                bar.inc(1);
            }
            outcome
        });
    }
    let mut all = Outcome::default();
    while let Some(outcome) = workers.join_next().await {
        let outcome = outcome.context("a worker")?;
        all.latencies.extend(outcome.latencies);
        all.failures.extend(outcome.failures);
    }
    Ok(all)
}

impl Factory {
    /// One device: its key, its certificate, its registration.
    async fn device(&self, name: &str) -> anyhow::Result<()> {
        let (leaf, key) = self
            .ca
            .sign_identity(name, &IdentityOptions::default(), clock::now())?;
        let mut chain = vec![leaf, self.ca.intermediate().clone()];
        chain.extend_from_slice(self.ca.above_intermediate());
        let how = Provisioning {
            endpoint: self.endpoint.clone(),
            id_scope: self.id_scope.clone(),
            registration_id: RegistrationId::parse(name)?,
            payload: None,
            attestation: Credential::Certificate(Identity::new(&chain, &key)?).into(),
            trust: self.trust.clone(),
            request: None,
            within: Duration::from_secs(60),
        };
        self.persist(&how).await?;
        self.note(name)
    }

    /// Registers, and tries again after failures that may be transient. A pause that the service
    /// asked for does not count as trying.
    async fn persist(&self, how: &Provisioning) -> Result<(), ProvisionError> {
        let mut began = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        loop {
            match device::provision(how).await {
                Ok(_assignment) => return Ok(()),
                Err(error) if error.retry_after().is_some() && error.is_transient() => {
                    backoff.succeeded();
                    let retry_after = error.retry_after();
                    tokio::time::sleep(backoff.failed_with(retry_after, rand::random())).await;
                    began = Instant::now();
                }
                Err(error) if error.is_transient() && began.elapsed() < self.retry_for => {
                    tokio::time::sleep(backoff.failed(rand::random())).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn note(&self, name: &str) -> anyhow::Result<()> {
        let Some(record) = &self.record else {
            return Ok(());
        };
        let mut file = record.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{name}\n").as_bytes())
            .context("the record")
    }
}

fn summarize(mut outcome: Outcome, elapsed: Duration) -> (serde_json::Value, Vec<String>) {
    outcome.latencies.sort();
    let quantile = |per_cent: usize| {
        let index = (outcome.latencies.len() * per_cent / 100)
            .min(outcome.latencies.len().saturating_sub(1));
        outcome.latencies.get(index).map(Duration::as_millis)
    };
    let assigned = outcome.latencies.len();
    let seconds = elapsed.as_secs_f64();
    let summary = json!({
        "assigned": assigned,
        "failed": outcome.failures.len(),
        "seconds": (seconds * 100.0).round() / 100.0,
        "perSecond": (assigned as f64 / seconds).round(),
        "medianMilliseconds": quantile(50),
        "p99Milliseconds": quantile(99),
    });
    (summary, outcome.failures)
}
