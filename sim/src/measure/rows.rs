//! The figures of a run, as a table or as JSON.

use std::io::Write;

use anyhow::Result;
use serde_json::{Map, Value};

#[derive(Debug)]
pub struct Rows {
    heading: String,
    columns: Vec<String>,
    rows: Vec<Row>,
    /// Lines below the table.
    notes: Vec<String>,
}

#[derive(Debug)]
struct Row {
    title: String,
    /// One value a column.
    values: Vec<f64>,
    json: Value,
}

impl Rows {
    #[must_use]
    pub fn new(heading: &str, columns: &[&str]) -> Self {
        Self {
            heading: heading.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub fn add(&mut self, title: &str, values: Vec<f64>, json: Value) {
        self.rows.push(Row {
            title: title.to_owned(),
            values,
            json,
        });
    }

    /// Adds a line below the table.
    pub fn note(&mut self, line: &str) {
        self.notes.push(line.to_owned());
    }

    pub fn print(&self, as_json: bool) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if as_json {
            let rows = self.rows.iter();
            let all: Map<String, Value> = rows
                .map(|row| (row.title.clone(), row.json.clone()))
                .collect();
            writeln!(out, "{:#}", Value::Object(all))?;
            return Ok(());
        }
        writeln!(out, "{}", self.heading)?;
        write!(out, "{:<42}", "")?;
        for column in &self.columns {
            write!(out, " {column:>15}")?;
        }
        writeln!(out)?;
        for row in &self.rows {
            write!(out, "{:<42}", row.title)?;
            for value in &row.values {
                let digits = if *value < 100.0 { 2 } else { 0 };
                write!(out, " {value:>15.digits$}")?;
            }
            writeln!(out)?;
        }
        for line in &self.notes {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}
