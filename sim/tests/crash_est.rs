//! The server is killed while clients enroll: a user never gets more certificates than it has uses,
//! and every certificate that a client got is listed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::StatusCode;
use sim::Server;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

const USES: usize = 60;
const CLIENTS: usize = 8;
/// A client that gets nothing for so long has failed.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// What clients got: serial numbers.
type Got = Arc<Mutex<BTreeSet<String>>>;

fn request(name: &str) -> Result<String> {
    Ok(wire::est::encode(sim::new_request(name)?.0.der()))
}

/// Enrolls one name after another until the user is spent. Only what a server that is overloaded or
/// killed does is repeated.
async fn enroll(
    number: usize,
    (client, url, password): (reqwest::Client, String, String),
    (got, spent): (Got, Arc<AtomicBool>),
) -> Result<()> {
    let mut since = Instant::now();
    for n in 0.. {
        if spent.load(Ordering::Relaxed) {
            return Ok(());
        }
        let body = request(&format!("press-{number}-{n}"))?;
        let sent = client
            .post(&url)
            .basic_auth("line-1", Some(&password))
            .header("content-type", "application/pkcs10")
            .body(body)
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                // It was killed.
                ensure!(since.elapsed() < LIMIT, "{error:#}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        match response.status() {
            StatusCode::OK => {
                // An answer that is cut off is no certificate.
                let Ok(text) = response.text().await else {
                    continue;
                };
                let issued = pki::read_certs_only(&wire::est::decode(text.as_bytes())?)?;
                let serial = issued.first().context("none")?.serial_hex().to_owned();
                got.lock().await.insert(serial);
                since = Instant::now();
            }
            StatusCode::FORBIDDEN => spent.store(true, Ordering::Relaxed),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                ensure!(since.elapsed() < LIMIT, "{}", response.status());
                tokio::time::sleep(PAUSE).await;
            }
            other => bail!("{other} {}", response.text().await?),
        }
    }
    Ok(())
}

/// Until so many certificates arrived, or no more will. It looks more often than `sim::until`, so
/// that the kill finds the server at work.
async fn wait_for(
    enough: usize,
    (got, spent): (&Got, &AtomicBool),
    clients: &[JoinHandle<Result<()>>],
) {
    // A client that ended before the user was spent has failed; joining it says why.
    let ended = || spent.load(Ordering::Relaxed) || clients.iter().any(JoinHandle::is_finished);
    while got.lock().await.len() < enough && !ended() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn s45_a_user_gets_no_more_than_its_uses_and_nothing_issued_is_lost() -> Result<()> {
    let mut server = Server::start().await?;
    server
        .muster("dps issuer create --issuer-name fleet")
        .await?;
    let create = "dps issuer user create --issuer-name fleet --username line-1 --uses";
    let user = server.muster(&format!("{create} {USES}")).await?;
    let password = user["password"].as_str().context("no password")?.to_owned();
    let url = format!("https://{}/.well-known/est/simpleenroll", server.address());
    let (got, spent) = (Got::default(), Arc::new(AtomicBool::new(false)));
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let with = (server.client()?, url.clone(), password.clone());
        let shared = (got.clone(), spent.clone());
        clients.push(tokio::spawn(enroll(number, with, shared)));
    }
    let mut kills = 0;
    while kills < 3 {
        let enough = (kills + 1) * USES / 5;
        let wait = wait_for(enough, (&got, &spent), &clients);
        let waited = tokio::time::timeout(LIMIT, wait).await;
        waited.with_context(|| format!("{enough} certificates: not within {LIMIT:?}"))?;
        server.kill()?;
        server.start_again().await?;
        kills += 1;
    }
    for client in clients {
        client.await??;
    }
    let list = "dps issuer certificate list --issuer-name fleet --top 1000";
    let listed = server.muster(list).await?;
    let listed: BTreeSet<String> = listed
        .as_array()
        .context("no list")?
        .iter()
        .filter_map(|one| one["serialNumber"].as_str())
        .map(str::to_owned)
        .collect();
    assert_eq!(listed.len(), USES, "as many as the user was made for");
    let got = got.lock().await;
    assert!(got.is_subset(&listed), "{:?}", got.difference(&listed));
    assert!(
        got.len() + CLIENTS * kills >= USES,
        "only {} arrived",
        got.len()
    );
    Ok(())
}
