//! The figures, with the baseline of the same run and the ratio.

use std::io::Write;

use anyhow::Result;
use serde_json::{Map, Value, json};
use sim::measure::{Usage, median, quantile};

use crate::case::Case;

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

/// Everything that one run found.
pub struct Report {
    operations: usize,
    concurrency: usize,
    cases: Vec<(Case, Measured)>,
}

impl Report {
    pub fn new(operations: usize, concurrency: usize, cases: &[Case]) -> Self {
        let empty = |case: &Case| (*case, Measured::default());
        Self {
            operations,
            concurrency,
            cases: cases.iter().map(empty).collect(),
        }
    }

    pub fn of(&mut self, case: Case) -> Option<&mut Measured> {
        let mut cases = self.cases.iter_mut();
        cases.find(|(known, _)| *known == case).map(|(_, m)| m)
    }

    /// How often the cost of one case another costs: the median over the rounds, each held against
    /// the other's same round.
    pub fn ratio(&self, case: Case, baseline: Case) -> f64 {
        let cpu = |wanted: Case| {
            let found = self.cases.iter().find(|(case, _)| *case == wanted);
            found.map_or(&[][..], |(_, measured)| &measured.cpu)
        };
        let both = cpu(case).iter().zip(cpu(baseline));
        median(&both.map(|(a, b)| a / b).collect::<Vec<_>>())
    }

    /// Prints everything; `more` is what else this run found, by name and in words.
    pub fn print(&self, as_json: bool, more: &[(&str, Value, String)]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if as_json {
            let mut all = self.json();
            for (name, value, _) in more {
                all[name] = value.clone();
            }
            writeln!(out, "{all:#}")?;
            return Ok(());
        }
        write!(out, "{}", self.table())?;
        for (_, _, words) in more {
            writeln!(out, "{words}")?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let figures = |case: Case, m: &Measured| {
            json!({
                "cpuMicrosPerOperation": m.cpu,
                "operationsPerSecond": m.rate,
                "bytesWrittenPerOperation": m.written,
                "cpuRatio": self.ratio(case, Case::Bare),
            })
        };
        let named = |(case, measured): &(Case, Measured)| {
            let name = case.name().to_owned();
            (name, figures(*case, measured))
        };
        let cases: Map<String, Value> = self.cases.iter().map(named).collect();
        json!({
            "operationsPerRound": self.operations,
            "concurrency": self.concurrency,
            "cases": cases,
        })
    }

    fn table(&self) -> String {
        let rounds = self.cases.first().map_or(0, |(_, first)| first.cpu.len());
        let mut text = format!(
            "{rounds} rounds of {} operations, {} connections at once; TLS 1.3, \
             full mutual handshakes, chain of 3, P-256\n",
            self.operations, self.concurrency
        );
        text += &format!(
            "{:<46} {:>9} {:>13} {:>6} {:>7} {:>9}\n",
            "", "CPU µs/op", "(5 % – 95 %)", "ratio", "op/s", "B written"
        );
        for (case, measured) in &self.cases {
            let spread = format!(
                "{:.0} – {:.0}",
                quantile(&measured.cpu, 0.05),
                quantile(&measured.cpu, 0.95)
            );
            text += &format!(
                "{:<46} {:>9.0} {spread:>13} {:>6.2} {:>7.0} {:>9.0}\n",
                case.title(),
                median(&measured.cpu),
                self.ratio(*case, Case::Bare),
                median(&measured.rate),
                median(&measured.written)
            );
        }
        text
    }
}
