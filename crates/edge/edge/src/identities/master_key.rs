//! The keys of a device's modules, derived from one secret that never leaves the device.

use std::fs;
use std::io;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::fill;
use ids::{GenerationId, ModuleId};
use wire::sas::SharedAccessKey;
use wire::service_api::identity::KeyText;
use zeroize::Zeroizing;

use crate::files::durable::{self, DurableError};

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("the device's master key cannot be kept")]
    File(#[from] DurableError),
    #[error("{0} is damaged: it has to hold 32 bytes; remove it to get new module keys")]
    Damaged(String),
    #[error("no random numbers can be had")]
    Random,
}

/// The secret of 32 bytes from which module keys are derived, in a file of mode 0600.
pub struct MasterKey {
    secret: SharedAccessKey,
    id: String,
}

impl MasterKey {
    /// Reads the key at `path`, or makes a new one there.
    pub fn load_or_make(path: &Path) -> Result<Self, KeysError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = Zeroizing::new(vec![0; 32]);
                fill(&mut bytes).map_err(|_| KeysError::Random)?;
                durable::write(path, &bytes)?;
                bytes
            }
            Err(source) => {
                return Err(DurableError::Io {
                    what: "read",
                    path: path.to_owned(),
                    source,
                }
                .into());
            }
        };
        let damaged = || KeysError::Damaged(path.display().to_string());
        if bytes.len() != 32 {
            return Err(damaged());
        }
        // Enough to recognise another key, and far too little to guess it.
        let hash = digest(&SHA256, &bytes);
        let id = hash
            .as_ref()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let secret = SharedAccessKey::from_bytes(bytes.to_vec()).map_err(|_| damaged())?;
        Ok(Self { secret, id })
    }

    /// A digest that differs between master keys.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Signs with a module's primary key.
    #[must_use]
    pub fn sign(
        &self,
        module: &ModuleId,
        generation: &GenerationId,
        data: &[u8],
    ) -> Option<[u8; 32]> {
        Some(self.module_key(module, generation, "primary")?.sign(data))
    }

    /// A key of a module, derived as Azure's identity service does: HMAC-SHA256 of
    /// `{module}:{generation}:{slot}`.
    #[must_use]
    pub fn module_key(
        &self,
        module: &ModuleId,
        generation: &GenerationId,
        slot: &str,
    ) -> Option<SharedAccessKey> {
        let derived = self
            .secret
            .sign(format!("{module}:{generation}:{slot}").as_bytes());
        SharedAccessKey::from_bytes(derived.to_vec()).ok()
    }

    /// The primary and secondary key of a module, as the hub gets them.
    #[must_use]
    pub fn key_texts(
        &self,
        module: &ModuleId,
        generation: &GenerationId,
    ) -> Option<(KeyText, KeyText)> {
        let text =
            |slot| KeyText::parse(&self.module_key(module, generation, slot)?.to_base64()).ok();
        Some((text("primary")?, text("secondary")?))
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({}, redacted)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_the_same_and_differ_by_module_life_and_slot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master-key");
        let first = MasterKey::load_or_make(&path).unwrap();
        let again = MasterKey::load_or_make(&path).unwrap();
        assert_eq!(first.id(), again.id());
        let module = |name| ModuleId::parse(name).unwrap();
        let sign = |key: &MasterKey, name, generation| {
            key.sign(&module(name), &GenerationId::from_number(generation), b"x")
        };
        assert_eq!(sign(&first, "a", 1), sign(&again, "a", 1));
        assert_ne!(sign(&first, "a", 1), sign(&first, "b", 1));
        assert_ne!(sign(&first, "a", 1), sign(&first, "a", 2));
        let (primary, secondary) = first
            .key_texts(&module("a"), &GenerationId::from_number(1))
            .unwrap();
        assert_ne!(primary, secondary);
        fs::write(&path, "short").unwrap();
        assert!(matches!(
            MasterKey::load_or_make(&path),
            Err(KeysError::Damaged(_))
        ));
    }
}
