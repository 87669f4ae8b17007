use std::io;
use std::path::PathBuf;

/// Why an intermediate is not rolled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RollProblem {
    #[error(
        "a roll was interrupted; repeat the last `muster ca roll` command for this folder, which \
         completes it"
    )]
    Interrupted,
    #[error("a roll is in progress; see `muster ca roll status`, then finish or abandon it")]
    InProgress,
    #[error("no roll is in progress; begin one with `muster ca roll start`")]
    NotInProgress,
    #[error(
        "{valid} certificates of the previous intermediate are still valid; issue new ones for \
         these devices first, or give them up with --force"
    )]
    InUse { valid: usize },
    #[error(
        "{valid} certificates of the new intermediate are valid; they would no longer be trusted; \
         give them up with --force"
    )]
    NewInUse { valid: usize },
    #[error(
        "a roll of the root was interrupted; repeat the last `muster ca roll root` command for this \
         folder, which completes it"
    )]
    RootInterrupted,
    #[error(
        "a roll of the root is in progress; see `muster ca roll root status`, then finish or \
         abandon it"
    )]
    RootInProgress,
    #[error("the root is not being rolled; begin with `muster ca roll root start`")]
    RootNotInProgress,
    #[error(
        "the intermediate, or {valid} certificates that are valid, are of the previous root; roll \
         the intermediate first (`muster ca roll start`), or give them up with --force"
    )]
    RootInUse { valid: usize },
    #[error(
        "the intermediate is of the new root, which therefore stays; abandon the roll of the \
         intermediate first, or finish that of the root"
    )]
    NewRootInUse,
    #[error(
        "the subject of the root is not a common name alone; roll it with the program that made it"
    )]
    RootName,
}

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
    #[error("{} is not the key of the certificate log", .path.display())]
    LogKey {
        path: PathBuf,
        #[source]
        source: pki::log::NoteError,
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
    /// The name of a device cannot be part of file names, or is there twice.
    #[error("{name:?} cannot be issued: {problem}")]
    Name { name: String, problem: &'static str },
    #[error("the certificates cannot be issued")]
    Profile {
        #[source]
        source: pki::ProfileError,
    },
    /// No CA of the folder signed the certificate that is to be revoked.
    #[error("{subject} was not issued by a certificate authority of {}", .dir.display())]
    NotIssuedHere { subject: String, dir: PathBuf },
    #[error("the certificate {serial} of {name:?} stays as it is: {problem}")]
    Revocation {
        name: String,
        serial: String,
        problem: String,
    },
    #[error("{0}")]
    Roll(RollProblem),
    /// A file of records was changed by something else, or the disk lost a part of it.
    #[error("line {line} of {} is damaged; restore the file from a backup", .path.display())]
    Record { path: PathBuf, line: u64 },
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
