use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::Rng;

use crate::{Program, until};

/// Where the device daemons look for the endorsement key.
const ENDORSEMENT: &str = "0x81010001";
/// And for the storage root key.
const STORAGE_ROOT: &str = "0x81000001";
/// Where the imported key is kept.
const IMPORTED: &str = "0x81000100";
/// The port that the Microsoft simulator has; the next one is for control.
const PORT: u16 = 2321;
/// Attributes of a storage root key, as every operating system makes it.
const STORAGE_ROOT_ATTRIBUTES: &str =
    "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";

/// Which family the keys of a TPM belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TpmKeys {
    /// RSA-2048, what nearly all devices have.
    Rsa,
    Ecc,
}

/// A TPM 2.0 of its own: swtpm on a loopback address, used through tpm2-tools. It
/// ends with this value.
#[derive(Debug)]
pub struct Tpm {
    program: Program,
    address: Ipv4Addr,
    dir: tempfile::TempDir,
}

/// What is inside the TPM's blob, each with its size in front, as tpm2-tools want it in files.
struct Parts {
    credential: PathBuf,
    private: PathBuf,
    seed: PathBuf,
    public: PathBuf,
}

impl Tpm {
    /// Starts a TPM fresh from the factory.
    pub async fn start() -> Result<Self> {
        Self::with_flags("not-need-init,startup-clear").await
    }

    /// A TPM that waits for its first command, `TPM2_Startup`.
    pub async fn not_started() -> Result<Self> {
        Self::with_flags("not-need-init").await
    }

    async fn with_flags(flags: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("muster-tpm-").tempdir()?;
        let state = dir.path().join("state");
        std::fs::create_dir(&state)?;
        let address = free_address()?;
        let port = |port| format!("type=tcp,port={port},bindaddr={address}");
        let mut command = Command::new("swtpm");
        command
            .args(["socket", "--tpm2", "--flags", flags])
            .args(["--tpmstate", &format!("dir={}", state.display())])
            .args(["--server", &port(PORT), "--ctrl", &port(PORT + 1)]);
        let program = Program::start(command, &dir.path().join("swtpm.log"))
            .context("swtpm; `cargo xtask test` installs it")?;
        let mut tpm = Self {
            program,
            address,
            dir,
        };
        until("swtpm", Duration::from_secs(10), || async {
            TcpStream::connect(SocketAddrV4::new(address, PORT))?;
            Ok(())
        })
        .await?;
        tpm.program.still_runs()?;
        Ok(tpm)
    }

