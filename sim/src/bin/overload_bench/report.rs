use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

use crate::load::Outcome;

/// Everything that one run found.
pub struct Report {
    pub calm: Outcome,
    pub storm: Outcome,
    /// Devices that were not let in during the storm.
    pub left: usize,
    pub drain: Outcome,
    pub devices: usize,
}

impl Report {
    pub fn print(mut self, as_json: bool) -> Result<()> {
        for outcome in [&mut self.calm, &mut self.storm, &mut self.drain] {
            outcome.admitted.sort_by(f32::total_cmp);
            outcome.refused.sort_by(f32::total_cmp);
            outcome.retry_after.sort_unstable();
        }
        let mut out = std::io::stdout().lock();
        match as_json {
            true => writeln!(out, "{:#}", self.json())?,
            false => write!(out, "{}", self.words())?,
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let phase = |outcome: &Outcome| {
            json!({
                "seconds": outcome.seconds,
                "asked": outcome.admitted.len() + outcome.refused.len(),
                "admitted": outcome.admitted.len(),
                "admittedMillis": {
                    "p50": at(&outcome.admitted, 0.5),
                    "p99": at(&outcome.admitted, 0.99),
                    "most": at(&outcome.admitted, 1.0),
                },
                "refused": outcome.refused.len(),
                "refusedMillis": {
                    "p50": at(&outcome.refused, 0.5),
                    "p99": at(&outcome.refused, 0.99),
                },
                "retryAfterSeconds": {
                    "least": outcome.retry_after.first(),
                    "most": outcome.retry_after.last(),
                },
            })
        };
        json!({
            "devices": self.devices,
            "able": self.calm.admitted_rate(),
            "timesOverload": self.storm.rate() / self.calm.admitted_rate(),
            "calm": phase(&self.calm),
            "storm": phase(&self.storm),
            "leftAfterStorm": self.left,
            "drain": phase(&self.drain),
        })
    }

    fn words(&self) -> String {
        let mut text = format!(
            "{} devices with keys, on connections that stay open; all of them are registered in \
             the end\n",
            self.devices
        );
        text += &format!(
            "{:<22} {:>8} {:>9} {:>11} {:>8} {:>8} {:>10} {:>13}\n",
            "", "seconds", "asked/s", "admitted/s", "p50 ms", "p99 ms", "429", "Retry-After s"
        );
        for (name, outcome) in [
            ("what it can do", &self.calm),
            ("overload", &self.storm),
            ("then, when their turn is", &self.drain),
        ] {
            let range = match (outcome.retry_after.first(), outcome.retry_after.last()) {
                (Some(least), Some(most)) => format!("{least} – {most}"),
                _ => "–".to_owned(),
            };
            text += &format!(
                "{name:<22} {:>8.1} {:>9.0} {:>11.0} {:>8.0} {:>8.0} {:>10} {range:>13}\n",
                outcome.seconds,
                outcome.rate(),
                outcome.admitted_rate(),
                at(&outcome.admitted, 0.5),
                at(&outcome.admitted, 0.99),
                outcome.refused.len(),
            );
        }
        text += &format!(
            "{:.1} times what it can do was asked; {} devices were left when the overload ended\n",
            self.storm.rate() / self.calm.admitted_rate(),
            self.left
        );
        text
    }
}

/// The value below which a share of all values lie; they are sorted.
fn at(sorted: &[f32], share: f64) -> f32 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f32::NAN;
    };
    sorted[(share * last as f64).round() as usize]
}
