//! What a session is subscribed to, and what of it outlives the session (CleanSession 0). Clients
//! that connect again do not subscribe again: Azure's Python SDK is one.

use ids::error_chain;
use mqtt::{QoS, SubscribeResult};
use registry::KeptSubscriptions;
use transport::ConnectRefused;
use wire::topic::Filter;

use super::downlink::Downlink;
use super::{HubSession, unavailable};

impl HubSession {
    /// Goes on with the subscriptions of an earlier session, or forgets them for a clean one.
    pub(super) async fn resume(&mut self) -> Result<(), ConnectRefused> {
        let registry = self.hub.registry();
        let failed = |error| unavailable(error_chain(&error));
        let kept = registry.kept_subscriptions(self.identity());
        let kept = kept.map_err(failed)?;
        if kept == KeptSubscriptions::default() {
            return Ok(());
        }
        if self.clean {
            let forgotten = KeptSubscriptions::default();
            let forgotten = registry.put_kept_subscriptions(self.identity(), forgotten);
            return forgotten.await.map_err(failed);
        }
        self.session_present = true;
        self.kept = kept;
        if let Some(level) = kept.desired {
            self.receive_desired(qos(level));
        }
        self.mailbox.want_methods(kept.methods.is_some());
        if let Some(level) = kept.messages {
            self.receive_messages(qos(level));
        }
        if let Some(level) = kept.credentials {
            self.receive_credentials(qos(level));
        }
        Ok(())
    }

    pub(super) async fn add_subscription(&mut self, filter: Filter, qos: QoS) -> SubscribeResult {
        // The next session would be told that it is there, and would not subscribe again.
        if !self.keep_subscription(filter, Some(qos)).await {
            return SubscribeResult::Refused;
        }
        match filter {
            Filter::DesiredPatches => self.receive_desired(qos),
            Filter::MethodRequests => self.mailbox.want_methods(true),
            Filter::DeviceBound => self.receive_messages(qos),
            Filter::CredentialResponses => self.receive_credentials(qos),
            // Twin responses are sent without a subscription, and nothing is routed to inputs here.
            Filter::TwinResponses | Filter::ModuleInputs => {}
        }
        SubscribeResult::Granted(qos)
    }

    pub(super) async fn end_subscription(&mut self, filter: Filter) {
        self.keep_subscription(filter, None).await;
        match filter {
            Filter::DesiredPatches => self.mailbox.want_desired(false),
            Filter::MethodRequests => self.mailbox.want_methods(false),
            Filter::DeviceBound => {
                self.mailbox.want_messages(false);
                if let Some(downlink) = &mut self.downlink {
                    downlink.unsubscribe();
                }
            }
            Filter::CredentialResponses => self.renewal = None,
            Filter::TwinResponses | Filter::ModuleInputs => {}
        }
    }

    fn receive_desired(&mut self, qos: QoS) {
        self.desired_qos = qos;
        self.mailbox.want_desired(true);
    }

    fn receive_messages(&mut self, qos: QoS) {
        let mut downlink = match self.downlink.take() {
            Some(downlink) => downlink,
            None => Box::new(Downlink::new(self.hub.clone(), self.identity().clone())),
        };
        downlink.subscribe(qos);
        self.downlink = Some(downlink);
        self.mailbox.want_messages(true);
    }

    /// Keeps or forgets a subscription for later sessions; whether that worked.
    async fn keep_subscription(&mut self, filter: Filter, qos: Option<QoS>) -> bool {
        let mut kept = self.kept;
        let subscription = match filter {
            Filter::DesiredPatches => &mut kept.desired,
            Filter::MethodRequests => &mut kept.methods,
            Filter::DeviceBound => &mut kept.messages,
            Filter::CredentialResponses => &mut kept.credentials,
            Filter::TwinResponses | Filter::ModuleInputs => return true,
        };
        *subscription = qos.map(|qos| u8::from(qos == QoS::AtLeastOnce));
        if self.clean || kept == self.kept {
            return true;
        }
        let registry = self.hub.registry();
        let put = registry.put_kept_subscriptions(self.identity(), kept);
        let Err(error) = put.await else {
            self.kept = kept;
            return true;
        };
        tracing::error!(
            hub.name = %self.identity().hub,
            device.id = %self.identity().device,
            error = &error as &dyn std::error::Error,
            "a subscription was not written"
        );
        false
    }
}

fn qos(level: u8) -> QoS {
    match level {
        0 => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    }
}
