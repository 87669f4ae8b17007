use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// An answer over HTTP/1.1, as it came.
#[derive(Debug)]
pub struct Exchanged {
    pub status: u16,
    head: String,
    body: Vec<u8>,
}

impl Exchanged {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }

    /// Its body; null when it has no body.
    pub fn json(&self) -> Result<Value> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        let text = || String::from_utf8_lossy(&self.body).into_owned();
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", text()))
    }
}

/// Sends a request and reads its answer, with as little work as can be: for measurements, in which
/// the client is not what is measured.
pub async fn exchange<S>(stream: &mut S, request: &[u8]) -> Result<Exchanged>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut answer = Vec::with_capacity(2048);
    loop {
        if let Some(parsed) = parse(&answer)? {
            return Ok(parsed);
        }
        if stream.read_buf(&mut answer).await? == 0 {
            bail!("the server closed the connection");
        }
    }
}

fn parse(answer: &[u8]) -> Result<Option<Exchanged>> {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    let mut exchanged = Exchanged {
        status: head.split(' ').nth(1).context("no status")?.parse()?,
        head: head.to_owned(),
        body: Vec::new(),
    };
    let length = exchanged.header("content-length");
    let length: usize = length.context("no content-length")?.parse()?;
    let body = &answer[end + 4..];
    if body.len() < length {
        return Ok(None);
    }
    exchanged.body = body[..length].to_vec();
    Ok(Some(exchanged))
}
