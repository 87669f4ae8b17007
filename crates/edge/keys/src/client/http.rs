//! One HTTP request on one connection.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use wire::edge_api::keys::API_VERSION;
use zeroize::Zeroizing;

use crate::socket_name::shortened;

/// The longest answer, bytes: a plaintext of the longest request.
const MAX_ANSWER: usize = 2 * 1024 * 1024;

#[derive(Debug, Clone, Copy)]
pub(super) enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// Sends a request, and waits for the whole answer.
pub(super) fn call(
    socket: &Path,
    method: Method,
    path: &str,
    body: &[u8],
    within: Duration,
) -> io::Result<Answer> {
    let (short, _open) = shortened(socket)?;
    let mut stream = UnixStream::connect(short)?;
    stream.set_write_timeout(Some(within))?;
    let (method, length) = (method.name(), body.len());
    let head = format!(
        "{method} /{path}?api-version={API_VERSION} HTTP/1.1\r\nhost: keyd\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    parse(read_all(&mut stream, within)?)
}

/// The server closes the connection after its answer.
fn read_all(stream: &mut UnixStream, within: Duration) -> io::Result<Zeroizing<Vec<u8>>> {
    let begun = Instant::now();
    let mut answer = Zeroizing::new(Vec::with_capacity(4096));
    let mut part = Zeroizing::new([0; 4096]);
    loop {
        let left = within.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(part.as_mut_slice()) {
            Ok(0) => return Ok(answer),
            Ok(length) => answer.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if answer.len() > MAX_ANSWER {
            return Err(bad("the answer is too long"));
        }
    }
}

fn bad(problem: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem)
}

fn parse(mut answer: Zeroizing<Vec<u8>>) -> io::Result<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or_else(|| bad("the connection ended before the answer"))?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| bad("the answer is not HTTP"))?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| bad("the answer is not HTTP"))?;
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let wanted: usize = match length {
        Some((_, length)) => length
            .trim()
            .parse()
            .map_err(|_| bad("the answer is not HTTP"))?,
        None if status == 204 => 0,
        None => return Err(bad("the answer has no length")),
    };
    let body = Zeroizing::new(answer.split_off(end + 4));
    match body.len() == wanted {
        true => Ok(Answer { status, body }),
        false => Err(bad("the connection ended before the answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let read = |text: &str| parse(Zeroizing::new(text.as_bytes().to_vec()));
        let ok = read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!((ok.status, ok.body.as_slice()), (200, b"{}".as_slice()));
        assert_eq!(read("HTTP/1.1 204 No Content\r\n\r\n").unwrap().status, 204);
        for text in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\n\r\n{}",
            "HTTP/1.1 2\r\ncontent-length: 0\r\n\r\n",
            "SSH-2.0\r\n\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
