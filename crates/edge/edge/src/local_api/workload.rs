//! The workload API, by which a module signs tokens and gets trusted roots.
//!
//! Every module has a socket of its own, and only its container sees it: the socket is the
//! credential. The socket for everybody gives public data only. Keys are derived from the device's
//! own state, without the hub.

mod certificates;
mod encryption;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{Method, StatusCode};
use ids::{GenerationId, ModuleId, error_chain};
use keys::KeyError;
use tokio::task::JoinHandle;
use wire::edge_api::local::{API_VERSIONS, ModuleList, SignRequest, SignResponse, TrustBundle};
use zeroize::Zeroizing;

use self::certificates::Asked;
use super::own_path::listen_at_own_path;
use crate::certificates::EdgeCa;
use crate::files::durable::{DurableError, open_folder, private_folder};
use crate::files::paths::Paths;
use crate::identities::master_key::MasterKey;
use crate::local_api::http::{LocalRequest, Refusal, Reply, serve};
use crate::local_api::unix_socket::listen;
use crate::state::SharedState;

/// The mode of the sockets: a container may run as any user. Access is limited above: only the
/// daemon may enter the folder of the sockets ([`Paths::sockets`]), and the engine mounts the
/// folder of a module into its container.
const MODE: u32 = 0o666;

/// The handler of all workload sockets of a device.
#[derive(Debug, Clone)]
pub struct Workload {
    pub shared: SharedState,
    pub master: Arc<MasterKey>,
    /// `trust_bundle_cert`. The file is read for each request.
    pub trust_bundle: Option<PathBuf>,
    /// Signs the certificates of modules.
    pub edge_ca: Arc<EdgeCa>,
}

/// The workload sockets. Dropping it closes them. Containers that go on find the next ones
/// at the same path.
#[derive(Debug)]
pub struct ModuleSockets {
    workload: Workload,
    paths: Paths,
    open: BTreeMap<ModuleId, JoinHandle<()>>,
    /// Where everybody may connect, beside the usual socket.
    other: Option<PathBuf>,
    /// `None` until the socket for everybody is open.
    everybody: Option<JoinHandle<()>>,
    other_everybody: Option<JoinHandle<()>>,
}

impl ModuleSockets {
    #[must_use]
    pub fn new(workload: Workload, paths: Paths) -> Self {
        Self {
            workload,
            paths,
            open: BTreeMap::new(),
            other: None,
            everybody: None,
            other_everybody: None,
        }
    }

    /// Serves everybody at another path, too: that of `listen.workload_uri`.
    #[must_use]
    pub fn also_at(mut self, path: Option<PathBuf>) -> Self {
        self.other = path;
        self
    }

    /// Opens the sockets of `modules`, and closes those of others.
    pub fn ensure(&mut self, modules: BTreeSet<ModuleId>) {
        if self.everybody.is_none() {
            match listen(&self.paths.workload_socket(), MODE) {
                Ok(listener) => self.everybody = Some(self.spawn(listener, None)),
                Err(error) => {
                    tracing::warn!(error = %error_chain(&error), "the workload socket is not open")
                }
            }
        }
        if let Some(path) = self.other.take() {
            let listener = listen_at_own_path(&path, MODE);
            self.other_everybody = listener.map(|listener| self.spawn(listener, None));
        }
        let gone: Vec<ModuleId> = self
            .open
            .keys()
            .filter(|module| !modules.contains(module))
            .cloned()
            .collect();
        for module in gone {
            if let Some(task) = self.open.remove(&module) {
                task.abort();
            }
        }
        for module in modules {
            if self.open.contains_key(&module) {
                continue;
            }
            match self.open_one(&module) {
                Ok(task) => drop(self.open.insert(module, task)),
                Err(error) => {
                    tracing::warn!(
                        module.id = %module,
                        error = %error_chain(&error),
                        "the module's workload socket is not open"
                    )
                }
            }
        }
    }

    fn open_one(&self, module: &ModuleId) -> Result<JoinHandle<()>, DurableError> {
        private_folder(&self.paths.sockets())?;
        let folder = self.paths.module_folder(module.as_str());
        open_folder(&folder)?;
        let listener = listen(&folder.join("workload.sock"), MODE)?;
        let link = self.paths.module_socket_link(module.as_str());
        let name = folder.file_name().unwrap_or_default();
        let target = PathBuf::from(name).join("workload.sock");
        let linked = match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => symlink(target, &link),
        };
        linked.map_err(|source| DurableError::Io {
            what: "link",
            path: link,
            source,
        })?;
        Ok(self.spawn(listener, Some(module.clone())))
    }

    fn spawn(
        &self,
        listener: tokio::net::UnixListener,
        module: Option<ModuleId>,
    ) -> JoinHandle<()> {
        let workload = self.workload.clone();
        tokio::spawn(serve(listener, &API_VERSIONS, move |request| {
            let (workload, module) = (workload.clone(), module.clone());
            async move { workload.answer(&request, module.as_ref()).await }
        }))
    }
}

