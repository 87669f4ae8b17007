//! What the role is told: where keys are that it did not make, and where it makes new ones.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{KeyId, TpmAccess};

/// A PIN, a key or a password in settings. It is wiped when it is dropped, and never printed.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct HiddenText(Zeroizing<String>);

impl HiddenText {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for HiddenText {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<HiddenText> for String {
    fn from(hidden: HiddenText) -> Self {
        hidden.reveal().to_owned()
    }
}

impl fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenText(redacted)")
    }
}

/// Where a key is that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Source {
    /// A private key in PEM or DER, one that only the TPM can load, or the bytes of a symmetric
    /// key.
    File(PathBuf),
    /// A symmetric key in base64.
    Inline(HiddenText),
    /// A key in a PKCS#11 token.
    Token {
        library: PathBuf,
        /// `pkcs11:token=…;object=…?pin-value=…`.
        uri: HiddenText,
    },
    /// A persistent object of the TPM.
    Tpm(u32),
}

/// The token in which the role makes keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKeys {
    pub library: PathBuf,
    /// `pkcs11:token=…?pin-value=…`.
    pub slot: HiddenText,
}

/// What an applied configuration says about keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    pub sources: BTreeMap<KeyId, Source>,
    /// `None`: in files.
    pub new_keys: Option<NewKeys>,
    pub tpm: TpmAccess,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_pass_as_json_and_show_no_secret() {
        let sources = BTreeMap::from([
            (KeyId::device(), Source::Tpm(0x8101_0001)),
            (
                KeyId::edge_ca(),
                Source::Token {
                    library: "/p.so".into(),
                    uri: HiddenText::new("pkcs11:token=a;object=b?pin-value=tulip".to_owned()),
                },
            ),
            (
                KeyId::local_ca(),
                Source::Inline(HiddenText::new("dHVsaXA=".to_owned())),
            ),
        ]);
        let settings = Settings {
            sources,
            new_keys: Some(NewKeys {
                library: "/p.so".into(),
                slot: HiddenText::new("pkcs11:token=a?pin-value=tulip".to_owned()),
            }),
            tpm: TpmAccess::default(),
        };
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
        let printed = format!("{settings:?}");
        assert!(
            !printed.contains("tulip") && !printed.contains("dHVsaXA"),
            "{printed}"
        );
    }
}
