//! Reads TOML strictly: every key must be known, and every fault has a line.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::offered::{Form, Offer};
use super::{Fault, characters, unknown_key};

mod lists;

pub(super) use lists::TextOrTexts;

/// A value and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// The value of a key that may be a text or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextOrNumber {
    Text(String),
    Number(u64),
}

/// Collects the faults of one file.
pub(super) struct Faults<'t> {
    text: &'t str,
    offer: Offer,
    found: RefCell<Vec<Fault>>,
}

impl<'t> Faults<'t> {
    pub(super) fn new(text: &'t str, offer: Offer) -> Self {
        Self {
            text,
            offer,
            found: RefCell::default(),
        }
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    pub(super) fn add(&self, line: usize, message: impl Into<String>) {
        self.found
            .borrow_mut()
            .push(Fault::error(Some(line), message));
    }

    fn note(&self, line: usize, message: impl Into<String>) {
        self.found
            .borrow_mut()
            .push(Fault::note(Some(line), message));
    }

    fn warn(&self, line: usize, message: impl Into<String>) {
        self.found
            .borrow_mut()
            .push(Fault::warning(Some(line), message));
    }

    pub(super) fn into_sorted(self) -> Vec<Fault> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|fault| fault.line);
        found
    }
}

/// One table of the file. Reading a key makes it known;
/// [`finish`](Self::finish) refuses all others.
pub(super) struct Section<'f, 't> {
    faults: &'f Faults<'t>,
    table: &'f DeTable<'t>,
    path: String,
    line: usize,
    known: RefCell<Vec<&'static str>>,
}

impl<'f, 't> Section<'f, 't> {
    pub(super) fn new(
        faults: &'f Faults<'t>,
        table: &'f DeTable<'t>,
        path: &str,
        line: usize,
    ) -> Self {
        Self {
            faults,
            table,
            path: path.to_owned(),
            line,
            known: RefCell::default(),
        }
    }

