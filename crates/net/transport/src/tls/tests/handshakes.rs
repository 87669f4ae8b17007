use super::*;

#[test]
fn every_handshake_is_a_full_one() {
    let shop = Workshop::new();
    shop.make("ec", "ec -pkeyopt ec_paramgen_curve:P-256");
    for (tls, suite) in [
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
    ] {
        // This client would resume, and it would rather have the longer keys.
        let (server, client) = (
            shop.server(),
            shop.client(shop.identity("ec.v3.pem", "ec.key"), tls),
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
                let identity = shop.identity(&format!("{name}.{file}.pem"), &format!("{name}.key"));
                assert_eq!(identity.certificate.version(), x509_version);
                let peer = shop.handshake(identity, tls).unwrap();
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
                let identity = shop.identity(&format!("{name}.{file}.pem"), "thief.key");
                let refused = shop.handshake(identity, tls).unwrap_err();
                let wrong = Error::InvalidCertificate(CertificateError::BadSignature);
                assert_eq!(refused, wrong, "{name} {file} {tls:?}");
            }
        }
    }
}

/// A key of another kind than the certificate's: the algorithm that the client names
/// must fit the certificate.
#[test]
fn a_leaf_with_a_signature_of_another_kind_of_key_is_refused() {
    let shop = Workshop::new();
    shop.make("rsa", "rsa:2048");
    shop.make("ec", "ec -pkeyopt ec_paramgen_curve:P-256");
    for (certificate, key) in [("rsa.v1.pem", "ec.key"), ("ec.v1.pem", "rsa.key")] {
        for tls in [&TLS12, &TLS13] {
            let refused = shop
                .handshake(shop.identity(certificate, key), tls)
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

/// P2: the handshake reads nothing of a leaf but its key.
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
            format!(
                "[req]\ndistinguished_name=n\nx509_extensions=e\n\
                 [n]\n[e]\n{extension}\n[dn]\nO=Contoso\n"
            ),
        )
        .unwrap();
        shop.openssl("req -x509 -config odd.cnf -key ec.key -subj /CN=odd -days 2 -out odd.pem");
        for tls in [&TLS12, &TLS13] {
            let peer = shop.handshake(shop.identity("odd.pem", "ec.key"), tls);
            let peer = peer.unwrap_or_else(|error| panic!("{extension} {tls:?}: {error}"));
            let leaf = peer.presented().unwrap().leaf();
            assert_eq!(leaf.subject_common_name(), Some("odd"));
            let refused = shop.handshake(shop.identity("odd.pem", "thief.key"), tls);
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

/// P8: a chain that cannot be read is kept for the refusal.
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
            let identity = ClientIdentity {
                more,
                ..shop.identity("ec.v3.pem", "ec.key")
            };
            let peer = shop.handshake(identity, tls).unwrap();
            assert!(peer.presented().is_none());
            let unread = peer.not_read().unwrap();
            assert_eq!(unread.error().code(), code);
            let first = unread.certificates().first();
            assert_eq!(first.and_then(Certificate::subject_common_name), Some("ec"));
        }
    }
}