    /// Where it takes raw commands.
    #[must_use]
    pub fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, PORT)
    }

    /// Makes the endorsement key and the storage root key, where devices expect
    /// them; both as `TPM2B_PUBLIC`.
    pub fn make_keys(&self, keys: TpmKeys) -> Result<(Vec<u8>, Vec<u8>)> {
        let (short, long) = match keys {
            TpmKeys::Rsa => ("rsa", "rsa2048"),
            TpmKeys::Ecc => ("ecc", "ecc256"),
        };
        self.tool(
            "createek",
            &["-c", ENDORSEMENT, "-G", short, "-u", "ek.pub"],
        )?;
        self.tool("flushcontext", &["-t"])?;
        let attributes = ["-a", STORAGE_ROOT_ATTRIBUTES];
        let primary = ["-C", "o", "-G", long, "-c", "srk.ctx"];
        self.tool("createprimary", &[&primary[..], &attributes[..]].concat())?;
        self.tool("evictcontrol", &["-C", "o", "-c", "srk.ctx", STORAGE_ROOT])?;
        self.tool("flushcontext", &["-t"])?;
        self.tool("readpublic", &["-c", STORAGE_ROOT, "-o", "srk.pub"])?;
        Ok((self.read("ek.pub")?, self.read("srk.pub")?))
    }

    /// Activates the credential of a blob and imports its key, in the place of an earlier one.
    pub fn import(&self, blob: &[u8]) -> Result<()> {
        let parts = self.split(blob)?;
        self.tool("startauthsession", &["--policy-session", "-S", "policy"])?;
        self.tool("policysecret", &["-S", "policy", "-c", "e"])?;
        let authorization = ["-P", "session:policy"];
        let keys = ["-c", STORAGE_ROOT, "-C", ENDORSEMENT];
        let files = ["-i", text(&parts.credential)?, "-o", "inner"];
        self.tool(
            "activatecredential",
            &[&keys[..], &files[..], &authorization[..]].concat(),
        )?;
        self.tool("flushcontext", &["policy"])?;
        let (private, public) = (text(&parts.private)?, text(&parts.public)?);
        let object = ["-C", STORAGE_ROOT, "-i", private, "-u", public];
        let secrets = ["-k", "inner", "-s", text(&parts.seed)?, "-r", "key.priv"];
        self.tool("import", &[&object[..], &secrets[..]].concat())?;
        let load = ["-C", STORAGE_ROOT, "-r", "key.priv", "-u", public];
        self.tool("load", &[&load[..], &["-c", "key.ctx"]].concat())?;
        // The first time there is nothing to make room for.
        let _ = self.tool("evictcontrol", &["-C", "o", "-c", IMPORTED]);
        self.tool("evictcontrol", &["-C", "o", "-c", "key.ctx", IMPORTED])?;
        self.tool("flushcontext", &["-t"])
    }

    /// HMAC-SHA256 of `data` by the imported key, made inside the TPM.
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>> {
        std::fs::write(self.path("data"), data)?;
        let key = ["-c", IMPORTED, "-g", "sha256"];
        self.tool("hmac", &[&key[..], &["-o", "tag", "data"]].concat())?;
        self.read("tag")
    }

    fn split(&self, blob: &[u8]) -> Result<Parts> {
        let mut rest = blob;
        let mut next = || -> Result<&[u8]> {
            let (length, _) = rest.split_first_chunk().context("the blob ends early")?;
            let length = 2 + usize::from(u16::from_be_bytes(*length));
            let (part, after) = rest.split_at_checked(length).context("a part is cut")?;
            rest = after;
            Ok(part)
        };
        let (identity, secret) = (next()?, next()?);
        // The tool has a file format of its own: a magic number, a version, the two structures.
        let header = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1].as_slice();
        Ok(Parts {
            credential: self.write("credential", &[header, identity, secret].concat())?,
            private: self.write("private", next()?)?,
            seed: self.write("seed", next()?)?,
            public: self.write("public", next()?)?,
        })
    }

    /// How programs reach it: the value of `tpm.tcti`.
    #[must_use]
    pub fn tcti(&self) -> String {
        format!("swtpm:host={},port={PORT}", self.address)
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        self.program.kill()
    }

    /// Runs one of the tpm2-tools in this TPM's folder.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> Result<()> {
        self.output(name, arguments).map(drop)
    }

    /// What one of the tpm2-tools prints.
    pub fn output(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let output = Command::new(format!("tpm2_{name}"))
            .args(arguments)
            .env("TPM2TOOLS_TCTI", self.tcti())
            .current_dir(self.dir.path())
            .output()
            .with_context(|| format!("tpm2_{name}; `cargo xtask test` installs tpm2-tools"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tpm2_{name} {arguments:?}: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A file in the folder in which the tools run.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        std::fs::read(self.path(name)).with_context(|| format!("no {name}"))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not text")
}

/// A loopback address on which nobody has the ports of a TPM. Drawn, because tests run in parallel.
fn free_address() -> Result<Ipv4Addr> {
    let mut random = rand::rng();
    let mut draw = || {
        let (net, host) = (random.random_range(1..=254), random.random_range(1..=254));
        Ipv4Addr::new(127, net, random.random(), host)
    };
    let is_free = |address: &Ipv4Addr| {
        [PORT, PORT + 1]
            .iter()
            .all(|port| TcpListener::bind(SocketAddrV4::new(*address, *port)).is_ok())
    };
    (0..100)
        .map(|_| draw())
        .find(is_free)
        .context("no loopback address has the ports of a TPM free")
}
