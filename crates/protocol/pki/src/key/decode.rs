use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfo;
use zeroize::Zeroizing;

use super::{KeyError, PrivateKey};

/// A PEM block that holds a private key.
struct Block<'a> {
    label: &'a str,
    body: &'a str,
}

pub(super) fn from_pem(text: &str, passphrase: Option<&[u8]>) -> Result<PrivateKey, KeyError> {
    let blocks = key_blocks(text)?;
    let block = match blocks.as_slice() {
        [one] => one,
        [] if text.contains("-----BEGIN CERTIFICATE-----") => {
            return Err(KeyError::CertificateInstead);
        }
        [] => return Err(KeyError::NoKey),
        _ => return Err(KeyError::Several),
    };
    if block.body.contains("Proc-Type:") {
        return Err(KeyError::OldEncryption);
    }
    let der = base64(block.body)?;
    if block.label != "ENCRYPTED PRIVATE KEY" {
        return PrivateKey::from_der(&der);
    }
    let passphrase = passphrase.ok_or(KeyError::PassphraseNeeded)?;
    let encrypted =
        EncryptedPrivateKeyInfo::try_from(der.as_slice()).map_err(|_| KeyError::OldEncryption)?;
    let plain = encrypted
        .decrypt(passphrase)
        .map_err(|_| KeyError::WrongPassphrase)?;
    // Decryption with a wrong passphrase can look right by its padding; then it is no key.
    PrivateKey::from_der(plain.as_bytes()).map_err(|_| KeyError::WrongPassphrase)
}

fn key_blocks(text: &str) -> Result<Vec<Block<'_>>, KeyError> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let after = &rest[start + "-----BEGIN ".len()..];
        let Some((label, body)) = after.split_once("-----") else {
            break;
        };
        let end = format!("-----END {label}-----");
        if !label.ends_with("PRIVATE KEY") {
            rest = body;
            continue;
        }
        let Some((body, after)) = body.split_once(&end) else {
            let problem = format!("its block does not end with {end}");
            return Err(KeyError::Unreadable(problem));
        };
        blocks.push(Block { label, body });
        rest = after;
    }
    Ok(blocks)
}

pub(super) fn base64(body: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let base64: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let der = STANDARD
        .decode(base64.as_bytes())
        .map_err(|_| KeyError::Unreadable("its block is not Base64".to_owned()))?;
    Ok(Zeroizing::new(der))
}
