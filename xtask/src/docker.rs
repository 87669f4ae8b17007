//! The few calls of the Moby Engine API that the verbs need, over its unix
//! socket: HTTP/1.1, one request a connection.

use std::io::{Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// A call that takes longer than this has no engine behind it.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Answers of the calls below are small; a larger one is not the engine's.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// An engine by the path of its socket.
#[derive(Clone)]
pub(crate) struct Engine {
    socket: PathBuf,
}

impl Engine {
    pub(crate) fn at(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// `unix:///path` as configurations and `DOCKER_HOST` want it.
    pub(crate) fn uri(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    pub(crate) fn socket(&self) -> String {
        self.socket.display().to_string()
    }

    /// The engine's version, if it answers.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        let answer = self.call("GET", "/version", None)?;
        let version: Value = serde_json::from_slice(&answer)?;
        version["Version"]
            .as_str()
            .map(str::to_owned)
            .context("the engine's /version carries no Version")
    }

    /// Loads an image archive (`docker save` format).
    pub(crate) fn load(&self, archive: &[u8]) -> anyhow::Result<()> {
        let answer = self.call(
            "POST",
            "/images/load?quiet=1",
            Some(("application/x-tar", archive)),
        )?;
        let text = String::from_utf8_lossy(&answer);
        if text.contains("\"errorDetail\"") {
            bail!("the engine refused the image: {text}");
        }
        Ok(())
    }

    pub(crate) fn has_image(&self, name: &str) -> bool {
        self.call("GET", &format!("/images/{name}/json"), None)
            .is_ok()
    }

    pub(crate) fn remove_image(&self, name: &str) -> anyhow::Result<()> {
        self.call("DELETE", &format!("/images/{name}"), None)
            .map(drop)
    }

    /// Id, names and image of every container with `label` (`key=value`).
    pub(crate) fn list_by_label(&self, label: &str) -> anyhow::Result<Vec<Value>> {
        let filter = serde_json::json!({ "label": [label] }).to_string();
        let path = format!("/containers/json?all=1&filters={}", percent_encode(&filter));
        let answer = self.call("GET", &path, None)?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Removes every container with `label`, running or not, and gives their number.
    pub(crate) fn remove_by_label(&self, label: &str) -> anyhow::Result<usize> {
        let containers = self.list_by_label(label)?;
        for container in &containers {
            let id = container["Id"].as_str().context("a container without Id")?;
            self.call("DELETE", &format!("/containers/{id}?force=1&v=1"), None)?;
        }
        let filter = serde_json::json!({ "label": [label] }).to_string();
        let query = percent_encode(&filter);
        self.call("POST", &format!("/networks/prune?filters={query}"), None)?;
        Ok(containers.len())
    }

    /// Removes every container and network. Only for an engine of ours: the
    /// bridges of its networks would otherwise outlive it.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        let answer = self.call("GET", "/containers/json?all=1", None)?;
        let containers: Vec<Value> = serde_json::from_slice(&answer)?;
        for container in &containers {
            let id = container["Id"].as_str().context("a container without Id")?;
            self.call("DELETE", &format!("/containers/{id}?force=1&v=1"), None)?;
        }
        self.call("POST", "/networks/prune", None)?;
        Ok(())
    }

    fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, &[u8])>,
    ) -> anyhow::Result<Vec<u8>> {
        let at = || format!("engine at {}", self.socket.display());
        let mut stream = UnixStream::connect(&self.socket).with_context(at)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let (kind, bytes) = body.unwrap_or(("application/json", b""));
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: engine\r\nconnection: close\r\n\
             content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            bytes.len()
        )
        .and_then(|()| stream.write_all(bytes))
        .with_context(at)?;
        let mut answer = Vec::new();
        stream
            .take(MAX_ANSWER)
            .read_to_end(&mut answer)
            .with_context(at)?;
        let (status, body) = parse_answer(&answer).with_context(at)?;
        if !(200..300).contains(&status) {
            bail!(
                "{} answered {status} to {method} {path}: {}",
                at(),
                String::from_utf8_lossy(&body)
            );
        }
        Ok(body)
    }
}

/// Splits an HTTP/1.1 answer into its status and its de-chunked body.
fn parse_answer(answer: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("the answer has no end of its header")?;
    let header = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = header
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .context("the answer has no status")?;
    let body = &answer[end + 4..];
    if header.contains("transfer-encoding: chunked") {
        return Ok((status, unchunk(body)?));
    }
    Ok((status, body.to_vec()))
}

/// RFC 9112 7.1, without trailers, which the engine never sends.
fn unchunk(mut body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line_end = body
            .windows(2)
            .position(|window| window == b"\r\n")
            .context("a chunk without a size line")?;
        let size_text = std::str::from_utf8(&body[..line_end])?;
        let size = usize::from_str_radix(size_text.trim(), 16)
            .with_context(|| format!("not a chunk size: {size_text}"))?;
        body = &body[line_end + 2..];
        if size == 0 {
            return Ok(whole);
        }
        let chunk = body.get(..size).context("a chunk shorter than its size")?;
        whole.extend_from_slice(chunk);
        body = body.get(size + 2..).context("a chunk without its end")?;
    }
}

fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_answer_is_put_together() {
        let answer =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nMust\r\n2\r\ner\r\n0\r\n\r\n";
        let (status, body) = parse_answer(answer).unwrap();
        assert_eq!((status, body.as_slice()), (200, b"Muster".as_slice()));
    }

    #[test]
    fn a_torn_chunk_is_an_error() {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nMust";
        assert!(parse_answer(answer).is_err());
    }

    #[test]
    fn filters_are_percent_encoded() {
        assert_eq!(percent_encode("{\"a\":1}"), "%7B%22a%22%3A1%7D");
    }
}
