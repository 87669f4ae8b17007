//! Certificates that are right and unusual, through real TLS handshakes of OpenSSL: what `explain`
//! says beforehand, what registering comes to, and what an enrollment says are the same, whatever
//! is in the certificate (P2, P3, P4, P8, P9).

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;
use sim::{Server, openssl};

const PLAIN: &str =
    "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n";
const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";

/// A leaf: how its key is made, what it says beside the usual, how it is signed, and what a
/// group makes of it.
struct Odd {
    name: &'static str,
    key: &'static str,
    extensions: &'static str,
    signing: &'static str,
    config: &'static str,
    by_group: &'static str,
    /// What an individual enrollment makes of it; empty where OpenSSL itself does not show
    /// it to every server.
    pinned: &'static str,
}

const fn odd(name: &'static str, by_group: &'static str, pinned: &'static str) -> Odd {
    Odd {
        name,
        key: EC,
        extensions: "",
        signing: "-sha256",
        config: "",
        by_group,
        pinned,
    }
}

const UNKNOWN: &str = "certificate_not_understood";
const UNSUPPORTED: &str = "algorithm_unsupported";
const MASK: &str = "string_mask = nombstr\n";

const LEAVES: &[Odd] = &[
    odd("plain", "accepted", "accepted"),
    Odd {
        extensions: "certificatePolicies=critical,1.2.3.4\n",
        ..odd("policies", "accepted", "accepted")
    },
    Odd {
        extensions: "2.23.133.5.4.1=critical,DER:3000\n",
        ..odd("dice", UNKNOWN, "accepted")
    },
    Odd {
        extensions: "1.3.6.1.4.1.99999.7=critical,DER:0500\n",
        ..odd("private", UNKNOWN, "accepted")
    },
    Odd {
        extensions: "1.3.6.1.4.1.99999.7=DER:0500\n",
        ..odd("uncritical", "accepted", "accepted")
    },
    Odd {
        extensions: "nsCertType=critical,client\n",
        ..odd("netscape", "accepted", "accepted")
    },
    Odd {
        extensions: "nsCertType=critical,server\n",
        ..odd("navigator", "usage_wrong", "accepted")
    },
    Odd {
        extensions: "1.3.6.1.5.5.7.1.24=critical,DER:3003020105\n",
        ..odd("must-staple", UNKNOWN, "accepted")
    },
    Odd {
        config: MASK,
        ..odd("pump_001", "accepted", "accepted")
    },
    Odd {
        key: "-newkey rsa:1024",
        ..odd("short-rsa", UNSUPPORTED, UNSUPPORTED)
    },
    Odd {
        key: "-newkey ec -pkeyopt ec_paramgen_curve:secp256k1",
        ..odd("bitcoin", UNSUPPORTED, UNSUPPORTED)
    },
    Odd {
        key: "-newkey ec -pkeyopt ec_paramgen_curve:brainpoolP256r1",
        ..odd("brainpool", UNSUPPORTED, UNSUPPORTED)
    },
    Odd {
        key: "-newkey ec -pkeyopt ec_paramgen_curve:P-224",
        ..odd("p-224", UNSUPPORTED, UNSUPPORTED)
    },
    Odd {
        key: "-newkey ed448",
        ..odd("ed448", UNSUPPORTED, UNSUPPORTED)
    },
    Odd {
        key: "-newkey ed25519",
        ..odd("ed25519", "accepted", "accepted")
    },
    Odd {
        key: "-newkey ec -pkeyopt ec_paramgen_curve:P-521",
        ..odd("p-521", "accepted", "accepted")
    },
    Odd {
        signing: "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max",
        ..odd("salt", UNSUPPORTED, "accepted")
    },
    Odd {
        signing: "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
        ..odd("pss", "accepted", "accepted")
    },
    Odd {
        signing: "-sha1",
        ..odd("sha-1", UNSUPPORTED, "")
    },
];

struct Bench {
    server: Server,
    dir: tempfile::TempDir,
    id_scope: String,
}

/// How a registration ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The handshake was refused.
    Alert,
    /// This status was answered.
    Status(u16),
}

