use std::fmt::Write;

use anyhow::Result;
use serde_json::json;

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
}

/// One figure, with the baseline of the same run.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    pub(crate) baseline: Option<Baseline>,
}

#[derive(Debug)]
pub(crate) struct Baseline {
    pub(crate) what: &'static str,
    /// How many times better than the baseline it is.
    pub(crate) ratio: f64,
    pub(crate) aim: Option<f64>,
}

pub(crate) fn render(rows: &[Row], format: Format) -> Result<String> {
    let mut text = String::new();
    match format {
        Format::Json => {
            for row in rows {
                let baseline = row.baseline.as_ref().map(|baseline| {
                    json!({
                        "what": baseline.what, "ratio": baseline.ratio, "aim": baseline.aim,
                    })
                });
                let line = json!({
                    "what": row.what, "unit": row.unit, "value": row.value, "baseline": baseline,
                });
                writeln!(text, "{line}")?;
            }
        }
        Format::Table => {
            for Row {
                what,
                unit,
                value,
                baseline,
            } in rows
            {
                write!(text, "{what:<58} {value:>12.1} {unit:<16}")?;
                if let Some(Baseline { what, ratio, aim }) = baseline {
                    write!(text, " {ratio:>8.2} x {what}")?;
                    if let Some(aim) = aim {
                        write!(text, " (aim {aim})")?;
                    }
                }
                writeln!(text)?;
            }
        }
    }
    Ok(text)
}
