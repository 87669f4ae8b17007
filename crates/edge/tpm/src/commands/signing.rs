//! Commands that use a key.

use pki::tpm::{Reader, TooShort, push_sized};

use super::{hierarchy, owned};
use crate::TpmError;
use crate::command::{
    Authorized, HMAC, HMAC_START, RSA_DECRYPT, Request, SEQUENCE_COMPLETE, SEQUENCE_UPDATE, SIGN,
};
use crate::connection::Connection;
use crate::public::id;

/// `TPM_ST_HASHCHECK`
const HASH_CHECK: u16 = 0x8024;
/// The longest `TPM2B_MAX_BUFFER` that every TPM takes.
const MAX_BUFFER: usize = 1024;

impl Connection {
    /// HMAC-SHA256 of `data`, of any length.
    pub(crate) fn hmac(&mut self, key: u32, data: &[u8]) -> Result<Vec<u8>, TpmError> {
        if data.len() > MAX_BUFFER {
            return self.hmac_in_parts(key, data);
        }
        let mut parameters = Vec::new();
        push_sized(&mut parameters, data);
        parameters.extend_from_slice(&id::SHA256.to_be_bytes());
        let answer = self.run(&HMAC, used_with(&[key], &parameters))?;
        self.read(&HMAC, &answer, owned)
    }

    fn hmac_in_parts(&mut self, key: u32, data: &[u8]) -> Result<Vec<u8>, TpmError> {
        let mut parameters = Vec::new();
        push_sized(&mut parameters, b"");
        parameters.extend_from_slice(&id::SHA256.to_be_bytes());
        let answer = self.run(&HMAC_START, used_with(&[key], &parameters))?;
        let sequence = [self.handle(&HMAC_START, &answer)?];
        for part in data.chunks(MAX_BUFFER) {
            let mut parameters = Vec::new();
            push_sized(&mut parameters, part);
            self.run(&SEQUENCE_UPDATE, used_with(&sequence, &parameters))?;
        }
        let mut parameters = Vec::new();
        push_sized(&mut parameters, b"");
        parameters.extend_from_slice(&hierarchy::NULL.to_be_bytes());
        let answer = self.run(&SEQUENCE_COMPLETE, used_with(&sequence, &parameters))?;
        self.forget(sequence[0]);
        self.read(&SEQUENCE_COMPLETE, &answer, owned)
    }

    /// Signs a digest; the content of the `TPMT_SIGNATURE` after scheme and hash.
    pub(crate) fn sign<T>(
        &mut self,
        key: u32,
        (scheme, hash): (u16, u16),
        digest: &[u8],
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, TooShort>,
    ) -> Result<T, TpmError> {
        let mut parameters = Vec::new();
        push_sized(&mut parameters, digest);
        for field in [scheme, hash, HASH_CHECK] {
            parameters.extend_from_slice(&field.to_be_bytes());
        }
        parameters.extend_from_slice(&hierarchy::NULL.to_be_bytes());
        push_sized(&mut parameters, b"");
        let answer = self.run(&SIGN, used_with(&[key], &parameters))?;
        self.read(&SIGN, &answer, |reader| {
            reader.take(4)?;
            read(reader)
        })
    }

    /// The private operation of RSA without padding.
    pub(crate) fn rsa_private(&mut self, key: u32, block: &[u8]) -> Result<Vec<u8>, TpmError> {
        let mut parameters = Vec::new();
        push_sized(&mut parameters, block);
        parameters.extend_from_slice(&id::NULL.to_be_bytes());
        push_sized(&mut parameters, b"");
        let answer = self.run(&RSA_DECRYPT, used_with(&[key], &parameters))?;
        self.read(&RSA_DECRYPT, &answer, owned)
    }
}

/// A request to an object without an authorization value.
fn used_with<'a>(handles: &'a [u32], parameters: &'a [u8]) -> Request<'a> {
    Request {
        handles,
        authorized: &[Authorized::EMPTY],
        parameters,
    }
}
