//! A remote hub as its client sees it: what is sent to the service API of another hub, and what is
//! read of its answers.

use ids::{DeviceId, Etag, GenerationId};
use serde_json::{Map, Value, json};

use crate::error::HubHttpError;
use crate::lenient::{self, BodyError, Fields};
use crate::service_api::identity::{Authentication, Status};
use crate::twin::{METADATA, VERSION};

/// The api-version that is asked for.
pub const API_VERSION: &str = "2021-04-12";
/// Largest answer that is read, bytes: three documents of a twin with their metadata.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// Longest text of a refusal that is kept, bytes.
pub const MAX_REFUSAL: usize = 1024;

/// Where a device is read, written and deleted.
#[must_use]
pub fn device_path(device: &DeviceId) -> String {
    let id = crate::sas::percent_encode(device.as_str());
    format!("/devices/{id}?api-version={API_VERSION}")
}

/// Where a device's twin is read and replaced.
#[must_use]
pub fn twin_path(device: &DeviceId) -> String {
    let id = crate::sas::percent_encode(device.as_str());
    format!("/twins/{id}?api-version={API_VERSION}")
}

/// A path that is cheap for a hub to answer, and only with valid credentials.
#[must_use]
pub fn probe_path() -> String {
    format!("/statistics/devices?api-version={API_VERSION}")
}

/// The code of a hub's refusal, when its body tells one.
#[must_use]
pub fn refusal_code(body: &[u8]) -> Option<u32> {
    let body = body.get(..body.len().min(MAX_ANSWER))?;
    let error: HubHttpError = serde_json::from_slice(body).ok()?;
    error
        .read()
        .0
        .filter(|code| (400_000..600_000).contains(code))
}

/// A device of a remote hub.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteDevice {
    /// The version of the identity, for `If-Match`.
    pub etag: Etag,
    /// Marks this life of the id.
    pub generation_id: GenerationId,
    /// Whether the device may connect.
    pub status: Status,
    /// Why, as an operator wrote.
    pub status_reason: Option<String>,
    /// How it proves itself; `None` when the hub does not say, or in a way that we do not know.
    pub authentication: Option<Authentication>,
    /// `capabilities.iotEdge`: whether it is an IoT Edge device.
    pub iot_edge: bool,
    /// The whole answer, of which a change is made.
    document: Map<String, Value>,
}

impl RemoteDevice {
    /// Reads the answer to a GET or PUT of a device.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let body = read(body)?;
        let fields = Fields::of_body(&body)?;
        let wanted = |name| {
            let text = fields.text(name)?;
            text.ok_or_else(|| fields.error(name, "is missing"))
        };
        let wrong = |name: &'static str| {
            let fields = &fields;
            move |error: ids::IdError| fields.error(name, error.to_string())
        };
        let disabled = fields
            .text("status")?
            .is_some_and(|status| status.eq_ignore_ascii_case("disabled"));
        let capabilities = fields.object("capabilities")?;
        let iot_edge = capabilities.map(|c| c.boolean("iotEdge")).transpose()?;
        Ok(Self {
            etag: Etag::parse(wanted("etag")?).map_err(wrong("etag"))?,
            generation_id: GenerationId::parse(wanted("generationId")?)
                .map_err(wrong("generationId"))?,
            status: if disabled {
                Status::Disabled
            } else {
                Status::Enabled
            },
            status_reason: fields.text("statusReason")?.map(str::to_owned),
            authentication: fields
                .get("authentication")
                .and_then(|found| Authentication::parse_complete(found).ok()),
            iot_edge: iot_edge.flatten().unwrap_or_default(),
            document: fields.map().clone(),
        })
    }

    /// The body of a PUT that makes this device prove itself otherwise, and leaves the
    /// rest of it alone.
    #[must_use]
    pub fn proving_itself_by(&self, authentication: &Authentication) -> Value {
        self.with(&[("authentication", authentication.to_json(true))])
    }

    /// The same, which besides makes it an Edge device.
    #[must_use]
    pub fn of_edge_proving_itself_by(&self, authentication: &Authentication) -> Value {
        self.with(&[
            ("authentication", authentication.to_json(true)),
            ("capabilities", json!({"iotEdge": true})),
        ])
    }

    /// The body of a PUT that lets this device connect, or for a reason does not.
    #[must_use]
    pub fn with_status(&self, disabled: Option<&str>) -> Value {
        let status = status(disabled);
        self.with(&[("status", status), ("statusReason", json!(disabled))])
    }

    fn with(&self, members: &[(&str, Value)]) -> Value {
        let mut document = self.document.clone();
        for (member, value) in members {
            document.retain(|name, _| !name.eq_ignore_ascii_case(member));
            document.insert((*member).to_owned(), value.clone());
        }
        Value::Object(document)
    }
}

/// A device that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDevice<'a> {
    /// The device id in the remote hub.
    pub device_id: &'a DeviceId,
    /// The credentials with which it proves itself.
    pub authentication: &'a Authentication,
    /// `capabilities.iotEdge`: whether it is an IoT Edge device.
    pub iot_edge: bool,
    /// Why it may not connect, when it may not.
    pub disabled: Option<&'a str>,
}

impl NewDevice<'_> {
    /// The body of a PUT.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "deviceId": self.device_id,
            "status": status(self.disabled),
            "statusReason": self.disabled,
            "authentication": self.authentication.to_json(true),
            "capabilities": {"iotEdge": self.iot_edge},
        })
    }
}

