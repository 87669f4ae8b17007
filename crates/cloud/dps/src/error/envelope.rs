//! The body and headers of an error: Azure's envelope, on HTTPS.

use ids::Timestamp;
use rest::{Reply, RequestId};
use wire::device_api::registration::TpmChallenge;
use wire::error::ServiceError;
use wire::sas::REGISTRATION_POLICY;

use super::ServiceFault;

impl ServiceFault {
    /// The error as it is sent.
    pub fn reply(&self, request_id: &RequestId, now: Timestamp) -> Reply {
        let error = ServiceError::dps(self.code(), self.outside(), request_id.to_string(), now);
        let (status, code) = (error.http_status(), error.error_code.to_string());
        let reply = match self {
            // A TPM proves itself with what is in the body.
            Self::Challenged(challenge) => Reply::json(&TpmChallenge {
                error,
                authentication_key: challenge.sealed.as_bytes().to_vec().into(),
                key_name: REGISTRATION_POLICY,
            }),
            _ => Reply::json(&error),
        };
        let reply = reply.with_status(status).with(ServiceError::HEADER, &code);
        match self.retry_after() {
            Some(seconds) => reply.with("retry-after", &seconds.to_string()),
            None => reply,
        }
    }
}
