//! Loads the simulated temperature sensor into a running engine.

use anyhow::bail;
use clap::Args;

use crate::docker;
use crate::engine;
use crate::image;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Options {}

pub(crate) fn run(workspace: &Workspace, _options: &Options) -> anyhow::Result<()> {
    for socket in engine::named_sockets() {
        let api = docker::Engine::at(&socket);
        if api.version().is_ok() {
            return image::load_sensor(workspace, &api);
        }
    }
    bail!(
        "no container engine answers; start Docker or Moby, or name its socket: DOCKER_HOST=unix:///path"
    )
}
