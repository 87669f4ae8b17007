//! What the agent relies on, tested with each runtime.

mod engine;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use ids::{DeviceId, GenerationId, HubHost};
use serde_json::json;
use wire::edge_api::manifest::AgentDesired;

use super::*;
use crate::config::Network;
use crate::desired::container::{DeviceContext, ModuleInstance, container};

const PATIENCE: Duration = Duration::from_secs(60);

fn device_context(root: &Path) -> DeviceContext {
    DeviceContext {
        root: root.to_owned(),
        name_prefix: format!("edge-test-{}-", std::process::id()),
        network: format!("edge-test-{}", std::process::id()),
        device: DeviceId::parse("d").unwrap(),
        hub: HubHost::parse("localhost").unwrap(),
        elevated_permissions: true,
        agent_env: Vec::new(),
        logging: None,
    }
}

fn spec(root: &Path, image: &str, mark: &str) -> ContainerSpec {
    let folder = root.join("mnt");
    std::fs::create_dir_all(&folder).unwrap();
    let manifest =
        json!({"modules": {"m": {"env": {"MARK": {"value": mark}}, "settings": {"image": image}}}});
    let settings = AgentDesired::parse(&manifest)
        .unwrap()
        .modules
        .pop_first()
        .unwrap()
        .1;
    let instance = ModuleInstance {
        module: &ModuleId::parse("m").unwrap(),
        settings: &settings,
        options: settings.create_options.as_ref().unwrap(),
        generation: &GenerationId::from_number(1),
        folder: &folder,
    };
    container(&device_context(root), &instance)
}

async fn only(runtime: &impl ModuleRuntime) -> Observed {
    let mut found = runtime.list().await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

async fn keeps_its_promises(runtime: &impl ModuleRuntime, root: &Path, image: &str) {
    runtime.prepare().await.unwrap();
    runtime.prepare().await.unwrap();
    refuses_what_is_absent(runtime, root).await;
    runs_a_container(runtime, root, image).await;
}

async fn refuses_what_is_absent(runtime: &impl ModuleRuntime, root: &Path) {
    let module = ModuleId::parse("m").unwrap();
    assert!(!runtime.engine().await.unwrap().version.is_empty());
    assert_eq!(runtime.list().await.unwrap(), []);
    assert!(matches!(
        runtime.start(&module).await,
        Err(RuntimeError::NoContainer(_))
    ));
    assert!(!runtime.has_image("muster-test/absent:1").await.unwrap());
    assert!(matches!(
        runtime
            .create(&spec(root, "muster-test/absent:1", "a"))
            .await,
        Err(RuntimeError::NoImage { .. })
    ));
    assert!(
        runtime
            .pull(
                "localhost:1/muster-test/absent:1",
                None,
                PATIENCE,
                &PullProgress::default()
            )
            .await
            .is_err()
    );
}

async fn runs_a_container(runtime: &impl ModuleRuntime, root: &Path, image: &str) {
    let module = ModuleId::parse("m").unwrap();
    let spec = spec(root, image, "a");
    runtime.create(&spec).await.unwrap();
    let created = only(runtime).await;
    assert_eq!(
        (created.state, created.started),
        (ContainerState::Created, None)
    );
    assert_eq!(created.digest.as_deref(), Some(spec.digest.as_str()));
    assert_eq!(created.image, image);
    assert_eq!(created.module, module);

    runtime.start(&module).await.unwrap();
    runtime.start(&module).await.unwrap();
    let running = only(runtime).await;
    assert_eq!(running.state, ContainerState::Running);
    assert_eq!(running.id, created.id);
    assert!(running.started.is_some());

    let pieces: Vec<Bytes> = {
        let query = LogsQuery {
            follow: false,
            tail: Some(1),
            ..LogsQuery::default()
        };
        runtime
            .logs(&module, &query)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap()
    };
    assert!(
        pieces
            .iter()
            .all(|piece| piece.len() >= 8 && matches!(piece[0], 1 | 2)),
        "{pieces:?}"
    );

    runtime.stop(&module).await.unwrap();
    runtime.stop(&module).await.unwrap();
    assert!(matches!(
        only(runtime).await.state,
        ContainerState::Exited { .. }
    ));
    runtime.remove(&module).await.unwrap();
    runtime.remove(&module).await.unwrap();
    assert_eq!(runtime.list().await.unwrap(), []);
}

#[tokio::test]
async fn the_fake_runtime_conforms() {
    let image = "muster-test/present:1";
    let runtime = FakeRuntime::new([image.to_owned()], crate::clock::now);
    let dir = tempfile::tempdir().unwrap();
    runtime
        .pull(image, None, PATIENCE, &PullProgress::default())
        .await
        .unwrap();
    keeps_its_promises(&runtime, dir.path(), image).await;
}

#[tokio::test]
async fn engine_docker_conforms() {
    let socket = engine_socket();
    let dir = tempfile::tempdir().unwrap();
    let image = "muster-test/sleeper:1";
    import_sleeper(&socket, image, dir.path()).await;
    let network = device_context(dir.path()).network;
    let runtime = Docker::new(DockerOptions {
        socket: socket.clone(),
        root: dir.path().to_owned(),
        network: Network {
            name: network.clone(),
            ..Network::default()
        },
    });
    keeps_its_promises(&runtime, dir.path(), image).await;
    client(&socket).remove_network(&network).await.unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test runner hands its engine over in the environment"
)]
fn engine_socket() -> PathBuf {
    let socket = std::env::var("MUSTER_TEST_ENGINE");
    let socket = socket.expect(
        "MUSTER_TEST_ENGINE names no container engine; run the tests with `cargo xtask test`",
    );
    PathBuf::from(socket.trim_start_matches("unix://"))
}

