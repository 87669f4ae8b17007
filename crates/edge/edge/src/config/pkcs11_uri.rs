//! The syntax of PKCS#11 URIs, without a look at any token.

use pkcs11::{SlotUri, TokenUri};

/// What a URI has to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// A token and a key in it.
    Key,
    /// A token only, where keys are made.
    Token,
}

/// What is wrong with a URI, and how to correct it. A PIN is not shown.
pub(super) fn problem(uri: &str, names: Names) -> Option<String> {
    let path = uri.split('?').next().unwrap_or_default();
    if let Some(name) = ["pin-value", "pin-source"]
        .into_iter()
        .find(|name| path.contains(&format!(";{name}=")))
    {
        return Some(format!(
            "the PKCS#11 URI cannot be used: {name} stands behind a question mark: …?{name}=…"
        ));
    }
    let error = match names {
        Names::Key => TokenUri::with_pin(uri).err(),
        Names::Token => SlotUri::with_pin(uri).err(),
    };
    error.map(|error| error.to_string())
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
    fn mistakes_are_named_and_no_pin_is_shown() {
        for (uri, expected) in [
            ("pkcs11:object=k", "names no token"),
            ("pkcs11:token=a", "names no key"),
            (
                "pkcs11:token=a;object=k;pin-value=4711",
                "behind a question mark",
            ),
            ("pkcs11:tokn=a;object=k", "\"tokn\" is not known"),
            ("pkcs11:token=a;token=b;object=k", "token twice"),
            ("pkcs11:slot-id=x;object=k", "not a number"),
            ("pkcs11:token=a,object=k?pin-value=4711", "names no key"),
            ("pkcs11:token;object=k", "has no value"),
            ("pkcs11:token=%ff;object=k", "token is not UTF-8"),
            ("pkcs11:token=a;object=k?pin=4711", "\"pin\" is not known"),
        ] {
            let found = problem(uri, Names::Key).unwrap_or_default();
            assert!(found.contains(expected), "{uri}: {found}");
            assert!(!found.contains("4711"), "{found}");
        }
    }
}
