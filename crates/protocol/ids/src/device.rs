use serde::{Deserialize, Serialize};

use crate::{IdError, parse_chars, text_id};

const HUB_CHARS: &str = "ASCII letters and digits and - : . + % _ # * ? ! ( ) , = @ ; $ '";

fn hub_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-:.+%_#*?!(),=@;$'".contains(c)
}

/// Refuses what a file system and a URL take for a place: devices keep folders that are
/// named after their modules.
fn no_folder(what: &'static str, text: &str) -> Result<(), IdError> {
    match text {
        "." | ".." => Err(IdError::new(
            what,
            text,
            "means a folder, and names nothing",
        )),
        _ => Ok(()),
    }
}

/// A device identity in a hub's registry: 1 to 128 characters, case-sensitive, not `.` or `..`.
///
/// Rule: `iot-hub-devguide-identity-registry.md`, widened by `:` and `;` as the .NET SDKs do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

impl DeviceId {
    /// Parses a device id.
    ///
    /// # Errors
    /// When it is empty, longer than 128 characters, has a character that hubs refuse, or
    /// is `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        parse_chars("device id", text, 128, hub_char, HUB_CHARS)?;
        no_folder("device id", text)?;
        Ok(Self(text.to_owned()))
    }
}
text_id!(DeviceId);

/// A module identity of one device: the same rule as [`DeviceId`]; `$edgeAgent`
/// and `$edgeHub` are reserved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModuleId(String);

impl ModuleId {
    /// Parses a module id.
    ///
    /// # Errors
    /// When it is empty, longer than 128 characters, has a character that hubs refuse, or
    /// is `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        parse_chars("module id", text, 128, hub_char, HUB_CHARS)?;
        no_folder("module id", text)?;
        Ok(Self(text.to_owned()))
    }

    /// The agent module of every IoT Edge device.
    #[must_use]
    pub fn edge_agent() -> Self {
        Self("$edgeAgent".to_owned())
    }

    /// The hub module of every IoT Edge device.
    #[must_use]
    pub fn edge_hub() -> Self {
        Self("$edgeHub".to_owned())
    }

    /// Whether this is `$edgeAgent` or `$edgeHub`.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0.starts_with('$')
    }
}
text_id!(ModuleId);

/// Marks one life of an identity: a device that is deleted and created again gets another one.
///
/// Opaque to clients; Azure's are decimal digits, so are ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GenerationId(String);

impl GenerationId {
    /// Parses a generation id.
    ///
    /// # Errors
    /// When it is empty, longer than 64 characters or not ASCII letters, digits and `-`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        parse_chars(
            "generation id",
            text,
            64,
            allowed,
            "ASCII letters, digits and -",
        )?;
        Ok(Self(text.to_owned()))
    }

    /// The generation id that a number stands for.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(number.to_string())
    }
}
text_id!(GenerationId);

#[cfg(test)]
mod tests {
    use super::*;

    // A8
    #[test]
    fn no_id_is_a_folder() {
        for text in [".", ".."] {
            assert!(DeviceId::parse(text).is_err(), "{text}");
            assert!(ModuleId::parse(text).is_err(), "{text}");
            assert!(ModuleId::try_from(text.to_owned()).is_err(), "{text}");
        }
        for text in ["...", ".a", "a..", "..a"] {
            assert!(ModuleId::parse(text).is_ok(), "{text}");
        }
    }
}
