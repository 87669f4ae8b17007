use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Longest user name, bytes.
pub const MAX_USERNAME: usize = 64;
/// Longest password, bytes: a longer one would only cost the server its hash.
pub const MAX_PASSWORD: usize = 256;
/// The base64 of both with their colon.
const MAX_ENCODED: usize = (MAX_USERNAME + 1 + MAX_PASSWORD).div_ceil(3) * 4;

/// User name and password of HTTP Basic (RFC 7617). Nothing of it is verified.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicCredentials {
    username: String,
    password: Zeroizing<String>,
}

/// Why an `Authorization` header holds no user name and password. It never quotes the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Another scheme, such as `Bearer`.
    #[error("the Authorization header is not of the scheme Basic")]
    Scheme,
    /// What follows the scheme is not base64 of UTF-8 text.
    #[error("the Authorization header is not the base64 of UTF-8 text")]
    NotBase64,
    /// No colon stands between user name and password.
    #[error("the Authorization header has no colon after the user name")]
    NoColon,
    /// User name or password are longer than any that exists.
    #[error(
        "the user name is longer than {MAX_USERNAME} bytes or the password longer than \
         {MAX_PASSWORD}"
    )]
    TooLong,
}

impl BasicCredentials {
    /// Reads an `Authorization` header.
    ///
    /// # Errors
    /// When it is of another scheme or cannot be read.
    pub fn read(header: &str) -> Result<Self, CredentialsError> {
        let header = header.trim();
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("Basic") {
            return Err(CredentialsError::Scheme);
        }
        let encoded = rest.trim();
        if encoded.len() > MAX_ENCODED {
            return Err(CredentialsError::TooLong);
        }
        let bytes = STANDARD.decode(encoded).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| CredentialsError::NotBase64)?;
        let text = str::from_utf8(&bytes).map_err(|_| CredentialsError::NotBase64)?;
        let (username, password) = text.split_once(':').ok_or(CredentialsError::NoColon)?;
        if username.len() > MAX_USERNAME || password.len() > MAX_PASSWORD {
            return Err(CredentialsError::TooLong);
        }
        Ok(Self {
            username: username.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        })
    }

    /// The user name as sent.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password in the clear.
    #[must_use]
    pub fn reveal_password(&self) -> &str {
        &self.password
    }
}

impl std::fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicCredentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn a_password_may_have_colons_and_is_not_printed() {
        let read = BasicCredentials::read(&basic("line-1:se:cret")).unwrap();
        assert_eq!(
            (read.username(), read.reveal_password()),
            ("line-1", "se:cret")
        );
        assert!(!format!("{read:?}").contains("cret"));
        let lower = basic("u:ü").replace("Basic ", "basic   ");
        assert_eq!(
            BasicCredentials::read(&lower).unwrap().reveal_password(),
            "ü"
        );
        assert_eq!(BasicCredentials::read(&basic(":")).unwrap().username(), "");
    }

    #[test]
    fn headers_that_hold_no_credentials() {
        let long = "x".repeat(MAX_PASSWORD + 1);
        for (header, error) in [
            ("", CredentialsError::Scheme),
            ("Bearer abc", CredentialsError::Scheme),
            ("SharedAccessSignature sr=x", CredentialsError::Scheme),
            ("Basic", CredentialsError::NoColon),
            ("Basic ***", CredentialsError::NotBase64),
            ("Basic bGluZQ", CredentialsError::NotBase64),
            (&basic("line-1"), CredentialsError::NoColon),
            (
                &format!("Basic {}", STANDARD.encode(b"u:\xff")),
                CredentialsError::NotBase64,
            ),
            (&basic(&format!("u:{long}")), CredentialsError::TooLong),
            (&basic(&format!("{long}:p")), CredentialsError::TooLong),
            (
                &format!("Basic {}", "A".repeat(10_000)),
                CredentialsError::TooLong,
            ),
        ] {
            assert_eq!(BasicCredentials::read(header), Err(error), "{header}");
        }
    }
}
