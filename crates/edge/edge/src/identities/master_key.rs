//! The keys of a device's modules, derived by the role that holds the device's keys from one that
//! never leaves it.

use std::sync::Arc;

use ids::{GenerationId, ModuleId};
use keys::{KeyError, KeyId, KeyStore, SecretKey};
use tokio::task::spawn_blocking;
use wire::sas::SharedAccessKey;
use wire::service_api::identity::KeyText;
use zeroize::Zeroizing;

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A bug: a derived key always has the same length.
    #[error("the derived key cannot be used")]
    Derived,
}

/// What the keys of modules are derived from, and what encrypts for them.
#[derive(Debug, Clone)]
pub struct MasterKey {
    master: Arc<dyn SecretKey>,
    encryption: Arc<dyn SecretKey>,
}

impl MasterKey {
    /// Opens the keys, or makes them. Blocks.
    pub fn open(keys: &dyn KeyStore) -> Result<Self, KeyError> {
        Ok(Self {
            master: keys.make_secret(&KeyId::master())?,
            encryption: keys.make_secret(&KeyId::encryption())?,
        })
    }

    /// A text that differs between master keys.
    #[must_use]
    pub fn id(&self) -> &str {
        self.master.fingerprint()
    }

    /// Signs with a module's primary key.
    pub async fn sign(
        &self,
        module: &ModuleId,
        generation: &GenerationId,
        data: Vec<u8>,
    ) -> Result<[u8; 32], KeyError> {
        let key = self.master.clone();
        let derivation = derivation(module, generation, "primary");
        on_thread(move || key.derived_hmac(derivation.as_bytes(), &data)).await
    }

    /// A key of a module.
    pub async fn module_key(
        &self,
        module: &ModuleId,
        generation: &GenerationId,
        slot: &str,
    ) -> Result<SharedAccessKey, KeysError> {
        let key = self.master.clone();
        let derivation = derivation(module, generation, slot);
        let derived = on_thread(move || key.export(derivation.as_bytes())).await?;
        SharedAccessKey::from_bytes(derived.to_vec()).map_err(|_| KeysError::Derived)
    }

    /// The primary and secondary key of a module, as the hub gets them.
    pub async fn key_texts(
        &self,
        module: &ModuleId,
        generation: &GenerationId,
    ) -> Result<(KeyText, KeyText), KeysError> {
        let primary = self.module_key(module, generation, "primary").await?;
        let secondary = self.module_key(module, generation, "secondary").await?;
        let text = |key: &SharedAccessKey| {
            KeyText::parse(&key.to_base64()).map_err(|_| KeysError::Derived)
        };
        Ok((text(&primary)?, text(&secondary)?))
    }

    /// Encrypts for a module.
    pub async fn encrypt(&self, data: ModuleData) -> Result<Vec<u8>, KeyError> {
        let key = self.encryption.clone();
        on_thread(move || key.encrypt(&data.vector, &data.binding(), &data.bytes)).await
    }

    /// Decrypts what was encrypted for a module.
    pub async fn decrypt(&self, data: ModuleData) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let key = self.encryption.clone();
        let binding = match keys::is_azures_ciphertext(&data.bytes) {
            true => data.azures_binding(),
            false => data.binding(),
        };
        on_thread(move || key.decrypt(&data.vector, &binding, &data.bytes)).await
    }
}

/// What a module encrypts or decrypts.
pub struct ModuleData {
    /// Its data is bound to it.
    pub module: ModuleId,
    pub generation: GenerationId,
    pub vector: Vec<u8>,
    pub bytes: Zeroizing<Vec<u8>>,
}

impl ModuleData {
    /// The length of the id keeps `temp` with generation `sensor1` and `tempsensor` with generation
    /// `1` apart.
    fn binding(&self) -> Vec<u8> {
        let (module, generation) = (self.module.as_str(), &self.generation);
        format!("{}:{module}:{generation}", module.len()).into_bytes()
    }

    /// What Azure's daemon bound the data of a module to.
    fn azures_binding(&self) -> Vec<u8> {
        format!("{}{}", self.module, self.generation).into_bytes()
    }
}

