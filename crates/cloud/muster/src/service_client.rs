//! The client of the public service APIs: a connection string, a token, a request, a response.
//!
//! The command line uses nothing else, so it can do nothing that the API cannot.

mod blob;
mod call;
mod error;
mod login;
pub mod request_bodies;
mod target;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use ids::HubHost;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use wire::connection_string::ConnectionString;
use wire::http::{CONTINUATION, WARNING};
use wire::sas::SharedAccessKey;

use crate::clock;
pub use call::Call;
pub use error::CommandError;
use error::refused;
pub use login::Login;
pub use target::Target;

const TIMEOUT: Duration = Duration::from_secs(320);
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// Prints the warning of a response.
fn print_warning(headers: &HeaderMap) {
    if let Some(warning) = headers.get(WARNING).and_then(|text| text.to_str().ok()) {
        // A closed error stream is no fault.
        let _ = writeln!(std::io::stderr().lock(), "warning: {warning}");
    }
}

/// Which of the two services a command talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Provisioning,
    Hub,
}

impl Service {
    fn variable(self) -> &'static str {
        match self {
            Self::Provisioning => "MUSTER_DPS_CONNECTION_STRING",
            Self::Hub => "MUSTER_HUB_CONNECTION_STRING",
        }
    }
}

/// Which revision of Azure's service API a request names.
fn api_version(service: Service) -> &'static str {
    match service {
        Service::Provisioning => "2026-11-01",
        Service::Hub => "2021-04-12",
    }
}

/// One page of a list, and the token of the next one.
pub struct Page {
    pub items: Vec<Value>,
    pub continuation: Option<String>,
}

/// A service with the credentials for it.
pub struct ServiceClient {
    http: reqwest::Client,
    service: Service,
    host: HubHost,
    policy: String,
    key: SharedAccessKey,
}

/// A client that trusts the CAs in a PEM file, or those of the system.
pub fn http_client(ca: Option<&Path>) -> anyhow::Result<reqwest::Client> {
    let mut http = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca {
        let pem = std::fs::read(path)
            .with_context(|| format!("cannot read the server's CA {}", path.display()))?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem)
            .with_context(|| format!("{} holds no PEM certificate", path.display()))?;
        http = http.tls_certs_only(roots);
    }
    http.build().context("the HTTPS client")
}

impl ServiceClient {
    fn new(
        service: Service,
        connection: ConnectionString,
        ca: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let http = http_client(ca)?;
        let key = SharedAccessKey::try_from(&connection.key).context("the key")?;
        Ok(Self {
            http,
            service,
            host: connection.host,
            policy: connection.policy,
            key,
        })
    }
}

impl ServiceClient {
    /// The host of the service.
    pub fn host(&self) -> &HubHost {
        &self.host
    }

    /// Sends a request; the JSON of its response, `Null` when it has no body.
    pub async fn call(&self, call: Call<'_>) -> Result<Value, CommandError> {
        Ok(self.send(call).await?.0)
    }

    /// Sends a request; the JSON and the headers of its response.
    pub async fn call_for_headers(
        &self,
        call: Call<'_>,
    ) -> Result<(Value, HeaderMap), CommandError> {
        self.send(call).await
    }

    /// Sends a request; the bytes and the headers of its response.
    pub async fn call_for_bytes(
        &self,
        call: Call<'_>,
    ) -> Result<(Vec<u8>, HeaderMap), CommandError> {
        let (status, headers, body) = self.exchange(call).await?;
        match status.is_success() {
            true => Ok((body, headers)),
            false => {
                let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
                Err(refused(status, &json))
            }
        }
    }

    /// Reads every page of a list, up to `top` rows.
    pub async fn list(
        &self,
        path: &[&str],
        body: Option<&Value>,
        top: Option<usize>,
    ) -> Result<Vec<Value>, CommandError> {
        let method = if body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let call = Call {
            body,
            ..Call::new(method, path)
        };
        self.pages(call, top).await
    }

