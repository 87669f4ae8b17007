//! How answers are printed.

use std::io::{self, Write};

use serde::Serialize;

/// `--output`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people, in Azure's words.
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs.
    Json,
}

/// The reader of standard output has gone, as in `iotedge … | head`.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
struct Closed;

/// The exit code that a shell reports for SIGPIPE: 128 and the number of the signal.
pub const CLOSED: u8 = 141;

/// Marks a closed standard output, so that it differs from a broken connection.
pub fn printed(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(io::Error::new(io::ErrorKind::BrokenPipe, Closed))
        }
        other => other,
    }
}

/// Whether a command ended because standard output is closed.
pub fn is_closed(error: &anyhow::Error) -> bool {
    let causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    let mut inner = causes.filter_map(io::Error::get_ref);
    inner.any(|inner| inner.is::<Closed>())
}

/// Prints a value as indented JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    bytes(format!("{}\n", serde_json::to_string_pretty(value)?).as_bytes())
}

/// Prints lines.
pub fn text(lines: impl IntoIterator<Item = impl AsRef<str>>) -> anyhow::Result<()> {
    let lines = lines.into_iter().map(|line| format!("{}\n", line.as_ref()));
    bytes(lines.collect::<String>().as_bytes())
}

/// Prints a text as it is.
pub fn bytes(text: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    Ok(printed(out.write_all(text).and_then(|()| out.flush()))?)
}

/// Cells in columns of at least 15 characters, as Azure's tool aligns them.
pub fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..count)
        .map(|column| width(column).unwrap_or(0).max(15))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
