//! The distribution's mosquitto, with TLS and the same kind of certificate.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use sim::{Program, until};

/// Starts it on a free port of 127.0.0.1, with `server.pem` and `server.key.pem` of `dir`.
pub async fn start(dir: &Path) -> Result<(Program, SocketAddr)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let files = dir.display();
    // It gives its rights away to `user`, who then could not read the key.
    let configuration = format!(
        "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
         max_connections -1\nmax_queued_messages 0\nset_tcp_nodelay true\n\
         certfile {files}/server.pem\nkeyfile {files}/server.key.pem\n\
         log_dest stderr\nlog_type error\n"
    );
    let file = dir.join("mosquitto.conf");
    std::fs::write(&file, configuration)?;
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(&file);
    let program = Program::start(command, &dir.join("mosquitto.log"))?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listens = || async { TcpStream::connect(address).map(drop).context(program.log()) };
    until("mosquitto", Duration::from_secs(10), listens).await?;
    Ok((program, address))
}
