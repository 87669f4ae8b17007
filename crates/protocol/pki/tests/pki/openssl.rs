//! Certificates and keys that the OpenSSL command line makes: what people
//! without `muster ca` bring.

use std::path::Path;
use std::process::{Command, Output};

use ids::Timestamp;
use pki::{
    Certificate, IssuerCache, KeyError, LeafKey, PresentedChain, PrivateKey, pin_leaf, verify_chain,
};

/// A folder in which OpenSSL works.
pub struct Workshop(tempfile::TempDir);

impl Workshop {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs OpenSSL, which must succeed; what it prints.
    pub fn openssl(&self, arguments: &str) -> String {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        self.openssl_with(&arguments)
    }

    pub fn openssl_with(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &stderr
    }

    /// Runs OpenSSL, which must fail; what it prints.
    pub fn refused(&self, arguments: &str) -> String {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let output = self.run(&arguments);
        assert!(!output.status.success(), "openssl {arguments:?} succeeds");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("openssl")
            .args(arguments)
            .current_dir(self.path())
            .output()
            .expect("these tests need the openssl command; on Debian: apt-get install openssl")
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    pub fn certificate(&self, name: &str) -> Certificate {
        Certificate::parse_one(self.read(name).as_bytes()).unwrap()
    }
}

/// The middle of what the certificate is valid for: OpenSSL dates by the machine's clock.
pub fn while_valid(certificate: &Certificate) -> Timestamp {
    let (from, to) = (certificate.not_before(), certificate.not_after());
    from.plus(to.since(from) / 2)
}

const CA_EXTENSIONS: &str = "basicConstraints=critical,CA:TRUE\n\
     keyUsage=critical,digitalSignature,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n\
     authorityKeyIdentifier=keyid,issuer\n";
const LEAF_EXTENSIONS: &str = "basicConstraints=CA:FALSE\nnsCertType=client,email\n\
     nsComment=\"test\"\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\n\
     keyUsage=critical,nonRepudiation,digitalSignature,keyEncipherment\n\
     extendedKeyUsage=clientAuth,emailProtection\n";

#[test]
fn rsa_4096_authorities_and_an_rsa_2048_leaf_as_the_article_makes_them() {
    let shop = Workshop::new();
    shop.write("ca.ext", CA_EXTENSIONS);
    shop.write("leaf.ext", LEAF_EXTENSIONS);
    shop.openssl(
        "req -x509 -new -newkey rsa:4096 -nodes -keyout root.key -out root.pem -days 30 \
         -sha256 -subj /CN=Root/O=Contoso -addext keyUsage=critical,keyCertSign,cRLSign",
    );
    shop.openssl(
        "req -new -newkey rsa:4096 -nodes -keyout middle.key -out middle.csr -subj /CN=Middle",
    );
    shop.openssl(
        "x509 -req -in middle.csr -CA root.pem -CAkey root.key -CAcreateserial -out \
         middle.pem -days 20 -sha384 -extfile ca.ext",
    );
    shop.openssl(
        "req -new -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=edge-001",
    );
    shop.openssl(
        "x509 -req -in leaf.csr -CA middle.pem -CAkey middle.key -set_serial 0x1000 -out \
         leaf.pem -days 10 -sha256 -extfile leaf.ext",
    );

    let (root, middle, leaf) = (
        shop.certificate("root.pem"),
        shop.certificate("middle.pem"),
        shop.certificate("leaf.pem"),
    );
    assert_eq!(root.subject(), "O=Contoso, CN=Root");
    assert_eq!(leaf.serial_hex(), "1000");
    let all = vec![leaf.clone(), middle.clone(), root.clone()];
    let presented = PresentedChain::from_certificates(all).unwrap();
    let cache = IssuerCache::default();
    for trust_anchor in [&root, &middle, &root] {
        let verified = verify_chain(&presented, trust_anchor, while_valid(&leaf), &cache).unwrap();
        assert_eq!(verified.leaf().subject_common_name(), Some("edge-001"));
    }
    let key = PrivateKey::from_pem(&shop.read("leaf.key"), None).unwrap();
    key.matches(&leaf).unwrap();
    shop.openssl("x509 -in leaf.pem -outform DER -out leaf.der");
    let der = std::fs::read(shop.path().join("leaf.der")).unwrap();
    assert_eq!(Certificate::parse_one(&der).unwrap(), leaf);
}

#[test]
fn a_version_1_leaf_verifies_pins_and_proves_possession() {
    let shop = Workshop::new();
    shop.write("ca.ext", CA_EXTENSIONS);
    shop.openssl(
        "req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout \
         root.key -out root.pem -days 30 -subj /CN=Root",
    );
    shop.openssl(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout middle.key \
         -out middle.csr -subj /CN=Middle",
    );
    shop.openssl(
        "x509 -req -in middle.csr -CA root.pem -CAkey root.key -set_serial 2 -out \
         middle.pem -days 20 -extfile ca.ext",
    );
    shop.openssl(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key \
         -out leaf.csr -subj /CN=edge-001",
    );
    shop.openssl(
        "x509 -req -in leaf.csr -CA middle.pem -CAkey middle.key -set_serial 3 -out \
         leaf.pem -days 10",
    );
    let (root, middle, leaf) = (
        shop.certificate("root.pem"),
        shop.certificate("middle.pem"),
        shop.certificate("leaf.pem"),
    );
    assert_eq!(
        leaf.version(),
        1,
        "this OpenSSL makes version 3 without extensions"
    );
    let now = while_valid(&leaf);
    let presented = PresentedChain::from_certificates(vec![leaf.clone(), middle.clone()]).unwrap();
    let cache = IssuerCache::default();
    for _ in 0..2 {
        assert!(verify_chain(&presented, &root, now, &cache).is_ok());
    }
    assert_eq!(cache.len(), 1);
    assert!(verify_chain(&presented, &middle, now, &cache).is_ok());
    pin_leaf(&presented, leaf.sha256(), now).unwrap();
    let alone = PresentedChain::from_certificates(vec![leaf.clone()]).unwrap();
    let gap = verify_chain(&alone, &root, now, &cache).unwrap_err();
    assert_eq!(gap.code(), "issuer_missing");
    assert_proves_possession(&shop, &leaf, &middle);
}

/// A signature of the leaf's key is valid for the leaf, and not for another certificate.
fn assert_proves_possession(shop: &Workshop, leaf: &Certificate, other: &Certificate) {
    shop.write("message", "hello");
    shop.openssl("dgst -sha256 -sign leaf.key -out signature message");
    let signature = std::fs::read(shop.path().join("signature")).unwrap();
    let algorithms = [
        webpki::aws_lc_rs::ECDSA_P256_SHA256,
        webpki::aws_lc_rs::ED25519,
    ];
    let signed = |certificate: &Certificate, message: &[u8]| {
        let key = LeafKey::of(certificate.der()).unwrap();
        key.signed(&algorithms, message, &signature)
    };
    assert!(signed(leaf, b"hello"));
    assert!(!signed(leaf, b"hullo"));
    assert!(!signed(other, b"hello"));
}

#[test]
fn name_constraints_hold_for_leaves_of_either_version_from_the_cache_too() {
    let shop = Workshop::new();
    shop.write("leaf.ext", LEAF_EXTENSIONS);
    shop.write(
        "root.cnf",
        "[req]\ndistinguished_name=n\nx509_extensions=e\n[n]\n[e]\n\
         basicConstraints=critical,CA:TRUE\n\
         nameConstraints=critical,permitted;dirName:d\n[d]\nO=Contoso\n",
    );
    shop.openssl(
        "req -x509 -new -config root.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
         -nodes -keyout root.key -out root.pem -days 30 -subj /CN=Root",
    );
    for (name, organization) in [("in", "Contoso"), ("out", "Fabrikam")] {
        shop.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout \
             leaf.key -out leaf.csr -subj /O={organization}/CN=edge-001"
        ));
        let sign = "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -days 10 -set_serial";
        shop.openssl(&format!("{sign} 3 -out {name}1.pem"));
        shop.openssl(&format!("{sign} 4 -out {name}3.pem -extfile leaf.ext"));
    }
    let root = shop.certificate("root.pem");
    let cache = IssuerCache::default();
    let verify = |name: &str| {
        let leaf = shop.certificate(name);
        let now = while_valid(&leaf);
        let presented = PresentedChain::from_certificates(vec![leaf]).unwrap();
        verify_chain(&presented, &root, now, &cache)
    };
    for _ in 0..2 {
        for name in ["out1.pem", "out3.pem"] {
            let refused = verify(name).unwrap_err();
            assert_eq!(refused.code(), "name_constraint_violated", "{name}");
        }
        for name in ["in1.pem", "in3.pem"] {
            verify(name).unwrap();
        }
        assert_eq!(cache.len(), 1);
    }
}

