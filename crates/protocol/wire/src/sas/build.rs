use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::Timestamp;

use super::{SCHEME, SharedAccessKey, percent_encode};

/// A token without its signature, for signers that are asked over a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    resource: String,
    expiry: i64,
    policy: Option<String>,
}

impl Draft {
    /// A token for `resource` (not encoded, such as `hub/devices/d`) until `expiry`, rounded down
    /// to seconds; `policy` is the name of a shared access policy, absent when the key is a
    /// device's or module's own.
    #[must_use]
    pub fn new(resource: &str, policy: Option<&str>, expiry: Timestamp) -> Self {
        Self {
            resource: percent_encode(resource),
            expiry: expiry.unix_seconds(),
            policy: policy.map(str::to_owned),
        }
    }

    /// The bytes to compute the HMAC-SHA256 of.
    #[must_use]
    pub fn to_sign(&self) -> Vec<u8> {
        format!("{}\n{}", self.resource, self.expiry).into_bytes()
    }

    /// The token with its digest.
    #[must_use]
    pub fn finish(&self, digest: &[u8; 32]) -> String {
        let signature = percent_encode(&STANDARD.encode(digest));
        let Self {
            resource, expiry, ..
        } = self;
        let policy = self
            .policy
            .as_ref()
            .map(|policy| format!("&skn={}", percent_encode(policy)))
            .unwrap_or_default();
        format!("{SCHEME} sr={resource}&sig={signature}&se={expiry}{policy}")
    }
}

/// A token for `resource` (not encoded) signed with a key at hand.
#[must_use]
pub fn build(
    resource: &str,
    policy: Option<&str>,
    expiry: Timestamp,
    key: &SharedAccessKey,
) -> String {
    let draft = Draft::new(resource, policy, expiry);
    draft.finish(&key.sign(&draft.to_sign()))
}
