use std::net::IpAddr;

use ids::HubHost;
use serde::{Deserialize, Serialize};

/// Longest URL of a webhook, characters.
const MAX_URL: usize = 2048;
/// What stands for the query of a webhook's URL where it is shown: it often
/// holds the function's key.
pub const MASK: &str = "****";

/// `customAllocationDefinition`: the webhook that chooses the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomAllocation {
    /// `https`, or `http` to a loopback address.
    pub webhook_url: WebhookUrl,
    /// The form of the request, as Azure dates it.
    pub api_version: WebhookVersion,
}

impl CustomAllocation {
    /// What is shown: without the key that the URL may hold.
    #[must_use]
    pub fn masked(self) -> Self {
        Self {
            webhook_url: self.webhook_url.masked(),
            ..self
        }
    }
}

/// Why a text is not the URL of a webhook that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookUrlError {
    /// It has too many characters.
    #[error("it is longer than {MAX_URL} characters")]
    TooLong,
    /// Neither `https` nor `http`.
    #[error("it begins neither with https:// nor with http://")]
    Scheme,
    /// No host, a user name, or characters that no URL has.
    #[error("it has no plain host, or a character that no URL has")]
    Form,
    /// Anyone between server and webhook could read and change where devices go.
    #[error("http:// is for loopback addresses only; use https://")]
    PlainText,
}

/// The URL of a webhook: `https`, or `http` to this machine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl {
    text: String,
    /// Where the query begins, or the end.
    query: usize,
    host: HubHost,
}

impl WebhookUrl {
    /// Parses `webhookUrl`, and finds its host.
    pub fn parse(text: &str) -> Result<Self, WebhookUrlError> {
        if text.len() > MAX_URL {
            return Err(WebhookUrlError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(WebhookUrlError::Scheme)?;
        let is_plain = scheme.eq_ignore_ascii_case("http");
        if !is_plain && !scheme.eq_ignore_ascii_case("https") {
            return Err(WebhookUrlError::Scheme);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = HubHost::parse(authority).map_err(|_| WebhookUrlError::Form)?;
        if text.contains('#') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WebhookUrlError::Form);
        }
        if is_plain && !is_loopback(&host) {
            return Err(WebhookUrlError::PlainText);
        }
        Ok(Self {
            text: text.to_owned(),
            query: text.find('?').unwrap_or(text.len()),
            host,
        })
    }

    /// The URL to call. It may hold a key: not for logs.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Who is called, with its port.
    #[must_use]
    pub fn host(&self) -> &HubHost {
        &self.host
    }

    /// The URL without what may be secret in it.
    #[must_use]
    pub fn masked(&self) -> Self {
        let (head, query) = self.text.split_at(self.query);
        let text = match query {
            "" => head.to_owned(),
            _ => format!("{head}?{MASK}"),
        };
        Self {
            text,
            query: self.query,
            host: self.host.clone(),
        }
    }

    /// Whether its query is a mask and no query.
    #[must_use]
    pub fn is_mask(&self) -> bool {
        self.text[self.query..].strip_prefix('?') == Some(MASK)
    }

    /// Whether this is what [`masked`](Self::masked) shows of `stored`: clients send back
    /// what they were shown.
    #[must_use]
    pub fn is_mask_of(&self, stored: &Self) -> bool {
        *self == stored.masked()
    }
}

pub(crate) fn is_loopback(host: &HubHost) -> bool {
    let name = host.name();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl TryFrom<String> for WebhookUrl {
    type Error = WebhookUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<WebhookUrl> for String {
    fn from(url: WebhookUrl) -> Self {
        url.text
    }
}

/// Prints the masked URL.
impl std::fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked().text)
    }
}

impl std::fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebhookUrl({self})")
    }
}

/// The form in which a webhook wants to be asked: a date, such as `2021-10-01`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookVersion(String);