fn client(socket: &Path) -> bollard::Docker {
    let version = &bollard::ClientVersion {
        major_version: 1,
        minor_version: 41,
    };
    bollard::Docker::connect_with_unix(&socket.to_string_lossy(), 60, version).unwrap()
}

/// An image with one static program that prints a line and sleeps until SIGTERM.
async fn import_sleeper(socket: &Path, image: &str, dir: &Path) {
    let code = "#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
        static void end(int s) { (void)s; _exit(0); }\n\
        int main(void) { signal(SIGTERM, end); puts(\"asleep\"); fflush(stdout); \
        for (;;) pause(); }\n";
    import_program(socket, image, dir, "sleeper", code).await;
}

/// An image with one static program.
async fn import_program(socket: &Path, image: &str, dir: &Path, name: &str, code: &str) {
    let source = dir.join(format!("{name}.c"));
    let program = dir.join(name);
    std::fs::write(&source, code).unwrap();
    let compiled = std::process::Command::new("cc")
        .arg("-static")
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .status()
        .unwrap();
    assert!(compiled.success());
    let (repo, tag) = image.rsplit_once(':').unwrap();
    let options = bollard::query_parameters::CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(repo.to_owned()),
        tag: Some(tag.to_owned()),
        changes: vec![format!("CMD [\"/{name}\"]")],
        ..Default::default()
    };
    let body = bollard::body_full(archive(name, &std::fs::read(&program).unwrap()).into());
    let imported: Vec<_> = client(socket)
        .create_image(Some(options), Some(body), None)
        .try_collect()
        .await
        .unwrap();
    assert!(!imported.is_empty());
}

/// A tar archive of one executable file, mode 0755.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn frames_carry_stream_and_length() {
    let expected: BTreeMap<u8, Vec<u8>> = [
        (1, b"\x01\0\0\0\0\0\0\x02hi".to_vec()),
        (2, b"\x02\0\0\0\0\0\0\0".to_vec()),
    ]
    .into();
    assert_eq!(frame(1, b"hi"), expected[&1]);
    assert_eq!(frame(2, b""), expected[&2]);
}
