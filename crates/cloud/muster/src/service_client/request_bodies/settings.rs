//! Bodies of Muster's own operator API: hubs, links, settings and policies.

use serde_json::{Map, Value, json};

use wire::muster_api::linked_hub::Latency;

/// The body of `PUT /muster/v1/hubs/{name}` and `PUT /muster/v1/services/{name}`.
#[must_use]
pub fn host(host_name: &str) -> Value {
    json!({ "hostName": host_name })
}

/// The body of `PUT /muster/v1/dps/linkedHubs/{name}`; what is `None` stays as it is.
#[must_use]
pub fn link(
    connection_string: Option<&str>,
    weight: Option<i64>,
    apply: Option<bool>,
    latencies: Option<&[Latency]>,
) -> Value {
    let mut body = Map::new();
    if let Some(text) = connection_string {
        body.insert("connectionString".into(), json!(text));
    }
    if let Some(weight) = weight {
        body.insert("allocationWeight".into(), json!(weight));
    }
    if let Some(apply) = apply {
        body.insert("applyAllocationPolicy".into(), json!(apply));
    }
    if let Some(latencies) = latencies {
        body.insert("latencies".into(), json!(latencies));
    }
    Value::Object(body)
}

/// The body of `PATCH /muster/v1/dps/settings`.
#[must_use]
pub fn settings(allocation_policy: &str) -> Value {
    json!({ "allocationPolicy": allocation_policy })
}

/// The body of `PUT /muster/v1/dps/policies/{keyName}`.
#[must_use]
pub fn policy(rights: &[String], primary: Option<&str>, secondary: Option<&str>) -> Value {
    let mut body = Map::from_iter([("rights".to_owned(), json!(rights))]);
    let keys = [("primaryKey", primary), ("secondaryKey", secondary)];
    for (name, key) in keys {
        if let Some(key) = key {
            body.insert(name.to_owned(), json!(key));
        }
    }
    Value::Object(body)
}

/// The body of `POST /muster/v1/dps/policies/{keyName}/regenerateKey`:
/// `primary`, `secondary` or `swap`.
#[must_use]
pub fn regenerate(key: &str) -> Value {
    json!({ "key": key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::muster_api::hub::HostRequest;
    use wire::muster_api::linked_hub::LinkRequest;
    use wire::muster_api::parse;
    use wire::muster_api::policy::{KeyKind, PolicyRequest, RegenerateRequest};
    use wire::muster_api::service::SettingsPatch;

    fn read<T: serde::de::DeserializeOwned>(body: &Value) -> T {
        parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_service_reads_what_the_tool_sends() {
        let string = "HostName=h;SharedAccessKeyName=p;\
                      SharedAccessKey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let sent: LinkRequest = read(&link(Some(string), Some(2), Some(false), None));
        assert_eq!(sent.connection_string.unwrap().host.as_str(), "h");
        assert_eq!(sent.allocation_weight, Some(2));
        assert_eq!(sent.apply_allocation_policy, Some(false));
        assert_eq!(
            read::<LinkRequest>(&link(None, None, None, None)),
            LinkRequest::default()
        );
        assert_eq!(read::<HostRequest>(&host("h:1")).host_name.as_str(), "h:1");
        read::<SettingsPatch>(&settings("geoLatency"));
        let sent: PolicyRequest = read(&policy(&["ServiceConfig".to_owned()], Some("k"), None));
        assert_eq!(sent.primary_key.as_deref(), Some("k"));
        assert_eq!(
            read::<RegenerateRequest>(&regenerate("swap")).key,
            KeyKind::Swap
        );
    }
}
