use ids::{DeviceId, ModuleId};

use super::{Parameters, TopicError, own, plain, root, status, strip, version, version_parameter};

const TWIN_GET: &str = "$iothub/twin/GET/?";
const TWIN_REPORTED: &str = "$iothub/twin/PATCH/properties/reported/?";
const METHOD_RESPONSE: &str = "$iothub/methods/res/";
const ISSUE_CERTIFICATE: &str = "$iothub/credentials/POST/issueCertificate/?";

/// What a device or module publishes to its hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceTopic {
    /// Telemetry, with its properties still encoded
    /// ([`crate::device_api::message::PropertyBag::decode`]).
    Events {
        /// Everything after `messages/events/`, still encoded.
        bag: String,
    },
    /// Asks for the whole twin.
    TwinGet {
        /// The `rid` that ties response and request together.
        rid: String,
    },
    /// Merges the payload into the reported properties.
    ReportedPatch {
        /// The `rid` that ties response and request together.
        rid: String,
        /// The version that the reported properties must have now.
        expected: Option<u64>,
    },
    /// Answers a method call.
    MethodResponse {
        /// Any whole number; 200 by convention for success.
        status: i32,
        /// The call's request id.
        rid: String,
    },
    /// Asks for another certificate; the payload is the request.
    IssueCertificate {
        /// The `rid` that ties responses and request together.
        rid: String,
    },
}

impl DeviceTopic {
    /// Whether a topic is one for messages, if it is a topic of a device at all. Cheaper than
    /// [`parse`](Self::parse), which the topic still has to pass.
    #[must_use]
    pub fn may_be_events(topic: &str) -> bool {
        strip(topic, "devices/").is_some()
    }

    /// Reads a topic that the device (or its module) published to.
    ///
    /// # Errors
    /// When a device may not publish there: no such topic, or another identity's.
    pub fn parse(
        topic: &str,
        device: &DeviceId,
        module: Option<&ModuleId>,
    ) -> Result<Self, TopicError> {
        if let Some(rest) = strip(topic, "devices/") {
            let bag = own(rest, device, module, "messages/events")?;
            return Ok(Self::Events {
                bag: plain(bag)?.to_owned(),
            });
        }
        let topic = plain(topic)?;
        if let Some(parameters) = strip(topic, TWIN_GET) {
            let rid = Parameters(parameters).rid()?.to_owned();
            return Ok(Self::TwinGet { rid });
        }
        if let Some(parameters) = strip(topic, TWIN_REPORTED) {
            let parameters = Parameters(parameters);
            return Ok(Self::ReportedPatch {
                rid: parameters.rid()?.to_owned(),
                expected: version(parameters)?,
            });
        }
        if let Some(rest) = strip(topic, METHOD_RESPONSE) {
            let (status, parameters) = status(rest)?;
            let rid = parameters.rid()?.to_owned();
            return Ok(Self::MethodResponse { status, rid });
        }
        if let Some(parameters) = strip(topic, ISSUE_CERTIFICATE) {
            let rid = Parameters(parameters).rid()?.to_owned();
            return Ok(Self::IssueCertificate { rid });
        }
        Err(TopicError::Unknown)
    }

