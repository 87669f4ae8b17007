//! `muster ca log-fetch`: copies the log of a service as it is published, for auditors.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use pki::log::{Checkpoint, LogKey, tree_hash};
use reqwest::{Client, StatusCode, Url};
use serde_json::json;
use wire::public_pki::{LOG_TILE_WIDTH, LogTile};

use super::log_copy::{LogCopy, VerifiedLog, hashes, leaf_tiles};
use crate::cli::output::{self, Column};
use crate::cli::{Invocation, json_file, progress};
use crate::service_client::{CommandError, http_client};

pub const EXAMPLES: &str = "Examples:\n  \
    muster ca log-fetch --url https://hub.example.org/pki/fleet/log --log ./fleet-log\n  \
    muster ca log-fetch --url http://hub.example.org/pki/fleet/log --log ./fleet-log \\\n    \
    --log-key fleet.log-key\n\n\
    Repeat it from time to time: what was fetched before must still be the beginning of the log. \
    Without --log-key the first run keeps the key that the server gives; compare it with \
    `muster dps issuer log show`. `muster ca log-verify --log` verifies the folder without a \
    network.";

/// Longest answer that is read, in bytes: a checkpoint has less, a tile has 8 KiB.
const MAX_ANSWER: usize = 64 * 1024;

#[derive(Debug, Args)]
pub struct LogFetchFlags {
    /// Where the log is published: https://HOST/pki/ISSUER/log.
    #[arg(long, value_name = "URL")]
    url: Url,
    /// The folder of the copy; it is made.
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    /// The public key of the log [default: the one in the folder, else the one of the server].
    #[arg(long, value_name = "F")]
    log_key: Option<PathBuf>,
}

/// A published log.
struct Published {
    http: Client,
    url: String,
}

impl Published {
    async fn get(&self, name: &str) -> Result<Vec<u8>, CommandError> {
        let url = format!("{}/{name}", self.url);
        let unreachable = |error: reqwest::Error| CommandError::Unreachable {
            url: url.clone(),
            reason: error.to_string(),
        };
        let mut answer = self.http.get(&url).send().await.map_err(unreachable)?;
        let refused = |message: String| CommandError::Refused {
            status: answer.status().as_u16(),
            code: None,
            message,
        };
        if answer.status() != StatusCode::OK {
            return Err(refused(format!("{url} is not published")));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                let message = format!("{url} has more than {MAX_ANSWER} bytes");
                return Err(CommandError::Refused {
                    status: 200,
                    code: None,
                    message,
                });
            }
        }
        Ok(body)
    }

    async fn text(&self, name: &str) -> anyhow::Result<String> {
        let body = self.get(name).await?;
        String::from_utf8(body).with_context(|| format!("{}/{name} is no text", self.url))
    }
}

pub async fn run(flags: LogFetchFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let log = Published {
        http: http_client(invocation.target.server_ca.as_deref())?,
        url: flags.url.as_str().trim_end_matches('/').to_owned(),
    };
    let copy = LogCopy::at(&flags.log);
    let known = copy.key()?;
    let key = match (&flags.log_key, &known) {
        (Some(file), _) => {
            let text = json_file::read_text(file).map_err(CommandError::Input)?;
            LogKey::parse(&text).context("the log key cannot be used")?
        }
        (None, Some(known)) => known.clone(),
        (None, None) => LogKey::parse(&log.text("key").await?)?,
    };
    if let Some(known) = known {
        ensure!(
            known == key,
            "the folder is of the log whose key is {known}"
        );
    }
    let before = copy.verify(&key)?;
    let earlier = before.head().map(|head| head.size);
    let note = log.text("checkpoint").await?;
    let head = key
        .open(&note)
        .context("the checkpoint of the server does not hold")?;
    let tiles = fetch(&log, before, &head).await?;
    copy.keep_key(&key)?;
    copy.keep(&tiles, &head, &note)?;
    let value = json!({
        "origin": head.origin,
        "size": head.size,
        "earlierSize": earlier,
        "publicKey": key.to_string(),
        "log": flags.log.display().to_string(),
    });
    Ok(output::print(invocation.output, &value, COLUMNS)?)
}

const COLUMNS: &[Column] = &[
    ("Origin", "/origin"),
    ("Size", "/size"),
    ("EarlierSize", "/earlierSize"),
    ("Log", "/log"),
];

/// Fetches the hashes that a copy lacks, and verifies that the log begins with the copy and that
/// its head is of all of them.
async fn fetch(
    log: &Published,
    before: VerifiedLog,
    head: &Checkpoint,
) -> anyhow::Result<Vec<(LogTile, Vec<u8>)>> {
    let from = before.head().map_or(0, |head| head.size);
    ensure!(
        head.size >= from,
        "the log has {} certificates and had {from} before: certificates were taken out, or the \
         server was restored from an old backup",
        head.size
    );
    let mut tree = before.tree;
    let mut fetched = Vec::new();
    let bar = progress::bar(
        "fetching",
        usize::try_from(head.size - from).unwrap_or(usize::MAX),
    );
    for tile in leaf_tiles(from, head.size) {
        let bytes = log.get(&tile.to_string()).await?;
        let first = tile.number * u64::from(LOG_TILE_WIDTH);
        for (index, hash) in (first..).zip(hashes(&bytes, tile)?) {
            let known = usize::try_from(index)
                .ok()
                .and_then(|index| tree.leaves().get(index));
            match known {
                None => {
                    tree.push(*hash);
                    bar.inc(1);
                }
                Some(known) if known == hash => {}
                Some(_) => bail!("certificate {index} of the log is another one than before"),
            }
        }
        fetched.push((tile, bytes));
    }
    bar.finish_and_clear();
    ensure!(
        tree_hash(&tree, head.size) == Ok(head.root),
        "the hashes of the log of {} certificates are not those of its checkpoint, or it does not \
         begin with the {from} that were fetched before: its history was rewritten",
        head.size
    );
    Ok(fetched)
}
