//! MQTT topics of the provisioning service and of hubs.
//!
//! Request ids (`$rid`) are texts of the client's choice and go back as they came,
//! first among the parameters.

mod device;
mod filter;
mod hub;
mod provisioning;

pub use device::DeviceTopic;
pub use filter::Filter;
pub use hub::HubTopic;
pub use provisioning::{PROVISIONING_FILTER, ProvisioningRequest, ProvisioningResponse};

use ids::{DeviceId, ModuleId};

/// Longest request id that is sent back, bytes. SDKs send numbers and GUIDs.
pub const MAX_RID: usize = 256;

const TWIN_RESPONSE: &str = "$iothub/twin/res/";
const TWIN_DESIRED: &str = "$iothub/twin/PATCH/properties/desired/";
const METHOD_REQUEST: &str = "$iothub/methods/POST/";
const CREDENTIAL_RESPONSE: &str = "$iothub/credentials/res/";

/// Why a text is not a topic of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No topic of this server has this form.
    #[error("there is no such topic")]
    Unknown,
    /// It holds a wildcard, which only filters of subscriptions may (MQTT 3.3.2-2).
    #[error(
        "a message cannot be published to a topic with + or #; percent-encode them in properties"
    )]
    Wildcard,
    /// It belongs to another identity.
    #[error("the topic belongs to another identity")]
    OtherIdentity,
    /// The request id is missing, empty or too long.
    #[error("the topic has no usable $rid")]
    Rid,
    /// A parameter is missing or not what it should be.
    #[error("the topic's parameter {0} is missing or malformed")]
    Parameter(&'static str),
}

/// The part of a topic after `/?`.
#[derive(Debug, Clone, Copy)]
struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    fn get(self, name: &str) -> Option<&'a str> {
        self.0
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn rid(self) -> Result<&'a str, TopicError> {
        self.get("$rid")
            .filter(|rid| (1..=MAX_RID).contains(&rid.len()))
            .ok_or(TopicError::Rid)
    }
}

/// Removes a prefix whatever its case; the SDKs do not agree about it.
fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// Refuses the wildcards of filters in a topic, or in what follows the ids in one: ids of
/// hubs may hold them.
fn plain(topic: &str) -> Result<&str, TopicError> {
    match topic.contains(['+', '#']) {
        true => Err(TopicError::Wildcard),
        false => Ok(topic),
    }
}

/// Splits `{status}/?{parameters}` into the status and its parameters.
fn status(text: &str) -> Result<(i32, Parameters<'_>), TopicError> {
    let (status, parameters) = text.split_once("/?").ok_or(TopicError::Rid)?;
    let status = status
        .parse()
        .map_err(|_| TopicError::Parameter("status"))?;
    Ok((status, Parameters(parameters)))
}

fn version(parameters: Parameters<'_>) -> Result<Option<u64>, TopicError> {
    parameters
        .get("$version")
        .map(|text| text.parse().map_err(|_| TopicError::Parameter("$version")))
        .transpose()
}

fn version_parameter(version: Option<u64>) -> String {
    version
        .map(|version| format!("&$version={version}"))
        .unwrap_or_default()
}

fn root(device: &DeviceId, module: Option<&ModuleId>) -> String {
    match module {
        Some(module) => format!("devices/{device}/modules/{module}/"),
        None => format!("devices/{device}/"),
    }
}

/// What follows `{device}[/modules/{module}]/{literal}/`. Ids are compared as they
/// are, without any decoding.
fn own<'a>(
    rest: &'a str,
    device: &DeviceId,
    module: Option<&ModuleId>,
    literal: &str,
) -> Result<&'a str, TopicError> {
    let (id, mut rest) = rest.split_once('/').ok_or(TopicError::Unknown)?;
    let mut same = id == device.as_str();
    if let Some(module) = module {
        rest = strip(rest, "modules/").ok_or(TopicError::OtherIdentity)?;
        let (id, tail) = rest.split_once('/').ok_or(TopicError::Unknown)?;
        same &= id == module.as_str();
        rest = tail;
    } else if strip(rest, "modules/").is_some() {
        return Err(TopicError::OtherIdentity);
    }
    if !same {
        return Err(TopicError::OtherIdentity);
    }
    let tail = strip(rest, literal).ok_or(TopicError::Unknown)?;
    match tail.strip_prefix('/') {
        Some(bag) => Ok(bag),
        None if literal.is_empty() || tail.is_empty() => Ok(tail),
        None => Err(TopicError::Unknown),
    }
}
