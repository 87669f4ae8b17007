//! Handshakes with rustls on both sides, in memory, and client certificates that the OpenSSL command line makes.

use std::path::Path;
use std::process::Command;

use rustls::sign::{SigningKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, Error, HandshakeKind, RootCertStore,
    SupportedProtocolVersion,
};

use pki::Certificate;

use super::*;
use certificate_files::{OwnCertificate, OwnCertificates};

/// A folder with a server certificate, in which OpenSSL works.
struct Workshop {
    dir: tempfile::TempDir,
    server: Arc<CertifiedKey>,
}

/// A certificate and a key that a client shows; they need not belong together.
struct Shown {
    certificate: Certificate,
    /// DER of what is shown after it.
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

    /// Makes `NAME.key`, and with it a certificate of version 1 and one of version 3: `NAME.v1.pem`, `NAME.v3.pem`.
    fn make(&self, name: &str, algorithm: &str) {
        self.openssl(&format!("req -new -newkey {algorithm} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -signkey {name}.key -days 2 -out {name}.v1.pem"
        ));
        self.openssl(&format!(
            "req -x509 -key {name}.key -subj /CN={name} -days 2 -out {name}.v3.pem"
        ));
    }

    fn shown(&self, certificate: &str, key: &str) -> Shown {
        let key: PrivateKeyDer<'static> =
            PrivateKeyDer::Pkcs8(read_key(&self.path(key)).pkcs8_der().clone_key());
        Shown {
            certificate: Certificate::parse_one(&std::fs::read(self.path(certificate)).unwrap())
                .unwrap(),
            more: Vec::new(),
            key: rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap(),
        }
    }

    /// What the server knows of its client once hands are shaken.
    fn shake_hands(
        &self,
        shown: Shown,
        version: &'static SupportedProtocolVersion,
    ) -> Result<PeerChain, Error> {
        let (_, server) = connect(&self.server(), &self.client(shown, version))?;
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
        shown: Shown,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.cert[0].clone()).unwrap();
        let leaf = shown.certificate.der().to_vec();
        let chain = std::iter::once(leaf).chain(shown.more);
        let chain = chain.map(CertificateDer::from).collect();
        // Not `from_der`, which would look whether the two belong together.
        let identity = SingleCertAndKey::from(CertifiedKey::new(chain, shown.key));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(identity));
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
    let chain = vec![certificate.der().to_vec()];
    let key = certified_key(chain, read_key(&dir.join("server.key")).pkcs8_der());
    Arc::new(key.unwrap())
}

/// Shakes hands.
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

/// Hands over what one side has to say.
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

#[test]
fn whoever_comes_again_proves_anew_who_it_is() {
    let shop = Workshop::new();
    shop.make("ec", "ec -pkeyopt ec_paramgen_curve:P-256");
    for (tls, suite) in [
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
    ] {
        // This client would resume, and it would rather have the longer keys.
        let (server, client) = (
            shop.server(),
            shop.client(shop.shown("ec.v3.pem", "ec.key"), tls),
        );
        for _ in 0..3 {
            let (client, server) = connect(&server, &client).unwrap();
            assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
            assert!(server.peer_certificates().is_some());
            assert_eq!(client.negotiated_cipher_suite().unwrap().suite(), suite);
        }
    }
}

#[test]
fn a_leaf_of_either_x509_version_is_known_by_its_key() {
    let shop = Workshop::new();
    for (name, algorithm) in [
        ("rsa", "rsa:2048"),
        ("ec", "ec -pkeyopt ec_paramgen_curve:P-256"),
    ] {
        shop.make(name, algorithm);
        for (file, x509_version) in [("v1", 1), ("v3", 3)] {
            for tls in [&TLS12, &TLS13] {
                let shown = shop.shown(&format!("{name}.{file}.pem"), &format!("{name}.key"));
                assert_eq!(shown.certificate.version(), x509_version);
                let peer = shop.shake_hands(shown, tls).unwrap();
                let chain = peer.presented().unwrap();
                assert_eq!(
                    chain.leaf().subject_common_name(),
                    Some(name),
                    "{file} {tls:?}"
                );
            }
        }
    }
}

