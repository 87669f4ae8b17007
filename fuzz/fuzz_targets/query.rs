//! Twin queries: read, and their conditions evaluated over a document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::query::{Path, Query, Scope, Value};
use serde_json::json;

struct Document(serde_json::Value);

impl Scope for Document {
    fn resolve<'a>(&'a self, path: &Path) -> Value<'a> {
        Path::find(&path.segments, &self.0).into()
    }
}

fuzz_target!(|text: &str| {
    match Query::parse(text) {
        Ok(query) => {
            let document = Document(json!({
                "deviceId": "edge-001", "tags": { "site": "x", "n": 3, "list": [1, "a"] },
            }));
            if let Some(condition) = &query.condition {
                let _ = condition.holds(&document);
            }
        }
        Err(error) => {
            assert!(error.position <= text.chars().count(), "a position outside of the text");
        }
    }
});
