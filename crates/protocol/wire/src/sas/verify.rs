use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::Timestamp;
use percent_encoding::percent_decode_str;

use super::{MAX_TOKEN, REGISTRATION_POLICY, SCHEME, SharedAccessKey, percent_encode};

/// Why a token is not accepted. For logs and `explain`; callers get no more than "unauthorized".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    /// It is not a token.
    #[error("not a shared access signature: {0}")]
    Malformed(&'static str),
    /// It was valid until a moment in the past.
    #[error("the token expired at {at}")]
    Expired {
        /// Its `se`.
        at: Timestamp,
    },
    /// It is for something else.
    #[error("the token is for {granted:?}, which does not contain {requested:?}")]
    OtherResource {
        /// Its `sr`, decoded.
        granted: String,
        /// What was asked for.
        requested: String,
    },
    /// None of the keys made its signature.
    #[error("the signature does not match")]
    Signature,
}

/// A token as it was sent; nothing about it is known to be true.
#[derive(Debug, Clone)]
pub struct UnverifiedToken {
    sent_resource: String,
    resource: String,
    signature: Vec<u8>,
    sent_expiry: String,
    expiry: Timestamp,
    policy: Option<String>,
}

/// A token that a known key signed, for the resource asked for, and that has not expired. Only [`UnverifiedToken::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    policy: Option<String>,
    resource: String,
    expiry: Timestamp,
}

impl VerifiedToken {
    /// The shared access policy that the caller's keys belong to; `None` for the identity's own key.
    #[must_use]
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// What the token is for, decoded; contains the resource that was asked for.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Until when; long connections end then.
    #[must_use]
    pub fn expiry(&self) -> Timestamp {
        self.expiry
    }
}

impl UnverifiedToken {
    /// Reads a token with its fields in any order. Unknown fields are ignored.
    ///
    /// # Errors
    /// When it is too long, has another scheme, or lacks `sr`, `sig` or `se` or has one of them twice.
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

    /// Which policy's keys to verify with; `None` when the identity's own are meant. `registration` names no policy.
    #[must_use]
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// What the sender says the token is for, decoded.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Until when the sender says it is valid.
    #[must_use]
    pub fn expiry(&self) -> Timestamp {
        self.expiry
    }

    /// Checks the token against the keys that its policy or identity has.
    ///
    /// `requested` is the resource asked for, not encoded, such as `hub.example/devices/d/modules/m`; `skew` is how far the
    /// sender's clock may lag behind `now`.
    ///
    /// # Errors
    /// When it has expired, is for another resource, or none of the keys signed it.
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
        // The identity's own key proves which identity is meant, however its daemon spells it.
        let ids = match self.policy {
            Some(_) => Ids::AsSpelled,
            None => Ids::InAnyCase,
        };
        if !contains(&self.resource, requested, ids) {
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

    /// What may have been signed: the resource as it was sent, or encoded in one of the two usual ways by a sender that signs
    /// another spelling than it sends.
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

/// Decodes `%XX`; a `+` stays one, because device ids may hold it.
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

/// How ids of devices and modules are compared, which are other ones in another case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    AsSpelled,
    InAnyCase,
}

/// Whether `granted` is `requested` or a parent of it, segment by segment, whatever port the host carries. The host and the words
/// between the ids are the same in any case.
fn contains(granted: &str, requested: &str, ids: Ids) -> bool {
    let segments = |text: &'_ str| -> Vec<String> {
        let mut folded: Vec<String> = Vec::new();
        for (index, segment) in text.trim_end_matches('/').split('/').enumerate() {
            let names_id = |word: &String| matches!(word.as_str(), "devices" | "modules" | "twins");
            let is_id = index % 2 == 0 && folded.last().is_some_and(names_id);
            folded.push(match index {
                0 => without_port(segment).to_ascii_lowercase(),
                _ if is_id && ids == Ids::AsSpelled => segment.to_owned(),
                _ => segment.to_ascii_lowercase(),
            });
        }
        folded
    };
    let (granted, requested) = (segments(granted), segments(requested));
    !granted[0].is_empty() && requested.starts_with(&granted)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const SKEW: Duration = Duration::from_secs(300);

