use serde_json::{Value, json};

use super::{PinnedCertificates, pinned_certificates};
use crate::lenient::{BodyError, Fields};

/// The body of a PATCH of an issuer: what may change of one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerUpdate {
    /// What becomes of pinned certificates from now on.
    pub pinned_certificates: PinnedCertificates,
}

impl IssuerUpdate {
    /// Reads the body. Members that never change are errors.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        const MEMBER: &str = "pinnedCertificates";
        let fields = Fields::of_body(body)?;
        let members = body.as_object().into_iter().flatten();
        for (name, _) in members {
            if !name.eq_ignore_ascii_case(MEMBER) {
                let problem = format!("does not change; {MEMBER} does");
                return Err(BodyError::new(name.as_str(), problem));
            }
        }
        let missing = || fields.error(MEMBER, "is missing");
        Ok(Self {
            pinned_certificates: pinned_certificates(&fields)?.ok_or_else(missing)?,
        })
    }

    /// The body that a client sends.
    #[must_use]
    pub fn to_body(self) -> Value {
        json!({"pinnedCertificates": self.pinned_certificates})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_changes_what_becomes_of_pinned_certificates_and_nothing_else() {
        for pinned_certificates in PinnedCertificates::ALL {
            let update = IssuerUpdate {
                pinned_certificates,
            };
            assert_eq!(IssuerUpdate::parse(&update.to_body()), Ok(update));
        }
        for (body, wanted) in [
            (json!({}), "'pinnedCertificates': is missing"),
            (
                json!({"pinnedCertificates": null}),
                "'pinnedCertificates': is missing",
            ),
            (
                json!({"pinnedCertificates": "keep", "validityDays": 3}),
                "'validityDays': does not change",
            ),
        ] {
            let problem = IssuerUpdate::parse(&body).unwrap_err().to_string();
            assert!(problem.starts_with(wanted), "{problem}");
        }
    }
}
