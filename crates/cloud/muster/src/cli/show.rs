//! `muster show`: an overview of a data directory.

use anyhow::Context;

use super::{Column, Invocation, output};
use crate::data_dir;
use crate::service_client::CommandError;

const COLUMNS: &[Column] = &[
    ("ID scope", "/idScope"),
    ("HTTPS", "/endpoints/https"),
    ("MQTTS", "/endpoints/mqtts"),
    ("Server CA", "/serverCa"),
];

/// Prints the services and hubs of the data directory, whether or not a server runs on it.
pub fn run(invocation: &Invocation) -> anyhow::Result<()> {
    let Some(data_dir) = &invocation.target.data_dir else {
        return Err(
            CommandError::Usage("which data directory? Give --data-dir DIR".to_owned()).into(),
        );
    };
    let description =
        serde_json::to_value(data_dir::describe(data_dir)?).context("the description")?;
    Ok(output::print(invocation.output, &description, COLUMNS)?)
}
