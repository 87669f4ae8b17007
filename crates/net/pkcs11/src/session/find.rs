//! Finds tokens, keys, and the public half of a key.

use std::path::Path;

use cryptoki::context::Pkcs11;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use pki::{KeyAlgorithm, PublicKey};

use super::{OpenKey, in_words};
use crate::uri::KeyClass;
use crate::{KeyLocation, SlotUri, TokenError, TokenUri};

/// The slot with the token of a URI. `wanted` is what errors name.
pub(super) fn slot(
    path: &Path,
    library: &Pkcs11,
    uri: &SlotUri,
    wanted: String,
) -> Result<(Slot, KeyLocation), TokenError> {
    let slots = library.get_slots_with_initialized_token();
    let slots = slots.map_err(|error| TokenError::Library {
        library: path.to_path_buf(),
        problem: in_words(&error),
    })?;
    let mut present = Vec::new();
    for slot in slots {
        let Ok(token) = library.get_token_info(slot) else {
            continue;
        };
        let is_wanted = uri.slot.is_none_or(|wanted| slot.id() == wanted)
            && is_text(uri.token.as_deref(), token.label())
            && is_text(uri.serial.as_deref(), token.serial_number());
        if is_wanted {
            let at = KeyLocation {
                library: path.to_path_buf(),
                slot: slot.id(),
                token: token.label().to_owned(),
                uri: wanted,
            };
            return Ok((slot, at));
        }
        present.push(format!("{:?}", token.label()));
    }
    Err(TokenError::NoToken {
        library: path.to_path_buf(),
        uri: wanted,
        present,
    })
}

fn is_text(wanted: Option<&str>, found: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == found.trim_end())
}

/// The one key of a URI.
pub(super) fn key(
    uri: &TokenUri,
    at: &KeyLocation,
    session: &Session,
) -> Result<ObjectHandle, TokenError> {
    let class = match uri.class {
        KeyClass::Private => ObjectClass::PRIVATE_KEY,
        KeyClass::Secret => ObjectClass::SECRET_KEY,
    };
    let found = session.find_objects(&template(uri, class));
    let found = found.map_err(|error| at.failed("find a key", &error))?;
    match found.as_slice() {
        [key] => Ok(*key),
        keys => Err(TokenError::Keys {
            at: Box::new(at.clone()),
            count: keys.len(),
        }),
    }
}

pub(super) fn template(uri: &TokenUri, class: ObjectClass) -> Vec<Attribute> {
    let mut wanted = vec![Attribute::Class(class)];
    wanted.extend(
        uri.object
            .clone()
            .map(|label| Attribute::Label(label.into())),
    );
    wanted.extend(uri.id.clone().map(Attribute::Id));
    wanted
}

/// Reads the public half from the public key object beside the private key, or from the private
/// key itself: an RSA key has its modulus there.
pub(super) fn public_key(open: &OpenKey) -> Result<PublicKey, TokenError> {
    let uri = &open.reference.uri;
    let failed = |error| open.at.failed("show the public key", &error);
    let session = &open.session;
    let found = session.find_objects(&template(uri, ObjectClass::PUBLIC_KEY));
    let beside = found.map_err(failed)?.into_iter().next();
    let unknown = |found: &str| TokenError::KeyKind {
        uri: uri.to_string(),
        found: found.to_owned(),
    };
    let wanted = [
        AttributeType::KeyType,
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
    ];
    let attributes = session.get_attributes(beside.unwrap_or(open.key), &wanted);
    let public = Attributes(attributes.map_err(failed)?).key();
    public.ok_or_else(|| match beside {
        Some(_) => unknown("of another kind"),
        None => unknown("without a public key object; put the public key beside it"),
    })
}

struct Attributes(Vec<Attribute>);

impl Attributes {
    fn key(&self) -> Option<PublicKey> {
        let kind = self.0.iter().find_map(|one| match one {
            Attribute::KeyType(kind) => Some(*kind),
            _ => None,
        })?;
        if kind == KeyType::RSA {
            let modulus = self.bytes(AttributeType::Modulus)?;
            let exponent = self.bytes(AttributeType::PublicExponent)?;
            return Some(PublicKey::rsa(modulus, exponent));
        }
        // The content of the OBJECT IDENTIFIER of the curve, with its header.
        let curve = match self.bytes(AttributeType::EcParams)? {
            [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] => KeyAlgorithm::P256,
            [6, 5, 0x2b, 0x81, 4, 0, 0x22] => KeyAlgorithm::P384,
            [6, 5, 0x2b, 0x81, 4, 0, 0x23] => KeyAlgorithm::P521,
            _ => return None,
        };
        let point = self.bytes(AttributeType::EcPoint)?;
        // The point in an OCTET STRING, or bare, as some libraries give it.
        let point = match point {
            [4, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
            [4, 0x81, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
            bare => bare,
        };
        Some(PublicKey::from_bits(curve, point))
    }

    fn bytes(&self, wanted: AttributeType) -> Option<&[u8]> {
        self.0.iter().find_map(|one| match one {
            Attribute::EcParams(bytes)
            | Attribute::EcPoint(bytes)
            | Attribute::Modulus(bytes)
            | Attribute::PublicExponent(bytes)
                if one.attribute_type() == wanted =>
            {
                Some(bytes.as_slice())
            }
            _ => None,
        })
    }
}
