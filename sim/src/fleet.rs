use std::process::Command;

use anyhow::Result;

use crate::command_line::split;
use crate::{Program, Server, Workshop, binary};

/// `muster fleet simulate`, running.
#[derive(Debug)]
pub struct Fleet {
    program: Program,
}

impl Fleet {
    /// Registers so many devices whose certificates a workshop issues; further flags as
    /// on the command line.
    pub fn start(
        server: &Server,
        workshop: &Workshop,
        devices: usize,
        flags: &str,
    ) -> Result<Self> {
        let mut command = Command::new(binary("muster")?);
        command.args(["fleet", "simulate", "--devices", &devices.to_string()]);
        command.args(split(flags)?);
        command.arg("--ca-dir").arg(workshop.path());
        command.arg("--data-dir").arg(server.data_dir());
        let program = Program::start(command, &workshop.path().join("fleet.log"))?;
        Ok(Self { program })
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }
}
