//! What the hub knows of the sender of a message and stamps on it.

use ids::GenerationId;

/// How a sender proved itself when it connected: `iothub-connection-auth-method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// A token of a shared access policy of the hub.
    HubSas,
    /// A token signed with a key of the device.
    DeviceSas,
    /// A token signed with a key of the module.
    ModuleSas,
    /// A certificate of the device.
    DeviceX509,
    /// A certificate of the module.
    ModuleX509,
}

impl AuthMethod {
    const ALL: [Self; 5] = [
        Self::HubSas,
        Self::DeviceSas,
        Self::ModuleSas,
        Self::DeviceX509,
        Self::ModuleX509,
    ];

    /// The scope (`hub`, `device`, `module`), the type (`sas`, `x509`) and the issuer
    /// (`iothub`, `external`).
    #[must_use]
    pub fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::HubSas => ("hub", "sas", "iothub"),
            Self::DeviceSas => ("device", "sas", "iothub"),
            Self::ModuleSas => ("module", "sas", "iothub"),
            Self::DeviceX509 => ("device", "x509", "external"),
            Self::ModuleX509 => ("module", "x509", "external"),
        }
    }

    /// The JSON text that Azure's hub stamps.
    #[must_use]
    pub fn to_json_text(self) -> String {
        let (scope, kind, issuer) = self.parts();
        format!(
            r#"{{"scope":"{scope}","type":"{kind}","issuer":"{issuer}","acceptingIpFilterRule":null}}"#
        )
    }

    /// The name in the event log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HubSas => "hub-sas",
            Self::DeviceSas => "device-sas",
            Self::ModuleSas => "module-sas",
            Self::DeviceX509 => "device-x509",
            Self::ModuleX509 => "module-x509",
        }
    }

    /// The inverse of [`name`](Self::name).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// What the hub stamps on every message of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderStamp {
    /// `iothub-connection-auth-generation-id`: the life of the identity that sent.
    pub generation_id: GenerationId,
    /// How it proved itself.
    pub auth: AuthMethod,
    /// `dt-dataschema`: the Plug and Play model that it announced when it connected.
    pub model_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_json_and_has_a_name_of_its_own() {
        for method in AuthMethod::ALL {
            let json: serde_json::Value = serde_json::from_str(&method.to_json_text()).unwrap();
            assert_eq!(json["scope"], method.parts().0);
            assert_eq!(AuthMethod::named(method.name()), Some(method));
        }
        assert_eq!(AuthMethod::named("sas"), None);
    }
}
