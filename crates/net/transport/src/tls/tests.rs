//! Handshakes with rustls on both sides, in memory, and client certificates that the
//! OpenSSL command line makes.

use std::path::Path;
use std::process::Command;

use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{SigningKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, Error, HandshakeKind, RootCertStore,
    SupportedProtocolVersion,
};

use pki::Certificate;

use super::*;

mod certificates;
mod handshakes;

/// A folder with a server certificate, in which OpenSSL works.
struct Workshop {
    dir: tempfile::TempDir,
    server: Arc<CertifiedKey>,
}

/// A certificate and a key that a client presents; they need not belong together.
struct ClientIdentity {
    certificate: Certificate,
    /// DER of the certificates after it.
    more: Vec<Vec<u8>>,
    key: Arc<dyn SigningKey>,
}

impl Workshop {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = server_key(dir.path(), "ec -pkeyopt ec_paramgen_curve:P-256");
        Self { dir, server }
    }

    fn openssl(&self, arguments: &str) {
        openssl(self.dir.path(), arguments);
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Makes `NAME.key`, and with it a certificate of version 1 and one of
    /// version 3: `NAME.v1.pem`, `NAME.v3.pem`.
    fn make(&self, name: &str, algorithm: &str) {
        self.openssl(&format!(
            "req -new -newkey {algorithm} -nodes -keyout {name}.key -out {name}.csr \
             -subj /CN={name}"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -signkey {name}.key -days 2 -out {name}.v1.pem"
        ));
        self.openssl(&format!(
            "req -x509 -key {name}.key -subj /CN={name} -days 2 -out {name}.v3.pem"
        ));
    }

    fn identity(&self, certificate: &str, key: &str) -> ClientIdentity {
        let key: PrivateKeyDer<'static> =
            PrivateKeyDer::Pkcs8(read_key(&self.path(key)).pkcs8_der().clone_key());
        ClientIdentity {
            certificate: Certificate::parse_one(&std::fs::read(self.path(certificate)).unwrap())
                .unwrap(),
            more: Vec::new(),
            key: rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap(),
        }
    }

    /// What the server knows of its client after the handshake.
    fn handshake(
        &self,
        identity: ClientIdentity,
        version: &'static SupportedProtocolVersion,
    ) -> Result<PeerChain, Error> {
        let (_, server) = connect(&self.server(), &self.client(identity, version))?;
        let from = ([127, 0, 0, 1], 1).into();
        Ok(peer_chain(&server, &SeenIssuers::default(), from))
    }

    fn server(&self) -> Arc<ServerConfig> {
        let certificates = Certificates {
            own: Vec::new(),
            ec: self.server.clone(),
            rsa: None,
            hostname: "localhost".to_owned(),
        };
        server_config(CurrentCertificate::new(certificates)).unwrap()
    }

    fn client(
        &self,
        identity: ClientIdentity,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.cert[0].clone()).unwrap();
        let leaf = identity.certificate.der().to_vec();
        let chain = std::iter::once(leaf).chain(identity.more);
        let chain = chain.map(CertificateDer::from).collect();
        // Not `from_der`, which would look whether the two belong together.
        let resolver = SingleCertAndKey::from(CertifiedKey::new(chain, identity.key));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(resolver));
        Arc::new(client)
    }
}

fn openssl(dir: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .output()
        .expect("these tests need the openssl command; on Debian: apt-get install openssl");
    assert!(
        output.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A certificate for `localhost`, which its clients have to trust itself.
fn server_key(dir: &Path, algorithm: &str) -> Arc<CertifiedKey> {
    openssl(
        dir,
        &format!(
            "req -x509 -newkey {algorithm} -nodes -keyout server.key -out server.pem \
             -subj /CN=server -days 2 -addext subjectAltName=DNS:localhost \
             -addext basicConstraints=critical,CA:FALSE"
        ),
    );
    let certificate = std::fs::read(dir.join("server.pem")).unwrap();
    let certificate = Certificate::parse_one(&certificate).unwrap();
    let key = pki::Signer::from(read_key(&dir.join("server.key")));
    Arc::new(key.certified(&certificate, &[]).unwrap())
}

fn connect(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
) -> Result<(ClientConnection, ServerConnection), Error> {
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let mut client =
        ClientConnection::new(client.clone(), "localhost".try_into().unwrap()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client)?;
    }
    Ok((client, server))
}

fn read_key(path: &Path) -> pki::PrivateKey {
    pki::PrivateKey::from_pem(&std::fs::read_to_string(path).unwrap(), None).unwrap()
}

/// Hands the bytes of one side to the other.
fn pass<A, B>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>) -> Result<(), Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut unread = bytes.as_slice();
    while !unread.is_empty() {
        to.read_tls(&mut unread).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}
