//! `muster serve`: starts the server.

use anyhow::Context;

use super::Invocation;
use crate::serve::config::{ServeConfig, ServeFlags};
use crate::{environment, logging, serve};

/// Runs the server until a signal stops it.
pub fn run(flags: ServeFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let filter = environment::variable("MUSTER_LOG").unwrap_or_else(|| "info".to_owned());
    let log = logging::start(&filter)?;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let config = ServeConfig::from_flags(&flags, invocation.target.data_dir.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime
        .context("cannot start the runtime")?
        .block_on(serve::run(config, log))
}
