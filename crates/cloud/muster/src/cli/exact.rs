//! JSON that keeps its numbers.

use crate::service_client::CommandError;

/// Refuses whole numbers that would lose digits when they are sent.
pub fn require_exact(origin: &str, json: &str) -> Result<(), CommandError> {
    match wire::lenient::inexact_number(json.as_bytes()) {
        Some(number) => Err(CommandError::Usage(format!(
            "{origin}: the whole number {number} is beyond 64 bits; write it as a string, or with \
             an exponent"
        ))),
        None => Ok(()),
    }
}
