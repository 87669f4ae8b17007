//! Figures of the machine, from `/proc` and its disks.

use std::collections::BTreeMap;
use std::path::Path;

use super::text::Exposition;

/// The name of the machine among the modules.
pub(super) const NAME: &str = "host";

/// The memory of the machine, by the names of its metrics; `None` when it cannot be read.
pub(super) fn memory(proc: &Path) -> Option<BTreeMap<&'static str, f64>> {
    let text = std::fs::read_to_string(proc.join("meminfo")).ok()?;
    let bytes = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(first_number(line.split_once(':')?.1)? * 1024.0)
    };
    let (total, free) = (bytes("MemTotal")?, bytes("MemAvailable")?);
    Some(BTreeMap::from([
        ("total_memory_bytes", total),
        ("used_memory_bytes", total - free),
    ]))
}

/// Writes what can be read; a file that is missing leaves its figures out.
pub(super) fn write(out: &mut Exposition, proc: &Path, state: &Path) {
    let uptime = std::fs::read_to_string(proc.join("uptime")).unwrap_or_default();
    if let Some(seconds) = first_number(&uptime) {
        out.gauge("host_uptime_seconds");
        out.sample("host_uptime_seconds", &[], seconds);
    }
    if let Ok(disk) = nix::sys::statvfs::statvfs(state) {
        let bytes = |blocks: nix::libc::fsblkcnt_t| blocks as f64 * disk.fragment_size() as f64;
        let path = state.to_string_lossy();
        let labels = [("disk_name", path.as_ref())];
        out.gauge("available_disk_space_bytes");
        let available = bytes(disk.blocks_available());
        out.sample("available_disk_space_bytes", &labels, available);
        out.gauge("total_disk_space_bytes");
        out.sample("total_disk_space_bytes", &labels, bytes(disk.blocks()));
    }
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_machine_are_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("uptime"), "12.5 30.0\n").unwrap();
        let text = "MemTotal:  4 kB\nMemFree: 1 kB\nMemAvailable:    3 kB\n";
        std::fs::write(dir.path().join("meminfo"), text).unwrap();
        let memory = memory(dir.path()).unwrap();
        assert_eq!(memory["used_memory_bytes"], 1024.0);
        let mut out = Exposition::new(Vec::new());
        write(&mut out, dir.path(), dir.path());
        let text = out.into_text();
        assert!(
            text.contains("edgeAgent_host_uptime_seconds{} 12.5\n"),
            "{text}"
        );
        assert!(
            text.contains("edgeAgent_total_disk_space_bytes{disk_name="),
            "{text}"
        );
    }
}
