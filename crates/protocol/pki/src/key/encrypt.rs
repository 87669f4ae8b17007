use aws_lc_rs::rand;
use pkcs8::der::Encode;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Parameters;
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo};
use zeroize::Zeroizing;

use crate::cert::encode_pem;

use super::KeyError;

/// OWASP's figure for PBKDF2-HMAC-SHA256; about a quarter of a second, paid once per opened key.
pub(crate) const ITERATIONS: u32 = 600_000;

/// Salt and initialization vector of one encryption.
struct Random {
    salt: [u8; 16],
    iv: [u8; 16],
}

impl Random {
    fn new() -> Result<Self, KeyError> {
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        let filled = rand::fill(&mut salt).and_then(|()| rand::fill(&mut iv));
        filled.map_err(|_| KeyError::Failed("encrypted"))?;
        Ok(Self { salt, iv })
    }

    fn parameters(&self) -> Result<Parameters<'_>, KeyError> {
        Parameters::pbkdf2_sha256_aes256cbc(ITERATIONS, &self.salt, &self.iv)
            .map_err(|_| KeyError::Failed("encrypted"))
    }
}

pub(super) fn to_pem(pkcs8: &[u8], passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
    let failed = KeyError::Failed("encrypted");
    if passphrase.is_empty() {
        return Err(KeyError::Failed("encrypted with an empty passphrase"));
    }
    let random = Random::new()?;
    let parameters = random.parameters()?;
    let encrypted = PrivateKeyInfo::try_from(pkcs8)
        .and_then(|key| key.encrypt_with_params(parameters, passphrase))
        .map_err(|_| failed)?;
    Ok(Zeroizing::new(encode_pem(
        "ENCRYPTED PRIVATE KEY",
        encrypted.as_bytes(),
    )))
}

/// Encrypts any secret as [`to_pem`] encrypts keys, into a PEM block of this label.
pub fn seal(label: &str, secret: &[u8], passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
    let failed = || KeyError::Failed("encrypted");
    let random = Random::new()?;
    let scheme = EncryptionScheme::from(random.parameters()?);
    let encrypted = scheme.encrypt(passphrase, secret).map_err(|_| failed())?;
    let sealed = EncryptedPrivateKeyInfo {
        encryption_algorithm: scheme,
        encrypted_data: &encrypted,
    };
    let der = sealed.to_der().map_err(|_| failed())?;
    Ok(Zeroizing::new(encode_pem(label, &der)))
}

/// Opens what [`seal`] made: the first PEM block of this label; `None` when the text has none.
///
/// # Errors
/// When the block is broken, or the passphrase does not open it.
pub fn unseal(
    label: &str,
    text: &str,
    passphrase: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let begin = format!("-----BEGIN {label}-----");
    let Some((_, rest)) = text.split_once(&begin) else {
        return Ok(None);
    };
    let body = rest.split("-----").next().unwrap_or_default();
    let der = super::decode::base64(body)?;
    let sealed = EncryptedPrivateKeyInfo::try_from(der.as_slice())
        .map_err(|_| KeyError::Unreadable(format!("its block {label} is not DER")))?;
    let opened = sealed
        .encryption_algorithm
        .decrypt(passphrase, sealed.encrypted_data);
    let opened = opened.map_err(|_| KeyError::WrongPassphrase)?;
    Ok(Some(Zeroizing::new(opened)))
}
