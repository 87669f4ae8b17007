use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{Finished, openssl};

/// Where distributions install the library.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
];
const LABEL: &str = "fleet";
const PIN: &str = "tulip-pin-of-the-user";

/// A PKCS#11 token of SoftHSM in a folder of its own, with the label `fleet`.
#[derive(Debug)]
pub struct SoftToken {
    dir: tempfile::TempDir,
}

impl SoftToken {
    pub fn new() -> Result<Self> {
        let token = Self {
            dir: tempfile::tempdir()?,
        };
        let tokens = token.tokens();
        std::fs::create_dir(&tokens)?;
        let configuration = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(token.configuration(), configuration)?;
        std::fs::write(token.pin_file(), format!("{PIN}\n"))?;
        token.softhsm(&[
            "--init-token",
            "--free",
            "--label",
            LABEL,
            "--so-pin",
            "tulip-pin-of-the-officer",
        ])?;
        Ok(token)
    }

    /// A file of the library that reaches it.
    pub fn library() -> Result<PathBuf> {
        let mut all = LIBRARIES.iter().map(PathBuf::from);
        all.find(|path| path.exists())
            .context("these tests need SoftHSM; on Debian: apt-get install softhsm2")
    }

    /// The PIN of its user: a text that nothing else contains.
    #[must_use]
    pub fn pin(&self) -> &'static str {
        PIN
    }

    /// The environment variable that the library reads.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let configuration = self.configuration().display().to_string();
        vec![("SOFTHSM2_CONF".to_owned(), configuration)]
    }

    /// Makes a key with OpenSSL, puts it into the token, and gives its URI. The key stays in the
    /// folder as `NAME.pem`.
    pub fn add_key(&self, name: &str, id: u8, algorithm: &str) -> Result<String> {
        openssl(
            self.folder(),
            &format!("genpkey {algorithm} -out {name}.pem"),
        )?;
        self.import(&self.folder().join(format!("{name}.pem")), name, id)
    }

    /// Puts the key of a PEM file into the token, and gives its URI.
    pub fn import(&self, key: &Path, name: &str, id: u8) -> Result<String> {
        let (file, id) = (key.display().to_string(), format!("{id:02x}"));
        // SoftHSM reads PKCS#8 only.
        let converted = format!("{name}.p8");
        openssl(
            self.folder(),
            &format!("pkcs8 -topk8 -nocrypt -in {file} -out {converted}"),
        )?;
        self.softhsm(&[
            "--import", &converted, "--token", LABEL, "--label", name, "--id", &id,
        ])?;
        Ok(format!("pkcs11:token={LABEL};object={name};id=%{id}"))
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    #[must_use]
    pub fn pin_file(&self) -> PathBuf {
        self.dir.path().join("pin")
    }

    /// Takes the token out.
    pub fn remove(&self) -> Result<()> {
        std::fs::rename(self.tokens(), self.dir.path().join("removed"))?;
        Ok(std::fs::create_dir(self.tokens())?)
    }

    /// Puts the token back.
    pub fn insert(&self) -> Result<()> {
        std::fs::remove_dir_all(self.tokens())?;
        Ok(std::fs::rename(
            self.dir.path().join("removed"),
            self.tokens(),
        )?)
    }

    fn tokens(&self) -> PathBuf {
        self.dir.path().join("tokens")
    }

    fn configuration(&self) -> PathBuf {
        self.dir.path().join("softhsm2.conf")
    }

    fn softhsm(&self, words: &[&str]) -> Result<()> {
        let mut command = Command::new("softhsm2-util");
        let output = command
            .args(words)
            .args(["--pin", PIN])
            .envs(self.environment())
            .current_dir(self.folder())
            .output();
        let finished = Finished::from(output.context("softhsm2-util; apt-get install softhsm2")?);
        ensure!(
            finished.code == Some(0),
            "softhsm2-util {words:?}: {}",
            finished.stderr
        );
        Ok(())
    }
}
