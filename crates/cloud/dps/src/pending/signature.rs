//! Signs the requests to webhooks.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::Timestamp;
use zeroize::Zeroizing;

use wire::service_api::allocation::to_sign;

/// What the key is derived for, so that it is good for nothing else.
const PURPOSE: &[u8] = b"muster: signs the requests of custom allocations, 1";

/// The key that a webhook verifies the requests of this service with. Derived from the
/// service's secret, and never changed.
pub struct WebhookKey(Zeroizing<Vec<u8>>);

impl WebhookKey {
    /// `secret` is the service's.
    pub fn derive(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self(Zeroizing::new(hmac::sign(&key, PURPOSE).as_ref().to_vec()))
    }

    /// Base64, for the operator who configures the webhook.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(&*self.0))
    }

    /// The value of the signature's header.
    pub fn sign(&self, now: Timestamp, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, &to_sign(now.unix_seconds(), body));
        let digits: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        format!("sha256={digits}")
    }
}

#[cfg(test)]
mod tests {
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
