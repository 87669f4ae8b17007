//! User names of MQTT CONNECT: how a client says which service, which device
//! and which protocol version.

use ids::{DeviceId, HubHost, IdError, IdScope, ModuleId, RegistrationId};
use percent_encoding::percent_decode_str;

use crate::sas::percent_encode;

/// Longest user name looked at, bytes.
pub const MAX_USERNAME: usize = 4096;

const REGISTRATIONS: &str = "registrations";
const API_VERSION: &str = "api-version";

/// Who connects, and to what. Only said, not proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Username {
    /// `{idScope}/registrations/{registrationId}/api-version=…[&ClientVersion=…]`.
    Provisioning(ProvisioningUsername),
    /// `{hubHost}/{deviceId}[/{moduleId}]/?api-version=…[&…]`.
    Hub(HubUsername),
}

/// A device that wants to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisioningUsername {
    /// The id scope of the provisioning service.
    pub id_scope: IdScope,
    /// As which registration; the same as the client id.
    pub registration_id: RegistrationId,
    /// Protocol version, such as `2019-03-31`.
    pub api_version: String,
    /// The name and version that the SDK gives itself.
    pub client_version: Option<String>,
}

/// A device or module that connects to its hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUsername {
    /// The host of the hub.
    pub host: HubHost,
    /// The device id within the hub.
    pub device: DeviceId,
    /// Which of its modules, or the device itself.
    pub module: Option<ModuleId>,
    /// Protocol version; old clients leave it out.
    pub api_version: Option<String>,
    /// The name and version that the SDK gives itself.
    pub client_type: Option<String>,
    /// Its IoT Plug and Play model.
    pub model_id: Option<String>,
    /// The chain of gateways that speaks for it, `;` between ids.
    pub auth_chain: Option<String>,
}

/// Why a text is not a user name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// It is longer than any user name.
    #[error("the user name has {0} bytes, {MAX_USERNAME} at most are accepted")]
    TooLong(usize),
    /// It has neither of the two forms.
    #[error(
        "the user name is neither scope/registrations/id/api-version=… nor \
         host/device[/module]/?api-version=…"
    )]
    Shape,
    /// The provisioning service needs a protocol version.
    #[error("the user name has no api-version")]
    NoApiVersion,
    /// One of its ids is not an id.
    #[error("the user name holds an invalid id")]
    Id(#[from] IdError),
}

impl Username {
    /// Reads every form that clients send, also the old ones without `?`, with
    /// `?&`, and without parameters.
    ///
    /// # Errors
    /// When it has none of these forms or an id in it is invalid.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        if text.len() > MAX_USERNAME {
            return Err(UsernameError::TooLong(text.len()));
        }
        let mut parts = text.splitn(3, '/');
        let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
            return Err(UsernameError::Shape);
        };
        let rest = parts.next().unwrap_or_default();
        // A registration is told from a device named `registrations` by the `?` that hub clients
        // write.
        if second.eq_ignore_ascii_case(REGISTRATIONS)
            && !rest.contains("/?")
            && let (Ok(id_scope), Some((id, parameters))) =
                (IdScope::parse(first), rest.split_once('/'))
        {
            return provisioning(id_scope, id, parameters).map(Self::Provisioning);
        }
        hub(first, second, rest).map(Self::Hub)
    }
}

fn provisioning(
    id_scope: IdScope,
    id: &str,
    parameters: &str,
) -> Result<ProvisioningUsername, UsernameError> {
    let parameters = Parameters(parameters);
    Ok(ProvisioningUsername {
        id_scope,
        registration_id: RegistrationId::parse(id)?,
        api_version: parameters
            .get(API_VERSION)
            .ok_or(UsernameError::NoApiVersion)?,
        client_version: parameters.get("ClientVersion"),
    })
}

fn hub(host: &str, device: &str, rest: &str) -> Result<HubUsername, UsernameError> {
    let is_parameters = |text: &str| {
        text.starts_with(['?', '&']) || text.split('&').any(|p| p.starts_with("api-version="))
    };
    let (module, parameters) = match rest.split_once('/') {
        _ if is_parameters(rest) => ("", rest),
        Some((module, parameters)) if parameters.is_empty() || is_parameters(parameters) => {
            (module, parameters)
        }
        Some(_) => return Err(UsernameError::Shape),
        None => (rest, ""),
    };
    let parameters = Parameters(parameters);
    Ok(HubUsername {
        host: HubHost::parse(host)?,
        device: DeviceId::parse(device)?,
        module: match module {
            "" => None,
            module => Some(ModuleId::parse(module)?),
        },
        api_version: parameters.get(API_VERSION),
        client_type: parameters.get("DeviceClientType"),
        model_id: parameters.get("model-id"),
        auth_chain: parameters.get("auth-chain"),
    })
}

/// `?a=b&c=d`, with or without the `?`.
struct Parameters<'a>(&'a str);

impl Parameters<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.0
            .trim_start_matches('?')
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned())
            .filter(|value| !value.is_empty())
    }
}

