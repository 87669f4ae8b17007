//! How a device proves itself to a provisioning service.

use std::sync::Arc;

use ids::Timestamp;
use tokio::time::Instant;
use wire::device_api::register_request::{RegisterRequest, TpmRequest};
use wire::device_api::registration::{OperationStatus, TpmChallengeKey};
use wire::sas::{Draft, REGISTRATION_POLICY};

use super::{ProvisionError, Provisioning, begin, read};
use crate::tpm::call;
use crate::{Credential, HttpsClient, Tpm, TpmFault, TpmKey};

/// How a device proves itself to a provisioning service.
#[derive(Debug, Clone)]
pub enum Attestation {
    /// A client certificate, or a token for `{scope}/registrations/{id}`.
    Credential(Credential),
    /// The TPM signs a token with the key of a challenge. The token is good until `token_expiry`.
    Tpm {
        tpm: Arc<dyn Tpm>,
        token_expiry: Timestamp,
    },
}

impl From<Credential> for Attestation {
    fn from(credential: Credential) -> Self {
        Self::Credential(credential)
    }
}

/// A client that proves the device, and the body with which it does. With a TPM, a first request
/// gets the challenge.
pub(super) async fn prove(
    how: &Provisioning,
    mut body: RegisterRequest,
    target: &str,
    end: Instant,
) -> Result<(HttpsClient, RegisterRequest), ProvisionError> {
    let client =
        |credential: &Credential| HttpsClient::new(how.endpoint.clone(), &how.trust, credential);
    match &how.attestation {
        Attestation::Credential(credential) => Ok((client(credential), body)),
        Attestation::Tpm { tpm, token_expiry } => {
            let keys = call(tpm, |tpm| tpm.public_keys()).await?;
            body.tpm = Some(TpmRequest {
                endorsement_key: keys.endorsement.into(),
                storage_root_key: keys.storage_root.into(),
            });
            let blob = challenge(how, &body, target, end).await?;
            let key = call(tpm, move |tpm| tpm.import(&blob)).await?;
            let token = token(how, tpm, key, *token_expiry).await?;
            Ok((client(&Credential::Token(token)), body))
        }
    }
}

/// Asks without a credential: the service refuses with a key that only the TPM can unwrap.
async fn challenge(
    how: &Provisioning,
    body: &RegisterRequest,
    target: &str,
    end: Instant,
) -> Result<Vec<u8>, ProvisionError> {
    let anonymous = HttpsClient::without_credential(how.endpoint.clone(), &how.trust);
    let answer = begin(&anonymous, target, body, end).await?;
    if answer.status == 401
        && let Ok(challenge) = serde_json::from_slice::<TpmChallengeKey>(&answer.body)
    {
        return Ok(challenge.authentication_key.as_bytes().to_vec());
    }
    // A refusal of another kind says why.
    read(&answer)?;
    Err(ProvisionError::Answer {
        status: answer.status,
        problem: "a device with a TPM has to be challenged first".to_owned(),
    })
}

/// A token for the provisioning service, signed inside the TPM.
async fn token(
    how: &Provisioning,
    tpm: &Arc<dyn Tpm>,
    key: TpmKey,
    expiry: Timestamp,
) -> Result<String, TpmFault> {
    let Provisioning {
        id_scope,
        registration_id,
        ..
    } = how;
    let resource = format!("{id_scope}/registrations/{registration_id}").to_lowercase();
    let draft = Draft::new(&resource, Some(REGISTRATION_POLICY), expiry);
    let to_sign = draft.to_sign();
    let digest = call(tpm, move |tpm| tpm.sign(&key, &to_sign)).await?;
    Ok(draft.finish(&digest))
}

/// The key for the hub, as the service wrapped it.
pub(super) fn wrapped_key(operation: &OperationStatus) -> Option<Vec<u8>> {
    let state = operation.registration_state.as_ref()?;
    let tpm = state.detail.tpm.as_ref()?;
    Some(tpm.authentication_key.as_bytes().to_vec())
}

/// Has the TPM take over the key for the hub. `None` for a device that proved itself otherwise.
pub(super) async fn take_key(
    how: &Provisioning,
    blob: Option<Vec<u8>>,
) -> Result<Option<TpmKey>, ProvisionError> {
    let Attestation::Tpm { tpm, .. } = &how.attestation else {
        return Ok(None);
    };
    let blob = blob.ok_or_else(|| ProvisionError::Answer {
        status: 200,
        problem: "it is assigned and gives no key for the TPM".to_owned(),
    })?;
    Ok(Some(call(tpm, move |tpm| tpm.import(&blob)).await?))
}
