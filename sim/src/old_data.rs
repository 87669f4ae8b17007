use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{Finished, Server, Webhook, Workshop};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
/// Records of every age are kept: the fixtures grow old.
const CONFIGURATION: &str = "[refusals]\nkeep_days = 100000\n";

/// A data directory that an earlier program wrote and left by `kill -9`, unpacked, with what
/// that program answered. `sim/tests/fixtures/README.md` says what is in it.
///
/// Its host names are addresses, so that only one test at a time can have it.
#[derive(Debug)]
pub struct OldData {
    folder: Arc<tempfile::TempDir>,
    answers: Value,
    _alone: File,
}

impl OldData {
    /// The programs that wrote one, by their commits.
    pub const WRITERS: [&str; 2] = ["0ceb108", "c659243"];

    /// Unpacks the directory that the program of a commit wrote, once no other test has it.
    pub fn written_by(commit: &str) -> Result<Self> {
        let archive = PathBuf::from(format!("{FIXTURES}/data_of_{commit}.tar.gz"));
        let alone = File::open(&archive)?;
        alone.lock()?;
        let folder = tempfile::Builder::new().prefix("muster-old-").tempdir()?;
        let mut tar = Command::new("tar");
        tar.arg("-xpzf").arg(&archive).arg("-C").arg(folder.path());
        let output = tar.output().context("running tar")?;
        ensure!(output.status.success(), "{:?}", Finished::from(output));
        std::fs::write(folder.path().join("muster.toml"), CONFIGURATION)?;
        let answers = std::fs::read_to_string(archive.with_extension("").with_extension("json"))?;
        let root = folder.path().to_string_lossy();
        let answers = serde_json::from_str(&answers.replace("{root}", &root))?;
        Ok(Self {
            folder: Arc::new(folder),
            answers,
            _alone: alone,
        })
    }

    /// Starts today's server on it, which trusts the hub of the remote server.
    pub async fn open(&self) -> Result<Server> {
        let ca = self.path("keys/remote-ca.pem");
        let flags = [
            "--outbound-ca".to_owned(),
            ca.to_string_lossy().into_owned(),
        ];
        self.start("main", "address", flags.into()).await
    }

    /// Starts today's server on the data directory of the remote hub.
    pub async fn open_remote(&self) -> Result<Server> {
        self.start("remote", "remote", Vec::new()).await
    }

    async fn start(&self, name: &str, fact: &str, mut flags: Vec<String>) -> Result<Server> {
        let address: Ipv4Addr = self.fact(&format!("/{fact}"))?.parse()?;
        let configuration = self.path("muster.toml").to_string_lossy().into_owned();
        flags.extend(["--config".to_owned(), configuration]);
        Server::start_on(address, self.path(name), self.folder.clone(), flags.into()).await
    }

    /// The webhook that its registrations wait for. It keeps them waiting.
    pub async fn webhook(&self) -> Result<Webhook> {
        let address: SocketAddr = self.fact("/webhook")?.parse()?;
        Webhook::start_at(address).await
    }

    /// The folder in which the certificates of an enrollment were made.
    #[must_use]
    pub fn workshop(&self, name: &str) -> Workshop {
        Workshop::at(self.path("keys").join(name), self.folder.clone())
    }

    /// A file that was kept beside the data directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One text of what is known about it.
    pub fn fact(&self, pointer: &str) -> Result<&str> {
        let fact = self.answers["facts"].pointer(pointer);
        let fact = fact.and_then(Value::as_str);
        fact.with_context(|| format!("no fact {pointer}"))
    }

    /// How many events its log has.
    pub fn events(&self) -> Result<u64> {
        self.answers["facts"]["events"]
            .as_u64()
            .context("no events")
    }

    /// The commands that the earlier program was given, and what it answered.
    pub fn commands(&self) -> Result<Vec<(&str, &Value)>> {
        let commands = self.answers["commands"].as_array().context("no commands")?;
        let all = commands.iter().map(|asked| {
            let line = asked["command"].as_str().context("no command")?;
            Ok((line, &asked["answer"]))
        });
        all.collect()
    }

    /// What the earlier program answered to a command.
    pub fn answer(&self, line: &str) -> Result<&Value> {
        let commands = self.commands()?;
        let mut found = commands.iter().filter(|(asked, _)| *asked == line);
        let (_, answer) = found
            .next()
            .with_context(|| format!("never asked: {line}"))?;
        Ok(answer)
    }

    /// Requests of operators and what was answered.
    pub fn requests(&self) -> Result<&[Value]> {
        let requests = self.answers["requests"].as_array();
        Ok(requests.context("no requests")?)
    }

    /// The folder that everything is in.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.path()
    }
}
