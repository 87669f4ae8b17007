//! JSON that is sent as it was written.

use crate::service_client::CommandError;

/// Refuses whole numbers that would be sent as others.
pub fn require_exact(origin: &str, json: &str) -> Result<(), CommandError> {
    match wire::lenient::inexact_number(json.as_bytes()) {
        Some(number) => Err(CommandError::Usage(format!(
            "{origin}: the whole number {number} is beyond 64 bits; write it as a string, or with \
             an exponent"
        ))),
        None => Ok(()),
    }
}
