//! OCSP: requests of OpenSSL, answers that OpenSSL verifies, and requests that are refused.

use pki::{
    CaHashes, Certificate, Issuer, MAX_OCSP_IDS, OcspAnswer, OcspFailure, OcspHash, OcspRequest,
    OcspRequestError, OcspStatus, PrivateKey, RevocationReason, build_ocsp_response, ocsp_failure,
};

use crate::der::{der, oid};
use crate::openssl::Workshop;
use crate::toy::Toy;

struct Shop {
    files: Workshop,
    issuer: Issuer,
    leaf: Certificate,
}

impl Shop {
    fn open() -> Self {
        let files = Workshop::new();
        files.openssl(
            "req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key \
             -out ca.pem -days 30 -subj /CN=CA",
        );
        let ca = files.certificate("ca.pem");
        for name in ["one", "two"] {
            files.openssl(&format!(
                "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key \
                 -out leaf.csr -subj /CN={name}"
            ));
            files.openssl(&format!(
                "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem \
                 -days 20"
            ));
        }
        let key = PrivateKey::from_pem(&files.read("ca.key"), None).unwrap();
        let leaf = files.certificate("one.pem");
        let issuer = Issuer::new(ca, key).unwrap();
        Self {
            files,
            issuer,
            leaf,
        }
    }

    /// OpenSSL's request for one.pem; the hash must stand before the certificates it is for.
    fn request(&self, hash: &str, others: &str) -> Vec<u8> {
        self.files.openssl(&format!(
            "ocsp -issuer ca.pem {hash} -cert one.pem {others} -reqout request.der"
        ));
        std::fs::read(self.files.path().join("request.der")).unwrap()
    }

    /// What OpenSSL says with these options after it verified an answer to the last request.
    fn answered(&self, status: OcspStatus, options: &str) -> String {
        let request = std::fs::read(self.files.path().join("request.der")).unwrap();
        let request = OcspRequest::read(&request).unwrap();
        let answers: Vec<_> = request
            .ids
            .iter()
            .map(|id| OcspAnswer {
                cert_id: id.der(),
                status,
                this_update: self.leaf.not_before(),
                next_update: Some(self.leaf.not_after()),
            })
            .collect();
        let now = self.leaf.not_before();
        let response = build_ocsp_response(&self.issuer, &answers, request.nonce, now).unwrap();
        std::fs::write(self.files.path().join("response.der"), response).unwrap();
        let text = self.files.openssl(&format!(
            "ocsp -respin response.der -issuer ca.pem -CAfile ca.pem -resp_text {options}"
        ));
        assert!(text.contains("Response verify OK"), "{text}");
        text
    }
}

