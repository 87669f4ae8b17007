//! A device's TPM in software, for tests: two RSA keys, and what `TPM2_ActivateCredential` and
//! `TPM2_Import` do with a blob. Written from the specification and apart from the code under test,
//! which is `pki::tpm`. No program depends on it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};

/// Attributes and policy of the endorsement key of the usual template.
const ENDORSEMENT: (u32, usize) = (0x0003_00b2, 32);
/// Those of the storage root key.
const STORAGE_ROOT: (u32, usize) = (0x0003_0472, 0);

/// The endorsement key and the storage root key of a TPM.
#[derive(Debug)]
pub struct SoftwareTpm {
    endorsement: PrivateDecryptingKey,
    storage_root: PrivateDecryptingKey,
}

impl Default for SoftwareTpm {
    /// A TPM with keys of its own.
    fn default() -> Self {
        Self::new()
    }
}

impl SoftwareTpm {
    /// A TPM with keys of its own.
    #[must_use]
    pub fn new() -> Self {
        let key = || PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        Self {
            endorsement: key(),
            storage_root: key(),
        }
    }

    /// A new owner: the previous storage root key is gone.
    pub fn clear_ownership(&mut self) {
        self.storage_root = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    }

    /// The `TPM2B_PUBLIC` that `tpm2_createek -u` writes.
    #[must_use]
    pub fn endorsement_key(&self) -> Vec<u8> {
        public(&self.endorsement, ENDORSEMENT)
    }

    /// The `TPM2B_PUBLIC` that `tpm2_createprimary` and `tpm2_readpublic -o` write.
    #[must_use]
    pub fn storage_root_key(&self) -> Vec<u8> {
        public(&self.storage_root, STORAGE_ROOT)
    }

    /// Opens a blob: the key and the text, or the name of the step that refused.
    ///
    /// # Errors
    /// When the blob is not for this TPM, or was altered.
    pub fn activate(&self, blob: &[u8]) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
        let mut rest = blob;
        let [
            identity,
            identity_secret,
            private,
            private_secret,
            area,
            text,
        ] = [(); 6].map(|()| sized(&mut rest));
        assert!(rest.is_empty(), "the blob goes on");
        let storage_root = self.storage_root_key();
        let seed = decrypt(&self.endorsement, identity_secret, b"IDENTITY\0")?;
        let inner = open(&seed, identity, &name(&storage_root[2..]))?;
        let inner = sized(&mut inner.as_slice()).to_vec();
        let seed = decrypt(&self.storage_root, private_secret, b"DUPLICATE\0")?;
        let mut twice = open(&seed, private, &name(area))?;
        cfb(&inner, &mut twice);
        let mut once = twice.as_slice();
        let integrity = sized(&mut once);
        if integrity != digest(&SHA256, &[once, &name(area)].concat()).as_ref() {
            return Err("inner integrity");
        }
        let key = sensitive_key(once, area)?;
        let mut text = text.to_vec();
        cfb(&inner, &mut text);
        Ok((key, text))
    }
}

/// `TPM2B_PUBLIC` of an RSA storage key.
fn public(key: &PrivateDecryptingKey, (attributes, policy): (u32, usize)) -> Vec<u8> {
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let modulus = &spki.as_ref()[33..289];
    let mut area = vec![0, 1, 0, 0x0b];
    area.extend(attributes.to_be_bytes());
    area.extend(u16::try_from(policy).unwrap().to_be_bytes());
    area.extend(vec![0x83; policy]);
    area.extend([0, 6, 0, 128, 0, 0x43, 0, 0x10, 8, 0, 0, 0, 0, 0, 1, 0]);
    area.extend(modulus);
    [
        &u16::try_from(area.len()).unwrap().to_be_bytes(),
        area.as_slice(),
    ]
    .concat()
}

fn name(area: &[u8]) -> Vec<u8> {
    [&[0, 0x0b], digest(&SHA256, area).as_ref()].concat()
}

fn sized<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (length, after) = rest.split_first_chunk().unwrap();
    let (taken, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
    *rest = after;
    taken
}

fn decrypt(
    key: &PrivateDecryptingKey,
    secret: &[u8],
    label: &[u8],
) -> Result<Vec<u8>, &'static str> {
    let key = OaepPrivateDecryptingKey::new(key.clone()).unwrap();
    let mut out = vec![0; key.min_output_size()];
    let opened = key.decrypt(&OAEP_SHA256_MGF1SHA256, secret, &mut out, Some(label));
    opened.map(|seed| seed.to_vec()).map_err(|_| "seed")
}

/// Verifies the outer HMAC and takes the outer encryption off.
fn open(seed: &[u8], wrapped: &[u8], name: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut rest = wrapped;
    let tag = sized(&mut rest);
    let key = derive(seed, b"INTEGRITY\0", b"", 256);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    hmac::verify(&key, &[rest, name].concat(), tag).map_err(|_| "outer integrity")?;
    let mut opened = rest.to_vec();
    cfb(&derive(seed, b"STORAGE\0", name, 128), &mut opened);
    Ok(opened)
}

/// One round of KDFa; no key here needs more.
fn derive(key: &[u8], label: &[u8], context: &[u8], bits: u32) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let input = [&1_u32.to_be_bytes(), label, context, &bits.to_be_bytes()].concat();
    hmac::sign(&key, &input).as_ref()[..bits as usize / 8].to_vec()
}

fn cfb(key: &[u8], in_out: &mut [u8]) {
    let key = UnboundCipherKey::new(&AES_128, key).unwrap();
    let zeros = DecryptionContext::Iv128(FixedLength::from([0; 16]));
    let key = DecryptingKey::cfb128(key).unwrap();
    key.decrypt(in_out, zeros).unwrap();
}

/// The key out of a `TPM2B_SENSITIVE`, if it belongs to the public area: what a TPM checks
/// when it loads both.
fn sensitive_key(mut outer: &[u8], area: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut sensitive = sized(&mut outer);
    assert!(outer.is_empty(), "the sensitive area goes on");
    assert_eq!(sensitive[..2], [0, 8], "a keyed hash");
    sensitive = &sensitive[2..];
    let [authorization, seed, key] = [(); 3].map(|()| sized(&mut sensitive));
    assert!(authorization.is_empty() && sensitive.is_empty());
    let unique = digest(&SHA256, &[seed, key].concat());
    if !area.ends_with(unique.as_ref()) {
        return Err("binding");
    }
    Ok(key.to_vec())
}
