//! What the kernel counted for a process (proc(5)).

use anyhow::{Context, Result};

/// CPU time and bytes written since the process began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time, microseconds; counted in ticks of 10 ms.
    pub cpu_micros: f64,
    /// Bytes that went to storage.
    pub written: f64,
}

impl Usage {
    pub fn of(process: u32) -> Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .context("stat")?
            .1
            .split_whitespace()
            .collect();
        let tick = |index: usize| anyhow::Ok(fields.get(index).context("stat")?.parse::<f64>()?);
        let ticks = tick(11)? + tick(12)?;
        let per_second =
            nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.context("CLK_TCK")? as f64;
        let io = std::fs::read_to_string(format!("/proc/{process}/io"))?;
        let written = io
            .lines()
            .find_map(|l| l.strip_prefix("write_bytes:"))
            .context("io")?
            .trim()
            .parse()?;
        Ok(Self {
            cpu_micros: ticks / per_second * 1e6,
            written,
        })
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            cpu_micros: self.cpu_micros - before.cpu_micros,
            written: self.written - before.written,
        }
    }
}
