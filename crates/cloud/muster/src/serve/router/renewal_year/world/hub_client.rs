use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hub::HubSession;
use ids::DeviceId;
use mqtt::{Connect, Delivery, Publish, QoS};
use pki::{Certificate, PresentedChain};
use serde_json::{Value, json};
use transport::{Close, DeviceSession};
use wire::topic::{DeviceTopic, Filter, HubTopic};

use super::super::outages::Outage;
use super::{HUB, Unavailable, World};

/// A session of a device with the hub.
pub struct HubClient {
    session: HubSession,
    id: DeviceId,
}

/// What the hub says at once to a request for a certificate.
pub enum FirstAnswer {
    /// The certificate follows.
    Pending,
    /// The request of this id is pending.
    Conflict(String),
    /// The request that was to be replaced is not pending.
    NothingToReplace,
    Throttled,
}

impl World {
    /// Opens a session of the hub. `None` when the hub refuses the certificate.
    pub async fn open_session(
        &self,
        id: &str,
        chain: &PresentedChain,
    ) -> Result<Option<HubClient>, Unavailable> {
        self.require(Outage::Hub)?;
        Ok(self.session(id, chain).await)
    }

    /// Whether the hub accepts a certificate, by what it has written; outages aside.
    pub async fn accepts(&self, id: &str, chain: &PresentedChain) -> bool {
        match self.session(id, chain).await {
            Some(client) => {
                client.end().await;
                true
            }
            None => false,
        }
    }

    async fn session(&self, id: &str, chain: &PresentedChain) -> Option<HubClient> {
        let connect = Connect {
            client_id: id.to_owned(),
            clean_session: false,
            keep_alive: 60,
            will: None,
            username: Some(format!("{HUB}/{id}/?api-version=2021-04-12")),
            password: None,
        };
        let hub = &self.services.as_ref().unwrap().2;
        let session = hub.mqtt(&connect, Some(Arc::new(chain.clone()))).await;
        Some(HubClient {
            session: session.ok()?,
            id: id.parse().unwrap(),
        })
    }
}

impl HubClient {
    /// Subscribes to answers about certificates.
    pub async fn subscribe(&mut self) {
        let filter = Filter::CredentialResponses.format(&self.id, None);
        self.session.subscribe(&filter, QoS::AtLeastOnce).await;
    }

    /// Requests a certificate, in place of the pending request `replace`.
    pub async fn request(&mut self, rid: &str, csr: &[u8], replace: Option<&str>) -> FirstAnswer {
        let mut body = json!({"id": self.id.as_str(), "csr": STANDARD.encode(csr)});
        if let Some(replace) = replace {
            body["replace"] = replace.into();
        }
        let rid = rid.to_owned();
        let publish = Publish {
            topic: DeviceTopic::IssueCertificate { rid }.format(&self.id, None),
            payload: body.to_string().into(),
            retain: false,
            delivery: Delivery::AtMostOnce,
        };
        let mut replies = Vec::new();
        self.session.publish(publish, &mut replies).await.unwrap();
        let [reply] = replies.as_slice() else {
            panic!("{replies:?}")
        };
        let body: Value = serde_json::from_slice(&reply.payload).unwrap();
        match HubTopic::parse(&reply.topic) {
            Ok(HubTopic::CredentialResponse { status, .. }) => match status {
                202 => FirstAnswer::Pending,
                409 => {
                    FirstAnswer::Conflict(body["info"]["requestId"].as_str().unwrap().to_owned())
                }
                412 if body["errorCode"] == 412_001 => FirstAnswer::NothingToReplace,
                429 => FirstAnswer::Throttled,
                _ => panic!("{status} {body}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// The certificate for a request of this session.
    pub async fn certificate(&mut self, rid: &str) -> Certificate {
        let next = tokio::time::timeout(Duration::from_secs(30), self.session.next());
        let answer = next.await.expect("the hub answers");
        let body: Value = serde_json::from_slice(&answer.payload).unwrap();
        let expected = HubTopic::CredentialResponse {
            status: 200,
            rid: rid.to_owned(),
        };
        assert_eq!(answer.topic, expected.to_string(), "{body}");
        let leaf = body["certificates"][0].as_str().unwrap();
        Certificate::from_der(&STANDARD.decode(leaf).unwrap()).unwrap()
    }

    pub async fn end(self) {
        let gone = Close::new("connection_lost", "the client is gone");
        self.session.ended(gone.into(), None).await;
    }
}