impl Bench {
    async fn start() -> Result<Self> {
        let server = Server::start().await?;
        let id_scope = server.id_scope()?;
        let bench = Self {
            server,
            dir: tempfile::tempdir()?,
            id_scope,
        };
        bench.openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 30 \
             -subj /CN=Odd -addext keyUsage=critical,keyCertSign",
        )?;
        let root = bench.path("root.pem");
        bench.server.enroll_group("odd", &root, "").await?;
        Ok(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn openssl(&self, line: &str) -> Result<()> {
        openssl(self.dir.path(), line).map(drop)
    }

    fn make(&self, leaf: &Odd) -> Result<()> {
        let Odd {
            name,
            key,
            extensions,
            signing,
            config,
            ..
        } = leaf;
        std::fs::write(
            self.path("leaf.cnf"),
            format!("[req]\n{config}distinguished_name=dn\n[dn]\n"),
        )?;
        std::fs::write(self.path("leaf.ext"), format!("{PLAIN}{extensions}"))?;
        self.openssl(&format!(
            "req -new -config leaf.cnf {key} -nodes -keyout {name}.key -subj /CN={name} \
             -out leaf.csr"
        ))?;
        self.openssl(&format!(
            "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -CAcreateserial -days 10 \
             -extfile leaf.ext {signing} -out {name}.pem"
        ))
    }

    /// Registers by `openssl s_client`, which shows what it is given.
    fn register(&self, name: &str, chain: Option<&str>, tls: &str) -> Result<Ended> {
        let path = wire::device_api::registration::register_path(&self.id_scope, name);
        let body = format!("{{\"registrationId\":\"{name}\"}}");
        let host = self.server.host();
        let request = format!(
            "PUT {path}?api-version=2021-06-01 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut command = Command::new("openssl");
        let connect = format!("s_client -connect {host}:443 -ign_eof -quiet {tls}");
        let proof = format!("-cert {name}.pem -key {name}.key");
        command.args(connect.split(' ').chain(proof.split(' ')));
        if let Some(chain) = chain {
            command.args(["-cert_chain", chain]);
        }
        let mut client = command
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // A handshake that was refused ends the client before it has read.
        let _ = client
            .stdin
            .take()
            .context("stdin")?
            .write_all(request.as_bytes());
        let output = client.wait_with_output()?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let status = answer
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        Ok(match status {
            Some(status) => Ended::Status(status.parse()?),
            None => Ended::Alert,
        })
    }

    async fn explain(&self, name: &str) -> Result<Value> {
        let file = self.path(&format!("{name}.pem"));
        let explain = format!("dps explain --certificate {}", file.display());
        let explained = self.server.try_muster(&explain).await?;
        serde_json::from_str(&explained.stdout)
            .with_context(|| format!("{name}: {}", explained.stderr))
    }

    /// The reasons of the refusals of one device that are kept.
    async fn refusals(&self, name: &str) -> Result<Vec<String>> {
        let explain = format!("dps explain --registration-id {name}");
        let listed = self.server.muster(&explain).await?;
        let listed = listed.as_array().context("a list")?.iter();
        Ok(listed
            .filter_map(|one| one["reason"].as_str())
            .map(str::to_owned)
            .collect())
    }

    /// What explain says, and that registering comes to the same.
    async fn agree(&self, name: &str, expected: &str, tls: &str) -> Result<()> {
        let explained = self.explain(name).await?;
        let decision = explained["decision"].as_str().context("a decision")?;
        let said = explained["reason"].as_str().unwrap_or(decision);
        assert_eq!(said, expected, "{name}: {explained:#}");
        let ended = self.register(name, None, tls)?;
        match said {
            "accepted" => assert_eq!(ended, Ended::Status(202), "{name} {tls}"),
            // Whether a TLS library shows such a certificate at all is its own business.
            UNSUPPORTED if ended == Ended::Alert => {}
            _ => {
                assert_eq!(ended, Ended::Status(401), "{name} {tls}");
                let kept = self.refusals(name).await?;
                let shown_nothing = said == UNSUPPORTED && kept[0] == "credential_absent";
                assert!(kept[0] == said || shown_nothing, "{name} {tls}: {kept:?}");
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn explain_enrollment_and_registration_agree_on_odd_leaves() -> Result<()> {
    let bench = Bench::start().await?;
    for leaf in LEAVES {
        bench.make(leaf)?;
        for tls in ["-tls1_2", "-tls1_3"] {
            bench.agree(leaf.name, leaf.by_group, tls).await?;
        }
        if leaf.pinned.is_empty() {
            continue;
        }
        let (id, path) = (leaf.name, bench.path(&format!("{}.pem", leaf.name)));
        let create = format!("dps enrollment create --attestation-type x509 --enrollment-id {id}");
        let create = format!("{create} --certificate-path {}", path.display());
        let created = bench.server.try_muster(&create).await?;
        if leaf.pinned == UNSUPPORTED {
            assert_eq!(created.code, Some(1), "{}: {}", leaf.name, created.stdout);
            assert!(
                created.stderr.contains(UNSUPPORTED),
                "{}: {}",
                leaf.name,
                created.stderr
            );
            continue;
        }
        created.ok()?;
        for tls in ["-tls1_2", "-tls1_3"] {
            bench.agree(leaf.name, leaf.pinned, tls).await?;
        }
    }
    Ok(())
}

/// P8: too many certificates, and one that cannot be read, are refused with their reason
/// and what was seen.
#[tokio::test]
async fn a_chain_that_is_not_read_is_recorded_with_its_reason() -> Result<()> {
    let bench = Bench::start().await?;
    bench.make(&odd("long-chain", "", ""))?;
    let root = std::fs::read_to_string(bench.path("root.pem"))?;
    std::fs::write(bench.path("many.pem"), root.repeat(10))?;
    assert_eq!(
        bench.register("long-chain", Some("many.pem"), "-tls1_3")?,
        Ended::Status(401)
    );
    let listed = bench
        .server
        .muster("dps explain --registration-id long-chain")
        .await?;
    assert_eq!(listed[0]["reason"], "chain_too_long", "{listed:#}");
    assert_eq!(
        listed[0]["chain"].as_array().map(Vec::len),
        Some(10),
        "{listed:#}"
    );
    let log = bench.server.log();
    let line = log
        .lines()
        .find(|line| line.contains("is not read"))
        .context("no line")?;
    assert!(line.contains("client.address"), "{line}");
    // The same file is explained with the same reason.
    let leaf = std::fs::read_to_string(bench.path("long-chain.pem"))?;
    std::fs::write(bench.path("all.pem"), leaf + &root.repeat(10))?;
    let explained = bench.explain("all").await?;
    assert_eq!(explained["reason"], "chain_too_long", "{explained:#}");
    Ok(())
}