/// The twin of a device of a remote hub, without dates and versions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RemoteTwin {
    /// The tags, without `$metadata` and `$version`.
    pub tags: Map<String, Value>,
    /// The desired properties, without `$metadata` and `$version`.
    pub desired: Map<String, Value>,
    /// The reported properties, without `$metadata` and `$version`.
    pub reported: Map<String, Value>,
}

impl RemoteTwin {
    /// Reads the answer to a GET of a twin.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let body = read(body)?;
        let fields = Fields::of_body(&body)?;
        let properties = fields.object("properties")?;
        let section = |name| {
            let section = properties.as_ref().map(|p| p.object(name)).transpose()?;
            Ok::<_, BodyError>(section.flatten().map_or_else(Map::new, plain))
        };
        Ok(Self {
            tags: fields.object("tags")?.map_or_else(Map::new, plain),
            desired: section("desired")?,
            reported: section("reported")?,
        })
    }

    /// The body of a PUT, which takes only what is the service's to write.
    #[must_use]
    pub fn body(tags: &Map<String, Value>, desired: &Map<String, Value>) -> Value {
        json!({"tags": tags, "properties": {"desired": desired}})
    }
}

/// What a hub said when it refused, fit for the registration's record: its own text, cut.
#[must_use]
pub fn refusal(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_REFUSAL)]);
    text.trim().to_owned()
}

fn status(disabled: Option<&str>) -> Value {
    json!(if disabled.is_some() {
        "disabled"
    } else {
        "enabled"
    })
}

fn read(body: &[u8]) -> Result<Value, BodyError> {
    match body.len() > MAX_ANSWER {
        true => Err(BodyError::new(
            "",
            format!("the answer is longer than {MAX_ANSWER} bytes"),
        )),
        false => lenient::parse(body),
    }
}

fn plain(section: Fields<'_>) -> Map<String, Value> {
    let mut plain = section.map().clone();
    plain.retain(|name, _| name != METADATA && name != VERSION);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As an Azure IoT Hub answers.
    const DEVICE: &str = r#"{"deviceId":"d","generationId":"637","etag":"MTIz","connectionState":"Disconnected",
        "status":"disabled","statusReason":"lost","cloudToDeviceMessageCount":0,
        "authentication":{"symmetricKey":{"primaryKey":null,"secondaryKey":null},
        "x509Thumbprint":{"primaryThumbprint":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","secondaryThumbprint":null},
        "type":"selfSigned"},"capabilities":{"iotEdge":true},"parentScopes":["p"]}"#;

    #[test]
    fn only_the_proof_of_a_device_changes() {
        let device = RemoteDevice::parse(DEVICE.as_bytes()).unwrap();
        assert_eq!((device.status, device.iot_edge), (Status::Disabled, true));
        assert_eq!(device.status_reason.as_deref(), Some("lost"));
        let new = Authentication::CertificateAuthority;
        let body = device.proving_itself_by(&new);
        assert_eq!(body["statusReason"], "lost");
        assert_eq!(body["parentScopes"][0], "p");
        assert_eq!(body["authentication"]["type"], "certificateAuthority");
        assert_ne!(device.authentication, Some(new));
        let body = device.with_status(None);
        assert_eq!(
            (&body["status"], &body["statusReason"]),
            (&json!("enabled"), &Value::Null)
        );
        assert_eq!(body["authentication"]["type"], "selfSigned");
    }

    #[test]
    fn a_refusal_tells_its_code_in_either_form() {
        for (body, code) in [
            (
                r#"{"Message":"ErrorCode:TooManyDevices;full","ExceptionMessage":""}"#,
                Some(413_002),
            ),
            (
                r#"{"Message":"{\"errorCode\":403002,\"message\":\"quota\"}"}"#,
                Some(403_002),
            ),
            (r#"{"Message":"no"}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(refusal_code(body.as_bytes()), code, "{body}");
        }
    }

    #[test]
    fn ids_are_encoded_in_paths() {
        let device = DeviceId::parse("a#b").unwrap();
        assert_eq!(
            device_path(&device),
            "/devices/a%23b?api-version=2021-04-12"
        );
        assert_eq!(twin_path(&device), "/twins/a%23b?api-version=2021-04-12");
    }

    #[test]
    fn a_twin_is_read_without_dates_and_versions() {
        let twin = RemoteTwin::parse(
            br#"{"deviceId":"d","etag":"AAAAAAAAAAE=","tags":{"site":"a"},"properties":{
                "desired":{"v":1,"$metadata":{"$lastUpdated":"x"},"$version":4},"reported":{"$version":1}}}"#,
        )
        .unwrap();
        assert_eq!(Value::Object(twin.tags), json!({"site": "a"}));
        assert_eq!(Value::Object(twin.desired), json!({"v": 1}));
        assert!(twin.reported.is_empty());
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for (body, place) in [
            ("", ""),
            ("<html>", ""),
            ("{}", "etag"),
            (r#"{"etag":"x"}"#, "generationId"),
            (
                r#"{"etag":"x","generationId":"1","capabilities":7}"#,
                "capabilities",
            ),
        ] {
            assert_eq!(
                RemoteDevice::parse(body.as_bytes()).unwrap_err().path,
                place
            );
        }
        assert!(RemoteTwin::parse(br#"{"tags":[]}"#).is_err());
        assert_eq!(refusal(b" {\"Message\":\"x\"}\n"), "{\"Message\":\"x\"}");
        assert_eq!(refusal(&[b'x'; 5000]).len(), MAX_REFUSAL);
    }
}
