//! The text format of Prometheus.

use std::fmt::Write;
use std::time::Duration;

const PREFIX: &str = "edgeAgent_";

/// A text with samples, each with the labels of the device.
pub(super) struct Exposition {
    labels: Vec<(&'static str, String)>,
    text: String,
}

impl Exposition {
    pub(super) fn new(labels: Vec<(&'static str, String)>) -> Self {
        Self {
            labels,
            text: String::new(),
        }
    }

    pub(super) fn counter(&mut self, name: &str) {
        self.kind(name, "counter");
    }

    pub(super) fn gauge(&mut self, name: &str) {
        self.kind(name, "gauge");
    }

    pub(super) fn summary(&mut self, name: &str) {
        self.kind(name, "summary");
    }

    fn kind(&mut self, name: &str, kind: &str) {
        self.push(format_args!("# TYPE {PREFIX}{name} {kind}\n"));
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.push(format_args!("{PREFIX}{name}{{"));
        let own = self.labels.clone();
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        for (index, (name, value)) in own.chain(labels.iter().copied()).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let value = escaped(value);
            self.push(format_args!("{comma}{name}=\"{value}\""));
        }
        self.push(format_args!("}} {value}\n"));
    }

    pub(super) fn times(&mut self, name: &str, labels: &[(&str, &str)], count: u64, sum: Duration) {
        self.sample(&format!("{name}_sum"), labels, sum.as_secs_f64());
        self.sample(&format!("{name}_count"), labels, count as f64);
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn push(&mut self, piece: std::fmt::Arguments<'_>) {
        // Writing into memory does not fail.
        let _ = self.text.write_fmt(piece);
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
