//! PKCS#12 (RFC 7292): a private key, its certificate and its issuers in one file, in the form that
//! OpenSSL 3 writes: PBES2 with AES-256 for keys and certificates, HMAC-SHA256 over both.

use aws_lc_rs::{digest, hmac, rand};
use pkcs8::PrivateKeyInfo;
use pkcs8::der::Encode;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Parameters;
use zeroize::Zeroizing;

use crate::der::{Writer, tag};
use crate::key::ITERATIONS;
use crate::{Certificate, KeyError, PrivateKey};

const FAILED: KeyError = KeyError::Failed("exported as PKCS#12");

/// Of an empty passphrase, which protects nothing.
const FEW_ITERATIONS: u32 = 2048;

/// Object identifiers, as the content of their elements.
mod oid {
    pub(super) const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    pub(super) const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 6];
    pub(super) const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x16, 1];
    pub(super) const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x14];
    pub(super) const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x15];
    pub(super) const SHROUDED_KEY_BAG: &[u8] =
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 0x0c, 0x0a, 1, 2];
    pub(super) const CERTIFICATE_BAG: &[u8] =
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 0x0c, 0x0a, 1, 3];
    pub(super) const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
}

/// Writes a PKCS#12 file with a key, its certificate under `friendly_name`, and its issuers.
/// An empty passphrase is a file that everybody opens.
///
/// # Errors
/// When the library has no randomness or cannot encrypt.
pub fn export_pkcs12(
    friendly_name: &str,
    certificate: &Certificate,
    issuers: &[&Certificate],
    key: &PrivateKey,
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let iterations = match passphrase.is_empty() {
        true => FEW_ITERATIONS,
        false => ITERATIONS,
    };
    let attributes = attributes(friendly_name, certificate);
    let mut bags = Writer::default();
    bags.nest(tag::SEQUENCE, |bags| {
        certificate_bag(bags, certificate, &attributes);
        for issuer in issuers {
            certificate_bag(bags, issuer, &[]);
        }
    });
    let (scheme, encrypted) = encrypt(&bags.finish(), passphrase, iterations)?;
    let key_bag = key_bag(key, passphrase, iterations, &attributes)?;
    let mut contents = Writer::default();
    contents.nest(tag::SEQUENCE, |safe| {
        content_info(safe, oid::ENCRYPTED_DATA, |data| {
            data.nest(tag::SEQUENCE, |data| {
                data.unsigned(&[0]);
                data.nest(tag::SEQUENCE, |info| {
                    info.element(tag::OID, oid::DATA);
                    info.raw(&scheme);
                    info.element(tag::context(0), &encrypted);
                });
            });
        });
        content_info(safe, oid::DATA, |data| {
            data.element(tag::OCTET_STRING, &key_bag)
        });
    });
    sealed(&contents.finish(), passphrase, iterations)
}

fn content_info(der: &mut Writer, kind: &[u8], content: impl FnOnce(&mut Writer)) {
    der.nest(tag::SEQUENCE, |der| {
        der.element(tag::OID, kind);
        der.nest(tag::context_constructed(0), content);
    });
}

/// The whole file: the contents and their authentication code.
fn sealed(
    contents: &[u8],
    passphrase: &str,
    iterations: u32,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let salt = random::<16>()?;
    let key = mac_key(passphrase, &salt, iterations);
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), contents);
    let mut file = Writer::default();
    file.nest(tag::SEQUENCE, |file| {
        file.unsigned(&[3]);
        content_info(file, oid::DATA, |data| {
            data.element(tag::OCTET_STRING, contents)
        });
        file.nest(tag::SEQUENCE, |mac| {
            mac.nest(tag::SEQUENCE, |info| {
                info.nest(tag::SEQUENCE, |algorithm| {
                    algorithm.element(tag::OID, oid::SHA256);
                    algorithm.element(tag::NULL, &[]);
                });
                info.element(tag::OCTET_STRING, code.as_ref());
            });
            mac.element(tag::OCTET_STRING, &salt);
            mac.unsigned(&iterations.to_be_bytes());
        });
    });
    Ok(Zeroizing::new(file.finish()))
}

