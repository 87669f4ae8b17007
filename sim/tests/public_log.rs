//! The log of issued certificates as an auditor sees it who has no rights: fetched from time to time,
//! verified without a network, and found out when it was altered.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::Certificate;
use reqwest::Client;
use serde_json::Value;
use sim::{Finished, Server, binary, certs_only, new_request, run};

/// A server whose issuer `fleet` gives a production line certificates.
struct Factory {
    server: Server,
    http: Client,
    password: String,
    ca: Certificate,
    dir: tempfile::TempDir,
}

impl Factory {
    async fn start() -> Result<Self> {
        let server = Server::start().await?;
        let create = "dps issuer create --issuer-name fleet";
        let issuer = server.muster(create).await?;
        let create = "dps issuer user create --issuer-name fleet --username line-1";
        let user = server.muster(create).await?;
        let pem = issuer["certificate"].as_str().context("no CA")?;
        Ok(Self {
            http: server.client()?,
            password: user["password"].as_str().context("no password")?.to_owned(),
            ca: Certificate::parse_one(pem.as_bytes())?,
            server,
            dir: tempfile::tempdir()?,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}/{path}", self.server.address())
    }

    /// Has certificates issued; the last one, with its CA, as a file.
    async fn issue(&self, names: impl Iterator<Item = String>) -> Result<PathBuf> {
        let mut last = None;
        for name in names {
            let (request, _) = new_request(&name)?;
            let enroll = self.http.post(self.url(".well-known/est/simpleenroll"));
            let enroll = enroll
                .basic_auth("line-1", Some(&self.password))
                .header("content-type", "application/pkcs10")
                .body(STANDARD.encode(request.der()));
            last = certs_only(enroll).await?.into_iter().next();
        }
        let chain = last.context("none")?.to_pem() + &self.ca.to_pem();
        let path = self.dir.path().join("last.pem");
        std::fs::write(&path, chain)?;
        Ok(path)
    }

    /// `muster ca log-fetch` as somebody who has the server's CA certificate and nothing else.
    fn fetch(&self, log: &str) -> Result<Finished> {
        let (url, ca) = (self.url("pki/fleet/log"), self.server.ca()?);
        let log = self.dir.path().join(log);
        let words = ["ca", "log-fetch", "--url", &url, "--log"].map(str::to_owned);
        let mut words = words.to_vec();
        words.push(text(&log));
        words.push("--server-ca".to_owned());
        words.push(text(&ca));
        run(&binary("muster")?, words)
    }

    fn verify(&self, log: &Path, more: &[&str]) -> Result<Finished> {
        let words = ["ca", "log-verify", "--log"].map(str::to_owned).to_vec();
        let more = more.iter().map(|word| (*word).to_owned());
        let words = words.into_iter().chain([text(log)]).chain(more);
        run(&binary("muster")?, words)
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn names(from: usize, to: usize) -> impl Iterator<Item = String> {
    (from..to).map(|number| format!("press-{number}"))
}

fn refused(finished: &Finished, wanted: &str) -> Result<()> {
    ensure!(finished.code == Some(1), "{finished:?}");
    ensure!(finished.stderr.contains(wanted), "{}", finished.stderr);
    Ok(())
}

#[tokio::test]
async fn an_auditor_without_rights_copies_the_log_and_finds_every_certificate_in_it() -> Result<()>
{
    let mut factory = Factory::start().await?;
    let first = factory.issue(names(0, 3)).await?;
    let first = std::fs::read(&first)?;
    let fetched = factory.fetch("log")?.json()?;
    assert_eq!(fetched["size"], 3, "{fetched}");
    assert_eq!(fetched["earlierSize"], Value::Null);
    let operators = factory
        .server
        .muster("dps issuer log show --issuer-name fleet")
        .await?;
    assert_eq!(fetched["publicKey"], operators["publicKey"]);

    // Beyond a whole tile, and after a crash.
    let last = factory.issue(names(3, 270)).await?;
    factory.server.kill()?;
    factory.server.start_again().await?;
    let fetched = factory.fetch("log")?.json()?;
    assert_eq!(
        (&fetched["size"], &fetched["earlierSize"]),
        (&270.into(), &3.into())
    );
    // Again, when nothing is new.
    assert_eq!(factory.fetch("log")?.json()?["size"], 270);

    // The rest needs no server.
    factory.server.kill()?;
    let log = factory.dir.path().join("log");
    let verified = factory
        .verify(&log, &["--certificate", &text(&last)])?
        .json()?;
    assert_eq!(
        (&verified["index"], &verified["size"]),
        (&269.into(), &270.into())
    );
    assert_eq!(verified["earlierSize"], 3);
    let path = factory.dir.path().join("first.pem");
    std::fs::write(&path, first)?;
    let verified = factory
        .verify(&log, &["--certificate", &text(&path)])?
        .json()?;
    assert_eq!(verified["index"], 2);
    // The CA's own certificate is in no entry.
    let ca = factory.dir.path().join("ca.pem");
    std::fs::write(&ca, factory.ca.to_pem().repeat(2))?;
    let absent = factory.verify(&log, &["--certificate", &text(&ca)])?;
    refused(&absent, "is not among the 270 certificates")?;

    // One bit of one hash.
    let tile = log.join("tile/0/000");
    let mut bytes = std::fs::read(&tile)?;
    bytes[100] ^= 1;
    std::fs::write(&tile, bytes)?;
    refused(&factory.verify(&log, &[])?, "a file was altered")
}

#[tokio::test]
async fn a_log_that_was_rewritten_or_cut_is_found_out() -> Result<()> {
    let mut factory = Factory::start().await?;
    factory.issue(names(0, 5)).await?;
    factory.fetch("log")?.ok()?;
    // The server goes back to a backup in which certificates are missing.
    factory.server.kill()?;
    let backup = factory.dir.path().join("backup");
    copy(factory.server.data_dir(), &backup)?;
    factory.server.start_again().await?;
    factory.issue(names(5, 9)).await?;
    factory.fetch("log")?.ok()?;
    factory.server.kill()?;
    copy(&backup, factory.server.data_dir())?;
    factory.server.start_again().await?;
    refused(
        &factory.fetch("log")?,
        "has 5 certificates and had 9 before",
    )?;
    // It issues others in their place.
    factory.issue(names(100, 106)).await?;
    let rewritten = factory.fetch("log")?;
    refused(&rewritten, "of the log is another one than before")?;
    // What was copied stays good.
    let log = factory.dir.path().join("log");
    let verified = factory.verify(&log, &[])?.json()?;
    assert_eq!(verified["size"], 9);
    // Somebody who asks for the first time cannot know.
    assert_eq!(factory.fetch("other")?.json()?["size"], 11);
    Ok(())
}

/// Copies the files of a data directory over those of another one.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to)?;
    let output = std::process::Command::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_published_names_no_device_and_can_be_turned_off() -> Result<()> {
    let mut factory = Factory::start().await?;
    factory.issue(names(0, 2)).await?;
    let get = async |factory: &Factory, path: &str| -> Result<(u16, Vec<u8>)> {
        let answer = factory.http.get(factory.url(path)).send().await?;
        Ok((answer.status().as_u16(), answer.bytes().await?.to_vec()))
    };
    for (path, length) in [
        ("pki/fleet/log/checkpoint", None),
        ("pki/fleet/log/key", None),
        ("pki/fleet/log/tile/0/000.p/2", Some(64)),
        ("pki/fleet/log/tile/0/000.p/1", Some(32)),
    ] {
        let (status, body) = get(&factory, path).await?;
        ensure!(status == 200, "{path}: {status}");
        ensure!(length.is_none_or(|length| body.len() == length), "{path}");
        let text = String::from_utf8_lossy(&body);
        ensure!(!text.contains("press"), "{path}: {text}");
    }
    for absent in [
        "pki/fleet/log",
        "pki/fleet/log/tile/0/000",
        "pki/fleet/log/tile/0/000.p/3",
        "pki/fleet/log/tile/1/000.p/1",
        "pki/fleet/log/tile/entries/000.p/2",
        "pki/other/log/checkpoint",
    ] {
        assert_eq!(get(&factory, absent).await?.0, 404, "{absent}");
    }
    let config = factory.dir.path().join("muster.toml");
    std::fs::write(&config, "publish_certificate_logs = false\n")?;
    factory.server.terminate()?;
    let flags = &mut factory.server.settings_mut().flags;
    flags.extend(["--config".to_owned(), text(&config)]);
    factory.server.start_again().await?;
    assert_eq!(get(&factory, "pki/fleet/log/checkpoint").await?.0, 404);
    assert_eq!(get(&factory, "pki/fleet/ca").await?.0, 200);
    Ok(())
}
