use ids::{DeviceId, ModuleId};

use super::{CREDENTIAL_RESPONSE, METHOD_REQUEST, TWIN_DESIRED, TWIN_RESPONSE};
use super::{TopicError, own, root, strip};

/// What a device or module may subscribe to. Anything else is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Answers to twin requests; they come without a subscription, too.
    TwinResponses,
    /// Changes of the desired properties.
    DesiredPatches,
    /// Calls of direct methods.
    MethodRequests,
    /// Commands to the device.
    DeviceBound,
    /// Answers to requests for another certificate.
    CredentialResponses,
    /// Messages routed to a module's inputs.
    ModuleInputs,
}

impl Filter {
    /// Reads a topic filter of the device (or its module).
    pub fn parse(
        filter: &str,
        device: &DeviceId,
        module: Option<&ModuleId>,
    ) -> Result<Self, TopicError> {
        for (constant, known) in [
            ("$iothub/twin/res/#", Self::TwinResponses),
            (
                "$iothub/twin/PATCH/properties/desired/#",
                Self::DesiredPatches,
            ),
            ("$iothub/methods/POST/#", Self::MethodRequests),
            ("$iothub/credentials/res/#", Self::CredentialResponses),
        ] {
            if filter.eq_ignore_ascii_case(constant) {
                return Ok(known);
            }
        }
        let rest = strip(filter, "devices/").ok_or(TopicError::Unknown)?;
        match (module, own(rest, device, module, "")?) {
            (Some(_), "#" | "inputs/#") => Ok(Self::ModuleInputs),
            (_, rest) if rest.eq_ignore_ascii_case("messages/devicebound/#") => {
                Ok(Self::DeviceBound)
            }
            _ => Err(TopicError::Unknown),
        }
    }

    /// The filter as `device` (or its module) subscribes to it.
    #[must_use]
    pub fn format(self, device: &DeviceId, module: Option<&ModuleId>) -> String {
        match self {
            Self::TwinResponses => format!("{TWIN_RESPONSE}#"),
            Self::DesiredPatches => format!("{TWIN_DESIRED}#"),
            Self::MethodRequests => format!("{METHOD_REQUEST}#"),
            Self::CredentialResponses => format!("{CREDENTIAL_RESPONSE}#"),
            Self::DeviceBound => format!("{}messages/devicebound/#", root(device, module)),
            Self::ModuleInputs => format!("{}inputs/#", root(device, module)),
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
    fn filters_of_all_sdks_are_known() {
        let (device, module) = (device(), module());
        for filter in [
            Filter::TwinResponses,
            Filter::DesiredPatches,
            Filter::MethodRequests,
            Filter::DeviceBound,
            Filter::CredentialResponses,
        ] {
            assert_eq!(
                Filter::parse(&filter.format(&device, None), &device, None),
                Ok(filter)
            );
        }
        let inputs = Filter::ModuleInputs.format(&device, Some(&module));
        for text in [inputs.as_str(), "devices/dev#+1%/modules/$edgeAgent/#"] {
            assert_eq!(
                Filter::parse(text, &device, Some(&module)),
                Ok(Filter::ModuleInputs)
            );
        }
        let node = "devices/dev#+1%/messages/deviceBound/#";
        assert_eq!(Filter::parse(node, &device, None), Ok(Filter::DeviceBound));
        for text in [
            "#",
            "$iothub/#",
            "devices/other/messages/devicebound/#",
            "devices/dev#+1%/#",
            "+/+",
        ] {
            assert!(Filter::parse(text, &device, None).is_err(), "{text}");
        }
    }
}
