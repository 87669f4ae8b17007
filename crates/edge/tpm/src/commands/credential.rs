//! Commands of credential activation: what was wrapped for a TPM comes into it.

use pki::tpm::push_sized;
use zeroize::Zeroizing;

use super::{hierarchy, owned};
use crate::TpmError;
use crate::command::{
    ACTIVATE_CREDENTIAL, Authorized, IMPORT, NONCE, POLICY_SECRET, Request, START_AUTH_SESSION,
};
use crate::connection::Connection;
use crate::public::id;

/// What is given to [`Connection::import`].
pub(crate) struct Duplicate<'a> {
    /// The key of the inner wrapper, AES-128.
    pub(crate) inner_key: &'a [u8],
    pub(crate) public: &'a [u8],
    pub(crate) private: &'a [u8],
    pub(crate) seed: &'a [u8],
}

impl Connection {
    /// A session in which the policy of endorsement keys is satisfied: the authorization
    /// value of the endorsement hierarchy is known.
    pub(crate) fn endorsement_session(&mut self, value: &[u8]) -> Result<u32, TpmError> {
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce)?;
        let mut parameters = Vec::new();
        push_sized(&mut parameters, &nonce);
        // Not salted, of type policy, without encryption of parameters, with SHA-256.
        push_sized(&mut parameters, b"");
        parameters.push(1);
        parameters.extend_from_slice(&id::NULL.to_be_bytes());
        parameters.extend_from_slice(&id::SHA256.to_be_bytes());
        let request = Request {
            handles: &[hierarchy::NULL, hierarchy::NULL],
            authorized: &[],
            parameters: &parameters,
        };
        let answer = self.run(&START_AUTH_SESSION, request)?;
        let session = self.handle(&START_AUTH_SESSION, &answer)?;
        // No nonce of the TPM, no bound parameters, no reference, no expiry.
        let parameters = [0; 10];
        let request = Request {
            handles: &[hierarchy::ENDORSEMENT, session],
            authorized: &[Authorized::By(value)],
            parameters: &parameters,
        };
        self.run(&POLICY_SECRET, request)?;
        Ok(session)
    }

    /// Decrypts a credential that is bound to the object `bound`.
    pub(crate) fn activate_credential(
        &mut self,
        bound: u32,
        (key, authorized): (u32, Authorized<'_>),
        credential: &[u8],
        secret: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let mut parameters = Vec::new();
        push_sized(&mut parameters, credential);
        push_sized(&mut parameters, secret);
        let request = Request {
            handles: &[bound, key],
            authorized: &[Authorized::EMPTY, authorized],
            parameters: &parameters,
        };
        let answer = self.run(&ACTIVATE_CREDENTIAL, request)?;
        self.read(&ACTIVATE_CREDENTIAL, &answer, owned)
            .map(Zeroizing::new)
    }

    /// Takes over an object that was wrapped for `parent` by another program: its private area, which only
    /// this TPM opens.
    pub(crate) fn import(
        &mut self,
        parent: u32,
        duplicate: &Duplicate<'_>,
    ) -> Result<Vec<u8>, TpmError> {
        let mut parameters = Zeroizing::new(Vec::with_capacity(1024));
        let fields = [
            duplicate.inner_key,
            duplicate.public,
            duplicate.private,
            duplicate.seed,
        ];
        for field in fields {
            push_sized(&mut parameters, field);
        }
        for field in [id::AES, 128, id::CFB] {
            parameters.extend_from_slice(&field.to_be_bytes());
        }
        let request = Request {
            handles: &[parent],
            authorized: &[Authorized::EMPTY],
            parameters: &parameters,
        };
        let answer = self.run(&IMPORT, request)?;
        self.read(&IMPORT, &answer, owned)
    }
}
