//! What a configuration says about keys, for the role that holds them.

use std::collections::BTreeMap;

use keys::{HiddenText, KeyId, NewKeys, Settings, Source, TpmAccess};

use crate::config::{Config, KeyLocation, Secret, SymmetricKey};

/// The settings of the role. A key that the device makes itself is not named in them.
pub fn key_settings(config: &Config) -> Settings {
    let mut sources = BTreeMap::new();
    for (id, location) in config.private_keys() {
        let source = source(config, location);
        // The configuration has checked the ids.
        if let (Ok(id), Some(source)) = (KeyId::parse(&id), source) {
            sources.insert(id, source);
        }
    }
    let symmetric = config.source.symmetric_key();
    if let Some(source) = symmetric.and_then(|key| secret_source(config, key)) {
        sources.insert(KeyId::device(), source);
    }
    if let Some(file) = &config.imported_master_key {
        sources.insert(KeyId::encryption(), Source::File(file.path.clone()));
    }
    let new_keys = config.pkcs11.as_ref().and_then(|library| {
        Some(NewKeys {
            library: library.path.clone(),
            slot: hidden(&library.base_slot.as_ref()?.uri),
        })
    });
    Settings {
        sources,
        new_keys,
        tpm: tpm_access(config),
    }
}

fn tpm_access(config: &Config) -> TpmAccess {
    let section = config.tpm.as_ref();
    let settings = section.map_or_else(tpm::TpmSettings::default, |tpm| tpm.settings.clone());
    let text = |value: &tpm::Authorization| {
        HiddenText::new(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    TpmAccess {
        tcti: settings.tcti.to_string(),
        owner: text(&settings.owner),
        endorsement: text(&settings.endorsement),
    }
}

fn hidden(secret: &Secret) -> HiddenText {
    HiddenText::new(secret.reveal().to_owned())
}

fn source(config: &Config, location: &KeyLocation) -> Option<Source> {
    match location {
        KeyLocation::File(file) => Some(Source::File(file.path.clone())),
        KeyLocation::Pkcs11(token) => token_source(config, &token.uri),
        KeyLocation::Tpm(object) => Some(Source::Tpm(object.handle)),
        KeyLocation::Held => None,
    }
}

fn secret_source(config: &Config, key: &SymmetricKey) -> Option<Source> {
    match key {
        SymmetricKey::Inline(inline) => {
            let text = inline.key.to_base64().to_string();
            Some(Source::Inline(HiddenText::new(text)))
        }
        SymmetricKey::File(file) => Some(Source::File(file.path.clone())),
        SymmetricKey::Pkcs11(token) => token_source(config, &token.uri),
    }
}

/// A token without a library is refused when the configuration is read.
fn token_source(config: &Config, uri: &Secret) -> Option<Source> {
    Some(Source::Token {
        library: config.pkcs11.as_ref()?.path.clone(),
        uri: hidden(uri),
    })
}
