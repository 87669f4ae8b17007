//! Unix sockets at paths of any length.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keys::socket_name::shortened;
use nix::sys::stat::{Mode, fchmod};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

use crate::files::durable::{DurableError, make_folder};

/// Connections that wait to be accepted.
const WAITING: u32 = 1024;

/// Listens at `path`, with the socket's mode `mode`. Replaces a socket that
/// an earlier process left.
pub fn listen(path: &Path, mode: u32) -> Result<UnixListener, DurableError> {
    let failed = |source| DurableError::Io {
        what: "listen at",
        path: path.to_owned(),
        source,
    };
    make_folder(path.parent().unwrap_or(Path::new("/")))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let (short, _open) = shortened(path).map_err(failed)?;
    let listener = bind(&short).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    Ok(listener)
}

/// On Linux the file of a socket gets the mode of the socket, whatever the umask is. So nobody else
/// can connect before the file's own mode is set.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(path)?;
    socket.listen(WAITING)
}

pub async fn connect(path: &Path) -> io::Result<UnixStream> {
    let (short, _open) = shortened(path)?;
    UnixStream::connect(short).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_paths_work_too() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["short", &"a-folder-with-a-long-name-".repeat(4)] {
            let path = dir.path().join(name).join("mgmt.sock");
            let first = listen(&path, 0o660).unwrap();
            drop(first);
            let listener = listen(&path, 0o660).unwrap();
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o660
            );
            let (accepted, connected) = tokio::join!(listener.accept(), connect(&path));
            accepted.unwrap();
            connected.unwrap();
        }
        let endless = dir.path().join("x".repeat(120));
        let error = listen(&endless, 0o660).unwrap_err();
        assert!(
            error.to_string().contains(&*endless.to_string_lossy()),
            "{error}"
        );
    }
}
