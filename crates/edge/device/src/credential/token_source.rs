//! Tokens for one resource, made anew before they expire.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ids::{DeviceId, HubHost, IdScope, RegistrationId, Timestamp};
use tokio::sync::Mutex;
use wire::sas::{Draft, SharedAccessKey};
use wire::service_api::device_view::token_resource;

use super::{SignError, Signer};
use crate::TpmSigner;

/// How long a token is valid.
const LIFETIME: Duration = Duration::from_secs(3600);
/// What is left of a token that is used once more: longer than any request, and than the
/// difference of two clocks that are about right.
const MARGIN: Duration = Duration::from_secs(900);

/// A signature that is being made.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<[u8; 32], SignError>> + Send + 'a>>;

/// Holds a symmetric key: in memory, in a TPM, or in another process.
pub trait KeySigner: std::fmt::Debug + Send + Sync {
    /// Computes the HMAC-SHA256 of `data`.
    fn sign<'a>(&'a self, data: &'a [u8]) -> Signing<'a>;
}

impl KeySigner for SharedAccessKey {
    fn sign<'a>(&'a self, data: &'a [u8]) -> Signing<'a> {
        Box::pin(std::future::ready(Ok(SharedAccessKey::sign(self, data))))
    }
}

impl KeySigner for TpmSigner {
    fn sign<'a>(&'a self, data: &'a [u8]) -> Signing<'a> {
        Box::pin(Signer::sign(self, data))
    }
}

/// Tokens for one resource. Clones share the token.
#[derive(Clone)]
pub struct TokenSource {
    resource: String,
    policy: Option<&'static str>,
    signer: Arc<dyn KeySigner>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    made: Arc<Mutex<Option<Made>>>,
}

/// A token, and the time at which it is not used any more.
struct Made {
    token: String,
    until: Timestamp,
    from: Timestamp,
}

impl TokenSource {
    /// The tokens of a device for its hub.
    #[must_use]
    pub fn for_hub(
        hub: &HubHost,
        device: &DeviceId,
        signer: Arc<dyn KeySigner>,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Self {
        Self {
            resource: token_resource(hub.as_str(), device, None),
            policy: None,
            signer,
            clock,
            made: Arc::default(),
        }
    }

    /// The tokens of a device for its registration.
    #[must_use]
    pub fn for_registration(
        id_scope: &IdScope,
        id: &RegistrationId,
        signer: Arc<dyn KeySigner>,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Self {
        Self {
            resource: format!("{id_scope}/registrations/{}", id.folded()),
            policy: Some("registration"),
            signer,
            clock,
            made: Arc::default(),
        }
    }

    /// A token that is valid for some time yet.
    pub async fn token(&self) -> Result<String, SignError> {
        let now = (self.clock)();
        let mut made = self.made.lock().await;
        // A clock that was set back would make an old token look fresh for too long.
        let fresh = made
            .as_ref()
            .filter(|made| made.from <= now && now < made.until);
        if let Some(fresh) = fresh {
            return Ok(fresh.token.clone());
        }
        let draft = Draft::new(&self.resource, self.policy, now.plus(LIFETIME));
        let digest = self.signer.sign(&draft.to_sign()).await?;
        let token = draft.finish(&digest);
        *made = Some(Made {
            token: token.clone(),
            until: now.plus(LIFETIME - MARGIN),
            from: now,
        });
        Ok(token)
    }
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenSource({})", self.resource)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_token_is_made_anew_before_it_expires_and_when_the_clock_goes_back() {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let reading = clock.clone();
        let now = move || Timestamp::from_unix_seconds(reading.load(Ordering::Relaxed));
        let source = TokenSource::for_registration(
            &IdScope::parse("0ne1").unwrap(),
            &RegistrationId::parse("D1").unwrap(),
            Arc::new(SharedAccessKey::from_bytes(vec![7; 32]).unwrap()),
            Arc::new(now),
        );
        let expiry = async |time: i64| {
            clock.store(time, Ordering::Relaxed);
            let token = source.token().await.unwrap();
            assert!(token.contains("sr=0ne1%2Fregistrations%2Fd1&"), "{token}");
            assert!(token.ends_with("&skn=registration"), "{token}");
            let (_, expiry) = token.split_once("&se=").unwrap();
            expiry.split('&').next().unwrap().parse::<i64>().unwrap()
        };
        assert_eq!(expiry(1_000_000).await, 1_003_600);
        assert_eq!(expiry(1_002_000).await, 1_003_600);
        assert_eq!(expiry(1_002_700).await, 1_006_300);
        assert_eq!(expiry(500).await, 4_100);
    }
}
