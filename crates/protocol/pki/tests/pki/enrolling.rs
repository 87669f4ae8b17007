//! What EST answers with: lists of certificates and attributes of requests, as OpenSSL reads them.

use pki::{
    CmsError, MAX_CMS_CERTIFICATES, RequestKey, certs_only, csr_attributes, read_certs_only,
};

use crate::openssl::Workshop;
use crate::toy::{Toy, key, leaf_params};

#[test]
fn openssl_reads_our_lists_and_we_read_its() {
    let root = Toy::root("root");
    let leaf = Toy::signed(leaf_params("leaf"), key(1), Some(&root));
    let both = [&leaf.certificate, &root.certificate];
    let shop = Workshop::new();
    let list = certs_only(&both);
    std::fs::write(shop.path().join("list.der"), &list).unwrap();
    let text = shop.openssl("pkcs7 -inform DER -in list.der -print_certs");
    let (first, second) = (
        text.find("subject=CN = leaf"),
        text.find("subject=CN = root"),
    );
    assert!(first.is_some() && first < second, "{text}");
    let read = read_certs_only(&list).unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), both);

    shop.write(
        "both.pem",
        &(leaf.certificate.to_pem() + &root.certificate.to_pem()),
    );
    shop.openssl("crl2pkcs7 -nocrl -certfile both.pem -outform DER -out theirs.der");
    let theirs = std::fs::read(shop.path().join("theirs.der")).unwrap();
    let theirs = read_certs_only(&theirs).unwrap();
    assert!(both.iter().all(|one| theirs.contains(one)) && theirs.len() == 2);
}

#[test]
fn signed_content_and_broken_lists_are_refused() {
    let root = Toy::root("root");
    let shop = Workshop::new();
    shop.write("ca.pem", &root.certificate.to_pem());
    shop.write("ca.key", &root.key.to_pem());
    shop.write("hello", "hello");
    shop.openssl(
        "cms -sign -in hello -signer ca.pem -inkey ca.key -outform DER -out signed.der -nodetach",
    );
    let signed = std::fs::read(shop.path().join("signed.der")).unwrap();
    assert_eq!(read_certs_only(&signed), Err(CmsError::NotCertsOnly));

    assert_eq!(read_certs_only(&certs_only(&[])), Err(CmsError::Empty));
    let many = vec![&root.certificate; MAX_CMS_CERTIFICATES + 1];
    assert_eq!(read_certs_only(&certs_only(&many)), Err(CmsError::TooLarge));
    assert!(read_certs_only(&certs_only(&many[1..])).is_ok());
    let one = certs_only(&[&root.certificate]);
    for end in 0..one.len() {
        assert!(read_certs_only(&one[..end]).is_err(), "{end} bytes");
    }
}

#[test]
fn a_request_is_asked_for_one_kind_of_key() {
    let shop = Workshop::new();
    for (key, wanted) in [
        (
            RequestKey::P256,
            ["id-ecPublicKey", "prime256v1", "ecdsa-with-SHA256"],
        ),
        (
            RequestKey::P384,
            ["id-ecPublicKey", "secp384r1", "ecdsa-with-SHA384"],
        ),
        (
            RequestKey::Rsa,
            ["rsaEncryption", "0800", "sha256WithRSAEncryption"],
        ),
    ] {
        std::fs::write(shop.path().join("attributes.der"), csr_attributes(key)).unwrap();
        let text = shop.openssl("asn1parse -inform DER -in attributes.der");
        for part in wanted {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