#[test]
fn a_leaf_of_either_x509_version_without_its_key_is_refused() {
    let shop = Workshop::new();
    for (name, algorithm) in [
        ("rsa", "rsa:2048"),
        ("ec", "ec -pkeyopt ec_paramgen_curve:P-256"),
    ] {
        shop.make(name, algorithm);
        shop.make("thief", algorithm);
        for file in ["v1", "v3"] {
            for tls in [&TLS12, &TLS13] {
                let shown = shop.shown(&format!("{name}.{file}.pem"), "thief.key");
                let refused = shop.shake_hands(shown, tls).unwrap_err();
                let wrong = Error::InvalidCertificate(CertificateError::BadSignature);
                assert_eq!(refused, wrong, "{name} {file} {tls:?}");
            }
        }
    }
}

/// A key of another kind than the certificate's: the algorithm that the client names must fit the certificate.
#[test]
fn a_leaf_with_a_signature_of_another_kind_of_key_is_refused() {
    let shop = Workshop::new();
    shop.make("rsa", "rsa:2048");
    shop.make("ec", "ec -pkeyopt ec_paramgen_curve:P-256");
    for (certificate, key) in [("rsa.v1.pem", "ec.key"), ("ec.v1.pem", "rsa.key")] {
        for tls in [&TLS12, &TLS13] {
            let refused = shop
                .shake_hands(shop.shown(certificate, key), tls)
                .unwrap_err();
            assert!(
                matches!(
                    refused,
                    Error::InvalidCertificate(_) | Error::PeerMisbehaved(_)
                ),
                "{refused:?}"
            );
        }
    }
}

/// H16, H24: a client is shown what its TLS can use, and the operator's own certificate where that names the host.
#[test]
fn a_certificate_is_chosen_by_host_and_by_what_the_client_verifies() {
    const EC: &[SignatureScheme] = &[
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::ECDSA_NISTP256_SHA256,
    ];
    const RSA: &[SignatureScheme] = &[SignatureScheme::RSA_PKCS1_SHA256];
    let workshop = Workshop::new();
    let ec = workshop.server.clone();
    let rsa = server_key(workshop.dir.path(), "rsa:2048");
    let own = |name: &str, algorithm: &str| {
        workshop.openssl(&format!(
            "req -x509 -newkey {algorithm} -nodes -keyout {name}.key -out {name}.pem -subj /CN=x -days 2 -addext subjectAltName=DNS:{name}.test,DNS:*.{name}.test"
        ));
        OwnCertificate {
            certificate: workshop.path(&format!("{name}.pem")),
            key: workshop.path(&format!("{name}.key")),
            ca: None,
        }
    };
    let own = [
        own("own", "rsa:2048"),
        own("ec", "ec -pkeyopt ec_paramgen_curve:P-256"),
    ];
    let own = OwnCertificates::load(&own).unwrap();
    assert_eq!(own.trust().count(), 2);
    let mut certificates = Certificates {
        own: own.keys(),
        ec: ec.clone(),
        rsa: None,
        hostname: "hub.test".to_owned(),
    };
    let keys = own.keys();
    let (own_rsa, own_ec) = (&keys[0].key, &keys[1].key);
    let chosen = |certificates: &Certificates, host, schemes| certificates.choose(host, schemes);
    let is = |one: &Arc<CertifiedKey>, other: &Arc<CertifiedKey>| one.cert == other.cert;
    assert!(is(&chosen(&certificates, None, RSA), &ec), "not made yet");
    certificates.rsa = Some(rsa.clone());
    for (host, schemes, expected) in [
        (None, EC, &ec),
        (None, RSA, &rsa),
        (Some("hub.test"), EC, &ec),
        (Some("hub.test"), RSA, &rsa),
        (Some("own.test"), EC, own_rsa),
        (Some("a.OWN.test"), RSA, own_rsa),
        (Some("a.b.own.test"), EC, &ec),
        (Some("ec.test"), EC, own_ec),
        (Some("ec.test"), RSA, &rsa),
    ] {
        let shown = chosen(&certificates, host, schemes);
        assert!(is(&shown, expected), "{host:?} {schemes:?}");
    }
    certificates.hostname = "own.test".to_owned();
    let unnamed = chosen(&certificates, None, EC);
    assert!(
        is(&unnamed, own_rsa),
        "who names no host means the server's"
    );
}

