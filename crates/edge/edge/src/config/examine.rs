//! The files that a configuration names: whether they exist, can be read, are private, and fit
//! together; and the keys that it names, wherever they are.

mod chain;
mod files;
mod identity;
mod issuers;

use ids::{RegistrationId, Timestamp};
use keys::{KeyStore, Keys};
use pki::Certificate;
use serde_json::Value;

use super::{Config, Fault};
use crate::daemon::key_settings;
use crate::provision::RoleKey;

/// The device's certificate chain and key, complete and consistent. Only [`examine`] makes one.
#[derive(Debug, Clone)]
pub struct Credential {
    pub identity: device::Identity,
    /// `None` when the device does not register.
    pub registration_id: Option<RegistrationId>,
    /// SHA-256 of the public key in hexadecimal, to recognise another key.
    pub key_digest: String,
    /// The end of the leaf's validity.
    pub not_after: Timestamp,
}

/// What the files of a configuration hold.
#[derive(Debug, Clone, Default)]
pub struct Examined {
    /// In the order of the checks.
    pub faults: Vec<Fault>,
    /// `None` when certificate or key are not in files, or one of the files has an error.
    pub credential: Option<Credential>,
    /// The symmetric key, wherever it is.
    pub symmetric_key: Option<RoleKey>,
    pub roots: Vec<Certificate>,
    /// The JSON of `payload.uri`.
    pub payload: Option<Value>,
}

/// Reads every file that `config` names, and opens its keys in this process: for tools. Without a
/// time that can be believed, no certificate is called expired.
#[must_use]
pub fn examine(config: &Config, now: Option<Timestamp>) -> Examined {
    let keys = Keys::without_folder(key_settings(config));
    examine_with(config, &keys, now)
}

/// As [`examine`], with keys that another process holds. Blocks as long as they do.
#[must_use]
pub fn examine_with(config: &Config, keys: &dyn KeyStore, now: Option<Timestamp>) -> Examined {
    let mut examiner = Examiner::at(now, keys);
    let found = examiner.access(config);
    examiner.edge_ca(&config.edge_ca);
    examiner.issuers(config);
    examiner.preloaded(config);
    examiner.imported_key(config);
    if let Some(file) = &config.additional_info {
        examiner.additional_info(file);
    }
    Examined {
        faults: examiner.faults,
        ..found
    }
}

/// Reads the files that the device registers and connects with. Faults of others, such as a
/// bootstrap certificate that has done its service, do not keep it from the hub.
#[must_use]
pub fn examine_access(config: &Config, keys: &dyn KeyStore, now: Option<Timestamp>) -> Examined {
    let mut examiner = Examiner::at(now, keys);
    let found = examiner.access(config);
    Examined {
        faults: examiner.faults,
        ..found
    }
}

/// Collects the faults of files and keys.
struct Examiner<'a> {
    now: Option<Timestamp>,
    keys: &'a dyn KeyStore,
    faults: Vec<Fault>,
}

impl<'a> Examiner<'a> {
    fn at(now: Option<Timestamp>, keys: &'a dyn KeyStore) -> Self {
        Self {
            now,
            keys,
            faults: Vec::new(),
        }
    }

    /// Without its faults.
    fn access(&mut self, config: &Config) -> Examined {
        let roots = config.trust_bundle.as_ref();
        let roots = roots.and_then(|file| self.certificates(file));
        let payload = config.source.payload();
        let payload = payload.and_then(|file| self.payload(file));
        Examined {
            faults: Vec::new(),
            credential: self.identity(&config.source),
            symmetric_key: self.symmetric_key(&config.source),
            roots: roots.unwrap_or_default(),
            payload,
        }
    }
}

#[cfg(test)]
mod tests;
