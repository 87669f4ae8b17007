//! `muster ca sign` next to the OpenSSL command line, which the scripts of Azure's tutorial call
//! three times for each device.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sim::{Workshop, openssl, write_request};

use crate::report::{Baseline, Row};

const REQUESTS: usize = 20_000;
/// Enough for a median; one takes a tenth of a second and more.
const OPENSSL_DEVICES: usize = 15;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let (signed, issued) = muster()?;
    let scripts = Scripts::prepare()?;
    let rsa = scripts.median("genrsa -out private/K.key.pem 2048")?;
    let ec = scripts.median("ecparam -genkey -name prime256v1 -noout -out private/K.key.pem")?;
    let row = |what: &str, value, baseline| Row {
        what: what.to_owned(),
        unit: "us/certificate",
        value,
        baseline,
    };
    let next_to = |what, baseline: f64, value, aim| {
        let ratio = baseline / value;
        Some(Baseline { what, ratio, aim })
    };
    let (sign, issue) = (
        "muster ca sign, from requests, files included",
        "muster ca issue device, new keys, files included",
    );
    let aim = Some(500.0);
    Ok(vec![
        row("openssl genrsa, req, ca (as the demo scripts)", rsa, None),
        row("openssl ecparam, req, ca (a P-256 key)", ec, None),
        row(sign, signed, next_to("the demo scripts", rsa, signed, aim)),
        row(
            sign,
            signed,
            next_to("OpenSSL with P-256", ec, signed, None),
        ),
        row(issue, issued, next_to("the demo scripts", rsa, issued, aim)),
    ])
}

/// Microseconds for a certificate from a request, and for one with a new key.
fn muster() -> Result<(f64, f64)> {
    let workshop = Workshop::with_muster_ca()?;
    let requests = workshop.path().join("requests");
    std::fs::create_dir(&requests)?;
    for number in 1..=REQUESTS {
        let name = format!("device-{number:06}");
        write_request(&requests.join(format!("{name}.csr")), &name)?;
    }
    let signed = per_certificate(REQUESTS, || {
        let csr = requests.display();
        let out = workshop.path().join("signed");
        let answer = workshop.ca(&format!("sign --csr {csr} --out {}", out.display()))?;
        let answer = answer.json()?;
        ensure!(answer["signed"] == REQUESTS, "{answer}");
        Ok(())
    })?;
    let issued = per_certificate(REQUESTS, || {
        let issue = format!("issue device --count {REQUESTS} --prefix own");
        workshop.ca(&issue)?.ok()?;
        Ok(())
    })?;
    Ok((signed, issued))
}

/// Microseconds of wall time.
fn per_certificate(count: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64() * 1e6 / count as f64)
}

/// A hierarchy and a configuration as the scripts have them.
struct Scripts {
    folder: tempfile::TempDir,
}

const CONFIG: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=newcerts\n\
    serial=serial\ndefault_md=sha256\npolicy=p\nunique_subject=no\nemail_in_dn=no\n\
    certificate=ca.pem\nprivate_key=ca.key\n[p]\ncommonName=supplied\n\
    [req]\ndistinguished_name=n\n[n]\n\
    [usr_cert]\nbasicConstraints=CA:FALSE\n\
    keyUsage=critical,nonRepudiation,digitalSignature,keyEncipherment\n\
    extendedKeyUsage=clientAuth,emailProtection\nsubjectKeyIdentifier=hash\n\
    authorityKeyIdentifier=keyid,issuer\n";

impl Scripts {
    fn prepare() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let dir = folder.path();
        for name in ["newcerts", "private", "csr", "certs"] {
            std::fs::create_dir(dir.join(name))?;
        }
        std::fs::write(dir.join("openssl.cnf"), CONFIG)?;
        std::fs::write(dir.join("index.txt"), "")?;
        std::fs::write(dir.join("serial"), "1000\n")?;
        openssl(
            dir,
            "req -x509 -newkey rsa:4096 -nodes -days 30 -subj /CN=CA -keyout ca.key -out ca.pem \
             -addext keyUsage=critical,keyCertSign,digitalSignature,cRLSign",
        )?;
        Ok(Self { folder })
    }

    /// Microseconds of wall time for a key, a request and a certificate.
    fn median(&self, make_key: &str) -> Result<f64> {
        let dir = self.folder.path();
        let mut times: Vec<f64> = (0..OPENSSL_DEVICES)
            .map(|number| Ok(one_device(dir, make_key, number)?.as_secs_f64() * 1e6))
            .collect::<Result<_>>()?;
        times.sort_by(f64::total_cmp);
        Ok(sim::measure::median(&times))
    }
}

fn one_device(dir: &Path, make_key: &str, number: usize) -> Result<Duration> {
    let started = Instant::now();
    openssl(dir, make_key)?;
    openssl(
        dir,
        &format!(
            "req -config openssl.cnf -new -sha256 -key private/K.key.pem -subj /CN=device-{number} \
             -out csr/K.csr.pem"
        ),
    )?;
    openssl(
        dir,
        "ca -batch -config openssl.cnf -extensions usr_cert -days 30 -notext -md sha256 \
         -in csr/K.csr.pem -out certs/K.cert.pem",
    )?;
    Ok(started.elapsed())
}
