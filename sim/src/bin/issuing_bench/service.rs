//! The server's issuing function next to the primitives, measured in one process by the example
//! `rates` of the crate `issuing`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use sim::Finished;

use crate::report::{Baseline, Row};

pub(crate) fn measure(rates: &Path) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let output = Command::new(rates).arg(folder.path()).output();
    let output = output.with_context(|| rates.display().to_string())?;
    let answer: Value = Finished::from(output).json()?;
    let figure = |name: &str, unit: &str| -> Result<f64> {
        let found = answer[name][unit].as_f64();
        found.with_context(|| format!("no {unit} of {name} in {answer}"))
    };
    let mut rows = Vec::new();
    for (name, what) in [
        ("keygenAndSign", "new P-256 key, certificate signed (raw)"),
        (
            "verifyAndSign",
            "request verified, certificate signed (raw)",
        ),
    ] {
        rows.push(Row {
            what: what.to_owned(),
            unit: "/s",
            value: figure(name, "perSecond")?,
            baseline: None,
        });
    }
    let value = figure("issued", "perSecond")?;
    for (name, what, aim) in [
        ("verifyAndSign", "verified and signed", Some(0.7)),
        ("keygenAndSign", "new key and signed", None),
    ] {
        rows.push(Row {
            what: "request verified, issued, listed, on disk".to_owned(),
            unit: "/s",
            value,
            baseline: Some(Baseline {
                what,
                ratio: value / figure(name, "perSecond")?,
                aim,
            }),
        });
    }
    rows.push(Row {
        what: "CPU of one issued certificate".to_owned(),
        unit: "us",
        value: figure("issued", "cpuMicros")?,
        baseline: Some(Baseline {
            what: "verified and signed",
            ratio: figure("verifyAndSign", "cpuMicros")? / figure("issued", "cpuMicros")?,
            aim: None,
        }),
    });
    Ok(rows)
}