fn certificate_bag(der: &mut Writer, certificate: &Certificate, attributes: &[u8]) {
    der.nest(tag::SEQUENCE, |bag| {
        bag.element(tag::OID, oid::CERTIFICATE_BAG);
        bag.nest(tag::context_constructed(0), |value| {
            value.nest(tag::SEQUENCE, |value| {
                value.element(tag::OID, oid::X509_CERTIFICATE);
                value.nest(tag::context_constructed(0), |value| {
                    value.element(tag::OCTET_STRING, certificate.der());
                });
            });
        });
        bag.raw(attributes);
    });
}

/// The safe with the key's bag.
fn key_bag(
    key: &PrivateKey,
    passphrase: &str,
    iterations: u32,
    attributes: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let parameters = random::<16>()?;
    let iv = random::<16>()?;
    let parameters =
        Parameters::pbkdf2_sha256_aes256cbc(iterations, &parameters, &iv).map_err(|_| FAILED)?;
    let encrypted = PrivateKeyInfo::try_from(key.pkcs8_der().secret_pkcs8_der())
        .and_then(|key| key.encrypt_with_params(parameters, passphrase))
        .map_err(|_| FAILED)?;
    let mut bags = Writer::default();
    bags.nest(tag::SEQUENCE, |bags| {
        bags.nest(tag::SEQUENCE, |bag| {
            bag.element(tag::OID, oid::SHROUDED_KEY_BAG);
            bag.nest(tag::context_constructed(0), |value| {
                value.raw(encrypted.as_bytes())
            });
            bag.raw(attributes);
        });
    });
    Ok(bags.finish())
}

/// Ties the key to its certificate, and names both.
fn attributes(friendly_name: &str, certificate: &Certificate) -> Vec<u8> {
    let mut der = Writer::default();
    der.nest(tag::SET, |set| {
        set.nest(tag::SEQUENCE, |attribute| {
            attribute.element(tag::OID, oid::LOCAL_KEY_ID);
            attribute.nest(tag::SET, |values| {
                values.element(tag::OCTET_STRING, certificate.sha256().as_bytes());
            });
        });
        set.nest(tag::SEQUENCE, |attribute| {
            attribute.element(tag::OID, oid::FRIENDLY_NAME);
            attribute.nest(tag::SET, |values| {
                let name: Vec<u8> = bmp_string(friendly_name).collect();
                values.element(tag::BMP_STRING, &name);
            });
        });
    });
    der.finish()
}

/// The AlgorithmIdentifier of the encryption, and what was encrypted.
fn encrypt(
    plain: &[u8],
    passphrase: &str,
    iterations: u32,
) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
    let (salt, iv) = (random::<16>()?, random::<16>()?);
    let parameters =
        Parameters::pbkdf2_sha256_aes256cbc(iterations, &salt, &iv).map_err(|_| FAILED)?;
    let encrypted = parameters.encrypt(passphrase, plain).map_err(|_| FAILED)?;
    let scheme = EncryptionScheme::from(parameters).to_der();
    Ok((scheme.map_err(|_| FAILED)?, encrypted))
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| FAILED)?;
    Ok(bytes)
}

/// UTF-16, the high byte first.
fn bmp_string(text: &str) -> impl Iterator<Item = u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes)
}

/// The key of the authentication code: RFC 7292, appendix B.2, with SHA-256 and the id 3. One round
/// of it gives all 32 bytes, so that the part for longer keys is not needed.
fn mac_key(passphrase: &str, salt: &[u8], iterations: u32) -> Zeroizing<[u8; 32]> {
    /// The block of SHA-256, in bytes.
    const BLOCK: usize = 64;
    let password = Zeroizing::new(bmp_string(passphrase).chain([0, 0]).collect::<Vec<u8>>());
    let mut input = Zeroizing::new(vec![3; BLOCK]);
    for part in [salt, &password] {
        let length = part.len().next_multiple_of(BLOCK);
        input.extend(part.iter().cycle().take(length));
    }
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(digest::digest(&digest::SHA256, &input).as_ref());
    for _ in 1..iterations {
        let next = digest::digest(&digest::SHA256, &*key);
        key.copy_from_slice(next.as_ref());
    }
    key
}
