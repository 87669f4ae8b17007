//! `muster ca sign` next to the OpenSSL command line, which the scripts of Azure's tutorial call
//! three times for each device.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sim::{Workshop, binary, openssl, run, write_request};

use crate::report::{Baseline, Row};

const REQUESTS: usize = 20_000;
/// Enough for a median; one takes a tenth of a second and more.
const OPENSSL_DEVICES: usize = 15;

pub(crate) fn measure() -> Result<Vec<Row>> {
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
        workshop
            .ca(&format!("issue device --count {REQUESTS} --prefix own"))?
            .ok()?;
        Ok(())
    })?;
    let scripts = Scripts::prepare()?;
    let rsa = scripts.median("genrsa -out private/K.key.pem 2048")?;
    let ec = scripts.median("ecparam -genkey -name prime256v1 -noout -out private/K.key.pem")?;
    ensure!(
        run(&binary("muster")?, ["--version"])?.code == Some(0),
        "muster"
    );
    let row = |what: &str, value, what_else, baseline: f64, aim| Row {
        what: what.to_owned(),
        unit: "us/certificate",
        value,
        baseline: Some(Baseline {
            what: what_else,
            ratio: baseline / value,
            aim,
        }),
    };
    let plain = |what: &str, value| Row {
        what: what.to_owned(),
        unit: "us/certificate",
        value,
        baseline: None,
    };
    Ok(vec![
        plain("openssl genrsa, req, ca (as the demo scripts)", rsa),
        plain("openssl ecparam, req, ca (a P-256 key)", ec),
        row(
            "muster ca sign, from requests, files included",
            signed,
            "the demo scripts",
            rsa,
            Some(500.0),
        ),
        row(
            "muster ca sign, from requests, files included",
            signed,
            "OpenSSL with P-256",
            ec,
            None,
        ),
        row(
            "muster ca issue device, new keys, files included",
            issued,
            "the demo scripts",
            rsa,
            Some(500.0),
        ),
    ])
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
