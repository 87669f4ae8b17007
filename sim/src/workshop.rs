use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::{Finished, binary, run};

/// A folder in which certificates are made, in the layout of the original article.
#[derive(Debug)]
pub struct Workshop {
    dir: PathBuf,
    /// The folder that it is in, or is; deleted with this value.
    _folder: Arc<tempfile::TempDir>,
}

/// Files of one device identity.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Registration id: the certificate's common name.
    pub name: String,
    /// The leaf alone.
    pub certificate: PathBuf,
    /// Leaf and issuers.
    pub full_chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Identity {
    /// The full chain and the key in one PEM text.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn pem(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.full_chain)? + &std::fs::read_to_string(&self.key)?)
    }

    /// The leaf alone and the key in one PEM text.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn leaf_pem(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.certificate)? + &std::fs::read_to_string(&self.key)?)
    }
}

impl Workshop {
    /// A folder with a root and an intermediate made by `muster ca init`.
    ///
    /// # Errors
    /// When that fails.
    pub fn with_muster_ca() -> Result<Self> {
        let workshop = Self::empty()?;
        workshop.ca(&["init"])?.ok()?;
        Ok(workshop)
    }

    /// A folder with an RSA 4096 root and intermediate made by the OpenSSL command line.
    ///
    /// # Errors
    /// When that fails.
    pub fn with_openssl_ca() -> Result<Self> {
        let workshop = Self::empty()?;
        for folder in ["certs", "private", "csr"] {
            std::fs::create_dir(workshop.path().join(folder))?;
        }
        let root_extensions = "basicConstraints=critical,CA:TRUE";
        let usage = "keyUsage=critical,keyCertSign,cRLSign,digitalSignature";
        workshop.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:4096",
            "-nodes",
            "-sha256",
            "-days",
            "30",
            "-subj",
            "/CN=Azure_IoT_Hub_CA_Cert_Test_Only",
            "-addext",
            root_extensions,
            "-addext",
            usage,
            "-keyout",
            "private/root.key.pem",
            "-out",
            "certs/azure-iot-test-only.root.ca.cert.pem",
        ])?;
        workshop.sign(
            "intermediate",
            "Azure_IoT_Hub_Intermediate_Cert_Test_Only",
            "rsa:4096",
            "root",
            CA_EXTENSIONS,
        )?;
        Ok(workshop)
    }

    fn empty() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("muster-ca-").tempdir()?;
        Ok(Self::at(folder.path().to_owned(), Arc::new(folder)))
    }

    /// A folder that has certificates already, within `folder`.
    pub(crate) fn at(dir: PathBuf, folder: Arc<tempfile::TempDir>) -> Self {
        Self {
            dir,
            _folder: folder,
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// PEM of the root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.path()
            .join("certs/azure-iot-test-only.root.ca.cert.pem")
    }

    /// PEM of the intermediate.
    #[must_use]
    pub fn intermediate(&self) -> PathBuf {
        self.path()
            .join("certs/azure-iot-test-only.intermediate.cert.pem")
    }

    /// Runs `muster ca` in this folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn ca(&self, arguments: &[&str]) -> Result<Finished> {
        let dir = self.path().to_string_lossy();
        let mut all = vec!["ca"];
        all.extend(arguments);
        all.extend(["--dir", &dir]);
        run(&binary("muster")?, all)
    }

    /// Issues a device identity with `muster ca`.
    ///
    /// # Errors
    /// When that fails.
    pub fn issue(&self, name: &str) -> Result<Identity> {
        self.ca(&["issue", "edge-identity", name])?.ok()?;
        Ok(self.identity(name))
    }

    /// Issues an RSA 2048 device identity with the OpenSSL command line.
    ///
    /// # Errors
    /// When that fails.
    pub fn issue_with_openssl(&self, name: &str) -> Result<Identity> {
        let stem = format!("iot-edge-device-identity-{name}");
        self.sign(&stem, name, "rsa:2048", "intermediate", LEAF_EXTENSIONS)?;
        let identity = self.identity(name);
        let mut chain = std::fs::read_to_string(&identity.certificate)?;
        for issuer in [self.intermediate(), self.root()] {
            chain.push_str(&std::fs::read_to_string(issuer)?);
        }
        std::fs::write(&identity.full_chain, chain)?;
        Ok(identity)
    }

    /// Issues a device identity that was valid in January 2020 only.
    ///
    /// # Errors
    /// When that fails.
    pub fn issue_expired(&self, name: &str) -> Result<Identity> {
        let identity = self.issue_with_openssl(name)?;
        let stem = format!("iot-edge-device-identity-{name}");
        std::fs::write(self.path().join("csr/index.txt"), "")?;
        std::fs::write(self.path().join("csr/expired.cnf"), EXPIRING_CA)?;
        let (request, certificate) = (
            format!("csr/{stem}.csr.pem"),
            format!("certs/{stem}.cert.pem"),
        );
        let extensions = format!("csr/{stem}.ext");
        self.openssl(&[
            "ca",
            "-batch",
            "-config",
            "csr/expired.cnf",
            "-in",
            &request,
            "-out",
            &certificate,
            "-notext",
            "-startdate",
            "20200101000000Z",
            "-enddate",
            "20200131000000Z",
            "-extfile",
            &extensions,
        ])?;
        let mut chain = std::fs::read_to_string(&identity.certificate)?;
        for issuer in [self.intermediate(), self.root()] {
            chain.push_str(&std::fs::read_to_string(issuer)?);
        }
        std::fs::write(&identity.full_chain, chain)?;
        Ok(identity)
    }

    /// The files of an identity that was issued.
    #[must_use]
    pub fn identity(&self, name: &str) -> Identity {
        let stem = format!("iot-edge-device-identity-{name}");
        Identity {
            name: name.to_owned(),
            certificate: self.path().join(format!("certs/{stem}.cert.pem")),
            full_chain: self
                .path()
                .join(format!("certs/{stem}-full-chain.cert.pem")),
            key: self.path().join(format!("private/{stem}.key.pem")),
        }
    }

    fn sign(
        &self,
        stem: &str,
        name: &str,
        key: &str,
        issuer: &str,
        extensions: &str,
    ) -> Result<()> {
        let (issuer_certificate, issuer_key) = match issuer {
            "root" => (
                "certs/azure-iot-test-only.root.ca.cert.pem",
                "private/root.key.pem",
            ),
            _ => (
                "certs/azure-iot-test-only.intermediate.cert.pem",
                "private/intermediate.key.pem",
            ),
        };
        let certificate = match stem {
            "intermediate" => "certs/azure-iot-test-only.intermediate.cert.pem".to_owned(),
            other => format!("certs/{other}.cert.pem"),
        };
        let (key_file, request) = (
            format!("private/{stem}.key.pem"),
            format!("csr/{stem}.csr.pem"),
        );
        let subject = format!("/CN={name}");
        self.openssl(&[
            "req", "-new", "-newkey", key, "-nodes", "-sha256", "-subj", &subject, "-keyout",
            &key_file, "-out", &request,
        ])?;
        let extension_file = self.path().join(format!("csr/{stem}.ext"));
        std::fs::write(&extension_file, extensions)?;
        let extension_file = extension_file.to_string_lossy();
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            issuer_certificate,
            "-CAkey",
            issuer_key,
            "-CAcreateserial",
            "-days",
            "30",
            "-sha256",
            "-extfile",
            &extension_file,
            "-out",
            &certificate,
        ])
    }

    fn openssl(&self, arguments: &[&str]) -> Result<()> {
        let output = std::process::Command::new("openssl")
            .args(arguments)
            .current_dir(self.path())
            .output()?;
        ensure!(
            output.status.success(),
            "openssl: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// `openssl ca` can date certificates in the past, `openssl x509` cannot.
const EXPIRING_CA: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=csr/index.txt\nnew_certs_dir=csr\nrand_serial=yes\n\
    default_md=sha256\npolicy=p\nunique_subject=no\nemail_in_dn=no\n\
    certificate=certs/azure-iot-test-only.intermediate.cert.pem\nprivate_key=private/intermediate.key.pem\n\
    [p]\ncommonName=supplied\n";
const CA_EXTENSIONS: &str = "basicConstraints=critical,CA:TRUE\n\
    keyUsage=critical,keyCertSign,cRLSign,digitalSignature\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\n";
const LEAF_EXTENSIONS: &str = "basicConstraints=CA:FALSE\n\
    keyUsage=critical,nonRepudiation,digitalSignature,keyEncipherment\n\
    extendedKeyUsage=clientAuth,emailProtection\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\n";
