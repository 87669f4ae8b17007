//! `muster hub query`.

use reqwest::Method;
use serde_json::{Value, json};

use super::TWIN_COLUMNS;
use crate::cli::{Invocation, output};
use crate::service_client::{Call, Service, request_bodies};

#[derive(Debug, clap::Args)]
pub struct QueryFlags {
    /// SELECT … FROM devices | devices.modules | devices.jobs [WHERE …] [GROUP BY …]
    #[arg(long, short = 'q')]
    query_command: String,
    /// At most this many rows.
    #[arg(long)]
    top: Option<usize>,
    /// Print how the rows are found (an index or a scan) instead of the rows.
    #[arg(long, conflicts_with = "top")]
    explain: bool,
}

pub async fn run(flags: QueryFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let (path, body) = (
        ["devices", "query"],
        request_bodies::query(&flags.query_command),
    );
    if flags.explain {
        let call = Call::new(Method::POST, &path).body(&body);
        let (_, headers) = client.call_for_headers(call.page(None, Some(1))).await?;
        let plan = headers.get("x-muster-query-plan");
        let plan = plan.and_then(|plan| plan.to_str().ok());
        let answer = json!({"query": flags.query_command, "plan": plan});
        return Ok(output::print(
            invocation.output,
            &answer,
            &[("Plan", "/plan")],
        )?);
    }
    let rows = client.list(&path, Some(&body), flags.top).await?;
    let pointers = members(&rows);
    let columns: Vec<_> = pointers
        .iter()
        .map(|(name, pointer)| (name.as_str(), pointer.as_str()))
        .collect();
    // Whole twins have more members than a line holds.
    let columns = match rows.first().is_some_and(is_twin) {
        true => TWIN_COLUMNS,
        false => &columns,
    };
    Ok(output::print(invocation.output, &rows.into(), columns)?)
}

fn is_twin(row: &Value) -> bool {
    ["deviceId", "etag", "properties"]
        .iter()
        .all(|member| row.get(member).is_some())
}

/// The members of rows in the order in which they come, each with its JSON pointer.
fn members(rows: &[Value]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for name in rows
        .iter()
        .filter_map(Value::as_object)
        .flat_map(|row| row.keys())
    {
        if !all.iter().any(|(known, _)| known == name) {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            all.push((name.clone(), format!("/{escaped}")));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_members_has_a_column_for_each() {
        let rows = [json!({"n": 1, "a/b": 2}), json!({"site": "x", "n": 3})];
        let columns = members(&rows);
        let pointers: Vec<_> = columns
            .iter()
            .map(|(_, pointer)| pointer.as_str())
            .collect();
        assert_eq!(pointers, ["/n", "/a~1b", "/site"]);
        assert_eq!(rows[0].pointer("/a~1b"), Some(&json!(2)));
    }
}
