//! A table of `config.yaml`, read strictly: what is not read is named.

use toml::Value as Toml;

use super::yaml::{Node, Value};
use crate::config::Fault;

/// A table of the old file.
pub(super) struct Table<'n> {
    entries: &'n [(String, Node)],
    path: String,
    read: Vec<String>,
    pub(super) line: usize,
}

impl<'n> Table<'n> {
    /// # Errors
    /// When the node is not a table.
    pub(super) fn new(node: &'n Node, path: &str) -> Result<Self, Fault> {
        let entries: &[(String, Node)] = match &node.value {
            Value::Map(entries) => entries,
            _ if node.is_null() => &[],
            _ => {
                let what = if path.is_empty() { "the file" } else { path };
                let message = format!("{what}: a table was expected");
                return Err(Fault::error(Some(node.line), message));
            }
        };
        Ok(Self {
            entries,
            path: path.to_owned(),
            read: Vec::new(),
            line: node.line,
        })
    }

    fn name(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// A value that is there and not null.
    pub(super) fn node(&mut self, key: &str) -> Option<&'n Node> {
        self.read.push(key.to_owned());
        let (_, node) = self.entries.iter().find(|(name, _)| name == key)?;
        (!node.is_null()).then_some(node)
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Fault> {
        match self.node(key) {
            None => Ok(None),
            Some(Node {
                value: Value::Text { text, .. },
                ..
            }) => Ok(Some(text.clone())),
            Some(node) => {
                let message = format!("{}: a text was expected", self.name(key));
                Err(Fault::error(Some(node.line), message))
            }
        }
    }

    pub(super) fn required_text(&mut self, key: &str) -> Result<String, Fault> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn missing(&self, key: &str) -> Fault {
        Fault::error(Some(self.line), format!("{} is missing", self.name(key)))
    }

    /// `true` and its like; false when the key is absent.
    pub(super) fn boolean(&mut self, key: &str) -> Result<bool, Fault> {
        match self.text(key)?.as_deref() {
            None => Ok(false),
            Some(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Ok(true),
                "false" | "no" | "off" => Ok(false),
                _ => {
                    let message = format!("{}: {text:?} is neither true nor false", self.name(key));
                    Err(Fault::error(Some(self.line), message))
                }
            },
        }
    }

    pub(super) fn table(&mut self, key: &str) -> Result<Option<Table<'n>>, Fault> {
        let name = self.name(key);
        self.node(key)
            .map(|node| Table::new(node, &name))
            .transpose()
    }

    /// Whatever the key holds.
    pub(super) fn any(&mut self, key: &str) -> Option<Toml> {
        self.node(key).map(toml_of)
    }

    /// Warns of every key that was not read.
    pub(super) fn finish(self, faults: &mut Vec<Fault>) {
        for (key, node) in self.entries {
            if !self.read.contains(key) {
                let message = format!("{} is not known and was not imported", self.name(key));
                faults.push(Fault::warning(Some(node.line), message));
            }
        }
    }
}

/// The same value in TOML, which has no null.
fn toml_of(node: &Node) -> Toml {
    match &node.value {
        Value::Text { text, is_plain } => scalar(text, *is_plain),
        Value::List(items) => {
            let items = items.iter().filter(|item| !item.is_null());
            Toml::Array(items.map(toml_of).collect())
        }
        Value::Map(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            Toml::Table(
                entries
                    .map(|(key, value)| (key.clone(), toml_of(value)))
                    .collect(),
            )
        }
    }
}

fn scalar(text: &str, is_plain: bool) -> Toml {
    if is_plain {
        if let Ok(number) = text.parse::<i64>() {
            return Toml::Integer(number);
        }
        match text {
            "true" | "True" | "TRUE" => return Toml::Boolean(true),
            "false" | "False" | "FALSE" => return Toml::Boolean(false),
            _ => {}
        }
    }
    Toml::String(text.to_owned())
}
