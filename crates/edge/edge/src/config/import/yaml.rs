//! YAML as far as `config.yaml` needs it: maps, lists and texts, each with its line. Aliases are
//! refused, so that a short file cannot mean a long one.

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::config::Fault;

/// How deep tables may lie in each other. A `config.yaml` has five levels, and `createOptions`
/// a few more.
const MAX_DEPTH: usize = 32;

/// A value and its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) line: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A text; `is_plain` if it stands without quotes.
    Text {
        text: String,
        is_plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Text { text, is_plain: true }
            if ["", "~", "null", "Null", "NULL"].contains(&text.as_str()))
    }
}

/// A table or list that is not finished.
enum Open {
    List(Vec<Node>, usize),
    /// The entries, the key whose value comes next, and the line.
    Map(Vec<(String, Node)>, Option<String>, usize),
}

/// The first document of a file; `None` when it is empty.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Fault> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let line = error.marker().line();
            Fault::error(
                Some(line),
                format!("this is not valid YAML: {}", error.info()),
            )
        })?;
        let line = span.start.line();
        let finished = match event {
            Event::Alias(_) => {
                let message = "aliases (*name) are not imported; write the value itself";
                return Err(Fault::error(Some(line), message));
            }
            Event::Scalar(text, style, ..) => Some(Node {
                value: Value::Text {
                    text: text.into_owned(),
                    is_plain: style == ScalarStyle::Plain,
                },
                line,
            }),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new(), line));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None, line));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(finish),
            Event::DocumentEnd => break,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {
                None
            }
        };
        if open.len() > MAX_DEPTH {
            let message = format!("there are more than {MAX_DEPTH} tables in each other");
            return Err(Fault::error(Some(line), message));
        }
        if let Some(node) = finished {
            match open.last_mut() {
                None => root = Some(node),
                Some(container) => add(container, node)?,
            }
        }
    }
    Ok(root)
}

fn finish(open: Open) -> Node {
    match open {
        Open::List(items, line) => Node {
            value: Value::List(items),
            line,
        },
        Open::Map(entries, _, line) => Node {
            value: Value::Map(entries),
            line,
        },
    }
}

fn add(container: &mut Open, node: Node) -> Result<(), Fault> {
    match container {
        Open::List(items, _) => items.push(node),
        Open::Map(entries, key @ Some(_), _) => {
            if let Some(key) = key.take() {
                entries.push((key, node));
            }
        }
        Open::Map(entries, key @ None, _) => {
            let Value::Text { text, .. } = node.value else {
                let message = "a list or a table cannot be the name of a key";
                return Err(Fault::error(Some(node.line), message));
            };
            if entries.iter().any(|(name, _)| *name == text) {
                let message = format!("{text} is there twice");
                return Err(Fault::error(Some(node.line), message));
            }
            *key = Some(text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_lists_and_texts_have_their_lines() {
        let root = parse("# a\na:\n  - 'x'\n  - y: ~\nb: 1\n")
            .unwrap()
            .unwrap();
        let Value::Map(entries) = root.value else {
            panic!("{root:?}")
        };
        assert_eq!(entries[0].0, "a");
        let Value::List(items) = &entries[0].1.value else {
            panic!("{entries:?}")
        };
        assert_eq!((items[0].line, items[1].line), (3, 4));
        assert_eq!(entries[1].1.line, 5);
        assert_eq!(parse("# nothing\n").unwrap(), None);
    }

    #[test]
    fn what_could_grow_or_nest_without_end_is_refused() {
        for (text, expected) in [
            ("a: &x [1]\nb: *x\n".to_owned(), "line 2: aliases"),
            ("[".repeat(40), "in each other"),
            ("a: 1\na: 2\n".to_owned(), "line 2: a is there twice"),
            ("a: 'b\n".to_owned(), "not valid YAML"),
            ("? [a]\n: b\n".to_owned(), "cannot be the name"),
        ] {
            let fault = parse(&text).unwrap_err().to_string();
            assert!(fault.contains(expected), "{fault}");
        }
    }
}
