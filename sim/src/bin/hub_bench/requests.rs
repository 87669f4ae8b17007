//! Requests of the service API: a twin patch that is durable when it is answered, and a direct
//! method's way to a device and back; beside a request that only reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;
use sim::Server;
use sim::measure::{Rows, Usage, median, quantile};
use tokio::task::JoinSet;

use crate::Output;
use crate::client::Client;
use crate::devices::{DeviceKey, Operator, name};
use crate::target::Target;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Devices that requests are about, all of them connected.
    #[arg(long, default_value_t = 200)]
    devices: usize,
    /// Requests of each kind in each round.
    #[arg(long, default_value_t = 2000)]
    requests: usize,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Requests that are open at once.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ReadTwin,
    PatchTwin,
    InvokeMethod,
}

impl Kind {
    const ALL: [Self; 3] = [Self::ReadTwin, Self::PatchTwin, Self::InvokeMethod];

    fn title(self) -> &'static str {
        match self {
            Self::ReadTwin => "read a twin",
            Self::PatchTwin => "patch a twin, durable",
            Self::InvokeMethod => "direct method, to the device and back",
        }
    }

    async fn send(self, operator: &Operator, number: usize, devices: usize) -> Result<()> {
        let twin = format!("/twins/{}", name(number % devices));
        let request = match self {
            Self::ReadTwin => operator.request(Method::GET, &twin),
            Self::PatchTwin => operator
                .request(Method::PATCH, &twin)
                .json(&json!({"tags": {"round": number}})),
            Self::InvokeMethod => operator
                .request(Method::POST, &format!("{twin}/methods"))
                .json(&json!({"methodName": "ping", "responseTimeoutInSeconds": 30})),
        };
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{}: {status} {text}", self.title());
        Ok(())
    }
}

#[derive(Default)]
struct Measured {
    /// Microseconds of server CPU for each request, one value a round.
    cpu: Vec<f64>,
    /// Requests in a second, one value a round.
    rate: Vec<f64>,
    /// Milliseconds that each request took.
    millis: Vec<f64>,
}

pub async fn measure(arguments: &Arguments) -> Result<()> {
    let server = Server::start().await?;
    let operator = Operator::of(&server)?;
    operator.create(arguments.devices).await?;
    let target = Target::hub(&server, DeviceKey::new()?)?;
    let mut connected = JoinSet::new();
    for number in 0..arguments.devices {
        let client = Client::connect(&target, &name(number)).await?;
        connected.spawn(client.answer_methods());
    }
    let mut all = Kind::ALL.map(|_| Measured::default());
    for round in 0..=arguments.rounds {
        for (kind, measured) in Kind::ALL.into_iter().zip(&mut all) {
            // Round 0 warms the server up and is not counted.
            let counted = (round > 0).then_some(measured);
            run(kind, &operator, target.process, arguments, counted).await?;
        }
    }
    ensure!(
        connected.try_join_next().is_none(),
        "a device has lost its connection"
    );
    print(arguments, &all)
}

async fn run(
    kind: Kind,
    operator: &Operator,
    process: u32,
    arguments: &Arguments,
    measured: Option<&mut Measured>,
) -> Result<()> {
    let before = Usage::of(process)?;
    let started = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..arguments.concurrency {
        let (operator, next) = (operator.clone(), next.clone());
        let (requests, devices) = (arguments.requests, arguments.devices);
        workers.spawn(async move {
            let mut millis = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return anyhow::Ok(millis);
                }
                let started = Instant::now();
                kind.send(&operator, number, devices).await?;
                millis.push(started.elapsed().as_secs_f64() * 1e3);
            }
        });
    }
    let mut millis = Vec::new();
    while let Some(worker) = workers.join_next().await {
        millis.extend(worker??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let used = Usage::of(process)?.since(before);
    if let Some(measured) = measured {
        let count = arguments.requests as f64;
        measured.cpu.push(used.cpu_micros / count);
        measured.rate.push(count / seconds);
        measured.millis.extend(millis);
    }
    Ok(())
}

fn print(arguments: &Arguments, all: &[Measured; 3]) -> Result<()> {
    let heading = format!(
        "{} rounds of {} requests, {} at once, over connections that stay open",
        arguments.rounds, arguments.requests, arguments.concurrency
    );
    let columns = ["CPU µs/request", "ratio", "requests/s", "p50 ms", "p99 ms"];
    let mut rows = Rows::new(&heading, &columns);
    for (kind, measured) in Kind::ALL.into_iter().zip(all) {
        let both = measured.cpu.iter().zip(&all[0].cpu);
        let ratio = median(&both.map(|(cost, base)| cost / base).collect::<Vec<_>>());
        let (cpu, rate) = (median(&measured.cpu), median(&measured.rate));
        let (half, most) = (median(&measured.millis), quantile(&measured.millis, 0.99));
        rows.add(
            kind.title(),
            vec![cpu, ratio, rate, half, most],
            json!({
                "cpuMicrosPerRequest": measured.cpu,
                "toReading": ratio,
                "requestsPerSecond": measured.rate,
                "millis": {"p50": half, "p99": most},
            }),
        );
    }
    rows.print(arguments.output == Output::Json)
}
