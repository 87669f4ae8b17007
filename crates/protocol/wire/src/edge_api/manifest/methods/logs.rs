//! `GetModuleLogs` and `UploadModuleLogs`.

use serde::Serialize;
use serde_json::Value;

use super::{Moment, require_schema, required};
use crate::lenient::{BodyError, Fields};

/// Most items of one request for logs.
const MAX_ITEMS: usize = 50;
/// The longest regular expression, bytes.
const MAX_REGEX: usize = 1024;

/// Which lines of a log are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogsFilter {
    /// The number of lines from the end, after the other filters.
    pub tail: Option<u64>,
    /// Lines from then on.
    pub since: Option<Moment>,
    /// Lines until then.
    pub until: Option<Moment>,
    /// Lines of exactly this severity of syslog, 0 to 7.
    pub log_level: Option<u8>,
    /// A regular expression that the text of a line matches.
    pub regex: Option<String>,
}

/// One item of a request: modules, and the lines of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsItem {
    /// A regular expression that names of modules match in any letter case; `all` is every module.
    pub id: String,
    /// The lines of each of these modules.
    pub filter: LogsFilter,
}

/// `encoding` of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogsEncoding {
    /// Text.
    #[default]
    None,
    /// Gzip, as base64 where it is in JSON.
    Gzip,
}

/// `contentType` of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogsContent {
    /// The lines as they are.
    #[default]
    Text,
    /// A JSON array with an object for each line.
    Json,
}

/// The argument of `GetModuleLogs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsRequest {
    /// The items, at most 50. The first that names a module counts for it.
    pub items: Vec<LogsItem>,
    /// Whether logs are compressed.
    pub encoding: LogsEncoding,
    /// The form of a log.
    pub content: LogsContent,
}

impl LogsRequest {
    /// Reads the argument, the payload of the method call.
    ///
    /// # Errors
    /// When the schema is not ours or a member has the wrong form.
    pub fn parse(argument: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(argument)?;
        require_schema(&fields)?;
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
        let encodings = [("none", LogsEncoding::None), ("gzip", LogsEncoding::Gzip)];
        let contents = [("text", LogsContent::Text), ("json", LogsContent::Json)];
        Ok(Self {
            items,
            encoding: choice(&fields, "encoding", &encodings)?,
            content: choice(&fields, "contentType", &contents)?,
        })
    }
}

/// The argument of `UploadModuleLogs`.
#[derive(Clone, PartialEq, Eq)]
pub struct UploadLogsRequest {
    /// Which logs, and their form.
    pub logs: LogsRequest,
    /// URL of a blob container with a shared access signature, which is secret.
    pub sas_url: String,
}

impl UploadLogsRequest {
    /// Reads the argument, the payload of the method call.
    ///
    /// # Errors
    /// When the schema is not ours or a member is missing or has the wrong form.
    pub fn parse(argument: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(argument)?;
        Ok(Self {
            logs: LogsRequest::parse(argument)?,
            sas_url: required(&fields, "sasUrl")?.to_owned(),
        })
    }
}

impl std::fmt::Debug for UploadLogsRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UploadLogsRequest({:?}, sasUrl redacted)", self.logs)
    }
}

/// One log in the answer of `GetModuleLogs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleLogs {
    /// The module.
    pub id: String,
    /// The log, unless it is compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The compressed log as base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_bytes: Option<String>,
}

fn choice<T: Copy + Default>(
    fields: &Fields<'_>,
    name: &str,
    offered: &[(&str, T)],
) -> Result<T, BodyError> {
    let Some(asked) = fields.text(name)? else {
        return Ok(T::default());
    };
    let found = offered
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(asked));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = offered.iter().map(|(word, _)| *word).collect();
        fields.error(
            name,
            format!("{asked:?} is not one of {}", words.join(", ")),
        )
    })
}

fn item(value: &Value) -> Result<LogsItem, BodyError> {
    let fields = Fields::of_body(value)?;
    let id = short(&fields, "id", required(&fields, "id")?)?;
    let Some(filter) = fields.object("filter")? else {
        return Ok(LogsItem {
            id,
            filter: LogsFilter::default(),
        });
    };
    let tail = filter.whole("tail")?.map(u64::try_from).transpose();
    let level = filter.whole("loglevel")?.map(u8::try_from).transpose();
    let level = level
        .ok()
        .filter(|level| level.is_none_or(|level| level <= 7));
    let regex = filter.text("regex")?.filter(|regex| !regex.is_empty());
    Ok(LogsItem {
        id,
        filter: LogsFilter {
            tail: tail.map_err(|_| filter.error("tail", "a number of lines was expected"))?,
            since: Moment::read(&filter, "since")?,
            until: Moment::read(&filter, "until")?,
            log_level: level
                .ok_or_else(|| filter.error("loglevel", "a severity from 0 to 7 was expected"))?,
            regex: regex
                .map(|regex| short(&filter, "regex", regex))
                .transpose()?,
        },
    })
}

fn short(fields: &Fields<'_>, name: &str, text: &str) -> Result<String, BodyError> {
    if text.len() > MAX_REGEX {
        return Err(fields.error(name, format!("more than {MAX_REGEX} characters")));
    }
    Ok(text.to_owned())
}
