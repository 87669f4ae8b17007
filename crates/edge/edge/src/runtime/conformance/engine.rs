//! What only a real engine can tell: what reaches it, and what it makes of it.

use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A device on the engine of the tests, whose containers and network go with it.
struct Bench {
    socket: PathBuf,
    dir: tempfile::TempDir,
    runtime: Docker,
    module: ModuleId,
}

const IMAGE: &str = "muster-test/stubborn:1";

impl Bench {
    async fn new() -> Self {
        let socket = engine_socket();
        let dir = tempfile::tempdir().unwrap();
        // Whether it ends on SIGTERM is in its arguments.
        let code = "#include <signal.h>\n#include <stdio.h>\n#include <unistd.h>\n\
            static void end(int s) { (void)s; _exit(0); }\n\
            int main(int n, char **v) { (void)v; if (n == 1) signal(SIGTERM, end); \
            puts(\"awake\"); fflush(stdout); for (;;) pause(); }\n";
        import_program(&socket, IMAGE, dir.path(), "stubborn", code).await;
        let runtime = Docker::new(DockerOptions {
            socket: socket.clone(),
            root: dir.path().to_owned(),
            network: Network {
                name: "none".to_owned(),
                ..Network::default()
            },
        });
        Self {
            socket,
            dir,
            runtime,
            module: ModuleId::parse("sensor:1").unwrap(),
        }
    }

    fn spec(&self, options: &Value) -> ContainerSpec {
        let folder = self.dir.path().join("mnt/sensor:1");
        std::fs::create_dir_all(&folder).unwrap();
        let mut options = options.clone();
        let host = if options["hostConfig"].is_object() {
            "hostConfig"
        } else {
            "HostConfig"
        };
        options[host]["NetworkMode"] = json!("none");
        let settings = json!({"image": IMAGE, "createOptions": options.to_string()});
        let manifest = json!({"modules": {"sensor:1": {"settings": settings}}});
        let mut desired = AgentDesired::parse(&manifest).unwrap();
        let (module, settings) = desired.modules.pop_first().unwrap();
        let generation = GenerationId::from_number(1);
        let device_context = DeviceContext {
            name_prefix: format!(
                "{}-",
                self.dir
                    .path()
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .trim_start_matches('.')
            ),
            ..device_context(self.dir.path())
        };
        let instance = ModuleInstance {
            module: &module,
            settings: &settings,
            options: settings.create_options.as_ref().unwrap(),
            generation: &generation,
            folder: &folder,
        };
        container(&device_context, &instance)
    }

    async fn create(&self, options: &Value) -> Value {
        self.runtime.create(&self.spec(options)).await.unwrap();
        self.inspect().await
    }

    /// The engine's own words; the client's types lack members.
    async fn inspect(&self) -> Value {
        let id = only(&self.runtime).await.id;
        let mut stream = crate::local_api::unix_socket::connect(&self.socket)
            .await
            .unwrap();
        let request = format!("GET /containers/{id}/json HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    async fn end(self) {
        for found in self.runtime.list().await.unwrap() {
            self.runtime.remove(&found.module).await.unwrap();
        }
    }
}

/// Members of a container and of its HostConfig, in odd letter case and with related types.
const ODD: &str = r#"{
    "hostname": "h", "DOMAINNAME": "d.example", "user": 1000, "tty": "true", "openStdin": true,
    "workingDir": "/w",
    "labels": {"MyLabel": 5}, "stopSignal": "SIGINT", "stoptimeout": "33",
    "entrypoint": "/stubborn", "cmd": ["on"],
    "healthcheck": {"test": ["CMD", "x"], "interval": 1000000000, "retries": 4},
    "exposedPorts": {"80/tcp": {}},
    "volumes": {"/v": {}}, "macAddress": "02:42:ac:11:00:09",
    "hostConfig": {
        "privileged": "true", "memory": 67108864, "cpuShares": 512, "capAdd": ["NET_ADMIN"],
        "capdrop": "KILL",
        "readonlyRootFS": true, "dns": ["192.0.2.1"], "extraHosts": ["a:192.0.2.2"],
        "groupAdd": ["5"],
        "ipcMode": "private", "pidmode": "host", "oomScoreAdj": 100,
        "securityOpt": ["no-new-privileges"],
        "shmSize": 1048576, "sysctls": {"net.ipv4.ip_forward": 1}, "tmpFS": {"/t": "size=1m"},
        "init": false,
        "ulimits": [{"name": "nofile", "soft": 10, "hard": 20}], "pidsLimit": 7,
        "binds": ["/tmp:/host:ro"],
        "portBindings": {"80/tcp": [{"hostPort": 8080}]}, "logconfig": {"type": "json-file",
        "config": {"max-size": "3m"}},
        "devices": [{"pathOnHost": "/dev/null", "pathInContainer": "/dev/x",
        "cgroupPermissions": "r"}]
    }}"#;

