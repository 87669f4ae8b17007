//! Makes keys, and certificates for them.

use ids::Timestamp;
use pki::{
    Certificate, IssueError, Issuer, KeyType, PrivateKey, Profile, Serial, Signer, Subject,
    Validity, prepare,
};

use crate::CaError;
use crate::directory::days;

pub(crate) fn new_key(name: &str) -> Result<PrivateKey, CaError> {
    PrivateKey::generate(KeyType::Ec).map_err(|source| CaError::NewKey {
        name: name.to_owned(),
        source,
    })
}

pub(crate) fn sign(
    profile: Profile,
    name: &str,
    issuer: Option<&Issuer>,
    life_days: u32,
    key: &impl AsRef<Signer>,
    now: Timestamp,
) -> Result<Certificate, CaError> {
    let signed = || -> Result<Certificate, IssueError> {
        let subject = Subject::common_name(name)?;
        let validity = Validity::UpTo(days(life_days));
        let serial = Serial::random()?;
        prepare(profile, &subject, issuer, validity, serial, now)?
            .lint()?
            .sign(key)
    };
    signed().map_err(|source| CaError::Issue {
        name: name.to_owned(),
        source,
    })
}
