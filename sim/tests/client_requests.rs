//! Requests as Node's clients put them on the wire, one after another on one connection: what is
//! odd about one must not be left over for the next.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sim::Server;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// One connection that is kept alive.
struct Connection(BufReader<TlsStream<TcpStream>>);

impl Connection {
    /// Sends a request as it is, and reads its answer by its `content-length`: status and JSON.
    async fn ask(&mut self, request: &str) -> Result<(u16, Value)> {
        self.0.get_mut().write_all(request.as_bytes()).await?;
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).with_context(|| line.clone())?;
        let status = status.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line).await?;
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

/// A request with the headers that all of Node's have.
fn request(server: &Server, start: &str, rest: &str) -> Result<String> {
    let host = server.host();
    let token = server.owner_token()?;
    Ok(format!(
        "{start}?api-version=2021-10-01 HTTP/1.1\r\nAccept: application/json\r\n\
         Content-Type: application/json; charset=utf-8\r\nAuthorization: {token}\r\n\
         Request-Id: 24f87d2a-59af-46ff-a906-7f10878cf21f\r\n\
         User-Agent: azure-iot-provisioning-service/1.11.2\r\nHost: {host}\r\n\
         Connection: keep-alive\r\n{rest}"
    ))
}

/// A body in chunks of a few bytes.
fn chunked(body: &str) -> String {
    let chunks = body.as_bytes().chunks(7).map(|chunk| {
        let text = String::from_utf8_lossy(chunk);
        format!("{:x}\r\n{text}\r\n", chunk.len())
    });
    let chunks: String = chunks.collect();
    format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
}

fn sized(body: &str) -> String {
    format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn bodies_in_chunks_with_reads_and_with_deletions_on_one_connection() -> Result<()> {
    let server = Server::start().await?;
    let mut connection = Connection(BufReader::new(server.connect(443).await?));
    let draft =
        json!({"registrationId": "n1", "attestation": {"type": "symmetricKey"}}).to_string();
    let read = json!({"registrationId": "n1"});
    for (start, rest, status, wanted) in [
        ("PUT /enrollments/n1", chunked(&draft), 200, &read),
        ("GET /enrollments/n1", sized("{}"), 200, &read),
        ("GET /enrollments/n1", chunked("{}"), 200, &read),
        // A body that looks like a request must not become one.
        (
            "GET /enrollments/n1",
            sized("GET / HTTP/1.1\r\n\r\n"),
            200,
            &read,
        ),
        (
            "POST /enrollments/n1/attestationmechanism",
            sized(""),
            200,
            &json!({"type": "symmetricKey"}),
        ),
        (
            "POST /enrollments/",
            chunked(&format!(r#"{{"mode":"update","enrollments":[{draft}]}}"#)),
            200,
            &json!({"isSuccessful": true}),
        ),
        ("DELETE /enrollments/n1", sized("null"), 204, &json!({})),
        (
            "GET /enrollments/n1",
            sized("{}"),
            404,
            &json!({"errorCode": 404_201}),
        ),
    ] {
        let request = request(&server, start, &rest)?;
        let (answered, body) = connection.ask(&request).await.context(start)?;
        assert_eq!(answered, status, "{start}: {body}");
        for (name, value) in wanted.as_object().context("an object")? {
            assert_eq!(&body[name], value, "{start}");
        }
    }
    Ok(())
}