    /// The dotted name of a key of this table.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Makes keys known whose values have no effect.
    pub(super) fn know(&self, keys: &[&'static str]) {
        self.known.borrow_mut().extend(keys);
    }

    fn find(&self, key: &'static str) -> Option<(usize, &'f DeValue<'t>)> {
        self.known.borrow_mut().push(key);
        let (spanned_key, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((self.faults.line(spanned_key.span().start), value.get_ref()))
    }

    fn wrong(&self, key: &str, line: usize, wanted: &str, found: &DeValue<'_>) {
        self.faults.add(
            line,
            format!(
                "{}: {wanted} was expected, found {}",
                self.name(key),
                found.type_str()
            ),
        );
    }

    pub(super) fn text(&self, key: &'static str) -> Option<At<String>> {
        let (line, value) = self.find(key)?;
        match value.as_str() {
            Some(text) => {
                self.warn_of_unseen(key, line, text);
                Some(At {
                    value: text.to_owned(),
                    line,
                })
            }
            None => {
                self.wrong(key, line, "a text in quotes", value);
                None
            }
        }
    }

    fn warn_of_unseen(&self, key: &str, line: usize, text: &str) {
        if let Some(odd) = text.chars().find_map(characters::unseen) {
            let name = self.name(key);
            let message =
                format!("{name}: there is {odd} in it, which nobody sees; type the text again");
            self.faults.warn(line, message);
        }
    }

    pub(super) fn required_text(&self, key: &'static str) -> Option<At<String>> {
        let found = self.text(key);
        if found.is_none() && !self.has(key) {
            self.missing(key);
        }
        found
    }

    pub(super) fn missing(&self, key: &str) {
        let section = if self.path.is_empty() {
            String::new()
        } else {
            format!(" in [{}]", self.path)
        };
        self.faults
            .add(self.line, format!("{key} is missing{section}"));
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.keys().any(|name| name.get_ref() == key)
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<At<bool>> {
        let (line, value) = self.find(key)?;
        match value.as_bool() {
            Some(value) => Some(At { value, line }),
            None => {
                self.wrong(key, line, "true or false", value);
                None
            }
        }
    }

    pub(super) fn text_or_unsigned(&self, key: &'static str) -> Option<At<TextOrNumber>> {
        let (line, value) = self.find(key)?;
        let held = match value.as_str() {
            Some(text) => Some(TextOrNumber::Text(text.to_owned())),
            None => number_of(value).map(TextOrNumber::Number),
        };
        if held.is_none() {
            self.wrong(
                key,
                line,
                "a text in quotes, or a whole number that is not negative",
                value,
            );
        }
        held.map(|value| At { value, line })
    }

    pub(super) fn unsigned(&self, key: &'static str) -> Option<At<u64>> {
        let (line, value) = self.find(key)?;
        match number_of(value) {
            Some(value) => Some(At { value, line }),
            None => {
                self.wrong(key, line, "a whole number that is not negative", value);
                None
            }
        }
    }

    pub(super) fn section(&self, key: &'static str) -> Option<Section<'f, 't>> {
        let (line, value) = self.find(key)?;
        match value.as_table() {
            Some(table) => Some(Section::new(self.faults, table, &self.name(key), line)),
            None => {
                self.wrong(key, line, "a table", value);
                None
            }
        }
    }

    /// A table, unless it is empty or holds only empty tables.
    pub(super) fn asking_section(&self, key: &'static str) -> Option<Section<'f, 't>> {
        self.section(key).filter(|section| {
            !section
                .table
                .values()
                .all(|value| asks_for_nothing(value.get_ref()))
        })
    }

    /// Whether the key holds a table, where the format allows a table and a text.
    pub(super) fn is_table(&self, key: &str) -> bool {
        self.table
            .iter()
            .any(|(name, value)| name.get_ref() == key && value.get_ref().is_table())
    }

    /// Says that a form of Azure's stands at `key`. Refuses it if it is not offered yet.
    pub(super) fn form(&self, form: Form, key: &str, line: usize) {
        self.form_of_value(form, &self.name(key), line);
    }

    /// As [`form`](Self::form), with what stands in the file instead of a key's name.
    pub(super) fn form_of_value(&self, form: Form, what: &str, line: usize) {
        if let Some(instead) = self.faults.offer.instead_of(form) {
            self.faults.add(
                line,
                format!("{what} is known from Azure IoT Edge but not offered yet; {instead}"),
            );
        }
    }

    /// The line and the name of the first key that asks for something. Makes all of them known.
    pub(super) fn first(&self, keys: &[&'static str]) -> Option<(usize, &'static str)> {
        let asking = keys.iter().filter_map(|key| {
            let (line, value) = self.find(key)?;
            (!asks_for_nothing(value)).then_some((line, *key))
        });
        asking.min_by_key(|(line, _)| *line)
    }

    /// Refuses keys that belong to another section: one fault, at the first of them.
    pub(super) fn misplaced(&self, keys: &[&'static str], why: &str) {
        if let Some((line, key)) = self.first(keys) {
            self.faults.add(line, format!("{}: {why}", self.name(key)));
        }
    }

    /// Accepts keys without effect: one note with the reason, at the first of them.
    pub(super) fn without_effect(&self, keys: &[&'static str], why: &str) {
        if let Some((line, key)) = self.first(keys) {
            self.faults
                .note(line, format!("{} has no effect: {why}", self.name(key)));
        }
    }

    pub(super) fn fault(&self, line: usize, message: impl Into<String>) {
        self.faults.add(line, message);
    }

    pub(super) fn warn(&self, line: usize, message: impl Into<String>) {
        self.faults.warn(line, message);
    }

    pub(super) fn note(&self, line: usize, message: impl Into<String>) {
        self.faults.note(line, message);
    }

    /// The line of the table.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Refuses every key that was not read.
    pub(super) fn finish(self) {
        let known = self.known.into_inner();
        for name in self
            .table
            .keys()
            .filter(|name| !known.contains(&name.get_ref().as_ref()))
        {
            let key = name.get_ref();
            let line = self.faults.line(name.span().start);
            let full_key = if self.path.is_empty() {
                key.to_string()
            } else {
                format!("{}.{key}", self.path)
            };
            let advice = unknown_key::advice(key, &self.path, &known);
            self.faults
                .add(line, format!("{full_key} is not a known key{advice}"));
        }
    }
}

fn number_of(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Whether a value is an empty table or array: `iotedge config import` writes many of them.
fn asks_for_nothing(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(table) => table
            .values()
            .all(|inner| asks_for_nothing(inner.get_ref())),
        DeValue::Array(array) => array.is_empty(),
        _ => false,
    }
}

/// The root of a parsed file.
pub(super) fn root<'f, 't>(
    faults: &'f Faults<'t>,
    table: &'f Spanned<DeTable<'t>>,
) -> Section<'f, 't> {
    Section::new(faults, table.get_ref(), "", 1)
}
