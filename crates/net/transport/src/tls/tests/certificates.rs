use super::certificate_files::{OwnCertificate, OwnCertificates};
use super::*;

/// H16, H24: a client gets a certificate that its TLS can use, and the operator's own where
/// that names the host.
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
            "req -x509 -newkey {algorithm} -nodes -keyout {name}.key -out {name}.pem \
             -subj /CN=x -days 2 -addext subjectAltName=DNS:{name}.test,DNS:*.{name}.test"
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
        let presented = chosen(&certificates, host, schemes);
        assert!(is(&presented, expected), "{host:?} {schemes:?}");
    }
    certificates.hostname = "own.test".to_owned();
    let unnamed = chosen(&certificates, None, EC);
    assert!(
        is(&unnamed, own_rsa),
        "a client without a server name means the server's"
    );
}

/// H16: a renewal by another program is noticed; half of one changes nothing.
#[test]
fn own_certificates_are_read_again_when_they_change() {
    let workshop = Workshop::new();
    let make = |name: &str| {
        workshop.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem \
             -subj /CN={name} -days 2"
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
    let presented = |own: &OwnCertificates| own.keys()[0].key.cert[0].clone();
    let before = presented(&own);
    own.reload();
    assert_eq!(presented(&own), before);
    std::fs::rename(workshop.path("new.pem"), workshop.path("own.pem")).unwrap();
    own.reload();
    assert_eq!(presented(&own), before, "the key is still the old one's");
    std::fs::rename(workshop.path("new.key"), workshop.path("own.key")).unwrap();
    own.reload();
    assert_ne!(presented(&own), before);
    assert_eq!(own.trust().next().unwrap().der(), presented(&own).as_ref());

    std::fs::remove_file(workshop.path("own.key")).unwrap();
    let error = OwnCertificates::load(&files).unwrap_err().to_string();
    assert!(error.contains("own.key"), "{error}");
}
