use std::fmt;
use std::path::PathBuf;

use super::TokenUri;

/// A key in a token, as errors name it.
#[derive(Debug, Clone)]
pub struct KeyLocation {
    /// The file of the library.
    pub library: PathBuf,
    /// The number of the slot.
    pub slot: u64,
    /// The label of the token.
    pub token: String,
    /// The key that was looked for.
    pub uri: TokenUri,
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
    #[error(
        "{} is not a PKCS#11 library that this server may load; the operator of the machine names \
         it with: muster serve --pkcs11-library {}", .library.display(), .library.display()
    )]
    NotAllowed { library: PathBuf },
    /// Every fault of the URI, in words.
    #[error("the PKCS#11 URI cannot be used: {0}")]
    Uri(String),
    #[error("the PKCS#11 library {} cannot be used: {problem}", .library.display())]
    Library { library: PathBuf, problem: String },
    #[error(
        "{} has no token of {uri}; it has {}; insert the token, or correct the URI",
        .library.display(), list(.present)
    )]
    NoToken {
        library: PathBuf,
        uri: String,
        present: Vec<String>,
    },
    #[error("{at} has {count} private keys of {}; one is wanted", .at.uri)]
    Keys { at: Box<KeyLocation>, count: usize },
    /// Not tried again: a token counts wrong PINs and locks itself.
    #[error("{at} refuses the PIN: {problem}; it is not tried again until the server starts anew")]
    Pin {
        at: Box<KeyLocation>,
        problem: String,
    },
    /// A call that the token did not carry out.
    #[error("{at} does not {action} with {}: {problem}", .at.uri)]
    Call {
        at: Box<KeyLocation>,
        /// What was wanted, with the mechanism: `sign by CKM_ECDSA`.
        action: String,
        /// The function and its return code.
        problem: String,
    },
    #[error("the key of {uri} is {found}; P-256, P-384, P-521 or RSA is wanted")]
    KeyKind { uri: String, found: String },
    #[error(
        "{} has not answered for {} seconds; the token may be gone", .library.display(), .seconds
    )]
    NoAnswer { library: PathBuf, seconds: u64 },
}

fn list(labels: &[String]) -> String {
    match labels {
        [] => "none at all".to_owned(),
        labels => format!("tokens labelled {}", labels.join(", ")),
    }
}
