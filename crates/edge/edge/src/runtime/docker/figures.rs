//! What a container uses, from the engine's measurements.

use bollard::models::{ContainerCpuStats, ContainerStatsResponse};

use crate::runtime::ModuleFigures;

pub(super) fn figures(stats: &ContainerStatsResponse) -> ModuleFigures {
    let memory = stats.memory_stats.as_ref();
    let networks = || stats.networks.iter().flat_map(|networks| networks.values());
    let disks = stats.blkio_stats.as_ref();
    let disks = disks.and_then(|disks| disks.io_service_bytes_recursive.as_ref());
    let moved = |operation: &str| -> u64 {
        let entries = disks.into_iter().flatten();
        let matching = entries.filter(|entry| {
            let found = entry.op.as_deref().unwrap_or_default();
            found.eq_ignore_ascii_case(operation)
        });
        matching.filter_map(|entry| entry.value).sum()
    };
    ModuleFigures {
        cpu_percent: cpu_percent(stats).unwrap_or_default(),
        memory: memory.and_then(|memory| memory.usage).unwrap_or_default(),
        memory_limit: memory.and_then(|memory| memory.limit).unwrap_or_default(),
        processes: stats
            .pids_stats
            .as_ref()
            .and_then(|processes| processes.current)
            .unwrap_or_default(),
        received: networks().filter_map(|network| network.rx_bytes).sum(),
        sent: networks().filter_map(|network| network.tx_bytes).sum(),
        read: moved("read"),
        written: moved("write"),
    }
}

/// The share of all processors in the time between two measurements, times their number.
fn cpu_percent(stats: &ContainerStatsResponse) -> Option<f64> {
    let (now, before) = (stats.cpu_stats.as_ref()?, stats.precpu_stats.as_ref()?);
    let total = |stats: &ContainerCpuStats| stats.cpu_usage.as_ref()?.total_usage;
    let used = total(now)?.checked_sub(total(before)?)?;
    let passed = now
        .system_cpu_usage?
        .checked_sub(before.system_cpu_usage?)?;
    let processors = f64::from(now.online_cpus.unwrap_or(1));
    (passed > 0).then(|| used as f64 / passed as f64 * processors * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_engines_measurements() {
        let stats = r#"{
            "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000,
                "online_cpus": 4},
            "precpu_stats": {"cpu_usage": {"total_usage": 200}, "system_cpu_usage": 1000},
            "memory_stats": {"usage": 5, "limit": 10}, "pids_stats": {"current": 3},
            "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10}},
            "blkio_stats": {"io_service_bytes_recursive": [
                {"op": "Read", "value": 7}, {"op": "write", "value": 8}, {"op": "read", "value": 1}]}
        }"#;
        let expected = ModuleFigures {
            cpu_percent: 40.0,
            memory: 5,
            memory_limit: 10,
            processes: 3,
            received: 11,
            sent: 2,
            read: 8,
            written: 8,
        };
        assert_eq!(figures(&serde_json::from_str(stats).unwrap()), expected);
        let nothing = figures(&serde_json::from_str("{}").unwrap());
        assert_eq!(nothing, ModuleFigures::default());
    }
}
