//! Calls to webhooks and to hubs elsewhere: HTTPS with the system's roots and those of the configuration, plain HTTP to this machine.

use std::path::Path;

use anyhow::Context;
use dps::{Answering, Outbound, OutboundAnswer, OutboundCall, OutboundFault};
use reqwest::redirect::Policy;

/// The one client for all calls.
pub struct OutboundClient(reqwest::Client);

impl OutboundClient {
    /// Builds the client; `trusted` is a PEM file of CAs that are trusted beside the system's.
    pub fn new(trusted: Option<&Path>) -> anyhow::Result<Self> {
        // The client cannot be built without one; whoever was first has chosen the same.
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        let mut http = reqwest::Client::builder()
            // A redirect would carry what is asked, and its signature, to somebody whom no operator named.
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = trusted {
            let pem = std::fs::read(path)
                .with_context(|| format!("cannot read the trusted CAs {}", path.display()))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("{} holds no PEM certificate", path.display()))?;
            http = http.tls_certs_merge(roots);
        }
        let http = http.build().context("the client for outbound calls")?;
        Ok(Self(http))
    }

    async fn send(&self, call: OutboundCall) -> Result<OutboundAnswer, OutboundFault> {
        let mut request = self.0.request(call.method, call.url.as_str());
        if let Some(body) = call.body {
            request = request
                .header("Content-Type", "application/json; charset=utf-8")
                .body(body);
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let mut answer = request.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > call.limit {
                return Err(OutboundFault::TooLong(call.limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(OutboundAnswer { status, body })
    }
}

impl Outbound for OutboundClient {
    fn call(&self, call: OutboundCall) -> Answering<'_> {
        let timeout = call.timeout;
        Box::pin(async move {
            match tokio::time::timeout(timeout, self.send(call)).await {
                Ok(answered) => answered,
                Err(_) => Err(OutboundFault::Silent(timeout)),
            }
        })
    }
}

/// The last cause, which says what is wrong; the text of `error` itself would repeat the URL, and the key in it.
fn unreachable(error: reqwest::Error) -> OutboundFault {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    OutboundFault::Unreachable(cause.to_string())
}
