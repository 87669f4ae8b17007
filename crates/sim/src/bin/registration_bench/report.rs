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
    pub registrations: usize,
    pub concurrency: usize,
    pub bare: Measured,
    pub complete: Measured,
}

impl Report {
    pub fn print(&self, as_json: bool) -> Result<()> {
        let ratio = median(&self.complete.cpu) / median(&self.bare.cpu);
        let mut out = std::io::stdout().lock();
        if as_json {
            let figures = |m: &Measured| {
                json!({ "cpuMicrosPerOperation": m.cpu, "operationsPerSecond": m.rate, "bytesWrittenPerOperation": m.written })
            };
            let report = json!({
                "registrationsPerRound": self.registrations,
                "concurrency": self.concurrency,
                "bare": figures(&self.bare),
                "registration": figures(&self.complete),
                "cpuRatio": ratio,
            });
            writeln!(out, "{report:#}")?;
            return Ok(());
        }
        writeln!(
            out,
            "{} rounds of {} operations, {} connections at once, TLS 1.3, full mutual handshakes, chain of 3, P-256",
            self.bare.cpu.len(),
            self.registrations,
            self.concurrency
        )?;
        writeln!(out, "{:<34} {:>12} {:>24} {:>12} {:>14}", "", "CPU µs/op", "(rounds)", "op/s", "bytes written")?;
        for (name, measured) in [("bare verifying server", &self.bare), ("complete group registration", &self.complete)] {
            let rounds: Vec<String> = measured.cpu.iter().map(|v| format!("{v:.0}")).collect();
            writeln!(
                out,
                "{name:<34} {:>12.0} {:>24} {:>12.0} {:>14.0}",
                median(&measured.cpu),
                rounds.join(" "),
                median(&measured.rate),
                median(&measured.written)
            )?;
        }
        writeln!(out, "ratio of CPU per operation: {ratio:.2} (target: at most 1.3)")?;
        Ok(())
    }
}
