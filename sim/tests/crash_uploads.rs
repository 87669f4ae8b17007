//! kill -9 of the server in the middle of a file upload: every file is whole or not there, and what
//! was acknowledged is there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use sim::{Server, until};

/// More than one block.
const BYTES: usize = 9_000_001;

/// Different for each file.
fn content(number: usize) -> Vec<u8> {
    (number..)
        .flat_map(usize::to_le_bytes)
        .take(BYTES)
        .collect()
}

/// Uploads files until the server no longer answers; how many were acknowledged.
async fn upload_until_it_dies(server: &Server, folder: &Path) -> Result<usize> {
    for number in 0.. {
        let file = folder.join(number.to_string());
        std::fs::write(&file, content(number))?;
        let line = format!(
            "device upload-file -d dev-1 --file-path '{}'",
            file.display()
        );
        if server.try_muster(&line).await?.code != Some(0) {
            return Ok(number);
        }
    }
    unreachable!("the loop ends when the server dies")
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Parts that the server has not completed.
fn parts(uploads: &Path) -> usize {
    let folders = files_in(&uploads.join(".incoming"));
    let files = folders.iter().flat_map(|folder| files_in(folder));
    files.filter(|file| file.extension().is_some()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn uploaded_files_are_whole_or_not_there() -> Result<()> {
    let mut server = Server::start().await?;
    server.muster("hub device-identity create -d dev-1").await?;
    let folder = tempfile::tempdir()?;
    let uploads = server.data_dir().join("uploads");
    let stored = uploads.join("hub/dev-1");
    let kill_it = async {
        let waited = until("uploads", Duration::from_secs(60), || async {
            ensure!(files_in(&stored).len() >= 2, "too few files");
            Ok(())
        });
        let waited = waited.await;
        // In the middle of the next one, if it can be met.
        let amid = std::time::Instant::now();
        while parts(&uploads) == 0 && amid.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.strike()?;
        waited
    };
    let (killed, uploaded) = tokio::join!(kill_it, upload_until_it_dies(&server, folder.path()));
    killed?;
    let uploaded = uploaded?;
    server.kill()?;
    server.start_again().await?;

    for number in 0..uploaded {
        let file = stored.join(number.to_string());
        ensure!(file.exists(), "{number} was acknowledged and is gone");
    }
    for file in files_in(&stored) {
        let name = file.file_name().and_then(|name| name.to_str());
        let number: usize = name.unwrap_or_default().parse()?;
        ensure!(
            std::fs::read(&file)? == content(number),
            "{number} is not whole"
        );
    }
    until("no parts", Duration::from_secs(30), || async {
        let left = parts(&uploads);
        ensure!(left == 0, "{left} parts are left");
        Ok(())
    })
    .await?;
    // The device goes on.
    let (next, file) = (uploaded + 1, folder.path().join("next"));
    std::fs::write(&file, content(next))?;
    let line = format!(
        "device upload-file -d dev-1 --file-path '{}'",
        file.display()
    );
    server.muster(&line).await?;
    ensure!(std::fs::read(stored.join("next"))? == content(next), "next");
    Ok(())
}