/// The same members in an answer of the engine.
const CONFIG_ANSWER: &str = r#"{
    "Hostname": "h", "Domainname": "d.example", "User": "1000", "Tty": true, "OpenStdin": true,
    "WorkingDir": "/w",
    "StopSignal": "SIGINT", "StopTimeout": 33, "Entrypoint": ["/stubborn"], "Cmd": ["on"],
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/v": {}}, "MacAddress": "02:42:ac:11:00:09"}"#;
const HOST_ANSWER: &str = r#"{
    "Privileged": true, "Memory": 67108864, "CpuShares": 512, "ReadonlyRootfs": true,
    "Dns": ["192.0.2.1"],
    "ExtraHosts": ["a:192.0.2.2"], "GroupAdd": ["5"], "IpcMode": "private", "PidMode": "host",
    "OomScoreAdj": 100,
    "ShmSize": 1048576, "Sysctls": {"net.ipv4.ip_forward": "1"},
    "Tmpfs": {"/t": "size=1m"}, "Init": false, "PidsLimit": 7, "Binds": ["/tmp:/host:ro"],
    "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
    "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x",
    "CgroupPermissions": "r"}],
    "LogConfig": {"Type": "json-file", "Config": {"max-size": "3m"}},
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}"#;

/// D2, D4: what the deployment says in odd case and of kin kinds is what the engine
/// says that it has.
#[tokio::test]
async fn engine_members_in_odd_case_reach_it() {
    let bench = Bench::new().await;
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let found = bench.create(&parse(ODD)).await;
    let config = &found["Config"];
    for (name, value) in parse(CONFIG_ANSWER).as_object().unwrap() {
        // Newer engines have it in another place.
        let moved = name == "MacAddress" && config.get(name).is_none();
        assert!(moved || config[name] == *value, "{name}: {}", config[name]);
    }
    assert_eq!(config["Labels"]["MyLabel"], "5");
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", "x"]));
    assert_eq!(config["Healthcheck"]["Retries"], 4);
    let host = &found["HostConfig"];
    for (name, value) in parse(HOST_ANSWER).as_object().unwrap() {
        assert_eq!(host[name], *value, "{name}");
    }
    for (name, capability) in [("CapAdd", "NET_ADMIN"), ("CapDrop", "KILL")] {
        let found = host[name][0].as_str().unwrap_or_default();
        assert!(found.ends_with(capability), "{}", host[name]);
    }
    // The engine adds to it.
    assert_eq!(host["SecurityOpt"][0], "no-new-privileges");
    assert_eq!(host["Ulimits"][0]["Soft"], 10);
    bench.end().await;
}

