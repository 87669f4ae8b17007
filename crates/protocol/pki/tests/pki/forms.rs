//! Certificates in the forms in which people have them. Whatever is done to a text, no certificate
//! in it is skipped: all of them are read, in their order, or the text is refused (P1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::{Certificate, PemError, RequestError, prove_request};

use crate::openssl::Workshop;
use crate::toy::Toy;

/// What is done to one block, by name, and whether it can still be read.
type Change = (&'static str, bool, fn(&str) -> String);

const CHANGES: &[Change] = &[
    ("as it is", true, str::to_owned),
    ("byte order mark", true, |pem| format!("\u{feff}{pem}")),
    ("indented", true, |pem| {
        pem.lines().map(|line| format!("   {line}\n")).collect()
    }),
    ("text before the marker", true, |pem| {
        format!("certificate: {pem}")
    }),
    ("text around", true, |pem| {
        format!("Bag Attributes\n    friendlyName: edge\n{pem}\nthe end\n")
    }),
    ("carriage returns", true, |pem| pem.replace('\n', "\r\n")),
    ("only carriage returns", true, |pem| pem.replace('\n', "\r")),
    ("one line", true, |pem| pem.replace('\n', "")),
    ("blanks for line ends", true, |pem| pem.replace('\n', " ")),
    ("escaped line ends", true, |pem| pem.replace('\n', "\\n")),
    ("no last line end", true, |pem| pem.trim_end().to_owned()),
    ("blank lines", true, |pem| pem.replace('\n', "\n\n")),
    ("old label", true, |pem| {
        pem.replace("CERTIFICATE", "X509 CERTIFICATE")
    }),
    ("older label", true, |pem| {
        pem.replace("CERTIFICATE", "X.509 CERTIFICATE")
    }),
    ("blank in the marker", true, |pem| {
        pem.replace("CERTIFICATE-----", "CERTIFICATE -----")
    }),
    ("no padding", true, |pem| pem.replace('=', "")),
    ("openssl's label", false, |pem| {
        pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE")
    }),
    ("unknown label", false, |pem| {
        pem.replace("CERTIFICATE", "ATTRIBUTE CERTIFICATE")
    }),
    ("label of PKCS#7", false, |pem| {
        pem.replace("CERTIFICATE", "PKCS7")
    }),
    ("label of CMS", false, |pem| {
        pem.replace("CERTIFICATE", "CMS")
    }),
    ("four hyphens", false, |pem| pem.replace("-----", "----")),
    ("four hyphens at the beginning", false, |pem| {
        pem.replacen("-----", "----", 1)
    }),
    ("six hyphens", false, |pem| {
        pem.replace("CERTIFICATE-----", "CERTIFICATE------")
    }),
    ("dashes of a word processor", false, |pem| {
        pem.replace("-----", "\u{2013}\u{2013}\u{2013}")
    }),
    ("hyphens apart", false, |pem| {
        pem.replace("-----BEGIN ", "----- BEGIN ")
    }),
    ("small letters", false, |pem| {
        pem.replace("BEGIN CERTIFICATE", "begin certificate")
            .replace("END CERTIFICATE", "end certificate")
    }),
    ("no markers", false, |pem| {
        pem.lines()
            .filter(|line| !line.contains("-----"))
            .map(|line| format!("{line}\n"))
            .collect()
    }),
    ("no end", false, |pem| {
        pem.replace("-----END CERTIFICATE-----", "")
    }),
    ("no beginning", false, |pem| {
        pem.replace("-----BEGIN CERTIFICATE-----", "")
    }),
    ("another end", false, |pem| {
        pem.replace("END CERTIFICATE", "END X509 CERTIFICATE")
    }),
    ("cut", false, |pem| pem.replacen("\nMII", "\n", 1)),
];

/// What is done to the whole file, by name.
type Encoding = (&'static str, fn(&str) -> Vec<u8>);

const FILES: &[Encoding] = &[
    ("UTF-8", |text| text.as_bytes().to_vec()),
    ("UTF-8 with mark", |text| {
        format!("\u{feff}{text}").into_bytes()
    }),
    ("UTF-16 LE", |text| {
        format!("\u{feff}{text}")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect()
    }),
    ("UTF-16 BE", |text| {
        format!("\u{feff}{text}")
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect()
    }),
    ("base64", |text| STANDARD.encode(text).into_bytes()),
];

#[test]
fn every_certificate_of_a_file_is_read_or_the_file_is_refused() {
    let root = Toy::root("Company Root");
    let factory = root.ca("Factory A CA", 1);
    let (root, factory) = (root.certificate, factory.certificate);
    let both = vec![factory.clone(), root.clone()];
    for (first, first_reads, change_first) in CHANGES {
        for (second, second_reads, change_second) in CHANGES {
            let text = format!(
                "{}\n{}",
                change_first(&factory.to_pem()),
                change_second(&root.to_pem())
            );
            for (form, encode) in FILES {
                let file = encode(&text);
                let read = Certificate::read_all(&file);
                let case = format!("{first}, {second}, {form}: {read:?}");
                match &read {
                    Ok(read) => assert_eq!(*read, both, "{case}"),
                    Err(_) => assert!(!first_reads || !second_reads, "{case}"),
                }
                let one = Certificate::parse_one(&file);
                match (read.is_ok(), one) {
                    (true, Err(PemError::Several { count: 2, subjects })) => {
                        assert_eq!(subjects, ["CN=Factory A CA", "CN=Company Root"]);
                    }
                    (false, Err(_)) => {}
                    (_, other) => panic!("{case}: {other:?}"),
                }
            }
            let text = Certificate::parse_pem_bundle(&text);
            assert!(
                text.as_ref().map_or(true, |read| *read == both),
                "{first}, {second}: {text:?}"
            );
        }
    }
}

#[test]
fn one_certificate_is_read_in_every_form_that_can_be_read() {
    let one = Toy::root("Company Root").certificate;
    for (name, reads, change) in CHANGES {
        for (form, encode) in FILES {
            let read = Certificate::parse_one(&encode(&change(&one.to_pem())));
            match read {
                Ok(read) => assert_eq!(read, one, "{name}, {form}"),
                Err(error) => assert!(!reads, "{name}, {form}: {error}"),
            }
        }
    }
    assert_eq!(Certificate::parse_one(one.der()).unwrap(), one);
    let bare = STANDARD.encode(one.der());
    assert_eq!(Certificate::parse_one(bare.as_bytes()).unwrap(), one);
    let marked = format!("\u{feff}{bare}\r\n");
    assert_eq!(Certificate::parse_one(marked.as_bytes()).unwrap(), one);
    // Comments in another encoding than the certificate's.
    let latin = [
        b"friendlyName: Z\xfcrich\n".as_slice(),
        one.to_pem().as_bytes(),
    ]
    .concat();
    assert_eq!(Certificate::parse_one(&latin).unwrap(), one);
}

/// Files without a certificate, and the kind that the error names.
const OTHER_FILES: &[(&str, &str)] = &[
    ("r.pem", "certificate request"),
    ("r.der", "certificate request"),
    ("p7.pem", "PKCS#7"),
    ("p7.der", "PKCS#7"),
    ("p12.der", "PKCS#12"),
    ("k.pem", "private key"),
    ("k.der", "private key"),
    ("sec1.der", "private key"),
    ("sealed.der", "private key"),
    ("rsa.pem", "private key"),
    ("rsa.der", "private key"),
    ("pub.pem", "public key"),
    ("pub.der", "public key"),
    ("trusted.pem", "openssl x509"),
];

/// P1: the error names the kind of a file that holds no certificate.
#[test]
fn another_kind_of_file_is_named() {
    let shop = Workshop::new();
    shop.openssl(
        "req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem \
         -out c.pem -days 3 -subj /CN=Root",
    );
    shop.openssl("req -new -key k.pem -subj /CN=Root -out r.pem");
    shop.openssl("req -in r.pem -outform DER -out r.der");
    shop.openssl("crl2pkcs7 -nocrl -certfile c.pem -out p7.pem");
    shop.openssl("crl2pkcs7 -nocrl -certfile c.pem -outform DER -out p7.der");
    shop.openssl("pkcs12 -export -in c.pem -inkey k.pem -passout pass:x -out p12.der");
    shop.openssl("pkey -in k.pem -outform DER -out k.der");
    shop.openssl("ec -in k.pem -outform DER -out sec1.der");
    shop.openssl("pkcs8 -topk8 -in k.pem -passout pass:x -outform DER -out sealed.der");
    shop.openssl("pkey -in k.pem -pubout -out pub.pem");
    shop.openssl("pkey -in k.pem -pubout -outform DER -out pub.der");
    shop.openssl("x509 -in c.pem -trustout -out trusted.pem");
    shop.openssl("genrsa -traditional -out rsa.pem 2048");
    shop.openssl("rsa -in rsa.pem -outform DER -traditional -out rsa.der");
    for (file, kind) in OTHER_FILES {
        let bytes = std::fs::read(shop.path().join(file)).unwrap();
        let error = Certificate::parse_one(&bytes).unwrap_err().to_string();
        assert!(error.contains(kind), "{file}: {error}");
        let packed = Certificate::parse_one(STANDARD.encode(&bytes).as_bytes());
        let packed = packed.unwrap_err().to_string();
        assert!(packed.contains(kind), "{file}: {packed}");
    }
    let mut bare_utf_16 = Vec::new();
    for unit in format!("\n{}", shop.read("c.pem")).encode_utf16() {
        bare_utf_16.extend(unit.to_le_bytes());
    }
    let error = Certificate::parse_one(&bare_utf_16).unwrap_err();
    assert!(error.to_string().contains("UTF-16"), "{error}");
    // The combined file of many servers: key and certificate.
    let both = format!("{}{}", shop.read("k.pem"), shop.read("c.pem"));
    Certificate::parse_one(both.as_bytes()).unwrap();
    let with_pkcs7 = format!("{}{}", shop.read("p7.pem"), shop.read("c.pem"));
    assert!(Certificate::parse_one(with_pkcs7.as_bytes()).is_err());
    // A secret is not repeated in an error.
    let bare_key: String = shop
        .read("k.pem")
        .lines()
        .filter(|l| !l.contains("--"))
        .collect();
    let error = Certificate::parse_one(format!("{bare_key}\n{}", shop.read("c.pem")).as_bytes());
    let error = format!("{:?}", error.unwrap_err());
    assert!(!error.contains(&bare_key[..20]), "{error}");
}

/// P12: `certreq` and `keytool` write another label; Windows another encoding.
#[test]
fn requests_of_other_tools_are_read() {
    let shop = Workshop::new();
    shop.openssl(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -subj \
         /CN=edge-001 -out r.pem",
    );
    let plain = shop.read("r.pem");
    let windows = plain.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    let utf_16: Vec<u8> = format!("\u{feff}{windows}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for file in [
        windows.clone().into_bytes(),
        format!("\u{feff}{windows}").into_bytes(),
        windows.replace('\n', "\r\n").into_bytes(),
        windows.replace('\n', "").into_bytes(),
        utf_16,
    ] {
        prove_request(&file).unwrap();
    }
    let two = prove_request(format!("\u{feff}{plain}{windows}").as_bytes());
    assert!(matches!(two.unwrap_err(), RequestError::Pem(_)));
}
