//! Renewal over the session with the hub.

use ids::Thumbprint;
use pki::Certificate;
use rand::Rng;

use super::{SimulatedDevice, Stop};
use crate::serve::router::renewal_year::key::Key;
use crate::serve::router::renewal_year::world::{FirstAnswer, HubClient, World};

/// The last certificate that the hub sent, whether or not it arrived.
pub(super) struct Sent {
    key: Key,
    /// The certificate of the session.
    presented: Thumbprint,
    certificate: Certificate,
}

impl SimulatedDevice {
    /// With the active certificate, which stays good.
    pub(super) async fn request_at_hub(
        &mut self,
        world: &World,
        key: &Key,
    ) -> Result<Certificate, Stop> {
        let current = self.disk.active().unwrap().certificate.clone();
        let session = world.open_session(&self.id, &current).await?;
        let Some(mut client) = session else {
            self.connected = false;
            return Err(Stop::Unavailable);
        };
        client.subscribe().await;
        let answer = self.exchange(&mut client, key).await;
        client.end().await;
        let certificate = answer?;
        let sent = Sent {
            key: key.clone(),
            presented: current.leaf().sha256(),
            certificate: certificate.clone(),
        };
        self.compare(world, &sent);
        self.sent_by_hub = Some(sent);
        self.arrives(Ok(certificate))
    }

    /// Requests, and waits for the certificate, unless the session is lost before it comes.
    async fn exchange(&mut self, client: &mut HubClient, key: &Key) -> Result<Certificate, Stop> {
        let mut rid = self.next_request_id();
        let mut first = client.request(&rid, &key.csr, None).await;
        let is_pending = matches!(first, FirstAnswer::Pending);
        if is_pending && self.random.random_bool(0.1) {
            // It does not wait, and sends the same again.
            rid = self.next_request_id();
            first = client.request(&rid, &key.csr, None).await;
        }
        if let FirstAnswer::Conflict(pending) = first {
            self.counts.replaced += 1;
            rid = self.next_request_id();
            first = client.request(&rid, &key.csr, Some(&pending)).await;
        }
        if let FirstAnswer::NothingToReplace = first {
            rid = self.next_request_id();
            first = client.request(&rid, &key.csr, Some("*")).await;
        }
        match first {
            FirstAnswer::Pending => {}
            FirstAnswer::Throttled => {
                self.counts.throttled += 1;
                return Err(Stop::Unavailable);
            }
            FirstAnswer::Conflict(_) | FirstAnswer::NothingToReplace => {
                panic!("`*` replaces whatever is pending")
            }
        }
        // The session or the device goes while the hub works.
        self.arrives(Ok(()))?;
        Ok(client.certificate(&rid).await)
    }

    fn next_request_id(&mut self) -> String {
        self.requests += 1;
        format!("req-{}", self.requests)
    }

    /// The same request over a session with the same certificate has the same answer, until that
    /// has lived half its time.
    fn compare(&mut self, world: &World, now: &Sent) {
        let Some(before) = &self.sent_by_hub else {
            return;
        };
        let certificate = &before.certificate;
        let whole = certificate.not_after().since(certificate.not_before());
        let is_young = certificate.not_after().since(world.now()) >= whole / 2;
        if before.key == now.key && before.presented == now.presented && is_young {
            assert_eq!(certificate, &now.certificate, "{}", self.id);
            self.counts.repeated_answers += 1;
        }
    }
}
