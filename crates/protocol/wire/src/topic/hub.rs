use ids::{DeviceId, ModuleId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{CREDENTIAL_RESPONSE, METHOD_REQUEST, TWIN_DESIRED, TWIN_RESPONSE};
use super::{Parameters, TopicError, root, status, strip, version, version_parameter};

/// What method names keep in a topic: RFC 2396's unreserved marks. Plug and Play commands have a
/// `*`, which handlers compare undecoded.
const IN_NAMES: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// What a hub publishes to a device or module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubTopic {
    /// Answers a twin request.
    TwinResponse {
        /// The status code, as in HTTP.
        status: u16,
        /// The request id (`$rid`) that the device chose.
        rid: String,
        /// The new version of the reported properties, after a patch.
        version: Option<u64>,
    },
    /// Desired properties changed; the payload is the patch, with its `$version`.
    DesiredPatch {
        /// The new version of the desired properties.
        version: Option<u64>,
    },
    /// Calls a method; the payload is its argument.
    MethodRequest {
        /// The name of the method.
        name: String,
        /// Request id, to be sent back.
        rid: String,
    },
    /// Answers a request for another certificate.
    CredentialResponse {
        /// The status code, as in HTTP: 202 before the one that ends the request.
        status: u16,
        /// The request id (`$rid`) that the device chose.
        rid: String,
    },
    /// A command, with its properties still encoded.
    DeviceBound {
        /// The device id in the topic.
        device: DeviceId,
        /// The module id in the topic, if the command is for a module.
        module: Option<ModuleId>,
        /// Everything after `messages/devicebound/`, still encoded.
        bag: String,
    },
}

impl HubTopic {
    /// Reads a topic that a hub published to.
    pub fn parse(topic: &str) -> Result<Self, TopicError> {
        if let Some(rest) = strip(topic, TWIN_RESPONSE) {
            let (status, parameters) = http_status(rest)?;
            return Ok(Self::TwinResponse {
                status,
                rid: parameters.rid()?.to_owned(),
                version: version(parameters)?,
            });
        }
        if let Some(rest) = strip(topic, CREDENTIAL_RESPONSE) {
            let (status, parameters) = http_status(rest)?;
            let rid = parameters.rid()?.to_owned();
            return Ok(Self::CredentialResponse { status, rid });
        }
        if let Some(rest) = strip(topic, TWIN_DESIRED) {
            let version = version(Parameters(rest.trim_start_matches('?')))?;
            return Ok(Self::DesiredPatch { version });
        }
        if let Some(rest) = strip(topic, METHOD_REQUEST) {
            let (name, parameters) = rest.split_once("/?").ok_or(TopicError::Rid)?;
            let name = percent_decode_str(name).decode_utf8();
            let name = name.map_err(|_| TopicError::Parameter("method name"))?;
            return Ok(Self::MethodRequest {
                name: name.into_owned(),
                rid: Parameters(parameters).rid()?.to_owned(),
            });
        }
        device_bound(topic)
    }
}

fn http_status(text: &str) -> Result<(u16, Parameters<'_>), TopicError> {
    let (status, parameters) = status(text)?;
    let status = u16::try_from(status).map_err(|_| TopicError::Parameter("status"))?;
    Ok((status, parameters))
}

fn device_bound(topic: &str) -> Result<HubTopic, TopicError> {
    let rest = strip(topic, "devices/").ok_or(TopicError::Unknown)?;
    let (device, mut rest) = rest.split_once('/').ok_or(TopicError::Unknown)?;
    let mut module = None;
    if let Some(tail) = strip(rest, "modules/") {
        let (id, tail) = tail.split_once('/').ok_or(TopicError::Unknown)?;
        module = Some(ModuleId::parse(id).map_err(|_| TopicError::Unknown)?);
        rest = tail;
    }
    let bag = strip(rest, "messages/devicebound/").ok_or(TopicError::Unknown)?;
    Ok(HubTopic::DeviceBound {
        device: DeviceId::parse(device).map_err(|_| TopicError::Unknown)?,
        module,
        bag: bag.to_owned(),
    })
}

