//! The connection string of a device: `HostName=…;DeviceId=…;SharedAccessKey=…`.

use ids::{DeviceId, HubHost};
use wire::sas::SharedAccessKey;

use super::values::base64_key;

/// What the connection string of a device says.
#[derive(Debug, Clone)]
pub struct DeviceConnection {
    pub hub: HubHost,
    pub device_id: DeviceId,
    pub key: SharedAccessKey,
}

/// Where to get the right text.
const WHERE: &str = "copy the device's own: `az iot hub device-identity connection-string show` \
    or `muster hub device-identity connection-string` prints it";

/// Reads a connection string. The message of an error never shows the key.
///
/// # Errors
/// When a part is missing, twice or wrong, or the string belongs to something else than a device.
pub fn read_device_connection(text: &str) -> Result<DeviceConnection, String> {
    let text = text.trim();
    let (mut host, mut device, mut key) = (None, None, None);
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            return Err(format!("a part has no =; {WHERE}"));
        };
        let place = match name.to_ascii_lowercase().as_str() {
            "hostname" => &mut host,
            "deviceid" => &mut device,
            "sharedaccesskey" => &mut key,
            "sharedaccesskeyname" => {
                return Err(format!(
                    "it is the connection string of a policy of the hub ({value}), which no device \
                     may have; {WHERE}"
                ));
            }
            "moduleid" => {
                return Err(format!("it is the connection string of a module; {WHERE}"));
            }
            "x509" => {
                return Err(
                    "the device proves itself by a certificate; write iothub_hostname, device_id \
                     and [provisioning.authentication] with method = \"x509\""
                        .to_owned(),
                );
            }
            // A device behind a gateway names it here, this device by parent_hostname.
            "gatewayhostname" => {
                return Err(
                    "GatewayHostName is not for an edge device; write parent_hostname".to_owned(),
                );
            }
            _ => return Err(format!("{name:?} is no part of it; {WHERE}")),
        };
        if place.replace(value).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    let missing = |name: &str| format!("{name} is missing; {WHERE}");
    let host = host.ok_or_else(|| missing("HostName"))?;
    let device = device.ok_or_else(|| missing("DeviceId"))?;
    let key = key.ok_or_else(|| missing("SharedAccessKey"))?;
    Ok(DeviceConnection {
        hub: HubHost::parse(host).map_err(|error| format!("HostName: {error}"))?,
        device_id: DeviceId::parse(device).map_err(|error| format!("DeviceId: {error}"))?,
        key: base64_key(key).map_err(|problem| format!("SharedAccessKey: {problem}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_string_is_read_in_any_order_and_case() {
        for text in [
            "HostName=h.example:8443;DeviceId=d;1;SharedAccessKey=a2V5",
            "HostName=h.example;DeviceId=d1;SharedAccessKey=a2V5MQ==",
            " sharedaccesskey=a2V5MQ;deviceid=d1;hostname=h.example;\n",
        ] {
            let read = read_device_connection(text);
            assert_eq!(read.is_ok(), !text.contains("d;1"), "{read:?}");
        }
    }

    #[test]
    fn other_strings_are_named_for_what_they_are() {
        for (text, expected) in [
            ("", "HostName is missing"),
            ("HostName=h;SharedAccessKey=a2V5", "DeviceId is missing"),
            (
                "HostName=h;SharedAccessKeyName=iothubowner;SharedAccessKey=a2V5",
                "of a policy of the hub (iothubowner)",
            ),
            (
                "HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=a2V5",
                "of a module",
            ),
            ("HostName=h;DeviceId=d;x509=true", "by a certificate"),
            (
                "HostName=h;DeviceId=d;SharedAccessKey=p~ss",
                "is not base64",
            ),
            ("HostName=h;HostName=i;DeviceId=d", "there twice"),
            (
                "HostName=h;DeviceId=d;SharedAccessKey=a2V5;Foo=1",
                "\"Foo\" is no part",
            ),
            ("hunter2", "a part has no ="),
        ] {
            let problem = read_device_connection(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(
                !problem.contains("a2V5") && !problem.contains("hunter2"),
                "{problem}"
            );
        }
    }
}
