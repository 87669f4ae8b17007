use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::Timestamp;

use crate::http::query_value;
use crate::sas::{SharedAccessKey, percent_encode};

/// The version of the storage service that tokens name; clients do not look at it.
const VERSION: &str = "2018-03-28";
/// Read and write.
const PERMISSIONS: &str = "rw";

/// Why a token does not open a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobSasError {
    /// A parameter is missing or malformed.
    #[error("the token's parameter {0} is missing or malformed")]
    Parameter(&'static str),
    /// It was signed by another key, or for another blob.
    #[error("the signature of the token does not match this blob")]
    Signature,
    /// Its time is over.
    #[error("the token expired at {0}")]
    Expired(Timestamp),
    /// It does not allow writing.
    #[error("the token does not allow writing")]
    Permission,
}

/// Proof that a token allows writing a blob. Only [`BlobSas::verify`] makes one.
#[derive(Debug)]
pub struct WritePermission(());

/// A shared access signature for one blob, as it stands in a query string. `si`, which Azure has for
/// stored policies, names the upload, whose key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobSas {
    /// The upload that the token is for.
    pub correlation_id: String,
    expires: String,
    permissions: String,
    signature: Vec<u8>,
}

impl BlobSas {
    /// The token that opens the blob at `path` for writing, `?` included.
    #[must_use]
    pub fn grant(
        key: &SharedAccessKey,
        path: &str,
        correlation_id: &str,
        expires: Timestamp,
    ) -> String {
        let expires = expires.in_seconds();
        let to_sign = to_sign(path, correlation_id, &expires, PERMISSIONS);
        let signature = STANDARD.encode(key.sign(to_sign.as_bytes()));
        format!(
            "?sv={VERSION}&sr=b&si={}&se={}&sp={PERMISSIONS}&sig={}",
            percent_encode(correlation_id),
            percent_encode(&expires),
            percent_encode(&signature),
        )
    }

    /// Reads the token of a query string.
    ///
    /// # Errors
    /// When a parameter is missing.
    pub fn parse(query: Option<&str>) -> Result<Self, BlobSasError> {
        let parameter =
            |name: &'static str| query_value(query, name).ok_or(BlobSasError::Parameter(name));
        let signature = parameter("sig")?;
        let signature = STANDARD.decode(signature);
        Ok(Self {
            correlation_id: parameter("si")?,
            expires: parameter("se")?,
            permissions: parameter("sp")?,
            signature: signature.map_err(|_| BlobSasError::Parameter("sig"))?,
        })
    }

    /// Whether the token opens the blob at `path` for writing.
    ///
    /// # Errors
    /// When it does not.
    pub fn verify(
        &self,
        key: &SharedAccessKey,
        path: &str,
        now: Timestamp,
    ) -> Result<WritePermission, BlobSasError> {
        let to_sign = to_sign(path, &self.correlation_id, &self.expires, &self.permissions);
        if !key.signed(to_sign.as_bytes(), &self.signature) {
            return Err(BlobSasError::Signature);
        }
        let expires = Timestamp::parse(&self.expires);
        let expires = expires.map_err(|_| BlobSasError::Parameter("se"))?;
        if expires <= now {
            return Err(BlobSasError::Expired(expires));
        }
        match self.permissions.contains('w') {
            true => Ok(WritePermission(())),
            false => Err(BlobSasError::Permission),
        }
    }
}

fn to_sign(path: &str, correlation_id: &str, expires: &str, permissions: &str) -> String {
    format!("{permissions}\n{expires}\n{path}\n{correlation_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_blob_until_it_expires() {
        let key = SharedAccessKey::from_bytes(vec![7; 32]).unwrap();
        let other = SharedAccessKey::from_bytes(vec![8; 32]).unwrap();
        let at = Timestamp::from_unix_seconds;
        let token = BlobSas::grant(&key, "d1/a.txt", "c1", at(1000));
        let query = token.strip_prefix('?');
        let sas = BlobSas::parse(query).unwrap();
        assert_eq!(sas.correlation_id, "c1");
        assert!(sas.verify(&key, "d1/a.txt", at(999)).is_ok());
        let refused = |key, path, now| sas.verify(key, path, at(now)).unwrap_err();
        assert_eq!(
            refused(&key, "d1/a.txt", 1000),
            BlobSasError::Expired(at(1000))
        );
        assert_eq!(refused(&key, "d1/b.txt", 1), BlobSasError::Signature);
        assert_eq!(refused(&other, "d1/a.txt", 1), BlobSasError::Signature);
        let longer = query.map(|query| query.replace("1970-01-01", "2070-01-01"));
        let longer = BlobSas::parse(longer.as_deref()).unwrap();
        let refused = longer.verify(&key, "d1/a.txt", at(1)).unwrap_err();
        assert_eq!(refused, BlobSasError::Signature);
        assert!(BlobSas::parse(None).is_err());
        assert!(BlobSas::parse(Some("si=c1&se=x&sp=rw&sig=!")).is_err());
    }
}
