//! A device that presents something, and what operators read about it.

use axum::body::Body;
use axum::http::{Method, Request};
use pki::{PeerChain, PresentedChain};
use serde_json::{Value, json};

use super::hierarchy::chain;
use super::{Answer, HOST, Service};

/// What a device presents.
#[derive(Default)]
pub struct Attempt {
    pub scope: Option<&'static str>,
    pub chain: Option<PresentedChain>,
    pub token: Option<String>,
    pub tpm: Option<Value>,
}

impl Attempt {
    pub fn by(certificates: &[&pki::Certificate]) -> Self {
        Self {
            chain: Some(chain(certificates)),
            ..Self::default()
        }
    }

    pub fn with(token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
            ..Self::default()
        }
    }

    pub fn tpm(tpm: Value) -> Self {
        Self {
            tpm: Some(tpm),
            ..Self::default()
        }
    }
}

impl Service {
    pub async fn attempt(&self, id: &str, attempt: &Attempt) -> Answer {
        let mut body = json!({"registrationId": id});
        if let Some(tpm) = &attempt.tpm {
            body["tpm"] = tpm.clone();
        }
        let path = format!("{id}/register");
        self.request(Method::PUT, &path, attempt, &body).await
    }

    /// A device's request about a registration.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        attempt: &Attempt,
        body: &Value,
    ) -> Answer {
        let scope = self.id_scope();
        let scope = attempt.scope.unwrap_or(&scope);
        let mut request = Request::builder().method(method).uri(format!(
            "/{scope}/registrations/{path}?api-version=2021-06-01"
        ));
        if let Some(token) = &attempt.token {
            request = request.header("authorization", token);
        }
        let mut request = request.body(Body::from(body.to_string())).unwrap();
        let peer = attempt.chain.clone().map(PeerChain::of);
        request.extensions_mut().insert(peer.unwrap_or_default());
        self.send(request).await
    }

    pub async fn refusals(&self, query: &str) -> Value {
        let request = Request::builder()
            .uri(format!(
                "https://{}/muster/v1/dps/refusals?api-version=2021-10-01{query}",
                HOST
            ))
            .header("authorization", self.owner())
            .body(Body::empty())
            .unwrap();
        let answer = self.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// The explanation of a device that would present the same. Nothing is written.
    pub async fn explain(&self, id: &str, attempt: &Attempt) -> Value {
        let mut body = json!({"registrationId": id});
        if let Some(chain) = &attempt.chain {
            let all = std::iter::once(chain.leaf()).chain(chain.issuers());
            body["certificates"] = json!(all.map(pki::Certificate::to_pem).collect::<String>());
        }
        if let Some(token) = &attempt.token {
            body["token"] = json!(token);
        }
        let before = self.files();
        let explained = self.explained(&body).await;
        assert!(before == self.files(), "it was written");
        explained
    }

    pub async fn explained(&self, body: &Value) -> Value {
        let path = "/muster/v1/dps/explain";
        let answer = self.operate(Method::POST, path, &[], Some(body)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }
}
