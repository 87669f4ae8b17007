//! What each kind of profile makes of a request.

use ids::ProfileKind;
use std::time::Duration;

use ids::RegistrationId;
use pki::{
    AdmittedRequest, Certificate, Issuer, IssuingProfile, ProfileConfig, Publication, RequestError,
    RequestKey, Serial, prove_request,
};

use crate::openssl::Workshop;
use crate::toy::{NOW, Toy, ca_params, key};

const DAY: Duration = Duration::from_secs(86_400);

fn config(kind: ProfileKind) -> ProfileConfig {
    ProfileConfig {
        kind,
        validity: DAY,
        key_types: RequestKey::USUAL.to_vec(),
    }
}

/// Makes requests with the OpenSSL command line and holds them against profiles.
struct Bench {
    shop: Workshop,
    issuer: Issuer,
}

impl Bench {
    fn new() -> Self {
        let shop = Workshop::new();
        shop.openssl("ecparam -name prime256v1 -genkey -noout -out k.pem");
        let root = Toy::signed(ca_params("root"), key(0), None);
        let issuer = Issuer::new(root.certificate, root.key).unwrap();
        Self { shop, issuer }
    }

    fn admit(&self, kind: ProfileKind, request: &str) -> Result<AdmittedRequest, RequestError> {
        let profile = IssuingProfile::new(config(kind)).unwrap();
        profile.admit(self.prove(request), None)
    }

    fn prove(&self, request: &str) -> pki::ProvenRequest {
        let fixed = ["req", "-new", "-key", "k.pem", "-out", "a.csr", "-subj"];
        let (subject, names) = request.split_once(" SAN=").unwrap_or((request, ""));
        let names = format!("subjectAltName={names}");
        let extension = match names.as_str() {
            "subjectAltName=" => vec![],
            names => vec!["-addext", names],
        };
        self.shop
            .openssl_with(&[&fixed[..], &[subject], &extension].concat());
        prove_request(self.shop.read("a.csr").as_bytes()).unwrap()
    }

    /// The text that OpenSSL shows of a certificate with these addresses.
    fn published(&self, publication: &Publication) -> String {
        let admitted = self
            .admit(ProfileKind::EdgeIdentity, "/CN=press-7")
            .unwrap();
        let prepared = admitted.prepare(&self.issuer, Serial::random().unwrap(), NOW);
        let prepared = prepared.unwrap().published_at(publication);
        let leaf = prepared.lint().unwrap().sign().unwrap();
        self.shop.write("leaf.pem", &leaf.to_pem());
        self.shop.openssl("x509 -in leaf.pem -noout -text")
    }

    fn issue(&self, kind: ProfileKind, request: &str) -> Certificate {
        let admitted = self.admit(kind, request).unwrap();
        let prepared = admitted.prepare(&self.issuer, Serial::random().unwrap(), NOW);
        prepared.unwrap().lint().unwrap().sign().unwrap()
    }
}

#[test]
fn identities_need_a_registration_id() {
    let bench = Bench::new();
    for kind in [ProfileKind::EdgeIdentity, ProfileKind::Device] {
        let leaf = bench.issue(kind, "/O=Contoso/CN=Press-7 SAN=DNS:a.example");
        assert_eq!(leaf.subject(), "CN=Press-7");
        assert!(!leaf.is_ca() && leaf.server_names().is_empty());
        let refused = bench.admit(kind, "/CN=press 7").unwrap_err();
        assert!(
            matches!(refused, RequestError::CommonName { .. }),
            "{refused}"
        );
        assert_eq!(
            bench.admit(kind, "/O=Contoso").unwrap_err(),
            RequestError::NoCommonName
        );
    }
}

#[test]
fn an_expected_id_decides_and_is_spelled_as_expected() {
    let bench = Bench::new();
    let id = RegistrationId::parse("press-7").unwrap();
    for kind in ProfileKind::ALL {
        let profile = IssuingProfile::new(config(kind)).unwrap();
        let admitted = profile.admit(bench.prove("/CN=PRESS-7"), Some(&id));
        assert_eq!(admitted.unwrap().common_name(), "press-7");
        let other = profile.admit(bench.prove("/CN=press-8"), Some(&id));
        let other = other.unwrap_err();
        assert!(
            matches!(other, RequestError::CommonNameMismatch { .. }),
            "{other}"
        );
    }
}

