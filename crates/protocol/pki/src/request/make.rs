use crate::key::RcgenKey;
use crate::{IssueError, Profile, Signer, Subject};

/// Makes a request (PKCS#10, DER) for a certificate of `profile` with `subject` and this key. It
/// asks for the extensions of the profile; its issuer decides.
///
/// # Errors
/// When the key does not sign.
pub fn make_request(
    profile: &Profile,
    subject: &Subject,
    key: &impl AsRef<Signer>,
) -> Result<Vec<u8>, IssueError> {
    let mut params = profile.params(subject)?;
    // Only an issuer can say it.
    params.use_authority_key_identifier_extension = false;
    let key = RcgenKey::new(key.as_ref().clone());
    let made = params.serialize_request(&key);
    let made = made.map_err(|error| match key.last_fault() {
        Some(fault) => IssueError::Signing(fault),
        None => IssueError::Encoding(error.to_string()),
    })?;
    Ok(made.der().to_vec())
}