impl std::fmt::Display for ProvisioningUsername {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            id_scope,
            registration_id,
            api_version,
            ..
        } = self;
        write!(
            f,
            "{id_scope}/{REGISTRATIONS}/{registration_id}/{API_VERSION}={api_version}"
        )?;
        parameter(f, "ClientVersion", self.client_version.as_deref())
    }
}

impl std::fmt::Display for HubUsername {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.host, self.device)?;
        if let Some(module) = &self.module {
            write!(f, "/{module}")?;
        }
        f.write_str("/?")?;
        if let Some(api_version) = &self.api_version {
            write!(f, "{API_VERSION}={api_version}")?;
        }
        parameter(f, "DeviceClientType", self.client_type.as_deref())?;
        parameter(f, "model-id", self.model_id.as_deref())?;
        parameter(f, "auth-chain", self.auth_chain.as_deref())
    }
}

fn parameter(f: &mut std::fmt::Formatter<'_>, name: &str, value: Option<&str>) -> std::fmt::Result {
    match value {
        Some(value) => write!(f, "&{name}={}", percent_encode(value)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_hub(text: &str) -> HubUsername {
        match Username::parse(text).unwrap() {
            Username::Hub(hub) => hub,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_python_sdk_registers() {
        let text = "0ne000A/registrations/dev-001/api-version=2019-03-31\
                    &ClientVersion=azure-iot-device-provisioning-py%2F2.14.0%28Linux%29";
        let Username::Provisioning(user) = Username::parse(text).unwrap() else {
            panic!("not a registration");
        };
        assert_eq!(user.id_scope.as_str(), "0ne000A");
        assert_eq!(user.registration_id.as_str(), "dev-001");
        assert_eq!(user.api_version, "2019-03-31");
        let client = "azure-iot-device-provisioning-py/2.14.0(Linux)";
        assert_eq!(user.client_version.as_deref(), Some(client));
        assert_eq!(user.to_string(), text);
    }

    #[test]
    fn every_form_of_a_hub_user_name_is_read() {
        for (text, module, version) in [
            (
                "localhost/d1/?api-version=2019-10-01&DeviceClientType=py%2F2",
                None,
                Some("2019-10-01"),
            ),
            (
                "localhost/d1/m1/?api-version=2020-09-30",
                Some("m1"),
                Some("2020-09-30"),
            ),
            (
                "localhost/d1/$edgeAgent/?api-version=2020-09-30",
                Some("$edgeAgent"),
                Some("2020-09-30"),
            ),
            (
                "localhost/d1/api-version=2016-11-14",
                None,
                Some("2016-11-14"),
            ),
            (
                "localhost/d1/m1/api-version=2016-11-14&DeviceClientType=x",
                Some("m1"),
                Some("2016-11-14"),
            ),
            (
                "localhost/d1/?&api-version=2017-06-30",
                None,
                Some("2017-06-30"),
            ),
            (
                "localhost/d1/DeviceClientType=x&api-version=2017-06-30",
                None,
                Some("2017-06-30"),
            ),
            ("localhost/d1/m1/", Some("m1"), None),
            ("localhost/d1/m1", Some("m1"), None),
            ("localhost/d1/", None, None),
            ("localhost/d1", None, None),
        ] {
            let user = parse_hub(text);
            assert_eq!(user.device.as_str(), "d1", "{text}");
            assert_eq!(user.module.as_ref().map(ModuleId::as_str), module, "{text}");
            assert_eq!(user.api_version.as_deref(), version, "{text}");
        }
    }

    #[test]
    fn parameters_are_decoded_and_written_back() {
        let text = "hub.example:8443/d%1/?api-version=2021-04-12&DeviceClientType=a%2F1&model-id=dtmi%3Ax%3B1&auth-chain=d%3Be";
        let user = parse_hub(text);
        assert_eq!(user.host.port(), Some(8443));
        assert_eq!(user.model_id.as_deref(), Some("dtmi:x;1"));
        assert_eq!(user.auth_chain.as_deref(), Some("d;e"));
        assert_eq!(user.to_string(), text);
    }

    #[test]
    fn a_device_may_be_named_registrations() {
        assert_eq!(
            parse_hub("localhost/registrations/?api-version=1")
                .device
                .as_str(),
            "registrations"
        );
        let module = parse_hub("localhost/registrations/m/?api-version=1").module;
        assert_eq!(module, Some(ModuleId::parse("m").unwrap()));
    }

    #[test]
    fn other_texts_are_refused() {
        let long = format!("h/{}", "d".repeat(5000));
        for text in [
            "",
            "localhost",
            "/d/?api-version=1",
            "h/d/m/n/o",
            "h//?api-version=1",
            "0ne1/registrations/bad id/api-version=1",
            "0ne1/registrations/r/ClientVersion=1",
            long.as_str(),
        ] {
            assert!(Username::parse(text).is_err(), "{text}");
        }
    }
}
