//! Registrations at a steady rate, whatever the server does meanwhile.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use sim::measure::IssuedBy;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::client::{Maker, Talk};

/// New devices that call one server, so many a second.
pub struct Steady<'h> {
    pub maker: Maker<'h>,
    pub address: SocketAddr,
    pub talk: Talk,
    pub rate: f64,
}

impl Steady<'_> {
    /// Lets devices call until `work` is done; what that came to, and how long each call took,
    /// milliseconds from its turn. The turns do not wait for answers: a server that stalls is
    /// called on.
    pub async fn during<T>(
        &self,
        names: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<(T, Vec<f64>)> {
        let mut work = pin!(work);
        let mut calls: JoinSet<Result<f64>> = JoinSet::new();
        let mut millis = Vec::new();
        let begun = Instant::now();
        for number in 0_u32.. {
            // Made before its turn.
            let name = format!("{names}-{number}");
            let device = self.maker.device(name, IssuedBy::TheSharedIntermediate)?;
            let turn = begun + Duration::from_secs_f64(f64::from(number) / self.rate);
            tokio::select! {
                done = &mut work => {
                    while let Some(ended) = calls.join_next().await {
                        millis.push(ended??);
                    }
                    return Ok((done?, millis));
                }
                () = sleep_until(turn) => {}
            }
            let (address, talk) = (self.address, self.talk.clone());
            calls.spawn(async move {
                device.call(address, &talk).await?;
                Ok(turn.elapsed().as_secs_f64() * 1e3)
            });
            while let Some(ended) = calls.try_join_next() {
                millis.push(ended??);
            }
        }
        anyhow::bail!("there are no more names")
    }
}