    fn key() -> SharedAccessKey {
        SharedAccessKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZg==").unwrap()
    }

    fn token_of(sent: &str, signed: &str, seconds: i64, tail: &str) -> String {
        let digest = key().sign(format!("{signed}\n{seconds}").as_bytes());
        let signature = percent_encode(&STANDARD.encode(digest));
        format!("SharedAccessSignature sr={sent}&sig={signature}&se={seconds}{tail}")
    }

    fn verify(token: &str, requested: &str) -> Result<VerifiedToken, SasError> {
        UnverifiedToken::parse(token)?.verify([&key()], requested, NOW, SKEW)
    }

    /// Computed with Python: `hmac.new(b"0123456789abcdef", b"localhost%2Fdevices%2Fsym-1\n1700000600", "sha256")`.
    #[test]
    fn the_bytes_are_those_of_the_python_sdk() {
        let expiry = Timestamp::from_unix_seconds(1_700_000_600);
        assert_eq!(
            build("localhost/devices/sym-1", None, expiry, &key()),
            "SharedAccessSignature sr=localhost%2Fdevices%2Fsym-1\
             &sig=KaS1EKT7%2ByyFxPZ%2BUexUzk%2BxXsO4scT6GS8Cki1omgo%3D&se=1700000600"
        );
    }

    #[test]
    fn a_built_token_verifies_and_proves_its_policy() {
        let token = build("hub.example", Some("iothubowner"), NOW.plus(SKEW), &key());
        let proof = verify(&token, "hub.example/devices/d").unwrap();
        assert_eq!(proof.policy(), Some("iothubowner"));
        assert_eq!(proof.resource(), "hub.example");
        assert_eq!(proof.expiry(), NOW.plus(SKEW));
    }

    #[test]
    fn every_real_spelling_of_the_resource_verifies() {
        let soon = NOW.unix_seconds() + 30;
        for (sent, signed) in [
            // Python and az; aziot; docs' samples; senders that sign another spelling than they send.
            (
                "0ne1%2Fregistrations%2FDev-1",
                "0ne1%2Fregistrations%2FDev-1",
            ),
            ("0ne1/registrations/dev-1", "0ne1/registrations/dev-1"),
            (
                "0ne1%2fregistrations%2fDev-1",
                "0ne1%2fregistrations%2fDev-1",
            ),
            ("0ne1/registrations/Dev-1", "0ne1%2Fregistrations%2FDev-1"),
            ("0ne1/registrations/Dev-1", "0ne1%2fregistrations%2fDev-1"),
        ] {
            let token = token_of(sent, signed, soon, "&skn=registration");
            let proof = verify(&token, "0ne1/registrations/Dev-1").unwrap();
            assert_eq!(proof.policy(), None);
        }
    }

    #[test]
    fn fields_come_in_any_order() {
        let token = token_of("h", "h", NOW.unix_seconds() + 30, "");
        let (head, tail) = token.split_once(' ').unwrap();
        let mut fields: Vec<&str> = tail.split('&').collect();
        fields.reverse();
        let token = format!("{head} {}&extra=1", fields.join("&"));
        assert!(verify(&token, "h/devices/d").is_ok());
    }

    #[test]
    fn a_scope_contains_whole_segments_only() {
        let soon = NOW.unix_seconds() + 30;
        for (sent, requested, contained) in [
            ("HUB.example:8443", "hub.example/devices/d", true),
            (
                "hub.example/devices/D1",
                "hub.example:8443/devices/d1",
                true,
            ),
            (
                "hub.example/devices/d1",
                "hub.example/devices/d1/modules/m",
                true,
            ),
            ("hub.example/devices/d1/", "hub.example/devices/d1", true),
            ("hub.example/devices/d", "hub.example/devices/d1", false),
            (
                "hub.example/devices/d1/modules/m",
                "hub.example/devices/d1",
                false,
            ),
            ("hub", "hub.example/devices/d1", false),
            ("", "hub.example", false),
        ] {
            let result = verify(&token_of(sent, sent, soon, ""), requested);
            assert_eq!(result.is_ok(), contained, "{sent} {requested}: {result:?}");
        }
    }

