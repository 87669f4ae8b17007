use std::io;

use registry::UploadError;
use wire::file_upload::{BlockListError, MAX_BLOCKS};

/// Why a blob was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    /// The upload has ended, or its device is disabled.
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error("too many requests write to this upload at once")]
    Busy,
    #[error("the file system of uploaded files has too little free space")]
    NoSpace,
    #[error("there may be {0} bytes at most")]
    TooLarge(u64),
    #[error("there are {MAX_BLOCKS} blocks of this file already")]
    TooManyBlocks,
    #[error("the body did not arrive in time")]
    Late,
    #[error("the body could not be read")]
    Interrupted,
    #[error("the MD5 digest of the body is not the one of its header")]
    Md5,
    #[error(transparent)]
    List(#[from] BlockListError),
    #[error("a block of the list was not uploaded")]
    NoBlock,
    #[error("there is a file or folder of this name already")]
    Exists,
    #[error("the directory of uploaded files cannot be used")]
    Io(#[source] io::Error),
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Io(error),
        }
    }
}
