//! The memory of a device that is connected and says nothing, and the CPU time of its connect.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use sim::Server;
use sim::measure::{Hierarchy, Resident, Rows, Usage};
use tokio::task::JoinSet;

use crate::Output;
use crate::client::Client;
use crate::devices::{DeviceKey, Operator, name};
use crate::target::Target;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Sessions at each server.
    #[arg(long, default_value_t = 10_000)]
    sessions: usize,
    /// Connections that are opened at once.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Sessions that are opened before the memory is read: they make what all of them share.
const WARM: usize = 100;

struct Figures {
    kibibytes: f64,
    connect_micros: f64,
}

pub async fn measure(arguments: &Arguments) -> Result<()> {
    anyhow::ensure!(
        arguments.sessions > WARM,
        "the first {WARM} sessions are not counted: --sessions {} is too few",
        arguments.sessions
    );
    allow_connections(arguments.sessions)?;
    let dir = tempfile::tempdir()?;
    let hierarchy = Hierarchy::make(dir.path())?;
    let server = Server::start().await?;
    Operator::of(&server)?.create(arguments.sessions).await?;
    let mut rows = Rows::new(
        &format!(
            "{} idle MQTT sessions over TLS 1.3, token of a symmetric key",
            arguments.sessions
        ),
        &["KiB/session", "ratio", "CPU µs/connect", "ratio"],
    );
    // A server's sessions end with its turn: only its own are open while it is measured.
    let bare = Target::bare(&hierarchy, dir.path()).await?;
    let base = fill(Arc::new(bare), arguments).await?;
    let mosquitto = Target::mosquitto(&hierarchy, dir.path()).await?;
    let broker = fill(Arc::new(mosquitto), arguments).await?;
    let hub = fill(
        Arc::new(Target::hub(&server, DeviceKey::new()?)?),
        arguments,
    )
    .await?;
    for (title, figures) in [
        ("bare tokio-rustls", &base),
        ("mosquitto", &broker),
        ("muster", &hub),
    ] {
        rows.add(
            title,
            vec![
                figures.kibibytes,
                figures.kibibytes / base.kibibytes,
                figures.connect_micros,
                figures.connect_micros / base.connect_micros,
            ],
            json!({
                "kibibytesPerSession": figures.kibibytes,
                "toBare": figures.kibibytes / base.kibibytes,
                "toMosquitto": figures.kibibytes / broker.kibibytes,
                "cpuMicrosPerConnect": figures.connect_micros,
            }),
        );
    }
    rows.print(arguments.output == Output::Json)
}

/// Opens every session, waits until the server is at rest, and reads its memory.
async fn fill(target: Arc<Target>, arguments: &Arguments) -> Result<Figures> {
    let warm = open(&target, WARM, 0, arguments.concurrency).await?;
    await_quiet(&target).await?;
    let (before, used) = (Resident::of(target.process)?, Usage::of(target.process)?);
    let count = arguments.sessions - warm.len();
    let clients = open(&target, count, warm.len(), arguments.concurrency).await?;
    let used = Usage::of(target.process)?.since(used);
    await_quiet(&target).await?;
    let after = Resident::of(target.process)?;
    let count = clients.len() as f64;
    Ok(Figures {
        kibibytes: (after.now - before.now) * 1024.0 / count,
        connect_micros: used.cpu_micros / count,
    })
}

/// Returns when the server has used no CPU for a while.
async fn await_quiet(target: &Target) -> Result<()> {
    let quiet = || async {
        let before = Usage::of(target.process)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let used = Usage::of(target.process)?.since(before);
        anyhow::ensure!(used.cpu_micros < 5_000.0, "{} µs of CPU", used.cpu_micros);
        Ok(())
    };
    sim::until(target.title, Duration::from_secs(30), quiet).await
}

async fn open(
    target: &Arc<Target>,
    count: usize,
    from: usize,
    concurrency: usize,
) -> Result<Vec<Client>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..concurrency {
        let (target, next) = (target.clone(), next.clone());
        workers.spawn(async move {
            let mut clients = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(clients);
                }
                clients.push(Client::connect(&target, &name(from + number)).await?);
            }
        });
    }
    let mut clients = Vec::with_capacity(count);
    while let Some(worker) = workers.join_next().await {
        clients.extend(worker?.context(target.title)?);
    }
    Ok(clients)
}

/// Each session is an open file here and at the server.
fn allow_connections(sessions: usize) -> Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let wanted = sessions as u64 + 1_000;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)?;
    }
    anyhow::ensure!(
        hard >= wanted,
        "{wanted} open files are needed, {hard} allowed"
    );
    Ok(())
}
