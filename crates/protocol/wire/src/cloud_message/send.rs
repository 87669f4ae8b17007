use ids::{Ack, DeviceId, ModuleId, Timestamp};
use percent_encoding::percent_decode_str;

use crate::device_api::message::{MAX_PROPERTIES, is_stamped, system};
use crate::http;
use crate::telemetry::property_name;

/// Longest message id, correlation id and user id, bytes.
const MAX_ID: usize = 128;
/// Longest content type and content encoding, bytes.
const MAX_CONTENT: usize = 256;

/// What is wrong with a property of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message property {name:?} {problem}")]
pub struct PropertyError {
    /// The property, named as in the bag of MQTT, shortened.
    pub name: String,
    /// What is wrong with it, in words.
    pub problem: String,
}

impl PropertyError {
    fn new(name: &str, problem: impl Into<String>) -> Self {
        Self {
            name: name.chars().take(80).collect(),
            problem: problem.into(),
        }
    }
}

/// The device or module that a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// The device, or the one that the module runs on.
    pub device: DeviceId,
    /// The module; `None` for the device itself.
    pub module: Option<ModuleId>,
}

impl Addressee {
    /// Reads `/devices/{id}[/modules/{id}]/messages/devicebound`; ids may be percent-encoded.
    fn parse(text: &str) -> Result<Self, PropertyError> {
        let bad = |problem: String| PropertyError::new(system::TO, problem);
        let form = "is not /devices/{id}/messages/devicebound or \
                    /devices/{id}/modules/{id}/messages/devicebound";
        let id = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let segments: Vec<&str> = text.trim_start_matches('/').split('/').collect();
        let (device, module, rest) = match segments.as_slice() {
            [devices, device, modules, module, rest @ ..]
                if http::is(devices, "devices") && http::is(modules, "modules") =>
            {
                (*device, Some(*module), rest)
            }
            [devices, device, rest @ ..] if http::is(devices, "devices") => (*device, None, rest),
            _ => return Err(bad(form.to_owned())),
        };
        match rest {
            [messages, bound]
                if http::is(messages, "messages") && http::is(bound, "devicebound") => {}
            _ => return Err(bad(form.to_owned())),
        }
        let device = DeviceId::parse(&id(device)).map_err(|error| bad(error.to_string()))?;
        let module = module.map(|module| ModuleId::parse(&id(module)));
        let module = module.transpose().map_err(|error| bad(error.to_string()))?;
        Ok(Self { device, module })
    }
}

/// The properties of a message that a back end sends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendRequest {
    /// The device or module that the message is for, when a property names it.
    pub to: Option<Addressee>,
    /// The sender's name for the message.
    pub message_id: Option<String>,
    /// The outcomes that the sender wants feedback about.
    pub ack: Ack,
    /// When the message expires, if the sender says so.
    pub expires: Option<Timestamp>,
    /// `$.cid`, `$.uid`, `$.ct`, `$.ce` and application properties, in the order sent.
    pub properties: Vec<(String, String)>,
}

impl SendRequest {
    /// Reads the headers of a request. Names of application properties are in lower case then: HTTP
    /// has no case in names.
    ///
    /// # Errors
    /// When a property is malformed.
    pub fn from_headers<'h>(
        headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    ) -> Result<Self, PropertyError> {
        let mut properties = Vec::new();
        for (name, value) in headers {
            let is_ack = name.eq_ignore_ascii_case(system::ACK);
            let property = match is_ack {
                true => Some(system::ACK.to_owned()),
                false => property_name(name),
            };
            if let Some(property) = property {
                let text = std::str::from_utf8(value)
                    .map_err(|_| PropertyError::new(&property, "is not UTF-8"))?;
                if is_application(name) {
                    require_application(&property, text)?;
                }
                properties.push((property, text.to_owned()));
            }
        }
        Self::from_properties(properties)
    }

    /// Reads properties named as in the bag of MQTT.
    ///
    /// # Errors
    /// When a property is malformed.
    pub fn from_properties(properties: Vec<(String, String)>) -> Result<Self, PropertyError> {
        let mut request = Self::default();
        for (name, value) in properties {
            request.add(name, value)?;
        }
        match request.properties.len() {
            0..=MAX_PROPERTIES => Ok(request),
            count => {
                let problem = format!("is one of {count}; {MAX_PROPERTIES} are allowed");
                let (last, _) = request.properties.pop().unwrap_or_default();
                Err(PropertyError::new(&last, problem))
            }
        }
    }

    fn add(&mut self, name: String, value: String) -> Result<(), PropertyError> {
        match name.as_str() {
            system::TO => self.to = Some(Addressee::parse(&value)?),
            system::EXPIRY => self.expires = expiry(&value)?,
            system::MESSAGE_ID => {
                require_short(&name, &value, MAX_ID)?;
                self.message_id = Some(value).filter(|id| !id.is_empty());
            }
            system::ACK => {
                let problem = "is not none, positive, negative or full";
                let ack = Ack::named(&value).ok_or_else(|| PropertyError::new(&name, problem))?;
                self.ack = ack;
            }
            system::CORRELATION_ID | system::USER_ID => {
                require_short(&name, &value, MAX_ID)?;
                self.properties.push((name, value));
            }
            system::CONTENT_TYPE | system::CONTENT_ENCODING => {
                require_short(&name, &value, MAX_CONTENT)?;
                self.properties.push((name, value));
            }
            _ => {
                require_application(&name, &value)?;
                self.properties.push((name, value));
            }
        }
        Ok(())
    }
}

