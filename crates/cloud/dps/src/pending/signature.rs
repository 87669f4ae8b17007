//! Signs the requests to webhooks.

use aws_lc_rs::hmac;
use ids::Timestamp;
use wire::sas::SharedAccessKey;
use wire::service_api::allocation::signature;
use zeroize::Zeroizing;

/// What the key is derived for, so that it is good for nothing else.
const PURPOSE: &[u8] = b"muster: signs the requests of custom allocations, 1";

/// The key that a webhook verifies the requests of this service with. Derived from the
/// service's secret, and never changed.
pub struct WebhookKey(SharedAccessKey);

impl WebhookKey {
    /// `secret` is the service's.
    pub fn derive(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mut derived = Zeroizing::new([0; 32]);
        derived.copy_from_slice(hmac::sign(&key, PURPOSE).as_ref());
        Self(SharedAccessKey::from(&*derived))
    }

    /// Base64, for the operator who configures the webhook.
    pub fn to_base64(&self) -> Zeroizing<String> {
        self.0.to_base64()
    }

    /// The value of the signature's header.
    pub fn sign(&self, now: Timestamp, body: &[u8]) -> String {
        signature(&self.0, now.unix_seconds(), body)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_webhook_can_verify_it_with_ten_lines_of_anything() {
        let key = WebhookKey::derive(b"secret");
        let now = Timestamp::from_unix_seconds(1_780_272_000);
        let raw = STANDARD.decode(&*key.to_base64()).unwrap();
        let expected = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &raw),
            b"1780272000.{\"a\":1}",
        );
        let hex: String = expected
            .as_ref()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(key.sign(now, b"{\"a\":1}"), format!("sha256={hex}"));
        assert_ne!(key.sign(now, b"{\"a\":2}"), format!("sha256={hex}"));
        assert_ne!(*WebhookKey::derive(b"other").to_base64(), *key.to_base64());
    }
}
