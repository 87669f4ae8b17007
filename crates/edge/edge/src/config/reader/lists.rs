//! Arrays, and tables whose keys are names of the owner's choice.

use toml::de::DeValue;

use super::{At, Section};

/// A value of a table with free names.
pub(in crate::config) enum TextOrTexts {
    Text(String),
    Texts(Vec<String>),
}

impl<'f, 't> Section<'f, 't> {
    /// All keys of a table with free names, such as an environment.
    pub(in crate::config) fn texts(&self) -> Vec<(String, At<String>)> {
        let mut found = Vec::new();
        for (name, value) in self.table {
            let line = self.faults.line(name.span().start);
            match value.get_ref().as_str() {
                Some(text) => {
                    self.warn_of_unseen(name.get_ref(), line, text);
                    let value = text.to_owned();
                    found.push((name.get_ref().to_string(), At { value, line }));
                }
                None => self.wrong(name.get_ref(), line, "a text in quotes", value.get_ref()),
            }
        }
        found
    }

    /// As [`texts`](Self::texts), where a value may also be an array of texts.
    pub(in crate::config) fn texts_or_lists(&self) -> Vec<(String, At<TextOrTexts>)> {
        let mut found = Vec::new();
        for (name, value) in self.table {
            let line = self.faults.line(name.span().start);
            let value = match value.get_ref() {
                DeValue::Array(array) => {
                    let texts = array
                        .iter()
                        .map(|item| item.get_ref().as_str().map(str::to_owned));
                    texts.collect::<Option<Vec<_>>>().map(TextOrTexts::Texts)
                }
                other => other
                    .as_str()
                    .map(|text| TextOrTexts::Text(text.to_owned())),
            };
            match value {
                Some(value) => found.push((name.get_ref().to_string(), At { value, line })),
                None => {
                    let message = format!(
                        "{}: a text, or an array of texts, was expected",
                        self.name(name.get_ref())
                    );
                    self.fault(line, message);
                }
            }
        }
        found
    }

    /// An array of texts; empty when the key is absent.
    pub(in crate::config) fn text_list(&self, key: &'static str) -> Vec<At<String>> {
        let Some((line, value)) = self.find(key) else {
            return Vec::new();
        };
        let Some(array) = value.as_array() else {
            self.wrong(key, line, "an array of texts", value);
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in array {
            let line = self.faults.line(item.span().start);
            match item.get_ref().as_str() {
                Some(text) => found.push(At {
                    value: text.to_owned(),
                    line,
                }),
                None => self.wrong(key, line, "a text in quotes", item.get_ref()),
            }
        }
        found
    }

    /// An array of tables; empty when the key is absent.
    pub(in crate::config) fn sections(&self, key: &'static str) -> Vec<Section<'f, 't>> {
        let Some((line, value)) = self.find(key) else {
            return Vec::new();
        };
        let Some(array) = value.as_array() else {
            self.wrong(key, line, "an array of tables", value);
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in array {
            let line = self.faults.line(item.span().start);
            match item.get_ref().as_table() {
                Some(table) => {
                    found.push(Section::new(self.faults, table, &self.name(key), line));
                }
                None => self.wrong(key, line, "a table", item.get_ref()),
            }
        }
        found
    }
}