/// RFC 3339, also without an offset, or milliseconds since 1970; empty for none.
fn expiry(text: &str) -> Result<Option<Timestamp>, PropertyError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || {
        let problem = format!(
            "{:?} is neither a time like 2026-01-02T03:04:05Z nor milliseconds since 1970",
            text.chars().take(80).collect::<String>()
        );
        PropertyError::new(system::EXPIRY, problem)
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let millis: i64 = text.parse().map_err(|_| bad())?;
        let ticks = millis.checked_mul(10_000).ok_or_else(bad)?;
        return Ok(Some(Timestamp::from_ticks(ticks)));
    }
    let parsed = Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}Z")));
    parsed.map(Some).map_err(|_| bad())
}

fn require_short(name: &str, value: &str, most: usize) -> Result<(), PropertyError> {
    if value.len() > most {
        let problem = format!("has {} bytes; {most} are allowed", value.len());
        return Err(PropertyError::new(name, problem));
    }
    require_printable(name, value)
}

/// A value must fit into a header: devices read messages over HTTPS, too.
fn require_printable(name: &str, value: &str) -> Result<(), PropertyError> {
    match value.chars().any(char::is_control) {
        true => Err(PropertyError::new(
            name,
            "has a control character in its value",
        )),
        false => Ok(()),
    }
}

/// Whether a header stands for an application property, whatever that is called.
fn is_application(header: &str) -> bool {
    let prefix = "iothub-app-";
    header
        .get(..prefix.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn require_application(name: &str, value: &str) -> Result<(), PropertyError> {
    // The characters of a header's name (RFC 9110, 5.6.2), which is what IoT Hub documents.
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        let problem = "has a name with other characters than ASCII letters, digits and \
                       !#$%&'*+-.^_`|~";
        return Err(PropertyError::new(name, problem));
    }
    let head = name.get(.."iothub-".len()).unwrap_or_default();
    if name.starts_with("$.") || head.eq_ignore_ascii_case("iothub-") || is_stamped(name) {
        return Err(PropertyError::new(
            name,
            "has a name that only the hub may set",
        ));
    }
    require_printable(name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<SendRequest, PropertyError> {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        SendRequest::from_headers(headers)
    }

    #[test]
    fn headers_of_a_back_end_are_read() {
        let request = read(&[
            ("host", "hub.example"),
            ("IoTHub-To", "/devices/d%201/messages/deviceBound"),
            ("iothub-messageid", "m1"),
            ("iothub-correlationid", "c1"),
            ("iothub-userid", "u1"),
            ("iothub-expiry", "2026-01-02T03:04:05Z"),
            ("iothub-ack", "Full"),
            ("contenttype", "application/json"),
            ("iothub-app-color", "dark red"),
        ]);
        // A blank is in no id.
        assert!(request.unwrap_err().to_string().contains("$.to"));
        let request = read(&[
            (
                "iothub-to",
                "/devices/d%2B1/modules/m1/messages/devicebound",
            ),
            ("iothub-messageid", "m1"),
            ("iothub-userid", "u1"),
            ("iothub-expiry", "1767323045000"),
            ("iothub-ack", "Full"),
            ("contenttype", "application/json"),
            ("iothub-app-color", "dark red"),
        ]);
        let request = request.unwrap();
        let to = request.to.unwrap();
        assert_eq!(
            (to.device.as_str(), to.module.unwrap().as_str()),
            ("d+1", "m1")
        );
        assert_eq!(request.message_id.as_deref(), Some("m1"));
        assert_eq!(request.ack, Ack::Full);
        assert_eq!(
            request.expires,
            Some(Timestamp::parse("2026-01-02T03:04:05Z").unwrap())
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            request.properties,
            [
                pair("$.uid", "u1"),
                pair("$.ct", "application/json"),
                pair("color", "dark red"),
            ]
        );
    }

    #[test]
    fn malformed_properties_are_named() {
        for (name, value) in [
            ("iothub-to", "/devices/d1"),
            ("iothub-to", "d1"),
            ("iothub-ack", "some"),
            ("iothub-expiry", "tomorrow"),
            ("iothub-expiry", "99999999999999999999"),
            ("iothub-app-iothub-ack", "full"),
            ("iothub-app-$.cdid", "d2"),
            ("iothub-app-a(b", "v"),
            ("iothub-app-a", "tab\tinside"),
        ] {
            assert!(read(&[(name, value)]).is_err(), "{name}: {value}");
        }
        let long = "x".repeat(MAX_ID + 1);
        assert!(read(&[("iothub-messageid", &long)]).is_err());
        let many = vec![("iothub-app-k", "v"); MAX_PROPERTIES + 1];
        assert!(read(&many).is_err());
    }
}
