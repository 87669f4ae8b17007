use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use pki::{CaHashes, Issuer, OcspAnswer, OcspHash, OcspRequest, OcspStatus, build_ocsp_response};
use serde_json::json;
use sim::measure::{Rows, Usage};
use sim::{Server, issue_certificate, openssl, plain_client};

use crate::NOW;

const CLIENTS: usize = 8;
/// How often a thing is done that takes microseconds.
const TIMES: u32 = 20_000;

/// A bare signature, microseconds: the floor of everything that is signed.
pub(crate) fn signature(rows: &mut Rows) -> Result<f64> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
    let (random, message) = (SystemRandom::new(), [7; 200]);
    let micros = each(|| {
        black_box(key.sign(&random, &message)?);
        Ok(())
    })?;
    add(rows, "a bare signature", micros, micros);
    Ok(micros)
}

/// A request with a nonce is read, and its answer is signed.
pub(crate) fn signed_anew(issuer: &Issuer, signature: f64, rows: &mut Rows) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let hashes = CaHashes::of(issuer.certificate());
    std::fs::write(dir.path().join("ca.pem"), issuer.certificate().to_pem())?;
    let request = "ocsp -issuer ca.pem -serial 0x4142434445464748 -nonce -reqout request.der";
    openssl(dir.path(), request)?;
    let request = std::fs::read(dir.path().join("request.der"))?;
    let micros = each(|| {
        let request = OcspRequest::read(&request)?;
        let answers: Vec<_> = request
            .ids
            .iter()
            .filter(|id| hashes.name(id))
            .map(|id| OcspAnswer {
                cert_id: id.der(),
                status: OcspStatus::Good,
                this_update: NOW,
                next_update: None,
            })
            .collect();
        ensure!(answers.len() == 1 && request.ids[0].hash == Some(OcspHash::Sha1));
        black_box(build_ocsp_response(issuer, &answers, request.nonce, NOW)?);
        Ok(())
    })?;
    add(
        rows,
        "an OCSP answer that is signed anew",
        micros,
        signature,
    );
    Ok(())
}

fn each(mut act: impl FnMut() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    for _ in 0..TIMES {
        act()?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES))
}

fn add(rows: &mut Rows, title: &str, micros: f64, signature: f64) {
    let (rate, ratio) = (1e6 / micros, micros / signature);
    let json = json!({"micros": micros, "perSecond": rate, "signatures": ratio});
    rows.add(title, vec![micros, rate, ratio, 0.0], json);
}

/// Answers of a server that were signed before, asked for over plain HTTP.
pub(crate) async fn over_http(seconds: u64, signature: f64, rows: &mut Rows) -> Result<()> {
    let flags = ["--pki-http-port", "80"].map(str::to_owned);
    let server = Server::start_with(flags.to_vec()).await?;
    let dir = tempfile::tempdir()?;
    issue_certificate(&server, "press-7", dir.path()).await?;
    let request = "ocsp -issuer ca.pem -cert leaf.pem -no_nonce -reqout request.der";
    openssl(dir.path(), request)?;
    let request = std::fs::read(dir.path().join("request.der"))?;
    let url = format!("http://{}/pki/fleet/ocsp", server.host());
    let answered = Arc::new(AtomicU64::new(0));
    let (before, begun) = (Usage::of(server.process_id())?, Instant::now());
    let until = begun + Duration::from_secs(seconds);
    let clients = (0..CLIENTS).map(|_| {
        let (url, request, answered) = (url.clone(), request.clone(), answered.clone());
        tokio::spawn(async move { ask(&url, &request, until, &answered).await })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await??;
    }
    let used = Usage::of(server.process_id())?.since(before);
    let answers = answered.load(Ordering::Relaxed) as f64;
    let micros = used.cpu_micros / answers;
    let (rate, ratio) = (answers / begun.elapsed().as_secs_f64(), micros / signature);
    let json = json!({"cpuMicros": micros, "perSecond": rate, "signatures": ratio});
    let title = "an OCSP answer of a server, pre-signed";
    rows.add(title, vec![micros, rate, ratio, 0.0], json);
    Ok(())
}

async fn ask(url: &str, request: &[u8], until: Instant, answered: &AtomicU64) -> Result<()> {
    let client = plain_client()?;
    while Instant::now() < until {
        let response = client.post(url).body(request.to_vec()).send().await?;
        let answer = response.bytes().await?;
        // responseStatus successful.
        let status = answer.get(4..7).context("a short answer")?;
        ensure!(status == [10, 1, 0], "{answer:?}");
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
