//! Revocation lists: ours as OpenSSL reads them, OpenSSL's as we do, and those that are refused.

use ids::Timestamp;
use pki::{
    Certificate, CrlError, CrlFields, CrlRefused, Issuer, PrivateKey, RevocationReason,
    RevokedEntry, UnverifiedCrl, build_crl, crl_to_pem,
};
use proptest::prelude::*;
use rcgen::KeyUsagePurpose;

use crate::der::{der, oid};
use crate::openssl::Workshop;
use crate::toy::{NOW, Toy, ca_params, days, key};

pub(crate) fn issuer(toy: &Toy) -> Issuer {
    Issuer::new(toy.certificate.clone(), toy.key.clone()).unwrap()
}

fn fields(number: u64) -> CrlFields<'static> {
    CrlFields {
        number,
        this_update: days(0),
        next_update: days(7),
        distribution_point: None,
    }
}

fn entry(serial: &[u8], reason: RevocationReason) -> RevokedEntry<'_> {
    let when = days(-1);
    RevokedEntry {
        serial,
        when,
        reason,
    }
}

fn read(der: &[u8]) -> UnverifiedCrl {
    UnverifiedCrl::read(der.to_vec()).unwrap()
}

/// A CA of OpenSSL's making and a leaf of it, valid on this machine's clock.
fn openssl_ca(key: &str) -> (Workshop, Issuer, Certificate) {
    let shop = Workshop::new();
    shop.openssl(&format!(
        "req -x509 -new {key} -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=CA/O=Contoso \
         -addext keyUsage=critical,digitalSignature,keyCertSign,cRLSign"
    ));
    shop.openssl("req -new -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf");
    shop.openssl(
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -set_serial 0x80f1 -out leaf.pem -days 20",
    );
    let ca_key = PrivateKey::from_pem(&shop.read("ca.key"), None).unwrap();
    let issuer = Issuer::new(shop.certificate("ca.pem"), ca_key).unwrap();
    let leaf = shop.certificate("leaf.pem");
    (shop, issuer, leaf)
}

