//! The workload API, by which a module signs tokens and gets trusted roots.
//!
//! Every module has a socket of its own, and only its container sees it: the socket is the
//! credential. The socket for everybody gives public data only. Keys are derived from the device's
//! own state, without the hub.

mod certificates;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{Method, StatusCode};
use ids::{ModuleId, error_chain};
use keys::KeyError;
use tokio::task::JoinHandle;
use wire::edge_api::local::{
    API_VERSIONS, DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, ModuleList,
    SignRequest, SignResponse, TrustBundle,
};
use zeroize::Zeroizing;

use self::certificates::Asked;
use super::own_path::listen_at_own_path;
use crate::certificates::EdgeCa;
use crate::files::durable::{DurableError, open_folder, private_folder};
use crate::files::paths::Paths;
use crate::identities::master_key::{MasterKey, ModuleData};
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
        let generation = self
            .shared
            .cloud_state
            .borrow()
            .identities
            .get(module)
            .cloned();
        let generation = generation.ok_or_else(|| {
            Refusal::new(
                StatusCode::NOT_FOUND,
                format!("module {module} has no identity"),
            )
        })?;
        let digest = self.master.sign(module, &generation, data.to_vec()).await;
        Ok(Reply::json(&SignResponse {
            digest: STANDARD.encode(digest.map_err(unavailable)?),
        }))
    }

    async fn encrypt(
        &self,
        module: &ModuleId,
        generation: &str,
        request: &EncryptRequest,
    ) -> Result<Reply, Refusal> {
        let data = ModuleData {
            of: format!("{module}{generation}").into_bytes(),
            vector: decoded("initializationVector", &request.initialization_vector)?.to_vec(),
            bytes: decoded("plaintext", &request.plaintext)?,
        };
        let encrypted = self.master.encrypt(data).await.map_err(unavailable)?;
        Ok(Reply::json(&EncryptResponse {
            ciphertext: STANDARD.encode(encrypted),
        }))
    }

    async fn decrypt(
        &self,
        module: &ModuleId,
        generation: &str,
        request: &DecryptRequest,
    ) -> Result<Reply, Refusal> {
        let data = ModuleData {
            of: format!("{module}{generation}").into_bytes(),
            vector: decoded("initializationVector", &request.initialization_vector)?.to_vec(),
            bytes: decoded("ciphertext", &request.ciphertext)?,
        };
        let decrypted = self.master.decrypt(data).await.map_err(unavailable)?;
        Ok(Reply::json(&DecryptResponse {
            plaintext: STANDARD.encode(&*decrypted),
        }))
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
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::path::Path;

    use ids::GenerationId;

    use super::*;
    use crate::identities::master_key::tests::master_in;

    fn module(name: &str) -> ModuleId {
        ModuleId::parse(name).unwrap()
    }

    /// A1: with folders of 0755 above the socket, any user of the device signed as any module.
    #[tokio::test]
    async fn other_users_of_the_device_do_not_reach_a_modules_socket_and_its_container_does() {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let paths = Paths::under(dir.path()).unwrap();
        // As an earlier version left them.
        let folder = paths.module_folder("a");
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(paths.state(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(paths.sockets(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let workload = Workload {
            shared: SharedState::default(),
            master: master_in(&dir.path().join("keys")),
            trust_bundle: None,
            edge_ca: Arc::default(),
        };
        let mut sockets = ModuleSockets::new(workload, paths.clone());
        sockets.ensure([module("a")].into());
        let socket = folder.join("workload.sock");
        assert_eq!(mode(&paths.sockets()), 0o700);
        // The container's user may be any; its view begins at the module's own folder.
        assert_eq!((mode(&folder), mode(&socket)), (0o755, 0o666));
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let nobody_may_connect = |name: &Path, from: &Path| {
            let mut nobody = std::process::Command::new("test");
            nobody.arg("-w").arg(name).uid(65_534).gid(65_534);
            nobody.stdin(fs::File::open(from).unwrap());
            nobody.status().unwrap().success()
        };
        let root = Path::new("/");
        assert!(nobody_may_connect(&paths.workload_socket(), root));
        assert!(!nobody_may_connect(&socket, root));
        assert!(!nobody_may_connect(&paths.module_socket_link("a"), root));
        // A mount begins at the folder and not above it, and so does an open folder.
        let mounted = Path::new("/dev/stdin/workload.sock");
        assert!(nobody_may_connect(mounted, &folder));
    }

    /// `iotedge config apply` takes certificates in the forms that editors write;
    /// modules get one form.
    #[test]
    fn modules_get_the_trust_bundle_as_pem_in_utf_8() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bundle.pem");
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        let wide: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        let workload = Workload {
            shared: SharedState::default(),
            master: master_in(&dir.path().join("keys")),
            trust_bundle: Some(path.clone()),
            edge_ca: Arc::default(),
        };
        for content in [text.as_bytes(), wide.as_slice()] {
            fs::write(&path, content).unwrap();
            let Ok(Reply::Json(answer)) = workload.trust_bundle() else {
                panic!("it is not handed out")
            };
            assert_eq!(answer["certificate"], text);
        }
    }

    #[tokio::test]
    async fn a_module_signs_for_itself_only_and_stays_reachable() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path()).unwrap();
        let master = master_in(&dir.path().join("keys"));
        let shared = SharedState::default();
        let generation = GenerationId::from_number(3);
        for name in ["a", "b"] {
            shared.cloud_state.send_modify(|cloud_state| {
                drop(
                    cloud_state
                        .identities
                        .insert(module(name), generation.clone()),
                )
            });
        }
        let workload = Workload {
            shared,
            master: master.clone(),
            trust_bundle: None,
            edge_ca: Arc::default(),
        };
        let mut sockets = ModuleSockets::new(workload.clone(), paths.clone());
        sockets.ensure([module("a"), module("b")].into());
        let uri = |path: &Path| format!("unix://{}", path.display());
        let client = |socket: &Path, name: &str| {
            device::Workload::new(&uri(socket), "2018-06-28", module(name), generation.clone())
                .unwrap()
        };
        let own = paths.module_socket_link("a");
        let signed = device::Signer::sign(&client(&own, "a"), b"data")
            .await
            .unwrap();
        let wanted = master
            .sign(&module("a"), &generation, b"data".to_vec())
            .await;
        assert_eq!(signed, wanted.unwrap());
        for (socket, name) in [(&own, "b"), (&paths.workload_socket(), "a")] {
            let error = device::Signer::sign(&client(socket, name), b"data")
                .await
                .unwrap_err();
            assert!(format!("{error:?}").contains("403"), "{error:?}");
        }
        assert_eq!(client(&own, "a").trust_bundle().await.unwrap(), []);
        drop(sockets);
        let mut sockets = ModuleSockets::new(workload, paths);
        sockets.ensure([module("a")].into());
        device::Signer::sign(&client(&own, "a"), b"data")
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_a_module_encrypts_only_it_decrypts() {
        let dir = tempfile::tempdir().unwrap();
        let workload = Workload {
            shared: SharedState::default(),
            master: master_in(dir.path()),
            trust_bundle: None,
            edge_ca: Arc::default(),
        };
        // edgeHub gives a text of 36 characters, others 12 or 16 bytes.
        let vector = STANDARD.encode("6c1f0a6e-7b0a-4e9b-8a45-1f2b7c6d5e4f");
        let request = EncryptRequest {
            plaintext: STANDARD.encode("a secret"),
            initialization_vector: vector.clone(),
        };
        let text = |reply: Result<Reply, Refusal>, name: &str| match reply {
            Ok(Reply::Json(answer)) => Ok(answer[name].as_str().unwrap().to_owned()),
            Ok(_) => panic!("it answers without a body"),
            Err(refused) => Err(refused.status),
        };
        let sealed = workload.encrypt(&module("a"), "1", &request).await;
        let sealed = text(sealed, "ciphertext").unwrap();
        let decrypt = async |name: &str, generation: &str, vector: &str| {
            let request = DecryptRequest {
                ciphertext: sealed.clone(),
                initialization_vector: STANDARD.encode(vector),
            };
            text(
                workload.decrypt(&module(name), generation, &request).await,
                "plaintext",
            )
        };
        let vector = String::from_utf8(STANDARD.decode(vector).unwrap()).unwrap();
        let opened = decrypt("a", "1", &vector).await.unwrap();
        assert_eq!(opened, STANDARD.encode("a secret"));
        for (name, generation, vector) in [
            ("b", "1", vector.as_str()),
            ("a", "2", &vector),
            ("a", "1", "other"),
        ] {
            let refused = decrypt(name, generation, vector).await.unwrap_err();
            assert_eq!(refused, StatusCode::BAD_REQUEST);
        }
    }
}
