//! How answers are printed: JSON for programs, tables for people.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
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

/// Prints one value. In table forms an object is one row, an array a row an element.
pub fn print(format: Format, value: &Value, columns: &[Column]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json | Format::Jsonc => {
            if !value.is_null() {
                serde_json::to_writer_pretty(&mut out, value)?;
                writeln!(out)?;
            }
        }
        Format::Table => writeln!(out, "{}", table(value, columns))?,
        Format::Tsv => {
            for row in rows(value) {
                writeln!(out, "{}", cells(row, columns).join("\t"))?;
            }
        }
    }
    out.flush()
}

/// Prints a line between tables, for people.
pub fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

fn rows(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn table(value: &Value, columns: &[Column]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(name, _)| *name));
    for row in rows(value) {
        table.add_row(cells(row, columns));
    }
    table
}

fn cells(row: &Value, columns: &[Column]) -> Vec<String> {
    let cell = |(_, pointer): &Column| match row.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    columns.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn missing_fields_are_empty_cells() {
        let row = json!({"a": {"b": 1}, "c": "x"});
        assert_eq!(
            cells(&row, &[("B", "/a/b"), ("C", "/c"), ("D", "/d")]),
            ["1", "x", ""]
        );
    }
}
