//! How the devices call: as fast as they are answered, at a given rate whatever they are told, or
//! when they are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sim::{Server, exchange};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_rustls::client::TlsStream;

use crate::fleet::Fleet;

/// How the devices behave.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// Each connection calls as soon as it is answered, until the time is over.
    Closed { during: Duration },
    /// So many calls a second, for so long, by devices that do not care what they are told.
    Storm { rate: f64, during: Duration },
    /// Each device when it was told, until all are in.
    Obeying,
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// From the request to the answer, of those that were let in, milliseconds.
    pub admitted: Vec<f32>,
    /// The same of those that were throttled.
    pub refused: Vec<f32>,
    /// What they were told, seconds.
    pub retry_after: Vec<u32>,
    /// How long all of it took.
    pub seconds: f64,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.admitted.extend(other.admitted);
        self.refused.extend(other.refused);
        self.retry_after.extend(other.retry_after);
    }

    pub fn rate(&self) -> f64 {
        (self.admitted.len() + self.refused.len()) as f64 / self.seconds
    }

    /// Devices let in a second.
    pub fn admitted_rate(&self) -> f64 {
        self.admitted.len() as f64 / self.seconds
    }
}

/// Connections that stay open, so that what is measured is registration and not the handshake.
pub struct Lines(Vec<TlsStream<TcpStream>>);

impl Lines {
    pub async fn open(server: &Server, count: usize) -> Result<Self> {
        let mut lines = Vec::with_capacity(count);
        for _ in 0..count {
            lines.push(server.connect(443).await?);
        }
        Ok(Self(lines))
    }

    /// Lets the devices call.
    pub async fn run(&mut self, fleet: &Arc<Fleet>, manner: Manner) -> Result<Outcome> {
        let begun = Instant::now();
        let calls = Arc::new(AtomicU64::new(0));
        let mut workers = JoinSet::new();
        for line in self.0.drain(..) {
            let (fleet, calls) = (fleet.clone(), calls.clone());
            workers.spawn(work(line, fleet, calls, (manner, begun)));
        }
        let mut all = Outcome::default();
        while let Some(ended) = workers.join_next().await {
            let (line, outcome) = ended??;
            self.0.push(line);
            all.add(outcome);
        }
        all.seconds = begun.elapsed().as_secs_f64();
        Ok(all)
    }
}

async fn work(
    mut line: TlsStream<TcpStream>,
    fleet: Arc<Fleet>,
    calls: Arc<AtomicU64>,
    (manner, begun): (Manner, Instant),
) -> Result<(TlsStream<TcpStream>, Outcome)> {
    let mut outcome = Outcome::default();
    loop {
        match manner {
            Manner::Closed { during } if begun.elapsed() >= during => break,
            Manner::Storm { rate, during } => {
                let slot = calls.fetch_add(1, Ordering::Relaxed) as f64 / rate;
                if slot >= during.as_secs_f64() || begun.elapsed() >= during {
                    break;
                }
                sleep_until(begun + Duration::from_secs_f64(slot)).await;
            }
            _ => {}
        }
        let number = match manner {
            Manner::Obeying => match due(&fleet).await {
                Some(number) => number,
                None => break,
            },
            _ => fleet
                .next()
                .context("there are too few devices for so long a time")?,
        };
        call(&mut line, &fleet, number, &mut outcome).await?;
    }
    Ok((line, outcome))
}

/// The next device whose turn it is, once it is; `None` when all are in.
async fn due(fleet: &Fleet) -> Option<usize> {
    loop {
        if let Some((turn, number)) = fleet.next_due() {
            sleep_until(turn).await;
            return Some(number);
        }
        if fleet.left() == 0 {
            return None;
        }
        // The others are asking, and may yet be throttled.
        sleep(Duration::from_millis(5)).await;
    }
}

/// One request to register.
async fn call(
    line: &mut TlsStream<TcpStream>,
    fleet: &Fleet,
    number: usize,
    outcome: &mut Outcome,
) -> Result<()> {
    let request = fleet.request(number);
    let sent = Instant::now();
    let answer = exchange(line, request.as_bytes()).await?;
    let took = sent.elapsed().as_secs_f32() * 1000.0;
    match answer.status {
        202 => {
            outcome.admitted.push(took);
            fleet.admitted();
        }
        429 => {
            let retry_after = answer
                .header("retry-after")
                .context("429 without Retry-After")?;
            let retry_after: u32 = retry_after.parse().context("Retry-After")?;
            ensure!(retry_after > 0, "Retry-After: 0");
            outcome.refused.push(took);
            outcome.retry_after.push(retry_after);
            fleet.put_back(number, sent + Duration::from_secs(retry_after.into()));
        }
        _ => anyhow::bail!("{}: {answer:?}", fleet.id(number)),
    }
    Ok(())
}