    /// Reads every page of a list with query parameters, up to `top` rows.
    pub async fn list_with_query(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        top: usize,
    ) -> Result<Vec<Value>, CommandError> {
        let call = Call::new(Method::GET, path).query(query);
        self.pages(call, Some(top)).await
    }

    async fn pages(&self, call: Call<'_>, top: Option<usize>) -> Result<Vec<Value>, CommandError> {
        let mut items = Vec::new();
        let mut continuation = None;
        loop {
            let page = self
                .page(call.clone(), continuation.as_deref(), top)
                .await?;
            items.extend(page.items);
            if let Some(top) = top.filter(|top| items.len() >= *top) {
                items.truncate(top);
                return Ok(items);
            }
            match page.continuation {
                Some(next) => continuation = Some(next),
                None => return Ok(items),
            }
        }
    }

    async fn page(
        &self,
        call: Call<'_>,
        continuation: Option<&str>,
        top: Option<usize>,
    ) -> Result<Page, CommandError> {
        let size = top.map_or(100, |top| top.min(100));
        let call = Call {
            continuation,
            page_size: Some(size),
            ..call
        };
        match self.send(call).await? {
            (Value::Array(items), headers) => Ok(Page {
                items,
                continuation: header_text(&headers, CONTINUATION),
            }),
            (other, _) => Err(self.unreadable(&format!("a list was expected, not {other}"))),
        }
    }

    async fn send(&self, call: Call<'_>) -> Result<(Value, HeaderMap), CommandError> {
        let (status, headers, body) = self.exchange(call).await?;
        let json = match body.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&body),
        };
        match (status.is_success(), json) {
            (true, Ok(json)) => Ok((json, headers)),
            (true, Err(error)) => Err(self.unreadable(&error.to_string())),
            (false, json) => Err(refused(status, &json.unwrap_or(Value::Null))),
        }
    }

    async fn exchange(
        &self,
        call: Call<'_>,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), CommandError> {
        let url = self.url(&call);
        let mut request = self
            .http
            .request(call.method, &url)
            .header("Authorization", self.token(TOKEN_LIFETIME));
        for (name, value) in call.headers {
            request = request.header(*name, value);
        }
        if let Some(etag) = call.if_match {
            request = request.header("If-Match", etag);
        }
        if let Some(token) = call.continuation {
            request = request.header("x-ms-continuation", token);
        }
        if let Some(size) = call.page_size {
            request = request.header("x-ms-max-item-count", size);
        }
        if let Some(bytes) = call.bytes {
            request = request.body(bytes.to_vec());
        }
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| CommandError::Unreachable {
            url: self.host.to_string(),
            reason: innermost(&error),
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let headers = response.headers().clone();
        print_warning(&headers);
        let body = response.bytes().await.map_err(unreachable)?;
        Ok((status, headers, body.into()))
    }

    fn unreadable(&self, why: &str) -> CommandError {
        CommandError::Unreachable {
            url: self.host.to_string(),
            reason: format!("its answer is not what this API answers: {why}"),
        }
    }

    fn url(&self, call: &Call<'_>) -> String {
        let mut url = format!("https://{}", self.host);
        for segment in call.path {
            url.push('/');
            url.push_str(&wire::http::encode_segment(segment));
        }
        url.push_str("?api-version=");
        url.push_str(api_version(self.service));
        for (name, value) in call.query {
            url.push_str(&format!("&{name}={}", wire::http::encode_segment(value)));
        }
        url
    }

    /// A token for everything that the policy may do at this service.
    pub fn token(&self, lifetime: Duration) -> String {
        let resource = self.host.to_string();
        let expiry = clock::now().plus(lifetime);
        wire::sas::build(&resource, Some(&self.policy), expiry, &self.key)
    }
}

/// A header of a response, read as UTF-8.
pub fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.as_bytes();
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The last cause, which an operator can act on ("connection refused",
/// "invalid peer certificate: …").
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
