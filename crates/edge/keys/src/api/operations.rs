//! What a caller may do.

use pki::{KeyAlgorithm, SignatureScheme};
use wire::edge_api::keys::{
    Ciphertext, Decrypt, DeriveKey, Encrypt, Encryption, ExportedKey, KeyDescription, KeyHandle,
    KeyPairDescription, MakeKey, MakeKeyPair, MoveKeyPair, Parameter, Plaintext, Sign,
    SignAlgorithm, SignWithScheme, Signature, TokenDescription,
};

use super::{Answer, ApiError, json, requests};
use crate::handle::{Handle, HandleKind, MAX_DERIVATION};
use crate::secrets::Secret;
use crate::store::{KeyStore as _, Keys, OpenPair};
use crate::{KeyError, KeyId, Principals, SecretKey as _, rsa_block, scheme};

/// A user who asks.
pub(super) struct Caller<'a> {
    pub(super) keys: &'a Keys,
    pub(super) principals: &'a Principals,
    pub(super) uid: u32,
}

impl Caller<'_> {
    pub(super) fn make_pair(&self, request: &MakeKeyPair) -> Answer {
        let id = self.permit(&request.key_id)?;
        let kinds = requests::kinds(request.preferred_algorithms.as_deref())?;
        self.keys.make_pair(&id, &kinds)?;
        self.hand_out(&Handle::pair(&id))
    }

    pub(super) fn open_pair(&self, id: &str) -> Answer {
        let id = self.permit(id)?;
        self.keys.pair(&id)?;
        self.hand_out(&Handle::pair(&id))
    }

    pub(super) fn move_pair(&self, to: &str, request: &MoveKeyPair) -> Answer {
        let (to, from) = (self.permit(to)?, self.permit(&request.from)?);
        self.keys.move_pair(&from, &to)?;
        Ok(None)
    }

    pub(super) fn delete_pair(&self, request: &KeyHandle) -> Answer {
        match self.read(&request.key_handle)? {
            Handle {
                key_id,
                kind: HandleKind::Pair,
            } => Ok(self.keys.delete_pair(&key_id).map(|()| None)?),
            _ => Err(wrong_kind("a key pair")),
        }
    }

    pub(super) fn make_secret(&self, request: &MakeKey) -> Answer {
        let id = self.permit(&request.key_id)?;
        let usages = request.usage.as_deref().unwrap_or_default().split(',');
        let is_known = |usage: &str| matches!(usage.trim(), "" | "derive" | "encrypt" | "sign");
        if let Some(other) = usages.into_iter().find(|usage| !is_known(usage)) {
            let problem = format!("the usage {other:?} is not derive, encrypt or sign");
            return Err(KeyError::invalid(problem).into());
        }
        match &request.key_bytes {
            Some(bytes) => {
                let bytes = requests::bytes("keyBytes", bytes)?;
                self.keys.import_secret(&id, &bytes)?;
            }
            None => drop(self.keys.make_secret(&id)?),
        }
        self.hand_out(&Handle::secret(&id))
    }

    pub(super) fn open_secret(&self, id: &str) -> Answer {
        let id = self.permit(id)?;
        self.keys.secret(&id)?;
        self.hand_out(&Handle::secret(&id))
    }

    pub(super) fn delete_secret(&self, request: &KeyHandle) -> Answer {
        match self.read(&request.key_handle)? {
            Handle {
                key_id,
                kind: HandleKind::Secret,
            } => Ok(self.keys.delete_secret(&key_id).map(|()| None)?),
            _ => Err(wrong_kind("a symmetric key that is kept")),
        }
    }

    pub(super) fn derive(&self, request: &DeriveKey) -> Answer {
        let base = self.read(&request.base_key_handle)?;
        let data = requests::bytes("derivationData", &request.derivation_data)?;
        if data.len() > MAX_DERIVATION {
            let problem = format!("derivationData has more than {MAX_DERIVATION} bytes");
            return Err(KeyError::invalid(problem).into());
        }
        match base.kind {
            HandleKind::Secret => self.hand_out(&Handle {
                key_id: base.key_id,
                kind: HandleKind::Derived(requests::text(&data)),
            }),
            HandleKind::Derived(_) => {
                Err(KeyError::invalid("nothing is derived from a derived key").into())
            }
            HandleKind::Pair => Err(wrong_kind("a symmetric key")),
        }
    }

    pub(super) fn export(&self, request: &KeyHandle) -> Answer {
        let handle = self.read(&request.key_handle)?;
        let HandleKind::Derived(data) = &handle.kind else {
            return Err(KeyError::invalid("only derived keys are exported").into());
        };
        let data = requests::bytes("the handle", data)?;
        let key = self.keys.open_secret(&handle.key_id)?.export(&data)?;
        json(&ExportedKey {
            key: requests::text(&key),
        })
    }

    pub(super) fn parameter(&self, name: &str, request: &KeyHandle) -> Answer {
        let pair = self.pair_of(&request.key_handle)?.1;
        let public = pair.signer.public_key();
        let rsa = || {
            let numbers = public.rsa_numbers();
            numbers.ok_or_else(|| KeyError::invalid("it is not an RSA key"))
        };
        let value = match name {
            "algorithm" => match public.kind() {
                KeyAlgorithm::Rsa => "RSA".to_owned(),
                KeyAlgorithm::Ed25519 => "Ed25519".to_owned(),
                KeyAlgorithm::MlDsa(level) => level.name().to_owned(),
                KeyAlgorithm::P256 | KeyAlgorithm::P384 | KeyAlgorithm::P521 => "ECDSA".to_owned(),
            },
            "ec-curve-oid" => requests::text(curve(public.kind())?),
            "ec-point" => {
                curve(public.kind())?;
                requests::text(public.bits())
            }
            "rsa-modulus" => requests::text(&rsa()?.0),
            "rsa-exponent" => requests::text(&rsa()?.1),
            _ => return Err(KeyError::invalid(format!("{name:?} is not a parameter")).into()),
        };
        json(&Parameter { value })
    }

    pub(super) fn sign(&self, request: &Sign) -> Answer {
        let signature = match &request.how {
            SignAlgorithm::Ecdsa { digest } => {
                let digest = requests::bytes("digest", digest)?;
                let (id, pair) = self.pair_of(&request.key_handle)?;
                let scheme = SignatureScheme::for_issuing(pair.signer.public_key().kind());
                if curve(pair.signer.public_key().kind()).is_err() {
                    return Err(wrong_kind("a key of an elliptic curve"));
                }
                self.sign_digest(&id, &pair, scheme, &digest)?
            }
            SignAlgorithm::HmacSha256 { message } => {
                let message = requests::bytes("message", message)?;
                let secret = self.secret_of(&request.key_handle)?;
                secret.hmac(&message)?.to_vec()
            }
        };
        json(&Signature {
            signature: requests::text(&signature),
        })
    }

    pub(super) fn sign_with_scheme(&self, request: &SignWithScheme) -> Answer {
        let (id, pair) = self.pair_of(&request.key_handle)?;
        let scheme = scheme::parse(&request.scheme)?;
        let input = requests::bytes("input", &request.input)?;
        // Those without a digest sign the message itself.
        let signature = match scheme.digest(&[]) {
            None => pair
                .signer
                .sign(scheme, &input)
                .map_err(|error| KeyError::unavailable(error.to_string()))?,
            Some(_) => self.sign_digest(&id, &pair, scheme, &input)?,
        };
        json(&Signature {
            signature: requests::text(&signature),
        })
    }

    fn sign_digest(
        &self,
        id: &KeyId,
        pair: &OpenPair,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let kind = pair.signer.public_key().kind();
        if !SignatureScheme::of_key(kind).contains(&scheme) {
            let (name, kind) = (scheme::name(scheme), kind.name());
            let problem = format!("the key {id} is {kind} and does not sign by {name}");
            return Err(KeyError::invalid(problem));
        }
        let wanted = scheme.digest(&[]).map_or(0, |digest| digest.len());
        if digest.len() != wanted {
            let problem = format!(
                "a digest of {wanted} bytes is wanted, {} came",
                digest.len()
            );
            return Err(KeyError::invalid(problem));
        }
        pair.signer.sign_digest(scheme, digest).map_err(|error| {
            // A token that was exchanged has another public key.
            self.keys.forget(id);
            KeyError::unavailable(error.to_string())
        })
    }

    pub(super) fn encrypt(&self, request: &Encrypt) -> Answer {
        let plaintext = requests::bytes("plaintext", &request.plaintext)?;
        let ciphertext = match &request.how {
            Encryption::Aead { iv, aad } => {
                let (iv, aad) = (requests::bytes("iv", iv)?, requests::bytes("aad", aad)?);
                let secret = self.secret_of(&request.key_handle)?;
                secret.encrypt(&iv, &aad, &plaintext)?
            }
            Encryption::RsaPkcs1 => {
                let (scheme, digest) = rsa_block::read(&plaintext)?;
                let (id, pair) = self.pair_of(&request.key_handle)?;
                self.sign_digest(&id, &pair, scheme, digest)?
            }
            Encryption::RsaNoPadding => return Err(no_padding()),
        };
        json(&Ciphertext {
            ciphertext: requests::text(&ciphertext),
        })
    }

    pub(super) fn decrypt(&self, request: &Decrypt) -> Answer {
        let Encryption::Aead { iv, aad } = &request.how else {
            return Err(KeyError::invalid("only AEAD decrypts").into());
        };
        let (iv, aad) = (requests::bytes("iv", iv)?, requests::bytes("aad", aad)?);
        let ciphertext = requests::bytes("ciphertext", &request.ciphertext)?;
        let secret = self.secret_of(&request.key_handle)?;
        json(&Plaintext {
            plaintext: requests::text(&secret.decrypt(&iv, &aad, &ciphertext)?),
        })
    }

    pub(super) fn describe_pair(&self, request: &KeyHandle) -> Answer {
        let pair = self.pair_of(&request.key_handle)?.1;
        let public = pair.signer.public_key();
        json(&KeyPairDescription {
            kind: public.kind().name().to_owned(),
            public_key: requests::text(public.bits()),
            place: pair.place,
        })
    }

    pub(super) fn describe_secret(&self, request: &KeyHandle) -> Answer {
        let secret = self.secret_of(&request.key_handle)?;
        json(&KeyDescription {
            fingerprint: secret.fingerprint().to_owned(),
            place: secret.place().to_owned(),
        })
    }

    pub(super) fn describe_token(&self) -> Answer {
        if !self.principals.may_use_all(self.uid) {
            return Err(self.forbidden("the token").into());
        }
        let report = self.keys.token_for_new_keys().transpose()?;
        let description = report.map(|report| TokenDescription {
            library: report.at.library.display().to_string(),
            about: report.library,
            slot: report.at.slot,
            token: report.at.token,
            mechanisms: report.mechanisms,
        });
        json(&description)
    }

    fn hand_out(&self, handle: &Handle) -> Answer {
        json(&KeyHandle {
            key_handle: handle.issue(self.keys)?,
        })
    }

    fn forbidden(&self, what: &str) -> KeyError {
        let uid = self.uid;
        KeyError::Forbidden(format!("the user with number {uid} may not use {what}"))
    }

    fn permit(&self, id: &str) -> Result<KeyId, KeyError> {
        let id = KeyId::parse(id)?;
        // A client that has the key of handles can make handles of all keys.
        if id == KeyId::handles() || !self.principals.may_use(self.uid, &id) {
            return Err(self.forbidden(&format!("the key {id}")));
        }
        Ok(id)
    }

    /// What a handle stands for, if the caller may use it: a handle alone gives no right.
    fn read(&self, handle: &str) -> Result<Handle, KeyError> {
        let handle = Handle::read(handle, self.keys)?;
        self.permit(handle.key_id.as_str())?;
        Ok(handle)
    }

    fn pair_of(&self, handle: &str) -> Result<(KeyId, OpenPair), ApiError> {
        let handle = self.read(handle)?;
        match handle.kind {
            HandleKind::Pair => {
                let pair = self.keys.pair(&handle.key_id)?;
                Ok((handle.key_id, pair))
            }
            _ => Err(wrong_kind("a key pair")),
        }
    }

    fn secret_of(&self, handle: &str) -> Result<Secret, ApiError> {
        let handle = self.read(handle)?;
        match &handle.kind {
            HandleKind::Secret => Ok(self.keys.open_secret(&handle.key_id)?),
            HandleKind::Derived(data) => {
                let data = requests::bytes("the handle", data)?;
                Ok(self.keys.open_secret(&handle.key_id)?.derived(&data)?)
            }
            HandleKind::Pair => Err(wrong_kind("a symmetric key")),
        }
    }
}

fn wrong_kind(wanted: &str) -> ApiError {
    KeyError::invalid(format!("the handle is not that of {wanted}")).into()
}

fn no_padding() -> ApiError {
    let problem = "RSA-NO-PADDING is not offered, because it signs anything; sign by \
                   POST /muster/sign with an RSA scheme";
    KeyError::invalid(problem).into()
}

/// The object identifier of a curve, its content.
fn curve(kind: KeyAlgorithm) -> Result<&'static [u8], KeyError> {
    match kind {
        KeyAlgorithm::P256 => Ok(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
        KeyAlgorithm::P384 => Ok(&[0x2b, 0x81, 4, 0, 0x22]),
        KeyAlgorithm::P521 => Ok(&[0x2b, 0x81, 4, 0, 0x23]),
        KeyAlgorithm::Ed25519 | KeyAlgorithm::Rsa | KeyAlgorithm::MlDsa(_) => {
            Err(KeyError::invalid("it is not a key of an elliptic curve"))
        }
    }
}
