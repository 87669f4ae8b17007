//! What an assignment was made with. When any of it changes, the device notices.

use ids::{DeviceId, HubHost, IdScope, RegistrationId};
use serde::{Deserialize, Serialize};

/// Where a device gets its hub: from a provisioning service, or from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Origin {
    #[serde(rename_all = "camelCase")]
    Dps {
        endpoint: HubHost,
        id_scope: IdScope,
        registration_id: RegistrationId,
    },
    #[serde(rename_all = "camelCase")]
    Manual { hub: HubHost, device_id: DeviceId },
}

/// How the device proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// Assignments of earlier versions have no other.
    #[default]
    X509,
    SymmetricKey,
    Tpm,
}

/// What an assignment was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    #[serde(flatten)]
    pub origin: Origin,
    #[serde(default)]
    pub method: Method,
    /// SHA-256 of the public key, or of a value that a symmetric key signed; hexadecimal.
    pub key_digest: String,
    /// SHA-256 of the leaf certificate, hexadecimal. `None` without a certificate, and in
    /// assignments of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_digest: Option<String>,
}

impl Basis {
    /// The names of what differs, as the configuration calls it.
    #[must_use]
    pub fn differences(&self, newer: &Self) -> Vec<&'static str> {
        let mut all = self.origin.differences(&newer.origin);
        all.extend(self.credential_differences(newer));
        all
    }

    /// The same for the credential alone.
    #[must_use]
    pub fn credential_differences(&self, newer: &Self) -> Vec<&'static str> {
        if self.method != newer.method {
            return vec!["the authentication method"];
        }
        if self.key_digest != newer.key_digest {
            return vec!["the identity's key"];
        }
        match (&self.certificate_digest, &newer.certificate_digest) {
            (Some(old), Some(new)) if old != new => vec!["the identity's certificate"],
            _ => Vec::new(),
        }
    }

    /// Whether it is the same credential, wherever it is used.
    #[must_use]
    pub fn has_credential_of(&self, other: &Self) -> bool {
        self.credential_differences(other).is_empty()
    }
}

impl Origin {
    /// The names of what differs, as the configuration calls it.
    #[must_use]
    pub fn differences(&self, newer: &Self) -> Vec<&'static str> {
        let same = match (self, newer) {
            (
                Self::Dps {
                    endpoint,
                    id_scope,
                    registration_id,
                },
                Self::Dps {
                    endpoint: new_endpoint,
                    id_scope: new_scope,
                    registration_id: new_id,
                },
            ) => vec![
                (endpoint == new_endpoint, "global_endpoint"),
                (id_scope == new_scope, "id_scope"),
                (
                    registration_id.folded() == new_id.folded(),
                    "registration_id",
                ),
            ],
            (
                Self::Manual { hub, device_id },
                Self::Manual {
                    hub: new_hub,
                    device_id: new_id,
                },
            ) => vec![
                (hub == new_hub, "the hub"),
                (device_id == new_id, "device_id"),
            ],
            _ => vec![(false, "the source of the identity")],
        };
        same.into_iter()
            .filter(|(same, _)| !same)
            .map(|(_, what)| what)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis() -> Basis {
        Basis {
            origin: Origin::Dps {
                endpoint: HubHost::parse("dps.example").unwrap(),
                id_scope: IdScope::parse("0ne1").unwrap(),
                registration_id: RegistrationId::parse("d1").unwrap(),
            },
            method: Method::X509,
            key_digest: "k".to_owned(),
            certificate_digest: Some("c".to_owned()),
        }
    }

    #[test]
    fn what_earlier_versions_kept_is_read_and_is_the_same() {
        let old = r#"{"endpoint":"dps.example","idScope":"0ne1","registrationId":"D1",
            "keyDigest":"k"}"#;
        let old: Basis = serde_json::from_str(old).unwrap();
        assert_eq!(old.differences(&basis()), Vec::<&str>::new());
        let text = serde_json::to_string(&basis()).unwrap();
        assert_eq!(serde_json::from_str::<Basis>(&text).unwrap(), basis());
        let manual = Basis {
            origin: Origin::Manual {
                hub: HubHost::parse("hub.example").unwrap(),
                device_id: DeviceId::parse("d1").unwrap(),
            },
            method: Method::SymmetricKey,
            ..basis()
        };
        let text = serde_json::to_string(&manual).unwrap();
        assert_eq!(serde_json::from_str::<Basis>(&text).unwrap(), manual);
        assert_eq!(
            manual.differences(&basis()),
            ["the source of the identity", "the authentication method"]
        );
    }

    #[test]
    fn t18_every_change_is_named() {
        let changed = |change: fn(&mut Basis)| {
            let mut newer = basis();
            change(&mut newer);
            basis().differences(&newer).join(", ")
        };
        assert_eq!(changed(|_| {}), "");
        assert_eq!(changed(|new| new.key_digest.clear()), "the identity's key");
        assert_eq!(
            changed(|new| new.certificate_digest = Some("other".to_owned())),
            "the identity's certificate"
        );
        assert_eq!(
            changed(|new| new.method = Method::Tpm),
            "the authentication method"
        );
        let scope = changed(|new| {
            let Origin::Dps { id_scope, .. } = &mut new.origin else {
                return;
            };
            *id_scope = IdScope::parse("0ne2").unwrap();
        });
        assert_eq!(scope, "id_scope");
    }
}
