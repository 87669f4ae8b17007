//! A digest of JSON that does not depend on the order of members.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

/// SHA-256 of the JSON with its members in alphabetical order, because hubs may reorder them.
pub(crate) fn digest_of(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    digest(&SHA256, text.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, inner) in members {
                out.push_str(&json!(name).to_string());
                out.push(':');
                canonical(inner, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for inner in items {
                canonical(inner, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
