//! Arguments of `$edgeAgent`'s direct methods.

use ids::ModuleId;
use serde_json::Value;

use crate::lenient::{BodyError, Fields};

/// Most items of one request for logs.
const MAX_ITEMS: usize = 50;

/// The argument of the direct method `RestartModule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartRequest {
    /// `id`: the module to restart.
    pub id: ModuleId,
}

impl RestartRequest {
    /// Reads the argument, the payload of the method call.
    ///
    /// # Errors
    /// When the schema is not ours or the module is missing.
    pub fn parse(argument: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(argument)?;
        require_schema(&fields)?;
        let id = fields
            .text("id")?
            .ok_or_else(|| fields.error("id", "is missing"))?;
        Ok(Self {
            id: ModuleId::parse(id).map_err(|error| fields.error("id", error.to_string()))?,
        })
    }
}

/// One item of `GetModuleLogs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsItem {
    id: String,
    /// The number of lines from the end.
    pub tail: Option<u64>,
    /// From when, seconds since 1970.
    pub since: Option<i64>,
    /// Until when, seconds since 1970.
    pub until: Option<i64>,
}

impl LogsItem {
    /// Whether a module is meant: its name, or `.*` for all.
    #[must_use]
    pub fn selects(&self, module: &ModuleId) -> bool {
        self.id == ".*" || self.id == module.as_str()
    }
}

/// `GetModuleLogs`: plain text, not compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsRequest {
    /// The items, at most 50, each for one or all modules.
    pub items: Vec<LogsItem>,
}

impl LogsRequest {
    /// Reads the argument, the payload of the method call.
    ///
    /// # Errors
    /// When the schema is not ours, a form is asked for that is not offered, or a member
    /// has the wrong form.
    pub fn parse(argument: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(argument)?;
        require_schema(&fields)?;
        for (name, offered) in [("encoding", "none"), ("contentType", "text")] {
            if let Some(asked) = fields.text(name)?
                && !asked.eq_ignore_ascii_case(offered)
            {
                return Err(fields.error(name, format!("{asked:?} is not offered, {offered:?} is")));
            }
        }
        let items = fields
            .get("items")
            .ok_or_else(|| fields.error("items", "is missing"))?;
        let items = match items {
            Value::Array(items) if items.len() <= MAX_ITEMS => {
                items.iter().map(item).collect::<Result<_, _>>()?
            }
            Value::Object(_) => vec![item(items)?],
            _ => {
                return Err(fields.error(
                    "items",
                    format!("an array of at most {MAX_ITEMS} items was expected"),
                ));
            }
        };
        Ok(Self { items })
    }
}

fn item(value: &Value) -> Result<LogsItem, BodyError> {
    let fields = Fields::of_body(value)?;
    let id = fields
        .text("id")?
        .ok_or_else(|| fields.error("id", "is missing"))?
        .to_owned();
    let Some(filter) = fields.object("filter")? else {
        return Ok(LogsItem {
            id,
            tail: None,
            since: None,
            until: None,
        });
    };
    let tail = filter.whole("tail")?.map(u64::try_from).transpose();
    Ok(LogsItem {
        id,
        tail: tail.map_err(|_| filter.error("tail", "a number of lines was expected"))?,
        since: filter.whole("since")?,
        until: filter.whole("until")?,
    })
}

fn require_schema(fields: &Fields<'_>) -> Result<(), BodyError> {
    match fields.text("schemaVersion")? {
        Some(version) if version == "1" || version.starts_with("1.") => Ok(()),
        Some(other) => Err(fields.error(
            "schemaVersion",
            format!("{other:?} is not supported, 1.0 is"),
        )),
        None => Err(fields.error("schemaVersion", "is missing")),
    }
}
