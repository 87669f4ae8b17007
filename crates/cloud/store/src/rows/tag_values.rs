//! The index of tags: every value of a twin's tags with its path, as texts that compare by bytes.
//!
//! `{"site": "Seoul", "floor": {"level": 3}}` gives `site` and `floor.level`. Arrays are not in the
//! index. What is found by it is a candidate: strings are cut, so the document decides.

use serde_json::{Map, Value};

/// Longest path of the index, in bytes. Longer ones are not in it.
pub const MAX_TAG_PATH: usize = 512;
/// How much of a string is in the index, in bytes.
const MAX_TEXT: usize = 256;
/// What of every string is in the index, in bytes: a character that would exceed [`MAX_TEXT`] is
/// left out whole.
const MAX_UNCUT: usize = MAX_TEXT - 3;

/// Whether rows are of devices or of modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityKind {
    Device,
    Module,
}

/// A value of the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagValue(String);

impl TagValue {
    /// The text of a value: a digit for its type, then what compares as the value does. `None` for
    /// what is not in the index.
    #[must_use]
    pub fn new(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self("0".to_owned())),
            Value::Bool(false) => Some(Self("1".to_owned())),
            Value::Bool(true) => Some(Self("2".to_owned())),
            Value::Number(number) => number.as_f64().map(|number| Self(number_text(number))),
            Value::String(text) => Some(Self(format!("4{}", cut(text)))),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// What comes before every number or string, and what comes after every one.
    #[must_use]
    pub fn ends_of_type(value: &Value) -> Option<(Self, Self)> {
        match value {
            Value::Number(_) => Some((Self("3".to_owned()), Self("3~".to_owned()))),
            Value::String(_) => Some((Self("4".to_owned()), Self("5".to_owned()))),
            _ => None,
        }
    }

    /// The first and the last value of strings that begin with a text.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> (Self, Self) {
        let prefix = cut(prefix);
        let mut characters: Vec<char> = prefix.chars().collect();
        let mut last = "5".to_owned();
        while let Some(end) = characters.pop() {
            if let Some(next) = ((end as u32 + 1)..=0x0010_FFFF).find_map(char::from_u32) {
                let begin: String = characters.iter().collect();
                last = format!("4{begin}{next}");
                break;
            }
        }
        (Self(format!("4{prefix}")), Self(last))
    }

    /// The least text of what is not less than a value, and the greatest of what is not greater. A
    /// string that is cut may have the text of one that is less.
    #[must_use]
    pub fn bounds(value: &Value) -> Option<(Self, Self)> {
        let own = Self::new(value)?;
        match value {
            Value::String(text) if own.is_cut() => {
                let uncut = text.floor_char_boundary(MAX_UNCUT);
                Some(Self::with_prefix(&text[..uncut]))
            }
            _ => Some((own.clone(), own)),
        }
    }

    /// Whether two different values of documents may have the same text.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.0.len() > MAX_UNCUT
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A value that the index handed out.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }
}

/// Sixteen digits that compare as the numbers do.
fn number_text(number: f64) -> String {
    // -0 is 0.
    let bits = (number + 0.0).to_bits();
    let ordered = match bits >> 63 {
        0 => bits | (1 << 63),
        _ => !bits,
    };
    format!("3{ordered:016x}")
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// The entries of a document of tags, in order.
pub(crate) fn tag_entries(tags: &str) -> Vec<(String, TagValue)> {
    let mut entries = Vec::new();
    // What cannot be read is found by no query either.
    if let Ok(tags) = serde_json::from_str::<Map<String, Value>>(tags) {
        add_entries("", &tags, &mut entries);
    }
    entries.sort();
    entries.dedup();
    entries
}

fn add_entries(before: &str, members: &Map<String, Value>, entries: &mut Vec<(String, TagValue)>) {
    for (name, value) in members {
        let path = match before {
            "" => name.clone(),
            before => format!("{before}.{name}"),
        };
        if path.len() > MAX_TAG_PATH {
            continue;
        }
        match value {
            Value::Object(inner) => add_entries(&path, inner, entries),
            value => entries.extend(TagValue::new(value).map(|value| (path, value))),
        }
    }
}

/// A part of the index: the values of a path from one to another, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRange {
    pub path: String,
    pub from: TagValue,
    pub to: TagValue,
}

/// An entry of the index, which is ordered so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagEntry {
    pub value: TagValue,
    /// Row of the device or module.
    pub identity: i64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_the_scalars_of_a_document() {
        let tags = json!({
            "site": "Seoul", "a": {"b": {"c": true, "d": [1]}, "e": -1.5}, "": 1,
            "long".repeat(200): 1,
        });
        let entries = tag_entries(&tags.to_string());
        let paths: Vec<_> = entries.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["", "a.b.c", "a.e", "site"]);
        assert_eq!(tag_entries("not json"), []);
    }

    #[test]
    fn values_of_unlike_types_are_apart() {
        let value = |value| TagValue::new(&value).unwrap();
        let ordered = [
            value(json!(null)),
            value(json!(false)),
            value(json!(true)),
            value(json!(-1e300)),
            value(json!(0)),
            value(json!("")),
            value(json!("0")),
        ];
        assert!(ordered.is_sorted());
        let (first, last) = TagValue::ends_of_type(&json!(0)).unwrap();
        assert!(first < ordered[3] && ordered[4] < last && last < ordered[5]);
    }

    proptest! {
        #[test]
        fn texts_compare_as_their_values_do(
            a in any::<f64>(), b in any::<f64>(), s in any::<String>(), t in any::<String>(),
        ) {
            prop_assume!(a.is_finite() && b.is_finite());
            let text = |value: Value| TagValue::new(&value).unwrap();
            let order = text(json!(a)).cmp(&text(json!(b)));
            prop_assert_eq!(order, a.partial_cmp(&b).unwrap());
            prop_assert_eq!(text(json!(s)).cmp(&text(json!(t))), s.cmp(&t));
            let (first, last) = TagValue::with_prefix(&s);
            let longer = text(json!(format!("{s}{t}")));
            prop_assert!(first <= longer && longer <= last);
        }

        #[test]
        fn bounds_hold_whatever_is_cut(
            (a, s) in (244..262_usize, "[ab\u{e9}한\u{1f600}]{0,6}"),
            (b, t) in (244..262_usize, "[ab\u{e9}한\u{1f600}]{0,6}"),
        ) {
            let (s, t) = ("a".repeat(a) + &s, "a".repeat(b) + &t);
            let (least, greatest) = TagValue::bounds(&json!(s)).unwrap();
            let other = TagValue::new(&json!(t)).unwrap();
            prop_assert!(t < s || least <= other, "{t} is not less");
            prop_assert!(t > s || other <= greatest, "{t} is not greater");
            let (first, last) = TagValue::with_prefix(&s);
            let longer = TagValue::new(&json!(format!("{s}{t}"))).unwrap();
            prop_assert!(first <= longer && longer <= last);
        }
    }
}
