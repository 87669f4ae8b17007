use std::io;
use std::path::PathBuf;

/// Why a CA failed. The text names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("{} is there already; nothing was written. Choose another name or folder, or replace \
        it with --force", .path.display())]
    Exists { path: PathBuf },
    #[error("{} holds no certificate authority ({} is missing); make one with: muster ca init \
        --dir {}", .dir.display(), .missing.display(), .dir.display())]
    NotInitialized { dir: PathBuf, missing: PathBuf },
    #[error("cannot read {}; {}", .path.display(), advice(.source))]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}; {}", .path.display(), advice(.source))]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file is larger than every certificate or key.
    #[error("{} has more than {limit} bytes; this is no certificate or key file", .path.display())]
    TooLarge {
        path: PathBuf,
        /// The largest size in bytes.
        limit: u64,
    },
    #[error("the first line of {} is empty; it should be the passphrase", .path.display())]
    NoPassphrase { path: PathBuf },
    #[error("{} is not a usable certificate file", .path.display())]
    Certificate {
        path: PathBuf,
        #[source]
        source: pki::PemError,
    },
    /// Also when its passphrase is missing or wrong.
    #[error("{} is not a usable private key file", .path.display())]
    Key {
        path: PathBuf,
        #[source]
        source: pki::KeyError,
    },
    /// The certificate and the key do not belong together, or the certificate cannot issue.
    #[error("{} cannot issue certificates", .path.display())]
    Issuer {
        path: PathBuf,
        #[source]
        source: pki::IssueError,
    },
    #[error("no certificate was issued for {name:?}")]
    Issue {
        name: String,
        #[source]
        source: pki::IssueError,
    },
    #[error("no private key was made for {name:?}")]
    NewKey {
        name: String,
        #[source]
        source: pki::KeyError,
    },
    /// An identity of this name exists, but it is incomplete, or from another hierarchy.
    #[error("{} is there already, but {problem}; replace it with --force", .path.display())]
    Unusable {
        path: PathBuf,
        problem: &'static str,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "this user has no right to; run as its owner or change its mode"
        }
        io::ErrorKind::NotFound => "it does not exist; check the path",
        io::ErrorKind::StorageFull => "the disk is full",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        _ => "check the path and its permissions",
    }
}
