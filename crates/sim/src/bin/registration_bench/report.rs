//! The figures, with the baseline of the same run and the ratio.

use std::io::Write;

use anyhow::Result;
use serde_json::json;

use crate::process::Usage;

/// One server's rounds.
#[derive(Debug, Default)]
pub struct Measured {
    /// Microseconds of server CPU per operation, one value a round.
    cpu: Vec<f64>,
    /// Operations per second, one value a round.
    rate: Vec<f64>,
    /// Bytes written per operation, one value a round.
    written: Vec<f64>,
}

impl Measured {
    pub fn add(&mut self, count: usize, seconds: f64, used: Usage) {
        let count = count as f64;
        self.cpu.push(used.cpu_micros / count);
        self.rate.push(count / seconds);
        self.written.push(used.written / count);
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// Everything that one run found.
pub struct Report {
    registrations: usize,
    concurrency: usize,
    /// The bare server's.
    pub bare: Measured,
    /// Registered and answered after the durable commit.
    pub registration: Measured,
    /// The same, and polled until told the hub.
    pub polled: Measured,
}

impl Report {
    pub fn new(registrations: usize, concurrency: usize) -> Self {
        let (bare, registration, polled) = Default::default();
        Self {
            registrations,
            concurrency,
            bare,
            registration,
            polled,
        }
    }

    fn ratio(&self, measured: &Measured) -> f64 {
        median(&measured.cpu) / median(&self.bare.cpu)
    }

    pub fn print(&self, as_json: bool) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if as_json {
            let figures = |m: &Measured| {
                json!({
                    "cpuMicrosPerOperation": m.cpu,
                    "operationsPerSecond": m.rate,
                    "bytesWrittenPerOperation": m.written,
                    "cpuRatio": self.ratio(m),
                })
            };
            let report = json!({
                "operationsPerRound": self.registrations,
                "concurrency": self.concurrency,
                "bare": figures(&self.bare),
                "registration": figures(&self.registration),
                "registrationAndPoll": figures(&self.polled),
            });
            writeln!(out, "{report:#}")?;
            return Ok(());
        }
        writeln!(
            out,
            "{} rounds of {} operations, {} connections at once; TLS 1.3, full mutual handshakes, chain of 3, P-256",
            self.bare.cpu.len(),
            self.registrations,
            self.concurrency
        )?;
        writeln!(
            out,
            "{:<38} {:>9} {:>28} {:>6} {:>7} {:>9}",
            "", "CPU µs/op", "(rounds)", "ratio", "op/s", "B written"
        )?;
        let rows = [
            ("bare verifying server, empty answer", &self.bare),
            ("group registration, durable, answered", &self.registration),
            ("the same, and polled until assigned", &self.polled),
        ];
        for (name, measured) in rows {
            let rounds: Vec<String> = measured.cpu.iter().map(|v| format!("{v:.0}")).collect();
            writeln!(
                out,
                "{name:<38} {:>9.0} {:>28} {:>6.2} {:>7.0} {:>9.0}",
                median(&measured.cpu),
                rounds.join(" "),
                self.ratio(measured),
                median(&measured.rate),
                median(&measured.written)
            )?;
        }
        Ok(())
    }
}
