use std::process::Command;

use pki::{Certificate, PrivateKey, export_pkcs12};

use crate::openssl::Workshop;
use crate::toy::Toy;

/// What OpenSSL reads of the file `x.pfx`, everything as PEM; an error in its words.
fn read(workshop: &Workshop, passphrase: &str) -> Result<String, String> {
    let output = Command::new("openssl")
        .args(["pkcs12", "-in", "x.pfx", "-nodes", "-passin"])
        .arg(format!("pass:{passphrase}"))
        .current_dir(workshop.path())
        .output()
        .unwrap();
    match output.status.success() {
        // OpenSSL prints names in Latin-1.
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn openssl_opens_an_exported_file_with_its_passphrase_only() {
    let root = Toy::root("Root");
    let leaf = root.leaf("공장-1");
    let workshop = Workshop::new();
    for passphrase in ["1234", "열려라 참깨", ""] {
        let issuers = [&root.certificate];
        let file = export_pkcs12("공장-1", &leaf.certificate, &issuers, &leaf.key, passphrase);
        std::fs::write(workshop.path().join("x.pfx"), &*file.unwrap()).unwrap();
        let text = read(&workshop, passphrase).unwrap();
        let certificates = Certificate::parse_pem_bundle(&text).unwrap();
        assert_eq!(
            certificates,
            [leaf.certificate.clone(), root.certificate.clone()]
        );
        let key = PrivateKey::from_pem(&text, None).unwrap();
        key.matches(&leaf.certificate).unwrap();
        assert!(
            text.contains("friendlyName: ") && text.contains("localKeyID: "),
            "{text}"
        );
        let refused = read(&workshop, "wrong").unwrap_err();
        assert!(refused.contains("invalid password"), "{refused}");
    }
}

#[test]
fn an_exported_file_that_was_changed_is_refused() {
    let root = Toy::root("Root");
    let workshop = Workshop::new();
    let file = export_pkcs12("r", &root.certificate, &[], &root.key, "1234").unwrap();
    let mut changed = file.to_vec();
    // Within the encrypted certificates.
    changed[200] ^= 1;
    std::fs::write(workshop.path().join("x.pfx"), changed).unwrap();
    read(&workshop, "1234").unwrap_err();
}
