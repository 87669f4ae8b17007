use std::io;
use std::path::PathBuf;

/// Why a CA did not do what was asked. Names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file is there already.
    #[error("{} is there already; nothing was written. Choose another name or folder, or replace \
        it with --force", .path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// The folder holds no hierarchy.
    #[error("{} holds no certificate authority ({} is missing); make one with: muster ca init \
        --dir {}", .dir.display(), .missing.display(), .dir.display())]
    NotInitialized {
        dir: PathBuf,
        /// The file that should be in it.
        missing: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}; {}", .path.display(), advice(.source))]
    Read {
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}; {}", .path.display(), advice(.source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any certificate or key.
    #[error("{} has more than {limit} bytes; this is no certificate or key file", .path.display())]
    TooLarge {
        path: PathBuf,
        /// How many bytes are read.
        limit: u64,
    },
    /// A passphrase file with nothing in it.
    #[error("the first line of {} is empty; it should be the passphrase", .path.display())]
    NoPassphrase { path: PathBuf },
    /// A certificate file is not one.
    #[error("{} is not a usable certificate file", .path.display())]
    Certificate {
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pki::PemError,
    },
    /// A key file is not one, or its passphrase is missing or wrong.
    #[error("{} is not a usable private key file", .path.display())]
    Key {
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pki::KeyError,
    },
    /// Certificate and key files do not fit each other, or the certificate cannot issue.
    #[error("{} cannot issue certificates", .path.display())]
    Issuer {
        path: PathBuf,
        #[source]
        source: pki::IssueError,
    },
    /// One certificate was not issued.
    #[error("no certificate was issued for {name:?}")]
    Issue {
        name: String,
        #[source]
        source: pki::IssueError,
    },
    /// A private key could not be made or encrypted.
    #[error("no private key was made for {name:?}")]
    NewKey {
        name: String,
        #[source]
        source: pki::KeyError,
    },
    /// An identity of the name exists, but not from this hierarchy or not whole, so that it cannot
    /// be taken as done.
    #[error("{} is there already, but {problem}; replace it with --force", .path.display())]
    Unusable {
        path: PathBuf,
        /// What is wrong with it.
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
