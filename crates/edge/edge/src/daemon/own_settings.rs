//! What a configuration adds to the management API: another socket, and texts for `/systeminfo`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;
use wire::edge_api::local::API_VERSIONS;

use super::MANAGEMENT_MODE;
use crate::config::{Config, read_additional_info};
use crate::local_api::http::serve;
use crate::local_api::management::Management;
use crate::local_api::own_path::listen_at_own_path;
use crate::runtime::ModuleRuntime;

/// Serves the management API at `listen.management_uri`, too. The usual socket stays open: the
/// daemon answers there before it has a configuration.
pub(super) fn other_management_socket<R: ModuleRuntime>(
    config: &Config,
    management: &Arc<Management<R>>,
) -> Option<JoinHandle<()>> {
    let path = config.sockets.management.as_deref()?;
    let listener = listen_at_own_path(path, MANAGEMENT_MODE)?;
    let management = management.clone();
    let answer = move |request| {
        let management = management.clone();
        async move { management.answer(request).await }
    };
    Some(tokio::spawn(serve(listener, &API_VERSIONS, answer)))
}

/// The texts of `additional_info`. A file that has become wrong since it was applied adds none.
pub(super) fn additional_info(config: &Config) -> Arc<BTreeMap<String, String>> {
    let Some(file) = &config.additional_info else {
        return Arc::default();
    };
    let text = std::fs::read_to_string(&file.path).map_err(|error| error.to_string());
    match text.and_then(|text| read_additional_info(&text)) {
        Ok(texts) => Arc::new(texts),
        Err(problem) => {
            let path = file.path.display();
            tracing::error!(%path, problem, "additional_info cannot be read");
            Arc::default()
        }
    }
}