#[test]
fn an_edge_ca_may_have_spaces_in_its_name() {
    let bench = Bench::new();
    let ca = bench.issue(
        ProfileKind::EdgeCa,
        "/CN=iotedged workload ca press-7 SAN=DNS:a.example",
    );
    assert_eq!(
        ca.subject_common_name(),
        Some("iotedged workload ca press-7")
    );
    assert!(ca.is_ca() && ca.server_names().is_empty());
    let long = format!("/CN={}", "a".repeat(64));
    assert!(bench.admit(ProfileKind::EdgeCa, &long).is_ok());
}

#[test]
fn only_servers_get_the_names_that_they_ask_for() {
    let bench = Bench::new();
    let texts = |leaf: &Certificate| -> Vec<String> {
        leaf.server_names()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let server = |request: &str| bench.issue(ProfileKind::EdgeServer, request);
    let named = server(
        "/CN=press-7 SAN=\
         DNS:Press-7.Example,IP:10.0.0.7,IP:fe80::7,URI:urn:a,email:a@b.example",
    );
    assert_eq!(texts(&named), ["press-7.example", "10.0.0.7", "fe80::7"]);
    assert!(!named.is_ca());
    assert_eq!(texts(&server("/CN=Press-7")), ["press-7"]);
    assert_eq!(texts(&server("/CN=10.0.0.7")), ["10.0.0.7"]);
    let many: Vec<String> = (0..=pki::MAX_REQUEST_NAMES)
        .map(|n| format!("DNS:h{n}"))
        .collect();
    for request in [
        "/CN=press 7".to_owned(),
        "/CN=press-7 SAN=DNS:*.example".to_owned(),
        format!("/CN=press-7 SAN={}", many.join(",")),
    ] {
        let refused = bench.admit(ProfileKind::EdgeServer, &request).unwrap_err();
        assert!(matches!(refused, RequestError::Names(_)), "{refused}");
        if !request.contains("press 7") {
            bench.admit(ProfileKind::EdgeIdentity, &request).unwrap();
        }
    }
}

#[test]
fn a_verification_code_is_any_common_name() {
    let bench = Bench::new();
    let leaf = bench.issue(ProfileKind::Verification, "/CN=5A F!");
    assert!(!leaf.is_ca());
}

#[test]
fn a_request_with_a_key_that_the_profile_does_not_have_is_refused() {
    let bench = Bench::new();
    let profile = IssuingProfile::new(ProfileConfig {
        key_types: vec![RequestKey::Rsa, RequestKey::P384],
        ..config(ProfileKind::Device)
    });
    let refused = profile
        .unwrap()
        .admit(bench.prove("/CN=press-7"), None)
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "its key is P-256, and the profile has only RSA, P-384"
    );
}

#[test]
fn a_profile_says_everything_that_is_wrong_with_it() {
    let fault = IssuingProfile::new(ProfileConfig {
        validity: Duration::from_secs(59),
        key_types: Vec::new(),
        ..config(ProfileKind::Device)
    });
    let text = fault.unwrap_err().to_string();
    assert!(text.contains("59s") && text.contains("key"), "{text}");
    for kind in ProfileKind::ALL {
        assert_eq!(ProfileKind::named(kind.name()), Some(kind));
    }
    assert_eq!(ProfileKind::named("edge"), None);
}

#[test]
fn addresses_of_what_the_ca_publishes_are_in_the_certificate() {
    let bench = Bench::new();
    let mut publication = Publication {
        ca_certificate: "http://pki.example/ca.cer".to_owned(),
        ocsp: "http://pki.example/ocsp".to_owned(),
        crl: Some("http://pki.example/crl".to_owned()),
    };
    let text = bench.published(&publication);
    for wanted in [
        "OCSP - URI:http://pki.example/ocsp",
        "CA Issuers - URI:http://pki.example/ca.cer",
        "CRL Distribution Points",
        "URI:http://pki.example/crl",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    publication.crl = None;
    assert!(!bench.published(&publication).contains("CRL Distribution"));
}