#[test]
fn every_key_that_openssl_writes_is_read() {
    let shop = Workshop::new();
    shop.openssl("genrsa -out rsa8.pem 2048");
    shop.openssl("rsa -in rsa8.pem -traditional -out rsa1.pem");
    shop.openssl("ecparam -name prime256v1 -genkey -out sec1.pem");
    shop.openssl("pkcs8 -topk8 -nocrypt -in sec1.pem -out ec8.pem");
    shop.openssl("ecparam -name secp384r1 -genkey -noout -out p384.pem");
    shop.openssl("ecparam -name secp521r1 -genkey -noout -out p521.pem");
    shop.openssl("genpkey -algorithm ed25519 -out ed.pem");
    let spki = |name: &str| {
        PrivateKey::from_pem(&shop.read(name), None)
            .unwrap()
            .spki_der()
    };
    assert_eq!(spki("rsa8.pem"), spki("rsa1.pem"));
    assert_eq!(spki("sec1.pem"), spki("ec8.pem"));
    for name in ["rsa8.pem", "sec1.pem", "p384.pem", "p521.pem", "ed.pem"] {
        shop.openssl(&format!(
            "pkey -in {name} -pubout -outform DER -out public.der"
        ));
        assert_eq!(
            spki(name),
            std::fs::read(shop.path().join("public.der")).unwrap(),
            "{name}"
        );
    }
    shop.openssl("pkcs8 -topk8 -in sec1.pem -out sealed.pem -passout pass:1234");
    let open = |passphrase| PrivateKey::from_pem(&shop.read("sealed.pem"), passphrase);
    assert_eq!(
        open(Some(b"1234".as_slice())).unwrap().spki_der(),
        spki("sec1.pem")
    );
    assert_eq!(
        open(Some(b"4321".as_slice())).unwrap_err(),
        KeyError::WrongPassphrase
    );
    shop.openssl("rsa -in rsa8.pem -traditional -aes256 -passout pass:1234 -out dek.pem");
    let old = PrivateKey::from_pem(&shop.read("dek.pem"), Some(b"1234"));
    assert_eq!(old.unwrap_err(), KeyError::OldEncryption);
    shop.openssl("pkcs8 -topk8 -v2 des3 -in sec1.pem -out des.pem -passout pass:1234");
    let des = PrivateKey::from_pem(&shop.read("des.pem"), Some(b"1234"));
    assert_eq!(des.unwrap_err(), KeyError::OldEncryption);
    shop.openssl("ecparam -name secp256k1 -genkey -noout -out k1.pem");
    let unknown = PrivateKey::from_pem(&shop.read("k1.pem"), None);
    assert!(matches!(unknown, Err(KeyError::Unreadable(_))));
}

