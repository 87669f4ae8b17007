//! How answers are printed: JSON for programs, tables for people.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use ids::Timestamp;
use serde_json::Value;

/// `--output`: the same four forms as `az`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Indented JSON.
    #[default]
    Json,
    /// Indented JSON, coloured by the terminal's pager if any; the same bytes as json here.
    Jsonc,
    /// A table of the most useful fields.
    Table,
    /// The table's cells, separated by tabs, without a header.
    Tsv,
}

/// A column: its heading and the JSON pointer (RFC 6901) of its field.
pub type Column = (&'static str, &'static str);

/// The reader of standard output has gone, as in `muster … | head`.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
struct Closed;

/// The exit code that a shell reports for SIGPIPE: 128 and the number of the signal.
pub const CLOSED: u8 = 141;

/// Whether a command ended because standard output is closed.
pub fn is_closed(error: &anyhow::Error) -> bool {
    let causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    let mut inner = causes.filter_map(io::Error::get_ref);
    inner.any(|inner| inner.is::<Closed>())
}

/// Prints one value. In a table an object is one row, an array has a row for each element.
pub fn print(format: Format, value: &Value, columns: &[(&str, &str)]) -> io::Result<()> {
    let text = match format {
        Format::Json | Format::Jsonc if value.is_null() => String::new(),
        Format::Json | Format::Jsonc => format!("{}\n", serde_json::to_string_pretty(value)?),
        Format::Table => format!("{}\n", table(value, columns)),
        Format::Tsv => {
            let lines = rows(value)
                .into_iter()
                .map(|row| cells(row, columns).join("\t") + "\n");
            lines.collect()
        }
    };
    whole(&text)
}

pub fn line(text: &str) -> io::Result<()> {
    whole(&format!("{text}\n"))
}

/// Prints a text as it is. A closed standard output gives an error of its own, so that it differs
/// from a broken connection.
pub fn whole(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(io::Error::new(io::ErrorKind::BrokenPipe, Closed))
        }
        other => other,
    }
}

fn rows(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn table(value: &Value, columns: &[(&str, &str)]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(name, _)| *name));
    for row in rows(value) {
        table.add_row(cells(row, columns).iter().map(|cell| seconds(cell)));
    }
    table
}

fn cells(row: &Value, columns: &[(&str, &str)]) -> Vec<String> {
    let cell = |(_, pointer): &(&str, &str)| match row.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    columns.iter().map(cell).collect()
}

/// A time without fractions of a second, for people. JSON and TSV keep all digits.
pub fn seconds(cell: &str) -> String {
    let is_moment = cell.len() == "2026-01-02T03:04:05.6789012Z".len() && cell.ends_with('Z');
    match Timestamp::parse(cell) {
        Ok(moment) if is_moment => moment.in_seconds(),
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Seven decimals of a moment filled the columns.
    #[test]
    fn tables_show_moments_in_seconds_and_programs_get_all_of_them() {
        let row = json!({"at": "2026-01-02T03:04:05.6789012Z", "id": "2026-01-02"});
        let columns = [("AT", "/at"), ("ID", "/id")];
        let printed = table(&row, &columns).to_string();
        assert!(printed.contains("2026-01-02T03:04:05Z"), "{printed}");
        assert_eq!(
            cells(&row, &columns),
            ["2026-01-02T03:04:05.6789012Z", "2026-01-02"]
        );
    }

    #[test]
    fn missing_fields_are_empty_cells() {
        let row = json!({"a": {"b": 1}, "c": "x"});
        assert_eq!(
            cells(&row, &[("B", "/a/b"), ("C", "/c"), ("D", "/d")]),
            ["1", "x", ""]
        );
    }
}
