//! A TLS server on a free port of 127.0.0.1, with certificates of its own CA.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use device::{Identity, Trust};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ids::HubHost;
use pki::Certificate;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A CA and what it issued.
pub struct TestCa(CertifiedIssuer<'static, KeyPair>);

impl TestCa {
    pub fn new() -> Self {
        Self::named("test root")
    }

    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn trust(&self) -> Trust {
        let root = Certificate::parse_pem_bundle(&self.0.pem()).unwrap();
        Trust::only(&root).unwrap()
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str) -> (String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        (params.signed_by(&key, &self.0).unwrap().pem(), key)
    }

    pub fn identity(&self, name: &str) -> Identity {
        let (chain, key) = self.issue(name);
        Identity::from_pem(&chain, &key.serialize_pem()).unwrap()
    }

    fn server_config(&self) -> ServerConfig {
        let (chain, key) = self.issue("127.0.0.1");
        let certificate = Certificate::parse_pem_bundle(&chain).unwrap().remove(0);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(AnyClient))
            .with_single_cert(vec![certificate.certificate_der().clone()], key)
            .unwrap()
    }
}

/// Asks for a client certificate and accepts any, as our services do before they look at it.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A listener that has not accepted anything yet.
pub struct Listener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener {
    pub async fn bind(ca: &TestCa) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(ca.server_config()));
        Self { tcp, acceptor }
    }

    pub fn host(&self) -> HubHost {
        HubHost::parse(&self.tcp.local_addr().unwrap().to_string()).unwrap()
    }

    /// The next connection; one whose handshake fails is skipped.
    pub async fn accept(&self) -> TlsStream<TcpStream> {
        loop {
            let (tcp, _) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(tcp).await {
                return stream;
            }
        }
    }
}

/// One request as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Which connection, counted from 0.
    pub connection: usize,
    pub line: String,
    pub if_match: Option<String>,
    pub authorization: Option<String>,
    /// Common name of the client certificate.
    pub client: Option<String>,
    pub body: String,
}

/// What the server answers next: status, headers, body.
pub type Scripted = (u16, &'static [(&'static str, &'static str)], String);

/// An HTTPS server that answers from a script and writes down what it was asked.
pub struct HttpsServer {
    pub host: HubHost,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl HttpsServer {
    pub async fn start(ca: &TestCa, script: Vec<Scripted>) -> Self {
        let listener = Listener::bind(ca).await;
        let host = listener.host();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let noted = seen.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let stream = listener.accept().await;
                let client = client_name(&stream);
                let (seen, script) = (noted.clone(), script.clone());
                let service = service_fn(move |request| {
                    let (seen, script, client) = (seen.clone(), script.clone(), client.clone());
                    async move {
                        let request = note(request, connection, client).await;
                        seen.lock().unwrap().push(request);
                        let next = script.lock().unwrap().pop_front();
                        let (status, headers, body) = next.unwrap_or((404, &[], String::new()));
                        let mut response = Response::builder().status(status);
                        for (name, value) in headers {
                            response = response.header(*name, *value);
                        }
                        response.body(Full::new(Bytes::from(body)))
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { host, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn client_name(stream: &TlsStream<TcpStream>) -> Option<String> {
    let (_, session) = stream.get_ref();
    let leaf = Certificate::from_der(session.peer_certificates()?.first()?).unwrap();
    leaf.subject_common_name().map(str::to_owned)
}

async fn note(request: Request<Incoming>, connection: usize, client: Option<String>) -> Seen {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let (if_match, authorization) = (header("if-match"), header("authorization"));
    let line = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Seen {
        connection,
        line,
        if_match,
        authorization,
        client,
        body,
    }
}
