//! Sockets at paths that the owner of the device chooses.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use ids::error_chain;
use tokio::net::UnixListener;

use super::unix_socket::listen;

/// Listens at a path of the owner's choice. A file that is there is only replaced if it is a socket.
pub(crate) fn listen_at_own_path(path: &Path, mode: u32) -> Option<UnixListener> {
    if let Ok(about) = std::fs::symlink_metadata(path)
        && !about.file_type().is_socket()
    {
        tracing::error!(
            path = %path.display(),
            "a file stands where [listen] wants a socket; move it away, or choose another path"
        );
        return None;
    }
    match listen(path, mode) {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::error!(error = %error_chain(&error), "a socket of [listen] is not open");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_at_the_path_of_a_socket_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my/mgmt.sock");
        drop(listen_at_own_path(&path, 0o660).unwrap());
        assert!(listen_at_own_path(&path, 0o660).is_some(), "an old socket");
        let file = dir.path().join("notes.txt");
        std::fs::write(&file, "mine").unwrap();
        assert!(listen_at_own_path(&file, 0o660).is_none());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }
}
