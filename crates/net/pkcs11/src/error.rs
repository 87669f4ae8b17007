use std::fmt;
use std::path::PathBuf;

/// A token and what was looked for in it, as errors name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLocation {
    /// The file of the library.
    pub library: PathBuf,
    /// The number of the slot.
    pub slot: u64,
    /// The label of the token.
    pub token: String,
    /// The URI of the key, or of the token where keys are made.
    pub uri: String,
}

impl fmt::Display for KeyLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = self.library.display();
        write!(
            f,
            "the token {:?} in slot {} of {library}",
            self.token, self.slot
        )
    }
}

/// Why a key in a token is not used. Its text never has the PIN.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// Code is loaded only from files that the operator of the machine named.
    #[error(
        "{} is not a PKCS#11 library that this server may load; the operator of the machine names \
         it with: muster serve --pkcs11-library {}", .library.display(), .library.display()
    )]
    NotAllowed {
        /// What was asked for.
        library: PathBuf,
    },
    /// Every fault of the URI, in words.
    #[error("the PKCS#11 URI cannot be used: {0}")]
    Uri(String),
    /// It is no library, or does not start.
    #[error("the PKCS#11 library {} cannot be used: {problem}", .library.display())]
    Library {
        /// Its file.
        library: PathBuf,
        /// The function and its return code, or the loader's words.
        problem: String,
    },
    /// No token in a slot of the library fits the URI.
    #[error(
        "{} has no token of {uri}; it has {}; insert the token, or correct the URI",
        .library.display(), list(.present)
    )]
    NoToken {
        /// The file of the library.
        library: PathBuf,
        /// What was looked for.
        uri: String,
        /// The labels of the tokens that are there.
        present: Vec<String>,
    },
    /// No key or several, where one is wanted.
    #[error("{at} has {count} keys of {}; one is wanted", .at.uri)]
    Keys {
        /// Where they were looked for.
        at: Box<KeyLocation>,
        /// How many there are.
        count: usize,
    },
    /// Not tried again: a token counts wrong PINs and locks itself.
    #[error(
        "{at} refuses the PIN: {problem}; it is not tried again until this program starts anew"
    )]
    Pin {
        /// The token.
        at: Box<KeyLocation>,
        /// The function and its return code.
        problem: String,
    },
    /// A call that the token did not carry out.
    #[error("{at} does not {action} with {}: {problem}", .at.uri)]
    Call {
        /// The token.
        at: Box<KeyLocation>,
        /// What was wanted, with the mechanism: `sign by CKM_ECDSA`.
        action: String,
        /// The function and its return code.
        problem: String,
    },
    /// A key that nothing here signs with.
    #[error("the key of {uri} is {found}; P-256, P-384, P-521 or RSA is wanted")]
    KeyKind {
        /// The key.
        uri: String,
        /// What it is instead.
        found: String,
    },
    /// A call is still running, or waits for one that is.
    #[error(
        "{} has not answered for {} seconds; the token may be gone", .library.display(), .seconds
    )]
    NoAnswer {
        /// Its file.
        library: PathBuf,
        /// How long the caller waited.
        seconds: u64,
    },
}

fn list(labels: &[String]) -> String {
    match labels {
        [] => "none at all".to_owned(),
        labels => format!("tokens labelled {}", labels.join(", ")),
    }
}
