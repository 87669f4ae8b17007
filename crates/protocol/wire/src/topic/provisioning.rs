use super::{Parameters, TopicError, plain, strip};

/// What a device subscribes to before it registers.
pub const PROVISIONING_FILTER: &str = "$dps/registrations/res/#";

const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?";
const OPERATION_STATUS: &str = "$dps/registrations/GET/iotdps-get-operationstatus/?";
const RESPONSE: &str = "$dps/registrations/res/";

/// What a device publishes to the provisioning service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvisioningRequest {
    /// Register, with the request's body as payload.
    Register {
        /// The `rid` that ties response and request together.
        rid: String,
    },
    /// Ask how the registration is going.
    OperationStatus {
        /// The `rid` that ties response and request together.
        rid: String,
        /// The operation that an earlier answer named.
        operation_id: String,
    },
}

impl ProvisioningRequest {
    /// Reads a topic that a device published to.
    ///
    /// # Errors
    /// When it is not one of the two, or lacks its `$rid` or `operationId`.
    pub fn parse(topic: &str) -> Result<Self, TopicError> {
        let topic = plain(topic)?;
        if let Some(parameters) = strip(topic, REGISTER) {
            let rid = Parameters(parameters).rid()?.to_owned();
            return Ok(Self::Register { rid });
        }
        let parameters = strip(topic, OPERATION_STATUS).ok_or(TopicError::Unknown)?;
        let parameters = Parameters(parameters);
        let operation_id = parameters
            .get("operationId")
            .filter(|id| (1..=128).contains(&id.len()))
            .ok_or(TopicError::Parameter("operationId"))?;
        Ok(Self::OperationStatus {
            rid: parameters.rid()?.to_owned(),
            operation_id: operation_id.to_owned(),
        })
    }
}

impl std::fmt::Display for ProvisioningRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Register { rid } => write!(f, "{REGISTER}$rid={rid}"),
            Self::OperationStatus { rid, operation_id } => {
                write!(f, "{OPERATION_STATUS}$rid={rid}&operationId={operation_id}")
            }
        }
    }
}

/// What the provisioning service answers to: QoS 1, and exactly two `$` in the topic, which
/// the Python SDK counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisioningResponse {
    /// The status code, as in HTTP.
    pub status: u16,
    /// The request id (`$rid`) that the device chose.
    pub rid: String,
    /// When to ask again, seconds.
    pub retry_after: Option<u32>,
}

impl ProvisioningResponse {
    /// Reads a topic that the service published to.
    ///
    /// # Errors
    /// When it is another topic, or lacks its status or `$rid`.
    pub fn parse(topic: &str) -> Result<Self, TopicError> {
        let rest = strip(topic, RESPONSE).ok_or(TopicError::Unknown)?;
        let (status, parameters) = super::status(rest)?;
        Ok(Self {
            status: u16::try_from(status).map_err(|_| TopicError::Parameter("status"))?,
            rid: parameters.rid()?.to_owned(),
            retry_after: parameters
                .get("retry-after")
                .and_then(|seconds| seconds.parse().ok()),
        })
    }
}

impl std::fmt::Display for ProvisioningResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{RESPONSE}{}/?$rid={}", self.status, self.rid)?;
        match self.retry_after {
            Some(seconds) => write!(f, "&retry-after={seconds}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_they_are_written() {
        for (text, request) in [
            (
                "$dps/registrations/PUT/iotdps-register/?$rid=1",
                ProvisioningRequest::Register { rid: "1".into() },
            ),
            (
                "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=5.ab.cd-ef",
                ProvisioningRequest::OperationStatus {
                    rid: "2".into(),
                    operation_id: "5.ab.cd-ef".into(),
                },
            ),
        ] {
            assert_eq!(ProvisioningRequest::parse(text), Ok(request.clone()));
            assert_eq!(request.to_string(), text);
        }
    }

    #[test]
    fn responses_have_two_dollars_and_the_rid_first() {
        let response = ProvisioningResponse {
            status: 202,
            rid: "a-b".into(),
            retry_after: Some(3),
        };
        let topic = "$dps/registrations/res/202/?$rid=a-b&retry-after=3";
        assert_eq!(response.to_string(), topic);
        assert_eq!(topic.matches('$').count(), 2);
        assert_eq!(ProvisioningResponse::parse(topic), Ok(response));
    }

    #[test]
    fn other_topics_are_refused() {
        for (topic, error) in [
            (
                "$dps/registrations/PUT/iotdps-register/?rid=1",
                TopicError::Rid,
            ),
            (
                "$dps/registrations/PUT/iotdps-register/?$rid=",
                TopicError::Rid,
            ),
            (
                "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1",
                TopicError::Parameter("operationId"),
            ),
            ("$dps/registrations/PUT/other/?$rid=1", TopicError::Unknown),
            ("devices/d/messages/events/", TopicError::Unknown),
            ("", TopicError::Unknown),
        ] {
            assert_eq!(ProvisioningRequest::parse(topic), Err(error), "{topic}");
        }
        let long = format!(
            "$dps/registrations/PUT/iotdps-register/?$rid={}",
            "r".repeat(300)
        );
        assert_eq!(ProvisioningRequest::parse(&long), Err(TopicError::Rid));
    }
}
