//! Makes and destroys keys in a token.

use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType as TokenKeyType, ObjectClass};
use cryptoki::session::Session;
use pki::KeyType;

use super::find;
use crate::uri::KeyClass;
use crate::{KeyLocation, SlotUri, TokenError, TokenUri};

/// How a new key is called: `CKA_LABEL` for people, `CKA_ID` to find it.
#[derive(Debug, Clone, Copy)]
pub struct KeyName<'a> {
    /// Any text.
    pub label: &'a str,
    /// Bytes that no other key of the token has.
    pub id: &'a [u8],
}

/// The object identifiers of P-256 and P-384, as `CKA_EC_PARAMS` has them.
const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: [u8; 7] = [6, 5, 0x2b, 0x81, 4, 0, 0x22];
/// 65537, the public exponent of RSA keys.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// The length of secret keys, bytes: the block of SHA-256 is longer, its output is as long.
const SECRET_BYTES: u64 = 32;

/// Makes a key pair whose private half cannot leave the token.
pub(super) fn pair(
    session: &Session,
    at: &KeyLocation,
    slot: &SlotUri,
    name: &KeyName<'_>,
    kind: KeyType,
) -> Result<TokenUri, TokenError> {
    let (mechanism, parameters, action) = match kind {
        KeyType::Ec => (
            Mechanism::EccKeyPairGen,
            vec![Attribute::EcParams(P256.to_vec())],
            "make a P-256 key by CKM_EC_KEY_PAIR_GEN",
        ),
        KeyType::Ec384 => (
            Mechanism::EccKeyPairGen,
            vec![Attribute::EcParams(P384.to_vec())],
            "make a P-384 key by CKM_EC_KEY_PAIR_GEN",
        ),
        KeyType::Rsa2048 => rsa(2048),
        KeyType::Rsa3072 => rsa(3072),
        KeyType::Rsa4096 => rsa(4096),
        KeyType::MlDsa(level) => {
            return Err(TokenError::KeyKind {
                uri: at.uri.clone(),
                found: level.name().to_owned(),
            });
        }
    };
    let mut public = named(name);
    public.extend([Attribute::Token(true), Attribute::Verify(true)]);
    public.extend(parameters);
    let mut private = named(name);
    private.extend(held());
    let made = session.generate_key_pair(&mechanism, &public, &private);
    made.map_err(|error| at.failed(action, &error))?;
    Ok(slot.key(name.label, name.id, KeyClass::Private))
}

fn rsa(bits: u64) -> (Mechanism<'static>, Vec<Attribute>, &'static str) {
    let parameters = vec![
        Attribute::ModulusBits(bits.into()),
        Attribute::PublicExponent(EXPONENT.to_vec()),
    ];
    let action = "make an RSA key by CKM_RSA_PKCS_KEY_PAIR_GEN";
    (Mechanism::RsaPkcsKeyPairGen, parameters, action)
}

/// Makes a secret key for HMAC-SHA256.
pub(super) fn secret(
    session: &Session,
    at: &KeyLocation,
    slot: &SlotUri,
    name: &KeyName<'_>,
) -> Result<TokenUri, TokenError> {
    let mut wanted = named(name);
    wanted.extend(held());
    wanted.extend([
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(TokenKeyType::GENERIC_SECRET),
        Attribute::ValueLen(SECRET_BYTES.into()),
        Attribute::Verify(true),
    ]);
    let made = session.generate_key(&Mechanism::GenericSecretKeyGen, &wanted);
    let action = "make a secret key by CKM_GENERIC_SECRET_KEY_GEN";
    made.map_err(|error| at.failed(action, &error))?;
    Ok(slot.key(name.label, name.id, KeyClass::Secret))
}

fn named(name: &KeyName<'_>) -> Vec<Attribute> {
    vec![
        Attribute::Label(name.label.as_bytes().to_vec()),
        Attribute::Id(name.id.to_vec()),
    ]
}

/// A key that signs, outlives the session, and never leaves the token.
fn held() -> [Attribute; 5] {
    [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ]
}

/// Destroys the key of a URI, and the public half beside it.
pub(super) fn destroy(
    session: &Session,
    at: &KeyLocation,
    uri: &TokenUri,
) -> Result<(), TokenError> {
    let failed = |error: Error| at.failed("destroy a key", &error);
    let classes: &[ObjectClass] = match uri.class {
        KeyClass::Private => &[ObjectClass::PUBLIC_KEY, ObjectClass::PRIVATE_KEY],
        KeyClass::Secret => &[ObjectClass::SECRET_KEY],
    };
    for class in classes {
        let found = session.find_objects(&find::template(uri, *class));
        for object in found.map_err(failed)? {
            session.destroy_object(object).map_err(failed)?;
        }
    }
    Ok(())
}
