//! Endpoints that are streams of NATS JetStream.

use std::fmt;

use ids::{DeviceId, EndpointName, HubHost, HubName};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::service_api::allocation::is_loopback;
use crate::telemetry::EventSource;

/// Longest subject, before its placeholders are replaced, bytes.
const MAX_SUBJECT: usize = 256;
/// Longest URL, user and password, bytes.
const MAX_TEXT: usize = 512;
/// The port of NATS where a URL names none.
const PORT: u16 = 4222;

/// An endpoint that publishes events to NATS JetStream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NatsEndpoint {
    /// As routes name it.
    pub name: EndpointName,
    /// `tls://host:4222`, or `nats://` to a loopback address.
    pub url: NatsUrl,
    /// What events are published to. A stream must have it.
    #[serde(default)]
    pub subject: NatsSubject,
    /// The name that the hub logs in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password of the user; without a user, a token. Shown to callers who may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<NatsPassword>,
}

/// Why a text is not the URL of a NATS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NatsUrlError {
    /// Neither `tls` nor `nats`.
    #[error("it begins neither with tls:// nor with nats://")]
    Scheme,
    /// No host, or anything but a host.
    #[error("it is not a scheme with a host and a port; user and password have their own members")]
    Form,
    /// Anyone between server and NATS could read and change the events.
    #[error("nats:// is for loopback addresses only; use tls://")]
    PlainText,
}

/// The URL of a NATS server: `tls://host:port`, or `nats://` to this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NatsUrl {
    text: String,
    host: HubHost,
    is_tls: bool,
}

impl NatsUrl {
    /// Parses `tls://host:port` or `nats://host:port`.
    pub fn parse(text: &str) -> Result<Self, NatsUrlError> {
        let (scheme, host) = text.split_once("://").ok_or(NatsUrlError::Scheme)?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "tls" => true,
            "nats" => false,
            _ => return Err(NatsUrlError::Scheme),
        };
        if text.len() > MAX_TEXT {
            return Err(NatsUrlError::Form);
        }
        let host = host.strip_suffix('/').unwrap_or(host);
        let host = HubHost::parse(host).map_err(|_| NatsUrlError::Form)?;
        if !is_tls && !is_loopback(&host) {
            return Err(NatsUrlError::PlainText);
        }
        let text = text.to_owned();
        Ok(Self { text, host, is_tls })
    }

    /// Name or address of the server. An address of IPv6 is without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.name().trim_matches(['[', ']'])
    }

    /// 4222 where the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.host.port().unwrap_or(PORT)
    }

    /// Whether the connection must be encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl TryFrom<String> for NatsUrl {
    type Error = NatsUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<NatsUrl> for String {
    fn from(url: NatsUrl) -> Self {
        url.text
    }
}

/// Characters that have a meaning in subjects, and `%`, by which they are encoded.
const SUBJECT_SPECIAL: &AsciiSet = &CONTROLS.add(b' ').add(b'.').add(b'*').add(b'>').add(b'%');

/// The subject of events: fixed, or with `{iothub}`, `{deviceId}` and `{source}` in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NatsSubject {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Hub,
    Device,
    Source,
}

impl NatsSubject {
    /// Parses a subject.
    ///
    /// # Errors
    /// Says in words what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_SUBJECT {
            return Err("it is longer than 256 bytes");
        }
        let plain = |c: char| c.is_ascii_graphic() && !"*>".contains(c);
        if !text.chars().all(plain) {
            return Err("it has a blank, a wildcard, or a character that is not ASCII");
        }
        if text.split('.').any(str::is_empty) {
            return Err("it has an empty part between dots");
        }
        // NATS keeps $ and _ at the beginning for itself, and devices may be called so.
        if text.starts_with(['$', '_', '{']) {
            return Err("it begins with $, _ or a placeholder");
        }
        let text = text.to_owned();
        let parts = parts(&text)?;
        Ok(Self { text, parts })
    }

    /// As it was written, with its placeholders.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The subject of an event. Dots and wildcards of names are percent-encoded.
    #[must_use]
    pub fn of_event(&self, hub: &HubName, device: &DeviceId, source: EventSource) -> String {
        let encoded = |name: &str| utf8_percent_encode(name, SUBJECT_SPECIAL).to_string();
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Hub => encoded(hub.as_str()),
            Part::Device => encoded(device.as_str()),
            Part::Source => encoded(source.message_source()),
        };
        self.parts.iter().map(part).collect()
    }
}

