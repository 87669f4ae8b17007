//! Describes containers one by one, so that a broken one does not hide the others.

use std::sync::PoisonError;
use std::time::Duration;

use bollard::models::ContainerSummary;
use ids::error_chain;

use super::observed::{observed, undescribed};
use super::{Docker, Observed, RuntimeError};

/// Longest wait for the description of one container.
const DESCRIBE_WITHIN: Duration = Duration::from_secs(30);

impl Docker {
    /// A container as the engine describes it, or as its list does if the engine cannot describe
    /// it. `None` for one that is gone, or is no module.
    pub(super) async fn observe(
        &self,
        listed: ContainerSummary,
    ) -> Result<Option<Observed>, RuntimeError> {
        let Some(id) = listed.id.clone() else {
            return Ok(None);
        };
        let described = tokio::time::timeout(DESCRIBE_WITHIN, self.inspect(&id)).await;
        let problem = match described {
            Ok(Ok(found)) => {
                self.note_description(&id, None);
                return Ok(found.and_then(observed));
            }
            Ok(Err(refused @ RuntimeError::Refused { .. })) => error_chain(&refused),
            Ok(Err(error)) => return Err(error),
            Err(_) => format!("no answer within {} s", DESCRIBE_WITHIN.as_secs()),
        };
        self.note_description(&id, Some(&problem));
        Ok(undescribed(listed))
    }

    /// Logs a problem when it is new.
    fn note_description(&self, id: &str, problem: Option<&str>) {
        let undescribed = self.undescribed.lock();
        let mut undescribed = undescribed.unwrap_or_else(PoisonError::into_inner);
        match problem {
            None => drop(undescribed.remove(id)),
            Some(error) if undescribed.insert(id.to_owned()) => {
                tracing::warn!(container.id = id, error, "a container cannot be described");
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};

    use super::*;
    use crate::config::Network;
    use crate::desired::container::MODULE_LABEL;
    use crate::runtime::{ContainerState, DockerOptions, ModuleRuntime as _};

    /// An engine with two containers, the first of which is broken.
    async fn answer(mut stream: UnixStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        let (status, body) = if request.contains("/version ") {
            (200, r#"{"ApiVersion": "1.47", "Version": "27"}"#.to_owned())
        } else if request.contains("/containers/broken/json") {
            (500, r#"{"message": "layer does not exist"}"#.to_owned())
        } else if request.contains("/containers/sound/json") {
            let labels = format!(r#"{{"{MODULE_LABEL}": "b"}}"#);
            let state = r#"{"Status": "running"}"#;
            let config = format!(r#"{{"Labels": {labels}}}"#);
            let body = format!(r#"{{"Id": "sound", "State": {state}, "Config": {config}}}"#);
            (200, body)
        } else {
            let listed = [("broken", "a"), ("sound", "b")].map(|(id, module)| {
                format!(r#"{{"Id": "{id}", "Labels": {{"{MODULE_LABEL}": "{module}"}}}}"#)
            });
            (200, format!("[{}]", listed.join(",")))
        };
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
    }

    fn docker(socket: &Path) -> Docker {
        Docker::new(DockerOptions {
            socket: socket.to_owned(),
            root: "/".into(),
            network: Network::default(),
        })
    }

    #[tokio::test]
    async fn a_container_that_cannot_be_described_does_not_hide_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let engine = tokio::spawn(async move {
            loop {
                answer(listener.accept().await.unwrap().0).await;
            }
        });
        let found = docker(&socket).list().await.unwrap();
        let states: Vec<_> = found.iter().map(|c| (c.id.as_str(), c.state)).collect();
        let expected = [
            ("broken", ContainerState::Other),
            ("sound", ContainerState::Running),
        ];
        assert_eq!(states, expected);
        assert_eq!(found[0].module.as_str(), "a");
        engine.abort();
    }
}
