use pki::{Certificate, read_certs_only};
use wire::est::decode;

use super::AnswerError;

/// The longest chain that is made, certificates.
const MAX_CHAIN: usize = 10;

/// Reads the certificates of an answer: base64 of PKCS#7 as RFC 7030 has it, its DER, or PEM.
pub fn read_certificates(body: &[u8]) -> Result<Vec<Certificate>, AnswerError> {
    let inner = without_armour(body);
    let der = decode(&inner).map_err(AnswerError::Body)?;
    Ok(read_certs_only(&der)?)
}

/// Without the first and last line of PEM, which some servers send.
fn without_armour(body: &[u8]) -> Vec<u8> {
    if !body.trim_ascii_start().starts_with(b"-----BEGIN") {
        return body.to_vec();
    }
    let lines = body.split(|byte| *byte == b'\n');
    let inner = lines.filter(|line| !line.trim_ascii().starts_with(b"-----"));
    inner.collect::<Vec<_>>().join(&b'\n')
}

/// A certificate, followed by its issuers as far as they are in `pool`, in order.
#[must_use]
pub fn complete_chain(leaf: Certificate, pool: &[Certificate]) -> Vec<Certificate> {
    let mut chain = vec![leaf];
    while let Some(last) = chain.last().filter(|last| !last.is_self_issued()) {
        let is_next = |one: &&Certificate| {
            !chain.contains(one) && last.is_issued_by_name(one) && last.is_signed_by(one)
        };
        match pool.iter().find(is_next) {
            Some(issuer) if chain.len() < MAX_CHAIN => chain.push(issuer.clone()),
            _ => break,
        }
    }
    chain
}

/// The start of a text for people.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let printed = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.trim().chars().take(200).map(printed).collect();
    match text.is_empty() {
        true => "(no text)".to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ids::Timestamp;
    use pki::{
        Issuer, KeyType, PrivateKey, Profile, Serial, Subject, Validity, certs_only, prepare,
    };
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);

    fn certificate(profile: Profile, name: &str, issuer: Option<&Issuer>) -> (Certificate, Issuer) {
        let key = PrivateKey::generate(KeyType::Ec).unwrap();
        let subject = Subject::common_name(name).unwrap();
        let validity = Validity::UpTo(Duration::from_secs(3600));
        let serial = Serial::random().unwrap();
        let prepared = prepare(profile, &subject, issuer, validity, serial, NOW).unwrap();
        let made = prepared.lint().unwrap().sign(&key).unwrap();
        (made.clone(), Issuer::new(made, key).unwrap())
    }

    fn chain() -> Vec<Certificate> {
        let (root, by_root) = certificate(Profile::Root { path_length: 2 }, "root", None);
        let below = Profile::Intermediate { path_length: 1 };
        let (middle, by_middle) = certificate(below, "middle", Some(&by_root));
        let (last, _) = certificate(Profile::EdgeCa, "last", Some(&by_middle));
        vec![last, middle, root]
    }

    #[test]
    fn a_chain_is_put_in_order_whatever_else_is_there() {
        let chain = chain();
        let (other, _) = certificate(Profile::Root { path_length: 2 }, "root", None);
        let pool = [
            chain[2].clone(),
            other,
            chain[0].clone(),
            chain[1].clone(),
            chain[1].clone(),
        ];
        assert_eq!(complete_chain(chain[0].clone(), &pool), chain);
        assert_eq!(complete_chain(chain[0].clone(), &pool[..3]).len(), 1);
        assert_eq!(complete_chain(chain[2].clone(), &pool).len(), 1);
    }

    #[test]
    fn answers_as_servers_send_them() {
        let chain = chain();
        let all: Vec<&Certificate> = chain.iter().collect();
        let der = certs_only(&all);
        let lines = wire::est::encode(&der);
        let pem = format!("-----BEGIN PKCS7-----\n{lines}-----END PKCS7-----\n");
        let one_line = wire::est::encode_in_one_line(&der);
        for body in [
            der.as_slice(),
            lines.as_bytes(),
            one_line.as_bytes(),
            pem.as_bytes(),
        ] {
            assert_eq!(read_certificates(body).unwrap(), chain);
        }
        for (body, words) in [
            (&b""[..], "base64"),
            (b"<html>", "base64"),
            (b"-----BEGIN PKCS7-----\n-----END PKCS7-----", "base64"),
            (b"MIIB", "no list"),
            (chain[0].der(), "no list"),
        ] {
            let error = read_certificates(body).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn texts_of_servers_are_short_and_of_one_line() {
        assert_eq!(excerpt(b" no\x1b[31m\nuse \n"), "no [31m use");
        assert_eq!(excerpt(b" \r\n"), "(no text)");
        assert_eq!(excerpt(&[b'x'; 1000]).len(), 200);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_certificates(&body);
        }

        #[test]
        fn an_answer_with_a_changed_byte_is_read_or_refused(at in 0usize..800, to in any::<u8>()) {
            let (root, _) = certificate(Profile::Root { path_length: 2 }, "root", None);
            let mut der = certs_only(&[&root]);
            let at = at % der.len();
            der[at] = to;
            let _ = read_certificates(wire::est::encode(&der).as_bytes());
        }
    }
}
