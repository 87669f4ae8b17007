//! JSON that is sent as it was written.

use crate::operator::OperatorError;

/// Refuses whole numbers that would be sent as others.
pub fn require_exact(origin: &str, json: &str) -> Result<(), OperatorError> {
    match wire::lenient::inexact_number(json.as_bytes()) {
        Some(number) => Err(OperatorError::Usage(format!(
            "{origin}: the whole number {number} is beyond 64 bits; write it as a string, or with \
             an exponent"
        ))),
        None => Ok(()),
    }
}
