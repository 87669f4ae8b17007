//! Whether the keys of the configuration are there and sign: where each is, and what a token or a
//! TPM answered when it does not.

use std::sync::Arc;

use edge::config::{Config, KeyLocation};
use edge::daemon::key_settings;
use keys::{Client, KeyError, KeyId, KeyStore, Keys};
use pki::SignatureScheme;

use super::local::{Examination, skipped};
use super::result::Outcome;
use crate::Device;

/// Asks the process that holds the keys. While the daemon does not run, this program opens them.
pub async fn sign(device: &Device, examined: &Examination) -> Outcome {
    let Ok(applied) = examined else {
        return skipped();
    };
    let config = applied.config.clone();
    let client = Client::at(&device.paths.keys_socket());
    let signed = tokio::task::spawn_blocking(move || {
        let role: Arc<dyn KeyStore> = match client.token() {
            Err(KeyError::NoRole(_)) => Arc::new(Keys::without_folder(key_settings(&config))),
            _ => Arc::new(client),
        };
        sign_with_all(&config, &*role)
    });
    match signed.await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Error(error.to_string()),
    }
}

fn sign_with_all(config: &Config, keys: &dyn KeyStore) -> Outcome {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (id, location) in config.private_keys() {
        // A key that the device makes is there when it is first needed.
        if *location == KeyLocation::Held {
            continue;
        }
        match sign_once(&id, keys) {
            Ok(place) => good.push(format!("{id}: {place}")),
            Err(error) => bad.push(format!("{id}: {error}")),
        }
    }
    match bad.is_empty() {
        true => Outcome::Ok((!good.is_empty()).then(|| good.join("\n"))),
        false => Outcome::Error(bad.join("\n")),
    }
}

fn sign_once(id: &str, keys: &dyn KeyStore) -> Result<String, KeyError> {
    let id = KeyId::parse(id)?;
    let pair = match keys.pair(&id) {
        // A preloaded key may be a symmetric one.
        Err(error) => {
            return match keys.secret(&id) {
                Ok(_) => Ok("a symmetric key".to_owned()),
                Err(_) => Err(error),
            };
        }
        Ok(pair) => pair,
    };
    let scheme = SignatureScheme::of_key(pair.signer.public_key().kind()).first();
    let Some(scheme) = scheme else {
        return Ok(pair.place);
    };
    let signed = pair.signer.sign(*scheme, b"iotedge check");
    match signed {
        Ok(_) => Ok(pair.place),
        Err(error) => Err(KeyError::Unavailable(error.to_string())),
    }
}