    // A7
    #[test]
    fn a_policy_opens_the_device_that_is_spelled_and_no_other() {
        let soon = NOW.unix_seconds() + 30;
        for (sent, requested, contained) in [
            (
                "HUB.example/DEVICES/Press1",
                "hub.example/devices/Press1",
                true,
            ),
            (
                "hub.example/devices/Press1",
                "hub.example/devices/press1",
                false,
            ),
            (
                "hub.example/devices/d/MODULES/M",
                "hub.example/devices/d/modules/M",
                true,
            ),
            (
                "hub.example/devices/d/modules/M",
                "hub.example/devices/d/modules/m",
                false,
            ),
            ("hub.example/twins/D", "hub.example/twins/d", false),
            ("hub.example/devices", "hub.example/devices/d", true),
            // An id may be one of the words.
            (
                "hub.example/devices/Devices",
                "hub.example/devices/devices",
                false,
            ),
            (
                "hub.example/devices/devices/modules/M",
                "hub.example/devices/devices/modules/m",
                false,
            ),
        ] {
            let token = token_of(sent, sent, soon, "&skn=device");
            let result = verify(&token, requested);
            assert_eq!(result.is_ok(), contained, "{sent} {requested}: {result:?}");
            // A device daemon's own token, which it spells in lower case.
            let own = token_of(sent, sent, soon, "");
            assert!(verify(&own, requested).is_ok(), "{sent} {requested}");
        }
    }

    #[test]
    fn expiry_allows_for_skew_and_no_more() {
        let at = |seconds: i64| verify(&token_of("h", "h", NOW.unix_seconds() + seconds, ""), "h");
        assert!(at(1).is_ok());
        assert!(at(-299).is_ok());
        assert!(matches!(at(-300), Err(SasError::Expired { .. })));
    }

    #[test]
    fn a_changed_token_does_not_verify() {
        let soon = NOW.unix_seconds() + 30;
        let token = token_of("h", "h", soon, "");
        let later = token.replace(&format!("se={soon}"), &format!("se={}", soon + 1));
        assert_eq!(verify(&later, "h"), Err(SasError::Signature));
        let other = SharedAccessKey::from_bytes(b"another key of 24 bytes!".to_vec()).unwrap();
        let result = UnverifiedToken::parse(&token)
            .unwrap()
            .verify([&other], "h", NOW, SKEW);
        assert_eq!(result, Err(SasError::Signature));
        let result =
            UnverifiedToken::parse(&token)
                .unwrap()
                .verify([&other, &key()], "h", NOW, SKEW);
        assert!(result.is_ok());
    }

    #[test]
    fn what_is_not_a_token_says_why() {
        let long = "x".repeat(MAX_TOKEN + 1);
        for (text, why) in [
            ("", "no scheme"),
            ("Bearer abc", "another scheme"),
            ("SharedAccessSignature sig=AA%3D%3D&se=1", "no sr"),
            ("SharedAccessSignature sr=a&sr=b&sig=AA%3D%3D&se=1", "twice"),
            ("SharedAccessSignature sr=a&sig=AA%3D%3D&se=soon", "seconds"),
            ("SharedAccessSignature sr=a&sig=%%%&se=1", "base64"),
            ("SharedAccessSignature sr=a%ff&sig=AA%3D%3D&se=1", "UTF-8"),
            (long.as_str(), "too long"),
        ] {
            let error = UnverifiedToken::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", key()), "SharedAccessKey(redacted)");
    }
}
