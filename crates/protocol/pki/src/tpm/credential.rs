//! `TPM2_MakeCredential` in software (part 1, 24): a secret that a TPM gives out only if it holds
//! both the key that it was encrypted for and the object whose name it is bound to.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;

use super::cipher;
use super::kdf::{Label, kdf_a};
use super::{push_sized, sized};

/// The content of a `TPM2B_ID_OBJECT`.
pub(super) fn make(seed: &[u8], name: &[u8], credential: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let key = kdf_a(seed, Label::Storage, [name, b""], cipher::KEY_LENGTH);
    let mut identity = sized(credential);
    cipher::encrypt(&key, &mut identity)?;
    Ok(authenticate(seed, &identity, name))
}

/// Puts the HMAC before what was encrypted: a `TPM2B_DIGEST` over it and the name.
pub(super) fn authenticate(seed: &[u8], encrypted: &[u8], name: &[u8]) -> Vec<u8> {
    let key = kdf_a(seed, Label::Integrity, [b"", b""], 32);
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    mac.update(encrypted);
    mac.update(name);
    let mut out = Vec::with_capacity(34 + encrypted.len());
    push_sized(&mut out, mac.sign().as_ref());
    out.extend_from_slice(encrypted);
    out
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::tpm::public::Point;
    use crate::tpm::secret::tests::known_agreement;

    /// The known answers of go-tpm: its randomness gives zeros, and its RSA seed has 16 bytes.
    const NAME: &str = "5snpf9qRfKD2Tb72eLAZqC/a/MyUhg+IvdwDZkTJK9w=";
    const CREDENTIAL: &str = "AQIDBAUGBwgBAgMEBQYHCAECAwQFBgcIAQIDBAUGBwg=";

    fn bytes(text: &str) -> Vec<u8> {
        STANDARD.decode(text).unwrap()
    }

    fn name() -> Vec<u8> {
        [vec![0, 0x0b], bytes(NAME)].concat()
    }

    #[test]
    fn an_identity_object_is_the_known_one() {
        let made = make(&[0; 16], &name(), &bytes(CREDENTIAL)).unwrap();
        let expected = "AEQAIFjKZAUo3Wmgxu+CqHFzsQZr7BqawtprBmpXpZa77nb5S+iN6IcSPQLCKPZMNuunv7BIb4/VJA/xjMrj8RnQbjspCwEA";
        let expected = bytes(expected);
        assert_eq!(sized(&made), expected[..expected.len() - 2]);
    }

    #[test]
    fn on_a_curve_the_known_seed_is_agreed_on() {
        let spki = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsIfixqsUp8cJBSeYDhJKCZ32eAHF3rS7HdTMOnoFj1MrX+PutPTxa6SFdhWGLnhEQyfcwRni8veQX/dSP2on2w==";
        let spki = bytes(spki);
        let point = Point {
            x: spki[27..59].try_into().unwrap(),
            y: spki[59..91].try_into().unwrap(),
        };
        let shared = known_agreement(&point);
        let made = make(&shared.seed, &name(), &bytes(CREDENTIAL)).unwrap();
        let whole = [sized(&made), sized(&shared.secret)].concat();
        let expected = "AEQAIE4SquOcMAzLi7f3ru6P8nuIpSmzr8OTACXpzLo3PTOe/oBazv+fZF2JiKDZqNPNeHISCsZMdEtEfvyYjqmzZ/CB7ABEACAeGDfvDRlRiDV1cbXlVFsSLo8JZ/2nJCA+slYczpcoXgAg+CstT57xB59sS1uDVuIyQulYttdJprVoGkEDVmvcWok=";
        assert_eq!(whole, bytes(expected));
    }
}