#[test]
fn openssl_verifies_every_status_with_either_hash() {
    let shop = Shop::open();
    let when = shop.leaf.not_before();
    let held = OcspStatus::Revoked {
        when,
        reason: RevocationReason::CertificateHold,
    };
    let revoked = OcspStatus::Revoked {
        when,
        reason: RevocationReason::Unspecified,
    };
    for hash in ["-sha1", "-sha256"] {
        for (status, wanted) in [
            (OcspStatus::Good, "one.pem: good"),
            (held, "Reason: certificateHold"),
            (revoked, "one.pem: revoked"),
            (OcspStatus::Unknown, "one.pem: unknown"),
        ] {
            shop.request(hash, "-no_nonce");
            let text = shop.answered(status, &format!("{hash} -cert one.pem -no_nonce"));
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    }
}

#[test]
fn a_nonce_comes_back() {
    let shop = Shop::open();
    shop.request("", "-nonce");
    let text = shop.answered(OcspStatus::Good, "-reqin request.der");
    assert!(text.contains("OCSP Nonce"), "{text}");
    assert!(!text.contains("WARNING: no nonce"), "{text}");
    shop.request("", "-nonce");
    let old = "ocsp -respin response.der -reqin request.der -issuer ca.pem -CAfile ca.pem";
    assert!(shop.files.refused(old).contains("Nonce Verify error"));
}

#[test]
fn several_certificates_are_asked_for_at_once() {
    let shop = Shop::open();
    let bytes = shop.request("", "-cert two.pem -no_nonce");
    let request = OcspRequest::read(&bytes).unwrap();
    let two = shop.files.certificate("two.pem");
    let hex = |serial: &[u8]| {
        serial
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect::<String>()
    };
    let serials: Vec<_> = request.ids.iter().map(|id| hex(id.serial)).collect();
    assert_eq!(serials, [shop.leaf.serial_hex(), two.serial_hex()]);
    let hashes = CaHashes::of(shop.issuer.certificate());
    assert!(request.ids.iter().all(|id| hashes.name(id)));
    let other = CaHashes::of(&Toy::root("CA").certificate);
    assert!(!request.ids.iter().any(|id| other.name(id)));
    let text = shop.answered(OcspStatus::Good, "-cert one.pem -cert two.pem -no_nonce");
    assert!(
        text.contains("one.pem: good") && text.contains("two.pem: good"),
        "{text}"
    );
}

#[test]
fn our_cert_ids_are_those_of_openssl() {
    let shop = Shop::open();
    let hashes = CaHashes::of(shop.issuer.certificate());
    for (option, hash) in [("-sha1", OcspHash::Sha1), ("-sha256", OcspHash::Sha256)] {
        let bytes = shop.request(option, "-no_nonce");
        let request = OcspRequest::read(&bytes).unwrap();
        let id = request.ids[0];
        assert_eq!(id.hash, Some(hash));
        assert_eq!(hashes.cert_id(hash, id.serial), id.der());
    }
}

#[test]
fn other_hashes_are_read_and_name_no_ca() {
    let shop = Shop::open();
    let bytes = shop.request("-sha384", "-no_nonce");
    let request = OcspRequest::read(&bytes).unwrap();
    assert_eq!(request.ids[0].hash, None);
    assert!(!CaHashes::of(shop.issuer.certificate()).name(&request.ids[0]));
}

#[test]
fn failures_are_five_bytes_that_openssl_reads() {
    let shop = Shop::open();
    for (failure, wanted) in [
        (OcspFailure::MalformedRequest, "malformedrequest (1)"),
        (OcspFailure::InternalError, "internalerror (2)"),
        (OcspFailure::TryLater, "trylater (3)"),
        (OcspFailure::Unauthorized, "unauthorized (6)"),
    ] {
        std::fs::write(shop.files.path().join("failure.der"), ocsp_failure(failure)).unwrap();
        let text = shop
            .files
            .refused("ocsp -respin failure.der -issuer ca.pem -cert one.pem");
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

fn cert_id(serial: &[u8]) -> Vec<u8> {
    cert_id_with(&der(5, &[]), serial)
}

fn cert_id_with(parameters: &[u8], serial: &[u8]) -> Vec<u8> {
    let sha1 = oid(&[0x2b, 0x0e, 3, 2, 26]);
    let hash = der(0x30, &[sha1, parameters.to_vec()].concat());
    let octets = der(4, &[7; 20]);
    der(
        0x30,
        &[hash, octets.clone(), octets, der(2, serial)].concat(),
    )
}

fn request(ids: usize, extensions: &[Vec<u8>]) -> Vec<u8> {
    request_for(&der(0x30, &cert_id(&[9])).repeat(ids), extensions)
}

fn request_for(ids: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let list = der(0x30, ids);
    let extensions = match extensions {
        [] => Vec::new(),
        some => der(0xa2, &der(0x30, &some.concat())),
    };
    der(0x30, &der(0x30, &[list, extensions].concat()))
}

fn nonce(value: &[u8]) -> Vec<u8> {
    let name = oid(&[0x2b, 6, 1, 5, 5, 7, 48, 1, 2]);
    der(0x30, &[name, der(4, value)].concat())
}

#[test]
fn nonces_have_1_to_128_bytes() {
    let read = |length: usize| {
        let bytes = request(1, &[nonce(&der(4, &vec![5; length]))]);
        OcspRequest::read(&bytes).map(|request| request.nonce.map(<[u8]>::len))
    };
    assert_eq!(read(0), Err(OcspRequestError::Nonce));
    assert_eq!(read(1), Ok(Some(1)));
    assert_eq!(read(128), Ok(Some(128)));
    assert_eq!(read(129), Err(OcspRequestError::Nonce));
    let twice = request(1, &[nonce(&der(4, &[1])), nonce(&der(4, &[1]))]);
    assert_eq!(OcspRequest::read(&twice), Err(OcspRequestError::Nonce));
    let bare = request(1, &[nonce(&[1, 2, 3, 4])]);
    assert!(matches!(
        OcspRequest::read(&bare),
        Err(OcspRequestError::NotARequest(_))
    ));
}

#[test]
fn requests_are_limited_and_cut_ones_are_refused() {
    assert_eq!(
        OcspRequest::read(&request(0, &[])),
        Err(OcspRequestError::Empty)
    );
    assert_eq!(
        OcspRequest::read(&request(MAX_OCSP_IDS, &[]))
            .unwrap()
            .ids
            .len(),
        MAX_OCSP_IDS
    );
    let many = request(MAX_OCSP_IDS + 1, &[]);
    assert_eq!(OcspRequest::read(&many), Err(OcspRequestError::TooLarge));
    assert_eq!(
        OcspRequest::read(&request(200, &[])),
        Err(OcspRequestError::TooLarge)
    );
    let critical = [oid(&[0x2b, 1]), der(1, &[0xff]), der(4, &[])].concat();
    let critical = request(1, &[der(0x30, &critical)]);
    assert_eq!(
        OcspRequest::read(&critical),
        Err(OcspRequestError::Critical)
    );
    let whole = request(2, &[nonce(&der(4, &[1; 16]))]);
    OcspRequest::read(&whole).unwrap();
    for end in 0..whole.len() {
        assert!(OcspRequest::read(&whole[..end]).is_err(), "{end} bytes");
    }
}

#[test]
fn serial_numbers_are_positive_and_minimal() {
    let read = |serial: &[u8]| {
        let bytes = request_for(&der(0x30, &cert_id(serial)), &[]);
        OcspRequest::read(&bytes).map(|request| request.ids[0].serial.to_vec())
    };
    assert_eq!(read(&[0, 0x8d]), Ok(vec![0x8d]));
    for wrong in [&[][..], &[0x8d], &[0, 9], &[0xff, 0x8d]] {
        assert!(
            matches!(read(wrong), Err(OcspRequestError::NotARequest(_))),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_certificate_is_named_in_two_ways_with_one_hash() {
    let is_read = |parameters: &[u8]| {
        let id = der(0x30, &cert_id_with(parameters, &[9]));
        OcspRequest::read(&request_for(&id, &[])).is_ok()
    };
    assert!(is_read(&[]) && is_read(&der(5, &[])));
    for wrong in [der(5, &[0]), der(5, &[1, 2, 3]), der(4, &[])] {
        assert!(!is_read(&wrong), "{wrong:?}");
    }
}
