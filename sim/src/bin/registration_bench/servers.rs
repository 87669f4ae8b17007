//! The two servers, each a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use sim::measure::{Hierarchy, Usage, printed_address};
use sim::{Program, Server, binary};

use crate::case::Case;
use crate::client::{Called, Fleet};
use crate::report::Measured;

/// The bare server, ready to be called.
pub struct BareServer {
    program: Program,
    address: SocketAddr,
}

impl BareServer {
    /// Starts this program again as the bare server; its address is what it prints first.
    pub async fn start(dir: &Path) -> Result<Self> {
        let mut command = Command::new(binary("registration-bench")?);
        command.arg("bare").arg(dir);
        let program = Program::start(command, &dir.join("bare.log"))?;
        let address = printed_address(&program).await?;
        Ok(Self { program, address })
    }
}

/// Lets the root of a hierarchy speak for devices: one enrollment group.
pub async fn enroll(muster: &Server, root: &Path) -> Result<()> {
    muster.enroll_group("bench", root, "").await.map(drop)
}

/// A process with what it is called with.
pub struct Target {
    process: u32,
    called: Called,
}

impl Target {
    /// The server that a case calls.
    pub fn of(
        case: Case,
        hierarchy: &Hierarchy,
        bare: &BareServer,
        muster: &Server,
    ) -> Result<Self> {
        let talk = case.talk(&muster.id_scope()?);
        Ok(match case {
            Case::Bare => Self {
                process: bare.program.id(),
                called: Called {
                    address: bare.address,
                    trusted_pem: hierarchy.root_pem.clone(),
                    talk,
                },
            },
            _ => Self {
                process: muster.process_id(),
                called: Called {
                    address: format!("{}:443", muster.host()).parse()?,
                    trusted_pem: std::fs::read_to_string(muster.ca()?)?,
                    talk,
                },
            },
        })
    }

    /// Lets `count` new devices call, `concurrency` at a time, and counts what it costs the server.
    pub async fn run(
        &self,
        (case, hierarchy): (Case, &Hierarchy),
        (round, count): (usize, usize),
        concurrency: usize,
        measured: Option<&mut Measured>,
    ) -> Result<()> {
        let names = (0..count).map(|n| format!("{}-{round}-{n}", case.name()));
        let fleet = Fleet::new(hierarchy, names, case.issued_by(), &self.called)?;
        let before = Usage::of(self.process)?;
        let started = Instant::now();
        let done = fleet.run(concurrency).await?;
        let seconds = started.elapsed().as_secs_f64();
        let used = Usage::of(self.process)?.since(before);
        ensure!(
            done == count,
            "only {done} of {count} were answered as they should be"
        );
        if let Some(measured) = measured {
            measured.add(count, seconds, used);
        }
        Ok(())
    }
}