/// H16: a renewal by somebody else is noticed; half of one changes nothing.
#[test]
fn own_certificates_are_read_again_when_they_change() {
    let workshop = Workshop::new();
    let make = |name: &str| {
        workshop.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} -days 2"
        ));
    };
    make("own");
    make("new");
    let files = [OwnCertificate {
        certificate: workshop.path("own.pem"),
        key: workshop.path("own.key"),
        ca: None,
    }];
    let mut own = OwnCertificates::load(&files).unwrap();
    let shown = |own: &OwnCertificates| own.keys()[0].key.cert[0].clone();
    let before = shown(&own);
    own.look();
    assert_eq!(shown(&own), before);
    std::fs::rename(workshop.path("new.pem"), workshop.path("own.pem")).unwrap();
    own.look();
    assert_eq!(shown(&own), before, "the key is still the old one's");
    std::fs::rename(workshop.path("new.key"), workshop.path("own.key")).unwrap();
    own.look();
    assert_ne!(shown(&own), before);
    assert_eq!(own.trust().next().unwrap().der(), shown(&own).as_ref());

    std::fs::remove_file(workshop.path("own.key")).unwrap();
    let error = OwnCertificates::load(&files).unwrap_err().to_string();
    assert!(error.contains("own.key"), "{error}");
}

/// P2: what else is in a leaf is no business of the handshake, whatever rustls thinks of it.
#[test]
fn a_leaf_with_any_critical_extension_proves_its_key_and_no_other() {
    let shop = Workshop::new();
    shop.make("ec", "ec -pkeyopt ec_paramgen_curve:P-256");
    shop.make("thief", "ec -pkeyopt ec_paramgen_curve:P-256");
    for extension in [
        "1.3.6.1.4.1.99999.1=critical,DER:0500",
        "2.23.133.5.4.1=critical,DER:3000",
        "certificatePolicies=critical,1.2.3.4",
        "policyConstraints=critical,requireExplicitPolicy:0",
        "inhibitAnyPolicy=critical,0",
        "nsCertType=critical,client",
        "nameConstraints=critical,permitted;dirName:dn",
    ] {
        std::fs::write(
            shop.path("odd.cnf"),
            format!("[req]\ndistinguished_name=n\nx509_extensions=e\n[n]\n[e]\n{extension}\n[dn]\nO=Contoso\n"),
        )
        .unwrap();
        shop.openssl("req -x509 -config odd.cnf -key ec.key -subj /CN=odd -days 2 -out odd.pem");
        for tls in [&TLS12, &TLS13] {
            let peer = shop.shake_hands(shop.shown("odd.pem", "ec.key"), tls);
            let peer = peer.unwrap_or_else(|error| panic!("{extension} {tls:?}: {error}"));
            let leaf = peer.presented().unwrap().leaf();
            assert_eq!(leaf.subject_common_name(), Some("odd"));
            let refused = shop.shake_hands(shop.shown("odd.pem", "thief.key"), tls);
            let wrong = Error::InvalidCertificate(CertificateError::BadSignature);
            assert_eq!(refused.unwrap_err(), wrong, "{extension} {tls:?}");
        }
    }
}

/// P3: the alert cannot say why; the error for the log does.
#[test]
fn a_key_that_no_handshake_proves_is_named_in_the_error() {
    let shop = Workshop::new();
    shop.openssl(
        "req -x509 -newkey rsa:1024 -nodes -keyout k.pem -subj /CN=weak -days 2 -out weak.pem",
    );
    let weak = Certificate::parse_one(&std::fs::read(shop.path("weak.pem")).unwrap()).unwrap();
    let error = usable_key(weak.certificate_der()).unwrap_err().to_string();
    assert!(error.contains("RSA key of 1024 bits"), "{error}");
}

/// P8: what cannot be read is kept, so that whoever asks why finds it.
#[test]
fn a_chain_that_is_not_read_is_not_as_good_as_none() {
    let shop = Workshop::new();
    shop.make("ec", "ec -pkeyopt ec_paramgen_curve:P-256");
    let der = Certificate::parse_one(&std::fs::read(shop.path("ec.v3.pem")).unwrap()).unwrap();
    for (more, code) in [
        (vec![der.der().to_vec(); 10], "chain_too_long"),
        (vec![vec![0x30, 0]], "certificate_unparsable"),
    ] {
        for tls in [&TLS12, &TLS13] {
            let more = more.clone();
            let shown = Shown {
                more,
                ..shop.shown("ec.v3.pem", "ec.key")
            };
            let peer = shop.shake_hands(shown, tls).unwrap();
            assert!(peer.presented().is_none());
            let unread = peer.not_read().unwrap();
            assert_eq!(unread.error().code(), code);
            let seen = unread.certificates().first();
            assert_eq!(seen.and_then(Certificate::subject_common_name), Some("ec"));
        }
    }
}