#[test]
fn openssl_verifies_our_lists_and_refuses_what_is_on_them() {
    for key in [
        "-newkey ec -pkeyopt ec_paramgen_curve:P-256",
        "-newkey ec -pkeyopt ec_paramgen_curve:P-384",
        "-newkey ec -pkeyopt ec_paramgen_curve:P-521",
        "-newkey rsa:2048",
        "-newkey ed25519",
    ] {
        let (shop, issuer, leaf) = openssl_ca(key);
        let fields = CrlFields {
            this_update: leaf.not_before(),
            next_update: leaf.not_after(),
            ..fields(0x1234)
        };
        let when = leaf.not_before();
        let held = |serial| RevokedEntry {
            serial,
            when,
            reason: RevocationReason::CertificateHold,
        };
        let others = build_crl(&issuer, &fields, [held(&[0x7f])]).unwrap();
        shop.write("others.pem", &crl_to_pem(&others));
        let text = shop.openssl("crl -in others.pem -noout -text -CAfile ca.pem");
        for part in [
            "X509v3 CRL Number: \n                4660",
            "Certificate Hold",
            "CN = CA",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        shop.openssl("verify -crl_check -CAfile ca.pem -CRLfile others.pem leaf.pem");
        let its_own = build_crl(&issuer, &fields, [held(&[0x80, 0xf1])]).unwrap();
        shop.write("own.pem", &crl_to_pem(&its_own));
        let refused = shop.refused("verify -crl_check -CAfile ca.pem -CRLfile own.pem leaf.pem");
        assert!(refused.contains("certificate revoked"), "{refused}");
        let list = read(&its_own).verify(issuer.certificate(), when).unwrap();
        assert_eq!(list.entries().next().unwrap().serial, [0x80, 0xf1]);
    }
}

#[test]
fn lists_of_openssl_are_read_in_both_versions() {
    let (shop, issuer, leaf) = openssl_ca("-newkey ec -pkeyopt ec_paramgen_curve:P-256");
    shop.write("index.txt", "");
    shop.write("number", "0A0B\n");
    shop.write(
        "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\n\
         certificate=ca.pem\nprivate_key=ca.key\ndefault_crl_days=9\n[e]\n\
         authorityKeyIdentifier=keyid:always\n",
    );
    shop.openssl("ca -config ca.cnf -revoke leaf.pem -crl_reason keyCompromise");
    shop.openssl("ca -config ca.cnf -gencrl -crlexts e -out two.pem");
    shop.openssl("ca -config ca.cnf -gencrl -out plain.pem");
    shop.openssl("crl -in two.pem -outform DER -out two.der");
    let der = std::fs::read(shop.path().join("two.der")).unwrap();
    let two = read(&der);
    assert_eq!(two.issuer(), "O=Contoso, CN=CA");
    // A day later than what OpenSSL has just dated by the machine's clock.
    let tomorrow = leaf
        .not_before()
        .plus(std::time::Duration::from_secs(86_400));
    let two = two.verify(issuer.certificate(), tomorrow).unwrap();
    assert_eq!(two.number().unwrap().to_string(), "0A0B");
    assert_eq!(
        two.authority_key_id(),
        Some(&*issuer.certificate().key_identifier())
    );
    let found: Vec<_> = two
        .entries()
        .map(|entry| (entry.serial, entry.reason))
        .collect();
    assert_eq!(
        found,
        [(&[0x80, 0xf1][..], RevocationReason::KeyCompromise)]
    );
    let plain = UnverifiedCrl::read(shop.read("plain.pem").into_bytes()).unwrap();
    let plain = plain.verify_at_any_time(issuer.certificate()).unwrap();
    assert_eq!(plain.len(), 1);
}

#[test]
fn a_list_is_taken_only_from_its_ca_and_in_its_time() {
    let root = Toy::root("root");
    let der = build_crl(&issuer(&root), &fields(1), []).unwrap();
    let verify = |ca: &Toy, now| {
        read(&der)
            .verify(&ca.certificate, now)
            .map(|list| list.len())
    };
    assert_eq!(verify(&root, days(0)), Ok(0));
    assert_eq!(verify(&root, days(7)), Ok(0));
    let next_update = days(7);
    assert_eq!(
        verify(&root, days(8)),
        Err(CrlRefused::Expired { next_update })
    );
    let this_update = days(0);
    assert_eq!(
        verify(&root, days(-1)),
        Err(CrlRefused::NotYetValid { this_update })
    );
    assert!(read(&der).verify_at_any_time(&root.certificate).is_ok());

    let other = Toy::root("other");
    assert!(matches!(
        verify(&other, NOW),
        Err(CrlRefused::OfAnotherCa { .. })
    ));
    let same_name = Toy::signed(ca_params("root"), key(3), None);
    assert!(matches!(
        verify(&same_name, NOW),
        Err(CrlRefused::Signature { .. })
    ));
    let mut params = ca_params("root");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let no_crl_sign = Toy::signed(params, key(0), None);
    assert!(matches!(
        verify(&no_crl_sign, NOW),
        Err(CrlRefused::NoCrlSign { .. })
    ));
    let refused = build_crl(&issuer(&no_crl_sign), &fields(1), []).unwrap_err();
    assert!(refused.to_string().contains("cRLSign"), "{refused}");
}

#[test]
fn a_changed_byte_is_noticed_wherever_it_is() {
    let root = Toy::root("root");
    let serials = [[0x40; 16], [0x41; 16]];
    let entries = serials
        .iter()
        .map(|serial| entry(serial, RevocationReason::Superseded));
    let der = build_crl(&issuer(&root), &fields(1), entries).unwrap();
    for at in 0..der.len() {
        let mut broken = der.clone();
        broken[at] ^= 0x10;
        let taken = UnverifiedCrl::read(broken)
            .is_ok_and(|list| list.verify(&root.certificate, NOW).is_ok());
        assert!(!taken, "byte {at}");
    }
    for end in 0..der.len() {
        assert!(
            UnverifiedCrl::read(der[..end].to_vec()).is_err(),
            "{end} bytes"
        );
    }
}

/// The list that `build_crl` makes, with extensions of our choice and a signature that does not
/// matter: what is refused here is refused before signatures are looked at.
fn with_extensions(of_entry: &[u8], of_list: &[u8]) -> Result<UnverifiedCrl, CrlError> {
    let algorithm = der(0x30, &oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]));
    let time = der(0x17, b"260101000000Z");
    let one = [der(2, &[7]), time.clone(), der(0x30, of_entry)].concat();
    let fields = [
        der(2, &[1]),
        algorithm.clone(),
        der(0x30, &[]),
        time,
        der(0x30, &der(0x30, &one)),
        der(0xa0, &der(0x30, of_list)),
    ];
    let list = [der(0x30, &fields.concat()), algorithm, der(3, &[0, 1])];
    UnverifiedCrl::read(der(0x30, &list.concat()))
}