fn parts(mut rest: &str) -> Result<Vec<Part>, &'static str> {
    let mut parts = Vec::new();
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').ok_or("it has a { without a }")?;
        parts.push(Part::Text(before.to_owned()));
        parts.push(match name {
            "iothub" => Part::Hub,
            "deviceId" => Part::Device,
            "source" => Part::Source,
            _ => return Err("its placeholders may be {iothub}, {deviceId} and {source}"),
        });
        rest = after;
    }
    if rest.contains('}') {
        return Err("it has a } without a {");
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

impl Default for NatsSubject {
    /// `muster.{iothub}.{deviceId}`.
    fn default() -> Self {
        Self {
            text: "muster.{iothub}.{deviceId}".to_owned(),
            parts: vec![
                Part::Text("muster.".to_owned()),
                Part::Hub,
                Part::Text(".".to_owned()),
                Part::Device,
            ],
        }
    }
}

impl TryFrom<String> for NatsSubject {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<NatsSubject> for String {
    fn from(subject: NatsSubject) -> Self {
        subject.text
    }
}

/// What the hub proves itself with to NATS. Wiped when dropped, never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NatsPassword(Zeroizing<String>);

impl NatsPassword {
    /// Takes a password or token.
    ///
    /// # Errors
    /// When it is empty or longer than 512 bytes.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.len() {
            1..=MAX_TEXT => Ok(Self(Zeroizing::new(text.to_owned()))),
            _ => Err("a password of 1 to 512 bytes was expected"),
        }
    }

    /// For the connection and for storage.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NatsPassword {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&Zeroizing::new(text))
    }
}

/// For storage, and for callers who may write.
impl Serialize for NatsPassword {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Debug for NatsPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NatsPassword(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_and_this_machine_are_connected_to() {
        for (text, host, port) in [
            ("tls://nats.example.org", "nats.example.org", 4222),
            ("TLS://10.0.0.7:4443/", "10.0.0.7", 4443),
            ("nats://localhost:4222", "localhost", 4222),
            ("nats://[::1]:7", "::1", 7),
        ] {
            let url = NatsUrl::parse(text).unwrap();
            assert_eq!((url.host(), url.port()), (host, port), "{text}");
        }
        use NatsUrlError::{Form, PlainText, Scheme};
        for (bad, error) in [
            ("nats.example.org", Scheme),
            ("ws://localhost", Scheme),
            ("tls://", Form),
            ("tls://user:secret@nats.example.org", Form),
            ("tls://nats.example.org/path", Form),
            ("nats://nats.example.org", PlainText),
            ("nats://10.0.0.7", PlainText),
        ] {
            assert_eq!(NatsUrl::parse(bad), Err(error), "{bad}");
        }
    }

    #[test]
    fn names_stay_one_part_of_a_subject() {
        let hub = "hub".parse().unwrap();
        let of = |subject: &str, device: &str| {
            let (subject, device) = (
                NatsSubject::parse(subject).unwrap(),
                device.parse().unwrap(),
            );
            subject.of_event(&hub, &device, EventSource::DeviceMessages)
        };
        assert_eq!(of("all.events", "d1"), "all.events");
        assert_eq!(of("a{iothub}b.{source}", "d1"), "ahubb.Telemetry");
        assert_eq!(of("x.{deviceId}", "a.b*%"), "x.a%2Eb%2A%25");
        let usual = NatsSubject::default();
        assert_eq!(NatsSubject::parse(usual.as_str()).unwrap(), usual);
        for bad in [
            "",
            ".",
            "a..b",
            "a b",
            "a.*",
            "a.>",
            "$JS.API",
            "_INBOX.a",
            "a.{device}",
            "a.{x",
            "a.}",
            "é",
            "{deviceId}.a",
        ] {
            assert!(NatsSubject::parse(bad).is_err(), "{bad}");
        }
        assert!(NatsSubject::parse(&"x".repeat(MAX_SUBJECT + 1)).is_err());
    }

    #[test]
    fn a_password_is_not_shown() {
        let password = NatsPassword::parse("secret").unwrap();
        assert!(!format!("{password:?}").contains("secret"));
        assert!(NatsPassword::parse("").is_err());
    }
}
