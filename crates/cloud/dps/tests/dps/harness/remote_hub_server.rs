//! The service API of a remote hub without a socket: devices and twins,
//! etags, tokens, and bad days.

use std::collections::BTreeMap;
use std::sync::Mutex;

use outbound::{Answering, OutboundAnswer, OutboundCall, OutboundFault};
use serde_json::{Map, Value, json};

pub const HOST: &str = "remote.test";
/// Another one of the same name, behind another port.
pub const OTHER: &str = "remote.test:8443";
pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// How it is today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    #[default]
    Well,
    /// Connections to the hub are refused.
    Down,
    /// It knows another key.
    OtherKey,
    /// It answers nothing that is about twins.
    SilentAboutTwins,
    /// Somebody else makes each device a moment before it is asked to.
    Overtaken,
}

#[derive(Debug, Clone, Default)]
struct State {
    mood: Mood,
    devices: BTreeMap<String, Value>,
    twins: BTreeMap<String, Value>,
    written: u64,
    created: u64,
}

#[derive(Default)]
pub struct RemoteHubServer(Mutex<State>);

/// The host that a call means, when it is one of them.
pub fn meant(call: &OutboundCall) -> Option<&'static str> {
    let means = |host: &&str| call.url.starts_with(&format!("https://{host}/"));
    [HOST, OTHER].into_iter().find(means)
}

impl RemoteHubServer {
    pub fn set(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    pub fn become_like(&self, other: &Self) {
        *self.0.lock().unwrap() = other.0.lock().unwrap().clone();
    }

    pub fn device(&self, id: &str) -> Option<Value> {
        self.0.lock().unwrap().devices.get(id).cloned()
    }

    pub fn twin(&self, id: &str) -> Value {
        self.0.lock().unwrap().twins[id].clone()
    }

    /// How many devices were ever made.
    pub fn created(&self) -> u64 {
        self.0.lock().unwrap().created
    }

    /// What its device or an operator there writes.
    pub fn set_twin(&self, id: &str, tags: Value, desired: Value, reported: Value) {
        let twin = json!({"tags": tags, "properties": {"desired": desired, "reported": reported}});
        self.0.lock().unwrap().twins.insert(id.to_owned(), twin);
    }

    /// A device that was there before.
    pub fn has_device(&self, id: &str) {
        self.0.lock().unwrap().put_existing(id);
    }

    pub fn answer(&self, host: &str, call: OutboundCall) -> Answering<'_> {
        let mood = self.0.lock().unwrap().mood;
        let is_about_twins = call.url.contains("/twins/");
        match mood {
            Mood::Down => {
                Box::pin(async { Err(OutboundFault::Unreachable("connection refused".to_owned())) })
            }
            Mood::SilentAboutTwins if is_about_twins => Box::pin(std::future::pending()),
            _ => {
                let (status, body) = self.0.lock().unwrap().answer(host, &call);
                let body = body.to_string().into_bytes();
                Box::pin(async move {
                    Ok(OutboundAnswer {
                        status,
                        body,
                        ..OutboundAnswer::default()
                    })
                })
            }
        }
    }
}

impl State {
    fn put_existing(&mut self, id: &str) {
        let device = json!({"deviceId": id, "status": "enabled",
            "authentication": {"type": "sas", "symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}});
        self.write(id, device.as_object().unwrap().clone());
        let twin =
            json!({"tags": {"by": "operator"}, "properties": {"desired": {}, "reported": {}}});
        self.twins.insert(id.to_owned(), twin);
    }

    fn answer(&mut self, host: &str, call: &OutboundCall) -> (u16, Value) {
        let header = |name: &str| {
            let found = call.headers.iter().find(|(found, _)| *found == name);
            found.map(|(_, value)| value.as_str())
        };
        let token = header("authorization").unwrap();
        let audience = host.replace(':', "%3A");
        let begins = format!("SharedAccessSignature sr={audience}&sig=");
        assert!(token.starts_with(&begins), "{token}");
        assert!(token.ends_with("&skn=iothubowner"), "{token}");
        if self.mood == Mood::OtherKey {
            let refusal = json!({"Message": "ErrorCode:IotHubUnauthorizedAccess;Unauthorized"});
            return (401, refusal);
        }
        let path = call.url.strip_prefix(&format!("https://{host}/")).unwrap();
        let path = path.strip_suffix("?api-version=2021-04-12").unwrap();
        let body = || {
            let body = call.body.as_deref().unwrap();
            serde_json::from_slice::<Map<String, Value>>(body).unwrap()
        };
        let if_match = header("if-match");
        let (root, id) = path.split_once('/').unwrap();
        match (call.method.as_str(), root) {
            ("GET", "statistics") => (200, json!({"totalDeviceCount": self.devices.len()})),
            ("GET", "devices") => found(self.devices.get(id)),
            ("PUT", "devices") => self.put_device(id, if_match, body()),
            ("DELETE", "devices") => {
                if !self.is_version(id, if_match) {
                    return (412, json!({}));
                }
                self.twins.remove(id);
                self.devices.remove(id);
                (204, json!({}))
            }
            ("GET", "twins") => found(self.twins.get(id)),
            ("PUT", "twins") if self.devices.contains_key(id) => {
                assert_eq!(if_match, Some("*"));
                let mut body = Value::Object(body());
                body["properties"]["reported"] = self.twins[id]["properties"]["reported"].clone();
                self.twins.insert(id.to_owned(), body);
                (200, self.twins[id].clone())
            }
            _ => (404, json!({})),
        }
    }

    fn put_device(
        &mut self,
        id: &str,
        if_match: Option<&str>,
        body: Map<String, Value>,
    ) -> (u16, Value) {
        if self.mood == Mood::Overtaken && if_match.is_none() && !self.devices.contains_key(id) {
            self.put_existing(id);
        }
        match (self.devices.contains_key(id), if_match) {
            (true, None) => (409, json!({})),
            (true, _) if !self.is_version(id, if_match) => (412, json!({})),
            (false, Some(_)) => (404, json!({})),
            (exists, _) => {
                if !exists {
                    self.created += 1;
                    let empty = json!({"tags": {}, "properties": {"desired": {}, "reported": {}}});
                    self.twins.insert(id.to_owned(), empty);
                }
                self.write(id, body);
                (200, self.devices[id].clone())
            }
        }
    }

    fn write(&mut self, id: &str, mut device: Map<String, Value>) {
        self.written += 1;
        device.insert("etag".to_owned(), json!(self.written.to_string()));
        device.insert("generationId".to_owned(), json!("1"));
        self.devices.insert(id.to_owned(), Value::Object(device));
    }

    fn is_version(&self, id: &str, if_match: Option<&str>) -> bool {
        let stored = self
            .devices
            .get(id)
            .and_then(|device| device["etag"].as_str());
        stored.map(|etag| format!("\"{etag}\"")).as_deref() == if_match
    }
}

fn found(document: Option<&Value>) -> (u16, Value) {
    match document {
        Some(document) => (200, document.clone()),
        None => (404, json!({})),
    }
}
