use serde::{Deserialize, Serialize};

use crate::{IdError, parse_chars, text_id};

/// The name of a hub inside Muster: what `--name` takes. Letters, digits and `-`,
/// at most 50 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HubName(String);

impl HubName {
    /// Parses a hub name.
    ///
    /// # Errors
    /// When it is empty, longer than 50 characters or not ASCII letters, digits and `-`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        parse_chars("hub name", text, 50, allowed, "ASCII letters, digits and -")?;
        Ok(Self(text.to_owned()))
    }
}
text_id!(HubName);

/// Where a hub is reached: a DNS name or IP address, with `:port` when HTTPS is not on 443.
///
/// This is what `assignedHub`, `iotHubs` and connection strings carry. Compared without case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HubHost(String);

/// The port of HTTPS where none is said.
const HTTPS: u16 = 443;

impl HubHost {
    /// Parses `host` or `host:port`; IPv6 addresses are written in brackets.
    ///
    /// # Errors
    /// When the host is empty, has characters that no host has, or the port is not 1 to 65535.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let what = "hub host";
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        parse_chars(
            what,
            text,
            255,
            allowed,
            "a host name or address, and :port",
        )?;
        let host = Self(text.to_owned());
        if host.name().is_empty() {
            return Err(IdError::new(what, text, "has no host name"));
        }
        match host.port_text() {
            Some(port) if port.parse::<u16>().map_or(true, |p| p == 0) => {
                Err(IdError::new(what, text, format!("has {port:?} for a port")))
            }
            _ => Ok(host),
        }
    }

    /// The host without its port.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.split() {
            Some((name, _)) => name,
            None => &self.0,
        }
    }

    /// The port, when one is given.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port_text().and_then(|p| p.parse().ok())
    }

    /// Whether both name the same host, whatever their case and ports.
    #[must_use]
    pub fn same_name(&self, other: &Self) -> bool {
        self.name().eq_ignore_ascii_case(other.name())
    }

    /// Whether both lead to the same place by HTTPS: a port that is not said is 443.
    #[must_use]
    pub fn is_exactly(&self, other: &Self) -> bool {
        let port = |host: &Self| host.port().unwrap_or(HTTPS);
        self.same_name(other) && port(self) == port(other)
    }

    /// Whether both may mean the same place: the same name, and no two ports that differ.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        let unsaid = self.port().is_none() || other.port().is_none();
        self.same_name(other) && (unsaid || self.port() == other.port())
    }

    /// The same host at this port, or without one.
    #[must_use]
    pub fn with_port(&self, port: Option<u16>) -> Self {
        match port {
            Some(port) => Self(format!("{}:{port}", self.name())),
            None => Self(self.name().to_owned()),
        }
    }

    fn port_text(&self) -> Option<&str> {
        self.split().map(|(_, port)| port)
    }

    fn split(&self) -> Option<(&str, &str)> {
        // A colon inside brackets belongs to an IPv6 address.
        let (name, port) = self.0.rsplit_once(':')?;
        let outside = !name.contains('[') || name.ends_with(']');
        outside.then_some((name, port))
    }
}
text_id!(HubHost);

impl PartialEq for HubHost {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HubHost {}

/// The id of a configuration (deployment): lower-case letters, digits and `- : + % _ * ! '`,
/// at most 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConfigurationId(String);

impl ConfigurationId {
    /// Parses a configuration id.
    ///
    /// # Errors
    /// When it is empty, too long, or has an upper-case letter or another refused character.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-:+%_*!'".contains(c);
        let chars = "lower-case ASCII letters, digits and - : + % _ * ! '";
        parse_chars("configuration id", text, 128, allowed, chars)?;
        Ok(Self(text.to_owned()))
    }
}
text_id!(ConfigurationId);

/// A job of a hub: 1 to 128 characters, case-sensitive. Clients make it, often a GUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// Parses a job id.
    ///
    /// # Errors
    /// When it is empty, longer than 128 characters, or has a character that device ids have not.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-:.+%_#*?!(),=@;$'".contains(c);
        let chars = "ASCII letters and digits and - : . + % _ # * ? ! ( ) , = @ ; $ '";
        parse_chars("job id", text, 128, allowed, chars)?;
        Ok(Self(text.to_owned()))
    }
}
text_id!(JobId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_tell_hubs_of_one_name_apart_where_they_are_said() {
        // Exactly, maybe.
        for (one, other, exactly, maybe) in [
            ("localhost", "LOCALHOST", true, true),
            ("localhost", "localhost:443", true, true),
            ("localhost:8443", "localhost", false, true),
            ("localhost:8443", "localhost:8443", true, true),
            ("localhost:8443", "localhost:9443", false, false),
            ("a:8443", "b:8443", false, false),
        ] {
            let host = |text| HubHost::parse(text).unwrap();
            for (one, other) in [(host(one), host(other)), (host(other), host(one))] {
                assert_eq!(one.is_exactly(&other), exactly, "{one} {other}");
                assert_eq!(one.may_be(&other), maybe, "{one} {other}");
            }
        }
    }

    #[test]
    fn host_and_port_are_told_apart() {
        for (text, name, port) in [
            ("localhost", "localhost", None),
            ("127.0.0.7:8443", "127.0.0.7", Some(8443)),
            ("[::1]", "[::1]", None),
            ("[::1]:443", "[::1]", Some(443)),
        ] {
            let host = HubHost::parse(text).unwrap();
            assert_eq!((host.name(), host.port()), (name, port), "{text}");
        }
        for bad in ["", ":1", "a:0", "a:b", "a:70000", "a b"] {
            assert!(HubHost::parse(bad).is_err(), "{bad}");
        }
    }
}
