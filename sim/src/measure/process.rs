//! What the kernel counted for a process (proc(5), clock_getcpuclockid(3)).

use anyhow::{Context, Result};
use nix::time::ClockId;
use nix::unistd::Pid;

/// CPU time and bytes written since the process began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time of all its threads, microseconds.
    pub cpu_micros: f64,
    /// Bytes that went to storage.
    pub written: f64,
}

impl Usage {
    pub fn of(process: u32) -> Result<Self> {
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(process)?))?;
        let used = std::time::Duration::from(clock.now()?);
        let written = field(process, "io", "write_bytes:")?;
        Ok(Self {
            cpu_micros: used.as_secs_f64() * 1e6,
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

/// Memory of a process, MiB.
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    pub now: f64,
    /// The most that it was.
    pub most: f64,
}

impl Resident {
    pub fn of(process: u32) -> Result<Self> {
        let mebibytes = |name| Ok::<_, anyhow::Error>(field(process, "status", name)? / 1024.0);
        Ok(Self {
            now: mebibytes("VmRSS:")?,
            most: mebibytes("VmHWM:")?,
        })
    }
}

/// The number after `name` in one of the kernel's files about a process.
fn field(process: u32, file: &str, name: &str) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line
        .and_then(|rest| rest.split_whitespace().next())
        .with_context(|| format!("no {name} in /proc/{process}/{file}"))?;
    Ok(number.parse()?)
}
