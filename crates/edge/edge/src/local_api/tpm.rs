//! The TPM service: the keys of the TPM, and what the key of the provisioning service signs.

use hyper::{Method, StatusCode};
use ids::error_chain;
use tpm::{Tpm, TpmError};
use wire::binary::Base64Bytes;
use wire::edge_api::tpm::{
    ImportAuthKeyRequest, SignWithAuthKeyRequest, SignWithAuthKeyResponse, TpmKeysResponse,
};

use super::http::{LocalRequest, Refusal, Reply};

/// Answers a request. A call to the TPM blocks a thread of its own.
pub(crate) async fn answer(tpm: Tpm, request: LocalRequest) -> Result<Reply, Refusal> {
    let call = Call::read(&request)?;
    let called = tokio::task::spawn_blocking(move || call.run(&tpm)).await;
    match called {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => {
            let message = error_chain(&error);
            tracing::warn!(error = %message, "the TPM did not do what a local client asked for");
            Err(Refusal::new(status(&error), message))
        }
        Err(_) => Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the call to the TPM did not end",
        )),
    }
}

enum Call {
    Keys,
    Import(Base64Bytes),
    Sign(Base64Bytes),
}

impl Call {
    fn read(request: &LocalRequest) -> Result<Self, Refusal> {
        let segments = request.path.segments();
        let expected = match segments[..] {
            ["get_tpm_keys"] => Method::GET,
            ["import_auth_key" | "sign_with_auth_key"] => Method::POST,
            _ => return Err(Refusal::not_found()),
        };
        if request.method != expected {
            let message = format!("the method has to be {expected}");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        }
        match segments[..] {
            ["import_auth_key"] => {
                let body: ImportAuthKeyRequest = request.json()?;
                Ok(Self::Import(body.key))
            }
            ["sign_with_auth_key"] => {
                let body: SignWithAuthKeyRequest = request.json()?;
                Ok(Self::Sign(body.data))
            }
            _ => Ok(Self::Keys),
        }
    }

    fn run(self, tpm: &Tpm) -> Result<Reply, TpmError> {
        match self {
            Self::Keys => {
                let keys = tpm.public_keys()?;
                Ok(Reply::json(&TpmKeysResponse {
                    endorsement_key: keys.endorsement.into(),
                    storage_root_key: keys.storage_root.into(),
                }))
            }
            Self::Import(blob) => {
                let key = tpm.import(blob.as_bytes())?;
                tpm.persist(&key)?;
                Ok(Reply::Json(serde_json::json!({})))
            }
            Self::Sign(data) => {
                let digest = tpm.sign_with_persistent(data.as_bytes())?;
                Ok(Reply::json(&SignWithAuthKeyResponse {
                    digest: digest.to_vec().into(),
                }))
            }
        }
    }
}

/// What the client sent is wrong, or the TPM is.
fn status(error: &TpmError) -> StatusCode {
    match error {
        TpmError::Blob(_) | TpmError::KeyGone(_) => StatusCode::BAD_REQUEST,
        error if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
