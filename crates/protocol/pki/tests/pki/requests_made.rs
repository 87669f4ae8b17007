//! Requests that are made here, read by OpenSSL and by ourselves.

use std::time::Duration;

use pki::{
    KeyType, NameAttribute, PrivateKey, Profile, Serial, ServerName, Subject, Validity,
    make_request, prepare, prove_request,
};

use crate::openssl::Workshop;
use crate::toy::NOW;

const DAY: Duration = Duration::from_secs(86_400);

fn subject() -> Subject {
    let subject = Subject::common_name("press-7").unwrap();
    let subject = subject.with(NameAttribute::Locality, "AQ").unwrap();
    subject
        .with(NameAttribute::Organization, "Ütility")
        .unwrap()
}

#[test]
fn openssl_reads_what_a_request_asks_for() {
    let shop = Workshop::new();
    for kind in [KeyType::Ec, KeyType::Ec384, KeyType::Rsa2048] {
        let key = PrivateKey::generate(kind).unwrap();
        let request = make_request(&Profile::EdgeIdentity, &subject(), &key).unwrap();
        std::fs::write(shop.path().join("a.der"), &request).unwrap();
        let printed =
            shop.openssl("req -in a.der -inform DER -noout -text -verify -nameopt RFC2253");
        for part in [
            "L=AQ",
            "CN=press-7",
            "TLS Web Client Authentication",
            "CA:FALSE",
        ] {
            assert!(printed.contains(part), "{part} in {printed}");
        }
        let proven = prove_request(&request).unwrap();
        assert_eq!(proven.common_name(), Some("press-7"));
    }
    let key = PrivateKey::generate(KeyType::Ec).unwrap();
    let names = vec![ServerName::parse("a.example").unwrap()];
    let profile = Profile::Server { names };
    let request = make_request(&profile, &subject(), &key).unwrap();
    let proven = prove_request(&request).unwrap();
    assert_eq!(proven.server_names().unwrap().len(), 1);
}

#[test]
fn a_device_without_a_ca_signs_for_itself() {
    for (profile, is_ca) in [(Profile::EdgeIdentity, false), (Profile::EdgeCa, true)] {
        let key = PrivateKey::generate(KeyType::Ec).unwrap();
        let serial = Serial::random().unwrap();
        let prepared = prepare(profile, &subject(), None, Validity::UpTo(DAY), serial, NOW);
        let made = prepared.unwrap().lint().unwrap().sign(&key).unwrap();
        assert_eq!((made.is_ca(), made.is_self_issued()), (is_ca, true));
        assert_eq!(made.subject(), "CN=press-7, O=Ütility, L=AQ");
    }
    let names = vec![ServerName::parse("a.example").unwrap()];
    let serial = Serial::random().unwrap();
    let profile = Profile::Server { names };
    let server = prepare(profile, &subject(), None, Validity::UpTo(DAY), serial, NOW);
    assert!(server.unwrap().lint().is_err());
}
