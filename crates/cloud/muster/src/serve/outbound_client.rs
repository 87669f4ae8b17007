//! Calls to webhooks and to remote hubs: HTTPS with the roots of the system and of the
//! configuration, plain HTTP to this machine. The same for streams of NATS.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use outbound::{Answering, OnBehalf, Outbound, OutboundAnswer, OutboundCall, OutboundFault};
use reqwest::redirect::Policy;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

mod guard;
mod host_verifier;
mod nats;

pub use guard::Guard;

use guard::{GuardedResolver, NotAllowed};

/// The HTTP clients of all calls.
pub struct OutboundClient {
    anywhere: reqwest::Client,
    /// Connects to no private address that is not listed.
    guarded: reqwest::Client,
    guard: Arc<Guard>,
    /// Those that streams are verified with; the clients have their own.
    roots: Arc<RootCertStore>,
    /// Whether the first service's calls are guarded too.
    guards_owner: bool,
}

impl OutboundClient {
    /// Builds the clients; `trusted` is a PEM file of CAs that are trusted beside the system's.
    pub fn new(trusted: Option<&Path>, guard: Guard, guards_owner: bool) -> anyhow::Result<Self> {
        // The client cannot be built without a provider. An earlier call has installed the same
        // one.
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        let guard = Arc::new(guard);
        let resolver = GuardedResolver(guard.clone());
        Ok(Self {
            anywhere: build(reqwest::Client::builder(), trusted)?,
            guarded: build(
                reqwest::Client::builder().dns_resolver(Arc::new(resolver)),
                trusted,
            )?,
            guard,
            roots: Arc::new(roots(trusted)?),
            guards_owner,
        })
    }

    /// The client for a call. It checks the addresses of names when it resolves them; an address in
    /// the URL is checked here.
    fn client(&self, call: &OutboundCall) -> Result<&reqwest::Client, OutboundFault> {
        if call.on_behalf == OnBehalf::Owner && !self.guards_owner {
            return Ok(&self.anywhere);
        }
        let url = reqwest::Url::parse(&call.url)
            .map_err(|error| OutboundFault::Unreachable(error.to_string()))?;
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        match address {
            Ok(address) if !self.guard.admits(address) => Err(OutboundFault::NotAllowed),
            _ => Ok(&self.guarded),
        }
    }

    async fn send(&self, call: OutboundCall) -> Result<OutboundAnswer, OutboundFault> {
        let client = self.client(&call)?;
        let mut request = client.request(call.method, call.url.as_str());
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
        let header = |name: &str| {
            let value = answer.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        let (etag, last_modified) = (header("etag"), header("last-modified"));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > call.limit {
                let limit = call.limit;
                return Err(OutboundFault::TooLong { status, limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(OutboundAnswer {
            status,
            body,
            etag,
            last_modified,
        })
    }
}

fn roots(trusted: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = trusted {
        let unreadable = || format!("cannot read the trusted CAs {}", path.display());
        let found = CertificateDer::pem_file_iter(path).with_context(unreadable)?;
        for certificate in found {
            roots.add(certificate.with_context(unreadable)?)?;
        }
    }
    Ok(roots)
}

fn build(
    builder: reqwest::ClientBuilder,
    trusted: Option<&Path>,
) -> anyhow::Result<reqwest::Client> {
    let mut http = builder
        // A redirect would send the request and its signature to a server that no operator named.
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
    http.build().context("the client for outbound calls")
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

/// The last cause, which says what is wrong. The text of `error` itself would repeat the URL with
/// the key in it.
fn unreachable(error: reqwest::Error) -> OutboundFault {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        if source.is::<NotAllowed>() {
            return OutboundFault::NotAllowed;
        }
        cause = source;
    }
    OutboundFault::Unreachable(cause.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::Method;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use zeroize::Zeroizing;

    use super::*;

    fn call(on_behalf: OnBehalf, url: &str) -> OutboundCall {
        OutboundCall {
            on_behalf,
            method: Method::GET,
            url: Zeroizing::new(url.to_owned()),
            headers: Vec::new(),
            body: None,
            limit: 1000,
            timeout: Duration::from_secs(10),
        }
    }

    // A5.
    #[tokio::test]
    async fn a_tenant_reaches_nothing_private_that_is_not_listed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 2048]).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer).await;
            }
        });
        let client = |networks: &[&str], guards_owner| {
            let networks = networks.iter().map(|text| text.parse().unwrap());
            OutboundClient::new(None, Guard::new(networks.collect()), guards_owner).unwrap()
        };
        let usual = client(&[], false);
        let listed = client(&["127.0.0.0/8", "::1"], false);
        let strict = client(&[], true);
        // By address, by odd spellings of it, by name.
        for host in ["127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"] {
            let url = format!("http://{host}:{port}/");
            let owner = usual.call(call(OnBehalf::Owner, &url)).await;
            assert_eq!(owner.map(|answer| answer.status), Ok(200), "{url}");
            let tenant = usual.call(call(OnBehalf::Tenant, &url)).await;
            assert_eq!(tenant, Err(OutboundFault::NotAllowed), "{url}");
            let tenant = listed.call(call(OnBehalf::Tenant, &url)).await;
            assert_eq!(tenant.map(|answer| answer.status), Ok(200), "{url}");
            let owner = strict.call(call(OnBehalf::Owner, &url)).await;
            assert_eq!(owner, Err(OutboundFault::NotAllowed), "{url}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_still_has_a_status() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 2048]).await;
            let head = b"HTTP/1.1 202 Accepted\r\ncontent-length: 1001\r\n\r\n";
            let _ = stream.write_all(&[&head[..], &[b'x'; 1001]].concat()).await;
        });
        let client = OutboundClient::new(None, Guard::new(Vec::new()), false).unwrap();
        let url = format!("http://127.0.0.1:{port}/");
        let answer = client.call(call(OnBehalf::Owner, &url)).await;
        let (status, limit) = (202, 1000);
        assert_eq!(answer, Err(OutboundFault::TooLong { status, limit }));
    }
}
