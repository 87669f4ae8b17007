use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::Timestamp;
use percent_encoding::percent_decode_str;

use super::scope::{IdCase, contains};
use super::{MAX_TOKEN, REGISTRATION_POLICY, SCHEME, SharedAccessKey, percent_encode};

/// Why a token is refused. For logs and `explain`; callers get "unauthorized".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    /// The text does not have the form of a token.
    #[error("not a shared access signature: {0}")]
    Malformed(&'static str),
    /// The expiry is in the past, by more than the clock skew.
    #[error("the token expired at {}", at.in_seconds())]
    Expired {
        /// The expiry that the token names, `se`.
        at: Timestamp,
    },
    /// The token does not cover the resource.
    #[error("the token is for {granted:?}, which does not contain {requested:?}")]
    OtherResource {
        /// The resource that the token names, `sr`, decoded.
        granted: String,
        /// The resource that the caller asked for.
        requested: String,
    },
    /// No key of the policy or identity signed the token.
    #[error("the signature does not match")]
    Signature,
}

/// A parsed token whose signature has not been checked.
#[derive(Debug, Clone)]
pub struct UnverifiedToken {
    sent_resource: String,
    resource: String,
    signature: Vec<u8>,
    sent_expiry: String,
    expiry: Timestamp,
    policy: Option<String>,
}

/// Proof that a known key signed the token, that it covers the resource and has not expired.
/// Only [`UnverifiedToken::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    policy: Option<String>,
    resource: String,
    expiry: Timestamp,
}

impl VerifiedToken {
    /// The shared access policy that the caller's keys belong to; `None` for
    /// the identity's own key.
    #[must_use]
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// The resource of the token, decoded; covers the one that was asked for.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// When the token expires; connections end then.
    #[must_use]
    pub fn expiry(&self) -> Timestamp {
        self.expiry
    }
}

impl UnverifiedToken {
    /// Parses a token with its fields in any order. Unknown fields are ignored.
    ///
    /// # Errors
    /// When the token is too long, has another scheme, or lacks `sr`, `sig` or `se` or repeats one.
    pub fn parse(text: &str) -> Result<Self, SasError> {
        if text.len() > MAX_TOKEN {
            return Err(SasError::Malformed("it is too long"));
        }
        let (scheme, fields) = text
            .trim()
            .split_once(' ')
            .ok_or(SasError::Malformed("it has no scheme"))?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(SasError::Malformed("it has another scheme"));
        }
        let field = |name: &str, missing| {
            let mut found = fields
                .split('&')
                .filter_map(|field| field.split_once('='))
                .filter(|(given, _)| given.trim() == name);
            match (found.next(), found.next()) {
                (Some((_, value)), None) => Ok(value.trim()),
                (None, _) => Err(SasError::Malformed(missing)),
                (Some(_), Some(_)) => Err(SasError::Malformed("a field is given twice")),
            }
        };
        let sent_resource = field("sr", "it has no sr")?;
        let sent_expiry = field("se", "it has no se")?;
        let seconds = sent_expiry
            .parse()
            .map_err(|_| SasError::Malformed("se is not a number of seconds"))?;
        let signature = STANDARD
            .decode(decoded(field("sig", "it has no sig")?)?)
            .map_err(|_| SasError::Malformed("sig is not base64"))?;
        let policy = match field("skn", "") {
            Ok("") | Err(SasError::Malformed("")) => None,
            Ok(policy) => Some(decoded(policy)?),
            Err(twice) => return Err(twice),
        };
        Ok(Self {
            sent_resource: sent_resource.to_owned(),
            resource: decoded(sent_resource)?,
            signature,
            sent_expiry: sent_expiry.to_owned(),
            expiry: Timestamp::from_unix_seconds(seconds),
            policy: policy.filter(|policy| policy != REGISTRATION_POLICY),
        })
    }

    /// The shared access policy whose keys to verify with; `None` for the identity's own keys. The
    /// name `registration` is not a policy.
    #[must_use]
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// The resource that the sender claims, decoded.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The expiry that the sender claims.
    #[must_use]
    pub fn expiry(&self) -> Timestamp {
        self.expiry
    }

    /// Checks the token against the keys of its policy or identity.
    ///
    /// `requested` is the resource that the caller asks for, not encoded, such as
    /// `hub.example/devices/d/modules/m`; `skew` is how far the sender's clock
    /// may lag behind `now`.
    pub fn verify<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k SharedAccessKey>,
        requested: &str,
        now: Timestamp,
        skew: Duration,
    ) -> Result<VerifiedToken, SasError> {
        if self.expiry.plus(skew) <= now {
            return Err(SasError::Expired { at: self.expiry });
        }
        // The identity's own key proves which identity is meant, in whatever case its id is
        // written.
        let case = match self.policy {
            Some(_) => IdCase::Exact,
            None => IdCase::Ignored,
        };
        if !contains(&self.resource, requested, case) {
            return Err(SasError::OtherResource {
                granted: self.resource.clone(),
                requested: requested.to_owned(),
            });
        }
        let texts = self.signed_texts();
        let signed = |key: &SharedAccessKey| texts.iter().any(|t| key.signed(t, &self.signature));
        if !keys.into_iter().any(signed) {
            return Err(SasError::Signature);
        }
        Ok(VerifiedToken {
            policy: self.policy.clone(),
            resource: self.resource.clone(),
            expiry: self.expiry,
        })
    }

    /// The texts that may have been signed: with the resource as it was sent, or encoded in one of
    /// the two usual ways, by senders that sign another spelling than they send.
    fn signed_texts(&self) -> Vec<Vec<u8>> {
        let encoded = percent_encode(&self.resource);
        let lower = lower_hex(&encoded);
        let mut spellings = vec![self.sent_resource.clone(), encoded, lower];
        spellings.dedup();
        spellings
            .into_iter()
            .map(|resource| format!("{resource}\n{}", self.sent_expiry).into_bytes())
            .collect()
    }
}

/// Decodes `%XX`. A `+` is not a blank, because device ids may contain it.
fn decoded(text: &str) -> Result<String, SasError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| SasError::Malformed("a field is not UTF-8"))
}

/// `%2F` to `%2f`, everything else unchanged.
fn lower_hex(encoded: &str) -> String {
    let mut escaped = 0;
    let lower = |c: char| {
        if c == '%' {
            escaped = 2;
            return c;
        }
        let hex = escaped > 0;
        escaped = if hex { escaped - 1 } else { 0 };
        if hex { c.to_ascii_lowercase() } else { c }
    };
    encoded.chars().map(lower).collect()
}

#[cfg(test)]
mod tests;