fn extension(last: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical {
        der(1, &[0xff])
    } else {
        Vec::new()
    };
    der(
        0x30,
        &[oid(&[0x55, 0x1d, last]), critical, der(4, value)].concat(),
    )
}

#[test]
fn partial_lists_and_what_is_not_understood_are_refused_in_words() {
    let point = |field: &[u8]| extension(28, true, &der(0x30, field));
    let of_list = |list: Vec<u8>| with_extensions(&[], &list).unwrap_err();
    assert_eq!(of_list(extension(27, true, &der(2, &[1]))), CrlError::Delta);
    assert_eq!(of_list(point(&der(0x84, &[0xff]))), CrlError::Indirect);
    for (tag, value) in [
        (0x81, &[0xff][..]),
        (0x82, &[0xff]),
        (0x83, &[0, 0]),
        (0x85, &[0xff]),
    ] {
        let refused = of_list(point(&der(tag, value)));
        assert!(matches!(refused, CrlError::Partial(_)), "{tag}: {refused}");
    }
    let unknown = of_list(extension(99, true, &[5, 0]));
    assert_eq!(
        unknown.to_string(),
        "its critical extension 2.5.29.99 is not understood"
    );
    let number = extension(20, false, &der(2, &[1]));
    assert!(with_extensions(&[], &number).is_ok());
    assert!(with_extensions(&[], &[number.clone(), number].concat()).is_err());
    assert!(with_extensions(&[], &extension(99, false, &[5, 0])).is_ok());

    let of_entry = |list: Vec<u8>| with_extensions(&list, &[]).map(|_| ());
    assert_eq!(
        of_entry(extension(29, true, &der(0x30, &[]))),
        Err(CrlError::Indirect)
    );
    assert_eq!(
        of_entry(extension(21, false, &der(10, &[8]))),
        Err(CrlError::Reason(8))
    );
    assert_eq!(of_entry(extension(21, false, &der(10, &[1]))), Ok(()));
    assert_eq!(
        of_entry(extension(24, false, &der(24, b"20260101000000Z"))),
        Ok(())
    );
    assert!(matches!(
        of_entry(extension(99, true, &[])),
        Err(CrlError::Critical(_))
    ));
}

#[test]
fn a_file_that_is_no_list_is_named() {
    let root = Toy::root("root");
    let der = build_crl(&issuer(&root), &fields(1), []).unwrap();
    let list = crl_to_pem(&der);
    for wrong in [
        root.certificate.to_pem(),
        format!("{list}{list}"),
        "hello".to_owned(),
    ] {
        let refused = UnverifiedCrl::read(wrong.into_bytes()).unwrap_err();
        assert!(matches!(refused, CrlError::Pem(_)), "{refused}");
    }
    assert!(UnverifiedCrl::read(root.certificate.der().to_vec()).is_err());
    assert!(UnverifiedCrl::read(list.into_bytes()).is_ok());
}

#[test]
fn later_numbers_are_greater_whatever_their_length() {
    let root = Toy::root("root");
    let number = |number| {
        let der = build_crl(&issuer(&root), &fields(number), []).unwrap();
        let list = read(&der).verify(&root.certificate, NOW).unwrap();
        list.number().unwrap().clone()
    };
    let numbers: Vec<_> = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x8000, u64::MAX]
        .map(number)
        .into();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_built_reads_as_it_was(
        rows in proptest::collection::vec((any::<[u8; 16]>(), 0_i64..3_000_000_000, 0_usize..9), 0..40),
        number: u64,
        shard: Option<u8>,
    ) {
        let root = Toy::root("root");
        let url = shard.map(|shard| format!("http://pki.example/crl/{shard}"));
        let fields = CrlFields { distribution_point: url.as_deref(), ..fields(number) };
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(mut serial, seconds, reason)| {
                serial[0] |= 1;
                let when = Timestamp::from_unix_seconds(seconds);
                (serial, when, RevocationReason::all().nth(reason).unwrap())
            })
            .collect();
        let entries: Vec<_> = rows
            .iter()
            .map(|(serial, when, reason)| RevokedEntry { serial, when: *when, reason: *reason })
            .collect();
        let der = build_crl(&issuer(&root), &fields, entries.iter().copied()).unwrap();
        let list = read(&der).verify(&root.certificate, NOW).unwrap();
        prop_assert_eq!(list.entries().collect::<Vec<_>>(), entries);
        prop_assert_eq!(list.len(), rows.len());
        prop_assert_eq!(list.distribution_point(), url.as_deref());
        prop_assert_eq!((list.this_update(), list.next_update()), (days(0), Some(days(7))));
    }
}