impl WebhookVersion {
    /// The oldest one there is.
    const OLDEST: &str = "2018-09-01";
    /// The first that gets to see what the device sent.
    const WITH_PAYLOAD: &str = "2019-03-31";

    /// Parses the `apiVersion` of a webhook.
    ///
    /// # Errors
    /// When it is not a date of 2018-09-01 or later, with or without `-preview`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let date = text.strip_suffix("-preview").unwrap_or(text);
        let is_date = date.len() == Self::OLDEST.len()
            && date
                .bytes()
                .zip(Self::OLDEST.bytes())
                .all(|(byte, pattern)| match pattern {
                    b'-' => byte == b'-',
                    _ => byte.is_ascii_digit(),
                });
        match is_date && date >= Self::OLDEST {
            true => Ok(Self(text.to_owned())),
            false => Err("a date of 2018-09-01 or later was expected, such as 2021-10-01"),
        }
    }

    /// As it is sent, for example `2019-03-31`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the webhook gets to see what the device sent.
    #[must_use]
    pub fn shows_payload(&self) -> bool {
        self.0.as_str() >= Self::WITH_PAYLOAD
    }
}

impl TryFrom<String> for WebhookVersion {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<WebhookVersion> for String {
    fn from(version: WebhookVersion) -> Self {
        version.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_called() {
        for good in [
            "https://a.example/api/allocate?code=secret",
            "HTTPS://10.0.0.7:8443",
            "http://127.0.0.1:7071/api/allocate",
            "http://127.9.9.9/",
            "http://localhost:7071?x",
            "http://[::1]:80/",
        ] {
            assert!(WebhookUrl::parse(good).is_ok(), "{good}");
        }
        use WebhookUrlError::{Form, PlainText, Scheme};
        for (bad, error) in [
            ("a.example", Scheme),
            ("ftp://a.example", Scheme),
            ("https://", Form),
            ("https:///path", Form),
            ("https://user@a.example/", Form),
            (r"http://127.0.0.1\@a.example/", Form),
            ("https://a.example/a b", Form),
            ("https://a.example/#f", Form),
            ("http://a.example/", PlainText),
            ("http://127.0.0.1.a.example/", PlainText),
            ("http://localhost.example/", PlainText),
            ("http://0x7f.1/", PlainText),
            ("http://0.0.0.0/", PlainText),
        ] {
            assert_eq!(WebhookUrl::parse(bad), Err(error), "{bad}");
        }
        let long = format!("https://a/{}", "x".repeat(MAX_URL));
        assert_eq!(WebhookUrl::parse(&long), Err(WebhookUrlError::TooLong));
    }

    #[test]
    fn the_key_in_a_url_is_not_shown() {
        let url = WebhookUrl::parse("https://a.example/api?code=secret").unwrap();
        assert_eq!(url.to_string(), "https://a.example/api?****");
        assert_eq!(format!("{url:?}"), "WebhookUrl(https://a.example/api?****)");
        let masked = WebhookUrl::parse(&url.to_string()).unwrap();
        assert!(masked.is_mask_of(&url));
        let other = WebhookUrl::parse("https://b.example/api?****").unwrap();
        assert!(!other.is_mask_of(&url));
        let bare = WebhookUrl::parse("https://a.example/api").unwrap();
        assert_eq!(bare.masked(), bare);
    }

    #[test]
    fn versions_are_dates() {
        for (text, payload) in [
            ("2018-09-01-preview", false),
            ("2018-11-01", false),
            ("2019-03-31", true),
            ("2021-10-01", true),
        ] {
            assert_eq!(
                WebhookVersion::parse(text).unwrap().shows_payload(),
                payload
            );
        }
        for bad in [
            "",
            "2017-01-01",
            "latest",
            "2021-10-1",
            "2021-10-01-beta",
            "２021-10-01",
        ] {
            assert!(WebhookVersion::parse(bad).is_err(), "{bad}");
        }
    }
}