/// D15, D11: a module with a colon in its name sees its sockets and those that are mounted among
/// them; its log is bounded.
#[tokio::test]
async fn engine_sockets_are_mounted_side_by_side() {
    let bench = Bench::new().await;
    let management = bench.dir.path().join("mgmt.sock");
    std::fs::write(&management, "").unwrap();
    let bind = format!("{}:/var/run/iotedge/mgmt.sock", management.display());
    let options = json!({"HostConfig": {"Binds": [bind]}});
    let spec = bench.spec(&options);
    let device_context = bench
        .dir
        .path()
        .join("mnt/sensor:1")
        .join(&spec.mountpoints[0].inside);
    std::fs::write(device_context, "").unwrap();
    for _ in 0..2 {
        let found = bench.create(&options).await;
        bench.runtime.start(&bench.module).await.unwrap();
        assert_eq!(only(&bench.runtime).await.state, ContainerState::Running);
        let mounts = found["Mounts"].as_array().unwrap();
        let mount = mounts
            .iter()
            .find(|m| m["Destination"] == "/var/run/iotedge")
            .unwrap();
        assert_eq!(mount["RW"], false);
        let log = &found["HostConfig"]["LogConfig"];
        if log["Type"] == "json-file" {
            assert!(log["Config"]["max-size"].is_string(), "{log}");
        }
        bench.runtime.remove(&bench.module).await.unwrap();
    }
    bench.end().await;
}

/// D5: the time that the container was created with, and not ten seconds.
#[tokio::test]
async fn engine_a_module_gets_its_own_time_to_end() {
    let bench = Bench::new().await;
    bench
        .create(&json!({"Entrypoint": ["/stubborn", "deaf"], "StopTimeout": 13}))
        .await;
    bench.runtime.start(&bench.module).await.unwrap();
    let began = Instant::now();
    bench.runtime.stop(&bench.module).await.unwrap();
    let took = began.elapsed();
    assert!(
        (Duration::from_secs(12)..Duration::from_secs(60)).contains(&took),
        "{took:?}"
    );
    assert!(matches!(
        only(&bench.runtime).await.state,
        ContainerState::Exited { code: 137, .. }
    ));
    bench.end().await;
}

/// D1: who ended a container's run.
#[tokio::test]
async fn engine_it_knows_who_ended_a_container() {
    let bench = Bench::new().await;
    bench.create(&json!({"Entrypoint": ["/stubborn"]})).await;
    bench.runtime.start(&bench.module).await.unwrap();
    bench.runtime.stop(&bench.module).await.unwrap();
    let found = only(&bench.runtime).await;
    assert!(
        matches!(found.state, ContainerState::Exited { code: 0, .. }),
        "{found:?}"
    );
    assert_eq!(
        bench.runtime.ended_by(&found).await.unwrap(),
        EndedBy::Request
    );
    // A signal from inside, or from the host, is no request to the engine.
    bench.runtime.start(&bench.module).await.unwrap();
    let pid = bench.inspect().await["State"]["Pid"].as_i64().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    let found = loop {
        // The program may not have its handler yet, and the first process of a container ignores
        // signals without one. It may also have ended.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let found = only(&bench.runtime).await;
        match found.state {
            ContainerState::Exited { .. } => break found,
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    assert_eq!(
        bench.runtime.ended_by(&found).await.unwrap(),
        EndedBy::Itself
    );
    bench.end().await;
}

/// D16: a health check that fails is seen, and ends with a restart.
#[tokio::test]
async fn engine_a_module_whose_health_check_fails_is_unhealthy() {
    let bench = Bench::new().await;
    let check = json!({"Test": ["CMD", "/missing"], "Interval": 1_000_000_000, "Retries": 1});
    bench
        .create(&json!({"Entrypoint": ["/stubborn"], "Healthcheck": check}))
        .await;
    bench.runtime.start(&bench.module).await.unwrap();
    assert!(!only(&bench.runtime).await.unhealthy);
    let seen = async {
        while !only(&bench.runtime).await.unhealthy {
            let changed = bench.runtime.changed();
            let _ = tokio::time::timeout(Duration::from_millis(500), changed).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen)
        .await
        .unwrap();
    bench.runtime.restart(&bench.module).await.unwrap();
    let restarted = only(&bench.runtime).await;
    assert_eq!(restarted.state, ContainerState::Running);
    assert!(!restarted.unhealthy);
    bench.end().await;
}
