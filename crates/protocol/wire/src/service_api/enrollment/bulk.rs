use serde::Serialize;
use serde_json::Value;

use crate::lenient::{BodyError, Fields};

/// Most items in one bulk operation.
pub const MAX_BULK: usize = 10;

/// What a bulk operation does with each item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkMode {
    /// Creates it; one that exists is an error.
    Create,
    /// The enrollment is created or replaced.
    Update,
    /// Replaces it if its `etag` member is the stored version.
    UpdateIfMatchEtag,
    /// The enrollment is deleted.
    Delete,
}

/// One item of a bulk operation.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkItem<'a> {
    /// Which record, as sent; empty when the item names none.
    pub id: &'a str,
    /// `etag` of the item.
    pub etag: Option<&'a str>,
    /// The whole item, an enrollment.
    pub body: &'a Value,
}

/// `POST /enrollments` and `POST /enrollmentGroups`.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkRequest<'a> {
    /// What is done with each item.
    pub mode: BulkMode,
    /// With which, 1 to 10.
    pub items: Vec<BulkItem<'a>>,
}

impl<'a> BulkRequest<'a> {
    /// Reads the body of `POST /enrollments`.
    ///
    /// # Errors
    /// When the mode is unknown, or there are no items, more than 10, or some that are no objects.
    pub fn of_individuals(body: &'a Value) -> Result<Self, BodyError> {
        Self::parse(body, "enrollments", "registrationId")
    }

    /// Reads the body of `POST /enrollmentGroups`.
    ///
    /// # Errors
    /// When the mode is unknown, or there are no items, more than 10, or some that are no objects.
    pub fn of_groups(body: &'a Value) -> Result<Self, BodyError> {
        Self::parse(body, "enrollmentGroups", "enrollmentGroupId")
    }

    fn parse(body: &'a Value, list: &str, id: &str) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        let mode = match fields.text("mode")?.map(str::to_ascii_lowercase).as_deref() {
            Some("create") => BulkMode::Create,
            Some("update") => BulkMode::Update,
            Some("updateifmatchetag") => BulkMode::UpdateIfMatchEtag,
            Some("delete") => BulkMode::Delete,
            _ => {
                let problem = "one of create, update, updateIfMatchETag, delete was expected";
                return Err(fields.error("mode", problem));
            }
        };
        let Some(Value::Array(items)) = fields.get(list) else {
            return Err(fields.error(list, "an array was expected"));
        };
        if items.is_empty() || items.len() > MAX_BULK {
            let problem = format!("has {} items; 1 to {MAX_BULK} are allowed", items.len());
            return Err(fields.error(list, problem));
        }
        let item = |body: &'a Value| {
            let fields = Fields::of_body(body).map_err(|error| inside(list, &error))?;
            let text = |name| fields.text(name).map_err(|error| inside(list, &error));
            Ok(BulkItem {
                id: text(id)?.unwrap_or_default(),
                etag: text("etag")?,
                body,
            })
        };
        let items = items.iter().map(item).collect::<Result<_, BodyError>>()?;
        Ok(Self { mode, items })
    }
}

fn inside(list: &str, error: &BodyError) -> BodyError {
    let path = [list, error.path.as_str()].join(".");
    BodyError::new(path.trim_end_matches('.'), error.problem.clone())
}

/// One item that failed. Exactly one of the two ids is present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkError {
    /// Of an individual enrollment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    /// Of an enrollment group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    /// Six digits; the first three are an HTTP status.
    pub error_code: u32,
    /// A description for people.
    pub error_status: String,
}

/// The answer to a bulk operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkResult {
    /// Whether every item was done.
    pub is_successful: bool,
    /// The items that were not carried out.
    pub errors: Vec<BulkError>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn modes_and_bounds() {
        let body = json!({"mode": "updateIfMatchETag", "enrollments": [{"registrationId": "d",
            "etag": "\"x\""}]});
        let request = BulkRequest::of_individuals(&body).unwrap();
        assert_eq!(request.mode, BulkMode::UpdateIfMatchEtag);
        assert_eq!(
            (request.items[0].id, request.items[0].etag),
            ("d", Some("\"x\""))
        );
        for (body, place) in [
            (json!({"mode": "x", "enrollments": [{}]}), "mode"),
            (json!({"mode": "create"}), "enrollments"),
            (
                json!({"mode": "create", "enrollments": vec![json!({}); 11]}),
                "enrollments",
            ),
            (json!({"mode": "create", "enrollments": [7]}), "enrollments"),
            (
                json!({"mode": "create", "enrollments": [{"registrationId": 7}]}),
                "enrollments.registrationId",
            ),
        ] {
            assert_eq!(BulkRequest::of_individuals(&body).unwrap_err().path, place);
        }
    }
}