#[test]
fn openssl_opens_what_we_encrypt() {
    let shop = Workshop::new();
    let key = PrivateKey::generate(pki::KeyType::Ec).unwrap();
    shop.write(
        "sealed.pem",
        &key.to_encrypted_pem(b"correct horse").unwrap(),
    );
    shop.write("pass", "correct horse\n");
    shop.openssl("pkey -in sealed.pem -passin file:pass -pubout -outform DER -out public.der");
    assert_eq!(
        std::fs::read(shop.path().join("public.der")).unwrap(),
        key.spki_der()
    );
}

#[test]
fn short_rsa_keys_issue_nothing_for_us() {
    let shop = Workshop::new();
    shop.openssl(
        "req -x509 -new -newkey rsa:1024 -nodes -keyout root.key -out root.pem -days 30 \
         -subj /CN=Weak",
    );
    shop.openssl(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key \
         -out leaf.csr -subj /CN=edge-001",
    );
    shop.write("leaf.ext", LEAF_EXTENSIONS);
    shop.openssl(
        "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 3 -out leaf.pem \
         -days 10 -extfile leaf.ext",
    );
    let (root, leaf) = (shop.certificate("root.pem"), shop.certificate("leaf.pem"));
    let presented = PresentedChain::from_certificates(vec![leaf.clone()]).unwrap();
    let fault = verify_chain(
        &presented,
        &root,
        while_valid(&leaf),
        &IssuerCache::default(),
    );
    assert_eq!(fault.unwrap_err().code(), "algorithm_unsupported");
}