impl Drop for ModuleSockets {
    fn drop(&mut self) {
        for task in [&self.everybody, &self.other_everybody]
            .into_iter()
            .flatten()
            .chain(self.open.values())
        {
            task.abort();
        }
    }
}

impl Workload {
    async fn answer(
        &self,
        request: &LocalRequest,
        caller: Option<&ModuleId>,
    ) -> Result<Reply, Refusal> {
        let path = request.path.segments();
        match (&request.method, path.as_slice()) {
            (&Method::GET, ["modules"]) => Ok(Reply::json(&ModuleList {
                modules: self.shared.status().modules,
            })),
            (&Method::GET, ["trust-bundle"]) => self.trust_bundle(),
            (&Method::GET, ["manifest-trust-bundle"]) => Ok(Reply::json(&TrustBundle {
                certificate: String::new(),
            })),
            (&Method::POST, ["modules", module, "genid", _, "sign"]) => {
                self.sign(&permit(caller, module)?, &request.json()?).await
            }
            (&Method::POST, ["modules", module, "genid", generation, "encrypt"]) => {
                let module = permit(caller, module)?;
                self.encrypt(&module, generation, &request.json()?).await
            }
            (&Method::POST, ["modules", module, "genid", generation, "decrypt"]) => {
                let module = permit(caller, module)?;
                self.decrypt(&module, generation, &request.json()?).await
            }
            (&Method::POST, ["modules", module, "genid", _, "certificate", "server"]) => {
                let module = permit(caller, module)?;
                self.certificate(module, Asked::Server(request.json()?))
                    .await
            }
            (&Method::POST, ["modules", module, "certificate", "identity"]) => {
                let module = permit(caller, module)?;
                self.certificate(module, Asked::Identity(request.json()?))
                    .await
            }
            (
                _,
                ["modules"]
                | ["trust-bundle"]
                | ["manifest-trust-bundle"]
                | ["modules", _, "genid", _, "sign" | "encrypt" | "decrypt"]
                | ["modules", _, "genid", _, "certificate", "server"]
                | ["modules", _, "certificate", "identity"],
            ) => Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "the method is not supported here",
            )),
            _ => Err(Refusal::not_found()),
        }
    }

    async fn sign(&self, module: &ModuleId, request: &SignRequest) -> Result<Reply, Refusal> {
        if !request.algo.eq_ignore_ascii_case("HMACSHA256") {
            return Err(bad("only HMACSHA256 is supported"));
        }
        let data = decoded("data", &request.data)?;
        let generation = self.generation_of(module)?;
        let digest = self.master.sign(module, &generation, data.to_vec()).await;
        Ok(Reply::json(&SignResponse {
            digest: STANDARD.encode(digest.map_err(unavailable)?),
        }))
    }

    fn generation_of(&self, module: &ModuleId) -> Result<GenerationId, Refusal> {
        let state = self.shared.cloud_state.borrow();
        state.identities.get(module).cloned().ok_or_else(|| {
            let problem = format!("module {module} has no identity");
            Refusal::new(StatusCode::NOT_FOUND, problem)
        })
    }
}

fn bad(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, message)
}

fn decoded(name: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let bytes = STANDARD.decode(text);
    let bytes = bytes.map_err(|_| bad(&format!("{name} is not base64")))?;
    Ok(Zeroizing::new(bytes))
}

/// Why the role did nothing, for the module.
fn unavailable(error: KeyError) -> Refusal {
    let status = match &error {
        KeyError::Invalid(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    if status != StatusCode::BAD_REQUEST {
        tracing::warn!(error = %error, "a key of a module was not used");
    }
    Refusal::new(status, error.to_string())
}

/// A module may sign for itself only. Azure leaves out the `$` of system modules in some places.
fn permit(caller: Option<&ModuleId>, named: &str) -> Result<ModuleId, Refusal> {
    match caller {
        Some(caller)
            if caller.as_str().trim_start_matches('$') == named.trim_start_matches('$') =>
        {
            Ok(caller.clone())
        }
        _ => Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden")),
    }
}

#[cfg(test)]
mod other_socket_tests;

#[cfg(test)]
mod tests;
