//! The task that answers on the socket of the TPM service.

use ids::error_chain;
use tokio::task::JoinHandle;
use tpm::{Tpm, TpmSettings};
use wire::edge_api::tpm::API_VERSIONS;

use crate::config::Config;
use crate::files::paths::Paths;
use crate::local_api::http::serve;
use crate::local_api::tpm::answer;
use crate::local_api::unix_socket::listen;

/// Who may use the TPM as the device does: the owner of the socket, and the owner's group.
const MODE: u32 = 0o660;

/// Serves the TPM of a configuration that uses one.
#[derive(Debug, Default)]
pub(super) struct TpmService(Option<Open>);

#[derive(Debug)]
struct Open {
    settings: TpmSettings,
    task: JoinHandle<()>,
}

impl TpmService {
    /// Obeys another configuration.
    pub(super) fn follow(&mut self, config: &Config, paths: &Paths) {
        let wanted = config.uses_tpm().then(|| config.tpm_settings());
        let current = self.0.as_ref().map(|open| &open.settings);
        if current == wanted.as_ref() {
            return;
        }
        self.stop();
        let Some(settings) = wanted else { return };
        match listen(&paths.tpm_socket(), MODE) {
            Ok(listener) => {
                tracing::info!(tcti = %settings.tcti, "the TPM service is open");
                let tpm = Tpm::new(settings.clone());
                let task = tokio::spawn(serve(listener, &API_VERSIONS, move |request| {
                    answer(tpm.clone(), request)
                }));
                self.0 = Some(Open { settings, task });
            }
            // Registration and tokens do not need the socket.
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(error, "the TPM service has no socket");
            }
        }
    }

    pub(super) fn stop(&mut self) {
        if let Some(open) = self.0.take() {
            open.task.abort();
        }
    }
}
