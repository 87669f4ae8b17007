//! kill -9 of a server that devices and operators write to, at moments that nobody chose.

use anyhow::Result;
use sim::{Kills, survive};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_survives_each_of_some_kills() -> Result<()> {
    survive(Kills { count: 8, seed: 1 }).await.map(drop)
}
