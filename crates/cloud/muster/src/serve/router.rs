//! Which service a request path or a CONNECT belongs to.

use std::sync::Arc;

use axum::Router as AxumRouter;
use axum::body::Body;
use axum::http::{Request, Response};
use dps::{Dps, DpsSession};
use futures_util::future::Either;
use hub::{Hub, HubSession};
use ids::error_chain;
use mqtt::{Connect, ConnectReturnCode, Publish, QoS, SubscribeResult, Will};
use rest::{ClientAddress, OnProof};
use tower::ServiceExt;
use transport::{Close, ConnectRefused, DeviceSession, Ending, NotKept, Outgoing, Peer};
use transport::{DeviceService, HttpService};
use wire::device_api::username::Username;

use super::health;

/// The services behind both ports. Cheap to clone.
#[derive(Clone)]
pub struct Router {
    dps: Dps,
    hub: Hub,
    health: AxumRouter,
}

impl Router {
    pub fn new(dps: Dps, hub: Hub, health: AxumRouter) -> Self {
        Self { dps, hub, health }
    }
}

impl HttpService for Router {
    /// A path that no service knows gets the hubs' 404.
    async fn answer(&self, mut request: Request<Body>, peer: Peer) -> Response<Body> {
        let extensions = request.extensions_mut();
        extensions.insert(peer.chain);
        extensions.insert(ClientAddress(peer.address));
        let connection = peer.connection;
        let mark_proven = move || connection.mark_proven_if_possible();
        extensions.insert(OnProof(Arc::new(mark_proven)));
        let path = request.uri().path();
        if Dps::serves(path) {
            return self.dps.answer(request).await;
        }
        if !health::serves(path) {
            return self.hub.answer(request).await;
        }
        match self.health.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn success_is_proof(&self, path: &str) -> bool {
        !health::serves(path) && Dps::success_is_proof(path)
    }

    fn receives_files(&self, path: &str) -> bool {
        Hub::receives_files(path)
    }
}

impl DeviceService for Router {
    type Session = RoutedSession;

    /// The user name says whether the device registers or talks to its hub.
    async fn connect(
        &self,
        connect: &Connect,
        peer: Peer,
    ) -> Result<RoutedSession, ConnectRefused> {
        match Username::parse(connect.username.as_deref().unwrap_or_default()) {
            Ok(Username::Provisioning(_)) => {
                let session = self.dps.mqtt(connect, peer.chain)?;
                let session = session.coming_from(ClientAddress(peer.address));
                Ok(RoutedSession::Dps(session))
            }
            Ok(Username::Hub(_)) => {
                let chain = peer.chain.presented().cloned();
                let session = peer.prove_with(self.hub.mqtt(connect, chain)).await?;
                Ok(RoutedSession::Hub(session))
            }
            Err(error) => Err(ConnectRefused::new(
                ConnectReturnCode::BadUserNameOrPassword,
                error_chain(&error),
            )),
        }
    }
}

/// A session of either service.
pub enum RoutedSession {
    Dps(DpsSession),
    Hub(HubSession),
}

impl DeviceSession for RoutedSession {
    fn max_packet(&self) -> usize {
        match self {
            Self::Dps(session) => session.max_packet(),
            Self::Hub(session) => session.max_packet(),
        }
    }

    fn is_proven(&self) -> bool {
        match self {
            Self::Dps(session) => session.is_proven(),
            Self::Hub(session) => session.is_proven(),
        }
    }

    fn closed(&self) -> impl Future<Output = Close> + Send + 'static {
        match self {
            // Boxed: sessions of hubs, which live longer, do not carry its state.
            Self::Dps(session) => Either::Left(Box::pin(session.closed())),
            Self::Hub(session) => Either::Right(session.closed()),
        }
    }

    async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubscribeResult {
        match self {
            Self::Dps(session) => session.subscribe(filter, qos).await,
            Self::Hub(session) => session.subscribe(filter, qos).await,
        }
    }

    async fn unsubscribe(&mut self, filter: &str) {
        match self {
            Self::Dps(session) => session.unsubscribe(filter).await,
            Self::Hub(session) => session.unsubscribe(filter).await,
        }
    }

    fn keeps(&self, message: &Publish) -> bool {
        match self {
            Self::Dps(session) => session.keeps(message),
            Self::Hub(session) => session.keeps(message),
        }
    }

    async fn keep(&mut self, messages: Vec<Publish>) -> Result<(), NotKept> {
        match self {
            Self::Dps(session) => session.keep(messages).await,
            Self::Hub(session) => session.keep(messages).await,
        }
    }

    async fn publish(
        &mut self,
        publish: Publish,
        replies: &mut Vec<Outgoing>,
    ) -> Result<(), Close> {
        match self {
            Self::Dps(session) => session.publish(publish, replies).await,
            Self::Hub(session) => session.publish(publish, replies).await,
        }
    }

    fn session_present(&self) -> bool {
        match self {
            Self::Dps(session) => session.session_present(),
            Self::Hub(session) => session.session_present(),
        }
    }

    fn delivered(&mut self, number: i64) {
        match self {
            Self::Dps(session) => session.delivered(number),
            Self::Hub(session) => session.delivered(number),
        }
    }

    async fn next(&mut self) -> Outgoing {
        match self {
            Self::Dps(session) => session.next().await,
            Self::Hub(session) => session.next().await,
        }
    }

    async fn ended(self, how: Ending, will: Option<Will>) {
        match self {
            Self::Dps(session) => session.ended(how, will).await,
            Self::Hub(session) => session.ended(how, will).await,
        }
    }
}

#[cfg(test)]
mod policy_tokens;
#[cfg(test)]
mod renewal_year;
#[cfg(test)]
pub mod tests;
