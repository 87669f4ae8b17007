//! What the server did is on record, and a changed record is found.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use sim::Server;

#[tokio::test]
async fn a_flipped_byte_in_the_audit_is_found_and_named() -> Result<()> {
    let mut server = Server::start().await?;
    for id in ["one", "two"] {
        let create = "dps enrollment create --attestation-type symmetrickey --enrollment-id";
        server.muster(&format!("{create} {id}")).await?;
    }
    // Also while the server runs.
    let verified = server.muster("audit verify").await?;
    assert_eq!(verified[0]["stream"], "acts");
    assert_eq!(verified[0]["last"], 2);
    let listed = server.muster("audit list").await?;
    assert_eq!(listed[0]["body"]["target"], "individual enrollment two");
    // From the server too, by its owner.
    let owner = server.dps_connection_string()?;
    let records = server
        .try_muster_as(&owner, "audit list --top 1")
        .await?
        .json()?;
    assert_eq!(records.as_array().map(Vec::len), Some(1));
    assert_eq!(records[0]["body"]["target"], "individual enrollment two");
    assert_eq!(records[0]["body"]["address"], "127.0.0.1");
    let hash = verified[0]["hash"].as_str().unwrap();
    server
        .muster(&format!("audit verify --known acts:2:{hash}"))
        .await?;

    assert_eq!(server.terminate()?, Some(0));
    flip_a_byte(&server.data_dir().join("muster.db"))?;
    let refused = server.try_muster("audit verify").await?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("record 1 of the acts was altered"),
        "{refused:?}"
    );
    Ok(())
}

/// Changes what was enrolled in the first record of all, as somebody could who can write the file.
fn flip_a_byte(database: &Path) -> Result<()> {
    let script = "
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
query = 'SELECT first, records FROM audit_acts ORDER BY first LIMIT 1'
first, records = database.execute(query).fetchone()
assert records.count(b'individual enrollment one') == 1
records = records.replace(b'individual enrollment one', b'individual enrollment onf')
database.execute('UPDATE audit_acts SET records = ? WHERE first = ?', (records, first))
database.commit()
";
    let done = Command::new("python3")
        .args(["-c", script])
        .arg(database)
        .output()
        .context("python3")?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    anyhow::ensure!(done.status.success(), "{said}");
    Ok(())
}
