//! One signed link of a voucher.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ids::Timestamp;
use pki::{PrivateKey, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::VoucherError;

/// `typ` of a batch.
pub(crate) const BATCH: &str = "muster-voucher-batch+jws";
/// `typ` of an endorsement.
pub(crate) const ENDORSEMENT: &str = "muster-voucher-endorsement+jws";

/// A flattened JSON Web Signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedLink {
    protected: String,
    payload: String,
    signature: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
}

/// What a maker says of a batch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchPayload {
    pub(crate) created: Timestamp,
    pub(crate) maker: String,
    pub(crate) devices: Vec<String>,
}

/// What an owner says to the next one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndorsementPayload {
    pub(crate) created: Timestamp,
    pub(crate) previous: String,
    pub(crate) owner: String,
    /// Absent: all devices of the link before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) devices: Option<Vec<String>>,
}

impl SignedLink {
    pub(crate) fn sign(
        typ: &str,
        payload: &impl Serialize,
        key: &PrivateKey,
    ) -> Result<Self, VoucherError> {
        let unwritten = |error: serde_json::Error| VoucherError::Form(error.to_string());
        let header = Header {
            alg: key.verifying_key()?.algorithm().name().to_owned(),
            typ: typ.to_owned(),
        };
        let encode = |json: Vec<u8>| URL_SAFE_NO_PAD.encode(json);
        let mut link = Self {
            protected: encode(serde_json::to_vec(&header).map_err(unwritten)?),
            payload: encode(serde_json::to_vec(payload).map_err(unwritten)?),
            signature: String::new(),
        };
        link.signature = URL_SAFE_NO_PAD.encode(key.sign_jws(link.signed().as_bytes())?);
        Ok(link)
    }

    fn signed(&self) -> String {
        format!("{}.{}", self.protected, self.payload)
    }

    /// By which the next link names this one.
    pub(crate) fn digest(&self) -> String {
        let whole = format!("{}.{}", self.signed(), self.signature);
        URL_SAFE_NO_PAD.encode(digest(&SHA256, whole.as_bytes()))
    }

    /// The payload, before it is known who signed it.
    pub(crate) fn unverified<T: DeserializeOwned>(&self, name: &str) -> Result<T, VoucherError> {
        self.json(name, &self.payload)
    }

    /// The payload, if `signer` signed it as a link of that type.
    pub(crate) fn verify<T: DeserializeOwned>(
        &self,
        (name, typ): (&str, &str),
        signer: &VerifyingKey,
    ) -> Result<T, VoucherError> {
        let header: Header = self.json(name, &self.protected)?;
        if header.typ != typ || header.alg != signer.algorithm().name() {
            return Err(VoucherError::Signature(name.to_owned()));
        }
        let signature = self.bytes(name, &self.signature)?;
        match signer.has_signed(self.signed().as_bytes(), &signature) {
            true => self.unverified(name),
            false => Err(VoucherError::Signature(name.to_owned())),
        }
    }

    fn bytes(&self, name: &str, text: &str) -> Result<Vec<u8>, VoucherError> {
        URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| VoucherError::Link {
                link: name.to_owned(),
                problem: "it is not base64url".to_owned(),
            })
    }

    fn json<T: DeserializeOwned>(&self, name: &str, text: &str) -> Result<T, VoucherError> {
        let bytes = self.bytes(name, text)?;
        serde_json::from_slice(&bytes).map_err(|error| VoucherError::Link {
            link: name.to_owned(),
            problem: error.to_string(),
        })
    }
}

/// A key as links name it.
pub(crate) fn key_text(key: &VerifyingKey) -> String {
    URL_SAFE_NO_PAD.encode(key.spki_der())
}

/// The key that a link names.
pub(crate) fn named_key(link: &str, text: &str) -> Result<VerifyingKey, VoucherError> {
    let bad = |problem: String| VoucherError::Link {
        link: link.to_owned(),
        problem,
    };
    let der = URL_SAFE_NO_PAD.decode(text);
    let der = der.map_err(|_| bad("its key is not base64url".to_owned()))?;
    VerifyingKey::from_spki(&der).map_err(|error| bad(error.to_string()))
}
