use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use ids::GenerationId;
use wire::edge_api::local::{DecryptRequest, EncryptRequest};

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
        device::Workload::new(&uri(socket), "2018-06-28", module(name), generation.clone()).unwrap()
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
    let shared = SharedState::default();
    for (name, generation) in [("a", 11), ("b", 11), ("a1", 1)] {
        let generation = GenerationId::from_number(generation);
        shared.cloud_state.send_modify(|cloud_state| {
            drop(cloud_state.identities.insert(module(name), generation));
        });
    }
    let workload = Workload {
        shared,
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
    let sealed = workload.encrypt(&module("a"), "11", &request).await;
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
    let opened = decrypt("a", "11", &vector).await.unwrap();
    assert_eq!(opened, STANDARD.encode("a secret"));
    for (name, generation, vector) in [
        ("b", "11", vector.as_str()),
        ("a", "12", &vector),
        ("a", "11", "other"),
        // Whose id and generation make the same text.
        ("a1", "1", &vector),
    ] {
        let refused = decrypt(name, generation, vector).await.unwrap_err();
        assert_eq!(refused, StatusCode::BAD_REQUEST);
    }
    let refused = decrypt("c", "11", &vector).await.unwrap_err();
    assert_eq!(refused, StatusCode::NOT_FOUND);
    let refused = workload.encrypt(&module("a"), "12", &request).await;
    assert_eq!(
        text(refused, "ciphertext").unwrap_err(),
        StatusCode::BAD_REQUEST
    );
}
