use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const PAUSE: Duration = Duration::from_millis(100);

/// Asks `probe` again and again until it answers with a value, at most for `limit`. The last "not
/// yet" is in the error.
pub async fn until<T, F, P>(what: &str, limit: Duration, mut probe: P) -> Result<T>
where
    P: FnMut() -> F,
    F: Future<Output = Result<T>>,
{
    let started = Instant::now();
    loop {
        let not_yet = match probe().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if started.elapsed() > limit {
            bail!(
                "{what}: not within {} s; last seen: {not_yet:#}",
                limit.as_secs()
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}
