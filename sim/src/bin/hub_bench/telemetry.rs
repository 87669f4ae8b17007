//! The CPU time of a message at QoS 1: at the hub it is on disk before its PUBACK; at the baseline
//! it is not.

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;
use sim::Server;
use sim::measure::{Hierarchy, Rows, Usage, median, quantile};
use tokio::task::JoinSet;

use crate::Output;
use crate::client::Client;
use crate::devices::{DeviceKey, Operator, name};
use crate::target::Target;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Devices that send.
    #[arg(long, default_value_t = 50)]
    devices: usize,
    /// Messages of each device in each round.
    #[arg(long, default_value_t = 400)]
    messages: usize,
    /// Rounds at each server.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Bytes of a message.
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Messages that a device sends before it waits for an acknowledgement.
const WINDOWS: [usize; 2] = [20, 1];

#[derive(Default)]
struct Measured {
    /// Microseconds of server CPU for each message, one value a round.
    cpu: Vec<f64>,
    /// Messages in a second, one value a round.
    rate: Vec<f64>,
}

pub async fn measure(arguments: &Arguments) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let hierarchy = Hierarchy::make(dir.path())?;
    let server = Server::start().await?;
    Operator::of(&server)?.create(arguments.devices).await?;
    let targets = [
        Target::mosquitto(&hierarchy, dir.path()).await?,
        Target::hub(&server, DeviceKey::new()?)?,
    ];
    let heading = format!(
        "{} rounds of {} devices with {} messages of {} bytes each, QoS 1, TLS 1.3",
        arguments.rounds, arguments.devices, arguments.messages, arguments.size
    );
    let columns = ["CPU µs/message", "95 %", "ratio", "messages/s"];
    let mut rows = Rows::new(&heading, &columns);
    for window in WINDOWS {
        let measured = run(&targets, arguments, window).await?;
        let base = &measured[0];
        for (target, measured) in targets.iter().zip(&measured) {
            let both = measured.cpu.iter().zip(&base.cpu);
            let ratio = median(&both.map(|(cost, base)| cost / base).collect::<Vec<_>>());
            let (cpu, rate) = (median(&measured.cpu), median(&measured.rate));
            rows.add(
                &format!("{}, window {window}", target.title),
                vec![cpu, quantile(&measured.cpu, 0.95), ratio, rate],
                json!({
                    "cpuMicrosPerMessage": measured.cpu,
                    "messagesPerSecond": measured.rate,
                    "toMosquitto": ratio,
                }),
            );
        }
    }
    rows.print(arguments.output == Output::Json)
}

async fn run(targets: &[Target; 2], arguments: &Arguments, window: usize) -> Result<[Measured; 2]> {
    let mut fleets = [
        connect(&targets[0], arguments.devices).await?,
        connect(&targets[1], arguments.devices).await?,
    ];
    let mut measured = [Measured::default(), Measured::default()];
    for round in 0..=arguments.rounds {
        for ((target, fleet), measured) in targets.iter().zip(&mut fleets).zip(&mut measured) {
            let before = Usage::of(target.process)?;
            let started = Instant::now();
            *fleet = publish(std::mem::take(fleet), arguments, window)
                .await
                .context(target.title)?;
            let seconds = started.elapsed().as_secs_f64();
            let used = Usage::of(target.process)?.since(before);
            // Round 0 warms the servers up and is not counted.
            if round > 0 {
                let count = (arguments.devices * arguments.messages) as f64;
                measured.cpu.push(used.cpu_micros / count);
                measured.rate.push(count / seconds);
            }
        }
    }
    Ok(measured)
}

async fn connect(target: &Target, count: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        let client = Client::connect(target, &name(number)).await;
        clients.push(client.context(target.title)?);
    }
    Ok(clients)
}

async fn publish(
    clients: Vec<Client>,
    arguments: &Arguments,
    window: usize,
) -> Result<Vec<Client>> {
    let mut senders = JoinSet::new();
    let (count, size) = (arguments.messages, arguments.size);
    for mut client in clients {
        senders.spawn(async move {
            client.publish(count, window, &vec![b'x'; size]).await?;
            anyhow::Ok(client)
        });
    }
    let mut clients = Vec::new();
    while let Some(sender) = senders.join_next().await {
        clients.push(sender??);
    }
    Ok(clients)
}
