//! The syntax of PKCS#11 URIs (RFC 7512), without a look at any token.

use percent_encoding::percent_decode_str;

/// The longest URI, bytes.
const MAX_BYTES: usize = 1024;
/// The attributes of the path that RFC 7512 has.
const PATH: [&str; 13] = [
    "token",
    "manufacturer",
    "serial",
    "model",
    "library-manufacturer",
    "library-description",
    "library-version",
    "object",
    "type",
    "id",
    "slot-manufacturer",
    "slot-description",
    "slot-id",
];
const QUERY: [&str; 4] = ["pin-value", "pin-source", "module-name", "module-path"];

/// What a URI has to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// A token and a key in it.
    Key,
    /// A token only, where keys are made.
    Token,
}

/// What is wrong with a URI, and how to correct it.
pub(super) fn problem(uri: &str, names: Names) -> Option<String> {
    if uri.len() > MAX_BYTES {
        return Some(format!("it is longer than {MAX_BYTES} bytes"));
    }
    let Some(rest) = uri.strip_prefix("pkcs11:") else {
        return Some("it has to begin with pkcs11:".to_owned());
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut found = Vec::new();
    for attribute in path.split(';').filter(|text| !text.is_empty()) {
        match attribute_problem(attribute, &PATH) {
            Ok(name) if found.contains(&name) => return Some(format!("it has {name} twice")),
            Ok(name) => found.push(name),
            Err(problem) => return Some(problem),
        }
    }
    for attribute in query.split('&').filter(|text| !text.is_empty()) {
        if let Err(problem) = attribute_problem(attribute, &QUERY) {
            return Some(problem);
        }
    }
    unnamed(&found, names)
}

fn unnamed(found: &[&str], names: Names) -> Option<String> {
    let has = |any: &[&str]| any.iter().any(|name| found.contains(name));
    if !has(&["token", "slot-id", "serial"]) {
        return Some("it names no token; add token=LABEL or slot-id=NUMBER".to_owned());
    }
    match names {
        Names::Key if !has(&["object", "id"]) => {
            Some("it names no key in the token; add object=LABEL or id=%01".to_owned())
        }
        Names::Token if has(&["object", "id"]) => {
            Some("it names a key; the slot for new keys has none, remove object and id".to_owned())
        }
        Names::Key | Names::Token => None,
    }
}

/// The name of an attribute that is known and has a value.
fn attribute_problem<'a>(attribute: &'a str, known: &[&str]) -> Result<&'a str, String> {
    let Some((name, value)) = attribute.split_once('=') else {
        return Err(misplaced(attribute));
    };
    // The names of vendors begin with x-.
    if !known.contains(&name) && !name.starts_with("x-") {
        return Err(match name {
            "pin-value" | "pin-source" => {
                format!("{name} stands behind a question mark: …?{name}=…")
            }
            _ => format!(
                "{name:?} is not an attribute; those are {}",
                known.join(", ")
            ),
        });
    }
    if name == "slot-id" && value.parse::<u64>().is_err() {
        return Err("slot-id is not a number".to_owned());
    }
    if name == "id" || percent_decode_str(value).decode_utf8().is_ok() {
        Ok(name)
    } else {
        Err(format!("{name} is not UTF-8"))
    }
}

fn misplaced(attribute: &str) -> String {
    let name: String = attribute.chars().take(40).collect();
    if name.contains("pin") {
        // What follows may be a PIN.
        "an attribute has no value".to_owned()
    } else {
        format!("{name:?} has no value; attributes are NAME=VALUE with ; between them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_keys_and_slots() {
        for good in [
            "pkcs11:slot-id=0;object=device%20id?pin-value=1234",
            "pkcs11:token=My%20Token;object=k",
            "pkcs11:serial=ab;id=%01%ff;type=private?pin-source=file:/run/pin",
        ] {
            assert_eq!(problem(good, Names::Key), None, "{good}");
        }
        assert_eq!(problem("pkcs11:slot-id=0?pin-value=1", Names::Token), None);
    }

    #[test]
    fn mistakes_are_named() {
        for (uri, expected) in [
            ("pkcs11:object=k", "names no token"),
            ("pkcs11:token=a", "names no key"),
            (
                "pkcs11:token=a;object=k;pin-value=1",
                "behind a question mark",
            ),
            ("pkcs11:tokn=a;object=k", "\"tokn\" is not an attribute"),
            ("pkcs11:token=a;token=b;object=k", "token twice"),
            ("pkcs11:slot-id=x;object=k", "slot-id is not a number"),
            ("pkcs11:token=a,object=k", "names no key"),
            ("pkcs11:token;object=k", "has no value"),
            ("pkcs11:token=%ff;object=k", "token is not UTF-8"),
            ("pkcs11:token=a;object=k?pin-value", "no value"),
        ] {
            let found = problem(uri, Names::Key).unwrap_or_default();
            assert!(found.contains(expected), "{uri}: {found}");
        }
        let slot = problem("pkcs11:token=a;object=k", Names::Token).unwrap_or_default();
        assert!(slot.contains("remove object"), "{slot}");
    }
}