    /// The topic as `device` (or its module) publishes to it.
    #[must_use]
    pub fn format(&self, device: &DeviceId, module: Option<&ModuleId>) -> String {
        match self {
            Self::Events { bag } => format!("{}messages/events/{bag}", root(device, module)),
            Self::TwinGet { rid } => format!("{TWIN_GET}$rid={rid}"),
            Self::ReportedPatch { rid, expected } => {
                format!("{TWIN_REPORTED}$rid={rid}{}", version_parameter(*expected))
            }
            Self::MethodResponse { status, rid } => {
                format!("{METHOD_RESPONSE}{status}/?$rid={rid}")
            }
            Self::IssueCertificate { rid } => format!("{ISSUE_CERTIFICATE}$rid={rid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceId {
        DeviceId::parse("dev#+1%").unwrap()
    }

    fn module() -> ModuleId {
        ModuleId::parse("$edgeAgent").unwrap()
    }

    #[test]
    fn device_topics_read_as_they_are_written() {
        for (text, topic) in [
            (
                "devices/dev#+1%/messages/events/%24.ct=a&k=v",
                DeviceTopic::Events {
                    bag: "%24.ct=a&k=v".into(),
                },
            ),
            (
                "devices/dev#+1%/messages/events/",
                DeviceTopic::Events { bag: String::new() },
            ),
            (
                "$iothub/twin/GET/?$rid=7",
                DeviceTopic::TwinGet { rid: "7".into() },
            ),
            (
                "$iothub/twin/PATCH/properties/reported/?$rid=a",
                DeviceTopic::ReportedPatch {
                    rid: "a".into(),
                    expected: None,
                },
            ),
            (
                "$iothub/twin/PATCH/properties/reported/?$rid=a&$version=4",
                DeviceTopic::ReportedPatch {
                    rid: "a".into(),
                    expected: Some(4),
                },
            ),
            (
                "$iothub/methods/res/-1/?$rid=1",
                DeviceTopic::MethodResponse {
                    status: -1,
                    rid: "1".into(),
                },
            ),
            (
                "$iothub/credentials/POST/issueCertificate/?$rid=req-001",
                DeviceTopic::IssueCertificate {
                    rid: "req-001".into(),
                },
            ),
        ] {
            assert_eq!(
                DeviceTopic::parse(text, &device(), None),
                Ok(topic.clone()),
                "{text}"
            );
            assert_eq!(topic.format(&device(), None), text);
        }
    }

    #[test]
    fn a_module_has_its_own_topics() {
        let (device, module) = (device(), module());
        let topic = "devices/dev#+1%/modules/$edgeAgent/messages/events/a=b";
        let events = DeviceTopic::Events { bag: "a=b".into() };
        assert_eq!(
            DeviceTopic::parse(topic, &device, Some(&module)),
            Ok(events.clone())
        );
        assert_eq!(events.format(&device, Some(&module)), topic);
        assert_eq!(
            DeviceTopic::parse(topic, &device, None),
            Err(TopicError::OtherIdentity)
        );
        for other in [
            "devices/dev#+1%/messages/events/",
            "devices/dev#+1%/modules/m/messages/events/",
        ] {
            assert_eq!(
                DeviceTopic::parse(other, &device, Some(&module)),
                Err(TopicError::OtherIdentity)
            );
        }
    }

    #[test]
    fn other_topics_are_refused() {
        for (topic, error) in [
            ("devices/other/messages/events/", TopicError::OtherIdentity),
            ("devices/dev#+1%/messages/eventsmore", TopicError::Unknown),
            ("devices/dev#+1%/messages/devicebound/", TopicError::Unknown),
            ("devices/dev#+1%", TopicError::Unknown),
            ("$iothub/twin/GET/?", TopicError::Rid),
            (
                "$iothub/twin/PATCH/properties/reported/?$rid=1&$version=x",
                TopicError::Parameter("$version"),
            ),
            (
                "$iothub/methods/res/ok/?$rid=1",
                TopicError::Parameter("status"),
            ),
            (
                "$iothub/twin/PATCH/properties/desired/?$version=1",
                TopicError::Unknown,
            ),
            ("somewhere", TopicError::Unknown),
            (
                "$iothub/credentials/POST/issueCertificate/",
                TopicError::Unknown,
            ),
            (
                "$iothub/credentials/POST/issueCertificate/?$rid=",
                TopicError::Rid,
            ),
            // H23: wildcards are for filters; what is part of an id is not one.
            ("devices/dev#+1%/messages/events/#", TopicError::Wildcard),
            (
                "devices/dev#+1%/messages/events/a=b+c",
                TopicError::Wildcard,
            ),
            ("$iothub/twin/GET/?$rid=1+1", TopicError::Wildcard),
            ("$iothub/methods/res/+/?$rid=1", TopicError::Wildcard),
        ] {
            assert_eq!(
                DeviceTopic::parse(topic, &device(), None),
                Err(error),
                "{topic}"
            );
        }
    }
}
