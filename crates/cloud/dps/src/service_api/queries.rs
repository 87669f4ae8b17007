//! Queries over enrollments, registrations and what belongs to them: everything, in pages.

use axum::body::Bytes;
use registry::{Continuation, PageRequest};
use serde_json::Value;
use wire::http::{CONTINUATION, MAX_ITEM_COUNT};
use wire::lenient::{self, BodyError};

use super::Call;
use crate::error::ServiceFault;

/// Rows of a page when the caller does not say, and at most.
const USUAL_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// The page that a request asks for.
pub(super) fn page(call: &Call) -> Result<PageRequest, ServiceFault> {
    let token = wire::http::continuation(call.header(CONTINUATION));
    let after = token.map(Continuation::parse).transpose();
    Ok(PageRequest {
        after: after.map_err(|_| ServiceFault::Continuation)?,
        limit: wire::http::page_size(call.header(MAX_ITEM_COUNT), USUAL_PAGE, MAX_PAGE),
    })
}

/// Accepts the body of a query that is absent or asks for everything. A condition that is not
/// applied would be answered with rows that do not meet it.
pub(super) fn require_all(body: &Bytes) -> Result<(), ServiceFault> {
    if body.is_empty() {
        return Ok(());
    }
    let body = lenient::parse_exactly(body)?;
    match body.get("query") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(text)) if asks_for_all(text) => Ok(()),
        Some(text) => {
            let start: String = text.to_string().chars().take(200).collect();
            let problem = format!(
                "{start} is not supported: send \"SELECT *\", \"SELECT * FROM enrollments\" or no query, \
                 and choose among the rows that come"
            );
            Err(BodyError::new("query", problem).into())
        }
    }
}

/// Whether a text asks for everything there is. `az` sends a Python representation of its query
/// object; SDKs build `select * from enrollments`, and people type `*`.
fn asks_for_all(text: &str) -> bool {
    let text = text.trim();
    let text = match text.starts_with('{') {
        true => represented(text),
        false => Some(text),
    };
    let Some(text) = text else {
        return true;
    };
    let text = text.trim().trim_end_matches(';').to_ascii_lowercase();
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words.as_slice() {
        [] | ["*"] | ["select", "*"] => true,
        ["select", "*", "from", collection] => COLLECTIONS.contains(collection),
        _ => false,
    }
}

/// What SDKs call the collections; the path says which one is meant.
const COLLECTIONS: [&str; 7] = [
    "enrollments",
    "enrollmentgroups",
    "deviceregistrations",
    "registrations",
    "certificateauthorities",
    "devicecertificateissuers",
    "trustbundles",
];

/// The query in `{'additional_properties': {}, 'query': 'SELECT *'}`; `None` when there
/// is none in it.
fn represented(text: &str) -> Option<&str> {
    let (_, rest) = text
        .split_once("'query':")
        .or_else(|| text.split_once("\"query\":"))?;
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|first| "'\"".contains(*first))?;
    let rest = &rest[1..];
    Some(rest.split_once(quote).map_or(rest, |(query, _)| query))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P11: a text with a condition is not answered as if it had none.
    #[test]
    fn what_clients_send_asks_for_all_and_conditions_do_not() {
        let all = [
            "",
            "*",
            "SELECT *",
            "select * from enrollments",
            " SELECT\n*  FROM enrollmentGroups ; ",
            "select * from deviceRegistrations",
            "{'additional_properties': {}, 'query': 'SELECT *'}",
            "{'query': \"select * from enrollments\"}",
            "{'additional_properties': {}, 'query': None}",
            "{}",
        ];
        for text in all {
            assert!(asks_for_all(text), "{text}");
        }
        let others = [
            "SELECT * WHERE provisioningStatus = 'disabled'",
            "select * from enrollments where registrationId = 'a'",
            "SELECT COUNT() FROM enrollments",
            "SELECT registrationId FROM enrollments",
            "DROP TABLE enrollments",
            "SELECT * FROM devices",
            "SELECT * FROM enrollments ORDER BY registrationId",
            "select *; select 1",
            "SELECT TOP 5 *",
            "anything",
            "{'additional_properties': {}, 'query': 'SELECT * WHERE a = 1'}",
            "{'query': \"DROP TABLE enrollments\"}",
        ];
        for text in others {
            assert!(!asks_for_all(text), "{text}");
        }
    }
}
