use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use crate::command_line::split;
use crate::{Finished, binary, openssl, run};

const ROOT: &str = "certs/azure-iot-test-only.root.ca.cert.pem";
const INTERMEDIATE: &str = "certs/azure-iot-test-only.intermediate.cert.pem";

/// A folder in which certificates are made, in the layout of the scripts of Azure's tutorial.
#[derive(Debug)]
pub struct Workshop {
    dir: PathBuf,
    /// The folder that it is in, or is; deleted with this value.
    _folder: Arc<tempfile::TempDir>,
}

/// Files of one device identity.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Registration id, and the certificate's common name.
    pub name: String,
    pub certificate: PathBuf,
    pub full_chain: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    /// The full chain and the key in one PEM text.
    pub fn pem(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.full_chain)? + &std::fs::read_to_string(&self.key)?)
    }

    /// The leaf alone and the key in one PEM text.
    pub fn leaf_pem(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.certificate)? + &std::fs::read_to_string(&self.key)?)
    }
}

impl Workshop {
    /// A folder with a root and an intermediate made by `muster ca init`.
    pub fn with_muster_ca() -> Result<Self> {
        let workshop = Self::empty()?;
        workshop.ca("init")?.ok()?;
        Ok(workshop)
    }

    /// A folder with an RSA 4096 root and intermediate made by the OpenSSL command line.
    pub fn with_openssl_ca() -> Result<Self> {
        let workshop = Self::empty()?;
        for folder in ["certs", "private", "csr"] {
            std::fs::create_dir(workshop.path().join(folder))?;
        }
        let constraints = "-addext basicConstraints=critical,CA:TRUE \
                           -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature";
        workshop.openssl(&format!(
            "req -x509 -newkey rsa:4096 -nodes -sha256 -days 30 \
             -subj /CN=Azure_IoT_Hub_CA_Cert_Test_Only {constraints} \
             -keyout private/root.key.pem -out {ROOT}"
        ))?;
        Request {
            stem: "intermediate",
            name: "Azure_IoT_Hub_Intermediate_Cert_Test_Only",
            key: "rsa:4096",
            extensions: CA_EXTENSIONS,
        }
        .signed_by(&workshop, (ROOT, "private/root.key.pem"), INTERMEDIATE)?;
        Ok(workshop)
    }

    /// A folder without certificates.
    pub fn empty() -> Result<Self> {
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

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// PEM file of the root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.path().join(ROOT)
    }

    /// PEM file of the intermediate.
    #[must_use]
    pub fn intermediate(&self) -> PathBuf {
        self.path().join(INTERMEDIATE)
    }

    /// Runs a command of `muster ca`, one line as in a shell, on this folder.
    pub fn ca(&self, line: &str) -> Result<Finished> {
        let mut words = vec!["ca".to_owned()];
        words.extend(split(line)?);
        words.push("--dir".to_owned());
        words.push(self.path().to_string_lossy().into_owned());
        run(&binary("muster")?, words)
    }

    /// Issues a device identity with `muster ca`.
    pub fn issue(&self, name: &str) -> Result<Identity> {
        self.ca(&format!("issue edge-identity {name}"))?.ok()?;
        Ok(self.identity(name))
    }

    /// Issues an RSA 2048 device identity with the OpenSSL command line.
    pub fn issue_with_openssl(&self, name: &str) -> Result<Identity> {
        let (stem, file) = (stem(name), format!("certs/{}.cert.pem", stem(name)));
        let request = Request {
            stem: &stem,
            name,
            key: "rsa:2048",
            extensions: LEAF_EXTENSIONS,
        };
        request.signed_by(self, (INTERMEDIATE, "private/intermediate.key.pem"), &file)?;
        self.with_full_chain(name)
    }

    /// Issues a device identity that was valid in January 2020 only.
    pub fn issue_expired(&self, name: &str) -> Result<Identity> {
        self.issue_with_openssl(name)?;
        let stem = stem(name);
        std::fs::write(self.path().join("csr/index.txt"), "")?;
        std::fs::write(self.path().join("csr/expired.cnf"), EXPIRING_CA)?;
        self.openssl(&format!(
            "ca -batch -config csr/expired.cnf -in csr/{stem}.csr.pem -out certs/{stem}.cert.pem \
             -notext -startdate 20200101000000Z -enddate 20200131000000Z -extfile csr/{stem}.ext"
        ))?;
        self.with_full_chain(name)
    }

    /// Writes the leaf and its issuers into one file.
    fn with_full_chain(&self, name: &str) -> Result<Identity> {
        let identity = self.identity(name);
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
        let stem = stem(name);
        let file = |name: String| self.path().join(name);
        Identity {
            name: name.to_owned(),
            certificate: file(format!("certs/{stem}.cert.pem")),
            full_chain: file(format!("certs/{stem}-full-chain.cert.pem")),
            key: file(format!("private/{stem}.key.pem")),
        }
    }

    fn openssl(&self, line: &str) -> Result<String> {
        openssl(self.path(), line)
    }
}

fn stem(name: &str) -> String {
    format!("iot-edge-device-identity-{name}")
}

/// A key and a certificate that OpenSSL makes.
struct Request<'a> {
    /// What the names of its files begin with.
    stem: &'a str,
    name: &'a str,
    /// The kind of key, as `openssl req -newkey` takes it.
    key: &'a str,
    extensions: &'a str,
}

impl Request<'_> {
    fn signed_by(&self, workshop: &Workshop, issuer: (&str, &str), file: &str) -> Result<()> {
        let Self {
            stem, name, key, ..
        } = self;
        workshop.openssl(&format!(
            "req -new -newkey {key} -nodes -sha256 -subj /CN={name} \
             -keyout private/{stem}.key.pem -out csr/{stem}.csr.pem"
        ))?;
        let extensions = format!("csr/{stem}.ext");
        std::fs::write(workshop.path().join(&extensions), self.extensions)?;
        let (ca, ca_key) = issuer;
        workshop.openssl(&format!(
            "x509 -req -in csr/{stem}.csr.pem -CA {ca} -CAkey {ca_key} -CAcreateserial -days 30 \
             -sha256 -extfile {extensions} -out {file}"
        ))?;
        Ok(())
    }
}

/// `openssl ca` can date certificates in the past, `openssl x509` cannot.
const EXPIRING_CA: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=csr/index.txt\n\
    new_certs_dir=csr\nrand_serial=yes\n\
    default_md=sha256\npolicy=p\nunique_subject=no\nemail_in_dn=no\n\
    certificate=certs/azure-iot-test-only.intermediate.cert.pem\n\
    private_key=private/intermediate.key.pem\n\
    [p]\ncommonName=supplied\n";
const CA_EXTENSIONS: &str = "basicConstraints=critical,CA:TRUE\n\
    keyUsage=critical,keyCertSign,cRLSign,digitalSignature\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\n";
const LEAF_EXTENSIONS: &str = "basicConstraints=CA:FALSE\n\
    keyUsage=critical,nonRepudiation,digitalSignature,keyEncipherment\n\
    extendedKeyUsage=clientAuth,emailProtection\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\n";
