//! `muster show`.

use anyhow::Context;

use super::{Column, Invocation, output};
use crate::local;
use crate::operator::OperatorError;

const COLUMNS: &[Column] = &[
    ("ID scope", "/idScope"),
    ("HTTPS", "/endpoints/https"),
    ("MQTTS", "/endpoints/mqtts"),
    ("Server CA", "/serverCa"),
];

/// Prints what the data directory serves, whether a server runs on it or not.
pub fn run(invocation: &Invocation) -> anyhow::Result<()> {
    let Some(data_dir) = &invocation.target.data_dir else {
        return Err(
            OperatorError::Usage("which data directory? Give --data-dir DIR".to_owned()).into(),
        );
    };
    let description =
        serde_json::to_value(local::describe(data_dir)?).context("the description")?;
    Ok(output::print(invocation.output, &description, COLUMNS)?)
}
