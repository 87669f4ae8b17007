//! Passwords of issuer users: made up or chosen, and how they are stored and compared.
//!
//! A made-up password has 160 bits of randomness, so one SHA-256 of it is stored. A chosen one may
//! be guessed, so its Argon2id hash is stored.

mod checks;

pub use checks::{CheckError, PasswordChecks, ProvenPassword};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{constant_time, digest};
use zeroize::Zeroizing;

/// Shortest password that an operator may choose, characters.
pub const MIN_PASSWORD: usize = 12;

/// What stands before the hash of a made-up password.
const MADE_UP: &str = "sha256:";
/// Letters and digits of which none looks like another: 32 of them.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Letters of a made-up password.
const LENGTH: usize = 32;

/// 19 MiB, two passes: what OWASP gives as the least for Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Why a password is not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("the password has fewer than {MIN_PASSWORD} characters")]
    TooShort,
    #[error("the password is longer than {} bytes", wire::est::MAX_PASSWORD)]
    TooLong,
    #[error(
        "the password has control characters; a line end at the end of a file is no part of it"
    )]
    ControlCharacters,
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// A password as it is stored. It opens nothing, and is redacted all the same.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword(Zeroizing<String>);

impl std::fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredPassword(redacted)")
    }
}

impl StoredPassword {
    /// From the text of a row.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// Makes up a password from fresh randomness. It is shown once; only its hash is stored.
    #[must_use]
    pub fn make_up(random: &[u8; LENGTH]) -> (Zeroizing<String>, Self) {
        let letters = random.iter().map(|byte| {
            let index = usize::from(*byte) % LETTERS.len();
            char::from(LETTERS.get(index).copied().unwrap_or(b'a'))
        });
        let password: Zeroizing<String> = Zeroizing::new(letters.collect());
        let stored = format!("{MADE_UP}{}", hex_of_sha256(&password).as_str());
        (password, Self(Zeroizing::new(stored)))
    }

    /// Hashes a password that an operator chose. Takes some 30 ms and 19 MiB.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub fn choose(password: &str, salt: &[u8; 16]) -> Result<Self, PasswordError> {
        if password.len() > wire::est::MAX_PASSWORD {
            return Err(PasswordError::TooLong);
        }
        if password.chars().count() < MIN_PASSWORD {
            return Err(PasswordError::TooShort);
        }
        if password.chars().any(char::is_control) {
            return Err(PasswordError::ControlCharacters);
        }
        let failed = |error: argon2::password_hash::Error| PasswordError::Hash(error.to_string());
        let salt = SaltString::encode_b64(salt).map_err(failed)?;
        let hash = argon2().hash_password(password.as_bytes(), &salt);
        Ok(Self(Zeroizing::new(hash.map_err(failed)?.to_string())))
    }

    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.0
    }

    fn is_made_up(&self) -> bool {
        self.0.starts_with(MADE_UP)
    }

    /// Compares a made-up password. `false` for a chosen one.
    fn is_made_up_as(&self, password: &str) -> bool {
        let Some(stored) = self.0.strip_prefix(MADE_UP) else {
            return false;
        };
        let hash = hex_of_sha256(password);
        constant_time::verify_slices_are_equal(stored.as_bytes(), hash.as_bytes()).is_ok()
    }

    /// Compares a chosen password. Takes as long as [`Self::choose`].
    fn is_chosen_as(&self, password: &str) -> bool {
        let Ok(hash) = PasswordHash::new(&self.0) else {
            return false;
        };
        argon2().verify_password(password.as_bytes(), &hash).is_ok()
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hex_of_sha256(password: &str) -> Zeroizing<String> {
    let digest = digest::digest(&digest::SHA256, password.as_bytes());
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Zeroizing::new(digits.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_password_is_long_and_compared_by_its_hash() {
        let (password, stored) = StoredPassword::make_up(&[7; LENGTH]);
        assert_eq!(password.len(), LENGTH);
        assert!(stored.as_text().starts_with("sha256:") && !stored.as_text().contains(&*password));
        assert!(stored.is_made_up_as(&password) && !stored.is_chosen_as(&password));
        assert!(!stored.is_made_up_as("other") && !stored.is_made_up_as(""));
        let read = StoredPassword::from_text(stored.as_text());
        assert!(read.is_made_up_as(&password));
    }

    #[test]
    fn a_chosen_password_is_stored_as_argon2id() {
        let stored = StoredPassword::choose("correct horse", &[1; 16]).unwrap();
        let text = stored.as_text();
        assert!(
            text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{text}"
        );
        assert!(stored.is_chosen_as("correct horse") && !stored.is_chosen_as("correct horsf"));
        assert!(!StoredPassword::from_text("nonsense").is_chosen_as("nonsense"));
    }

    #[test]
    fn passwords_that_are_not_stored() {
        let choose = |text: &str| StoredPassword::choose(text, &[1; 16]).unwrap_err();
        assert_eq!(choose("short"), PasswordError::TooShort);
        assert_eq!(choose(&"x".repeat(257)), PasswordError::TooLong);
        assert_eq!(
            choose("ends with a line\n"),
            PasswordError::ControlCharacters
        );
    }
}
