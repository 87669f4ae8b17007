use aws_lc_rs::rand;
use pkcs8::PrivateKeyInfo;
use pkcs8::pkcs5::pbes2::Parameters;
use zeroize::Zeroizing;

use crate::cert::encode_pem;

use super::KeyError;

/// OWASP's figure for PBKDF2-HMAC-SHA256; about a quarter of a second, paid once per opened key.
pub(crate) const ITERATIONS: u32 = 600_000;

pub(super) fn to_pem(pkcs8: &[u8], passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
    let failed = KeyError::Failed("encrypted");
    if passphrase.is_empty() {
        return Err(KeyError::Failed("encrypted with an empty passphrase"));
    }
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rand::fill(&mut salt).map_err(|_| failed.clone())?;
    rand::fill(&mut iv).map_err(|_| failed.clone())?;
    let parameters =
        Parameters::pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, &iv).map_err(|_| failed.clone())?;
    let encrypted = PrivateKeyInfo::try_from(pkcs8)
        .and_then(|key| key.encrypt_with_params(parameters, passphrase))
        .map_err(|_| failed)?;
    Ok(Zeroizing::new(encode_pem(
        "ENCRYPTED PRIVATE KEY",
        encrypted.as_bytes(),
    )))
}
