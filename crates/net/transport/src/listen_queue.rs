//! Watches whether the kernel drops connections before this process can accept them.

use std::time::Duration;

use tokio::sync::watch;

use crate::{bind, shutdown};

/// The time between two looks at the kernel's counter.
const PERIOD: Duration = Duration::from_secs(10);

/// Counts connections that were dropped because a listen queue was full, and logs when
/// there are new ones. Runs until `stopping` turns true; where the kernel has no such
/// counter it returns at once.
pub async fn watch(mut stopping: watch::Receiver<bool>) {
    let read = |path| std::fs::read_to_string(path).ok();
    let allowed = read("/proc/sys/net/core/somaxconn").and_then(|text| text.trim().parse().ok());
    if let Some(allowed) = allowed.filter(|allowed: &u32| *allowed < bind::BACKLOG) {
        tracing::warn!(
            "the kernel lets {allowed} connections wait to be accepted, where this server asks \
             for {}: clients of a burst will connect late; raise net.core.somaxconn",
            bind::BACKLOG
        );
    }
    let dropped = || overflows(&read("/proc/net/netstat")?);
    let Some(mut known) = dropped() else { return };
    let counter = metrics::counter!("muster_listen_overflows_total");
    loop {
        // Cancel-safe: both only wait.
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = shutdown::requested(&mut stopping) => return,
        }
        let now = dropped().unwrap_or(known);
        let more = now.saturating_sub(known);
        known = now;
        if more > 0 {
            counter.increment(more);
            tracing::warn!(
                "{more} connections found the listen queue full and were dropped on this machine \
                 within {} s; their clients try again after some seconds",
                PERIOD.as_secs()
            );
        }
    }
}

/// Reads `ListenOverflows` from the text of `/proc/net/netstat` (proc(5)): pairs of lines,
/// names and then numbers.
fn overflows(netstat: &str) -> Option<u64> {
    let mut lines = netstat
        .lines()
        .filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let mut pairs = names.split_whitespace().zip(numbers.split_whitespace());
    let (_, number) = pairs.find(|(name, _)| *name == "ListenOverflows")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_found_by_its_name() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\n\
                    TcpExt: 1 23 25\nIpExt: InOctets\nIpExt: 7\n";
        assert_eq!(overflows(text), Some(23));
        assert_eq!(overflows("TcpExt: Other\nTcpExt: 1\n"), None);
        assert_eq!(overflows(""), None);
    }
}
