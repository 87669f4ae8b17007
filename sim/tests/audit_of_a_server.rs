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
        let arguments = [
            "dps",
            "enrollment",
            "create",
            "--enrollment-id",
            id,
            "--attestation-type",
            "symmetrickey",
        ];
        server.run_muster(&arguments)?.json()?;
    }
    // Also while the server runs.
    let verified = server.run_muster(&["audit", "verify"])?.json()?;
    assert_eq!(verified[0]["book"], "acts");
    assert_eq!(verified[0]["last"], 2);
    let listed = server.run_muster(&["audit", "list"])?.json()?;
    assert_eq!(listed[0]["body"]["target"], "individual enrollment two");
    // From the server too, by its owner.
    let (owner, ca) = (server.dps_connection_string()?, server.ca()?);
    let ca = ca.to_str().context("path")?;
    let list = ["audit", "list", "--top", "1", "--login", &owner];
    let served = server.run_muster(&[&list[..], &["--server-ca", ca]].concat())?;
    let served = served.json()?;
    assert_eq!(served.as_array().map(Vec::len), Some(1));
    assert_eq!(served[0]["body"]["target"], "individual enrollment two");
    assert_eq!(served[0]["body"]["address"], "127.0.0.1");
    let known = format!("acts:2:{}", verified[0]["hash"].as_str().unwrap());
    server
        .run_muster(&["audit", "verify", "--known", &known])?
        .json()?;

    assert_eq!(server.terminate()?, Some(0));
    flip_a_byte(&server.data_dir().join("muster.db"))?;
    let refused = server.run_muster(&["audit", "verify"])?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("record 1 of the acts was altered"),
        "{refused:?}"
    );
    Ok(())
}

/// Whoever can write the file changes what was enrolled, in the first record of all.
fn flip_a_byte(database: &Path) -> Result<()> {
    let script = "
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
first, records = database.execute('SELECT first, records FROM audit_acts ORDER BY first LIMIT 1').fetchone()
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