impl std::fmt::Display for HubTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TwinResponse {
                status,
                rid,
                version,
            } => {
                write!(
                    f,
                    "{TWIN_RESPONSE}{status}/?$rid={rid}{}",
                    version_parameter(*version)
                )
            }
            Self::CredentialResponse { status, rid } => {
                write!(f, "{CREDENTIAL_RESPONSE}{status}/?$rid={rid}")
            }
            Self::DesiredPatch {
                version: Some(version),
            } => write!(f, "{TWIN_DESIRED}?$version={version}"),
            Self::DesiredPatch { version: None } => f.write_str(TWIN_DESIRED),
            Self::MethodRequest { name, rid } => {
                let name = utf8_percent_encode(name, IN_NAMES);
                write!(f, "{METHOD_REQUEST}{name}/?$rid={rid}")
            }
            Self::DeviceBound {
                device,
                module,
                bag,
            } => {
                let root = root(device, module.as_ref());
                write!(f, "{root}messages/devicebound/{bag}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceId {
        DeviceId::parse("dev#+1%").unwrap()
    }

    #[test]
    fn hub_topics_read_as_they_are_written() {
        for (text, topic) in [
            (
                "$iothub/twin/res/200/?$rid=1",
                HubTopic::TwinResponse {
                    status: 200,
                    rid: "1".into(),
                    version: None,
                },
            ),
            (
                "$iothub/twin/res/204/?$rid=1&$version=6",
                HubTopic::TwinResponse {
                    status: 204,
                    rid: "1".into(),
                    version: Some(6),
                },
            ),
            (
                "$iothub/twin/PATCH/properties/desired/?$version=9",
                HubTopic::DesiredPatch { version: Some(9) },
            ),
            (
                "$iothub/methods/POST/re%20set/?$rid=1",
                HubTopic::MethodRequest {
                    name: "re set".into(),
                    rid: "1".into(),
                },
            ),
            // H2
            (
                "$iothub/methods/POST/thermostat1*getMaxMinReport/?$rid=1",
                HubTopic::MethodRequest {
                    name: "thermostat1*getMaxMinReport".into(),
                    rid: "1".into(),
                },
            ),
            (
                "$iothub/methods/POST/-_.!~*'()%24%3F%26%25%C3%BC/?$rid=1",
                HubTopic::MethodRequest {
                    name: "-_.!~*'()$?&%ü".into(),
                    rid: "1".into(),
                },
            ),
            (
                "devices/dev#+1%/messages/devicebound/%24.mid=1",
                HubTopic::DeviceBound {
                    device: device(),
                    module: None,
                    bag: "%24.mid=1".into(),
                },
            ),
        ] {
            assert_eq!(HubTopic::parse(text), Ok(topic.clone()), "{text}");
            assert_eq!(topic.to_string(), text);
        }
    }

    #[test]
    fn answers_about_certificates_have_a_topic() {
        let text = "$iothub/credentials/res/202/?$rid=req-001";
        let topic = HubTopic::CredentialResponse {
            status: 202,
            rid: "req-001".into(),
        };
        assert_eq!(HubTopic::parse(text), Ok(topic.clone()));
        assert_eq!(topic.to_string(), text);
    }

    #[test]
    fn a_module_gets_commands_on_a_topic_of_its_own() {
        let text = "devices/dev#+1%/modules/m1/messages/devicebound/%24.mid=1";
        let topic = HubTopic::DeviceBound {
            device: device(),
            module: ModuleId::parse("m1").ok(),
            bag: "%24.mid=1".into(),
        };
        assert_eq!(HubTopic::parse(text), Ok(topic.clone()));
        assert_eq!(topic.to_string(), text);
    }
}
