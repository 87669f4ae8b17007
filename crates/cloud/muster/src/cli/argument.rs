//! Values of flags as `az` accepts them: yes and no in many words, JSON from a file
//! or in Python's spelling.

use std::path::Path;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use ids::ProfileKind;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use super::exact::require_exact;
use crate::service_client::CommandError;

/// `true`, `True`, `yes`, `1` and their opposites.
pub fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "0" => Ok(false),
        _ => Err("true or false was expected".to_owned()),
    }
}

/// The kinds of certificates that issuers make; the help lists them.
pub fn profile_kind() -> impl TypedValueParser<Value = ProfileKind> {
    let names = PossibleValuesParser::new(ProfileKind::ALL.map(ProfileKind::name));
    names.try_map(|name| ProfileKind::named(&name).ok_or("the name of a profile was expected"))
}

/// A JSON object: the text itself, also as Python spells it (`{'a': True}`), or the name of a file,
/// with or without `@`.
pub fn object(flag: &str, given: Option<String>) -> anyhow::Result<Option<Map<String, Value>>> {
    given.map(|given| read_object(flag, &given)).transpose()
}

fn read_object(flag: &str, given: &str) -> anyhow::Result<Map<String, Value>> {
    read(flag, given, "a JSON object")
}

/// Any JSON, given as an object is.
pub fn json(flag: &str, given: &str) -> anyhow::Result<Value> {
    read(flag, given, "JSON")
}

fn read<T: DeserializeOwned>(flag: &str, given: &str, what: &str) -> anyhow::Result<T> {
    let is_text = given.trim_start().starts_with(['{', '['])
        || serde_json::from_str::<IgnoredAny>(given).is_ok();
    let text = match is_text {
        true => given.to_owned(),
        false => read_file(flag, given, what)?,
    };
    let text = text.trim_start_matches('\u{feff}');
    let (json, parsed) = match serde_json::from_str(text) {
        Ok(parsed) => (text.to_owned(), Ok(parsed)),
        Err(error) => {
            let json = from_python(text);
            let parsed = serde_json::from_str(&json).map_err(|_| error);
            (json, parsed)
        }
    };
    require_exact(flag, &json)?;
    let wrong = |error| CommandError::Usage(format!("{flag} must be {what}: {error}"));
    Ok(parsed.map_err(wrong)?)
}

fn read_file(flag: &str, given: &str, what: &str) -> anyhow::Result<String> {
    let path = Path::new(given.strip_prefix('@').unwrap_or(given));
    let unreadable = || {
        format!(
            "{flag} is neither {what} nor a file that can be read: {}",
            path.display()
        )
    };
    let text = std::fs::read_to_string(path).with_context(unreadable);
    Ok(text.map_err(CommandError::Input)?)
}

/// Makes JSON of a dictionary as Python writes it. Other texts give no valid JSON.
fn from_python(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => string(rest, first, &mut json),
            letter if letter.is_ascii_alphabetic() => word(rest, &mut json),
            other => {
                json.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    json
}

/// Writes the string at the start of `text` with double quotes. Returns its length in `text`.
fn string(text: &str, quote: char, json: &mut String) -> usize {
    json.push('"');
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match (escaped, c) {
            (true, '\'') => json.push('\''),
            (true, c) => json.extend(['\\', c]),
            (false, '\\') => {}
            (false, c) if c == quote => {
                json.push('"');
                return at + c.len_utf8();
            }
            (false, '"') => json.push_str("\\\""),
            (false, c) => json.push(c),
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

fn word(text: &str, json: &mut String) -> usize {
    let length = text
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    json.push_str(match &text[..length] {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        other => other,
    });
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as document;

    fn read_tags(text: &str) -> Result<Value, String> {
        let read = object("--tags", Some(text.to_owned()));
        read.map(|read| read.map_or(Value::Null, Value::Object))
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn objects_are_read_in_the_spelling_of_json_and_of_python() {
        let wanted = document!({"a": 1, "b": "it's \"x\"", "c": [true, null], "d": {"e": -1.5e3}});
        for text in [
            r#"{"a":1,"b":"it's \"x\"","c":[true,null],"d":{"e":-1.5e3}}"#,
            r#" {'a': 1, 'b': 'it\'s "x"', 'c': [True, None], 'd': {'e': -1.5e3}}"#,
            "\u{feff}{'a':1,'b':\"it's \\\"x\\\"\",'c':[True,None],'d':{'e':-1.5e3}}",
        ] {
            let text = text.trim_start_matches('\u{feff}');
            assert_eq!(read_tags(text).unwrap(), wanted, "{text}");
        }
        let digits = document!({"a": "123456789012345678901234567890"});
        assert_eq!(
            read_tags(&digits.to_string().replace('"', "'")).unwrap(),
            digits
        );
        assert_eq!(
            read_tags(r#"{"None": "True"}"#).unwrap(),
            document!({"None": "True"})
        );
        for text in [
            "{'a': }",
            "{a: 1}",
            "{'a': 1",
            "{'a\\': 1}",
            "[1]",
            "{\"a\": __import__('os')}",
            // H22
            "{\"a\": 123456789012345678901234567890}",
        ] {
            assert!(read_tags(text).is_err(), "{text}");
        }
    }

    #[test]
    fn any_json_is_read_where_it_is_asked_for() {
        for text in ["5", "null", "\"text\"", "[1, 2]", "{\"a\": 1}"] {
            let wanted: Value = serde_json::from_str(text).unwrap();
            assert_eq!(json("--payload", text).unwrap(), wanted);
        }
        let refused = json("--payload", "[1,").unwrap_err().to_string();
        assert!(refused.contains("--payload must be JSON"), "{refused}");
        assert!(json("--payload", "no/such/file").is_err());
    }

    #[test]
    fn objects_are_read_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tags.json");
        std::fs::write(&path, "\u{feff}{\"a\": 1}\r\n").unwrap();
        let name = path.display().to_string();
        for given in [name.clone(), format!("@{name}")] {
            assert_eq!(read_tags(&given).unwrap(), document!({"a": 1}));
        }
        let missing = read_tags("no/such/file.json").unwrap_err();
        assert!(missing.contains("no/such/file.json"), "{missing}");
    }

    #[test]
    fn yes_and_no_have_many_words() {
        for text in ["true", "True", "TRUE", "yes", "1"] {
            assert_eq!(yes_or_no(text), Ok(true));
        }
        for text in ["false", "False", "no", "0"] {
            assert_eq!(yes_or_no(text), Ok(false));
        }
        assert!(yes_or_no("maybe").is_err());
    }
}
