//! What modules encrypt and decrypt with a key of the device.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use ids::{GenerationId, ModuleId};
use wire::edge_api::local::{DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse};

use super::{Refusal, Reply, Workload, decoded, unavailable};
use crate::identities::master_key::ModuleData;

impl Workload {
    pub(super) async fn encrypt(
        &self,
        module: &ModuleId,
        generation: &str,
        request: &EncryptRequest,
    ) -> Result<Reply, Refusal> {
        let data = ModuleData {
            module: module.clone(),
            generation: self.current(module, generation)?,
            vector: decoded("initializationVector", &request.initialization_vector)?.to_vec(),
            bytes: decoded("plaintext", &request.plaintext)?,
        };
        let encrypted = self.master.encrypt(data).await.map_err(unavailable)?;
        Ok(Reply::json(&EncryptResponse {
            ciphertext: STANDARD.encode(encrypted),
        }))
    }

    pub(super) async fn decrypt(
        &self,
        module: &ModuleId,
        generation: &str,
        request: &DecryptRequest,
    ) -> Result<Reply, Refusal> {
        let data = ModuleData {
            module: module.clone(),
            generation: self.current(module, generation)?,
            vector: decoded("initializationVector", &request.initialization_vector)?.to_vec(),
            bytes: decoded("ciphertext", &request.ciphertext)?,
        };
        let decrypted = self.master.decrypt(data).await.map_err(unavailable)?;
        Ok(Reply::json(&DecryptResponse {
            plaintext: STANDARD.encode(&*decrypted),
        }))
    }
    /// The generation of a module, which the caller has to name.
    fn current(&self, module: &ModuleId, named: &str) -> Result<GenerationId, Refusal> {
        let generation = self.generation_of(module)?;
        match generation.to_string() == named {
            true => Ok(generation),
            false => Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("{named:?} is not the generation of module {module}"),
            )),
        }
    }
}
