//! Symmetric keys and tokens.

use ids::Timestamp;
use serde_json::{Value, json};
use wire::sas::SharedAccessKey;

use super::Service;

/// The enrollment of a device or of a group, by its `member`.
pub fn symmetric(member: &str, id: &str, keys: &Value) -> Value {
    json!({
        member: id,
        "attestation": {"type": "symmetricKey", "symmetricKey": keys},
        "initialTwin": {"tags": {"environment": "test"}, "properties": {"desired": {}}},
    })
}

pub fn key(text: &Value) -> SharedAccessKey {
    SharedAccessKey::from_base64(text.as_str().unwrap()).unwrap()
}

impl Service {
    pub fn token(&self, id: &str, key: &SharedAccessKey, expiry: Timestamp) -> String {
        let resource = format!("{}/registrations/{id}", self.id_scope());
        wire::sas::build(&resource, Some("registration"), expiry, key)
    }

    pub fn soon(&self) -> Timestamp {
        self.now().plus(std::time::Duration::from_secs(30))
    }
}