/// As Azure's identity service derives keys: by HMAC-SHA256 of `{module}:{generation}:{slot}`.
fn derivation(module: &ModuleId, generation: &GenerationId, slot: &str) -> String {
    format!("{module}:{generation}:{slot}")
}

/// Calls to the role block.
async fn on_thread<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, KeyError> + Send + 'static,
) -> Result<T, KeyError> {
    let ended = spawn_blocking(call).await;
    ended.unwrap_or_else(|error| Err(KeyError::NoRole(error.to_string())))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    use keys::{Keys, Settings};

    use super::*;

    /// A master key in a folder.
    pub(crate) fn master_in(folder: &Path) -> Arc<MasterKey> {
        let keys = Keys::in_folder(folder, Settings::default()).unwrap();
        Arc::new(MasterKey::open(&keys).unwrap())
    }

    #[tokio::test]
    async fn keys_stay_the_same_and_differ_by_module_life_and_slot() {
        let dir = tempfile::tempdir().unwrap();
        let (first, again) = (master_in(dir.path()), master_in(dir.path()));
        assert_eq!(first.id(), again.id());
        let module = |name| ModuleId::parse(name).unwrap();
        let sign = async |key: &MasterKey, name, generation| {
            let generation = GenerationId::from_number(generation);
            key.sign(&module(name), &generation, b"x".to_vec())
                .await
                .unwrap()
        };
        let signed = sign(&first, "a", 1).await;
        assert_eq!(signed, sign(&again, "a", 1).await);
        assert_ne!(signed, sign(&first, "b", 1).await);
        assert_ne!(signed, sign(&first, "a", 2).await);
        let generation = GenerationId::from_number(1);
        let texts = first.key_texts(&module("a"), &generation).await.unwrap();
        assert_ne!(texts.0, texts.1);
        let key = first.module_key(&module("a"), &generation, "primary").await;
        assert_eq!(key.unwrap().sign(b"x"), signed);
    }

    /// Module keys on hubs stay valid when a device gets this version: they are derived as before.
    #[tokio::test]
    async fn the_keys_of_an_earlier_versions_file_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("master-key");
        std::fs::write(&old, [5; 32]).unwrap();
        let folder = dir.path().join("keys");
        drop(Keys::in_folder(&folder, Settings::default()).unwrap());
        keys::adopt(&old, &folder, &KeyId::master()).unwrap();
        let master = master_in(&folder);
        let (module, generation) = (ModuleId::parse("a").unwrap(), GenerationId::from_number(3));
        let before = SharedAccessKey::from_bytes(vec![5; 32]).unwrap();
        let before = before.sign(format!("{module}:{generation}:primary").as_bytes());
        let derived = master.module_key(&module, &generation, "primary").await;
        let before = SharedAccessKey::from_bytes(before.to_vec()).unwrap();
        assert_eq!(*derived.unwrap().to_base64(), *before.to_base64());
        // The first 8 bytes of SHA-256, by which records of identities recognise the key.
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &[5; 32]);
        let first = digest.as_ref().iter().take(8);
        let id: String = first.map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(master.id(), id);
    }
    #[tokio::test]
    async fn what_azures_daemon_encrypted_for_a_module_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::in_folder(dir.path(), Settings::default()).unwrap();
        keys.import_secret(&KeyId::encryption(), &[9; 32]).unwrap();
        let master = MasterKey::open(&keys).unwrap();
        let cipher = UnboundKey::new(&AES_256_GCM, &[9; 32]).unwrap();
        let mut sealed = b"text".to_vec();
        let (nonce, aad) = (Nonce::assume_unique_for_key([1; 12]), Aad::from(b"a3"));
        let cipher = LessSafeKey::new(cipher);
        cipher
            .seal_in_place_append_tag(nonce, aad, &mut sealed)
            .unwrap();
        let data = ModuleData {
            module: ModuleId::parse("a").unwrap(),
            generation: GenerationId::from_number(3),
            vector: vec![1; 12],
            bytes: Zeroizing::new([&[2], sealed.as_slice()].concat()),
        };
        assert_eq!(master.decrypt(data).await.unwrap().as_slice(), b"text");
    }
}
