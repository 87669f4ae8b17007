//! Twins in the bodies of events.

use serde_json::{Map, Value, json};
use store::{AuthKind, IdentityRow};

use crate::twin::{Section, Twin, difference};

/// A whole twin with its identity.
pub(super) fn whole(row: &IdentityRow, twin: &Twin) -> Value {
    let mut body = json!({
        "deviceId": row.device_id,
        "etag": twin.etag,
        "version": twin.version,
        "tags": twin.tags,
        "properties": {
            "desired": twin.desired.with_metadata(),
            "reported": twin.reported.with_metadata(),
        },
    });
    match &row.module_id {
        Some(module) => body["moduleId"] = json!(module),
        None => {
            body["status"] = json!(if row.enabled { "enabled" } else { "disabled" });
            body["capabilities"] = json!({"iotEdge": row.iot_edge});
        }
    }
    body["authenticationType"] = json!(match row.auth_kind {
        AuthKind::Sas => "sas",
        AuthKind::SelfSigned => "selfSigned",
        AuthKind::CertificateAuthority => "certificateAuthority",
        AuthKind::None => "none",
    });
    body
}

/// What changed: merge patches, those of sections with the metadata of what they name.
pub(super) fn patch(before: &Twin, after: &Twin) -> Value {
    let mut body = Map::from_iter([("version".to_owned(), json!(after.version))]);
    if before.tags != after.tags {
        body.insert(
            "tags".to_owned(),
            difference(&before.tags, &after.tags).into(),
        );
    }
    let mut properties = Map::new();
    for (name, before, after) in [
        ("desired", &before.desired, &after.desired),
        ("reported", &before.reported, &after.reported),
    ] {
        if before.version != after.version {
            properties.insert(name.to_owned(), section(before, after));
        }
    }
    if !properties.is_empty() {
        body.insert("properties".to_owned(), properties.into());
    }
    body.into()
}

fn section(before: &Section, after: &Section) -> Value {
    let mut patch = difference(&before.document, &after.document);
    let metadata = concerning(&patch, &after.metadata);
    patch.insert("$metadata".to_owned(), metadata.into());
    patch.insert("$version".to_owned(), after.version.into());
    patch.into()
}

/// The metadata of the members of a patch.
fn concerning(patch: &Map<String, Value>, metadata: &Map<String, Value>) -> Map<String, Value> {
    let kept = metadata.iter().filter_map(|(name, inner)| {
        let kept = match (name.starts_with('$'), patch.get(name), inner) {
            (true, _, stamp) => stamp.clone(),
            (false, Some(Value::Object(patch)), Value::Object(inner)) => {
                concerning(patch, inner).into()
            }
            (false, Some(_), inner) => inner.clone(),
            (false, None, _) => return None,
        };
        Some((name.clone(), kept))
    });
    kept.collect()
}
