//! Clients of EST.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::Timestamp;
use issuing::password::StoredPassword;
use pki::{Certificate, PeerChain, PresentedChain};
use provisioning::{IssuerUserDraft, Secret};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use serde_json::Value;

use super::Service;

/// A request to `/.well-known/est`.
pub struct EstRequest {
    pub method: Method,
    /// What follows `/.well-known/est`.
    pub path: String,
    pub chain: Option<PresentedChain>,
    pub authorization: Option<String>,
    pub content_type: Option<&'static str>,
    pub body: Vec<u8>,
}

impl EstRequest {
    pub fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            chain: None,
            authorization: None,
            content_type: None,
            body: Vec::new(),
        }
    }

    /// A request of an operation that takes a PKCS#10.
    pub fn post(path: &str, csr: &[u8]) -> Self {
        Self {
            method: Method::POST,
            content_type: Some("application/pkcs10"),
            body: wire::est::encode(csr).into_bytes(),
            ..Self::get(path)
        }
    }

    pub fn by(self, user: &str, password: &str) -> Self {
        let text = STANDARD.encode(format!("{user}:{password}"));
        Self {
            authorization: Some(format!("Basic {text}")),
            ..self
        }
    }

    pub fn with(self, chain: PresentedChain) -> Self {
        Self {
            chain: Some(chain),
            ..self
        }
    }
}

pub struct EstAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl EstAnswer {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// The certificates of a successful answer.
    pub fn certificates(&self) -> Vec<Certificate> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        let kind = "application/pkcs7-mime; smime-type=certs-only";
        assert_eq!(self.header("content-type"), kind);
        assert_eq!(self.header("content-transfer-encoding"), "base64");
        let lines: Vec<&str> = self.body.split_inclusive("\r\n").collect();
        let is_line = |line: &&str| line.ends_with("\r\n") && line.len() <= 78;
        assert!(lines.iter().all(is_line), "{}", self.body);
        let der = wire::est::decode(self.body.as_bytes()).unwrap();
        pki::read_certs_only(&der).unwrap()
    }

    /// The certificate of a successful enrollment: the only one.
    pub fn certificate(&self) -> Certificate {
        let mut all = self.certificates();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

impl Service {
    pub async fn est(&self, asked: EstRequest) -> EstAnswer {
        let mut request = Request::builder()
            .method(asked.method)
            .uri(format!("/.well-known/est{}", asked.path))
            .header("accept", "*/*");
        for (name, value) in [
            ("authorization", asked.authorization.as_deref()),
            ("content-type", asked.content_type),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let mut request = request.body(Body::from(asked.body)).unwrap();
        let chain = asked.chain.map(PeerChain::of).unwrap_or_default();
        request.extensions_mut().insert(chain);
        let address = rest::ClientAddress(std::net::Ipv4Addr::LOCALHOST.into());
        request.extensions_mut().insert(address);
        let (parts, body) = self.dps.answer(request).await.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        if !parts.status.is_success() {
            assert_eq!(parts.headers["content-type"], "text/plain; charset=utf-8");
            assert!(text.ends_with('\n') && text.len() < 400, "{text}");
        }
        EstAnswer {
            status: parts.status,
            headers: parts.headers,
            body: text,
        }
    }

    pub async fn issuer(&self, name: &str, body: Value) {
        let path = format!("/muster/v1/dps/issuers/{name}");
        self.create(&path, &body).await;
    }

    /// A user of an issuer with a made-up password, which is returned.
    pub async fn issuer_user(
        &self,
        issuer: &str,
        name: &str,
        uses: Option<u32>,
        expires: Option<Timestamp>,
    ) -> String {
        let (password, stored) = StoredPassword::make_up(&rand::random());
        self.issuer_user_with(issuer, name, &stored, uses, expires)
            .await;
        password.to_string()
    }

    pub async fn issuer_user_with(
        &self,
        issuer: &str,
        name: &str,
        stored: &StoredPassword,
        uses: Option<u32>,
        expires: Option<Timestamp>,
    ) {
        let draft = IssuerUserDraft {
            name: name.parse().unwrap(),
            password: Secret::new(stored.as_text().to_owned()),
            uses,
            expires,
        };
        let issuer = issuer.parse().unwrap();
        let created = self
            .provisioning
            .create_issuer_user(&issuer, draft, self.now());
        created.await.unwrap();
    }

    /// The newest refusal of an id: reason, error code, message.
    pub async fn last_refusal(&self, id: &str) -> (String, u64, String) {
        let listed = self.refusals(&format!("&registrationId={id}")).await;
        let first = &listed[0];
        let text = |name: &str| first[name].as_str().unwrap_or_default().to_owned();
        let listed = include_str!("../../../../../../docs/reason-codes.md");
        let reason = text("reason");
        assert!(
            reason.is_empty() || listed.contains(&format!("| `{reason}` |")),
            "{reason}"
        );
        let code = first["errorCode"].as_u64().unwrap_or_default();
        (reason, code, text("message"))
    }
}

/// A request for a name, with a key of its own, DER.
pub fn csr(name: &str) -> Vec<u8> {
    csr_with(name, &[])
}

/// The same with DNS names.
pub fn csr_with(name: &str, dns: &[&str]) -> Vec<u8> {
    csr_of(name, dns, &KeyPair::generate().unwrap())
}

/// The same of a key.
pub fn csr_of(name: &str, dns: &[&str], key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let san = |dns: &&str| SanType::DnsName((*dns).try_into().unwrap());
    params.subject_alt_names = dns.iter().map(san).collect();
    params.serialize_request(key).unwrap().der().to_vec()
}
