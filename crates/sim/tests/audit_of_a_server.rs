//! What the server did is on record, and a changed record is found.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

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
        server.muster(&arguments)?.json()?;
    }
    // Also while the server runs.
    let verified = server.muster(&["audit", "verify"])?.json()?;
    assert_eq!(verified[0]["book"], "acts");
    assert_eq!(verified[0]["last"], 2);
    let listed = server.muster(&["audit", "list"])?.json()?;
    assert_eq!(listed[0]["body"]["target"], "individual enrollment two");
    let known = format!("acts:2:{}", verified[0]["hash"].as_str().unwrap());
    server
        .muster(&["audit", "verify", "--known", &known])?
        .json()?;

    // Stopped in order, so that all of it is in the one file.
    assert_eq!(server.terminate()?, Some(0));
    let file = server.data_dir().join("muster.db");
    let mut bytes = std::fs::read(&file)?;
    let record = br#"{"kind":"enrollment.put","target":"individual enrollment one""#;
    let at = bytes
        .windows(record.len())
        .position(|window| window == record);
    let at = at.context("the record is not in the file as it was written")? + record.len() - 2;
    bytes[at] ^= 1;
    std::fs::write(&file, bytes)?;
    let refused = server.muster(&["audit", "verify"])?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("record 1 of the acts was altered"),
        "{refused:?}"
    );
    Ok(())
}
